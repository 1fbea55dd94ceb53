//! Functions of one tensor or of several, entry by entry.

use crate::graph::{GraphView, NodeId};

/// True for an operator that maps every entry of its only tensor by the same function, and so keeps channels apart and
/// has no constants of a channel's own.
#[must_use]
pub fn is_elementwise(view: &GraphView<'_>, node: NodeId) -> bool {
    // `FastGelu` may have a bias.
    view.inputs(node).len() == 1 && is_function(view.op(node))
}

fn is_function(op: &str) -> bool {
    matches!(
        op,
        "Relu"
            | "LeakyRelu"
            | "Sigmoid"
            | "HardSigmoid"
            | "HardSwish"
            | "Tanh"
            | "Elu"
            | "Selu"
            | "Celu"
            | "Softplus"
            | "Softsign"
            | "ThresholdedRelu"
            | "Gelu"
            | "Mish"
            | "Swish"
            | "Erf"
            | "Exp"
            | "Log"
            | "Sqrt"
            | "Abs"
            | "Neg"
            | "Ceil"
            | "Floor"
            | "Round"
            | "Reciprocal"
            | "Sign"
            | "Sin"
            | "Cos"
            | "com.microsoft::Gelu"
            | "com.microsoft::FastGelu"
            | "com.microsoft::QuickGelu"
    )
}

/// Operators of several tensors, entry by entry, that all broadcast.
pub(super) const BROADCAST: &[&str] = &[
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Max",
    "Min",
    "Sum",
    "Mean",
    "Where",
    "Equal",
    "Greater",
    "Less",
    "GreaterOrEqual",
    "LessOrEqual",
    "And",
    "Or",
    "Xor",
    "Mod",
];

/// True for an operator that maps entries of its tensors, which all broadcast, by the same function everywhere.
#[must_use]
pub fn broadcasts(op: &str) -> bool {
    BROADCAST.contains(&op)
}
