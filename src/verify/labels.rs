//! How many samples of known classes two models get right.

use std::fmt;

use serde::Serialize;

/// Answers on samples whose classes are known: the largest entry of a row of the first output is the answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LabelReport {
    /// Samples.
    pub samples: usize,
    /// Share that the original gets right.
    pub original: f64,
    /// Share that the other model gets right.
    pub rewritten: f64,
    /// Share on which both answer the same.
    pub agreement: f64,
}

impl LabelReport {
    /// Of so many samples, those that each model gets right, and those on which both answer the same; `None` without any.
    pub(crate) fn new(samples: usize, (original, rewritten): (usize, usize), alike: usize) -> Option<Self> {
        let share = |n: usize| n as f64 / samples as f64;
        let (original, rewritten, agreement) = (share(original), share(rewritten), share(alike));
        (samples > 0).then_some(Self { samples, original, rewritten, agreement })
    }
}

impl fmt::Display for LabelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| 100.0 * share;
        write!(
            f,
            "top-1 on {} labelled samples: {:.2} % and {:.2} %, the same answer on {:.2} %",
            self.samples,
            percent(self.original),
            percent(self.rewritten),
            percent(self.agreement)
        )
    }
}
