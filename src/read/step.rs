//! One linear operator, whatever it is: what shortcuts and folds are chains of.

use crate::algebra::Geometry;
use crate::facts::{Dim, Fill, Padding};
use crate::graph::{NodeId, ValueId};

use super::context::Context;
use super::conv::{self, BranchConv};
use super::frame::MAX_CHANNELS;
use super::rows::Rows;
use super::{affine, channels, crop};

/// A linear operator.
pub(crate) enum LinearStep {
    /// `Identity`, `Dropout`.
    Nothing,
    /// Numbers rows of channels in another way.
    Rows,
    /// A convolution with constant weights.
    Conv(Box<BranchConv>),
    /// `scale * x + shift` per channel.
    Affine(Vec<f64>, Vec<f64>),
    /// The average over a window that never divides by less than its size.
    Average(Geometry),
    /// Every `stride`-th entry along each spatial axis.
    Subsample(Vec<usize>),
    /// All but so many entries at the begin and the end of each spatial axis.
    Crop(Vec<(usize, usize)>),
    /// The input channel of each output channel; `None` is a channel of zeros.
    Select(Vec<Option<usize>>),
}

/// The node that computes `value`, when it is linear: node, step and input.
pub(crate) fn read(cx: Context<'_>, value: ValueId) -> Option<(NodeId, LinearStep, ValueId)> {
    let node = cx.view.def(value)?;
    if let Some(input) = affine::nothing(cx, node, value) {
        return Some((node, LinearStep::Nothing, input));
    }
    if let Some((input, scale, shift)) = affine::affine(cx, node) {
        return Some((node, LinearStep::Affine(scale, shift), input));
    }
    if cx.view.op(node) == "SequenceAt" {
        let (piece, from) = channels::piece(cx, node)?;
        return Some((node, select(from), piece.input));
    }
    if let Some((from, input)) = channels::interleaved(cx, node, value) {
        return Some((node, select(from), input));
    }
    let input = cx.view.input(node, 0)?;
    let step = match cx.view.op(node) {
        "Conv" if cx.is_channels_first() => LinearStep::Conv(Box::new(conv::branch_conv(cx, node).ok()?)),
        "Gemm" | "MatMul" => LinearStep::Conv(Box::new(conv::branch_layer(cx, node)?)),
        "Reshape" | "Flatten" => Rows::new(cx, node, input, value).map(|_| LinearStep::Rows)?,
        "AveragePool" | "MaxPool" if cx.is_channels_first() => LinearStep::Average(conv::pool(cx, node, value)?),
        "Slice" | "Split" | "Gather" | "Tile" | "Expand" => slice(cx, node, value, input)?,
        "Pad" => match pad(cx, node, input) {
            Some(from) => LinearStep::Select(from),
            None => LinearStep::Crop(small(crop::cropped(cx, node)?)?),
        },
        "Concat" => return repeat(cx, node),
        _ => return None,
    };
    Some((node, step, input))
}

fn select(from: Vec<u32>) -> LinearStep {
    LinearStep::Select(from.into_iter().map(|c| Some(c as usize)).collect())
}

/// An operator that takes some of the channels, or all of them several times; or a `Slice` that drops entries in space.
fn slice(cx: Context<'_>, node: NodeId, value: ValueId, input: ValueId) -> Option<LinearStep> {
    if let Some(from) = channels::taken(cx, node, value) {
        return Some(select(from));
    }
    if !cx.is_channels_first() || cx.view.op(node) != "Slice" {
        return None;
    }
    subsample(cx, node, input).or_else(|| Some(LinearStep::Crop(small(crop::cropped(cx, node)?)?)))
}

/// Most entries that a shortcut drops at one side: it is a tap of a window as large.
const MAX_DROPPED: usize = 8;

fn small(crop: Vec<(usize, usize)>) -> Option<Vec<(usize, usize)>> {
    crop.iter().all(|(begin, end)| *begin.max(end) <= MAX_DROPPED).then_some(crop)
}

/// A `Concat` of the channels of one tensor, as often as it stands there, and of zeros.
fn repeat(cx: Context<'_>, node: NodeId) -> Option<(NodeId, LinearStep, ValueId)> {
    let inputs: Vec<ValueId> = cx.view.inputs(node).iter().copied().collect::<Option<_>>()?;
    let data = inputs.iter().copied().find(|v| cx.facts.constant(*v).is_none())?;
    if !cx.is_channel_axis(data, cx.view.attr_i(node, "axis")?) {
        return None;
    }
    let mut from = Vec::new();
    for input in inputs {
        let channels = cx.channels(input)?;
        let zeros = cx.facts.constant(input).is_some_and(|c| c.data.iter().all(|v| *v == 0.0));
        if input != data && !zeros {
            return None;
        }
        from.extend((0..channels).map(|c| (input == data).then_some(c)));
    }
    Some((node, LinearStep::Select(from), data))
}

/// A `Slice` that takes every n-th entry along the spatial axes, from the first to the last.
fn subsample(cx: Context<'_>, node: NodeId, input: ValueId) -> Option<LinearStep> {
    let rank = cx.facts.rank(input)?;
    let mut stride = vec![1; rank.checked_sub(2)?];
    for cut in crate::facts::slices(cx.view, cx.facts, node)? {
        let axis = usize::try_from(if cut.axis < 0 { cut.axis + rank as i64 } else { cut.axis }).ok()?;
        let known = match cx.facts.shape(input).and_then(|s| s.get(axis)) {
            Some(Dim::Known(n)) => *n,
            _ => i64::from(i32::MAX),
        };
        if cut.start != 0 || cut.step < 1 || cut.end < known {
            return None;
        }
        match axis.checked_sub(2) {
            Some(spatial) => *stride.get_mut(spatial)? = usize::try_from(cut.step).ok()?,
            None if cut.step == 1 => {}
            None => return None,
        }
    }
    Some(LinearStep::Subsample(stride))
}

/// A `Pad` with zeros on the channel axis alone: the input channel of each output channel.
fn pad(cx: Context<'_>, node: NodeId, input: ValueId) -> Option<Vec<Option<usize>>> {
    let (channels, at) = (cx.channels(input)?, cx.axis(input)?);
    let padding = Padding::new(cx.view, cx.facts, node)?;
    let elsewhere = padding.axes.iter().enumerate().any(|(axis, p)| axis != at && *p != (0, 0));
    let (front, back) = padding.axes.get(at)?;
    let count = |n: i64| usize::try_from(n).ok().filter(|n| *n <= MAX_CHANNELS);
    let (front, back) = (count(*front)?, count(*back)?);
    if elsewhere || padding.fill != Fill::Value(0.0) {
        return None;
    }
    Some(
        std::iter::repeat_n(None, front)
            .chain((0..channels).map(Some))
            .chain(std::iter::repeat_n(None, back))
            .collect(),
    )
}
