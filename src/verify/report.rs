//! What a verification found.

use std::fmt;

use serde::Serialize;

use super::comparison::{Comparison, Tolerance};
use super::labels::LabelReport;
use super::reach::Missed;
use crate::printable::Printable;

/// Unstable models that are further apart than this in float64 have been shown to agree in nothing.
const MAX_UNSTABLE: f64 = 0.1;

/// Tensors that a text names; the JSON has all.
const LISTED: usize = 6;

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Status {
    /// Both compute the same in float64, but for what rounding explains, and are as close to it in their own arithmetic.
    Equal,
    /// They do not, or the signatures differ.
    Mismatch,
    /// Nothing could be concluded: an output was constant, zero or not finite for every input, or something differs that no input
    /// reached.
    NoEvidence,
    /// Rounding alone moves an output of the original so far that nothing can be seen behind it.
    Unstable,
}

/// The verdict in words for people and for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Verdict {
    /// Every value that was compared is the same.
    #[serde(rename = "equal")]
    Equal,
    /// Some values differ, none by more than rounding explains.
    #[serde(rename = "equal within rounding")]
    WithinRounding,
    /// Some values differ, none by more than the tolerance that was asked for.
    #[serde(rename = "equal within tolerance")]
    WithinTolerance,
    /// The models compute something else.
    #[serde(rename = "different")]
    Different,
    /// Nothing could be concluded.
    #[serde(rename = "no evidence")]
    NoEvidence,
}

impl Verdict {
    /// Its words in reports, which stay.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::WithinRounding => "equal within rounding",
            Self::WithinTolerance => "equal within tolerance",
            Self::Different => "different",
            Self::NoEvidence => "no evidence",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What came out in one engine, beside float64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EngineReport {
    /// The engine.
    pub engine: Runner,
    /// Its version, where it tells.
    pub version: Option<String>,
    /// The verdict with it alone.
    pub status: Status,
    /// In words, when it is not [`Status::Equal`].
    pub message: String,
}

/// What was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "coverage", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Coverage {
    /// Both models from their inputs to their outputs.
    Whole,
    /// Only the rewritten regions, cut out of both models.
    Regions {
        /// The tensors at which the regions end.
        tensors: Vec<String>,
        /// Why the whole model could not be run.
        reason: String,
    },
}

/// One output under one kind of input. Distances are over the largest value, so they are relative; they are absolute where that
/// is 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Measure {
    /// The kind of input.
    pub input: String,
    /// Which of the assignments of sizes: an index into [`VerifyReport::sizes`].
    pub size: usize,
    /// Largest absolute value of the original in float64.
    pub largest: f64,
    /// Distance of the rewritten model from the original, both in float64.
    pub exact_error: f64,
    /// How far rounding may move the original: the largest of several draws in which weights and results were moved by up to eight
    /// half-ulps.
    pub rounding: f64,
    /// Distance of the original from float64 in its own arithmetic. Of an output that its operator bounds (Sigmoid, Clip, ...) this
    /// and the next two are over that bound, where it is more than the largest value.
    pub original_error: f64,
    /// Distance of the rewritten model from float64 (of the original) in its own arithmetic; from the original's own run where
    /// `screened`.
    pub rewritten_error: f64,
    /// What is allowed of `rewritten_error`, in the channel that may be furthest away.
    pub limit: f64,
    /// True when both were run in their own arithmetic only and agreed, so that float64 was not asked.
    pub screened: bool,
    /// Integers or booleans that differ where rounding decides the answer.
    pub ties: usize,
    /// True when rounding leaves nothing to compare.
    pub unstable: bool,
    /// Why this kind of input says nothing of the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_evidence: Option<String>,
    /// What is wrong, when something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The channel that is furthest beyond its limit, when one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_channel: Option<WorstChannel>,
    /// What was noticed and is no failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A channel of an output that failed. Distances are in the output's own unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct WorstChannel {
    /// The axis along which channels were told apart.
    pub axis: usize,
    /// The channel (of tensors with more than 65,536: a group of neighbours).
    pub channel: usize,
    /// Its largest absolute value.
    pub largest: f64,
    /// How far it is away.
    pub error: f64,
    /// How far it may be.
    pub limit: f64,
}

/// One assignment of sizes to the dimensions that the model leaves free, and what was fed in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SizeReport {
    /// The inputs.
    pub inputs: Vec<InputReport>,
    /// The kinds of values.
    pub kinds: Vec<String>,
    /// Kinds that the original itself cannot be evaluated on, and why.
    pub skipped: Vec<String>,
}

