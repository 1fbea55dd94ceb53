//! The proof that a join can be removed: which convolution hosts the shortcut, and how the carried
//! channels pass everything else.

use crate::algebra::{Carried, Carry, Geometry};
use crate::facts::Interval;
use crate::graph::{NodeId, ValueId};
use crate::plan::options::Downsample;

use super::branch::{Branch, Kind};
use super::find::Site;
use super::pass::{Arrival, BranchConv, Context, Form};
use super::reject::{Reject, RejectCode};
use super::shortcut::LinearMap;

/// One way to place the shortcut, with what follows from it.
pub struct Host {
    /// Indices of the items whose convolutions apply the shortcut's pieces; empty for the identity.
    pub items: Vec<usize>,
    /// What each item does to the carried channels; `None` for a pass.
    carries: Vec<Option<Carry>>,
    /// The window in which each convolution runs; `None` for a pass.
    windows: Vec<Option<Geometry>>,
    /// How each pass lets them through; `None` for a convolution.
    forms: Vec<Option<Form>>,
    /// Carried channels behind each item.
    carried: Vec<Carried>,
    /// The axis of the channels behind each item.
    axes: Vec<usize>,
    /// By how much the halves of a pair differ that each convolution reads; 1 where it reads none.
    scales: Vec<f64>,
}

impl Host {
    /// What the convolution at `item` does to the carried channels.
    #[must_use]
    pub fn carry(&self, item: usize) -> Option<&Carry> {
        self.carries.get(item)?.as_ref()
    }

    /// The window in which the convolution at `item` runs: its own, or a larger one that has the taps it needs.
    #[must_use]
    pub fn window(&self, item: usize) -> Option<&Geometry> {
        self.windows.get(item)?.as_ref()
    }

    /// How the pass at `item` lets them through.
    #[must_use]
    pub fn form(&self, item: usize) -> Option<Form> {
        *self.forms.get(item)?
    }

    /// Carried channels behind `item`.
    #[must_use]
    pub fn carried(&self, item: usize) -> Carried {
        self.carried.get(item).copied().unwrap_or(Carried::whole(0))
    }

    /// The axis of the channels behind `item`.
    #[must_use]
    pub fn axis(&self, item: usize) -> usize {
        self.axes.get(item).copied().unwrap_or(1)
    }

    /// By how much the halves of a pair differ that the convolution at `item` reads.
    #[must_use]
    pub fn pair_scale(&self, item: usize) -> f64 {
        self.scales.get(item).copied().unwrap_or(1.0)
    }

    /// The most general form on the way, for the report.
    #[must_use]
    pub fn hardest_form(&self) -> Form {
        self.forms.iter().flatten().filter(|f| **f != Form::Moved).max().copied().unwrap_or(Form::Unchanged)
    }
}

/// How the join's shortcut is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// It is the identity.
    Identity,
    /// The branch is a single convolution, to whose kernel the shortcut's is added.
    Added,
    /// The first convolution applies it and its output is carried ("V1").
    ReserveOutput,
    /// The input is carried, and a later convolution applies it ("V2").
    ReserveInput,
    /// Two convolutions apply a part each.
    Divided,
}

/// A join that may be removed. Only [`prove`] makes one.
pub struct Proof {
    /// The join's node.
    pub join: NodeId,
    /// What the join computes.
    pub output: ValueId,
    /// Where both sides come from.
    pub fork: ValueId,
    /// Channels of the fork and of the join.
    pub channels: (usize, usize),
    /// Spatial axes.
    pub axes: usize,
    /// The nodes of the shortcut, for its price.
    pub shortcut_nodes: Vec<NodeId>,
    branch: Branch,
    hosts: Vec<Host>,
}

impl Proof {
    /// The branch.
    #[must_use]
    pub fn branch(&self) -> &Branch {
        &self.branch
    }

