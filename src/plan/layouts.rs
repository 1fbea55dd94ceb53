//! Choosing the layout of every tensor of a branch: a shortest path, with multiply-accumulates as length.
//!
//! The fork and the join keep their own layout. Between them each tensor has a few candidates: carried
//! channels in front of the body, or interleaved in the groups of the convolution before or behind it, the
//! body's outputs split over one to sixteen groups. A widened convolution costs inputs times outputs over the
//! finest number of groups, so the cheapest layouts for a whole branch are found exactly by dynamic programming.

use std::collections::BTreeSet;

use crate::algebra::{Layout, Reach, contiguous, finest_group, grouped, mixed, shared};
use crate::facts::Dim;
use crate::residual::branch::{Branch, Kind};
use crate::residual::build::Choice;
use crate::residual::check::{Host, Proof};
use crate::residual::pass::{BranchConv, Context};

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
#[must_use]
pub fn choose<'p>(cx: Context<'_>, proof: &'p Proof) -> Option<(Choice<'p>, Cost)> {
    let mut best: Option<(Choice<'p>, Cost)> = None;
    for host in proof.hosts() {
        let Some((layouts, cost)) = shortest(cx, proof, host) else { continue };
        if best.as_ref().is_none_or(|(_, b)| cost < *b) {
            best = Some((Choice { host, layouts }, cost));
        }
    }
    best
}

fn shortest(cx: Context<'_>, proof: &Proof, host: &Host) -> Option<(Vec<Layout>, Cost)> {
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
                    after.push(State { layout: pass.layout(&state.layout), cost: state.cost, from });
                }
            }
            Kind::Conv(conv) => {
                let options =
                    if i == last { vec![shared(proof.channels.1)] } else { candidates(branch, host, i, conv) };
                let reach = reach(conv, host, i)?;
                let taps: usize = host.window(i)?.kernel.iter().product();
                for layout in options {
                    let mut best: Option<(Cost, usize)> = None;
                    for (from, state) in before.iter().enumerate() {
                        let Some(group) = finest_group(reach, &state.layout, &layout) else { continue };
                        let weights = state.layout.len() / group * layout.len() * taps;
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

fn reach(conv: &BranchConv, host: &Host, item: usize) -> Option<Reach> {
    let body = (conv.channels.0 / conv.group.max(1), conv.channels.1 / conv.group.max(1));
    let carried = match host.carry(item)? {
        crate::algebra::Carry::Dirac(_) => (1, 1),
        crate::algebra::Carry::Shortcut(k) => (k.group_inputs(), k.group_outputs()),
    };
    Some(Reach { body, carried })
}

/// Layouts worth considering for what the convolution at `item` writes.
fn candidates(branch: &Branch, host: &Host, item: usize, conv: &BranchConv) -> Vec<Layout> {
    let body = conv.channels.1;
    let carried = host.carried(item);
    let mut found = vec![contiguous(body, carried)];
    let parts = |c: &BranchConv| (c.group, c.channels.0 / c.group.max(1), c.channels.1 / c.group.max(1));
    let (g, gi, go) = parts(conv);
    for r in replicas(go) {
        found.extend(grouped(g, gi, go, r, carried).map(|(_, after)| after));
    }
    let even = |group: usize, total: usize| (group > 0 && total.is_multiple_of(group)).then(|| total / group);
    if let (Some(own), Some(more)) = (even(g, body), even(g, carried)) {
        found.push(mixed(g, own, more));
    }
    if let Some(next) = next_conv(branch, item, &found[0]) {
        let (g, gi, go) = parts(next);
        for r in replicas(go) {
            found.extend(grouped(g, gi, go, r, carried).map(|(before, _)| before));
        }
        if let (Some(own), Some(more)) = (even(g, body), even(g, carried)) {
            found.push(mixed(g, own, more));
        }
    }
    let mut seen = BTreeSet::new();
    // A layout that lacks a body channel, or a carried one, is none for this tensor.
    found.retain(|layout| {
        let bodies: BTreeSet<u32> = layout.iter().filter_map(|s| s.body).collect();
        let carries: BTreeSet<u32> = layout.iter().filter_map(|s| s.carried).collect();
        let whole = bodies.len() == body && carries.len() == carried;
        whole && seen.insert(layout.iter().map(|s| (s.body, s.carried)).collect::<Vec<_>>())
    });
    found
}

fn replicas(outputs: usize) -> impl Iterator<Item = usize> {
    (1..=MOST_REPLICAS.min(outputs)).filter(move |r| outputs.is_multiple_of(*r))
}

/// The convolution behind `item`, when the passes between leave the layout as it is.
fn next_conv<'b>(branch: &'b Branch, item: usize, probe: &Layout) -> Option<&'b BranchConv> {
    for next in branch.items.get(item + 1..)? {
        match &next.kind {
            Kind::Conv(conv) => return Some(conv),
            Kind::Pass(pass) if pass.layout(probe) == *probe => {}
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
            .get(2..)?
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
            at /= conv.window.stride.iter().product::<usize>() as f64;
        }
        if let (Some(_), Some(n)) = (start, item.values.first().and_then(|v| known(*v))) {
            at = n;
        }
        sizes.push(at);
    }
    sizes
}