/// One output, over all kinds of input.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OutputReport {
    /// Its name.
    pub name: String,
    /// Why no kind of input says anything, when none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_evidence: Option<String>,
    /// Each kind of input.
    pub measures: Vec<Measure>,
    /// How far apart its values are over all runs, whatever is allowed: one entry an engine and pair of sides.
    pub comparisons: Vec<Comparison>,
}

/// What ran the models in their own arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Runner {
    /// tract's optimised path.
    #[serde(rename = "tract")]
    Tract,
    /// ONNX Runtime, with all its optimisations.
    #[serde(rename = "onnxruntime")]
    OnnxRuntime,
    /// The float64 evaluator, with every result rounded to its type.
    #[serde(rename = "float64, rounded")]
    Rounded,
}

impl Runner {
    /// Its word in reports, which stays.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tract => "tract",
            Self::OnnxRuntime => "onnxruntime",
            Self::Rounded => "float64, rounded",
        }
    }
}

impl fmt::Display for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the models were run in, beside float64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Arithmetic {
    /// The narrowest float type of the original.
    pub element_type: String,
    /// What ran the models.
    pub engine: Runner,
    /// Why it was not the engine that was asked for, when it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounded_because: Option<String>,
    /// True when rounding decides what the original computes.
    pub unstable: bool,
}

/// A graph input as it was fed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InputReport {
    /// Its name.
    pub name: String,
    /// The shape that was used.
    pub shape: Vec<usize>,
    /// True when a dimension was not fixed by the model and was chosen here.
    pub assumed: bool,
}

/// The first tensor, in the order of the original, whose values differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FirstDifference {
    /// The tensor.
    pub tensor: String,
    /// The node that computes it in the original.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// Largest difference over the largest value.
    pub difference: f64,
    /// The kind of input that shows it.
    pub input: String,
}

impl FirstDifference {
    /// The tensor alone, for a comparison that knows no more.
    #[must_use]
    pub fn at(tensor: impl Into<String>) -> Self {
        let (node, op, input) = Default::default();
        Self { tensor: tensor.into(), node, op, difference: f64::NAN, input }
    }
}

/// Which sides of activations, bounds, gates and choices the inputs drove some entry to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BendReport {
    /// Sides there are, in all models that were looked at.
    pub total: usize,
    /// Sides that no input reached.
    pub missed: Vec<Missed>,
}

/// Version of the JSON of a verification.
pub const SCHEMA_VERSION: u32 = 2;

/// The result of a verification.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The verdict.
    pub status: Status,
    /// The same in words, and whether any value differs at all.
    pub verdict: Verdict,
    /// The tolerance that was asked for in place of the criterion; null without one.
    pub tolerance: Option<Tolerance>,
    /// In words, when it is not [`Status::Equal`].
    pub message: String,
    /// True when something else than values differs, as a shape or what a type can hold: no tolerance is about that.
    pub beyond_tolerance: bool,
    /// What was compared.
    #[serde(flatten)]
    pub coverage: Coverage,
    /// What the models were run in.
    pub arithmetic: Arithmetic,
    /// Each engine that was asked for. What else this report says is of the first of them, unless it names another one.
    pub engines: Vec<EngineReport>,
    /// Each output, or each tensor at which a region ends.
    pub outputs: Vec<OutputReport>,
    /// The inputs that were fed, in the first assignment of sizes.
    pub inputs: Vec<InputReport>,
    /// The kinds of values that were fed in it.
    pub kinds: Vec<String>,
    /// All assignments of sizes.
    pub sizes: Vec<SizeReport>,
    /// What was noticed and is no failure.
    pub notes: Vec<String>,
    /// What the inputs reached; null for models too large to look.
    pub bends: Option<BendReport>,
    /// What differs between the models and showed on no input, in words: nothing is known of it.
    pub unreached: Vec<String>,
    /// First outputs of the nodes with rewritten bodies that no input runs; `unreached` says them in words.
    #[serde(skip)]
    pub(crate) idle: Vec<String>,
    /// Seed of the random ones.
    pub seed: u64,
    /// Where the models part, when they do.
    pub first_difference: Option<FirstDifference>,
    /// The folder into which a small reproducer of it was written, when one was asked for.
    pub reproducer: Option<String>,
    /// How many samples of known classes each model gets right, when classes were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelReport>,
    /// What each folder of saved inputs or outputs holds, in the order of their numbers; empty when none were asked for.
    pub saved: Vec<String>,
}

