//! A widened convolution cut into blocks: the carried channels cost as many weights as a block is wide, and not as many as
//! the body is.
//!
//! *Select*: channels are repeated and brought together. *Blocks*: a grouped convolution, in which some groups hold a block
//! of the body's weights each, and others pass carried channels. *Sum*: the partial results are selected again and added up
//! by a 1x1 convolution of zeros and ones, in groups too, which has the bias and merges. Selections that change nothing are
//! left out, and where no group holds a part of a row only, so is the sum: [`Hop`] says what is left.

use super::slots::{Carried, Layout, MOST_SLOTS, Slot};
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
        blocks.checked_add(carried)?.checked_mul(width.checked_add(height)?).filter(|slots| *slots <= MOST_SLOTS)?;
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
    width.checked_mul(groups).filter(|slots| (1..=MOST_SLOTS).contains(slots))?;
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
    if groups == 0 || lout.is_empty() || !lout.len().is_multiple_of(groups) {
        return None;
    }
    let columns = Columns::new(lin);
    let mut runs: Vec<Vec<usize>> = Vec::new();
    for rows in lout.chunks(lout.len() / groups) {
        let mut run = Vec::new();
        let mut seen = None;
        for row in rows {
            let (body, _, carried) = reach.of(*row);
            if seen.as_ref() != Some(&body) {
                for c in body.clone() {
                    run.extend(columns.body.get(c)?.columns()?);
                }
                seen = Some(body);
            }
            for c in carried {
                let place = columns.carried.get(c).filter(|p| p.is_there())?;
                run.extend(place.terms(1.0).iter().map(|(column, _)| *column));
            }
        }
        run.sort_unstable();
        run.dedup();
        runs.push(run);
    }
    let width = runs.iter().map(Vec::len).max().filter(|width| *width > 0)?;
    runs.len().checked_mul(width).filter(|slots| *slots <= MOST_SLOTS)?;
    for run in &mut runs {
        run.resize(width, run.last().copied().unwrap_or(0));
    }
    Some(runs.concat())
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
