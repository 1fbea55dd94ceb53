//! How far apart two sides of an output are, over all runs, in numbers that can be judged again later.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::printable::Printable;

/// Relative tolerances for which a report says which absolute one would have passed beside them.
pub const LADDER: [f64; 7] = [0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2];

/// How far apart values may be: by `atol`, and by `rtol` of the reference's absolute value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tolerance {
    /// Of the reference's absolute value.
    pub rtol: f64,
    /// In the output's own unit.
    pub atol: f64,
}

impl Tolerance {
    /// What ONNX's own tests allow of an expected output.
    pub const EXPECTED: Self = Self { rtol: 1e-3, atol: 1e-7 };

    /// `|value - reference| <= atol + rtol * |reference|`.
    #[must_use]
    pub fn new(rtol: f64, atol: f64) -> Self {
        Self { rtol, atol }
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rtol {:?}, atol {:?}", self.rtol, self.atol)
    }
}

/// The element that is furthest away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorstElement {
    /// The input that shows it.
    pub input: String,
    /// Which of the assignments of sizes.
    pub size: usize,
    /// Its index, one number an axis.
    pub index: Vec<usize>,
    /// The reference's value; null when that is not finite.
    pub reference: Option<f64>,
    /// The value that was found; null when that is not finite.
    pub value: Option<f64>,
}

/// Errors channel by channel, in the output's own unit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChannelErrors {
    /// The axis along which channels are told apart.
    pub axis: usize,
    /// How many there are. The lists below are empty where these are more than 4096.
    pub count: usize,
    /// The channel with the largest error.
    pub worst: usize,
    /// Largest absolute value of the reference in each.
    pub largest: Vec<f64>,
    /// Largest error in each.
    pub max_error: Vec<f64>,
    /// Mean error in each.
    pub mean_error: Vec<f64>,
}

/// Elements whose distance in units in the last place is at most `most`, and more than the `most` before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UlpCount {
    /// The largest distance that is counted here.
    pub most: u64,
    /// How many elements.
    pub elements: u64,
}

#[cfg(feature = "verify")]
impl UlpCount {
    pub(super) fn new(most: u64, elements: u64) -> Self {
        Self { most, elements }
    }
}

/// One side of an output against another one, over all runs. Errors are absolute differences in the output's own unit; elements that
/// are the same infinity, or no number on both sides, are the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Comparison {
    /// What computed it: `float64`, `tract`, `onnxruntime`, or `float64, rounded`.
    pub engine: String,
    /// Whose values these are: `rewritten` or `original`.
    pub model: String,
    /// The reference: `original`, or `expected` for outputs that came with the inputs.
    pub against: String,
    /// The element type.
    pub element_type: String,
    /// Runs that were compared.
    pub runs: usize,
    /// Elements in all runs.
    pub elements: u64,
    /// Elements with another value.
    pub different: u64,
    /// Elements of which just one side is finite, or that are other infinities: no tolerance lets these pass.
    pub not_finite: u64,
    /// Largest absolute value of the reference.
    pub largest: f64,
    /// Largest error of those that are finite.
    pub max_error: f64,
    /// Their mean.
    pub mean_error: f64,
    /// Largest error over the largest value of the reference; null where that is 0.
    pub scaled_error: Option<f64>,
    /// Largest error over its own reference; null where a reference of 0 is missed.
    pub relative_error: Option<f64>,
    /// The element with the largest error, one that no tolerance lets pass before all others.
    pub worst: Option<WorstElement>,
    /// Channel by channel, where the shape is the same in all runs.
    pub channels: Vec<ChannelErrors>,
    /// Distances in units in the last place of the element type, both sides rounded to it; empty for integers and booleans.
    pub ulps: Vec<UlpCount>,
    /// Cosine of the angle between both sides; null where one is zero.
    pub cosine: Option<f64>,
    /// Energy of the reference over that of the error, in decibels; null where there is no error, or no reference.
    pub snr_db: Option<f64>,
    /// For some relative tolerances the least absolute one that would have passed.
    pub would_pass: Vec<Tolerance>,
    /// Pairs of a reference's absolute value and the error there: what any tolerance asks of all elements, it asks of these.
    pub frontier: Vec<(f64, f64)>,
    /// False when the frontier was made shorter: then what it lets pass passes, and what it refuses may pass by a hair.
    pub frontier_is_exact: bool,
    /// What no tolerance lets pass, in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure: Option<String>,
}

