//! Choosing the layout of every tensor of a branch: a shortest path, with multiply-accumulates as length.
//!
//! The fork and the join keep their own layout. Between them each tensor has a few candidates: carried
//! channels in front of the body, or interleaved in the groups of the convolution before or behind it, the
//! body's outputs split over one to sixteen groups. A widened convolution costs inputs times outputs over the
//! finest number of groups, so the cheapest layouts for a whole branch are found exactly by dynamic programming.

use std::collections::BTreeSet;

use crate::algebra::slots::{before, contiguous, grouped, mixed, shared};
use crate::algebra::{Carried, Layout, Reach, Slot, widen::finest_group};
use crate::facts::Dim;
use crate::read::{BranchConv, Context, Frame, Reject, RejectCode};
use crate::residual::branch::{Branch, Kind};
use crate::residual::build::Choice;
use crate::residual::check::Proof;
use crate::residual::host::Host;

use super::cost::Cost;

/// Most ways in which the body's outputs are split over groups.
const MOST_REPLICAS: usize = 16;

/// A layout of one tensor, the cheapest cost of getting there, and from which state before.
struct State {
    layout: Layout,
    cost: Cost,
    from: usize,
}

/// The cheapest choice over all hosts, with its cost.
///
/// # Errors
/// A [`Reject`] when no layout fits the groups of the branch, or only such as make a weight too large.
pub fn choose<'p>(cx: Context<'_>, proof: &'p Proof) -> Result<(Choice<'p>, Cost), Reject> {
    let cx = cx.within(proof.frame);
    let mut best: Option<(Choice<'p>, Cost)> = None;
    let mut too_large: Option<usize> = None;
    for host in proof.hosts() {
        let Some((layouts, cost)) = shortest(cx, proof, host, &mut too_large) else { continue };
        if best.as_ref().is_none_or(|(_, b)| cost < *b) {
            best = Some((Choice { host, layouts }, cost));
        }
    }
    best.ok_or_else(|| match too_large {
        Some(entries) => {
            let reason = cx.too_large("a widened convolution", entries);
            Reject::at(cx.view, proof.join, RejectCode::TooLarge, reason)
        }
        None => {
            let reason = "no layout of the carried channels fits the groups of the branch's convolutions";
            Reject::at(cx.view, proof.join, RejectCode::CannotPass, reason)
        }
    })
}

/// The cheapest layouts for `host`. `too_large` gets the size of the smallest weight that would have been too large.
fn shortest(cx: Context<'_>, proof: &Proof, host: &Host, too_large: &mut Option<usize>) -> Option<(Vec<Layout>, Cost)> {
    let branch = proof.branch();
    let last = branch.items.len().checked_sub(1)?;
    let spatial = spatial_sizes(cx, proof);
    let mut columns = vec![vec![State { layout: shared(proof.channels.0), cost: Cost::default(), from: 0 }]];
    for (i, item) in branch.items.iter().enumerate() {
        let before = columns.last()?;
        let mut after: Vec<State> = Vec::new();
        match &item.kind {
            Kind::Pass(pass) => {
                for (from, state) in before.iter().enumerate() {
                    let layout = pass.layout(&state.layout);
                    debug_assert!(
                        !pass.keeps_layout() || layout.as_ref() == Some(&state.layout),
                        "a layout was not kept"
                    );
                    after.extend(layout.map(|layout| State { layout, cost: state.cost, from }));
                }
            }
            Kind::Conv(conv) => {
                let options = match cx.frame {
                    _ if i == last => vec![shared(proof.channels.1)],
                    Frame::Maps => candidates(branch, host.carried(i)?, i, conv),
                    // A linear layer has no groups, so no layout is cheaper than another.
                    Frame::Rows => vec![contiguous(conv.channels.1, host.carried(i)?)],
                };
                let hosted = host.conv(i)?;
                let reach = Reach::new(conv.group_channels(), &hosted.carry);
                let taps = hosted.window.taps();
                for layout in options {
                    let mut best: Option<(Cost, usize)> = None;
                    for (from, state) in before.iter().enumerate() {
                        let Some(finest) = finest_group(reach, &state.layout, &layout) else { continue };
                        let group = if cx.is_maps() { finest } else { 1 };
                        let weights = (state.layout.len() / group).saturating_mul(layout.len()).saturating_mul(taps);
                        if weights > cx.most_weights {
                            *too_large = Some(too_large.map_or(weights, |so_far| so_far.min(weights)));
                            continue;
                        }
                        let cost = state.cost + Cost::conv(weights, spatial[i], layout.len());
                        if best.is_none_or(|(b, _)| cost < b) {
                            best = Some((cost, from));
                        }
                    }
                    if let Some((cost, from)) = best {
                        after.push(State { layout, cost, from });
                    }
                }
            }
        }
        columns.push(after);
    }
    let cost = columns.last()?.first()?.cost;
    let mut layouts = Vec::new();
    let mut at = 0;
    for states in columns.iter_mut().rev() {
        if at >= states.len() {
            return None;
        }
        let state = states.swap_remove(at);
        at = state.from;
        layouts.push(state.layout);
    }
    layouts.reverse();
    Some((layouts, cost))
}

/// Layouts worth considering for what the convolution at `item` writes.
fn candidates(branch: &Branch, carried: Carried, item: usize, conv: &BranchConv) -> Vec<Layout> {
    let body = conv.channels.1;
    let mut found = vec![contiguous(body, carried)];
    found.extend(around(conv, body, carried, |(_, after)| after));
    match next_parting(branch, item) {
        // The maps of a stack stand one behind the other, the carried channels in the first.
        Some(maps) => found = found.iter().filter_map(|layout| segmented(layout, maps, body)).collect(),
        None => {
            if let Some((at, next)) = next_conv(branch, item) {
                found.extend(around(next, body, carried, |(before, _)| before));
                let (gi, go) = next.group_channels();
                if let (Some(maps), true) = (next_parting(branch, at), at + 1 < branch.items.len()) {
                    let behind = around(next, next.channels.1, carried, |(_, after)| after);
                    let behind = behind.chain([contiguous(next.channels.1, carried)]);
                    let parted = behind.filter_map(|layout| segmented(&layout, maps, next.channels.1));
                    found.extend(parted.filter_map(|layout| before(&layout, gi, go)));
                }
            }
        }
    }
    let mut seen = BTreeSet::new();
    // A layout that lacks a body channel, or a carried one, is none for this tensor.
    found.retain(|layout| {
        let bodies: BTreeSet<u32> = layout.iter().filter_map(|s| s.body).collect();
        let carries: BTreeSet<u32> = layout.iter().filter_map(|s| s.carried).collect();
        let whole = bodies.len() == body && carries.len() == carried.count;
        whole && seen.insert(layout.clone())
    });
    found
}

/// Layouts on one side of `conv`, of a tensor with `body` channels.
fn around(
    conv: &BranchConv,
    body: usize,
    carried: Carried,
    side: fn((Layout, Layout)) -> Layout,
) -> impl Iterator<Item = Layout> {
    let (group, (gi, go)) = (conv.group.max(1), conv.group_channels());
    let split = replicas(go).filter_map(move |r| grouped(group, gi, go, r, carried).map(side));
    split.chain(mixed(group, body, carried))
}

/// `layout` parted into `maps` segments alike, the carried channels in the first and zeros in the others. It is
/// taken from the layout of a whole tensor, of which only the first map's body channels are kept.
fn segmented(layout: &[Slot], maps: usize, body: usize) -> Option<Layout> {
    let each = (body / maps) as u32;
    let first: Vec<Slot> = layout.iter().copied().filter(|s| s.body.is_none_or(|b| b < each)).collect();
    let shift = |s: &Slot, map: u32| s.body.map_or(Slot::ZERO, |b| Slot::body(b + map * each));
    let others = (1..maps as u32).flat_map(|map| first.iter().map(move |s| shift(s, map)));
    (body.is_multiple_of(maps)).then(|| first.iter().copied().chain(others).collect())
}

/// The number of maps into which a `Reshape` behind `item` parts the channels, before the next convolution.
fn next_parting(branch: &Branch, item: usize) -> Option<usize> {
    let passes = branch.items.get(item + 1..)?.iter().map_while(|next| match &next.kind {
        Kind::Pass(pass) => Some(pass.segments()),
        Kind::Conv(_) => None,
    });
    passes.into_iter().find(|maps| *maps > 1)
}

fn replicas(outputs: usize) -> impl Iterator<Item = usize> {
    (1..=MOST_REPLICAS.min(outputs)).filter(move |r| outputs.is_multiple_of(*r))
}

/// The convolution behind `item` and its place, when the passes between leave every layout as it is.
fn next_conv(branch: &Branch, item: usize) -> Option<(usize, &BranchConv)> {
    for (at, next) in branch.items.iter().enumerate().skip(item + 1) {
        match &next.kind {
            Kind::Conv(conv) => return Some((at, conv)),
            Kind::Pass(pass) if pass.keeps_layout() => {}
            Kind::Pass(_) => return None,
        }
    }
    None
}

/// Output positions of each item: counted where the shape is known, else relative to the fork's.
fn spatial_sizes(cx: Context<'_>, proof: &Proof) -> Vec<f64> {
    let known = |v: crate::graph::ValueId| -> Option<f64> {
        let shape = cx.facts.shape(v)?;
        shape
            .get(cx.frame.positions(shape.len()))?
            .iter()
            .map(|d| match d {
                Dim::Known(n) => Some(*n as f64),
                _ => None,
            })
            .product()
    };
    let start = known(proof.fork);
    let mut at: f64 = start.unwrap_or(1.0);
    let mut sizes = Vec::new();
    for item in &proof.branch().items {
        if let Some(conv) = item.conv() {
            at /= conv.window.stride.iter().map(|s| *s as f64).product::<f64>();
        }
        if let (Some(_), Some(n)) = (start, item.values.first().and_then(|v| known(*v))) {
            at = n;
        }
        sizes.push(at);
    }
    sizes
}
