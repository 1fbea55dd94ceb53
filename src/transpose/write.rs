//! An operator, written for tensors whose axes stand in another order.

use std::collections::BTreeMap;

use ndarray::{Array1, ArrayD, Axis, IxDyn};

use crate::algebra::Geometry;
use crate::emit::{Emit, int, ints};
use crate::facts::Constant;
use crate::graph::{NodeId, ValueId};
use crate::onnx::{AttributeProto, NodeProto};
use crate::read::{Context, Perm};

use super::operator::{Axes, How};

/// Constants that were written in another order.
pub(super) type Turned = BTreeMap<(ValueId, Vec<usize>, usize), String>;

/// Writes the operator that works as `how` on tensors of so many axes, with these in the order `perm`. `copy` is its node under its new
/// names. `None` when a constant could not be read.
pub(super) fn write(
    cx: Context<'_>,
    emit: &mut Emit<'_>,
    turned: &mut Turned,
    (node, how, rank): (NodeId, &How, usize),
    mut copy: NodeProto,
    perm: &Perm,
) -> Option<()> {
    match how {
        How::Entries(constants) => {
            for slot in constants {
                *copy.input.get_mut(*slot)? = turn(cx, emit, turned, cx.view.input(node, *slot)?, perm, 0)?;
            }
        }
        How::Axis(axis, constants) => {
            for slot in constants {
                *copy.input.get_mut(*slot)? = turn(cx, emit, turned, cx.view.input(node, *slot)?, perm, rank)?;
            }
            copy = with(copy, int("axis", perm.place(*axis) as i64));
        }
        How::Reduced(axes, _) | How::Units(axes) => copy = with_axes(emit, copy, axes, perm),
        How::Cut(axes) => {
            let slot = (cx.view.opset() >= 10).then_some(3);
            copy = with_axes(emit, copy, &Axes { list: axes.clone(), slot }, perm);
        }
        How::Padded(pads) => copy = with_pads(cx, emit, copy, &perm.of_list(pads)),
        How::Parted(_, asked) => {
            let hint = format!("{}_shape", copy.name());
            *copy.input.get_mut(1)? = emit.int64s(&hint, &perm.of_list(asked));
        }
        How::Joined(..) => {}
        How::Normed(norm) if !perm.fixes(1) => {
            emit.dtype = cx.facts.float_type([cx.view.output(node)?])?;
            let place = rank - 1 - perm.place(1);
            let scale = per_channel(emit, &format!("{}_scale", copy.name()), &norm.scale, place);
            let shift = per_channel(emit, &format!("{}_shift", copy.name()), &norm.shift, place);
            let scaled = emit.fresh(&format!("{}_scaled", copy.name()));
            emit.node("Mul", copy.name(), &[copy.input.first()?, &scale], &scaled, Vec::new());
            emit.node("Add", &format!("{}_add", copy.name()), &[&scaled, &shift], copy.output.first()?, Vec::new());
            return Some(());
        }
        How::Normed(_) => {}
        How::Layer(layer) => {
            let axes = rank - 2;
            emit.dtype = cx.facts.float_type([cx.view.output(node)?])?;
            let (kernel, weight) = (layer.kernel(cx.facts, axes)?, cx.view.name(layer.weight));
            let (input, output) = (copy.input.first()?, copy.output.first()?);
            emit.conv(copy.name(), weight, &kernel, &Geometry::pointwise(axes), input, output);
            return Some(());
        }
        How::Rows(parts) => return write_rows(cx, emit, turned, (node, parts), &copy, perm),
    }
    emit.edits.add_nodes.push(copy);
    Some(())
}

