//! Groups of channels that go only with others, and the units in which they go.
//!
//! What a grouped convolution reads is a grid: groups and, in each, places. What is left must be a grid again, so whole rows may go and whole
//! columns. Rows and columns of all convolutions, each united over all of them, are two coarser partitions of the channels; whatever
//! classes of both have gone, every grid has lost whole rows and whole columns.

use std::collections::{BTreeMap, BTreeSet};

/// Number of a channel; those of one group have one root.
pub(in crate::prune) type Channel = u32;

/// Channels, some of them united.
#[derive(Clone, Default)]
pub(super) struct Partition {
    parent: Vec<Channel>,
}

impl Partition {
    pub(super) fn fresh(&mut self, n: usize) -> Vec<Channel> {
        let first = self.parent.len() as Channel;
        let channels: Vec<Channel> = (first..first + n as Channel).collect();
        self.parent.extend(&channels);
        channels
    }

    fn find(&mut self, channel: Channel) -> Channel {
        let mut root = channel;
        while self.parent[root as usize] != root {
            let up = self.parent[self.parent[root as usize] as usize];
            self.parent[root as usize] = up;
            root = up;
        }
        root
    }

    pub(super) fn unite(&mut self, a: Channel, b: Channel) {
        let (a, b) = (self.find(a), self.find(b));
        self.parent[a.max(b) as usize] = a.min(b);
    }

    /// The root of each channel: the first that is united with it.
    pub(super) fn roots(&self) -> Vec<Channel> {
        let mut all = self.clone();
        (0..self.parent.len()).map(|c| all.find(c as Channel)).collect()
    }

    /// This, with these pairs united too.
    fn with(&self, pairs: &[(Channel, Channel)]) -> Self {
        let mut all = self.clone();
        pairs.iter().for_each(|(a, b)| all.unite(*a, *b));
        all
    }
}

/// What goes only with something else.
#[derive(Default)]
pub(super) struct Grids {
    /// Neighbours in a row: of one group.
    rows: Vec<(Channel, Channel)>,
    /// Neighbours in a column: at one place of two groups.
    columns: Vec<(Channel, Channel)>,
    /// A channel, and a copy of it that goes when it goes.
    copies: Vec<(Channel, Channel)>,
}

impl Grids {
    /// What a convolution in groups reads and gives.
    pub(super) fn add(&mut self, read: &[Channel], given: &[Channel], group: usize) {
        for side in [read, given] {
            let each = side.len() / group.max(1);
            let columns = side.iter().enumerate().skip(each).map(|(i, c)| (side[i % each], *c));
            self.columns.extend(columns);
            let rows = side.iter().enumerate().map(|(i, c)| (read[i / each * (read.len() / group)], *c));
            self.rows.extend(rows);
        }
    }

    pub(super) fn copy(&mut self, of: Channel, copy: Channel) {
        self.copies.push((of, copy));
    }

    /// All that can go: each column and each row, with the copies of what is in it, and with what goes with these.
    pub(super) fn units(&self, united: &Partition) -> Vec<Vec<Channel>> {
        let root = united.roots();
        let (columns, rows) = (united.with(&self.columns).roots(), united.with(&self.rows).roots());
        let classes = |of: &[Channel]| {
            let mut classes: BTreeMap<Channel, BTreeSet<Channel>> = BTreeMap::new();
            of.iter().zip(&root).for_each(|(class, root)| _ = classes.entry(*class).or_default().insert(*root));
            classes
        };
        let (by_column, by_row) = (classes(&columns), classes(&rows));
        let mut copies: BTreeMap<Channel, BTreeSet<Channel>> = BTreeMap::new();
        for (of, copy) in &self.copies {
            copies.entry(root[*of as usize]).or_default().insert(columns[*copy as usize]);
        }
        let whole = |seed: &BTreeSet<Channel>| {
            let (mut unit, mut open) = (seed.clone(), Vec::from_iter(seed.iter().copied()));
            while let Some(next) = open.pop() {
                let columns = copies.get(&next).into_iter().flatten().filter_map(|column| by_column.get(column));
                open.extend(columns.flatten().filter(|c| unit.insert(**c)));
            }
            Vec::from_iter(unit)
        };
        let units: BTreeSet<Vec<Channel>> = by_column.values().chain(by_row.values()).map(whole).collect();
        units.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_go_and_copies_follow() {
        let mut united = Partition::default();
        let (read, given) = (united.fresh(6), united.fresh(3));
        let mut grids = Grids::default();
        // Three groups of two, with one output each.
        grids.add(&read, &given, 3);
        let columns = [vec![0, 2, 4], vec![1, 3, 5], vec![6, 7, 8]];
        let rows = [vec![0, 1, 6], vec![2, 3, 7], vec![4, 5, 8]];
        let sorted = |units: &[Vec<Channel>]| {
            let mut units = units.to_vec();
            units.sort();
            units
        };
        assert_eq!(grids.units(&united), sorted(&[&columns[..], &rows[..]].concat()));
        // Channel 9 is copied to the first place of two groups: with it the column goes, and the copies go without it.
        let source = united.fresh(1)[0];
        grids.copy(source, 0);
        grids.copy(source, 2);
        assert_eq!(grids.units(&united), sorted(&[&columns[..], &rows[..], &[vec![0, 2, 4, 9]]].concat()));
        // What is united with a member goes with it, and what two rows share makes them one.
        united.unite(1, 3);
        let shared = [vec![0, 1, 2, 6, 7], vec![0, 2, 4], vec![0, 2, 4, 9], vec![1, 5], vec![4, 5, 8], vec![6, 7, 8]];
        assert_eq!(grids.units(&united), sorted(&shared));
    }
}
