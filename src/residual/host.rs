//! Where on the branch the shortcut is applied, and how the carried channels pass everything else.

use std::ops::Range;

use crate::algebra::{Carried, Carry, Geometry, Kernel};
use crate::facts::Interval;
use crate::graph::ValueId;
use crate::options::Downsample;
use crate::read::{BranchConv, Context, Reject, RejectCode};

use super::branch::{Branch, ItemKind};
use super::operation::{Arrival, Form, Operation};
use super::shortcut::LinearMap;
use super::size::Placed;

/// One way to place the shortcut, with what follows from it for each item of the branch.
pub struct Host {
    /// Indices of the items whose convolutions apply the shortcut's pieces; empty for the identity.
    pub items: Vec<usize>,
    stops: Vec<Stop>,
}

/// What happens at one item of the branch.
struct Stop {
    act: Act,
    /// Carried channels behind it.
    carried: Carried,
    /// The axis of the channels behind it.
    axis: usize,
}

enum Act {
    Conv(Box<Hosted>),
    Operation(Form),
}

/// What a convolution of the branch does to the carried channels.
pub struct Hosted {
    /// Passes them, or applies a piece of the shortcut.
    pub carry: Carry,
    /// The window in which it runs: its own, or a larger one that has the taps it needs.
    pub window: Geometry,
    /// By how much the halves of a pair differ that it reads; 1 where it reads none.
    pub pair_scale: f64,
    /// The piece of the shortcut that it applies, where that looks at one position only.
    pointwise: Option<Kernel>,
}

impl Hosted {
    /// The same in two steps: the tap by which it passes what is carried, and what a 1x1 convolution behind it then applies;
    /// nothing for the identity. `None` where a window wider than one entry has to be applied.
    #[must_use]
    pub fn parted(&self) -> Option<(Vec<usize>, Option<&Kernel>)> {
        let behind = match &self.carry {
            Carry::Dirac(_) => None,
            Carry::Shortcut(_) => Some(self.pointwise.as_ref()?),
        };
        Some((self.window.dirac_tap()?, behind))
    }

    /// What the blocks and their sum do to the carried channels, where it comes in two steps.
    #[must_use]
    pub fn steps(&self) -> Option<(Carry, Carry)> {
        let (tap, behind) = self.parted()?;
        let behind = behind.map_or_else(|| Carry::Dirac(vec![0; self.window.axes()]), |k| Carry::Shortcut(k.clone()));
        Some((Carry::Dirac(tap), behind))
    }
}

impl Host {
    /// What the convolution at `item` does to the carried channels.
    #[must_use]
    pub fn conv(&self, item: usize) -> Option<&Hosted> {
        match &self.stops.get(item)?.act {
            Act::Conv(hosted) => Some(hosted),
            Act::Operation(_) => None,
        }
    }

    /// How the pass at `item` lets them through.
    #[must_use]
    pub fn form(&self, item: usize) -> Option<Form> {
        match self.stops.get(item)?.act {
            Act::Operation(form) => Some(form),
            Act::Conv(_) => None,
        }
    }

    /// Carried channels behind `item`.
    #[must_use]
    pub fn carried(&self, item: usize) -> Option<Carried> {
        self.stops.get(item).map(|s| s.carried)
    }

    /// The axis of the channels behind `item`.
    #[must_use]
    pub fn axis(&self, item: usize) -> Option<usize> {
        self.stops.get(item).map(|s| s.axis)
    }

    /// The most general form on the way, for the report.
    #[must_use]
    pub fn hardest_form(&self) -> Form {
        self.forms().filter(|f| *f != Form::Moved).max().unwrap_or(Form::Unchanged)
    }

    /// How carried values pass each operator on the way.
    pub fn forms(&self) -> impl Iterator<Item = Form> + '_ {
        (0..self.stops.len()).filter_map(|i| self.form(i))
    }
}

/// Where the pieces of a shortcut may be applied.
pub(super) struct Placing<'a> {
    /// The graph.
    pub cx: Context<'a>,
    /// Where both sides come from.
    pub fork: ValueId,
    /// What the join computes.
    pub output: ValueId,
    /// The branch.
    pub branch: &'a Branch,
}

