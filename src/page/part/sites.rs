//! In which row of the graph each site stands.

use crate::page::graph::{Net, Row};
use crate::report::{Outcome, SiteReport, SiteStatus};

/// The row of each site; none for one whose tensor is in neither graph any more.
pub(in crate::page) struct Places(Vec<Option<usize>>);

impl Places {
    pub(in crate::page) fn new(outcome: &Outcome, rows: &[Row], before: &Net, after: Option<&Net>) -> Self {
        let row = |node: usize, is_before: bool| {
            let end = |r: &Row| if is_before { r.before.end } else { r.after.end };
            Some(rows.partition_point(|r| end(r) <= node)).filter(|at| *at < rows.len())
        };
        let of = |site: &SiteReport| {
            let first = before.giver(&site.tensor).and_then(|node| row(node, true));
            first.or_else(|| row(after?.giver(&site.tensor)?, false))
        };
        Self(outcome.sites.iter().map(of).collect())
    }

    /// Where nothing is drawn.
    pub(in crate::page) fn nowhere(outcome: &Outcome) -> Self {
        Self(vec![None; outcome.sites.len()])
    }

    pub(in crate::page) fn of(&self, site: usize) -> Option<usize> {
        self.0.get(site).copied().flatten()
    }

    /// The sites of each of so many rows.
    pub(in crate::page) fn by_row(&self, rows: usize) -> Vec<Vec<usize>> {
        let mut found = vec![Vec::new(); rows];
        for (site, row) in self.0.iter().enumerate() {
            if let Some(list) = row.and_then(|row: usize| found.get_mut(row)) {
                list.push(site);
            }
        }
        found
    }
}

/// The nodes of joins that stay.
pub(in crate::page) fn kept_joins(outcome: &Outcome, before: &Net) -> Vec<usize> {
    let kept = |site: &&SiteReport| site.is_residual() && matches!(site.status, SiteStatus::Kept(_));
    outcome.sites.iter().filter(kept).filter_map(|site| before.giver(&site.tensor)).collect()
}

/// What a site is called.
pub(in crate::page) fn called(site: &SiteReport) -> &str {
    if site.join.is_empty() { &site.tensor } else { &site.join }
}
