//! A widened convolution cut into blocks: the carried channels cost as many weights as a block is wide, and not as many as
//! the body is.
//!
//! *Select*: channels are repeated and brought together. *Blocks*: a grouped convolution, in which some groups hold a block
//! of the body's weights each, and others pass carried channels. *Sum*: the partial results are selected again and added up
//! by a 1x1 convolution of zeros and ones, in groups too, which has the bias and merges. Selections that change nothing are
//! left out, and where no group holds a part of a row only, so is the sum: [`Hop`] says what is left.

use super::slots::{Carried, Layout, MAX_SLOTS, Slot};
use super::widen::{Columns, Reach};

/// How a convolution stands between the layout in front of it and the one behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hop {
    /// The columns of the layout in front that it reads; `None` for all of them as they stand.
    pub select: Option<Vec<usize>>,
    /// What follows, where it writes partial results.
    pub sum: Option<Sum>,
}

/// The sum of partial results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// What the convolution writes.
    pub partial: Layout,
    /// The columns of that which the sum reads; `None` for all of them as they stand.
    pub select: Option<Vec<usize>>,
}

/// How the weights of the body are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Into squares of so many inputs and outputs: every input is read once for each row of squares.
    Squares(usize),
    /// Into columns of so many inputs, which give all outputs of their group and pass what is carried of the same inputs:
    /// for a convolution that reads the fork itself, whose channels are body and carried at once.
    Columns(usize),
}

impl Cut {
    /// Inputs of a block.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::Squares(width) | Self::Columns(width) => width,
        }
    }

    /// What the blocks write for a body of so many groups with so many inputs and outputs each, and in how many groups.
    /// `None` when there is nothing to sum up, or when there would be too many slots.
    #[must_use]
    pub fn partial(self, group: usize, (inputs, outputs): (usize, usize), carried: usize) -> Option<(Layout, usize)> {
        let width = self.width();
        if width == 0 || width >= inputs || outputs == 0 {
            return None;
        }
        let (terms, height) = (inputs.div_ceil(width), if let Self::Squares(_) = self { width } else { outputs });
        let blocks = group.checked_mul(terms)?.checked_mul(outputs.div_ceil(height))?;
        let passing = if let Self::Squares(_) = self { carried.div_ceil(width) } else { 0 };
        blocks.checked_add(passing)?.checked_mul(self.height(outputs)).filter(|slots| *slots <= MAX_SLOTS)?;
        let (mut layout, mut groups) = (Layout::new(), 0);
        for g in 0..group {
            for first in (0..outputs).step_by(height) {
                let rows = first..outputs.min(first + height);
                for from in (0..inputs).step_by(width) {
                    let to = inputs.min(from + width);
                    let partial = |o: usize| Slot::partial((g * outputs + o) as u32, from as u32, to as u32);
                    layout.extend(rows.clone().map(partial));
                    let passed = match self {
                        Self::Squares(_) => 0..0,
                        Self::Columns(_) => g * inputs + from..carried.min(g * inputs + to),
                    };
                    layout.extend(passed.map(|c| Slot::carried(c as u32)));
                    groups += 1;
                    layout.resize(groups * self.height(outputs), Slot::ZERO);
                }
            }
        }
        if let Self::Squares(_) = self {
            layout.extend((0..carried as u32).map(Slot::carried));
            groups += carried.div_ceil(width);
            layout.resize(groups * width, Slot::ZERO);
        }
        Some((layout, groups))
    }

    /// Outputs of a block, carried ones included.
    const fn height(self, outputs: usize) -> usize {
        match self {
            Self::Squares(width) => width,
            Self::Columns(width) => outputs + width,
        }
    }
}

/// As many of the body and as many carried channels in each of `groups`, zeros where that does not divide.
#[must_use]
pub fn balanced(groups: usize, body: usize, carried: Carried) -> Option<Layout> {
    let (own, more) = (body.div_ceil(groups.max(1)), carried.count.div_ceil(groups.max(1)));
    let width = own.checked_add(more.checked_mul(2)?)?;
    width.checked_mul(groups).filter(|slots| (1..=MAX_SLOTS).contains(slots))?;
    let mut layout = Layout::new();
    let run = |g: usize, each: usize, all: usize| (g * each).min(all)..((g + 1) * each).min(all);
    for g in 0..groups {
        let end = layout.len() + own;
        layout.extend(run(g, own, body).map(|c| Slot::body(c as u32)));
        layout.resize(end, Slot::ZERO);
        let end = end + more * carried.width();
        layout.extend(carried.slots(run(g, more, carried.count)));
        layout.resize(end, Slot::ZERO);
    }
    Some(layout)
}

