//! Channels of a tensor that are taken: by `Split`, `SequenceAt` of a `SplitToSequence`, `Slice` and `Gather`; all of them several
//! times by `Tile`, one by `Expand`.

use crate::facts::{Dim, Piece};
use crate::graph::{NodeId, ValueId};

use super::context::Context;
use super::frame::MAX_CHANNELS;

/// The channel of the input that each channel of `value` is, when the node moves channels and nothing else.
pub(crate) fn taken(cx: Context<'_>, node: NodeId, value: ValueId) -> Option<Vec<u32>> {
    let input = cx.view.input(node, 0)?;
    let channels = cx.channels(input)?;
    match cx.view.op(node) {
        "Split" => split(cx, node, input, value),
        "Gather" => gathered(cx, node, input, channels),
        "Tile" => tiled(cx, node, input, channels),
        "Expand" => expanded(cx, input, value, channels),
        _ => match crate::facts::slices(cx.view, cx.facts, node)?.as_slice() {
            [cut] if cx.is_channel_axis(input, cut.axis) => {
                let (start, count) = cut.resolve(channels as i64)?;
                (0..count).map(|i| u32::try_from(start + i * cut.step).ok()).collect()
            }
            _ => None,
        },
    }
}

/// The channels that a `SequenceAt` takes of a tensor split along the channel axis.
pub(crate) fn piece(cx: Context<'_>, node: NodeId) -> Option<(Piece, Vec<u32>)> {
    let piece = Piece::new(cx.view, cx.facts, node)?;
    if cx.axis(piece.input)? != piece.axis {
        return None;
    }
    let (start, size) = (u32::try_from(piece.start).ok()?, u32::try_from(piece.size).ok()?);
    Some((piece, (start..start.checked_add(size)?).collect()))
}

fn split(cx: Context<'_>, node: NodeId, input: ValueId, value: ValueId) -> Option<Vec<u32>> {
    if !cx.is_channel_axis(input, cx.view.attr_i(node, "axis").unwrap_or(0)) {
        return None;
    }
    let mut start = 0;
    for output in cx.view.outputs(node) {
        let output = (*output)?;
        let width = cx.channels(output)?;
        if output == value {
            return Some((start as u32..(start + width) as u32).collect());
        }
        start += width;
    }
    None
}

/// A `Gather` by a constant list: a single index would take the axis away.
fn gathered(cx: Context<'_>, node: NodeId, input: ValueId, channels: usize) -> Option<Vec<u32>> {
    let indices = cx.facts.constant(cx.view.input(node, 1)?)?;
    let along = cx.is_channel_axis(input, cx.view.attr_i(node, "axis").unwrap_or(0));
    if !along || indices.data.ndim() != 1 || indices.data.len() > MAX_CHANNELS {
        return None;
    }
    let count = channels as f64;
    let channel = |i: &f64| (-count..count).contains(i).then(|| if *i < 0.0 { i + count } else { *i } as u32);
    indices.data.iter().map(channel).collect()
}

/// A `Tile` (since opset 6) that repeats nothing but the channels.
fn tiled(cx: Context<'_>, node: NodeId, input: ValueId, channels: usize) -> Option<Vec<u32>> {
    let repeats = cx.facts.sizes(cx.view.input(node, 1)?)?;
    if cx.view.opset() < 6 || cx.facts.rank(input)? != repeats.len() {
        return None;
    }
    let along = cx.axis(input)?;
    let others = repeats.iter().enumerate().all(|(axis, n)| axis == along || *n == Dim::Known(1));
    let times = usize::try_from(repeats.get(along)?.known()?).ok()?;
    let total = channels.checked_mul(times).filter(|n| (1..=MAX_CHANNELS).contains(n) && others)?;
    Some((0..total).map(|c| (c % channels) as u32).collect())
}

/// An `Expand` of a single channel, and of no other axis.
fn expanded(cx: Context<'_>, input: ValueId, value: ValueId, channels: usize) -> Option<Vec<u32>> {
    let (from, to) = (cx.facts.shape(input)?, cx.facts.shape(value)?);
    let along = cx.axis(input)?;
    let same = |(axis, (a, b)): (usize, (&Dim, &Dim))| axis == along || a == b && *a != Dim::Unknown;
    let alone = from.len() == to.len() && from.iter().zip(to).enumerate().all(same);
    let wide = cx.channels(value).filter(|wide| channels == 1 && *wide > 0 && alone)?;
    Some(vec![0; wide])
}

/// Each channel several times in a row, and the tensor whose they are: `Unsqueeze` behind the channels, `Tile` or `Expand` of that
/// axis, and a `Reshape` that makes both one, as `torch.repeat_interleave` is exported.
pub(crate) fn interleaved(cx: Context<'_>, node: NodeId, value: ValueId) -> Option<(Vec<u32>, ValueId)> {
    let view = cx.view;
    let before = |value: ValueId, ops: &[&str]| view.def(value).filter(|n| ops.contains(&view.op(*n)));
    let wide = view.input(node, 0).filter(|_| cx.is_channels_first() && view.op(node) == "Reshape")?;
    let apart = view.input(before(wide, &["Tile", "Expand"])?, 0)?;
    let input = view.input(before(apart, &["Unsqueeze"])?, 0)?;
    let [own, alone, spread, all] = [input, apart, wide, value].map(|v| cx.facts.shape(v));
    let ([batch, channels, rest @ ..], alone, spread, all) = (own?, alone?, spread?, all?) else { return None };
    let one = Dim::Known(1);
    let stacked = |times: &Dim| [&[batch.clone(), channels.clone(), times.clone()], rest].concat();
    let times = spread.get(2)?;
    let (count, each) =
        (u32::try_from(channels.known()?).ok()?, u32::try_from(times.known()?).ok().filter(|n| *n > 0)?);
    let total = count.checked_mul(each).filter(|n| *n as usize <= MAX_CHANNELS)?;
    let parted = alone == stacked(&one) && spread == stacked(times);
    let joined = all == [&[batch.clone(), Dim::Known(i64::from(total))], rest].concat();
    (parted && joined && !own?.contains(&Dim::Unknown)).then(|| ((0..total).map(|c| c / each).collect(), input))
}
