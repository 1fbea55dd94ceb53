//! What stays, why, and what would make it pass.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::sites::{Places, called};
use super::spot::Spot;
use crate::page::words::{count, name, text};
use crate::report::{Outcome, RejectReport, SiteReport, SiteStatus};

/// Joins that are listed, and folds.
const MAX_LISTED: (usize, usize) = (1000, 200);

type Kept<'a> = (usize, &'a SiteReport, &'a RejectReport);

/// Every refusal.
pub(in crate::page) fn stays(outcome: &Outcome, places: &Places, spot: Spot<'_>) -> Markup {
    let kept = outcome.sites.iter().enumerate().filter_map(|(at, site)| match &site.status {
        SiteStatus::Kept(reject) => Some((at, site, reject)),
        _ => None,
    });
    let (joins, folds): (Vec<Kept<'_>>, Vec<Kept<'_>>) = kept.partition(|(_, site, _)| site.is_residual());
    let hidden = outcome.not_inspected;
    let content = html! {
        @if joins.is_empty() && hidden.in_subgraphs + hidden.in_functions == 0 {
            p { "No join stays." }
        }
        @for (n, where_, what) in [
            (hidden.in_subgraphs, "graphs inside of nodes", "nothing broken in those of If, Loop and Scan; others are never looked into"),
            (hidden.in_functions, "local functions", "inline them first (onnx.inliner.inline_local_functions)"),
        ] {
            @if n > 0 {
                p.warn { (count(n, "sum", "sums")) " in " (where_) " were not looked into. What would help: " (what) "." }
            }
        }
        @if !joins.is_empty() {
            (spot.heading(&count(joins.len(), "join stays", "joins stay")))
            (list(&joins, MAX_LISTED.0, places, spot))
        }
        @if !folds.is_empty() {
            details.more {
                summary { (count(folds.len(), "linear operator stays as it is", "linear operators stay as they are")) }
                (list(&folds, MAX_LISTED.1, places, spot))
            }
        }
    };
    spot.section("stays", "What stays", &content)
}

fn list(kept: &[Kept<'_>], most: usize, places: &Places, spot: Spot<'_>) -> Markup {
    let mut codes: BTreeMap<&str, Vec<&Kept<'_>>> = BTreeMap::new();
    for one in kept.iter().take(most) {
        codes.entry(one.2.code.as_str()).or_default().push(one);
    }
    let more = kept.len().saturating_sub(most);
    html! {
        @for (code, sites) in &codes {
            div.refusals {
                p.code { code { (code) } " " span.told { (count(sites.len(), "site", "sites")) } }
                ul {
                    @for (at, site, reject) in sites {
                        li.refusal {
                            p.name { (spot.link(places.of(*at), &name(called(site)))) }
                            p { (text(&reject.reason)) }
                            dl {
                                @if !reject.node.is_empty() { dt { "node" } dd.name { (name(&reject.node)) } }
                                @if !reject.tensor.is_empty() { dt { "tensor" } dd.name { (name(&reject.tensor)) } }
                                dt { "to make it pass" }
                                dd {
                                    @if reject.hint.is_empty() { "nothing that this version knows" } @else { (text(&reject.hint)) }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if more > 0 { p { "Another " (more) " are left out here: --json lists all." } }
    }
}