    /// Every legal place for the shortcut.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// How `host` applies the shortcut.
    #[must_use]
    pub fn recipe(&self, host: &Host) -> Recipe {
        let mut convs = self.branch.convs().map(|(i, _)| i);
        let first = convs.next();
        match host.items.as_slice() {
            [] => Recipe::Identity,
            [_] if convs.next().is_none() => Recipe::Added,
            [item] if Some(*item) == first => Recipe::ReserveOutput,
            [_] => Recipe::ReserveInput,
            _ => Recipe::Divided,
        }
    }
}

/// Proves that the join of `site` can be removed.
///
/// # Errors
/// The first condition that does not hold.
pub fn prove(cx: Context<'_>, site: Site) -> Result<Proof, Reject> {
    let (join, output, fork) = (site.join, site.output, site.fork);
    let refuse = |code, reason: &str| Reject::tensor(cx.view, output, code, reason);
    let ends = site.steps.last().map(|s| s.output);
    let inputs = [ends, site.shortcut.origins().first().copied()];
    let (branch, shortcut) = Branch::new(cx, site)?;
    let (Some((_, first)), Some((_, last))) = (branch.convs().next(), branch.convs().last()) else {
        return Err(refuse(RejectCode::TwoBranches, "the branch has no operator"));
    };
    let axes = first.window.axes();
    let c_in = cx
        .facts
        .channels(fork)
        .ok_or_else(|| refuse(RejectCode::SizeUnknown, "the channel count of the fork is unknown"))?;
    let c_out = last.channels.1;
    // `Add` broadcasts: equal channel counts are a condition like equal sizes.
    for value in inputs.into_iter().flatten() {
        if cx.facts.channels(value) != Some(c_out) || cx.facts.rank(value) != Some(axes + 2) {
            return Err(refuse(
                RejectCode::SizeUnknown,
                "the two sides are not known to have the same rank and channel count",
            ));
        }
    }
    let ways = shortcut.pieces(cx, c_in, axes)?;
    let placing = Placing { cx, fork, output, branch: &branch };
    let mut hosts = Vec::new();
    let mut nearest: Option<Reject> = None;
    for way in &ways {
        if way.last().map(|m| m.kernel.outputs()) != Some(c_out) {
            return Err(refuse(RejectCode::SizeUnknown, "the shortcut's channel count differs from the branch's"));
        }
        for found in placing.hosts(way) {
            match found {
                Ok(host) => hosts.push(host),
                Err(reject) => nearest = nearest.or(Some(reject)),
            }
        }
    }
    if let (true, Some(reject)) = (hosts.is_empty(), nearest) {
        return Err(reject);
    }
    let shortcut_nodes = shortcut.nodes().collect();
    Ok(Proof { join, output, fork, channels: (c_in, c_out), axes, shortcut_nodes, branch, hosts })
}

/// Where the pieces of a shortcut may be applied.
struct Placing<'a> {
    cx: Context<'a>,
    fork: ValueId,
    output: ValueId,
    branch: &'a Branch,
}

