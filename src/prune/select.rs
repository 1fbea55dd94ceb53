//! Which units of channels go: one after the other, each time the one that costs the least output error for what it saves.
//!
//! What a layer loses with some of its columns is what the others cannot make up for: with the covariance `A` of the columns and
//! their weights `W`, losing block `c` costs `tr(W_c' ((A^-1)_cc)^-1 W_c)`, and the weights of the others change by
//! `-(A^-1)_rc ((A^-1)_cc)^-1 W_c` (Hassibi and Stork, "Optimal brain surgeon", 1993, for blocks and with several outputs).

use std::collections::{BTreeMap, BTreeSet};

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Axis};

use crate::algebra::solve;

use super::coupling::{Channel, Coupling};
use super::error::PruneError;
use super::meter::{Measure, Meter, Taken};
use super::statistics::{Covariance, System};

/// Added to the covariance, as a share of its mean diagonal: it keeps what samples do not tell apart from being taken for free.
const RIDGE: f64 = 1e-4;

/// Variances below this share of the mean square are rounding.
const NOTHING: f64 = 1e-12;

/// What must stay, and how much may.
pub(super) struct Limits<'a> {
    /// Most of each measure that may be left.
    pub most: Taken,
    /// Groups of channels that may go.
    pub free: &'a [bool],
    /// Most of the channels of a tensor that may go, as a share.
    pub ratio: f64,
    /// Of how many channels the narrowest tensor that one stands in is to keep a multiple.
    pub multiple: usize,
}

impl Limits<'_> {
    /// By how much each measure of `taken` is above its limit.
    fn over(&self, taken: &Taken) -> [f64; 4] {
        let over = |i: usize| taken[i].zip(self.most[i]).map_or(0.0, |(taken, most)| (taken - most).max(0.0));
        std::array::from_fn(over)
    }
}

/// One system on the way.
#[derive(Clone)]
pub(super) struct State {
    pub layer: usize,
    /// Which group of it.
    group: usize,
    pub blocks: Vec<(Channel, Vec<usize>)>,
    pub weights: Array2<f64>,
    /// Means of the columns, where a bias takes these; else zeros.
    pub mean: Array1<f64>,
    /// The inverse of the covariance of what is left.
    inverse: Inverse,
    /// What a squared error at one position counts for.
    weight: f64,
}

#[derive(Clone)]
enum Inverse {
    Whole(Array2<f64>),
    /// The covariance of each block, which makes up for nothing elsewhere.
    Apart(Vec<Array2<f64>>),
}

impl State {
    /// The normal equations before anything has gone; an error counts for itself.
    fn new(system: System) -> Result<Self, PruneError> {
        let inverse = match system.covariance {
            Covariance::Whole(mut a) => {
                // Where nothing varies at all, what is left is still a number that can be divided by.
                let n = a.nrows().max(1) as f64;
                let ridge = (RIDGE * a.diag().sum() + NOTHING * system.mean.dot(&system.mean)) / n + 1e-30;
                a.diag_mut().iter_mut().for_each(|d| *d += ridge);
                let inverse = solve::inverse(a.view());
                Inverse::Whole(inverse.ok_or_else(|| {
                    PruneError::Samples("the normal equations of a layer cannot be solved".to_owned())
                })?)
            }
            Covariance::Apart(each) => Inverse::Apart(each),
        };
        let System { layer, group, blocks, weights, mean, .. } = system;
        Ok(Self { layer, group, blocks, weights, mean, inverse, weight: 1.0 })
    }

    /// Takes away that `share` of the blocks in `free` groups that costs least, one after the other; returns what the layer's outputs lose.
    pub(super) fn thin(&mut self, share: f64, free: &[bool]) -> f64 {
        let mut left: Vec<usize> = (0..self.blocks.len()).filter(|b| free[self.blocks[*b].0 as usize]).collect();
        let mut lost = 0.0;
        for _ in 0..(share * left.len() as f64).ceil() as usize {
            let cheapest = left.iter().map(|b| (self.loss(*b), *b)).min_by(|a, b| a.0.total_cmp(&b.0));
            let Some((loss, block)) = cheapest else { break };
            lost += loss;
            self.remove(block);
            left.retain(|b| *b != block);
        }
        lost
    }