impl Hop {
    /// A selection, and the convolution in `groups`.
    #[must_use]
    pub fn selected(reach: Reach, lin: &[Slot], lout: &[Slot], groups: usize) -> Option<Self> {
        Some(Self { select: proper(needed(reach, lin, lout, groups)?, lin.len()), sum: None })
    }

    /// How many channels such a selection takes; `None` where it does not fit, or nothing is selected.
    #[must_use]
    pub fn selected_channels(reach: Reach, lin: &[Slot], lout: &[Slot], groups: usize) -> Option<usize> {
        count_needed(reach, lin, lout, groups)
    }

    /// The blocks of `cut`, and their sum in `groups`. `reach` is that of the convolution, which passes so many `carried`
    /// channels, `merge` that of the sum, for which the body is the identity.
    #[must_use]
    pub fn blocks(
        (reach, merge): (Reach, Reach),
        (cut, group, carried): (Cut, usize, usize),
        lin: &[Slot],
        lout: &[Slot],
        groups: usize,
    ) -> Option<Self> {
        let (partial, blocks) = cut.partial(group, reach.body, carried)?;
        let select = proper(needed(reach, lin, &partial, blocks)?, lin.len());
        let terms = proper(needed(merge, &partial, lout, groups)?, partial.len());
        Some(Self { select, sum: Some(Sum { partial, select: terms }) })
    }
}

/// The columns of `lin` that each of `groups` equal runs of `lout` reads, in ascending order and as many for each: a run
/// that reads fewer has one of them several times, which changes nothing. `None` when `lout` has no such runs, or when `lin` lacks a channel.
fn needed(reach: Reach, lin: &[Slot], lout: &[Slot], groups: usize) -> Option<Vec<usize>> {
    let mut runs: Vec<Vec<usize>> = vec![Vec::new(); groups];
    each_needed(reach, lin, lout, groups, |run, column| runs[run].push(column))?;
    runs.iter_mut().for_each(|run| run.sort_unstable());
    let width = runs.iter().map(Vec::len).max().filter(|width| *width > 0)?;
    runs.len().checked_mul(width).filter(|slots| *slots <= MAX_SLOTS)?;
    for run in &mut runs {
        run.resize(width, run.last().copied().unwrap_or(0));
    }
    Some(runs.concat())
}

/// Calls `read` with the number of a run and each of the columns that it reads, once.
fn each_needed(
    reach: Reach,
    lin: &[Slot],
    lout: &[Slot],
    groups: usize,
    mut read: impl FnMut(usize, usize),
) -> Option<()> {
    if groups == 0 || lout.is_empty() || !lout.len().is_multiple_of(groups) {
        return None;
    }
    let columns = Columns::new(lin);
    // The last run that each column was put into, counted from 1.
    let mut put = vec![0; lin.len()];
    for (run, rows) in lout.chunks(lout.len() / groups).enumerate() {
        let mut add = |column: usize| {
            if put.get_mut(column).is_some_and(|last| std::mem::replace(last, run + 1) <= run) {
                read(run, column);
            }
        };
        // Neighbouring rows mostly read the same channels.
        let mut seen = (0..0, 0..0);
        for row in rows {
            let (body, _, carried) = reach.of(*row);
            if seen.0 != body {
                for c in body.clone() {
                    columns.body.get(c)?.columns()?.for_each(&mut add);
                }
            }
            if seen.1 != carried {
                for c in carried.clone() {
                    let place = columns.carried.get(c).filter(|p| p.is_there())?;
                    place.terms(1.0).iter().for_each(|(column, _)| add(*column));
                }
            }
            seen = (body, carried);
        }
    }
    Some(())
}

/// How many columns `needed` has; `None` where it has none, or all of them as they stand.
fn count_needed(reach: Reach, lin: &[Slot], lout: &[Slot], groups: usize) -> Option<usize> {
    // Of each run how many there are, the first and the last.
    let mut runs = vec![(0_usize, usize::MAX, 0_usize); groups];
    each_needed(reach, lin, lout, groups, |run, column| {
        let (count, first, last) = &mut runs[run];
        (*count, *first, *last) = (*count + 1, column.min(*first), column.max(*last));
    })?;
    let width = runs.iter().map(|(count, ..)| *count).max().filter(|width| *width > 0)?;
    let slots = runs.len().checked_mul(width).filter(|slots| *slots <= MAX_SLOTS)?;
    let stand = |(at, run): (usize, &(usize, usize, usize))| *run == (width, at * width, at * width + width - 1);
    (slots != lin.len() || !runs.iter().enumerate().all(stand)).then_some(slots)
}

/// `columns`, unless they are all of `width` as they stand.
fn proper(columns: Vec<usize>, width: usize) -> Option<Vec<usize>> {
    (columns.len() != width || columns.iter().enumerate().any(|(at, column)| at != *column)).then_some(columns)
}