impl Placing<'_> {
    /// Every placing of `pieces` on the convolutions of the branch, in their order, that the user's choice of recipe
    /// lets through; with the reason for each that is not legal.
    pub(super) fn hosts(&self, pieces: &[LinearMap]) -> Vec<Result<Host, Reject>> {
        let windows: Vec<&Geometry> = self.branch.convs().map(|(_, c)| &c.window).collect();
        let repeats = self.branch.repeats(self.cx);
        if let Some(host) = self.cropped(pieces, &windows).filter(|_| !repeats) {
            return vec![host];
        }
        let convs: Vec<usize> = self.branch.convs().map(|(i, _)| i).collect();
        if pieces.iter().all(|p| p.is_identity) {
            return vec![self.sized(&[], pieces, repeats).and_then(|()| self.host(&[], &[]))];
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
        let host = |items: &Vec<usize>| self.sized(items, pieces, repeats).and_then(|()| self.host(items, pieces));
        places.iter().filter(|items| wanted(items)).map(host).collect()
    }

    /// Proves that both sides have the same size where the convolutions at `items` apply `pieces`.
    fn sized(&self, items: &[usize], pieces: &[LinearMap], repeats: bool) -> Result<(), Reject> {
        let others: Vec<&Geometry> = pieces.iter().map(|p| &p.window).collect();
        let piece = |i: usize| items.iter().position(|item| *item == i).and_then(|p| others.get(p).copied());
        let branch: Vec<Placed<'_>> = self.branch.convs().map(|(i, conv)| (&conv.window, piece(i))).collect();
        super::size::prove(self.cx, self.fork, self.output, (&branch, &others), repeats)
    }

    /// A crop that all convolutions which do not pad take part in.
    fn cropped(&self, pieces: &[LinearMap], windows: &[&Geometry]) -> Option<Result<Host, Reject>> {
        let [LinearMap { crop: Some(crop), .. }] = pieces else { return None };
        let shares = super::cropped::divide(crop, windows)?;
        let map =
            |window: &Geometry, kernel| LinearMap { kernel, window: window.clone(), is_identity: false, crop: None };
        let hosts =
            self.branch.convs().zip(shares).filter_map(|((i, conv), share)| Some((i, map(&conv.window, share?))));
        let (items, maps): (Vec<usize>, Vec<LinearMap>) = hosts.unzip();
        Some(self.host(&items, &maps))
    }

    fn host(&self, items: &[usize], pieces: &[LinearMap]) -> Result<Host, Reject> {
        let mut walk =
            Walk::new(self).ok_or_else(|| Reject::broken(self.cx.view, self.output, "a fork of no known shape"))?;
        let mut stops: Vec<Stop> = Vec::new();
        for (i, entry) in self.branch.items.iter().enumerate() {
            let act = match &entry.kind {
                ItemKind::Conv(conv) => {
                    let piece = items.iter().position(|item| *item == i).and_then(|p| pieces.get(p));
                    walk.conv(conv, piece)?
                }
                ItemKind::Operation(pass) => walk.pass(&**pass, self.is_alone(i))?,
            };
            stops.push(Stop { act, carried: Carried::whole(walk.channels), axis: walk.axis });
        }
        self.pair(&mut stops);
        Ok(Host { items: items.to_vec(), stops })
    }

    /// The passes around `item`, up to the convolution before them and the one behind them.
    fn segment(&self, item: usize) -> Range<usize> {
        let items = &self.branch.items;
        let start = items[..item].iter().rposition(|i| i.conv().is_some()).map_or(0, |i| i + 1);
        let end = items[item..].iter().position(|i| i.conv().is_some()).map_or(items.len(), |i| item + i);
        start..end
    }

    fn pass(&self, item: usize) -> Option<&dyn Operation> {
        self.branch.items.get(item)?.pass()
    }

    /// True when no other activation stands between the same two convolutions.
    fn is_alone(&self, item: usize) -> bool {
        self.segment(item).filter(|i| self.pass(*i).is_some_and(Operation::is_activation)).count() == 1
    }

    /// Where a pass carries pairs, the convolution before it writes them and the one behind it reads them.
    fn pair(&self, stops: &mut [Stop]) {
        for i in 0..stops.len() {
            if !matches!(stops[i].act, Act::Operation(Form::Pair)) {
                continue;
            }
            let Range { start, end } = self.segment(i);
            stops[start.saturating_sub(1)..end].iter_mut().for_each(|s| s.carried.paired = true);
            let halves = self.pass(i).and_then(Operation::pair_scale);
            if let (Some(Act::Conv(hosted)), Some(halves)) = (stops.get_mut(end).map(|s| &mut s.act), halves) {
                hosted.pair_scale = halves;
            }
        }
    }
}

/// What is carried, on the way along the branch.
struct Walk<'a> {
    placing: &'a Placing<'a>,
    /// Bounds of the carried values.
    values: Interval,
    /// How many channels are carried.
    channels: usize,
    /// The axis of the channels.
    axis: usize,
    /// By how much the carried values are subsampled so far, along each axis.
    along: Vec<usize>,
    /// By how much the shortcut's pieces so far subsample.
    beside: Vec<usize>,
    /// True when all of those keep the size.
    keeps_size: bool,
    /// True when entries were repeated to the size of another operand, as far as is known.
    repeated: bool,
    /// True when a `Pad` stands in front, and no convolution yet that takes its entries away again.
    padded: bool,
}

