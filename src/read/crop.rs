//! `Slice`, or `Pad` with negative pads, that drops entries at the ends of the spatial axes: the crop behind a causal convolution. It narrows the
//! padding of the convolution before it, whose Dirac tap is then the last one.

use crate::facts::{self, Cut, Dim, Padding};
use crate::graph::NodeId;

use super::context::Context;

/// How many entries the node drops at the begin and the end of each spatial axis, when it does nothing else.
pub(crate) fn cropped(cx: Context<'_>, node: NodeId) -> Option<Vec<(usize, usize)>> {
    match cx.view.op(node) {
        "Slice" if cx.is_channels_first() => sliced(cx, node),
        "Pad" if cx.is_channels_first() => unpadded(cx, node),
        _ => None,
    }
}

/// True for a `Slice` that takes every entry, as `x[:, :, 2:-2]` has for each axis in front.
pub(crate) fn keeps_all(cx: Context<'_>, node: NodeId) -> bool {
    let shape = cx.view.input(node, 0).and_then(|v| cx.facts.shape(v));
    let size = |axis: i64| {
        let shape = shape?;
        let axis = if axis < 0 { axis.checked_add(shape.len() as i64)? } else { axis };
        shape.get(usize::try_from(axis).ok()?)?.known()
    };
    // No axis has more entries than that.
    let whole = |cut: &Cut| cut.start == 0 && cut.step == 1 && cut.end >= size(cut.axis).unwrap_or(i64::from(i32::MAX));
    facts::slices(cx.view, cx.facts, node).is_some_and(|cuts| cuts.iter().all(whole))
}

/// A `Pad` with nothing but negative pads.
fn unpadded(cx: Context<'_>, node: NodeId) -> Option<Vec<(usize, usize)>> {
    let padding = Padding::new(cx.view, cx.facts, node)?;
    let (outer, spatial) = padding.axes.split_at_checked(2)?;
    let count = |n: i64| usize::try_from(n.checked_neg()?).ok();
    let whole = outer.iter().all(|p| *p == (0, 0));
    spatial.iter().map(|(a, b)| Some((count(*a)?, count(*b)?))).collect::<Option<_>>().filter(|_| whole)
}

fn sliced(cx: Context<'_>, node: NodeId) -> Option<Vec<(usize, usize)>> {
    let input = cx.view.input(node, 0)?;
    let rank = cx.facts.rank(input)?;
    let mut crop = vec![(0, 0); rank.checked_sub(2)?];
    for cut in facts::slices(cx.view, cx.facts, node)? {
        let axis = usize::try_from(if cut.axis < 0 { cut.axis + rank as i64 } else { cut.axis }).ok()?;
        let size = cx.facts.shape(input)?.get(axis).and_then(Dim::known);
        let front = match (cut.start, size) {
            (start, _) if start >= 0 => start,
            (start, Some(n)) => (start + n).max(0),
            _ => return None,
        };
        let back = match (cut.end, size) {
            (end, _) if end < 0 => end.checked_neg()?,
            (end, Some(n)) => (n - end).max(0),
            (end, None) if end >= i64::from(i32::MAX) => 0,
            _ => return None,
        };
        if cut.step != 1 || size.is_some_and(|n| front.saturating_add(back) >= n) {
            return None;
        }
        let cropped = (usize::try_from(front).ok()?, usize::try_from(back).ok()?);
        match axis.checked_sub(2) {
            Some(spatial) => *crop.get_mut(spatial)? = cropped,
            None if cropped == (0, 0) => {}
            None => return None,
        }
    }
    Some(crop)
}