/// Writes layers over rows, one behind the other, and what stands between them; they begin behind `first`. `copy` is that node with
/// the output of all.
fn write_rows(
    cx: Context<'_>,
    emit: &mut Emit<'_>,
    turned: &mut Turned,
    (first, parts): (NodeId, &[(NodeId, How)]),
    copy: &NodeProto,
    perm: &Perm,
) -> Option<()> {
    let view = cx.view;
    let (mut read, mut last) = (view.output(first)?, copy.input.first()?.clone());
    for (i, (node, how)) in parts.iter().enumerate() {
        let (mut part, output) = (view.node(*node).clone(), view.output(*node)?);
        let is_last = i + 1 == parts.len();
        let next = if is_last { copy.output.first()?.clone() } else { emit.fresh(view.name(output)) };
        if !is_last {
            emit.edits.renamed.push((view.name(output).to_owned(), next.clone()));
        }
        let slots = part.input.iter_mut().zip(view.inputs(*node));
        slots.filter(|(_, value)| **value == Some(read)).for_each(|(input, _)| input.clone_from(&last));
        part.output = vec![next.clone()];
        write(cx, emit, turned, (*node, how, perm.rank()), part, perm)?;
        (read, last) = (output, next);
    }
    Some(())
}

/// One value a channel, for a tensor with `behind` axes behind that of the channels.
fn per_channel(emit: &mut Emit<'_>, hint: &str, values: &[f64], behind: usize) -> String {
    let list = Array1::from(values.to_vec()).into_dyn();
    let array = (1..=behind).fold(list, |array, axis| array.insert_axis(Axis(axis)));
    emit.constant(hint, &array)
}

/// The constant `value` for tensors in the order `perm`, with no axes of one entry in front that it did not have, but `least`
/// axes. What has one entry stands in every order.
fn turn(
    cx: Context<'_>,
    emit: &mut Emit<'_>,
    turned: &mut Turned,
    value: ValueId,
    perm: &Perm,
    least: usize,
) -> Option<String> {
    let shape = cx.facts.constant_shape(value)?;
    let rank = perm.rank();
    if shape.iter().all(|n| *n == 1) {
        return Some(cx.view.name(value).to_owned());
    }
    let key = (value, perm.as_slice().to_vec(), least);
    if let Some(name) = turned.get(&key) {
        return Some(name.clone());
    }
    let constant = cx.facts.constant(value)?;
    let padded: Vec<usize> =
        std::iter::repeat_n(1, rank.checked_sub(shape.len())?).chain(shape.iter().copied()).collect();
    let data = constant.data.to_shape(IxDyn(&padded)).ok()?.permuted_axes(perm.as_slice());
    let mut data: ArrayD<f64> = data.as_standard_layout().into_owned();
    while data.ndim() > least.max(shape.len()) && data.shape().first() == Some(&1) {
        data = data.index_axis_move(Axis(0), 0);
    }
    let name = emit.exact(cx.view.name(value), &Constant { data, dtype: constant.dtype, exact: constant.exact })?;
    turned.insert(key, name.clone());
    Some(name)
}

fn with_axes(emit: &mut Emit<'_>, copy: NodeProto, axes: &Axes, perm: &Perm) -> NodeProto {
    let list: Vec<i64> = axes.list.iter().map(|axis| perm.place(*axis) as i64).collect();
    let Some(slot) = axes.slot else { return with(copy, ints("axes", list)) };
    let name = emit.int64s(&format!("{}_axes", copy.name()), &list);
    let mut copy = copy;
    if copy.input.len() <= slot {
        copy.input.resize(slot + 1, String::new());
    }
    copy.input[slot] = name;
    copy
}

fn with_pads(cx: Context<'_>, emit: &mut Emit<'_>, copy: NodeProto, pads: &[(i64, i64)]) -> NodeProto {
    let list: Vec<i64> = pads.iter().map(|(begin, _)| *begin).chain(pads.iter().map(|(_, end)| *end)).collect();
    match cx.view.opset() {
        11.. => {
            let name = emit.int64s(&format!("{}_pads", copy.name()), &list);
            let mut copy = copy;
            if let Some(input) = copy.input.get_mut(1) {
                *input = name;
            }
            // They are those of all axes now.
            copy.input.truncate(3);
            copy
        }
        2.. => with(copy, ints("pads", list)),
        _ => with(copy, ints("paddings", list)),
    }
}

/// `node` with `attribute` in place of that of its name.
fn with(node: NodeProto, attribute: AttributeProto) -> NodeProto {
    let kept = node.attribute.into_iter().filter(|a| a.name() != attribute.name());
    let all = kept.chain([attribute.clone()]).collect();
    NodeProto { attribute: all, ..node }
}
