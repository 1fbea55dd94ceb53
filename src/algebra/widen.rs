//! Widening a convolution between two layouts: *reserve*, *pass* and *merge* are all this one function.
//!
//! Row `Carried(j)` carries: one Dirac tap at the column of `Carried(j)`, or the shortcut's kernel. Row
//! `Body(j)` has the original weights at the columns of the body channels that it reads. A row that is
//! both is their sum, which is the merge. Zero rows and columns are 0.
//!
//! A row that holds a partial result reads some of these columns, and has no bias. A body channel that stands in partial
//! results is read at all of them: the sum of partial results is the identity, widened.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::ops::Range;

use ndarray::{ArrayD, IxDyn};

use super::kernel::{Kernel, entries};
use super::slots::{Part, Slot};
use super::window::gcd;

/// What a convolution does to the carried channels.
#[derive(Clone, Debug)]
pub enum Carry {
    /// Passes them unchanged, through the Dirac tap given (one index a spatial axis).
    Dirac(Vec<usize>),
    /// Applies the shortcut, already placed in the convolution's own window.
    Shortcut(Kernel),
}

/// The widths that decide which columns a row reads.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Body inputs and outputs of one group.
    pub body: (usize, usize),
    /// Carried inputs and outputs of one group; `(1, 1)` for a Dirac.
    pub carried: (usize, usize),
}

impl Reach {
    /// The reach of a convolution with so many body inputs and outputs a group, beside `carry`.
    #[must_use]
    pub fn new(body: (usize, usize), carry: &Carry) -> Self {
        let carried = match carry {
            Carry::Dirac(_) => (1, 1),
            Carry::Shortcut(k) => (k.group_inputs(), k.group_outputs()),
        };
        Self { body, carried }
    }

    fn reads((inputs, outputs): (usize, usize), channel: Option<u32>) -> Range<usize> {
        channel.map_or(0..0, |c| {
            let g = c as usize / outputs.max(1);
            g * inputs..(g + 1) * inputs
        })
    }

    /// The body channels that `row` reads, the first of its group, and the carried ones.
    pub(super) fn of(self, row: Slot) -> (Range<usize>, usize, Range<usize>) {
        let all = Self::reads(self.body, row.body);
        let body = match row.over {
            Some((from, to)) => all.start + from as usize..all.end.min(all.start + to.get() as usize),
            None => all.clone(),
        };
        (body, all.start, Self::reads(self.carried, row.carried))
    }
}

/// The inputs that a partial result sums up, from and to.
type Inputs = (u32, NonZeroU32);

/// In how many partial results each body channel of a layout stands; empty where all are whole.
fn parts(lin: &[Slot]) -> BTreeMap<u32, usize> {
    let mut parts = BTreeMap::new();
    let partial: BTreeSet<(u32, Inputs)> = lin.iter().filter_map(|s| Some((s.body?, s.over?))).collect();
    partial.into_iter().for_each(|(channel, _)| *parts.entry(channel).or_default() += 1);
    parts
}

/// The largest number of equal groups into which the widened convolution splits, or `None` when a row
/// reads a channel that `lin` does not hold.
#[must_use]
pub fn finest_group(reach: Reach, lin: &[Slot], lout: &[Slot]) -> Option<usize> {
    let common = gcd(lin.len(), lout.len());
    let parts = parts(lin);
    (1..=common).rev().filter(|g| common.is_multiple_of(*g)).find(|&g| splits(reach, &parts, lin, lout, g))
}

/// The columns of one group by the channel they hold.
pub(super) struct Columns {
    pub(super) body: Table<Standing>,
    pub(super) carried: Table<Place>,
}

/// One entry for each channel between the first and the last of a group: a group of few channels has a short one.
pub(super) struct Table<T> {
    first: usize,
    entries: Vec<T>,
}

impl<T: Clone + Default> Table<T> {
    fn over(channels: impl Iterator<Item = u32> + Clone) -> Self {
        let Some((first, last)) = channels.clone().min().zip(channels.max()) else {
            return Self { first: 0, entries: Vec::new() };
        };
        Self { first: first as usize, entries: vec![T::default(); (last - first) as usize + 1] }
    }

