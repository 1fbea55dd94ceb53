//! What it costs: in total, site by site, and how much of it each join is.

use maud::{Markup, html};

use super::sites::{Places, called};
use super::spot::Spot;
use crate::options::{Limit, Options};
use crate::page::chart::{Axis, Point, curve, pair};
use crate::page::what::ModelPart;
use crate::page::words::{compact, name, ratio, text};
use crate::plan::change::{Change, Exactness, Price};
use crate::report::{Outcome, SiteReport, thousands};

/// Sites that are listed.
const MAX_SITES: usize = 1000;

/// Rows of a table of points.
const MAX_POINTS: usize = 200;

/// Everything about the price of `part`, where it is known.
pub(in crate::page) fn prices(
    part: &ModelPart<'_>,
    places: Option<&Places>,
    options: Option<&Options>,
    spot: Spot<'_>,
) -> Option<Markup> {
    let (before, after) = match (part.outcome, &part.prices) {
        (Some(outcome), _) => (&outcome.before, &outcome.after),
        (None, Some((before, after))) => (before, after),
        (None, None) => return None,
    };
    let sites = part.outcome.zip(places).map(|(outcome, places)| sites(outcome, places, spot));
    let curves = part.outcome.and_then(|outcome| curves(outcome, options, spot));
    let content = html! {
        (total(before, after))
        @if let Some(curves) = curves { (curves) }
        @if let Some(sites) = sites { (sites) }
    };
    Some(spot.section("price", "Price", &content))
}

