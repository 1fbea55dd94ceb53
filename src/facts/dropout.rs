//! `Dropout`, which at inference does nothing.

use crate::graph::{GraphView, NodeId};

use super::Facts;

/// True when the first output of the `Dropout` at `node` is its input: no input that is not proved false switches it to
/// training (ONNX `Dropout`, opsets 7 to 22).
#[must_use]
pub fn is_inactive_dropout(view: &GraphView<'_>, facts: &Facts<'_>, node: NodeId) -> bool {
    let off = |training| facts.constant(training).is_some_and(|c| c.data.iter().all(|v| *v == 0.0));
    view.input(node, 2).is_none_or(off)
}