impl VerifyReport {
    /// True for [`Status::Equal`].
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.status == Status::Equal
    }

    /// True for [`Status::Unstable`].
    #[must_use]
    pub fn is_unstable(&self) -> bool {
        self.status == Status::Unstable
    }

    /// True when an unstable model and the rewritten one agree in float64, where next to nothing is rounded.
    #[must_use]
    pub fn agrees_in_float64(&self) -> bool {
        let all = || self.outputs.iter().flat_map(|o| &o.measures);
        self.is_unstable()
            && all().all(|m| m.failure.is_none() && m.exact_error <= m.rounding.clamp(1e-15, MAX_UNSTABLE))
    }
}

impl VerifyReport {
    /// The largest distances, of the measures that say something.
    fn figures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measures = || self.outputs.iter().flat_map(|o| &o.measures).filter(|m| m.no_evidence.is_none());
        let worst = |error: fn(&Measure) -> f64| measures().map(error).fold(0.0, f64::max);
        write!(
            f,
            "of the largest value: {:.1e} apart in float64, where rounding may move {:.1e}; in {} the original is {:.1e} away from \
             float64, the rewritten model {:.1e}; inputs: {}",
            worst(|m| m.exact_error),
            worst(|m| m.rounding),
            self.arithmetic.element_type,
            worst(|m| m.original_error),
            worst(|m| m.rewritten_error),
            self.kinds.join(", ")
        )
    }
}

/// How far apart the values of a report are, a line for each comparison.
#[derive(Clone, Copy, Debug)]
pub struct Details<'r>(&'r VerifyReport);

impl VerifyReport {
    /// How far apart the values are, for people: a line for each comparison.
    #[must_use]
    pub fn details(&self) -> Details<'_> {
        Details(self)
    }
}

impl fmt::Display for Details<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.outputs.iter().filter(|o| !o.comparisons.is_empty());
        for output in shown.clone().take(LISTED) {
            for comparison in &output.comparisons {
                writeln!(f, "  '{}', {comparison}", Printable(&output.name))?;
            }
        }
        match shown.count().saturating_sub(LISTED) {
            0 => Ok(()),
            more => writeln!(f, "  and {more} outputs more, which --json has"),
        }
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Status::Equal => {
                write!(f, "{}", self.verdict)?;
                if let Some(tolerance) = &self.tolerance {
                    write!(f, " ({tolerance}, in place of the usual criterion)")?;
                }
                write!(f, "; ")?;
                self.figures(f)?;
            }
            Status::Mismatch => write!(f, "the models differ: {}", Printable(&self.message))?,
            Status::NoEvidence => write!(f, "no evidence: {}", Printable(&self.message))?,
            Status::Unstable => write!(f, "unstable: {}", Printable(&self.message))?,
        }
        for (index, size) in self.sizes.iter().enumerate() {
            let assumed = size.inputs.iter().filter(|i| i.assumed);
            let words: Vec<String> = assumed.map(|i| format!("'{}' as {:?}", Printable(&i.name), i.shape)).collect();
            if !words.is_empty() {
                let how = if index == 0 { "input taken" } else { "also taken" };
                write!(f, "\n  {how}: {}", words.join(", "))?;
            }
            for skipped in &size.skipped {
                write!(f, "\n  not compared: {}", Printable(skipped))?;
            }
        }
        for note in &self.notes {
            write!(f, "\n  note: {}", Printable(note))?;
        }
        match &self.coverage {
            Coverage::Whole => {}
            Coverage::Regions { tensors, reason } if tensors.is_empty() => {
                write!(f, "\n  no node differs, so nothing was run; {}", Printable(reason))?;
            }
            Coverage::Regions { tensors, reason } => {
                let (first, rest) = tensors.split_at(tensors.len().min(LISTED));
                let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
                let (first, reason) = (Printable(first.join(", ")), Printable(reason));
                write!(f, "\n  only the rewritten regions were run, up to {first}{more}, because {reason}")?;
            }
        }
        if let Some(reason) = &self.arithmetic.rounded_because {
            let (kind, reason) = (&self.arithmetic.element_type, Printable(reason));
            write!(f, "\n  {kind} was imitated, every result of float64 rounded, because {reason}")?;
        }
        if let Some(d) = &self.first_difference {
            write!(
                f,
                "\n  first differing tensor: '{}' (node '{}', {}), by {:.1e} of its largest value, on {} input",
                Printable(&d.tensor),
                Printable(&d.node),
                Printable(&d.op),
                d.difference,
                d.input
            )?;
        }
        if let Some(labels) = &self.labels {
            write!(f, "\n  {labels}")?;
        }
        if let Some(folder) = &self.reproducer {
            write!(f, "\n  the part of both models that differs: '{}'", Printable(folder))?;
        }
        Ok(())
    }
}
