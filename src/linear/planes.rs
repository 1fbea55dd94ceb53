//! Constants that are put into whole planes at the border of a padded tensor, whatever its sizes are: `y[:, :, :1, :] = v` and
//! `y[:, :, -1:, :] = v` as exporters write them, a `ScatterND` of a `Range` that a `Slice` cuts, between `Transpose` nodes that bring an axis to the front.
//!
//! Positions are counted from the begin or from the end of an axis, so that nothing needs to be known of how long it is.

use crate::facts::{axes_of, slices};
use crate::graph::{NodeId, ValueId};
use crate::read::{Context, Perm};

/// Widest border that is looked at.
const MAX_BORDER: usize = 64;

/// Most places that one update writes.
const MAX_PLACES: usize = 2 * MAX_BORDER;

/// Most nodes between an update or its indices and what they are made of.
const MAX_NODES: usize = 16;

/// What stands in the border of `pads`, a pair an axis, after `nodes` have written there: a value a channel. `None` where they write anywhere else, leave
/// a place of the border as it was, or write different values. The first of `nodes` reads what a `Pad` gives.
pub(super) fn values(cx: Context<'_>, nodes: &[NodeId], pads: &[(usize, usize)]) -> Option<Vec<f64>> {
    if pads.iter().any(|(front, back)| front.max(back) > &MAX_BORDER) {
        return None;
    }
    let begin = cx.view.input(*nodes.first()?, 0)?;
    let sizes = cx.facts.shape(begin)?.iter().map(|d| usize::try_from(d.known()?).ok()).collect();
    let tensors = vec![(begin, Perm::identity(pads.len()))];
    let mut written = Written { tensors, pads, sizes, seen: Vec::new(), values: None };
    for node in nodes {
        written.then(cx, *node)?;
    }
    let all = pads.iter().enumerate().flat_map(|(axis, (front, back))| {
        (0..*front).map(move |i| (axis, Place::FromBegin(i))).chain((1..=*back).map(move |i| (axis, Place::FromEnd(i))))
    });
    let is_whole = all.into_iter().all(|place| written.seen.contains(&place));
    let in_order = written.tensors.last().is_some_and(|(_, order)| order.is_identity());
    written.values.filter(|_| is_whole && in_order)
}

/// A position of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// So many are in front of it.
    FromBegin(usize),
    /// So many, itself included, are left; 1 is the last.
    FromEnd(usize),
}

/// What has been written.
struct Written<'a> {
    /// Each tensor on the way, and in which order it has the axes of the first one. All have the same sizes.
    tensors: Vec<(ValueId, Perm)>,
    pads: &'a [(usize, usize)],
    /// How long each axis of the first one is, where that is known.
    sizes: Vec<Option<usize>>,
    /// Planes that were written.
    seen: Vec<(usize, Place)>,
    /// A value a channel.
    values: Option<Vec<f64>>,
}

impl Written<'_> {
    fn then(&mut self, cx: Context<'_>, node: NodeId) -> Option<()> {
        let (view, (_, order)) = (cx.view, self.tensors.last()?.clone());
        let order = match view.op(node) {
            "Identity" => order,
            "Transpose" => moved(cx, node, &order)?,
            "ScatterND" => {
                self.scatter(cx, node, &order)?;
                order
            }
            _ => return None,
        };
        self.tensors.push((view.output(node)?, order));
        Some(())
    }

    /// `ScatterND` of planes across the first axis (ONNX, opsets 11 to 18).
    fn scatter(&mut self, cx: Context<'_>, node: NodeId, order: &Perm) -> Option<()> {
        let (view, axis) = (cx.view, *order.as_slice().first()?);
        if !matches!(view.attr_s(node, "reduction"), None | Some(b"none")) {
            return None;
        }
        let (front, back) = *self.pads.get(axis)?;
        for place in self.places(cx, view.input(node, 1)?, axis)? {
            let is_border = match place {
                Place::FromBegin(i) => i < front,
                Place::FromEnd(i) => (1..=back).contains(&i),
            };
            if !is_border {
                return None;
            }
            self.seen.push((axis, place));
        }
        let new = repeated(cx, view.input(node, 2)?, order)?;
        let same = self.values.as_ref().is_none_or(|old| *old == new);
        self.values = Some(new);
        same.then_some(())
    }

    /// The positions along `axis` that `indices` has, a row each: a part of all of them.
    fn places(&self, cx: Context<'_>, indices: ValueId, axis: usize) -> Option<Vec<Place>> {
        let view = cx.view;
        if let Some(constant) = cx.facts.constant(indices) {
            let front = self.pads.get(axis)?.0;
            let [0..=MAX_PLACES, 1] = *constant.data.shape() else { return None };
            let size = *self.sizes.get(axis)?;
            let place = |i: i64| match usize::try_from(i) {
                Ok(i) => match size.filter(|_| i >= front) {
                    Some(size) => Some(Place::FromEnd(size.checked_sub(i)?)),
                    None => Some(Place::FromBegin(i)),
                },
                Err(_) => Some(Place::FromEnd(usize::try_from(i.checked_neg()?).ok()?)),
            };
            return constant.data.iter().map(|i| place(*i as i64)).collect();
        }
        let mut at = indices;
        let mut rows = false;
        for _ in 0..MAX_NODES {
            let node = view.def(at)?;
            match view.op(node) {
                "Identity" => {}
                // Of a vector, which a `Range` is, a column.
                "Unsqueeze" if !rows => rows = matches!(axes_of(cx.facts, node)?[..], [-1 | 1]).then_some(true)?,
                "Slice" if rows => return self.part(cx, node, axis),
                _ => return None,
            }
            at = view.input(node, 0)?;
        }
        None
    }

    /// What the `Slice` at `node` takes of all positions along `axis`, one step after the other.
    fn part(&self, cx: Context<'_>, node: NodeId, axis: usize) -> Option<Vec<Place>> {
        let [cut] = slices(cx.view, cx.facts, node)?[..] else { return None };
        if !matches!(cut.axis, 0 | -1) || cut.step != 1 || !self.is_range(cx, cx.view.input(node, 0)?, axis) {
            return None;
        }
        let most = self.pads.iter().map(|(a, b)| a.max(b)).max()?;
        let count = |n: i64| usize::try_from(n).ok().filter(|n| n <= most);
        match (cut.start, cut.end) {
            (0.., 1..) => Some((count(cut.start)?..count(cut.end)?).map(Place::FromBegin).collect()),
            // The end of every axis, however long.
            (..0, end) if end >= i64::from(i32::MAX) => {
                Some((1..=count(cut.start.checked_neg()?)?).map(Place::FromEnd).collect())
            }
            _ => None,
        }
    }

    /// True for `Range(0, n, 1)` where `n` is the size of `axis`.
    fn is_range(&self, cx: Context<'_>, value: ValueId, axis: usize) -> bool {
        let view = cx.view;
        let number = |v: Option<ValueId>| cx.facts.constant(v?)?.data.iter().copied().next();
        let size = |node: NodeId| {
            let (tensor, place) = measured(cx, view.input(node, 1)?)?;
            self.order(cx, tensor)?.as_slice().get(place).copied()
        };
        view.def(value).filter(|n| view.op(*n) == "Range").is_some_and(|node| {
            let steps = (number(view.input(node, 0)), number(view.input(node, 2)));
            steps == (Some(0.0), Some(1.0)) && size(node) == Some(axis)
        })
    }

    /// The order of axes of `value`, one of the tensors on the way or what is made of one by moving its axes.
    fn order(&self, cx: Context<'_>, value: ValueId) -> Option<Perm> {
        let (mut at, mut moves) = (value, Vec::new());
        while moves.len() < MAX_NODES {
            if let Some((_, order)) = self.tensors.iter().find(|(v, _)| *v == at) {
                return moves.iter().rev().try_fold(order.clone(), |order, node| moved(cx, *node, &order));
            }
            let node = cx.view.def(at).filter(|n| cx.view.op(*n) == "Transpose")?;
            moves.push(node);
            at = cx.view.input(node, 0)?;
        }
        None
    }
}

