//! The graph, row by row from its inputs to its outputs.

use std::collections::HashMap;

use maud::{Markup, html};

use super::sites::{Places, called, kept_joins};
use super::spot::Spot;
use crate::page::chart::pair;
use crate::page::graph::{Budget, Net, Row, RowKind, Sides, draw, operators, rows};
use crate::page::what::ModelPart;
use crate::page::words::{compact, count, name, ratio, text};
use crate::report::{Outcome, SiteStatus};

/// Rows of which all are open where there are no more than this.
const FEW: usize = 3;

/// Sites that a row names.
const NAMED: usize = 3;

/// A graph as it is drawn, and where each site is on it.
pub(in crate::page) struct Drawn {
    pub(in crate::page) places: Option<Places>,
    pub(in crate::page) markup: Markup,
}

/// Draws what `part` has.
pub(in crate::page) fn graphs(part: &ModelPart<'_>, spot: Spot<'_>, budget: &mut Budget) -> Drawn {
    let before = match &part.before {
        Some(Ok(net)) => net,
        Some(Err(why)) => return missing(part, why),
        None => return missing(part, "it was not read again"),
    };
    let after = part.after.as_ref().and_then(|net| net.as_ref().ok());
    let kept = part.outcome.map(|o| kept_joins(o, before)).unwrap_or_default();
    let rows = rows(before, after.unwrap_or(before), &kept);
    let places = part.outcome.map(|outcome| Places::new(outcome, &rows, before, after));
    let changes = part.outcome.into_iter().flat_map(Outcome::removed).flat_map(|(_, change)| &change.channels);
    let channels: HashMap<&str, _> = changes.map(|held| (held.tensor.as_str(), held)).collect();
    let sides = Sides { before, after, channels };
    let by_row = places.as_ref().map(|p| p.by_row(rows.len())).unwrap_or_default();
    // What changed is drawn first: where the page is full, it is the rest that is left out.
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|at| rows[*at].kind == RowKind::Same);
    let mut drawn: Vec<(usize, Markup)> = Vec::with_capacity(rows.len());
    let costs: Vec<Cost> = rows.iter().map(|row| Cost::of(&sides, row)).collect();
    let most = costs.iter().filter(|c| c.differs).flat_map(|c| [c.before, c.after]).flatten().max().unwrap_or(0);
    for at in order {
        let sites = by_row.get(at).map(Vec::as_slice).unwrap_or_default();
        let one = One { at, row: &rows[at], sites, cost: &costs[at], most, is_open: rows.len() <= FEW };
        drawn.push((at, one.markup(part, &sides, spot, budget)));
    }
    drawn.sort_by_key(|(at, _)| *at);
    let changed = rows.iter().filter(|row| row.kind == RowKind::Changed).count();
    let markup = html! {
        p { (lead(part, before, after, changed)) }
        @if let Some(Err(why)) = &part.after { p.warn { "What came out cannot be drawn: " (text(why)) } }
        (toolbar(spot))
        div.viewport id=(spot.id("view")) tabindex="0" role="region" aria-labelledby=(spot.labelled("graph")) {
            ol.rows { @for (_, row) in &drawn { (row) } }
        }
        (legend(after.is_some()))
    };
    Drawn { places, markup }
}

fn missing(part: &ModelPart<'_>, why: &str) -> Drawn {
    let places = part.outcome.map(Places::nowhere);
    Drawn { places, markup: html! { p.warn { "The graph is not drawn: " (text(why)) } } }
}

/// The whole section.
pub(in crate::page) fn section(drawn: &Drawn, spot: Spot<'_>) -> Markup {
    spot.section("graph", "Graph", &drawn.markup)
}

fn lead(part: &ModelPart<'_>, before: &Net, after: Option<&Net>, changed: usize) -> String {
    let size = |net: &Net| count(net.size(), "node", "nodes");
    let hidden = match before.hidden() + after.map_or(0, Net::hidden) {
        0 => String::new(),
        _ => " Nodes that compute only constants and sizes are not drawn.".to_owned(),
    };
    match after {
        None => format!("{} in all.{hidden}", size(before)),
        Some(after) if changed == 0 => {
            format!("{} before, {} after: both graphs are the same.{hidden}", size(before), size(after))
        }
        Some(after) => {
            let what = if part.is_written { "" } else { " (of what would come out)" };
            let places = count(changed, "place differs", "places differ");
            format!(
                "{} before, {} after{what}; {places}. A row is cut wherever tensors of the same names are alive on both sides.{hidden}",
                size(before),
                size(after)
            )
        }
    }
}

fn toolbar(spot: Spot<'_>) -> Markup {
    let view = spot.id("view");
    html! {
        div.tools role="group" aria-label="Graph tools" data-view=(view) hidden {
            label { span { "Search" } input type="search" placeholder="node, operator or tensor" autocomplete="off" spellcheck="false"; }
            button type="button" data-do="previous" aria-label="Previous match" { "↑" }
            button type="button" data-do="next" aria-label="Next match" { "↓" }
            output aria-live="polite" {}
            span.gap {}
            button type="button" data-do="open" { "Expand all" }
            button type="button" data-do="close" { "Collapse all" }
            span.zoom role="group" aria-label="Zoom" {
                button type="button" data-do="smaller" aria-label="Zoom out" { "−" }
                button type="button" data-do="reset" aria-label="Zoom to 100%" { "100%" }
                button type="button" data-do="larger" aria-label="Zoom in" { "+" }
            }
        }
    }
}

