//! A search without gradients for inputs that reach the sides which no input has reached yet.
//!
//! First patterns that trained networks do not average away: constant, block-wise and smooth images at several levels. Then
//! evolution: for each side that is still missed the input that came nearest to it is scaled, shifted, patched, enlarged, or
//! moved on in the direction in which it got nearer.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::{ArrayD, Slice};

use crate::verify::random::Random;
use crate::verify::reference::Value;

use super::Budget;
use super::space::{Pattern, Space, rms};
use super::watch::{Sight, Watch};

/// Values by input.
pub(super) type Feed = BTreeMap<String, Value>;

/// Evaluations that may bring nothing nearer before the search ends.
const PATIENCE: usize = 64;

/// Entries of all inputs that are kept at once (1 GiB of float64).
const MAX_KEPT: usize = 1 << 27;

/// The first inputs: level, cells, coloured, smooth. Level 0 stands for nothing.
const FIRST: [(f64, usize, bool, bool); 14] = [
    (16.0, 1, false, false),
    (-16.0, 1, false, false),
    (8.0, 1, true, false),
    (8.0, 4, true, true),
    (64.0, 8, true, false),
    (2.0, 2, true, true),
    (200.0, 1, false, false),
    (-200.0, 1, false, false),
    (32.0, 4, false, false),
    (64.0, 1, true, false),
    (4.0, 8, true, true),
    (500.0, 3, true, true),
    (1.0, 4, true, false),
    (2000.0, 2, true, false),
];

/// The input that came nearest to some side.
#[derive(Clone)]
struct Elite {
    gap: f64,
    feed: Arc<Feed>,
    /// What it was made of, for the way to be gone on.
    parent: Option<Arc<Feed>>,
}

/// One search on one model.
pub(super) struct Search<'s, 'm> {
    watch: &'s Watch<'m>,
    spaces: &'s [Space<'s>],
    random: Random,
    reached: Vec<bool>,
    elites: Vec<Option<Elite>>,
    /// Multiply-accumulates of the dearest evaluation so far.
    work: usize,
    used: usize,
    idle: usize,
}

/// An input that reached something first, and all that it reached.
pub(super) struct Found {
    pub(super) feed: Arc<Feed>,
    pub(super) reached: Vec<bool>,
}

