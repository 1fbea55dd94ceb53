//! What `check` found, model by model.

use maud::{Markup, html};

use super::spot::Spot;
use crate::check::{CheckReport, CheckStatus, FileReport, Finding, Level, Measures};
use crate::page::chart::pair;
use crate::page::words::{count, name, text};
use crate::report::thousands;

/// Models with a row, findings with a table row, places of a finding.
const MAX: (usize, usize, usize) = (2000, 300, 20);

/// All models in a table, and what belongs to none.
pub(in crate::page) fn checked(report: &CheckReport, spot: Spot<'_>, anchors: &[Option<String>]) -> Markup {
    let more = report.files.len().saturating_sub(MAX.0);
    let content = html! {
        p { "Policy: " @if let Some(path) = &report.policy { code { (name(path)) } } @else { "the one that is built in: nothing is left to rewrite" } "." }
        div.scroll.tall tabindex="0" role="region" aria-label="All models" {
            table {
                caption { "All models." @if more > 0 { " Another " (more) " are left out here: --json lists all." } }
                thead { tr { th scope="col" { "model" } th scope="col" { "verdict" } th.n scope="col" { "findings" } th.n scope="col" { "joins" } th.n scope="col" { "removable" } th.n scope="col" { "folds" } th.n scope="col" { "nodes" } th.n scope="col" { "MACs" } th.n scope="col" { "bytes" } } }
                tbody {
                    @for (at, file) in report.files.iter().enumerate().take(MAX.0) {
                        tr {
                            th.name scope="row" {
                                @if let Some(anchor) = anchors.get(at).and_then(Option::as_ref) { a href=(format!("#{anchor}")) { (name(&file.file)) } } @else { (name(&file.file)) }
                            }
                            td { (status(file.status)) }
                            td.n { (file.findings.iter().filter(|f| f.counts()).count()) }
                            @if let Some(m) = &file.measures { (measured(m)) } @else { td.n colspan="6" { "it could not be read" } }
                        }
                    }
                }
            }
        }
        @if !report.findings.is_empty() {
            (spot.heading("About no model in particular"))
            (findings(&report.findings))
        }
    };
    spot.section("models", "Models", &content)
}

fn measured(m: &Measures) -> Markup {
    let known = |n: Option<u64>| n.map_or("–".to_owned(), thousands);
    html! {
        td.n { (m.joins) } td.n { (known(m.removable_joins)) } td.n { (known(m.folds)) } td.n { (thousands(m.nodes)) } td.n { (known(m.macs)) } td.n { (thousands(m.bytes)) }
    }
}

pub(in crate::page) fn status(status: CheckStatus) -> Markup {
    let (class, word) = match status {
        CheckStatus::Passed => ("good", "passed"),
        CheckStatus::Failed => ("bad", "findings"),
        CheckStatus::Error => ("bad", "not checked"),
    };
    html! { span class=(format!("chip {class}")) { (word) } }
}

/// What was found of one model.
pub(in crate::page) fn found(file: &FileReport, spot: Spot<'_>) -> Markup {
    let content = html! {
        @if file.findings.is_empty() { p { "Everything that the policy asks holds: " (name(&file.checked.join(", "))) "." } } @else { (findings(&file.findings)) }
        @if !file.accepted.is_empty() {
            details.more {
                summary { (count(file.accepted.len(), "join stays and may", "joins stay and may")) }
                ul {
                    @for accepted in file.accepted.iter().take(MAX.1) {
                        li {
                            span.name { (name(if accepted.place.node.is_empty() { &accepted.place.tensor } else { &accepted.place.node })) }
                            ": " (text(&accepted.place.reason))
                            @if let Some(because) = &accepted.because { " Accepted: " (text(because)) }
                        }
                    }
                }
            }
        }
    };
    spot.section("findings", "Findings", &content)
}

fn findings(list: &[Finding]) -> Markup {
    let more = list.len().saturating_sub(MAX.1);
    html! {
        div.scroll {
            table {
                caption { "Where there are two bars, the upper one is what was found and the lower one what is allowed." @if more > 0 { " Another " (more) " are left out here." } }
                thead { tr { th scope="col" { "key" } th scope="col" { "level" } th scope="col" { "what" } td aria-hidden="true" {} } }
                tbody {
                    @for finding in list.iter().take(MAX.1) {
                        tr {
                            th scope="row" { code { (name(&finding.key)) } @if let Some(line) = finding.line { span.told { "line " (line) " of the policy" } } }
                            td { (level(finding)) }
                            td { (text(&finding.message)) (places(finding)) }
                            td { @if let (Some(found), Some(limit)) = (finding.found, finding.limit) { (pair(found, limit, found.max(limit))) } }
                        }
                    }
                }
            }
        }
    }
}

fn level(finding: &Finding) -> Markup {
    let (class, word) = match finding.level {
        _ if finding.known => ("note", "known"),
        Level::Warning => ("note", "warning"),
        Level::Failure => ("bad", "failure"),
        Level::Error => ("bad", "error"),
    };
    html! { span class=(format!("chip {class}")) { (word) } }
}

fn places(finding: &Finding) -> Markup {
    let more = finding.places.len().saturating_sub(MAX.2);
    html! {
        @if !finding.places.is_empty() {
            ul {
                @for place in finding.places.iter().take(MAX.2) {
                    li { span.name { (name(if place.node.is_empty() { &place.tensor } else { &place.node })) } @if let Some(code) = &place.code { " " code { (name(code)) } } " " (text(&place.reason)) }
                }
                @if more > 0 { li { "and " (more) " more" } }
            }
        }
    }
}