    pub(super) fn get(&self, channel: usize) -> Option<&T> {
        self.entries.get(channel.checked_sub(self.first)?)
    }

    fn get_mut(&mut self, channel: u32) -> Option<&mut T> {
        self.entries.get_mut((channel as usize).checked_sub(self.first)?)
    }
}

/// Where a body channel stands.
#[derive(Clone, Default)]
pub(super) enum Standing {
    #[default]
    Nowhere,
    /// In one column, as it is.
    Whole(usize),
    /// In partial results: the inputs that each sums up, and its column.
    Parts(Vec<(Inputs, usize)>),
}

impl Standing {
    /// A channel, or a partial result, that stands there twice is read once, at its first place.
    fn put(&mut self, over: Option<Inputs>, column: usize) {
        match (&mut *self, over) {
            (Self::Nowhere, None) => *self = Self::Whole(column),
            (Self::Nowhere, Some(over)) => *self = Self::Parts(vec![(over, column)]),
            (Self::Parts(parts), Some(over)) if parts.iter().all(|(o, _)| *o != over) => parts.push((over, column)),
            _ => {}
        }
    }

    /// The columns whose sum is the channel; `None` when it is not there.
    pub(super) fn columns(&self) -> Option<impl Iterator<Item = usize> + '_> {
        let (whole, parts) = match self {
            Self::Nowhere => return None,
            Self::Whole(column) => (Some(*column), &[][..]),
            Self::Parts(parts) => (None, parts.as_slice()),
        };
        Some(whole.into_iter().chain(parts.iter().map(|(_, column)| *column)))
    }

    /// True when `all` of its partial results are there, or it is whole.
    fn is_there(&self, all: Option<usize>) -> bool {
        match self {
            Self::Nowhere => false,
            Self::Whole(_) => true,
            Self::Parts(parts) => all.is_none_or(|all| parts.len() == all),
        }
    }
}

/// Where a carried channel stands.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    whole: Option<usize>,
    plus: Option<usize>,
    minus: Option<usize>,
}

impl Place {
    pub(super) fn is_there(self) -> bool {
        self.whole.is_some() || self.plus.is_some() && self.minus.is_some()
    }

    /// The columns whose weighted sum is the channel, where a pair differs by `scale` times the channel.
    pub(super) fn terms(self, scale: f64) -> Vec<(usize, f64)> {
        match (self.whole, self.plus, self.minus) {
            (Some(column), ..) => vec![(column, 1.0)],
            (None, Some(plus), Some(minus)) => vec![(plus, 1.0 / scale), (minus, -1.0 / scale)],
            _ => Vec::new(),
        }
    }
}

impl Columns {
    pub(super) fn new(part: &[Slot]) -> Self {
        let slots = || part.iter();
        let mut columns = Self {
            body: Table::over(slots().filter_map(|s| s.body)),
            carried: Table::over(slots().filter_map(|s| s.carried)),
        };
        for (i, slot) in part.iter().enumerate() {
            if let Some(standing) = slot.body.and_then(|c| columns.body.get_mut(c)) {
                standing.put(slot.over, i);
            }
            if let Some(place) = slot.carried.and_then(|c| columns.carried.get_mut(c)) {
                match slot.part {
                    Part::Whole => place.whole.get_or_insert(i),
                    Part::Plus => place.plus.get_or_insert(i),
                    Part::Minus => place.minus.get_or_insert(i),
                };
            }
        }
        columns
    }
}

fn splits(reach: Reach, parts: &BTreeMap<u32, usize>, lin: &[Slot], lout: &[Slot], group: usize) -> bool {
    let (width, height) = (lin.len() / group, lout.len() / group);
    lin.chunks(width).zip(lout.chunks(height)).all(|(part, rows)| {
        let columns = Columns::new(part);
        let mut seen = None;
        rows.iter().all(|row| {
            // Neighbouring rows mostly read the same channels.
            let (body, _, carried) = reach.of(*row);
            let wanted = (body, carried);
            if seen.as_ref() == Some(&wanted) {
                return true;
            }
            let all = |c: usize| u32::try_from(c).ok().and_then(|c| parts.get(&c).copied());
            let fits = wanted.0.clone().all(|c| columns.body.get(c).is_some_and(|s| s.is_there(all(c))))
                && wanted.1.clone().all(|c| columns.carried.get(c).is_some_and(|p| p.is_there()));
            seen = Some(wanted);
            fits
        })
    })
}