fn legend(has_two: bool) -> Markup {
    html! {
        ul.legend aria-label="Legend" {
            li { span.key.conv {} "with weights" }
            li { span.key.join {} "where tensors meet" }
            li { span.key.act {} "one by one" }
            li { span.key.move {} "moves channels" }
            li { span.key.skip {} "skip: an edge past other nodes; dotted: tensors that pass by" }
            @if has_two {
                li { span.key.wide {} "tensor with carried channels" }
                li { span.key.own {} "thick border: on this side only" }
            }
        }
    }
}

/// Multiply-accumulates of a row; unknown where those of one node are.
struct Cost {
    before: Option<u64>,
    after: Option<u64>,
    differs: bool,
}

impl Cost {
    fn of(sides: &Sides<'_>, row: &Row) -> Self {
        let differs = row.kind == RowKind::Changed && sides.after.is_some();
        let after = sides.after.filter(|_| differs).map(|net| net.macs(row.after.clone()));
        let before = sides.before.macs(row.before.clone());
        Self { before, after: after.unwrap_or(before), differs }
    }
}

struct One<'a> {
    at: usize,
    row: &'a Row,
    sites: &'a [usize],
    cost: &'a Cost,
    most: u64,
    is_open: bool,
}

impl One<'_> {
    fn markup(&self, part: &ModelPart<'_>, sides: &Sides<'_>, spot: Spot<'_>, budget: &mut Budget) -> Markup {
        let drawing = draw(sides, self.row, budget);
        let (title, told) = self.title(part, sides);
        let (class, word) = match self.row.kind {
            RowKind::Same => ("same", if sides.after.is_some() { "unchanged" } else { "plain" }),
            RowKind::Changed => match (part.outcome, part.is_written) {
                (None, _) => ("changed", "differs"),
                (Some(_), true) => ("changed", "rewritten"),
                (Some(_), false) => ("changed", "to rewrite"),
            },
            RowKind::Kept => ("kept", "stays"),
        };
        let nodes = (self.row.before.len(), self.row.after.len());
        html! {
            li {
                details class=(format!("row {class}")) id=(spot.row(self.at)) open[self.is_open && self.row.kind != RowKind::Same] {
                    summary {
                        span.chip { (word) }
                        span.title { span.name { (title) } @for line in &told { span.told { (line) } } }
                        span.pictures {
                            (drawing.small.0)
                            @if let Some(after) = &drawing.small.1 {
                                span.to aria-label=(format!("{} become {}", count(nodes.0, "node", "nodes"), nodes.1)) role="img" { "→" }
                                (after)
                            }
                        }
                        span.cost {
                            @if let (true, Some(before), Some(after)) = (self.cost.differs, self.cost.before, self.cost.after) {
                                (pair(before, after, self.most))
                                span { (compact(before)) " → " (compact(after)) " MACs, " (ratio(before, after)) }
                            } @else if let Some(macs) = self.cost.before.filter(|m| *m > 0) {
                                span { (compact(macs)) " MACs" }
                            } @else {
                                span {}
                            }
                        }
                    }
                    (drawing.large)
                }
            }
        }
    }

    /// What the row is about, and what is said of it.
    fn title(&self, part: &ModelPart<'_>, sides: &Sides<'_>) -> (String, Vec<String>) {
        let nodes = sides.before.part(self.row.before.clone());
        let what = format!("{}: {}", count(nodes.len(), "node", "nodes"), operators(nodes));
        let Some(outcome) = part.outcome else { return (what, Vec::new()) };
        let wanted = |site: &&usize| match (&outcome.sites[**site].status, self.row.kind) {
            (SiteStatus::Kept(_), RowKind::Kept) => outcome.sites[**site].is_residual(),
            (SiteStatus::Kept(_), _) => false,
            _ => true,
        };
        let mut sites: Vec<usize> = self.sites.iter().filter(wanted).copied().collect();
        // A join is what a block is about, a fold comes with it.
        sites.sort_by_key(|site| !outcome.sites[*site].is_residual());
        let Some(first) = sites.first() else { return (what, Vec::new()) };
        let more = match sites.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        let mut told: Vec<String> = sites
            .iter()
            .take(NAMED)
            .map(|site| match &outcome.sites[*site].status {
                SiteStatus::Removed(change) | SiteStatus::Candidate(change) => {
                    format!("{}: {}", outcome.sites[*site].kind, text(&change.form))
                }
                SiteStatus::Kept(reject) => format!("{}: {}", reject.code.as_str(), text(&reject.reason)),
            })
            .collect();
        told.dedup();
        (format!("{}{more}", name(called(&outcome.sites[*first]))), told)
    }
}
