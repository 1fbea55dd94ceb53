//! Inputs that reach what they test.
//!
//! Noise averages out behind the first layers: a bound deep in a network never cuts, and a model without it looks the same.
//! [`reach`] lists the *bends* of both models, looks which sides of each the inputs at hand drive some entry to, in float64, and
//! searches inputs that reach the rest. What stays missed is said.
//!
//! `bends` has the table of operators, `probe` the number that each tests, `regimes` its sides; `watch` looks at one
//! evaluation; `space` makes values, `search` tries them, `cover` keeps few, `explore` does all of that. For what no graph input reaches, `isolate` takes a
//! `part` out of both models, between tensors that `survey` has found to be the same, and feeds that.

mod bends;
mod cover;
mod explore;
mod isolate;
mod part;
mod probe;
mod regimes;
mod search;
mod space;
mod survey;
mod watch;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::onnx::tensor_proto::DataType;
use crate::verify::reference::Value;

pub use explore::{reach, reach_seen};
pub use isolate::{Isolated, Region, isolate};
pub use watch::{Sight, Watch};

/// A graph input that values are made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputSpec {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub dtype: DataType,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// How much may be spent, and how much may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Most evaluations of each model in the search.
    pub evaluations: usize,
    /// Evaluations of a model that `work` does not pay for.
    pub least: usize,
    /// Multiply-accumulates that the search may take on each model.
    pub work: usize,
    /// Most inputs that are added.
    pub extra: usize,
}

impl Default for Budget {
    /// A second or two on a small network; eight evaluations of a large one.
    fn default() -> Self {
        Self { evaluations: 256, least: 8, work: 1 << 32, extra: 8 }
    }
}

/// A side of a bend that no input reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Missed {
    /// The place of its model among those given.
    pub model: usize,
    /// The node, or its first output when it has no name.
    pub node: String,
    /// The node's operator.
    pub op: String,
    /// The node's first output.
    pub tensor: String,
    /// What was not reached, in words.
    pub side: &'static str,
    /// Where a constant operand has several values: how many of them missed this side, and how many there are.
    pub values: Option<(usize, usize)>,
}

/// What was reached, and with what.
#[derive(Clone, Debug, Default)]
pub struct Reached {
    /// Inputs to be added to those that were fed.
    pub extra: Vec<BTreeMap<String, Value>>,
    /// Sides of all bends of all models.
    pub total: usize,
    /// Sides that the fed inputs alone missed.
    pub before: usize,
    /// Sides that are missed with the extra inputs too.
    pub missed: Vec<Missed>,
    /// Evaluations of the search, all models together, without those of the fed inputs.
    pub evaluations: usize,
}