fn total(before: &Price, after: &Price) -> Markup {
    let measures: [(&str, Option<u64>, Option<u64>); 6] = [
        ("multiply-accumulates", before.macs, after.macs),
        ("weights", Some(before.params), Some(after.params)),
        ("bytes of the file", Some(before.bytes), Some(after.bytes)),
        ("bytes of activations at their peak", before.activation_bytes, after.activation_bytes),
        ("nodes", Some(before.nodes as u64), Some(after.nodes as u64)),
        ("joins", Some(before.joins as u64), Some(after.joins as u64)),
    ];
    html! {
        div.scroll {
            table {
                caption { "Of the whole model, for one image. Of each pair of bars the upper one is before, the lower one after." }
                thead { tr { th scope="col" { "measure" } th.n scope="col" { "before" } th.n scope="col" { "after" } th.n scope="col" { "after / before" } td aria-hidden="true" {} } }
                tbody {
                    @for (measure, a, b) in measures {
                        tr {
                            th scope="row" { (measure) }
                            @if let (Some(a), Some(b)) = (a, b) {
                                td.n { (thousands(a)) } td.n { (thousands(b)) } td.n { (ratio(a, b)) } td { (pair(a, b, a.max(b))) }
                            } @else {
                                td colspan="4" { "not known: a size is not fixed, or an operator multiplies that is not counted" }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Every site that went, or could.
fn sites(outcome: &Outcome, places: &Places, spot: Spot<'_>) -> Markup {
    let gone: Vec<(usize, &SiteReport, &Change)> = outcome
        .sites
        .iter()
        .enumerate()
        .filter_map(|(at, site)| outcome_change(site).map(|change| (at, site, change)))
        .collect();
    if gone.is_empty() {
        return html! {};
    }
    let most = gone.iter().flat_map(|(_, _, c)| [c.macs_before, c.macs_after]).flatten().max().unwrap_or(0);
    let more = gone.len().saturating_sub(MAX_SITES);
    html! {
        (spot.heading("Site by site"))
        div.scroll.tall tabindex="0" role="region" aria-label="Price of each site" {
            table {
                caption {
                    "In the order of removal. MACs are multiply-accumulates for one image."
                    @if more > 0 { " Another " (more) " are left out here: --json lists all." }
                }
                thead {
                    tr {
                        th scope="col" { "site" } th scope="col" { "kind and form" }
                        th.n scope="col" { "MACs before" } th.n scope="col" { "after" } th.n scope="col" { "ratio" } td aria-hidden="true" {}
                        th.n scope="col" { "weights before" } th.n scope="col" { "after" }
                    }
                }
                tbody {
                    @for (at, site, change) in gone.iter().take(MAX_SITES) {
                        tr {
                            th.name scope="row" { (spot.link(places.of(*at), &name(called(site)))) }
                            td { (site.kind) ": " (text(&change.form)) @if change.exactness == Exactness::Bitwise { "; the same bits" } }
                            @if let (Some(a), Some(b)) = (change.macs_before, change.macs_after) {
                                td.n { (compact(a)) } td.n { (compact(b)) } td.n { (ratio(a, b)) } td { (pair(a, b, most)) }
                            } @else {
                                td.n colspan="4" { "not known" }
                            }
                            td.n { (compact(change.params_before)) } td.n { (compact(change.params_after)) }
                        }
                    }
                }
            }
        }
    }
}

fn outcome_change(site: &SiteReport) -> Option<&Change> {
    match &site.status {
        crate::report::SiteStatus::Removed(change) | crate::report::SiteStatus::Candidate(change) => Some(change),
        crate::report::SiteStatus::Kept(_) => None,
    }
}

/// What the joins cost together, the cheapest first.
fn curves(outcome: &Outcome, options: Option<&Options>, spot: Spot<'_>) -> Option<Markup> {
    type Measure = (&'static str, fn(&Price) -> Option<u64>, fn(&Change) -> Option<(u64, u64)>);
    let measures: [Measure; 2] = [
        ("multiply-accumulates", |price| price.macs, |change| change.macs_before.zip(change.macs_after)),
        ("weights", |price| Some(price.params), |change| Some((change.params_before, change.params_after))),
    ];
    let limits: [Option<Limit>; 2] = options.map_or([None; 2], |o| [o.limits.macs, o.limits.parameters]);
    let drawn = measures.into_iter().zip(limits).filter_map(|((title, of, more), limit)| {
        let (before, after) = (of(&outcome.before)?, of(&outcome.after)?);
        let points = points(outcome, before, more).filter(|points| points.len() > 1)?;
        let end = Some(Point { left: outcome.after.joins, price: after });
        let axis = Axis { title, end, limit: limit.map(|limit| limit.of(before)) };
        Some((title, curve(&points, &axis), points))
    });
    let drawn: Vec<(&str, Markup, Vec<Point>)> = drawn.collect();
    if drawn.is_empty() {
        return None;
    }
    Some(html! {
        (spot.heading("Joins left against the price"))
        p {
            "Each step removes one more join, the cheapest first; the prices are those of the sites, added up. What this run made is the diamond: \
             it is counted on the model itself, where folds and what neighbours share are in the price. "
            "To get a point of the curve: " code { "--max-macs" } " or " code { "--max-parameters" } "."
        }
        div.charts { @for (title, chart, _) in &drawn { figure { figcaption { "joins left against " (title) } (chart) } } }
        @for (title, _, points) in &drawn {
            @let base = points.first().map_or(0, |p| p.price);
            details.more {
                summary { "The points as a table: " (title) }
                div.scroll.tall tabindex="0" role="region" aria-label=(format!("Points of the curve: {title}")) {
                    table {
                        caption { "Joins left against " (title) }
                        thead { tr { th.n scope="col" { "joins left" } th.n scope="col" { (title) } th.n scope="col" { "of the original" } } }
                        tbody { @for p in points.iter().take(MAX_POINTS) { tr { th.n scope="row" { (p.left) } td.n { (thousands(p.price)) } td.n { (ratio(base, p.price)) } } } }
                    }
                }
            }
        }
    })
}

/// From all joins there are to none of those that went; none where a price is not known.
fn points(outcome: &Outcome, before: u64, more: fn(&Change) -> Option<(u64, u64)>) -> Option<Vec<Point>> {
    let joins = outcome.removed().filter(|(site, _)| site.is_residual());
    let added: Option<Vec<i128>> =
        joins.map(|(_, change)| more(change).map(|(a, b)| i128::from(b) - i128::from(a))).collect();
    let mut added = added?;
    added.sort_unstable();
    let mut total = i128::from(before);
    let mut left = outcome.before.joins;
    let mut points = vec![Point { left, price: before }];
    for more in added {
        total = total.saturating_add(more).max(0);
        left = left.saturating_sub(1);
        points.push(Point { left, price: u64::try_from(total).unwrap_or(u64::MAX) });
    }
    Some(points)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::engine::{self, go_on};
    use crate::io::Model;

    #[test]
    fn the_curve_leads_from_all_joins_to_what_came_out() {
        let model = Model::from_path("models/digits_resnet.onnx").unwrap();
        let outcome = engine::inspect(&model, &Options::default(), &mut go_on).unwrap();
        let before = outcome.before.macs.unwrap();
        let points = points(&outcome, before, |c| c.macs_before.zip(c.macs_after)).unwrap();
        assert_eq!((points[0], points.len()), (Point { left: 5, price: before }, 6));
        // Blocks of a plain network share nothing, so the sum is what is counted.
        assert_eq!(points[5], Point { left: 0, price: outcome.after.macs.unwrap() });
        let steps: Vec<u64> = points.windows(2).map(|p| p[1].price - p[0].price).collect();
        assert!(steps.is_sorted(), "the cheapest first: {steps:?}");
    }
}