    /// What the outputs lose with `block`.
    fn loss(&self, block: usize) -> f64 {
        let columns = &self.blocks[block].1;
        let own = self.weights.select(Axis(0), columns);
        let middle = match &self.inverse {
            Inverse::Whole(all) => match solve::inverse(square(all, columns).view()) {
                Some(inverse) => inverse,
                None => return 0.0,
            },
            Inverse::Apart(each) => each[block].clone(),
        };
        self.weight * (&middle.dot(&own) * &own).sum().max(0.0)
    }

    /// Takes `block` away: the others make up for it as well as they can.
    fn remove(&mut self, block: usize) {
        let columns = self.blocks[block].1.clone();
        let own = self.weights.select(Axis(0), &columns);
        if let Inverse::Whole(all) = &mut self.inverse {
            if let Some(middle) = solve::inverse(square(all, &columns).view()) {
                let side = all.select(Axis(1), &columns);
                let share = side.dot(&middle);
                general_mat_mul(-1.0, &share, &own, 1.0, &mut self.weights);
                general_mat_mul(-1.0, &share, &side.t(), 1.0, all);
            }
            for c in &columns {
                all.row_mut(*c).fill(0.0);
                all.column_mut(*c).fill(0.0);
            }
        }
        for c in &columns {
            self.weights.row_mut(*c).fill(0.0);
        }
    }
}

fn square(all: &Array2<f64>, columns: &[usize]) -> Array2<f64> {
    Array2::from_shape_fn((columns.len(), columns.len()), |(i, j)| all[[columns[i], columns[j]]])
}

/// All systems, before anything has gone.
///
/// # Errors
/// [`PruneError::Samples`] when the samples do not suffice to solve one.
pub(super) fn states(systems: Vec<System>) -> Result<Vec<State>, PruneError> {
    systems.into_iter().map(State::new).collect()
}

