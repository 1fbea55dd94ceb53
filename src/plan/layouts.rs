//! Choosing the layout of every tensor of a branch, and the form of every convolution: a shortest path, whose length is what
//! the user wants small.
//!
//! The fork and the join keep their own layout. Between them each tensor has a few candidates: carried
//! channels in front of the body, or interleaved in the groups of the convolution before or behind it, the
//! body's outputs split over one to sixteen groups. A widened convolution costs inputs times outputs over the
//! finest number of groups; or it stands behind a selection, or is cut into blocks (`forms`). So the cheapest chain
//! for a whole branch is found by dynamic programming.

use std::collections::{BTreeMap, BTreeSet};

use crate::algebra::slots::{before, contiguous, grouped, mixed, shared};
use crate::algebra::{Carried, Cut, Hop, Layout, Slot};
use crate::facts::Dim;
use crate::onnx::tensor_proto::DataType;
use crate::options::{Chain, Groups};
use crate::read::{BranchConv, Context, Frame, Reject, RejectCode};
use crate::residual::branch::{Branch, ItemKind};
use crate::residual::build::Choice;
use crate::residual::check::Proof;
use crate::residual::host::Host;
use crate::residual::operation::Form as PassForm;

use super::cost::Cost;
use super::forms::{Form, Place, replicas};
use super::memo::{Key, Known, Memo};

/// Most channels of a tensor around a convolution that may be cut: no real network has more.
const MAX_CUT: usize = 1 << 15;

/// A layout of one tensor, the cheapest cost of getting there, from which state before, and in which form.
struct State {
    layout: Layout,
    cost: Cost,
    from: usize,
    form: Form,
}

