//! The forms that one convolution of a branch can have between two layouts, and what each costs.
//!
//! *Direct*: one convolution. *Selected*: a selection of channels in front of a grouped one. *Blocks*: the weights cut into
//! blocks and their results summed up ([`crate::algebra::blocks`]), which is priced by counting, for nothing but the form
//! that is chosen is worth laying out.

use std::collections::BTreeSet;

use crate::algebra::blocks::balanced;
use crate::algebra::slots::{grouped, shared};
use crate::algebra::{Carried, Cut, Hop, Layout, Reach, Slot, widen::finest_group};
use crate::options::Rates;
use crate::read::BranchConv;
use crate::residual::host::Hosted;

use super::cost::Cost;
use super::work::Work;

/// Most ways in which the body's outputs are split over groups.
const MAX_REPLICAS: usize = 16;

/// Most channels of a tensor inside of a form, in channels of the larger layout around it.
const MAX_SPREAD: usize = 32;

/// Widths of blocks that are tried, beside halves, thirds and quarters of the body's width; smaller ones where they are forced.
const WIDTHS: &[usize] = &[4, 8, 16, 32, 64, 128, 256];
const SMALL_WIDTHS: &[usize] = &[1, 2, 3, 5];

/// One form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One convolution, or an operator that is none.
    Direct,
    /// A selection, and a convolution in so many groups.
    Selected { groups: usize },
    /// Blocks, and a sum in so many groups.
    Blocks { cut: Cut, groups: usize },
}

/// A convolution of the branch.
pub(super) struct Place<'a> {
    pub(super) conv: &'a BranchConv,
    pub(super) hosted: &'a Hosted,
    /// Carried channels in front of it and behind.
    pub(super) carried: (Carried, Carried),
    /// Positions in front of it and behind.
    pub(super) positions: (f64, f64),
    /// True when it merges.
    pub(super) is_last: bool,
    /// What the model of time counts with.
    pub(super) rates: Rates,
}

