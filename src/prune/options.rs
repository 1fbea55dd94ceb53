//! What is asked of pruning.

use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use serde::Serialize;

use crate::options::Options;

/// How much may stay: `0.5x` of what the model takes, or a number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Amount {
    /// A share of the original's.
    Share(f64),
    /// As many.
    Count(u64),
}

impl Amount {
    /// The number, where the original takes `whole`.
    #[must_use]
    pub fn of(self, whole: f64) -> f64 {
        match self {
            Self::Share(share) => share * whole,
            Self::Count(count) => count as f64,
        }
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected a share as 0.5x, or a number".to_owned();
        match text.strip_suffix(['x', 'X']) {
            Some(share) => match share.parse::<f64>() {
                Ok(share) if share > 0.0 && share <= 1.0 => Ok(Self::Share(share)),
                Ok(_) => Err("expected a share above 0 and at most 1, as 0.5x".to_owned()),
                Err(_) => Err(expected()),
            },
            None => text.parse().map(Self::Count).map_err(|_| expected()),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => write!(f, "{share}x"),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

/// On which form of the graph channels are taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Way {
    /// All of them are tried, and the one with the smaller error on held-out samples is kept.
    #[default]
    Best,
    /// As it is: channels that meet in a residual sum go together, stage by stage.
    Residual,
    /// Residual connections are removed first, so that every layer of the chain has channels of its own; what is carried counts.
    Chain,
    /// Blocks have channels of their own as in the chain, but shortcuts stay: a shortcut selects channels of the fork, or is a 1x1
    /// convolution where some are missing there.
    Decoupled,
}

/// What is asked of pruning.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PruneOptions {
    /// Most multiply-accumulates that may stay.
    pub macs: Option<Amount>,
    /// Most weights that may stay.
    pub parameters: Option<Amount>,
    /// Most bytes of activations that may be alive at once.
    pub peak_memory: Option<Amount>,
    /// Most time that may be taken, in nanoseconds of the model of time that `--objective latency` goes by.
    pub latency: Option<Amount>,
    /// Layers whose node or output has such a name keep their channels.
    pub keep: Vec<String>,
    /// Most of a layer's channels that may go, as a share.
    pub ratio: f64,
    /// Of the narrowest tensor that a channel stands in a multiple of so many is left, where that can be: runtimes are fast on whole blocks of channels.
    pub multiple: usize,
    /// Rounds of choosing and fitting, each on what the one before has left.
    pub rounds: usize,
    /// On which form of the graph.
    pub way: Way,
    /// Only what changes nothing: channels that are zero or never read, and copies of others.
    pub exact_only: bool,
    /// Most output error on held-out samples, relative to the outputs' own size.
    pub max_error: Option<f64>,
    /// Least share of held-out samples with the same largest output.
    pub min_agreement: Option<f64>,
    /// Where samples and positions are drawn.
    pub seed: u64,
    /// How residual connections are removed.
    pub rewrite: Options,
}

impl PruneOptions {
    /// What may stay of each measure, in their order.
    pub(super) fn amounts(&self) -> [Option<Amount>; 4] {
        [self.macs, self.parameters, self.peak_memory, self.latency]
    }
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            macs: None,
            parameters: None,
            peak_memory: None,
            latency: None,
            keep: Vec::new(),
            ratio: 1.0,
            multiple: 1,
            rounds: 1,
            way: Way::default(),
            exact_only: false,
            max_error: None,
            min_agreement: None,
            seed: 0,
            rewrite: Options::default(),
        }
    }
}

/// Is told what is done, and how far it is; says whether to go on.
pub type PruneWatch<'w> = &'w mut (dyn FnMut(&str, usize, usize) -> ControlFlow<()> + Send);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read() {
        assert_eq!("0.5x".parse(), Ok(Amount::Share(0.5)));
        assert_eq!("1000".parse(), Ok(Amount::Count(1000)));
        for wrong in ["0x", "1.5x", "-1", "x", "nanx", "0.5"] {
            assert!(wrong.parse::<Amount>().is_err(), "{wrong}");
        }
        assert_eq!(Amount::Share(0.5).of(10.0), 5.0);
        assert_eq!(Amount::Count(7).of(10.0), 7.0);
    }
}
