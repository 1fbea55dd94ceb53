//! Two graphs cut into rows at the lines that the same tensors cross in both: a tensor that keeps its name keeps its value, so
//! what stands between two such lines on one side computes what stands between them on the other.

use std::collections::HashMap;
use std::ops::Range;

use super::net::Net;

/// Most nodes of a row about a join that stays; of a longer way round it the join alone is shown.
const MAX_KEPT: usize = 60;

/// Rows of what did not change are cut where they get longer than this, as soon as few tensors cross the line.
const LONG: usize = 24;

/// Most rows; what stands behind them is one row.
const MAX_ROWS: usize = 600;

/// What a row shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::page) enum RowKind {
    /// The same on both sides.
    Same,
    /// Rewritten.
    Changed,
    /// The same, with a join that stays.
    Kept,
}

/// What stands between two lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::page) struct Row {
    pub(in crate::page) kind: RowKind,
    /// Nodes of the first graph.
    pub(in crate::page) before: Range<usize>,
    /// Nodes of the second graph.
    pub(in crate::page) after: Range<usize>,
}

impl Row {
    fn joined(&self, next: &Self, kind: RowKind) -> Self {
        Self { kind, before: self.before.start..next.before.end, after: self.after.start..next.after.end }
    }
}

/// The rows of both graphs; `kept` are the nodes of the first one that are joins and stay. Every node is in one row.
pub(in crate::page) fn rows(before: &Net, after: &Net, kept: &[usize]) -> Vec<Row> {
    let lines = before.lines();
    let mut atoms = atoms(before, &lines, after);
    around_kept(&mut atoms, &lines, kept);
    let merged = merge(atoms, &lines);
    bounded(absorb(merged))
}

/// The smallest rows there are.
fn atoms(before: &Net, lines: &[(usize, u64)], after: &Net) -> Vec<Row> {
    let others = after.lines();
    let mut at: HashMap<u64, Vec<usize>> = HashMap::new();
    for (line, (_, key)) in others.iter().enumerate() {
        at.entry(*key).or_default().push(line);
    }
    let ends = (before.nodes.len(), after.nodes.len());
    let mut cuts = vec![(0, 0)];
    for (line, (_, key)) in lines.iter().enumerate().take(ends.0).skip(1) {
        let last = cuts.last().map_or(0, |(_, other)| *other);
        let found = at.get(key).and_then(|all| all.get(all.partition_point(|l| *l < last)));
        cuts.extend(found.filter(|other| **other < ends.1).map(|other| (line, *other)));
    }
    cuts.push(ends);
    let atom = |pair: &[(usize, usize)]| {
        let (from, to) = (pair[0], pair[1]);
        let (a, b) = (&before.nodes[from.0..to.0], &after.nodes[from.1..to.1]);
        let same = a.iter().map(|n| n.signature).eq(b.iter().map(|n| n.signature));
        Row { kind: if same { RowKind::Same } else { RowKind::Changed }, before: from.0..to.0, after: from.1..to.1 }
    };
    cuts.windows(2).map(atom).filter(|row| !row.before.is_empty() || !row.after.is_empty()).collect()
}

/// Makes one row of what stands around each join that stays, where nothing of it is rewritten.
fn around_kept(atoms: &mut Vec<Row>, lines: &[(usize, u64)], kept: &[usize]) {
    let mut spans: Vec<Range<usize>> = kept
        .iter()
        .map(|join| {
            // Where no more tensors were alive than behind the join, its sides were one.
            let alive = lines.get(join + 1).map_or(0, |line| line.0);
            let from = (join.saturating_sub(MAX_KEPT)..*join).rev().find(|line| lines[*line].0 <= alive);
            from.unwrap_or(*join)..join + 1
        })
        .collect();
    spans.sort_by_key(|span| (span.start, span.end));
    let mut spans = spans.into_iter().peekable();
    let mut found: Vec<Row> = Vec::with_capacity(atoms.len());
    let mut open: Option<Range<usize>> = None;
    for atom in atoms.drain(..) {
        while let Some(span) = spans.next_if(|span| span.start < atom.before.end) {
            open = match open {
                Some(o) if span.start < o.end => Some(o.start..o.end.max(span.end)),
                _ => Some(span),
            };
        }
        let inside = open.as_ref().is_some_and(|o| o.start < atom.before.end && atom.before.start < o.end);
        match (inside && atom.kind != RowKind::Changed, found.last_mut()) {
            (true, Some(last))
                if last.kind == RowKind::Kept && open.as_ref().is_some_and(|o| o.start < last.before.end) =>
            {
                *last = last.joined(&atom, RowKind::Kept);
            }
            (true, _) => found.push(Row { kind: RowKind::Kept, ..atom }),
            (false, _) => found.push(atom),
        }
    }
    *atoms = found;
}

