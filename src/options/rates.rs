//! The rates of the model of time: what `--objective latency` counts with, built in or measured by `onnx-rm calibrate`.

use serde::{Deserialize, Serialize};

use super::located::located;

/// Nanoseconds that one of each takes.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Rates {
    /// A multiply-accumulate of a convolution without groups, or whose groups are whole blocks of sixteen channels.
    pub mac: f64,
    /// One in smaller groups.
    pub small_mac: f64,
    /// One of a depthwise convolution.
    pub depthwise_mac: f64,
    /// An element that a convolution in whole blocks reads or writes.
    pub blocked: f64,
    /// One that is copied, window by window, for a convolution in smaller groups.
    pub copied: f64,
    /// One that is reordered, in front of a selection and behind it.
    pub reordered: f64,
    /// One that a selection writes.
    pub selected: f64,
    /// One that an elementwise operator moves as part of a convolution.
    pub passed: f64,
    /// One that it moves alone.
    pub unfused: f64,
    /// A weight that is read once.
    pub weight: f64,
    /// A group that is smaller than a block.
    pub group: f64,
    /// An operator.
    pub node: f64,
}

/// All of them are finite.
impl Eq for Rates {}

/// Measured with ONNX Runtime 1.32 on one thread of an x86-64 processor with AVX-512.
impl Default for Rates {
    fn default() -> Self {
        Self {
            mac: 0.0085,
            small_mac: 0.012,
            depthwise_mac: 0.025,
            blocked: 0.02,
            copied: 0.13,
            reordered: 0.1,
            selected: 0.07,
            passed: 0.01,
            unfused: 0.15,
            weight: 0.025,
            group: 70.0,
            node: 1000.0,
        }
    }
}

/// What a file of rates says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    /// What measured them, for people.
    #[serde(default, rename = "engine")]
    _engine: Option<String>,
    /// How far the model is off, for people.
    #[serde(default, rename = "error")]
    _error: Option<f64>,
    #[serde(default, rename = "error_of_nine_in_ten")]
    _most: Option<f64>,
    /// How many models were run, for people.
    #[serde(default, rename = "models")]
    _models: Option<u64>,
    nanoseconds: Rates,
}

impl Rates {
    /// How many there are.
    pub const COUNT: usize = 12;

    /// Their names in files, in order.
    pub const NAMES: [&str; Self::COUNT] = [
        "mac",
        "small-mac",
        "depthwise-mac",
        "blocked",
        "copied",
        "reordered",
        "selected",
        "passed",
        "unfused",
        "weight",
        "group",
        "node",
    ];

    /// These, in the order of [`Self::NAMES`].
    #[must_use]
    pub const fn of(list: [f64; Self::COUNT]) -> Self {
        let [mac, small_mac, depthwise_mac, blocked, copied, reordered, selected, passed, unfused, weight, group, node] =
            list;
        Self {
            mac,
            small_mac,
            depthwise_mac,
            blocked,
            copied,
            reordered,
            selected,
            passed,
            unfused,
            weight,
            group,
            node,
        }
    }

    /// All of them, in the order of [`Self::NAMES`].
    #[must_use]
    pub const fn list(&self) -> [f64; Self::COUNT] {
        [
            self.mac,
            self.small_mac,
            self.depthwise_mac,
            self.blocked,
            self.copied,
            self.reordered,
            self.selected,
            self.passed,
            self.unfused,
            self.weight,
            self.group,
            self.node,
        ]
    }

    /// Reads what `onnx-rm calibrate` wrote: TOML, or JSON where `is_json`.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn parse(text: &str, is_json: bool) -> Result<Self, String> {
        let file: File = if is_json {
            serde_json::from_str(text).map_err(|e| e.to_string())?
        } else {
            toml::from_str(text).map_err(|e| located(text, &e))?
        };
        let rates = file.nanoseconds;
        let named = || Self::NAMES.into_iter().zip(rates.list());
        if let Some((name, rate)) = named().find(|(_, rate)| !rate.is_finite() || *rate < 0.0) {
            return Err(format!("'{name}' is {rate}, which is no number of nanoseconds"));
        }
        if rates.mac == 0.0 && rates.node == 0.0 {
            return Err("neither a multiply-accumulate nor an operator takes any time".to_owned());
        }
        Ok(rates)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn file(change: impl Fn(&str) -> String) -> String {
        let lines = Rates::NAMES.iter().zip(Rates::default().list());
        let text: String = lines.map(|(name, rate)| format!("{name} = {rate:?}\n")).collect();
        change(&format!("engine = 'x'\nerror = 0.1\n[nanoseconds]\n{text}"))
    }

    #[test]
    fn rates_come_back_from_a_file() {
        assert_eq!(Rates::parse(&file(str::to_owned), false), Ok(Rates::default()));
        let json = format!("{{\"nanoseconds\": {}}}", serde_json::to_string(&Rates::default()).unwrap());
        assert_eq!(Rates::parse(&json, true), Ok(Rates::default()));
        assert_eq!(Rates::of(Rates::default().list()), Rates::default());
    }

    #[test]
    fn what_is_no_file_of_rates_is_said_in_one_line() {
        let wrong: [(String, &str); 6] = [
            (file(|t| t.replace("mac = 0.0085", "mac = -1.0")), "'mac' is -1"),
            (file(|t| t.replace("node = 1000.0", "node = inf")), "'node' is inf"),
            (file(|t| t.replace("weight = 0.025\n", "")), "weight"),
            (file(|t| t.replace("engine", "motor")), "line 1"),
            (file(|t| t.replace("mac = 0.0085", "mac = 0.0").replace("node = 1000.0", "node = 0.0")), "neither"),
            ("<html>".to_owned(), "line 1"),
        ];
        for (text, said) in wrong {
            let error = Rates::parse(&text, false).unwrap_err();
            assert!(error.contains(said) && !error.contains('\n'), "{error}");
        }
        assert!(Rates::parse("{}", true).unwrap_err().contains("nanoseconds"));
    }
}
