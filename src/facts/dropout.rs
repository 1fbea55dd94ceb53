//! `Dropout`, which at inference does nothing.

use crate::graph::{GraphView, NodeId};

use super::Facts;

/// True when the first output of the `Dropout` at `node` is its input: no input that is not proved false switches it to
/// training (ONNX `Dropout`, opsets 1 to 22). Before opset 7 an attribute said so, and training was the default.
#[must_use]
pub fn is_inactive_dropout(view: &GraphView<'_>, facts: &Facts<'_>, node: NodeId) -> bool {
    if view.opset() < 7 && view.attr_i(node, "is_test").unwrap_or(0) == 0 {
        return false;
    }
    let off = |training| facts.constant(training).is_some_and(|c| c.data.iter().all(|v| *v == 0.0));
    view.input(node, 2).is_none_or(off)
}
