//! Channels of a convolution or linear layer that are provably zero wherever they are read, or that nothing reads.
//!
//! From what computes them, the producer, through operators that treat channels apart (activations, BatchNormalization,
//! per-channel constants, pools, `Flatten`) or in blocks (grouped convolutions) to those that mix all of them: a channel
//! goes when every one of these gives it only zero weights, or reads it as zero. It goes from all of them at once.
//!
//! What goes are *units*: as many neighbouring channels as the finest grouping on the way holds together. Behind a grouped
//! producer every group loses equally many, for groups are equally large.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::Axis;

use crate::algebra::{Kernel, sum};
use crate::facts::Interval;
use crate::graph::{NodeId, ValueId};
use crate::linear::dense;
use crate::read::Context;
use crate::read::conv::branch_conv;

use super::axis::{keeps_apart, sliced};
use super::bounds::{self, ZERO};
use super::narrow::Narrowed;

/// Most operators between a producer and its readers.
const MAX_NODES: usize = 64;

/// What reads a tensor.
enum Reader {
    /// It treats channels apart.
    Apart,
    /// It treats groups of channels apart.
    Blocks(Kernel),
    /// It makes features of the entries, channel by channel.
    Flat(usize),
    /// It sums over all channels.
    Mixing(Kernel),
}

/// Looks at the convolution or linear layer `producer`. `None` when no channel is proved dead, or when something else
/// reads them.
#[must_use]
pub fn find(cx: Context<'_>, producer: NodeId) -> Option<Narrowed> {
    let view = cx.view;
    let made = weights(cx, producer)?;
    let output = view.output(producer)?;
    let input = bounds::known(cx, view.input(producer, 0)?, made.inputs());
    let dtype = cx.facts.dtype(output)?;
    let mut values = BTreeMap::from([(output, bounds::convolved(&made, &input, dtype))]);
    let mut open = vec![output];
    let (mut pass, mut readers) = (Vec::new(), BTreeSet::new());
    let mut units = made.outputs();
    let mut unread: Vec<Vec<bool>> = Vec::new();
    while let Some(value) = open.pop() {
        if view.is_output(value) || view.is_captured(value) || view.uses(value).is_empty() {
            return None;
        }
        let bounds: Vec<Interval> = values.get(&value)?.clone();
        for r in view.uses(value) {
            let next = view.output(r.node)?;
            let after = match reader(cx, r.node, value, bounds.len())? {
                Reader::Apart => bounds::behind(cx, r.node, next, &bounds),
                Reader::Blocks(kernel) => {
                    units = sum::common_group([units, kernel.group]);
                    bounds::convolved(&kernel, &bounds, dtype)
                }
                Reader::Flat(features) => {
                    let each = features / bounds.len().max(1);
                    bounds.iter().flat_map(|b| std::iter::repeat_n(*b, each)).collect()
                }
                Reader::Mixing(kernel) => {
                    let columns = kernel.weight.axis_iter(Axis(1)).zip(&bounds);
                    unread.push(columns.map(|(c, b)| *b == ZERO || c.iter().all(|w| *w == 0.0)).collect());
                    readers.insert(r.node);
                    continue;
                }
            };
            values.insert(next, after);
            open.push(next);
            pass.push(r.node);
        }
        if pass.len() > MAX_NODES {
            return None;
        }
    }
    let keep = kept(&unread, units, made.group)?;
    pass.sort_by_key(|n| view.position(*n));
    let width = made.outputs();
    let widths = values.into_iter().map(|(v, bounds)| (v, bounds.len())).collect();
    (keep.len() < units).then_some(Narrowed { producer, width, units, keep, pass, readers, widths })
}

/// The units that stay, of those that no reader needs as many as every group of the producer can lose: the last ones, and
/// never all. `None` when a unit lies in two groups.
fn kept(unread: &[Vec<bool>], units: usize, groups: usize) -> Option<Vec<usize>> {
    let fits = |n: usize, d: usize| d > 0 && n.is_multiple_of(d);
    if !fits(units, groups) || unread.iter().any(|channels| !fits(channels.len(), units)) {
        return None;
    }
    let dead = |unit: usize| {
        unread.iter().all(|channels| {
            let each = channels.len() / units;
            channels.iter().skip(unit * each).take(each).all(|c| *c)
        })
    };
    let each = units / groups;
    let lost: Vec<Vec<usize>> =
        (0..groups).map(|g| (g * each..(g + 1) * each).filter(|u| dead(*u)).collect()).collect();
    let count = lost.iter().map(Vec::len).min()?.min(each - 1);
    let lost: BTreeSet<usize> = lost.iter().flat_map(|group| group.iter().rev().take(count)).copied().collect();
    Some((0..units).filter(|u| !lost.contains(u)).collect())
}

/// The weights of a convolution or linear layer.
fn weights(cx: Context<'_>, node: NodeId) -> Option<Kernel> {
    match cx.view.op(node) {
        "Conv" => branch_conv(cx, node).ok()?.kernel(cx.facts),
        _ => dense::read(cx, node)?.ok()?.kernel(cx.facts, 0),
    }
}

fn reader(cx: Context<'_>, node: NodeId, value: ValueId, width: usize) -> Option<Reader> {
    let view = cx.view;
    let rest = || view.inputs(node).iter().flatten().filter(|v| **v != value);
    let constant = || rest().all(|v| cx.facts.constant_shape(*v).is_some());
    let once = view.inputs(node).iter().flatten().filter(|v| **v == value).count() == 1;
    let alone = view.outputs(node).iter().flatten().count() == 1;
    if !once || !alone || !constant() {
        return None;
    }
    match view.op(node) {
        "PRelu" | "Mul" | "Add" | "Sub" | "Div" | "BatchNormalization" => {
            let slices =
                view.inputs(node).iter().flatten().all(|v| *v == value || sliced(cx, node, *v, width).is_some());
            slices.then_some(Reader::Apart)
        }
        _ if view.input(node, 0) != Some(value) => None,
        "Conv" | "Gemm" | "MatMul" => {
            let kernel = weights(cx, node).filter(|k| k.inputs() == width)?;
            Some(if kernel.group == 1 { Reader::Mixing(kernel) } else { Reader::Blocks(kernel) })
        }
        "Flatten" | "Reshape" | "Squeeze" => flat(cx, node, value, width).map(Reader::Flat),
        _ if keeps_apart(cx, node) => Some(Reader::Apart),
        _ => None,
    }
}

/// Features that `node` makes of a tensor of so many channels, when it keeps images apart and entries in order.
fn flat(cx: Context<'_>, node: NodeId, value: ValueId, width: usize) -> Option<usize> {
    let output = cx.view.output(node).filter(|v| cx.facts.rank(*v) == Some(2))?;
    let entries = |v: ValueId| {
        let dims = cx.facts.shape(v)?.get(1..)?;
        dims.iter().try_fold(1_usize, |n, d| n.checked_mul(usize::try_from(d.known()?).ok()?))
    };
    entries(output).filter(|n| Some(*n) == entries(value) && n.is_multiple_of(width))
}