/// The cheapest choice over all hosts, with its cost.
///
/// # Errors
/// A [`Reject`] when no layout fits the groups of the branch, or only such as make a weight too large.
pub fn choose<'p>(cx: Context<'_>, proof: &'p Proof, memo: &mut Memo) -> Result<(Choice<'p>, Cost), Reject> {
    let cx = cx.within(proof.frame);
    let positions = positions(cx, proof);
    let key = Key::new(cx, proof, &positions);
    if let Some(known) = key.as_ref().and_then(|key| memo.get(key))
        && let Some(host) = proof.hosts().get(known.host)
    {
        return Ok((Choice { host, layouts: known.layouts.clone(), hops: known.hops.clone() }, known.cost));
    }
    let mut best: Option<(usize, Choice<'p>, Cost)> = None;
    let mut search = Search { cx, proof, positions, too_large: None };
    for (index, host) in proof.hosts().iter().enumerate() {
        let Some((choice, cost)) = search.shortest(host) else { continue };
        if cost.beats(best.as_ref().map(|(_, _, b)| b), cx.options.objective) {
            best = Some((index, choice, cost));
        }
    }
    if let (Some(key), Some((host, choice, cost))) = (key, &best) {
        let (layouts, hops) = (choice.layouts.clone(), choice.hops.clone());
        memo.put(key, Known { host: *host, layouts, hops, cost: *cost });
    }
    best.map(|(_, choice, cost)| (choice, cost)).ok_or_else(|| match search.too_large {
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

struct Search<'a, 'p> {
    cx: Context<'a>,
    proof: &'p Proof,
    /// Positions of the fork, then of what each item computes.
    positions: Vec<f64>,
    /// The size of the smallest weight that would have been too large.
    too_large: Option<usize>,
}

impl<'p> Search<'_, 'p> {
    /// The cheapest chain for `host`.
    fn shortest(&mut self, host: &'p Host) -> Option<(Choice<'p>, Cost)> {
        let rates = self.cx.options.rates.unwrap_or_default();
        let items = &self.proof.branch().items;
        let start = State { layout: shared(self.proof.channels.0), cost: Cost::default(), from: 0, form: Form::Direct };
        let mut columns = vec![vec![start]];
        for (i, item) in items.iter().enumerate() {
            let before = columns.last()?;
            let after = match &item.kind {
                ItemKind::Operation(pass) => {
                    let form = host.form(i);
                    let plain = form == Some(PassForm::Unchanged);
                    let behind = |(from, state): (usize, &State)| {
                        let layout = pass.layout(&state.layout)?;
                        debug_assert!(!pass.keeps_layout() || layout == state.layout, "a layout was not kept");
                        let price = if pass.is_activation() { Cost::activation } else { Cost::pass };
                        let elements = |at: usize, layout: &Layout| Some(layout.len() as f64 * self.positions.get(at)?);
                        let (read, made) = (elements(i, &state.layout)?, elements(i + 1, &layout)?);
                        let is_over = pass.is_activation() && form.is_some_and(PassForm::writes_over);
                        let alive = if is_over { made } else { read + made };
                        let cost = state.cost + price(made, alive, plain, &rates);
                        Some(State { layout, cost, from, form: Form::Direct })
                    };
                    before.iter().enumerate().filter_map(behind).collect()
                }
                ItemKind::Conv(_) => self.behind(&self.place(host, i)?, i, before),
            };
            columns.push(after);
        }
        let cost = columns.last()?.first()?.cost;
        let mut way = Vec::new();
        let mut at = 0;
        for states in columns.iter_mut().rev() {
            if at >= states.len() {
                return None;
            }
            let state = states.swap_remove(at);
            at = state.from;
            way.push(state);
        }
        way.reverse();
        let hop = |(i, around): (usize, &[State])| match around {
            [before, after] if items.get(i)?.conv().is_some() => {
                self.place(host, i)?.hop(after.form, &before.layout, &after.layout)
            }
            _ => Some(Hop::default()),
        };
        let hops: Option<Vec<Hop>> = way.windows(2).enumerate().map(hop).collect();
        debug_assert!(hops.is_some(), "a form that was counted does not fit");
        let hops = hops?;
        Some((Choice { host, layouts: way.into_iter().map(|s| s.layout).collect(), hops }, cost))
    }

    fn place(&self, host: &'p Host, item: usize) -> Option<Place<'p>> {
        let items = &self.proof.branch().items;
        let before = item.checked_sub(1).map_or(Some(Carried::whole(self.proof.channels.0)), |i| host.carried(i))?;
        Some(Place {
            conv: items.get(item)?.conv()?,
            hosted: host.conv(item)?,
            carried: (before, host.carried(item)?),
            positions: (*self.positions.get(item)?, *self.positions.get(item + 1)?),
            is_last: item + 1 == items.len(),
            rates: self.cx.options.rates.unwrap_or_default(),
        })
    }

    /// The states behind the convolution at `item`.
    fn behind(&mut self, place: &Place<'_>, item: usize, before: &[State]) -> Vec<State> {
        let (cx, objective) = (self.cx, self.cx.options.objective);
        let branch = self.proof.branch();
        let options = match cx.frame {
            _ if place.is_last => vec![shared(self.proof.channels.1)],
            Frame::ChannelsFirst => candidates(branch, place.carried.1, item, place.conv),
            // A linear layer has no groups, so no layout is cheaper than another.
            Frame::ChannelsLast => vec![contiguous(place.conv.channels.1, place.carried.1)],
        };
        let mut after: Vec<State> = Vec::new();
        for layout in options {
            let mut best: Option<(Cost, usize)> = None;
            for (from, state) in before.iter().enumerate() {
                // No convolution makes up for what was spent before.
                if !state.cost.beats(best.as_ref().map(|(b, _)| b), objective) {
                    continue;
                }
                let target = &cx.options.target;
                let groups = |finest| match cx.is_channels_first() {
                    true => place.conv.groups(target, finest, state.layout.len()),
                    false => 1,
                };
                let Some(work) = place.direct(&state.layout, &layout, groups) else { continue };
                if !self.fits(work.weights()) {
                    continue;
                }
                let cost = state.cost + Cost::conv(&work, &place.rates);
                if cost.beats(best.as_ref().map(|(b, _)| b), objective) {
                    best = Some((cost, from));
                }
            }
            after.extend(best.map(|(cost, from)| State { layout, cost, from, form: Form::Direct }));
        }
        let parted = next_parting(branch, item).is_some();
        let many = place.conv.channels.1 > MAX_CUT;
        if cx.options.carry == Chain::Conv || !takes_selections(cx) || !cx.is_channels_first() || parted || many {
            return after;
        }
        let mut more = Vec::new();
        // Behind a selection one layout is as good as another. One that repeats channels for a convolution as it is may be long.
        let short = before.iter().enumerate().filter(|(_, state)| state.layout.len() <= MAX_CUT);
        let cheapest = short.reduce(|a, b| if b.1.cost.beats(Some(&a.1.cost), objective) { b } else { a });
        for (layout, cost, form) in cheapest.iter().flat_map(|(_, state)| self.blocks(place, &state.layout)) {
            let Some((from, state)) = cheapest else { break };
            more.push(State { layout, cost: state.cost + cost, from, form });
        }
        if cx.options.carry == Chain::Blocks && !more.is_empty() {
            let sums = more.iter().any(|s| matches!(s.form, Form::Blocks { .. }));
            more.retain(|s| !sums || matches!(s.form, Form::Blocks { .. }));
            after.clear();
        }
        let mut found: BTreeMap<Layout, State> = BTreeMap::new();
        for state in after.into_iter().chain(more) {
            if state.cost.beats(found.get(&state.layout).map(|s| &s.cost), objective) {
                found.insert(state.layout.clone(), state);
            }
        }
        found.into_values().collect()
    }

    /// What the convolution may write behind a selection of `lin`, at what cost and in which form.
    fn blocks(&mut self, place: &Place<'_>, lin: &[Slot]) -> Vec<(Layout, Cost, Form)> {
        let (cx, objective) = (self.cx, self.cx.options.objective);
        let mut found = Vec::new();
        // Partial results are rounded, which costs digits where a number has few.
        let dtype = cx.facts.float_type([self.proof.fork, self.proof.output]);
        let exact = !matches!(dtype, Some(DataType::Float16 | DataType::Bfloat16));
        let cuts = if exact { place.cuts(lin, cx.options.carry == Chain::Blocks) } else { Vec::new() };
        for groups in place.groups() {
            let mut best: Option<(Cost, Cut)> = None;
            for cut in &cuts {
                let Some((cost, largest)) = place.blocks(lin, *cut, groups) else { continue };
                if self.fits(largest) && cost.beats(best.as_ref().map(|(b, _)| b), objective) {
                    best = Some((cost, *cut));
                }
            }
            if let (Some((cost, cut)), Some(layout)) = (best, place.layout(groups)) {
                found.push((layout, cost, Form::Blocks { cut, groups }));
            }
        }
        let own = place.groups().into_iter().filter_map(|groups| Some((place.layout(groups)?, groups)));
        for (layout, groups) in own.chain(place.grouped()) {
            let selected = place.selected(lin, &layout, groups).filter(|(_, work)| self.fits(work.weights()));
            found.extend(selected.map(|(cost, _)| (layout, cost, Form::Selected { groups })));
        }
        found
    }

    /// True when a weight of so many entries may be made.
    fn fits(&mut self, weights: usize) -> bool {
        let fits = weights <= self.cx.most_weights;
        if !fits {
            self.too_large = Some(self.too_large.map_or(weights, |so_far| so_far.min(weights)));
        }
        fits
    }
}

/// True when the target takes selections of channels, and what stands behind them.
fn takes_selections(cx: Context<'_>) -> bool {
    let target = &cx.options.target;
    ["Gather", "Slice"].iter().all(|op| target.takes(op)) && target.groups() == Groups::Any
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
        ItemKind::Operation(pass) => Some(pass.segments()),
        ItemKind::Conv(_) => None,
    });
    passes.into_iter().find(|maps| *maps > 1)
}

/// The convolution behind `item` and its place, when the passes between leave every layout as it is.
fn next_conv(branch: &Branch, item: usize) -> Option<(usize, &BranchConv)> {
    for (at, next) in branch.items.iter().enumerate().skip(item + 1) {
        match &next.kind {
            ItemKind::Conv(conv) => return Some((at, conv)),
            ItemKind::Operation(pass) if pass.keeps_layout() => {}
            ItemKind::Operation(_) => return None,
        }
    }
    None
}

/// Positions of the fork, then of each item: counted where the shape is known, else as if the fork had as many as a map in the
/// middle of a network.
fn positions(cx: Context<'_>, proof: &Proof) -> Vec<f64> {
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
    let mut at: f64 = start.unwrap_or(USUAL_POSITIONS);
    let mut sizes = vec![at];
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

/// 28 by 28.
const USUAL_POSITIONS: f64 = 784.0;