impl<'s, 'm> Search<'s, 'm> {
    pub(super) fn new(watch: &'s Watch<'m>, spaces: &'s [Space<'s>], random: Random) -> Self {
        let slots = watch.slots();
        Self {
            watch,
            spaces,
            random,
            reached: vec![false; slots],
            elites: vec![None; slots],
            work: 0,
            used: 0,
            idle: 0,
        }
    }

    /// Evaluates `feed`. `Some` when it reached what nothing before had.
    pub(super) fn look(&mut self, feed: &Arc<Feed>, parent: Option<&Arc<Feed>>) -> Option<Found> {
        self.used += 1;
        self.idle += 1;
        let sight = self.watch.look(feed)?;
        self.note(feed, parent, &sight)
    }

    /// Takes note of what `feed` reached. `Some` when nothing before had reached all of that.
    pub(super) fn note(&mut self, feed: &Arc<Feed>, parent: Option<&Arc<Feed>>, sight: &Sight) -> Option<Found> {
        if !sight.is_inside {
            return None;
        }
        self.work = self.work.max(sight.work);
        let mut is_first = false;
        for (slot, gap) in sight.gaps.iter().enumerate().filter(|(_, g)| g.is_finite()) {
            let (Some(elite), Some(reached)) = (self.elites.get_mut(slot), self.reached.get_mut(slot)) else { break };
            if *reached || elite.as_ref().is_some_and(|e| *gap >= e.gap) {
                continue;
            }
            self.idle = 0;
            // Nothing has to come nearer than 0.
            *reached = *gap == 0.0;
            is_first |= *reached;
            let nearer = Elite { gap: *gap, feed: Arc::clone(feed), parent: parent.cloned() };
            *elite = (!*reached).then_some(nearer);
        }
        is_first.then(|| Found { feed: Arc::clone(feed), reached: sight.gaps.iter().map(|g| *g == 0.0).collect() })
    }

    /// What has been reached so far, by slot.
    pub(super) fn reached(&self) -> &[bool] {
        &self.reached
    }

    /// Evaluations so far.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Searches until all is reached, `budget` is used up, or nothing has come nearer for long.
    pub(super) fn run(&mut self, budget: Budget) -> Vec<Found> {
        let entries: usize = self.spaces.iter().map(Space::len).sum();
        let affordable = (budget.work / self.work.max(1)).max(budget.least).min(budget.evaluations);
        let last = self.used + affordable.min(MAX_KEPT / entries.max(1));
        let mut found = Vec::new();
        self.idle = 0;
        for turn in 0.. {
            if self.used >= last || self.idle >= PATIENCE || self.reached.iter().all(|r| *r) {
                break;
            }
            let (feed, parent) = self.propose(turn);
            found.extend(self.look(&Arc::new(feed), parent.as_ref()));
        }
        found
    }

    fn propose(&mut self, turn: usize) -> (Feed, Option<Arc<Feed>>) {
        if let Some((level, cells, is_coloured, is_smooth)) = FIRST.get(turn).copied() {
            return (self.pattern(level, Pattern { cells, is_coloured, is_smooth }), None);
        }
        let target = self.target();
        match target.filter(|_| turn % 5 != 4) {
            Some(elite) => (self.changed(&elite), Some(elite.feed)),
            None => {
                let level = 2_f64.powf(3.0 + 3.0 * self.random.normal());
                let pattern = self.any_pattern();
                (self.pattern(level, pattern), None)
            }
        }
    }

    /// The nearest input to a side that is missed, some side.
    fn target(&mut self) -> Option<Elite> {
        let open: Vec<&Elite> =
            self.elites.iter().zip(&self.reached).filter(|(_, r)| !**r).filter_map(|(e, _)| e.as_ref()).collect();
        let chosen = self.random.below(open.len());
        open.get(chosen).map(|e| (*e).clone())
    }

    fn any_pattern(&mut self) -> Pattern {
        let r = &mut self.random;
        Pattern { cells: 1 << r.below(6), is_coloured: r.below(3) > 0, is_smooth: r.below(2) > 0 }
    }

    /// `pattern` at `level`; one grey cell is the constant `level`.
    fn pattern(&mut self, level: f64, pattern: Pattern) -> Feed {
        let mut feed = Feed::new();
        for space in self.spaces {
            let levels = match pattern {
                Pattern { cells: 1, is_coloured: false, .. } => space.constant(level),
                _ => space.field(pattern, &mut self.random) * level,
            };
            feed.insert(space.name().to_owned(), space.value(&levels));
        }
        feed
    }

    /// A changed copy of `elite`: one of its inputs, or several.
    fn changed(&mut self, elite: &Elite) -> Feed {
        let mut feed = (*elite.feed).clone();
        let chosen = self.random.below(self.spaces.len());
        for (i, space) in self.spaces.iter().enumerate() {
            if i != chosen && self.random.below(2) == 0 {
                continue;
            }
            let Some(value) = feed.get(space.name()) else { continue };
            let levels = space.levels(value);
            let before = elite.parent.as_ref().and_then(|p| p.get(space.name())).map(|v| space.levels(v));
            let levels = self.varied(space, levels, before);
            feed.insert(space.name().to_owned(), space.value(&levels));
        }
        feed
    }

    fn varied(&mut self, space: &Space<'_>, levels: ArrayD<f64>, before: Option<ArrayD<f64>>) -> ArrayD<f64> {
        let size = rms(&levels).max(1e-3);
        let step = size * 2_f64.powf(self.random.normal());
        match self.random.below(8) {
            0 => levels * 2_f64.powf(1.5 * self.random.normal()),
            1 => {
                let colour = Pattern { cells: 1, is_coloured: self.random.below(2) > 0, is_smooth: false };
                levels + space.field(colour, &mut self.random) * step
            }
            2 | 3 => {
                let pattern = self.any_pattern();
                levels + space.field(pattern, &mut self.random) * step
            }
            4 => self.patched(space, levels, step),
            5 => space.zoomed(&levels, &mut self.random),
            6 => -levels,
            _ => match before {
                Some(before) if before.shape() == levels.shape() => {
                    let way = 2_f64.powf(self.random.normal());
                    let ahead = (&levels - &before) * way;
                    levels + ahead
                }
                _ => levels * 2.0,
            },
        }
    }

    /// A box of positions filled with a pattern of its own.
    fn patched(&mut self, space: &Space<'_>, mut levels: ArrayD<f64>, level: f64) -> ArrayD<f64> {
        let pattern = self.any_pattern();
        let filling = space.field(pattern, &mut self.random) * level;
        let ends = space.patch(&mut self.random);
        let part = |axis: usize| ends.get(axis).map_or(Slice::from(..), |(from, to)| Slice::from(*from..*to));
        let filling = filling.slice_each_axis(|a| part(a.axis.index()));
        levels.slice_each_axis_mut(|a| part(a.axis.index())).assign(&filling);
        levels
    }
}
