//! What pruning did, and what it cost.

use std::fmt;

use serde::Serialize;

use crate::verify::Status;

use super::meter::Taken;
use super::options::Way;

/// What became of the outputs on held-out samples.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Quality {
    /// Held-out samples.
    pub samples: usize,
    /// Root of the mean squared error, relative to the output's own standard deviation, of the output where that is largest; of
    /// integers and booleans the root of the share that differs.
    pub relative_error: f64,
    /// Share of samples whose largest output is the same one, where the first output is a row of scores.
    pub agreement: Option<f64>,
    /// Share of labelled samples that the original gets right.
    pub accuracy_before: Option<f64>,
    /// Share that the pruned model gets right.
    pub accuracy_after: Option<f64>,
}

/// A layer that has fewer channels.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LayerReport {
    /// Its node.
    pub node: String,
    /// The tensor it gives.
    pub tensor: String,
    /// Channels in and out, before.
    pub before: (usize, usize),
    /// And after.
    pub after: (usize, usize),
}

/// One way of pruning, tried.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct WayReport {
    /// Which.
    pub way: Way,
    /// Multiply-accumulates of a sample.
    pub macs: f64,
    /// Weights of layers.
    pub parameters: f64,
    /// Bytes of activations that are alive at once; `None` when a size is not known.
    pub peak_memory: Option<f64>,
    /// Nanoseconds by the model of time; `None` when a size is not known.
    pub latency: Option<f64>,
    /// Groups of channels that could go, and that went.
    pub groups: (usize, usize),
    /// Channels that went because they were copies of others; these change nothing.
    pub copies: usize,
    /// What became of the outputs; missing where nothing was fitted.
    pub quality: Option<Quality>,
    /// Layers that have fewer channels.
    pub layers: Vec<LayerReport>,
    /// Why it led nowhere.
    pub failed: Option<String>,
}

impl WayReport {
    pub(super) fn failed(way: Way, reason: String) -> Self {
        Self {
            way,
            macs: 0.0,
            parameters: 0.0,
            peak_memory: None,
            latency: None,
            groups: (0, 0),
            copies: 0,
            quality: None,
            layers: Vec::new(),
            failed: Some(reason),
        }
    }
}

/// What pruning did.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PruneReport {
    /// Multiply-accumulates of a sample of the original, at the size of the samples.
    pub macs: f64,
    /// Weights of its layers.
    pub parameters: f64,
    /// Bytes of activations that are alive at once in it; `None` when a size is not known.
    pub peak_memory: Option<f64>,
    /// Nanoseconds that it takes by the model of time; `None` when a size is not known.
    pub latency: Option<f64>,
    /// Samples that were fitted to.
    pub fitted: usize,
    /// The ways that were tried.
    pub ways: Vec<WayReport>,
    /// The one that was taken; `None` when none was good enough.
    pub chosen: Option<Way>,
    /// The verdict where only exact things were done and something went: both models were compared.
    pub verification: Option<Status>,
    /// Why nothing is to be written.
    pub finding: Option<String>,
    /// What the reader should know.
    pub notes: Vec<String>,
}

impl PruneReport {
    /// What the original takes, by every measure.
    pub(super) fn whole(&self) -> Taken {
        [Some(self.macs), Some(self.parameters), self.peak_memory, self.latency]
    }

    /// The way that was taken.
    #[must_use]
    pub fn taken(&self) -> Option<&WayReport> {
        self.ways.iter().find(|w| Some(w.way) == self.chosen)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Best => "best",
            Self::Residual => "residual",
            Self::Chain => "chain",
            Self::Decoupled => "decoupled",
        })
    }
}

impl fmt::Display for PruneReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |v: f64| 100.0 * v;
        for way in &self.ways {
            let mark = if Some(way.way) == self.chosen { "*" } else { " " };
            if let Some(reason) = &way.failed {
                writeln!(f, "{mark} {:<9} {reason}", way.way.to_string())?;
                continue;
            }
            write!(
                f,
                "{mark} {:<9} multiply-accumulates {:.3}x, weights {:.3}x",
                way.way.to_string(),
                way.macs / self.macs,
                way.parameters / self.parameters,
            )?;
            let others = [("peak memory", way.peak_memory, self.peak_memory), ("time", way.latency, self.latency)];
            for (name, is, was) in others {
                if let Some((is, was)) = is.zip(was).filter(|(_, was)| *was > 0.0) {
                    write!(f, ", {name} {:.3}x", is / was)?;
                }
            }
            write!(f, "; {} of {} groups of channels went", way.groups.1, way.groups.0)?;
            if way.copies > 0 {
                write!(f, ", {} of them copies", way.copies)?;
            }
            if let Some(q) = &way.quality {
                write!(f, "; output error {:.1} % on {} held-out samples", percent(q.relative_error), q.samples)?;
                if let Some(a) = q.agreement {
                    write!(f, ", same largest output {:.1} %", percent(a))?;
                }
                if let (Some(b), Some(a)) = (q.accuracy_before, q.accuracy_after) {
                    write!(f, ", accuracy {:.1} % -> {:.1} %", percent(b), percent(a))?;
                }
            }
            writeln!(f)?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        match &self.finding {
            Some(finding) => writeln!(f, "{finding}: nothing was written"),
            None => Ok(()),
        }
    }
}