impl<'a> Walk<'a> {
    /// `None` when the shape of the fork is not known, without which no branch is read.
    fn new(placing: &'a Placing<'a>) -> Option<Self> {
        let facts = placing.cx.facts;
        let axes = facts.rank(placing.fork).and_then(|r| placing.cx.frame.spatial(r))?;
        Some(Self {
            placing,
            values: facts.interval(placing.fork),
            channels: placing.cx.channels(placing.fork)?,
            axis: placing.cx.axis(placing.fork)?,
            along: vec![1; axes],
            beside: vec![1; axes],
            keeps_size: true,
            repeated: false,
            padded: false,
        })
    }

    fn pass(&mut self, pass: &dyn Operation, alone: bool) -> Result<Act, Reject> {
        self.padded |= pass.padding().iter().any(|p| *p != (0, 0));
        self.repeated |= pass.repeats(self.placing.cx);
        let (channels, stacked) = (self.channels, self.is_stacked());
        let arrival = Arrival { carried: self.values, channels, axis: self.axis, stacked, alone };
        let form = pass.form(self.placing.cx, arrival)?;
        self.axis = pass.axis(self.axis);
        Ok(Act::Operation(form))
    }

    /// True when several maps are stacked on an axis in front of the channels.
    fn is_stacked(&self) -> bool {
        self.placing.cx.is_channels_first() && self.axis != 1
    }

    fn conv(&mut self, conv: &BranchConv, piece: Option<&LinearMap>) -> Result<Act, Reject> {
        if self.is_stacked() {
            let reason = "the maps in front of it are stacked and never summed up";
            return Err(self.blame(conv, RejectCode::CannotPass, reason));
        }
        let (carry, window) = match piece {
            Some(map) => {
                self.fits(conv, map)?;
                self.values = image(self.values, map);
                self.channels = map.kernel.outputs();
                self.beside.iter_mut().zip(&map.window.stride).for_each(|(b, s)| *b *= s);
                // Or both sides get smaller by as much.
                self.keeps_size &= map.window.keeps_size() || map.window == conv.window;
                self.shortcut(conv, map)?
            }
            None => self.dirac(conv)?,
        };
        self.padded &= !conv.is_padded_before();
        self.along.iter_mut().zip(&conv.window.stride).for_each(|(a, s)| *a *= s);
        let pointwise = piece.filter(|map| map.is_pointwise()).map(|map| map.kernel.clone());
        Ok(Act::Conv(Box::new(Hosted { carry, window, pair_scale: 1.0, pointwise })))
    }

    /// A window wider than one entry must see the very grid that it sees on the shortcut, borders included.
    fn fits(&self, conv: &BranchConv, map: &LinearMap) -> Result<(), Reject> {
        let refuse = |reason| Err(self.blame(conv, RejectCode::ShortcutDoesNotFit, reason));
        if map.is_pointwise() {
            return Ok(());
        }
        if self.padded {
            return refuse(
                "the shortcut's window is wider than one entry, and a Pad stands in front of this convolution",
            );
        }
        if self.repeated {
            return refuse(
                "the shortcut's window is wider than one entry, and the branch may be enlarged to the size of another operand \
                 before this convolution",
            );
        }
        if self.along != self.beside {
            return refuse(
                "the shortcut's window is wider than one entry, and the branch steps before this convolution",
            );
        }
        if !self.keeps_size {
            return refuse("two windows follow each other on the shortcut, and the first changes the size");
        }
        Ok(())
    }

    /// The shortcut's kernel in the window of `conv`, or in one that is large enough for both.
    fn shortcut(&self, conv: &BranchConv, map: &LinearMap) -> Result<(Carry, Geometry), Reject> {
        // What follows subsamples the rest of the way.
        let own = Geometry { stride: conv.window.stride.clone(), ..map.window.clone() };
        let entries = map.kernel.outputs().saturating_mul(map.kernel.group_inputs());
        let fits = |window: &Geometry| entries.saturating_mul(window.taps()) <= self.placing.cx.most_weights;
        let place = |window: &Geometry| {
            conv.own_window(window).filter(|_| fits(window))?;
            Some((Carry::Shortcut(map.kernel.clone().placed_in(&own, window)?), window.clone()))
        };
        place(&conv.window).or_else(|| place(&conv.window.union(&own)?)).ok_or_else(|| {
            let reason = "the shortcut's window does not lie inside the window of this convolution, or would be very large in it";
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
            Some(node) => Reject::at(self.placing.cx.view, node, code, reason),
            None => Reject::tensor(self.placing.cx.view, self.placing.output, code, reason),
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
