//! Residual blocks with channels of their own.
//!
//! In a chain without residual connections every block has channels of its own, for what is carried past it stands in its tensors as
//! Dirac channels: each of the block's outputs takes one channel of the fork, or none. All that such a chain does with the fork is a 0/1
//! matrix, and a 1x1 convolution on the shortcut is that matrix without the chain's price. So one is put there: fork and sum are
//! then no longer the same channels. Where all of a sum's channels still have theirs in the fork the matrix is a
//! selection, and goes again for a `Gather`, or for nothing; where some have not, it is fitted like every other layer.

use std::collections::BTreeSet;

use ndarray::{Array2, ArrayD, Axis};

use crate::emit::{Emit, ints};
use crate::facts::{Constant, Facts};
use crate::graph::{self, GraphView, Names, NodeId, ValueId};
use crate::onnx::ModelProto;
use crate::onnx::tensor_proto::DataType;
use crate::read::Context;

use super::error::PruneError;

/// `proto` with a 1x1 convolution, as yet the identity, on the shortcut of every residual sum; and what these give.
pub(super) fn apart(proto: &ModelProto, cx: Context<'_>) -> Result<(ModelProto, BTreeSet<String>), PruneError> {
    let (view, facts) = (cx.view, cx.facts);
    let mut names = Names::new(proto);
    let mut emit = Emit::new(&mut names, DataType::Float, 0, "prune".to_owned());
    emit.opset = view.opset();
    let (mut shortcuts, mut added, mut moved) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
    for join in view.nodes().filter(|n| matches!(view.op(*n), "Add" | "Sum")) {
        let Some((slot, value)) = shortcut(cx, join) else { continue };
        let (Some(rank), Some(channels), Some(dtype)) = (facts.rank(value), cx.channels(value), facts.dtype(value))
        else {
            continue;
        };
        emit.dtype = dtype;
        let mut weight = Array2::eye(channels).into_dyn();
        (2..rank).for_each(|_| weight = weight.clone().insert_axis(Axis(weight.ndim())));
        let name = view.node(join).name();
        let constant = Constant { data: weight, dtype, exact: true };
        let Some(weight) = emit.exact(&format!("{name}_shortcut_weight"), &constant) else { continue };
        let output = emit.fresh(&format!("{}_own", view.name(value)));
        let kernel = ints("kernel_shape", vec![1; rank - 2]);
        emit.node("Conv", &format!("{name}_shortcut"), &[view.name(value), &weight], &output, vec![kernel]);
        let mut copy = view.node(join).clone();
        copy.input[slot].clone_from(&output);
        added.push(copy);
        emit.edits.remove.push(join);
        shortcuts.insert(output);
        // What stands in the list is inserted where the first of what goes was: in front of the first block, not in it.
        if moved.is_empty() {
            moved.extend(view.def(value));
        }
    }
    if shortcuts.is_empty() {
        return Err(PruneError::Nothing("there is no residual sum whose shortcut could be a layer".to_owned()));
    }
    let moved: Vec<NodeId> = moved.into_iter().filter(|n| !emit.edits.remove.contains(n)).collect();
    emit.edits.add_nodes.splice(0..0, moved.iter().map(|n| view.node(*n).clone()));
    emit.edits.remove.extend(moved);
    emit.edits.add_nodes.extend(added);
    let mut next = proto.clone();
    graph::apply(&mut next, &[emit.edits])?;
    graph::validate(&next)?;
    Ok((next, shortcuts))
}

/// Which input of the sum `join` is the shortcut: the one that no layer computes for it alone, or of two such the one that comes first.
fn shortcut(cx: Context<'_>, join: NodeId) -> Option<(usize, ValueId)> {
    let (view, facts) = (cx.view, cx.facts);
    let sides = [view.input(join, 0)?, view.input(join, 1)?];
    let maps = |v: &ValueId| facts.is_data(*v) && facts.rank(*v).is_some_and(|r| r > 2);
    if view.inputs(join).len() != 2 || !sides.iter().all(maps) || cx.channels(sides[0]) != cx.channels(sides[1]) {
        return None;
    }
    let of_layer = |v: ValueId| view.is_private(v) && view.def(v).is_some_and(|n| view.op(n) == "Conv");
    let place = |v: ValueId| view.def(v).map_or(0, |n| 1 + view.position(n));
    let slot = match sides.map(of_layer) {
        [true, true] => return None,
        [false, true] => 0,
        [true, false] => 1,
        [false, false] => usize::from(place(sides[1]) < place(sides[0])),
    };
    Some((slot, sides[slot]))
}

/// The places that a 0/1 matrix `[outputs, inputs, 1...]` selects; `None` when a row is something else than one channel.
pub(super) fn selection(weight: &ArrayD<f64>) -> Option<Vec<usize>> {
    let one = |row: ndarray::ArrayViewD<'_, f64>| {
        let mut found = row.iter().enumerate().filter(|(_, v)| **v != 0.0);
        let (place, value) = found.next()?;
        (*value == 1.0 && found.next().is_none()).then_some(place)
    };
    weight.outer_iter().map(one).collect()
}

/// `proto` with a selection in the place of each of the `shortcuts` that is one, or with nothing where that is all channels; and how many
/// these were.
pub(super) fn selected(proto: &ModelProto, shortcuts: &BTreeSet<String>) -> Result<(ModelProto, usize), PruneError> {
    let view = GraphView::new(proto)?;
    let facts = Facts::new(&view);
    let mut names = Names::new(proto);
    let mut emit = Emit::new(&mut names, DataType::Float, 0, "prune".to_owned());
    emit.opset = view.opset();
    let mut edits = Vec::new();
    for node in view.nodes().filter(|n| view.output(*n).is_some_and(|v| shortcuts.contains(view.name(v)))) {
        let constant = |slot: usize| view.input(node, slot).and_then(|v| facts.constant(v));
        let Some(weight) = constant(1) else { continue };
        let unbiased = constant(2).is_none_or(|b| b.data.iter().all(|v| *v == 0.0));
        let Some(places) = selection(&weight.data).filter(|_| unbiased) else { continue };
        let (Some(input), Some(output)) = (view.input(node, 0), view.output(node)) else { continue };
        let width = weight.data.shape().get(1).copied().unwrap_or(0);
        emit.take(view.node(node).name(), view.name(input), width, &places, Some(view.name(output)));
        emit.edits.remove.push(node);
        edits.push(std::mem::take(&mut emit.edits));
    }
    let count = edits.len();
    let mut next = proto.clone();
    let touched = graph::apply(&mut next, &edits)?;
    graph::clean(&mut next, &touched);
    graph::validate(&next)?;
    Ok((next, count))
}
