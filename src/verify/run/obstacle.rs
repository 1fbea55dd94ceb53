//! Why a way to evaluate two models was not taken.

use std::fmt;

use crate::onnx::tensor_proto::DataType;

/// What stood in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// An evaluator does not have an operator.
    Unknown {
        /// The evaluator.
        who: &'static str,
        /// The operator, with its domain.
        op: String,
    },
    /// The float64 evaluator cannot hold a tensor.
    Unheld {
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: DataType,
    },
    /// The float64 evaluator fails.
    Float64(String),
    /// The rewritten regions cannot be cut out, or have no inputs.
    Regions(String),
    /// tract has no bfloat16.
    NoBfloat16,
    /// tract emulates float16, at a price.
    EmulatedFloat16,
    /// tract would prepare so many nodes.
    ManyNodes(usize),
    /// A runtime fails.
    Runtime(&'static str, String),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { who, op } => write!(f, "{who} has no operator {op}"),
            Self::Unheld { tensor, dtype } => {
                write!(f, "'{tensor}' is of type {}, which float64 is not", dtype.as_str_name())
            }
            Self::Float64(why) => write!(f, "float64: {why}"),
            Self::Regions(why) => f.write_str(why),
            Self::NoBfloat16 => f.write_str("tract has no bfloat16"),
            Self::EmulatedFloat16 => f.write_str("tract emulates float16, which would take too long"),
            Self::ManyNodes(n) => write!(f, "tract takes too long to prepare a model of {n} nodes"),
            Self::Runtime(who, why) => write!(f, "{who} cannot run the models: {why}"),
        }
    }
}

/// All of them in one line.
pub(super) fn words(obstacles: &[Obstacle]) -> String {
    obstacles.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
