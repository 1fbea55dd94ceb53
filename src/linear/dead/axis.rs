//! Operators between a producer and its readers: whether they keep channels apart, and where their constants hold them.

use crate::facts::is_elementwise;
use crate::graph::{NodeId, ValueId};
use crate::operators::{self, function};
use crate::read::Context;

/// True for an operator on one tensor that treats its channels apart, and has no constants a channel.
pub(super) fn keeps_apart(cx: Context<'_>, node: NodeId) -> bool {
    let op = cx.view.op(node);
    operators::keeps_apart(op) && (function(op).is_none() || is_elementwise(cx.view, node))
}

/// The channel axis of the constant `value` of `node`; the inner `None` when it has one entry for all channels.
/// `None` when it varies along another axis.
pub(super) fn sliced(cx: Context<'_>, node: NodeId, value: ValueId, width: usize) -> Option<Option<usize>> {
    let shape = cx.facts.constant_shape(value)?;
    if cx.view.op(node) == "BatchNormalization" {
        return (shape == [width]).then_some(Some(0));
    }
    // One of more axes would move the channels to another one.
    let data = cx.view.inputs(node).iter().flatten().find(|v| cx.facts.is_data(**v))?;
    if shape.len() > cx.facts.rank(*data)? {
        return None;
    }
    if shape.iter().all(|n| *n == 1) {
        return Some(None);
    }
    let rank = cx.facts.rank(cx.view.output(node)?)?;
    // The channel axis counted from the last.
    let axis = (shape.len() + 1).checked_sub(rank)?;
    let only = shape.iter().enumerate().all(|(i, n)| *n == if i == axis { width } else { 1 });
    only.then_some(Some(axis))
}