/// Takes units away until `limits` are met.
///
/// # Errors
/// [`PruneError::Limit`] when they cannot be.
pub(super) fn select(
    (coupling, meter): (&Coupling, &Meter<'_>),
    (mut states, positions): (Vec<State>, &[f64]),
    sensitivity: &[f64],
    limits: &Limits<'_>,
    alive: &mut [bool],
    progress: &mut dyn FnMut(f64) -> Result<(), PruneError>,
) -> Result<(), PruneError> {
    let mut size = meter.size(alive);
    for state in &mut states {
        state.weight = sensitivity[state.layer] * positions[state.layer];
    }
    let ports = Ports::new(coupling, &states);
    let mut bound = Bound::new(coupling, (limits.ratio, limits.multiple), alive);
    let mut losses: Vec<Vec<f64>> = states.iter().map(|s| (0..s.blocks.len()).map(|b| s.loss(b)).collect()).collect();
    let free: Vec<usize> = (0..coupling.units.len())
        .filter(|u| coupling.units[*u].iter().all(|root| limits.free[*root as usize]))
        .collect();
    let lossy: BTreeMap<usize, Vec<(Channel, usize, usize)>> =
        free.iter().map(|u| (*u, ports.lossy(&coupling.units[*u]))).collect();
    let loss = |unit: usize, alive: &[bool], losses: &[Vec<f64>]| -> f64 {
        let lost = lossy.get(&unit).into_iter().flatten().filter(|(root, ..)| alive[*root as usize]);
        lost.map(|(_, s, b)| losses[*s][*b]).sum()
    };
    let going = |unit: usize, alive: &[bool]| -> Vec<Channel> {
        coupling.units[unit].iter().copied().filter(|root| alive[*root as usize]).collect()
    };
    let alike = bound.alike(coupling, &free);
    let all = meter.taken(&size).map(|t| t.unwrap_or(0.0).max(f64::MIN_POSITIVE));
    loop {
        let over = limits.over(&meter.taken(&size));
        let furthest = over.iter().zip(&all).map(|(over, all)| over / all).fold(0.0, f64::max);
        progress(furthest)?;
        if furthest <= 0.0 {
            return Ok(());
        }
        let memory = (over[Measure::Memory as usize] > 0.0).then_some(limits.most[Measure::Memory as usize]).flatten();
        let counted = |saved: [f64; 4]| -> f64 {
            let saved = saved.into_iter().zip(&over).zip(&all).filter(|((_, over), _)| **over > 0.0);
            saved.map(|((saved, _), all)| saved / all).sum()
        };
        let saving = meter.saving(&size, alive, memory);
        let worth = |unit: usize| {
            let saved = counted(saving(unit));
            (saved > 0.0).then(|| loss(unit, alive, &losses) / saved)
        };
        // Of each kind as many as leave a multiple, those first that cost the least for what they save.
        let pack = |kind: &Vec<usize>| {
            let may: Vec<usize> = kind.iter().copied().filter(|unit| bound.allows(&going(*unit, alive))).collect();
            let count = bound.step(&going(*may.first()?, alive), limits.multiple);
            if count == 1 {
                let each = may.into_iter().filter_map(|unit| Some((worth(unit)?, unit)));
                return each.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(worth, unit)| (worth, vec![unit]));
            }
            let mut ready: Vec<(f64, usize)> = may.iter().map(|unit| (loss(*unit, alive, &losses), *unit)).collect();
            ready.sort_by(|a, b| a.0.total_cmp(&b.0));
            ready.truncate(count);
            let gone: Vec<Channel> = ready.iter().flat_map(|(_, unit)| going(*unit, alive)).collect();
            if ready.len() < count || !bound.allows(&gone) {
                return None;
            }
            // What one of them saves is not what all together do, where time goes by whole blocks of channels.
            let (mut left, mut lives) = (size.clone(), alive.to_vec());
            for (_, unit) in &ready {
                meter.remove(&mut left, *unit, &lives);
                going(*unit, alive).iter().for_each(|root| lives[*root as usize] = false);
            }
            let (before, after) = (meter.taken(&size), meter.taken(&left));
            let mut saved =
                std::array::from_fn(|i| before[i].zip(after[i]).map_or(0.0, |(before, after)| before - after));
            let memory = Measure::Memory as usize;
            saved[memory] = ready.iter().map(|(_, unit)| saving(*unit)[memory]).sum();
            let saved = counted(saved);
            let lost: f64 = ready.iter().map(|(loss, _)| loss).sum();
            (saved > 0.0).then(|| (lost / saved, ready.into_iter().map(|(_, unit)| unit).collect()))
        };
        let best = alike.iter().filter_map(|kind| Some((pack(kind)?, kind)));
        let best = best.min_by(|((a, u), _), ((b, v), _)| a.total_cmp(b).then_with(|| u.cmp(v)));
        drop(saving);
        let Some(((_, units), kind)) = best else {
            let left = Measure::ALL.iter().zip(meter.taken(&size)).zip(&over).filter(|(_, over)| **over > 0.0);
            let left: Vec<String> =
                left.map(|((m, t), _)| format!("{:.0} {}", t.unwrap_or(f64::NAN), m.unit())).collect();
            return Err(PruneError::Limit(format!(
                "the limit cannot be met: with all channels gone that may go, {} are left",
                left.join(" and ")
            )));
        };
        for i in 0..units.len() {
            // The others make up for what has gone, so every next one is looked for anew.
            let next = match i {
                0 => units.first().copied(),
                _ => {
                    let others = kind.iter().copied().filter(|unit| bound.allows(&going(*unit, alive)));
                    others.min_by(|a, b| loss(*a, alive, &losses).total_cmp(&loss(*b, alive, &losses)))
                }
            };
            let Some(unit) = next else { break };
            let gone = going(unit, alive);
            bound.remove(&gone);
            meter.remove(&mut size, unit, alive);
            gone.iter().for_each(|root| alive[*root as usize] = false);
            for s in ports.remove(&mut states, &gone) {
                for (block, (root, _)) in states[s].blocks.iter().enumerate() {
                    if alive[*root as usize] && limits.free[*root as usize] {
                        losses[s][block] = states[s].loss(block);
                    }
                }
            }
        }
    }
}

/// Where the systems read each group of channels, and what they give.
struct Ports {
    /// System and block.
    read: BTreeMap<Channel, Vec<(usize, usize)>>,
    /// What each system gives.
    outputs: Vec<BTreeSet<Channel>>,
}

impl Ports {
    fn new(coupling: &Coupling, states: &[State]) -> Self {
        let mut ports = Self { read: BTreeMap::new(), outputs: Vec::new() };
        for (s, state) in states.iter().enumerate() {
            for (block, (root, _)) in state.blocks.iter().enumerate() {
                ports.read.entry(*root).or_default().push((s, block));
            }
            let layer = &coupling.layers[state.layer];
            let each = layer.outputs.len() / layer.group.max(1);
            let own = layer.outputs.get(state.group * each..(state.group + 1) * each).unwrap_or_default();
            ports.outputs.push(coupling.roots(own));
        }
        ports
    }