impl Comparison {
    /// True when `tolerance` lets every element pass.
    #[must_use]
    pub fn passes(&self, tolerance: Tolerance) -> bool {
        self.failure.is_none()
            && self.not_finite == 0
            && self.frontier.iter().all(|(size, error)| *error <= tolerance.atol + tolerance.rtol * size)
    }

    /// The least absolute tolerance that lets every element pass beside `rtol`; `None` when none does.
    #[must_use]
    pub fn least_atol(&self, rtol: f64) -> Option<f64> {
        if self.failure.is_some() || self.not_finite > 0 {
            return None;
        }
        Some(self.frontier.iter().map(|(size, error)| error - rtol * size).fold(0.0, f64::max))
    }

    /// What `tolerance` does not let pass, in words.
    #[must_use]
    pub fn refusal(&self, tolerance: Tolerance) -> Option<String> {
        if self.passes(tolerance) {
            return None;
        }
        let whose = format!("the {} model in {}, against the {}", self.model, self.engine, self.reference());
        if let Some(failure) = &self.failure {
            return Some(format!("{whose}: {failure}"));
        }
        if self.not_finite > 0 {
            let at =
                self.worst.as_ref().map_or(String::new(), |w| format!(", as at {:?} on {} input", w.index, w.input));
            return Some(format!(
                "{whose}: {} of {} elements are not finite on one side{at}",
                self.not_finite, self.elements
            ));
        }
        let least = self.least_atol(tolerance.rtol).unwrap_or_default();
        let at = self.worst.as_ref().map_or(String::new(), |w| format!(" at {:?} on {} input", w.index, w.input));
        Some(format!(
            "{whose}: beyond {tolerance}; the largest error is {:.2e}{at}, and beside this rtol an atol of {least:.2e} would pass",
            self.max_error
        ))
    }

    fn reference(&self) -> &str {
        if self.against == "expected" { "expected output" } else { "original" }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} model in {}, against the {}: ", self.model, self.engine, self.reference())?;
        if let Some(failure) = &self.failure {
            return write!(f, "{}", Printable(failure));
        }
        if self.different == 0 {
            return write!(f, "all {} elements of {} runs are the same", self.elements, self.runs);
        }
        let number = |v: Option<f64>, word: &str| v.map_or(word.to_owned(), |v| format!("{v:.2e}"));
        write!(f, "largest error {:.2e}", self.max_error)?;
        if let Some(worst) = &self.worst {
            let input = Printable(&worst.input);
            write!(
                f,
                " at {:?} on {input} input ({} for {})",
                worst.index,
                value(worst.value),
                value(worst.reference)
            )?;
        }
        write!(
            f,
            ", {} of the largest value, mean {:.2e}; {} of {} elements differ",
            number(self.scaled_error, "not to be told"),
            self.mean_error,
            self.different,
            self.elements
        )?;
        if self.not_finite > 0 {
            write!(f, ", {} are not finite on one side", self.not_finite)?;
        }
        if let Some(channels) = self.channels.first().filter(|c| c.count > 1) {
            write!(f, "; furthest is channel {} of axis {}", channels.worst, channels.axis)?;
        }
        if let Some(cosine) = self.cosine {
            write!(f, "; cosine 1 - {:.1e}", (1.0 - cosine).max(0.0))?;
        }
        if let Some(snr) = self.snr_db {
            write!(f, ", SNR {snr:.1} dB")?;
        }
        if !self.ulps.is_empty() {
            let total: u64 = self.ulps.iter().map(|u| u.elements).sum();
            let share = |n: u64| 100.0 * n as f64 / total.max(1) as f64;
            let shown = self.ulps.iter().filter(|u| u.elements > 0);
            let words: Vec<String> = shown.map(|u| format!("{} {:.3} %", u.most, share(u.elements))).collect();
            write!(f, "; ulps, at most: {}", words.join(", "))?;
        }
        match self.least_atol(0.0) {
            Some(atol) => {
                write!(f, "; passes with atol {atol:.2e}, or with rtol {}", number(self.relative_error, "none"))
            }
            None => write!(f, "; no tolerance passes"),
        }
    }
}

fn value(value: Option<f64>) -> String {
    value.map_or("not finite".to_owned(), |v| format!("{v:?}"))
}
