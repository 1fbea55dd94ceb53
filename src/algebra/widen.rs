//! Widening a convolution between two layouts: *reserve*, *pass* and *merge* are all this one function.
//!
//! Row `Carried(j)` carries: one Dirac tap at the column of `Carried(j)`, or the shortcut's kernel. Row
//! `Body(j)` has the original weights at the columns of the body channels that it reads. A row that is
//! both is their sum, which is the merge. Zero rows and columns are 0.

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

    fn reads((inputs, outputs): (usize, usize), channel: Option<u32>) -> std::ops::Range<usize> {
        channel.map_or(0..0, |c| {
            let g = c as usize / outputs.max(1);
            g * inputs..(g + 1) * inputs
        })
    }
}

/// The largest number of equal groups into which the widened convolution splits, or `None` when a row
/// reads a channel that `lin` does not hold.
#[must_use]
pub fn finest_group(reach: Reach, lin: &[Slot], lout: &[Slot]) -> Option<usize> {
    let common = gcd(lin.len(), lout.len());
    (1..=common).rev().filter(|g| common.is_multiple_of(*g)).find(|&g| splits(reach, lin, lout, g))
}

/// The columns of one group by the channel they hold.
struct Columns {
    body: Table<Option<usize>>,
    carried: Table<Place>,
}

/// One entry for each channel between the first and the last of a group: a group of few channels has a short one.
struct Table<T> {
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

    fn get(&self, channel: usize) -> Option<&T> {
        self.entries.get(channel.checked_sub(self.first)?)
    }

    fn get_mut(&mut self, channel: u32) -> Option<&mut T> {
        self.entries.get_mut((channel as usize).checked_sub(self.first)?)
    }
}

/// Where a carried channel stands.
#[derive(Clone, Copy, Default)]
struct Place {
    whole: Option<usize>,
    plus: Option<usize>,
    minus: Option<usize>,
}

impl Place {
    fn is_there(self) -> bool {
        self.whole.is_some() || self.plus.is_some() && self.minus.is_some()
    }

    /// The columns whose weighted sum is the channel, where a pair differs by `scale` times the channel.
    fn terms(self, scale: f64) -> Vec<(usize, f64)> {
        match (self.whole, self.plus, self.minus) {
            (Some(column), ..) => vec![(column, 1.0)],
            (None, Some(plus), Some(minus)) => vec![(plus, 1.0 / scale), (minus, -1.0 / scale)],
            _ => Vec::new(),
        }
    }
}

impl Columns {
    fn new(part: &[Slot]) -> Self {
        let slots = || part.iter();
        let mut columns = Self {
            body: Table::over(slots().filter_map(|s| s.body)),
            carried: Table::over(slots().filter_map(|s| s.carried)),
        };
        for (i, slot) in part.iter().enumerate() {
            // A channel that stands twice in a group is read once, at its first place.
            if let Some(column) = slot.body.and_then(|c| columns.body.get_mut(c)) {
                column.get_or_insert(i);
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

fn splits(reach: Reach, lin: &[Slot], lout: &[Slot], group: usize) -> bool {
    let (width, height) = (lin.len() / group, lout.len() / group);
    lin.chunks(width).zip(lout.chunks(height)).all(|(part, rows)| {
        let columns = Columns::new(part);
        let mut seen = None;
        rows.iter().all(|row| {
            // Neighbouring rows mostly read the same channels.
            let wanted = (Reach::reads(reach.body, row.body), Reach::reads(reach.carried, row.carried));
            if seen.as_ref() == Some(&wanted) {
                return true;
            }
            let fits = wanted.0.clone().all(|c| matches!(columns.body.get(c), Some(Some(_))))
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
                for (i, c) in Reach::reads(reach.body, row.body).enumerate() {
                    let at = (o * width + (*columns.body.get(c)?)?) * taps;
                    add(&mut weight[at..at + taps], own.at(b as usize, i), 1.0);
                }
                bias[o] += body.bias.as_ref().map_or(0.0, |v| v[b as usize]);
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