/// Makes one row of neighbours that did not change.
fn merge(atoms: Vec<Row>, lines: &[(usize, u64)]) -> Vec<Row> {
    let mut found: Vec<Row> = Vec::new();
    // The fewest tensors that crossed any line of the row so far.
    let mut fewest = usize::MAX;
    for atom in atoms {
        let here = lines.get(atom.before.start).map_or(0, |line| line.0);
        match found.last_mut() {
            Some(last)
                if (last.kind, atom.kind) == (RowKind::Same, RowKind::Same)
                    && !(last.before.len() >= LONG && here <= fewest) =>
            {
                fewest = fewest.min(here);
                *last = last.joined(&atom, RowKind::Same);
            }
            _ => {
                fewest = here.max(1);
                found.push(atom);
            }
        }
    }
    found
}

/// A single node behind a row that is no plain one belongs to it: the activation of a block.
fn absorb(rows: Vec<Row>) -> Vec<Row> {
    let mut found: Vec<Row> = Vec::with_capacity(rows.len());
    let mut rows = rows.into_iter().peekable();
    while let Some(row) = rows.next() {
        let between = rows.peek().is_some_and(|next| next.kind != RowKind::Same);
        match found.last_mut() {
            Some(last)
                if last.kind != RowKind::Same && row.kind == RowKind::Same && row.before.len() <= 1 && between =>
            {
                *last = last.joined(&row, last.kind);
            }
            _ => found.push(row),
        }
    }
    found
}

fn bounded(mut rows: Vec<Row>) -> Vec<Row> {
    if rows.len() > MAX_ROWS {
        let rest = rows.split_off(MAX_ROWS - 1);
        if let (Some(first), Some(last)) = (rest.first(), rest.last()) {
            let changed = rest.iter().any(|row| row.kind == RowKind::Changed);
            rows.push(first.joined(last, if changed { RowKind::Changed } else { RowKind::Same }));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::engine::{self, go_on};
    use crate::io::Model;
    use crate::options::Options;

    fn nets(path: &str) -> (Net, Net, usize) {
        let model = Model::from_path(path).unwrap();
        let (rewritten, outcome) = engine::plan(&model, &Options::default(), &mut go_on).unwrap();
        let joins = outcome.removed().filter(|(site, _)| site.is_residual()).count();
        (Net::of(model.proto()).unwrap(), Net::of(&rewritten).unwrap(), joins)
    }

    fn assert_whole(rows: &[Row], before: &Net, after: &Net) {
        let (mut a, mut b) = (0, 0);
        for row in rows {
            assert_eq!((row.before.start, row.after.start), (a, b), "every node is in one row");
            (a, b) = (row.before.end, row.after.end);
        }
        assert_eq!((a, b), (before.nodes.len(), after.nodes.len()));
    }

    #[test]
    fn each_block_is_a_row() {
        let (before, after, joins) = nets("models/digits_resnet.onnx");
        let rows = rows(&before, &after, &[]);
        assert_whole(&rows, &before, &after);
        assert_eq!(rows.iter().filter(|row| row.kind == RowKind::Changed).count(), joins);
        assert_eq!(rows.first().map(|row| row.kind), Some(RowKind::Same));
    }

    #[test]
    fn a_join_that_stays_is_a_row_with_both_of_its_sides() {
        let (net, _, _) = nets("models/digits_resnet.onnx");
        let join = net.nodes.iter().position(|n| n.op == "Add").unwrap();
        let rows = rows(&net, &net, &[join]);
        assert_whole(&rows, &net, &net);
        let kept: Vec<&Row> = rows.iter().filter(|row| row.kind == RowKind::Kept).collect();
        assert_eq!(kept.len(), 1);
        assert!(kept[0].before.contains(&join) && kept[0].before.len() > 2, "{kept:?}");
    }

    #[test]
    fn graphs_with_nothing_in_common_are_one_row() {
        let (resnet, _, _) = nets("models/digits_resnet.onnx");
        let (other, _, _) = nets("models/digits_mobilenet_v2.onnx");
        let rows = rows(&resnet, &other, &[]);
        assert_whole(&rows, &resnet, &other);
    }
}