impl Placing<'_> {
    /// Every placing of `pieces` on the convolutions of the branch, in their order, that the user's choice of recipe
    /// lets through; with the reason for each that is not legal.
    fn hosts(&self, pieces: &[LinearMap]) -> Vec<Result<Host, Reject>> {
        let windows: Vec<&Geometry> = self.branch.convs().map(|(_, c)| &c.window).collect();
        let others: Vec<&Geometry> = pieces.iter().map(|p| &p.window).collect();
        if let Err(reject) = super::size::prove(self.cx, self.fork, self.output, &windows, &others) {
            return vec![Err(reject)];
        }
        let convs: Vec<usize> = self.branch.convs().map(|(i, _)| i).collect();
        if pieces.iter().all(|p| p.is_identity) {
            return vec![self.host(&[], &[])];
        }
        let places: Vec<Vec<usize>> = match pieces.len() {
            1 => convs.iter().map(|i| vec![*i]).collect(),
            _ => (0..convs.len())
                .flat_map(|i| convs[i + 1..].iter().map(move |j| (i, *j)))
                .map(|(i, j)| vec![convs[i], j])
                .collect(),
        };
        let wanted = |items: &Vec<usize>| match self.cx.options.downsample {
            Downsample::Auto => true,
            Downsample::V1 => items.iter().all(|i| Some(i) == convs.first()),
            Downsample::V2 => items.last() == convs.last(),
        };
        places.iter().filter(|items| wanted(items)).map(|items| self.host(items, pieces)).collect()
    }

    fn host(&self, items: &[usize], pieces: &[LinearMap]) -> Result<Host, Reject> {
        let mut carried = (self.cx.facts.interval(self.fork), self.cx.facts.channels(self.fork).unwrap_or(0));
        let mut host = Host {
            items: items.to_vec(),
            carries: Vec::new(),
            windows: Vec::new(),
            forms: Vec::new(),
            carried: Vec::new(),
            axes: Vec::new(),
            scales: Vec::new(),
        };
        let mut axis = 1;
        let axes = self.cx.facts.rank(self.fork).and_then(|r| r.checked_sub(2)).unwrap_or(0);
        // By how much the carried values and the shortcut's are subsampled so far.
        let mut along = vec![1; axes];
        let mut beside = vec![1; axes];
        let mut before: Vec<&LinearMap> = Vec::new();
        // A Pad stands in front, and no convolution yet that takes its entries away again.
        let mut padded = false;
        for (i, entry) in self.branch.items.iter().enumerate() {
            match &entry.kind {
                Kind::Conv(conv) => {
                    if axis != 1 {
                        let reason = "the maps in front of it are stacked and never summed up";
                        return Err(self.blame(conv, RejectCode::CannotPass, reason));
                    }
                    let piece = items.iter().position(|item| *item == i).and_then(|p| pieces.get(p));
                    let (carry, window) = match piece {
                        Some(map) => {
                            self.fits(conv, map, &before, (&along, &beside), padded)?;
                            carried = (image(carried.0, map), map.kernel.outputs());
                            beside.iter_mut().zip(&map.window.stride).for_each(|(b, s)| *b *= s);
                            before.push(map);
                            self.shortcut(conv, map)?
                        }
                        None => self.dirac(conv)?,
                    };
                    padded &= !conv.is_padded_before();
                    along.iter_mut().zip(&conv.window.stride).for_each(|(b, s)| *b *= s);
                    host.carries.push(Some(carry));
                    host.windows.push(Some(window));
                    host.forms.push(None);
                }
                Kind::Pass(pass) => {
                    padded |= pass.padding().iter().any(|p| *p != (0, 0));
                    let alone = self.activations_around(i) == 1;
                    host.forms.push(Some(pass.form(self.cx, Arrival { carried: carried.0, axis, alone })?));
                    host.carries.push(None);
                    host.windows.push(None);
                    axis = pass.axis(axis);
                }
            }
            host.carried.push(Carried::whole(carried.1));
            host.axes.push(axis);
            host.scales.push(1.0);
        }
        self.pair(&mut host);
        Ok(host)
    }

    /// Activations between the same two convolutions as the pass at `item`, that one included.
    fn activations_around(&self, item: usize) -> usize {
        let items = &self.branch.items;
        let start = items[..item].iter().rposition(|i| i.conv().is_some()).map_or(0, |i| i + 1);
        let end = items[item..].iter().position(|i| i.conv().is_some()).map_or(items.len(), |i| item + i);
        let passes = items[start..end].iter().filter_map(|i| match &i.kind {
            Kind::Pass(pass) => Some(pass),
            Kind::Conv(_) => None,
        });
        passes.filter(|p| p.is_activation()).count()
    }

    /// Where a pass carries pairs, the convolution before it writes them and the one behind it reads them.
    fn pair(&self, host: &mut Host) {
        let items = &self.branch.items;
        for (i, entry) in items.iter().enumerate() {
            let Kind::Pass(pass) = &entry.kind else { continue };
            if host.forms.get(i) != Some(&Some(Form::Pair)) {
                continue;
            }
            let start = items[..i].iter().rposition(|i| i.conv().is_some()).unwrap_or(0);
            let end = items[i..].iter().position(|i| i.conv().is_some()).map_or(items.len(), |n| i + n);
            host.carried[start..end].iter_mut().for_each(|c| c.paired = true);
            if let (Some(slot), Some(scale)) = (host.scales.get_mut(end), pass.pair_scale()) {
                *slot = scale;
            }
        }
    }

    /// A window wider than one entry must see the very grid that it sees on the shortcut, borders included.
    fn fits(
        &self,
        conv: &BranchConv,
        map: &LinearMap,
        before: &[&LinearMap],
        (along, beside): (&[usize], &[usize]),
        padded: bool,
    ) -> Result<(), Reject> {
        let refuse = |reason| Err(self.blame(conv, RejectCode::ShortcutDoesNotFit, reason));
        if map.is_pointwise() {
            return Ok(());
        }
        if padded {
            return refuse(
                "the shortcut's window is wider than one entry, and a Pad stands in front of this convolution",
            );
        }
        if along != beside {
            return refuse(
                "the shortcut's window is wider than one entry, and the branch steps before this convolution",
            );
        }
        if !before.iter().all(|m| m.window.keeps_size()) {
            return refuse("two windows follow each other on the shortcut, and the first changes the size");
        }
        Ok(())
    }

    /// The shortcut's kernel in the window of `conv`, or in one that is large enough for both.
    fn shortcut(&self, conv: &BranchConv, map: &LinearMap) -> Result<(Carry, Geometry), Reject> {
        // What follows subsamples the rest of the way.
        let own = Geometry { stride: conv.window.stride.clone(), ..map.window.clone() };
        let place = |window: &Geometry| {
            conv.own_window(window)?;
            Some((Carry::Shortcut(map.kernel.placed_in(&own, window)?), window.clone()))
        };
        place(&conv.window).or_else(|| place(&conv.window.union(&own)?)).ok_or_else(|| {
            let reason = "the shortcut's window does not lie inside the window of this convolution";
            self.blame(conv, RejectCode::ShortcutDoesNotFit, reason)
        })
    }

    /// The tap through which `conv` passes a value unchanged, in its own window or in a larger one.
    fn dirac(&self, conv: &BranchConv) -> Result<(Carry, Geometry), Reject> {
        let point = Geometry { stride: conv.window.stride.clone(), ..Geometry::pointwise(conv.window.axes()) };
        let place = |window: &Geometry| {
            conv.own_window(window)?;
            Some((Carry::Dirac(window.dirac_tap()?), window.clone()))
        };
        place(&conv.window).or_else(|| place(&conv.window.union(&point)?)).ok_or_else(|| {
            let reason = "its window has no tap on the entry that it stands for, so it cannot pass a value unchanged";
            self.blame(conv, RejectCode::NoDiracTap, reason)
        })
    }

    fn blame(&self, conv: &BranchConv, code: RejectCode, reason: &str) -> Reject {
        match conv.node {
            Some(node) => Reject::at(self.cx.view, node, code, reason),
            None => Reject::tensor(self.cx.view, self.output, code, reason),
        }
    }
}

/// The interval of the shortcut's values, given the fork's.
fn image(fork: Interval, map: &LinearMap) -> Interval {
    let positive = map.kernel.weight.iter().all(|w| *w >= 0.0)
        && map.kernel.bias.as_ref().is_none_or(|b| b.iter().all(|b| *b >= 0.0));
    if fork.lo >= 0.0 && positive {
        Interval { lo: 0.0, hi: f64::INFINITY }
    } else {
        Interval { lo: f64::NEG_INFINITY, hi: f64::INFINITY }
    }
}
