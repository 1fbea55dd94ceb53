//! Layers over rows: a `Reshape` takes all axes in front of the channels for one, and another takes it for these again. ONNX Runtime's
//! optimiser writes every `MatMul` and `Add` so, as a `Gemm` between the two.

use crate::graph::{NodeId, ValueId};
use crate::operators::broadcasts;
use crate::read::{BROADCASTS_SINCE, Context, Frame, Rows};

use super::operator::{How, Mover, is_entry_by_entry, is_movable, layer};

/// Most operators between the two.
const MAX_NODES: usize = 16;

/// Reads what stands from `node` on, a `Reshape` or `Flatten`, as one operator on the last axis of what that reads. `None` when it is anything else, or
/// when something else reads what is between.
pub(super) fn read(cx: Context<'_>, node: NodeId) -> Option<Mover> {
    let (cx, view) = (cx.within(Frame::ChannelsLast), cx.view);
    let input = view.input(node, 0).filter(|v| cx.facts.is_data(*v))?;
    let rank = cx.facts.rank(input).filter(|rank| *rank > 2)?;
    let mut at = view.output(node).filter(|v| cx.facts.rank(*v) == Some(2))?;
    let there = Rows::new(cx, node, input, at)?;
    let (mut parts, mut rest) = (Vec::new(), Vec::new());
    while rest.len() < MAX_NODES {
        let reader = view.uses(at).first().filter(|_| view.is_private(at))?;
        let next = reader.node;
        // `Dropout` also gives a mask: what has two outputs stays, and so does what reads other data, which may be moved as well.
        let [Some(output)] = *view.outputs(next) else { return None };
        if view.inputs(next).iter().flatten().any(|v| *v != at && cx.facts.is_data(*v)) {
            return None;
        }
        rest.push(next);
        if let Some(again) = Rows::new(cx, next, at, output) {
            let has_layer = parts.iter().any(|(_, how)| matches!(how, How::Layer(_)));
            let whole = has_layer && there.then(&again).is_none() && cx.facts.rank(output) == Some(rank);
            return whole.then_some(Mover { inputs: vec![0], outputs: vec![0], rank, how: How::Rows(parts), rest });
        }
        let how = match view.op(next) {
            "Gemm" | "MatMul" if view.input(next, 0) == Some(at) => layer(cx, next, input)?,
            _ if is_entry_by_entry(cx, next) && reader.slot == 0 => How::Entries(Vec::new()),
            op if broadcasts(op) || op == "PRelu" => How::Entries(per_channel(cx, next, at)?),
            _ => return None,
        };
        parts.push((next, how));
        at = output;
    }
    None
}

/// The slots of the constants of `node`, which has one value a channel, or one at all, in each of them, and reads `data` beside them.
fn per_channel(cx: Context<'_>, node: NodeId, data: ValueId) -> Option<Vec<usize>> {
    let view = cx.view;
    let mut constants = Vec::new();
    for (slot, value) in view.inputs(node).iter().enumerate() {
        let value = (*value)?;
        if value == data {
            continue;
        }
        let shape = cx.facts.constant_shape(value).filter(|_| is_movable(cx, value, 2))?;
        if !shape.iter().rev().skip(1).all(|n| *n == 1) {
            return None;
        }
        constants.push(slot);
    }
    (view.opset() >= BROADCASTS_SINCE).then_some(constants)
}