/// The slots at `columns` of `layout`, or all.
#[must_use]
pub fn select(layout: &[Slot], columns: Option<&[usize]>) -> Option<Layout> {
    match columns {
        Some(columns) => columns.iter().map(|c| layout.get(*c).copied()).collect(),
        None => Some(layout.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ndarray::{ArrayD, IxDyn};

    use super::*;
    use crate::algebra::compose::compose;
    use crate::algebra::slots::{contiguous, shared};
    use crate::algebra::{Carry, Geometry, Kernel, widen::widen};

    fn kernel(outputs: usize, inputs: usize, taps: usize, group: usize) -> Kernel {
        let n = outputs * inputs / group * taps;
        let values = (0..n).map(|i| (i * 7 % 11) as f64 - 5.0).collect();
        let weight = ArrayD::from_shape_vec(IxDyn(&[outputs, inputs / group, taps]), values).unwrap();
        Kernel { weight, bias: Some((0..outputs).map(|o| o as f64 - 1.5).collect()), group }
    }

    fn window(taps: usize) -> Geometry {
        let pad = vec![taps / 2];
        Geometry { kernel: vec![taps], pad_begin: pad.clone(), pad_end: pad, ..Geometry::pointwise(1) }
    }

    fn picked(columns: &Option<Vec<usize>>, width: usize) -> Kernel {
        let all: Vec<usize> = (0..width).collect();
        let from: Vec<Option<usize>> = columns.as_ref().unwrap_or(&all).iter().map(|c| Some(*c)).collect();
        Kernel::selection(&from, width, 1).unwrap()
    }

    /// All steps of `hop` as one kernel, which must be the widened convolution.
    fn check(
        body: &Kernel,
        merge: Option<&Kernel>,
        cut: Cut,
        lin: &[Slot],
        lout: &[Slot],
        groups: usize,
    ) -> (usize, usize) {
        let (taps, carried) = (body.weight.shape()[2], lin.iter().filter(|s| s.carried.is_some()).count());
        let tap = Carry::Dirac(vec![taps / 2]);
        let behind = merge.map_or(Carry::Dirac(vec![0]), |k| Carry::Shortcut(k.clone()));
        let channels = (body.group_inputs(), body.group_outputs());
        let reach = (Reach::new(channels, &tap), Reach::new((1, 1), &behind));
        let hop = Hop::blocks(reach, (cut, body.group, carried), lin, lout, groups).unwrap();
        let sum = hop.sum.as_ref().unwrap();
        let reads = select(lin, hop.select.as_deref()).unwrap();
        let blocks = widen(body, &tap, &reads, &sum.partial, 1.0).unwrap();
        assert!(blocks.bias.is_none(), "only the sum has the bias");
        let terms = select(&sum.partial, sum.select.as_deref()).unwrap();
        let identity = Kernel { bias: body.bias.clone(), ..Kernel::identity(body.outputs(), 1) };
        let added = widen(&identity, &behind, &terms, lout, 1.0).unwrap();
        let (one, own) = (Geometry::pointwise(1), window(taps));
        let whole = compose(&picked(&hop.select, lin.len()), &one, &blocks, &own, &own).unwrap();
        let whole = compose(&whole, &own, &picked(&sum.select, sum.partial.len()), &one, &own).unwrap();
        let whole = compose(&whole, &own, &added, &one, &own).unwrap();
        let carry = match merge {
            Some(k) => Carry::Shortcut(k.clone().placed_in(&one, &own).unwrap()),
            None => tap,
        };
        let direct = widen(body, &carry, lin, lout, 1.0).unwrap().dense().unwrap();
        assert_eq!(whole.dense().unwrap(), direct, "{cut:?} in {groups} groups");
        (blocks.group, added.group)
    }

    #[test]
    fn all_steps_together_are_the_widened_convolution() {
        for cut in [1, 2, 3, 4, 5].map(Cut::Squares) {
            for groups in [1, 2, 3, 4, 8] {
                let carried = Carried::whole(7);
                let (lin, lout) = (contiguous(8, carried), balanced(groups, 6, carried).unwrap());
                let (_, sums) = check(&kernel(6, 8, 3, 1), None, cut, &lin, &lout, groups);
                assert!(sums >= groups);
            }
        }
        let carried = Carried::whole(4);
        let (lin, lout) = (contiguous(8, carried), balanced(4, 8, carried).unwrap());
        assert_eq!(check(&kernel(8, 8, 3, 1), None, Cut::Squares(2), &lin, &lout, 4), (4 * 4 + 2, 4));
    }

    #[test]
    fn columns_are_counted_as_they_would_be_listed() {
        let (mut nothing, mut some) = (0, 0);
        for count in [1, 4, 7] {
            let carried = Carried { count, paired: false };
            for (inputs, outputs, group) in [(8, 6, 1), (8, 8, 2), (6, 6, 6)] {
                let reach = Reach::new((inputs / group, outputs / group), &Carry::Dirac(vec![0]));
                for groups in [1, 2, 3, 4, 6, 8] {
                    let Some(lout) = balanced(groups, outputs, carried) else { continue };
                    for lin in [contiguous(inputs, carried), shared(inputs), lout.clone()] {
                        let listed = needed(reach, &lin, &lout, groups).and_then(|c| proper(c, lin.len()));
                        assert_eq!(count_needed(reach, &lin, &lout, groups), listed.as_ref().map(Vec::len));
                        *(if listed.is_some() { &mut some } else { &mut nothing }) += 1;
                    }
                }
            }
        }
        assert!(nothing > 10 && some > 10, "{nothing} {some}");
    }

    #[test]
    fn a_grouped_body_is_cut_group_by_group() {
        let carried = Carried::whole(5);
        let lout = balanced(2, 12, carried).unwrap();
        check(&kernel(12, 8, 3, 2), None, Cut::Squares(2), &contiguous(8, carried), &lout, 2);
        check(&kernel(12, 8, 3, 2), None, Cut::Squares(3), &contiguous(8, carried), &lout, 2);
        check(&kernel(12, 8, 3, 2), None, Cut::Columns(2), &shared(8), &balanced(4, 12, Carried::whole(8)).unwrap(), 4);
    }

    #[test]
    fn columns_of_the_fork_need_no_selection() {
        let carried = Carried::whole(8);
        for width in [1, 2, 3, 4] {
            let lout = balanced(2, 6, carried).unwrap();
            check(&kernel(6, 8, 3, 1), None, Cut::Columns(width), &shared(8), &lout, 2);
        }
        let tap = Carry::Dirac(vec![1]);
        let reach = (Reach::new((8, 6), &tap), Reach::new((1, 1), &tap));
        let lout = balanced(2, 6, carried).unwrap();
        let hop = Hop::blocks(reach, (Cut::Columns(4), 1, 8), &shared(8), &lout, 2).unwrap();
        assert_eq!(hop.select, None);
        assert_eq!(hop.sum.unwrap().partial.len(), 2 * (6 + 4));
    }

    #[test]
    fn the_sum_merges_and_projects() {
        let lin = contiguous(6, Carried::whole(8));
        for groups in [1, 2, 4, 8] {
            check(&kernel(8, 6, 3, 1), None, Cut::Squares(2), &lin, &shared(8), groups);
            let projection = kernel(8, 8, 1, 1);
            check(&kernel(8, 6, 3, 1), Some(&projection), Cut::Squares(3), &lin, &shared(8), groups);
        }
    }

    #[test]
    fn groups_that_do_not_divide_get_zeros() {
        let layout = balanced(4, 6, Carried::whole(5)).unwrap();
        assert_eq!(layout.len(), 4 * (2 + 2));
        assert_eq!(layout.iter().filter(|s| s.body.is_some()).count(), 6);
        assert_eq!(layout.iter().filter(|s| s.is_carried()).count(), 5);
        assert_eq!(layout.last(), Some(&Slot::ZERO));
        assert!(balanced(0, 6, Carried::whole(5)).is_none() && balanced(1, 0, Carried::whole(0)).is_none());
    }

    #[test]
    fn nothing_is_cut_that_is_no_wider_than_a_block() {
        assert!(Cut::Squares(8).partial(1, (8, 8), 4).is_none());
        assert!(Cut::Squares(0).partial(1, (8, 8), 4).is_none());
        assert!(Cut::Columns(1).partial(4, (1, 2), 4).is_none());
        assert!(Cut::Squares(1).partial(1, (1 << 12, 1 << 12), 0).is_none(), "too many slots");
    }

    #[test]
    fn a_partial_result_that_is_missing_is_refused() {
        let tap = Carry::Dirac(vec![0]);
        let identity = Kernel::identity(1, 1);
        let lin = [Slot::partial(0, 0, 2), Slot::partial(0, 2, 4), Slot::carried(0)];
        let lout = [Slot::body(0), Slot::carried(0)];
        let sum = widen(&identity, &tap, &lin, &lout, 1.0).unwrap();
        assert_eq!(sum.weight.iter().copied().collect::<Vec<_>>(), [1., 1., 0., 0., 0., 1.]);
        // In two groups one of them would have half of the sum.
        let halves = [Slot::partial(0, 0, 2), Slot::carried(0), Slot::partial(0, 2, 4), Slot::carried(1)];
        let twice = [Slot::body(0), Slot::carried(0), Slot::ZERO, Slot::carried(1)];
        assert_eq!(widen(&identity, &tap, &halves, &twice, 1.0).unwrap().group, 1);
    }
}