/// The tensor, and the axis of it, of which `value` is the size: an entry of a `Shape`, or of what a list of places takes of one.
fn measured(cx: Context<'_>, value: ValueId) -> Option<(ValueId, usize)> {
    let (view, facts) = (cx.view, cx.facts);
    let list = |node: NodeId| Some(facts.constant(view.input(node, 1)?)?.data.iter().map(|i| *i as i64).collect());
    let node = view.def(value)?;
    let (mut place, only) = match view.op(node) {
        "Gather" => (*list(node).filter(|list: &Vec<i64>| list.len() == 1)?.first()?, false),
        "Squeeze" => (0, true),
        _ => return None,
    };
    let mut at = view.input(node, 0)?;
    for _ in 0..MAX_NODES {
        let node = view.def(at)?;
        let input = view.input(node, 0)?;
        let all: Vec<i64> = match view.op(node) {
            "Shape" => {
                let rank = facts.rank(input)? as i64;
                let bound = |name: &str, default: i64| match view.attr_i(node, name).unwrap_or(default) {
                    from_end @ ..0 => (from_end + rank).max(0),
                    from_begin => from_begin.min(rank),
                };
                (bound("start", 0)..bound("end", rank)).collect()
            }
            "Gather" => list(node)?,
            _ => return None,
        };
        let index = if place < 0 { place + all.len() as i64 } else { place };
        if only && all.len() != 1 {
            return None;
        }
        place = *all.get(usize::try_from(index).ok()?)?;
        if view.op(node) == "Shape" {
            return Some((input, usize::try_from(place).ok()?));
        }
        at = input;
    }
    None
}

/// The order of axes behind the `Transpose` at `node`.
fn moved(cx: Context<'_>, node: NodeId, order: &Perm) -> Option<Perm> {
    Perm::of(cx, node).filter(|perm| perm.rank() == order.rank()).map(|perm| order.then(&perm))
}

/// The values, one a channel, that `updates` repeats along all other axes; its axes are those of the first tensor in this `order`.
fn repeated(cx: Context<'_>, updates: ValueId, order: &Perm) -> Option<Vec<f64>> {
    let (view, mut at) = (cx.view, updates);
    // Which axis of `at` the channels stand on, and how many axes it has.
    let (mut channel, mut rank) = (order.place(1), order.rank());
    for _ in 0..MAX_NODES {
        if let Some(constant) = cx.facts.constant(at) {
            let shape = constant.data.shape();
            let fits = shape.len() == rank && shape.iter().enumerate().all(|(i, n)| *n == 1 || i == channel);
            return fits.then(|| constant.data.iter().copied().collect());
        }
        let node = view.def(at)?;
        let input = view.input(node, 0)?;
        match view.op(node) {
            "Identity" => {}
            // Only entries of one are repeated, along axes that it has or new ones in front.
            "Expand" => {
                let before = cx.facts.rank(input)?;
                (channel, rank) = (channel.checked_sub(rank.checked_sub(before)?)?, before);
            }
            "Transpose" => {
                let perm = Perm::of(cx, node).filter(|perm| perm.rank() == rank)?;
                channel = *perm.as_slice().get(channel)?;
            }
            _ => return None,
        }
        at = input;
    }
    None
}
