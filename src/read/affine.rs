//! Per-channel `y = scale * x + shift`: `BatchNormalization`, `Neg`, `Mul`, `Div`, `Add` and `Sub` by constants; and
//! operators that do nothing: `Identity`, `Dropout`, `Cast` to the type it has, `Sum` of one, a `Slice` of everything, `Tile` and
//! `Expand` to the same shape.

use ndarray::{ArrayD, Axis};

use crate::facts::{BatchNorm, Dim, axis_of, is_inactive_dropout};
use crate::graph::{NodeId, ValueId};

use super::context::Context;
use super::crop;

/// The operator set from which on tensors are aligned by their last axes; before, attributes of the node said where the second one begins.
pub(crate) const BROADCASTS_SINCE: i64 = 7;

/// The input of a node that does nothing at inference.
pub(crate) fn nothing(cx: Context<'_>, node: NodeId, value: ValueId) -> Option<ValueId> {
    let first = cx.view.output(node) == Some(value);
    match cx.view.op(node) {
        "Identity" => cx.view.input(node, 0),
        "Sum" if cx.view.inputs(node).len() == 1 => cx.view.input(node, 0),
        // To the type that it has: exporters of mixed precision leave these everywhere.
        "Cast" if cx.view.input(node, 0).is_some_and(|v| keeps_type(cx, v, value)) => cx.view.input(node, 0),
        "Slice" if crop::keeps_all(cx, node) => cx.view.input(node, 0),
        "Tile" | "Expand" => cx.view.input(node, 0).filter(|input| same_shape(cx, *input, value)),
        // The mask output of Dropout has readers of its own.
        "Dropout" if first && cx.view.outputs(node).len() <= 1 => {
            is_inactive_dropout(cx.view, cx.facts, node).then(|| cx.view.input(node, 0)).flatten()
        }
        _ => None,
    }
}

/// True when both tensors are known to have one element type.
fn keeps_type(cx: Context<'_>, from: ValueId, to: ValueId) -> bool {
    cx.facts.dtype(from).is_some() && cx.facts.dtype(from) == cx.facts.dtype(to)
}

/// True when both are known to have one shape.
pub(crate) fn same_shape(cx: Context<'_>, a: ValueId, b: ValueId) -> bool {
    let (Some(a), Some(b)) = (cx.facts.shape(a), cx.facts.shape(b)) else { return false };
    a == b && !a.contains(&Dim::Unknown)
}

/// The data input, scale and shift of a node that is a per-channel affine map.
pub(crate) fn affine(cx: Context<'_>, node: NodeId) -> Option<(ValueId, Vec<f64>, Vec<f64>)> {
    match cx.view.op(node) {
        "BatchNormalization" => {
            let norm = BatchNorm::new(cx.view, cx.facts, node)?;
            let input = cx.view.input(node, 0)?;
            // It acts on axis 1, wherever the channels stand.
            (cx.is_channels_first() || cx.axis(input) == Some(1)).then_some((input, norm.scale, norm.shift))
        }
        "Neg" => {
            let input = cx.view.input(node, 0)?;
            let channels = cx.channels(input)?;
            Some((input, vec![-1.0; channels], vec![0.0; channels]))
        }
        op @ ("Mul" | "Div" | "Add" | "Sub") => arithmetic(cx, node, op),
        _ => None,
    }
}

fn arithmetic(cx: Context<'_>, node: NodeId, op: &str) -> Option<(ValueId, Vec<f64>, Vec<f64>)> {
    let (a, b) = (cx.view.input(node, 0)?, cx.view.input(node, 1)?);
    let (data, constant, reversed) = match (cx.facts.constant(a), cx.facts.constant(b)) {
        (None, Some(c)) => (a, c, false),
        (Some(c), None) => (b, c, true),
        _ => return None,
    };
    if reversed && op == "Div" || !cx.facts.is_data(data) {
        return None;
    }
    let channels = cx.channels(data)?;
    let values = match cx.view.opset() {
        BROADCASTS_SINCE.. => per_channel(cx, &constant.data, data)?,
        _ if reversed && constant.data.ndim() > 0 => return None,
        _ => per_channel(cx, &aligned(cx, node, &constant.data, data)?, data)?,
    };
    let one = vec![1.0; channels];
    let zero = vec![0.0; channels];
    let (scale, shift) = match (op, reversed) {
        ("Mul", _) => (values, zero),
        ("Div", _) => (values.iter().map(|v| 1.0 / v).collect(), zero),
        ("Add", _) => (one, values),
        ("Sub", false) => (one, values.iter().map(|v| -v).collect()),
        _ => (vec![-1.0; channels], values),
    };
    let finite = scale.iter().chain(&shift).all(|v| v.is_finite());
    finite.then_some((data, scale, shift))
}

/// The second input of a node of an older operator set, whose axes are those of `data` from the attribute `axis` on, or its last ones without that:
/// with axes of one entry behind them, as newer operator sets want it.
fn aligned(cx: Context<'_>, node: NodeId, constant: &ArrayD<f64>, data: ValueId) -> Option<ArrayD<f64>> {
    let rank = cx.facts.rank(data)?;
    let last = rank.checked_sub(constant.ndim())?;
    let axis = match cx.view.attr_i(node, "axis") {
        Some(axis) => axis_of(axis, rank.max(1))?,
        None => last,
    };
    let mut array = constant.clone();
    for _ in axis..last {
        array.insert_axis_inplace(Axis(array.ndim()));
    }
    (axis <= last).then_some(array)
}

/// A constant as one value a channel, when it broadcasts against `data` along channels only.
pub(crate) fn per_channel(cx: Context<'_>, constant: &ArrayD<f64>, data: ValueId) -> Option<Vec<f64>> {
    along(constant, cx.channels(data)?, cx.facts.rank(data)?, cx.axis(data)?)
}

/// A constant as one value for each of so many entries along `axis`, when it broadcasts along that axis only against
/// tensors of `rank`.
pub(crate) fn along(constant: &ArrayD<f64>, channels: usize, rank: usize, axis: usize) -> Option<Vec<f64>> {
    if constant.len() == 1 && constant.ndim() <= rank {
        return Some(vec![constant.iter().copied().next()?; channels]);
    }
    let shape = constant.shape();
    // The channel axis counted from the last: never a matter of length alone.
    let axis = (shape.len() + axis).checked_sub(rank)?;
    let only = shape.iter().enumerate().all(|(i, n)| *n == 1 || i == axis && *n == channels);
    (shape.len() <= rank && only && constant.len() == channels).then(|| constant.iter().copied().collect())
}
