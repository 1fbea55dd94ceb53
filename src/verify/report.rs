//! What a verification found.

use std::fmt;

use serde::Serialize;

/// Tensors that a text names; the JSON has all.
const LISTED: usize = 6;

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The rewritten model is as close to the float64 answer as the original.
    Equal,
    /// It is not, or the signatures differ.
    Mismatch,
    /// Nothing could be concluded: an output was constant, zero or not finite for every input.
    NoEvidence,
}

/// What was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "coverage", rename_all = "kebab-case")]
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

/// One output under one kind of input. Distances are over the largest value, so they are relative.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measure {
    /// The kind of input.
    pub input: String,
    /// Largest absolute value in float64.
    pub largest: f64,
    /// Distance of the original from float64.
    pub original_error: f64,
    /// Distance of the rewritten model from float64 (of the original).
    pub rewritten_error: f64,
    /// What is allowed.
    pub limit: f64,
    /// Why this kind of input says nothing of the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_evidence: Option<String>,
    /// What is wrong, when something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// One output, over all kinds of input.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutputReport {
    /// Its name.
    pub name: String,
    /// Why no kind of input says anything, when none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_evidence: Option<String>,
    /// Each kind of input.
    pub measures: Vec<Measure>,
}

/// What the models were run in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Arithmetic {
    /// The narrowest float type of the original, which sets what is allowed.
    pub element_type: String,
    /// Why both were evaluated in float64 instead, when they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub float64_because: Option<String>,
    /// True when that is because the original's own result is mostly rounding error: in its own type any other order of
    /// a sum gives another answer.
    pub unstable: bool,
}

/// A graph input as it was fed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

/// The result of a verification.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VerifyReport {
    /// The verdict.
    pub status: Status,
    /// In words, when it is not [`Status::Equal`].
    pub message: String,
    /// What was compared.
    #[serde(flatten)]
    pub coverage: Coverage,
    /// What the models were run in.
    pub arithmetic: Arithmetic,
    /// Each output, or each tensor at which a region ends.
    pub outputs: Vec<OutputReport>,
    /// The inputs that were fed.
    pub inputs: Vec<InputReport>,
    /// The kinds of values that were fed.
    pub kinds: Vec<String>,
    /// Seed of the random ones.
    pub seed: u64,
    /// Where the models part, when they do.
    pub first_difference: Option<FirstDifference>,
}

impl VerifyReport {
    /// True for [`Status::Equal`].
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.status == Status::Equal
    }

    /// True when the models agree in float64 only, since rounding decides what the original computes in its own type.
    #[must_use]
    pub fn is_unstable(&self) -> bool {
        self.arithmetic.unstable
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Status::Equal => {
                let worst = |error: fn(&Measure) -> f64| {
                    self.outputs.iter().flat_map(|o| &o.measures).map(error).fold(0.0, f64::max)
                };
                write!(
                    f,
                    "equal; distance from float64 over the largest value: original {:.1e}, rewritten {:.1e}; inputs: {}",
                    worst(|m| m.original_error),
                    worst(|m| m.rewritten_error),
                    self.kinds.join(", ")
                )?;
            }
            Status::Mismatch => write!(f, "the models differ: {}", self.message)?,
            Status::NoEvidence => write!(f, "no evidence: {}", self.message)?,
        }
        for input in self.inputs.iter().filter(|i| i.assumed) {
            write!(f, "\n  input '{}' was taken as {:?}", input.name, input.shape)?;
        }
        match &self.coverage {
            Coverage::Whole => {}
            Coverage::Regions { tensors, reason } if tensors.is_empty() => {
                write!(f, "\n  no node differs, so nothing was run; {reason}")?;
            }
            Coverage::Regions { tensors, reason } => {
                let (first, rest) = tensors.split_at(tensors.len().min(LISTED));
                let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
                let first = first.join(", ");
                write!(f, "\n  only the rewritten regions were run, up to {first}{more}, because {reason}")?;
            }
        }
        if let Some(reason) = &self.arithmetic.float64_because {
            write!(f, "\n  both were evaluated in float64, not in {}, because {reason}", self.arithmetic.element_type)?;
        }
        if let Some(d) = &self.first_difference {
            write!(
                f,
                "\n  first differing tensor: '{}' (node '{}', {}), by {:.1e} of its largest value, on {} input",
                d.tensor, d.node, d.op, d.difference, d.input
            )?;
        }
        Ok(())
    }
}