impl Place<'_> {
    fn reach(&self) -> Reach {
        Reach::new(self.conv.group_channels(), &self.hosted.carry)
    }

    fn work(&self, inputs: usize, outputs: usize, group: usize) -> Work {
        Work { inputs, outputs, group, taps: self.hosted.window.taps(), positions: self.positions }
    }

    /// One convolution in as many groups as `groups` makes of the finest. `None` when a channel is missing.
    pub(super) fn direct(&self, lin: &[Slot], lout: &[Slot], groups: impl Fn(usize) -> usize) -> Option<Work> {
        let finest = finest_group(self.reach(), lin, lout)?;
        Some(self.work(lin.len(), lout.len(), groups(finest)))
    }

    /// A selection in front of a convolution in `groups`: its cost, and the convolution.
    pub(super) fn selected(&self, lin: &[Slot], lout: &[Slot], groups: usize) -> Option<(Cost, Work)> {
        let columns = Hop::selected_channels(self.reach(), lin, lout, groups)?;
        if columns > MAX_SPREAD * lin.len().max(lout.len()) {
            return None;
        }
        let work = self.work(columns, lout.len(), groups);
        Some((Cost::select(lin.len(), columns, self.positions.0, &self.rates) + Cost::conv(&work, &self.rates), work))
    }

    /// Numbers of groups in which what it writes may be gathered.
    pub(super) fn groups(&self) -> BTreeSet<usize> {
        let (body, carried) = (self.conv.channels.1, self.carried.1.count);
        let common = |n: usize| body.is_multiple_of(n) && (self.is_last || carried.is_multiple_of(n));
        let powers = (0..).map(|p| 1_usize << p).take_while(|n| *n <= body.max(carried));
        let parts = [1, 2, 3, 4, 6, 8, 12, 16, 32].into_iter().filter(|n| body.is_multiple_of(*n)).map(|n| body / n);
        powers
            .chain(parts)
            .filter(|n| *n > 0)
            .filter(|n| common(*n) || !self.is_last && *n <= body.min(carried))
            .collect()
    }

    /// The layout in which so many groups write.
    pub(super) fn layout(&self, groups: usize) -> Option<Layout> {
        match self.is_last {
            true => Some(shared(self.conv.channels.1)),
            false => balanced(groups, self.conv.channels.1, self.carried.1),
        }
    }

    /// Layouts behind a convolution that passes carried channels in groups of its own, and how many there are.
    pub(super) fn grouped(&self) -> Vec<(Layout, usize)> {
        let (group, (inputs, outputs)) = (self.conv.group.max(1), self.conv.group_channels());
        let split = |r: usize| {
            let (_, after) = grouped(group, inputs, outputs, r, self.carried.1)?;
            let groups = after.len() / (outputs / r).max(1);
            Some((after, groups))
        };
        let all = || replicas(outputs).filter_map(split);
        if self.is_last { Vec::new() } else { all().collect() }
    }

    /// The cuts that may be tried behind `lin`.
    pub(super) fn cuts(&self, lin: &[Slot], forced: bool) -> Vec<Cut> {
        // The halves of a pair would have to be told apart on the way.
        if self.carried.0.paired || self.hosted.parted().is_none() {
            return Vec::new();
        }
        let (inputs, _) = self.conv.group_channels();
        let parts = [2, 3, 4].into_iter().filter(|n| inputs.is_multiple_of(*n)).map(|n| inputs / n);
        let small = SMALL_WIDTHS.iter().filter(|_| forced);
        let widths: BTreeSet<usize> =
            WIDTHS.iter().chain(small).copied().chain(parts).filter(|w| (1..inputs).contains(w)).collect();
        let own = lin.len() == self.conv.channels.0 && lin == shared(lin.len());
        let columns = widths.iter().filter(|_| own).map(|w| Cut::Columns(*w));
        widths.iter().map(|w| Cut::Squares(*w)).chain(columns).collect()
    }

    /// What blocks behind `lin` and their sum in `groups` cost, and the largest of their weights. `None` where they do not fit.
    pub(super) fn blocks(&self, lin: &[Slot], cut: Cut, groups: usize) -> Option<(Cost, usize)> {
        let (group, (inputs, outputs)) = (self.conv.group.max(1), self.conv.group_channels());
        let (carried, behind) = (self.carried.0.count, self.carried.1);
        let (width, terms) = (cut.width(), inputs.div_ceil(cut.width()));
        let blocks = match cut {
            Cut::Squares(_) => {
                let blocks = group * terms * outputs.div_ceil(width) + carried.div_ceil(width);
                self.work(blocks * width, blocks * width, blocks)
            }
            Cut::Columns(_) => {
                let blocks = group * terms;
                self.work(blocks * width, blocks * (outputs + width), blocks)
            }
        };
        let body = self.conv.channels.1.div_ceil(groups);
        let own = if self.is_last { body } else { behind.count.div_ceil(groups) };
        let merged = match self.hosted.parted()?.1 {
            None => own,
            Some(kernel) if kernel.group == 1 => carried,
            Some(_) => return None,
        };
        let pairs = if behind.paired { 2 } else { 1 };
        let height = if self.is_last { body } else { body + own * pairs };
        let at = self.positions.1;
        let sum = Work {
            inputs: groups * (body * terms + merged),
            outputs: groups * height,
            group: groups,
            taps: 1,
            positions: (at, at),
        };
        let most = MAX_SPREAD.saturating_mul(lin.len().max(sum.outputs));
        if blocks.inputs.max(blocks.outputs).max(sum.inputs) > most {
            return None;
        }
        let mut cost = Cost::conv(&blocks, &self.rates) + Cost::conv(&sum, &self.rates);
        if cut == Cut::Squares(width) || blocks.inputs != lin.len() {
            cost = cost + Cost::select(lin.len(), blocks.inputs, self.positions.0, &self.rates);
        }
        if groups > 1 {
            cost = cost + Cost::select(blocks.outputs, sum.inputs, at, &self.rates);
        }
        Some((cost, blocks.weights().max(sum.weights())))
    }

    /// `form` between two layouts.
    pub(super) fn hop(&self, form: Form, lin: &[Slot], lout: &[Slot]) -> Option<Hop> {
        match form {
            Form::Direct => Some(Hop::default()),
            Form::Selected { groups } => Hop::selected(self.reach(), lin, lout, groups),
            Form::Blocks { cut, groups } => {
                let (pass, merge) = self.hosted.steps()?;
                let reach = Reach::new(self.conv.group_channels(), &pass);
                let body = (cut, self.conv.group.max(1), self.carried.0.count);
                Hop::blocks((reach, Reach::new((1, 1), &merge)), body, lin, lout, groups)
            }
        }
    }
}

/// The numbers of groups over which so many outputs may be split.
pub(super) fn replicas(outputs: usize) -> impl Iterator<Item = usize> {
    (1..=MAX_REPLICAS.min(outputs)).filter(move |r| outputs.is_multiple_of(*r))
}