/// The weights of a kernel, one cell for each output and input of its group.
struct Cells<'a> {
    values: &'a [f64],
    width: usize,
    taps: usize,
}

impl Cells<'_> {
    fn at(&self, output: usize, input: usize) -> &[f64] {
        let at = (output * self.width + input) * self.taps;
        &self.values[at..at + self.taps]
    }
}

fn add(cell: &mut [f64], other: &[f64], factor: f64) {
    cell.iter_mut().zip(other).for_each(|(a, b)| *a += factor * b);
}

/// The convolution `body`, widened to read `lin` and write `lout`, in its own window.
///
/// `scale` is the factor by which the two halves of a pair in `lin` differ: 1 behind a Relu, `1 + alpha` behind a
/// LeakyRelu. Returns `None` when a row would need a channel that `lin` does not hold, or when it is too large.
#[must_use]
pub fn widen(body: &Kernel, carry: &Carry, lin: &[Slot], lout: &[Slot], scale: f64) -> Option<Kernel> {
    let reach = Reach::new((body.group_inputs(), body.group_outputs()), carry);
    let group = finest_group(reach, lin, lout)?;
    let (width, height) = (lin.len() / group, lout.len() / group);
    let mut shape = body.weight.shape().to_vec();
    shape[0] = lout.len();
    shape[1] = width;
    let taps: usize = shape[2..].iter().product();
    let mut weight = vec![0.0; entries(&[lout.len(), width, taps])?];
    let own = body.weight.as_standard_layout();
    let own = Cells { values: own.as_slice()?, width: body.group_inputs(), taps };
    let shortcut = match carry {
        Carry::Shortcut(k) => Some((k.weight.as_standard_layout(), k.group_inputs())),
        Carry::Dirac(_) => None,
    };
    let shortcut = match &shortcut {
        Some((values, width)) => Some(Cells { values: values.as_slice()?, width: *width, taps }),
        None => None,
    };
    let dirac = match carry {
        Carry::Dirac(tap) => tap.iter().zip(&shape[2..]).fold(0, |at, (t, k)| at * k + t),
        Carry::Shortcut(_) => 0,
    };
    let mut bias = vec![0.0; lout.len()];
    for g in 0..group {
        let columns = Columns::new(&lin[g * width..(g + 1) * width]);
        for o in g * height..(g + 1) * height {
            let row = lout[o];
            if let Some(b) = row.body {
                let (read, first, _) = reach.of(row);
                for c in read {
                    for column in columns.body.get(c)?.columns()? {
                        let at = (o * width + column) * taps;
                        add(&mut weight[at..at + taps], own.at(b as usize, c - first), 1.0);
                    }
                }
                if row.over.is_none() {
                    bias[o] += body.bias.as_ref().map_or(0.0, |v| v[b as usize]);
                }
            }
            let Some(j) = row.carried else { continue };
            let sign = if row.part == Part::Minus { -1.0 } else { 1.0 };
            match (carry, &shortcut) {
                (Carry::Shortcut(k), Some(kernel)) => {
                    for (i, c) in Reach::reads(reach.carried, row.carried).enumerate() {
                        for (column, factor) in columns.carried.get(c)?.terms(scale) {
                            let at = (o * width + column) * taps;
                            add(&mut weight[at..at + taps], kernel.at(j as usize, i), sign * factor);
                        }
                    }
                    bias[o] += sign * k.bias.as_ref().map_or(0.0, |v| v[j as usize]);
                }
                _ => {
                    for (column, factor) in columns.carried.get(j as usize)?.terms(scale) {
                        weight[(o * width + column) * taps + dirac] += sign * factor;
                    }
                }
            }
        }
    }
    let weight = ArrayD::from_shape_vec(IxDyn(&shape), weight).ok()?;
    let bias = bias.iter().any(|b| *b != 0.0).then_some(bias);
    Some(Kernel { weight, bias, group })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::algebra::slots::{Carried, contiguous, grouped, mixed, shared};

    fn kernel(outputs: usize, inputs: usize, taps: usize, group: usize) -> Kernel {
        let n = outputs * inputs * taps;
        let values = (0..n).map(|i| (i * 7 % 11) as f64 - 5.0).collect();
        let weight = ArrayD::from_shape_vec(IxDyn(&[outputs, inputs, taps]), values).unwrap();
        Kernel { weight, bias: Some((0..outputs).map(|o| o as f64).collect()), group }
    }

    #[test]
    fn one_convolution_merges_without_carrying() {
        let w = widen(&kernel(2, 2, 3, 1), &Carry::Dirac(vec![1]), &shared(2), &shared(2), 1.0).unwrap();
        let plain = kernel(2, 2, 3, 1);
        let extra: Vec<f64> = (&w.weight - &plain.weight).iter().copied().collect();
        assert_eq!(extra, [0., 1., 0., 0., 0., 0., 0., 0., 0., 0., 1., 0.]);
        assert_eq!((w.group, w.bias), (1, plain.bias));
    }

    #[test]
    fn a_first_convolution_reserves_and_a_last_one_merges() {
        let layout = contiguous(3, Carried::whole(2));
        let first = widen(&kernel(3, 2, 3, 1), &Carry::Dirac(vec![1]), &shared(2), &layout, 1.0).unwrap();
        assert_eq!(first.weight.shape(), [5, 2, 3]);
        assert_eq!(first.bias.unwrap()[..2], [0., 0.]);
        let last = widen(&kernel(2, 3, 1, 1), &Carry::Dirac(vec![0]), &layout, &shared(2), 1.0).unwrap();
        assert_eq!(last.weight.shape(), [2, 5, 1]);
        assert_eq!(last.weight[[0, 0, 0]], 1.0);
        assert_eq!(last.weight[[0, 1, 0]], 0.0);
    }

    #[test]
    fn a_middle_convolution_passes_in_groups() {
        let (before, after) = grouped(1, 2, 2, 1, Carried::whole(4)).unwrap();
        let w = widen(&kernel(2, 2, 3, 1), &Carry::Dirac(vec![1]), &before, &after, 1.0).unwrap();
        assert_eq!((w.group, w.weight.shape()), (3, &[6, 2, 3][..]));
        let dense = contiguous(2, Carried::whole(4));
        let w = widen(&kernel(2, 2, 3, 1), &Carry::Dirac(vec![1]), &dense, &dense, 1.0).unwrap();
        assert_eq!(w.group, 3, "the carried half splits as finely as the body allows");
    }

    #[test]
    fn a_depthwise_convolution_beside_the_fork_keeps_its_groups() {
        let w = widen(
            &kernel(3, 1, 3, 3),
            &Carry::Dirac(vec![1]),
            &shared(3),
            &mixed(3, 3, Carried::whole(3)).unwrap(),
            1.0,
        )
        .unwrap();
        assert_eq!((w.group, w.weight.shape()), (3, &[6, 1, 3][..]));
    }

    #[test]
    fn a_pair_is_written_with_both_signs_and_read_as_a_difference() {
        let pairs = contiguous(2, Carried { count: 2, paired: true });
        let first = widen(&kernel(2, 2, 1, 1), &Carry::Dirac(vec![0]), &shared(2), &pairs, 1.0).unwrap();
        assert_eq!((first.weight[[0, 0, 0]], first.weight[[1, 0, 0]]), (1.0, -1.0));
        let last = widen(&kernel(2, 2, 1, 1), &Carry::Dirac(vec![0]), &pairs, &shared(2), 1.25).unwrap();
        assert_eq!((last.weight[[0, 0, 0]], last.weight[[0, 1, 0]]), (0.8, -0.8));
    }

    #[test]
    fn a_missing_channel_is_refused() {
        let lin = [Slot::body(0), Slot::carried(0)];
        assert!(widen(&kernel(2, 2, 1, 1), &Carry::Dirac(vec![0]), &lin, &shared(2), 1.0).is_none());
    }
}
