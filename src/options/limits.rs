//! Limits on what a rewritten model may cost.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A limit on what a rewritten model may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub enum Limit {
    /// In thousandths of what the original costs: `1.5x`.
    Thousandths(u64),
    /// In whole numbers: `2000000`.
    Count(u64),
}

impl Limit {
    /// What is allowed of a model that costs `before`.
    #[must_use]
    pub fn of(self, before: u64) -> u64 {
        match self {
            Self::Thousandths(n) => u64::try_from(u128::from(before) * u128::from(n) / 1000).unwrap_or(u64::MAX),
            Self::Count(n) => n,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thousandths(n) => {
                let text = format!("{}.{:03}", n / 1000, n % 1000);
                write!(f, "{}x", text.trim_end_matches('0').trim_end_matches('.'))
            }
            Self::Count(n) => write!(f, "{n}"),
        }
    }
}

impl From<Limit> for String {
    fn from(limit: Limit) -> Self {
        limit.to_string()
    }
}

impl TryFrom<String> for Limit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// A multiple of the original's (`1.5x`), or a number (`2000000`).
impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || "expected a multiple of the original's, as 1.5x, or a number, as 2000000".to_owned();
        let Some(times) = text.strip_suffix('x') else {
            return text.replace('_', "").parse().map(Self::Count).map_err(|_| wrong());
        };
        let times: f64 = times.parse().map_err(|_| wrong())?;
        (0.001..=1e6).contains(&times).then_some(Self::Thousandths((times * 1000.0).round() as u64)).ok_or_else(wrong)
    }
}

/// Limits on what a rewritten model may cost: of the joins that could go, the most go that keep to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// Of multiply-accumulates.
    pub macs: Option<Limit>,
    /// Of weights.
    pub parameters: Option<Limit>,
    /// Of the file's bytes, with its weights.
    pub bytes: Option<Limit>,
    /// Of the bytes of activations that are alive at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<Limit>,
}

impl Limits {
    /// Sets the limit of multiply-accumulates.
    #[must_use]
    pub fn macs(self, limit: Limit) -> Self {
        Self { macs: Some(limit), ..self }
    }

    /// Sets the limit of weights.
    #[must_use]
    pub fn parameters(self, limit: Limit) -> Self {
        Self { parameters: Some(limit), ..self }
    }

    /// Sets the limit of the file's bytes.
    #[must_use]
    pub fn bytes(self, limit: Limit) -> Self {
        Self { bytes: Some(limit), ..self }
    }

    /// Sets the limit of the bytes of activations that are alive at once.
    #[must_use]
    pub fn peak_memory(self, limit: Limit) -> Self {
        Self { peak_memory: Some(limit), ..self }
    }

    /// True when nothing is limited.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_multiples_or_numbers() {
        let limit = |text: &str| text.parse::<Limit>();
        assert_eq!(limit("1.5x"), Ok(Limit::Thousandths(1500)));
        assert_eq!(limit("2_000_000"), Ok(Limit::Count(2_000_000)));
        for wrong in ["", "x", "1.5", "-1x", "nanx", "1e9x", "0x", "-3", "a"] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
        for text in ["1.5x", "1x", "1.125x", "40", "0.5x"] {
            assert_eq!(limit(text).map(|l| l.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(Limit::Thousandths(1250).of(u64::MAX), u64::MAX);
        assert_eq!((Limit::Thousandths(1250).of(8), Limit::Count(3).of(8)), (10, 3));
    }
}