    /// Where something is lost with the groups of `unit`: not in a system that gives nothing but what goes too, as a group of a convolution may.
    fn lossy(&self, unit: &[Channel]) -> Vec<(Channel, usize, usize)> {
        let stays = |s: usize| self.outputs[s].iter().any(|root| unit.binary_search(root).is_err());
        let read = unit.iter().flat_map(|root| self.read.get(root).into_iter().flatten().map(move |at| (*root, *at)));
        read.filter(|(_, (s, _))| stays(*s)).map(|(root, (s, block))| (root, s, block)).collect()
    }

    /// Takes `going` out of all systems that read some of it, and returns which these are. An error in an output that has gone still counts: those
    /// that go are the ones that matter least, and without it whatever is left would seem to matter as little (ResNet-32 at half its
    /// multiply-accumulates: 77.35 % right in place of 79.60 %).
    fn remove(&self, states: &mut [State], going: &[Channel]) -> BTreeSet<usize> {
        let mut touched = BTreeSet::new();
        for (s, block) in going.iter().flat_map(|root| self.read.get(root)).flatten() {
            states[*s].remove(*block);
            touched.insert(*s);
        }
        touched
    }
}

/// How many groups every list must keep.
pub(super) struct Bound {
    least: Vec<usize>,
    left: Vec<usize>,
    lists: BTreeMap<Channel, Vec<usize>>,
}

impl Bound {
    /// At least one of every list, or as many as are to be left of it, and no more than a share of it may go.
    pub(super) fn new(coupling: &Coupling, (ratio, multiple): (f64, usize), alive: &[bool]) -> Self {
        let mut lists: BTreeMap<Channel, Vec<usize>> = BTreeMap::new();
        for (i, list) in coupling.lists.iter().enumerate() {
            list.iter().for_each(|root| lists.entry(*root).or_default().push(i));
        }
        let few = |list: &Vec<Channel>| multiple.clamp(1, list.len().max(1));
        let share = |list: &Vec<Channel>| ((1.0 - ratio) * list.len() as f64 - 1e-9).ceil() as usize;
        let least = |list: &Vec<Channel>| share(list).max(few(list));
        let left = |list: &Vec<Channel>| list.iter().filter(|r| alive[**r as usize]).count();
        let (least, left) = coupling.lists.iter().map(|l| (least(l), left(l))).unzip();
        Self { least, left, lists }
    }

    /// How many of each list go.
    fn count(&self, going: &[Channel]) -> BTreeMap<usize, usize> {
        let mut count: BTreeMap<usize, usize> = BTreeMap::new();
        let lists = going.iter().flat_map(|root| self.lists.get(root)).flatten();
        lists.for_each(|i| *count.entry(*i).or_default() += 1);
        count
    }

    /// Units that stand in the same lists, each as often.
    fn alike(&self, coupling: &Coupling, units: &[usize]) -> Vec<Vec<usize>> {
        let mut kinds: BTreeMap<BTreeMap<usize, usize>, Vec<usize>> = BTreeMap::new();
        for unit in units {
            kinds.entry(self.count(&coupling.units[*unit])).or_default().push(*unit);
        }
        kinds.into_values().collect()
    }

    /// How many units like `going` must go so that a multiple is left of the shortest list they stand in.
    fn step(&self, going: &[Channel], multiple: usize) -> usize {
        let shortest = self.count(going).into_iter().min_by_key(|(i, _)| self.left[*i]);
        let leaves = |(i, each): (usize, usize)| {
            (1..=multiple).find(|n| self.left[i].checked_sub(n * each).is_some_and(|left| left % multiple == 0))
        };
        shortest.and_then(leaves).unwrap_or(1)
    }

    /// True when all of these may go, of which there is one at least.
    pub(super) fn allows(&self, going: &[Channel]) -> bool {
        !going.is_empty() && self.count(going).iter().all(|(i, n)| self.left[*i] >= self.least[*i] + n)
    }

    pub(super) fn remove(&mut self, going: &[Channel]) {
        self.count(going).iter().for_each(|(i, n)| self.left[*i] -= n);
    }
}
