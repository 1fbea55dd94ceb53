//! What was compared, and how far each output is away.

use maud::{Markup, html};

use super::spot::Spot;
use crate::page::chart::Histogram;
use crate::page::words::{count, name, scientific, text};
use crate::report::Verification;
use crate::verify::{Coverage, Measure, OutputReport, VerifyReport};

/// Outputs with a histogram and a table.
const MAX_OUTPUTS: usize = 24;

/// Rows of a table.
const MAX_MEASURES: usize = 60;

/// Lines of a list.
const MAX_LINES: usize = 60;

/// The comparison inside of a rewrite, or that of `verify`.
pub(in crate::page) fn errors(
    verification: Option<&Verification>,
    comparison: Option<&VerifyReport>,
    spot: Spot<'_>,
) -> Option<Markup> {
    let (words, report) = match verification {
        None => ("", comparison?),
        Some(Verification::Passed(report)) => ("Both files were run before the output got its name.", report),
        Some(Verification::Failed(report)) => ("Nothing was written.", report),
        Some(Verification::Unstable(report)) => ("The model was left as it is.", report),
        Some(Verification::Off) => {
            return Some(only("It was turned off (--no-verify): nobody compared what both compute.", spot));
        }
        Some(Verification::Unchanged) => return Some(only("The output is the input, byte for byte.", spot)),
    };
    let content = html! {
        @if !words.is_empty() { p { (words) } }
        @for line in report.to_string().lines().take(MAX_LINES) { p { (text(line)) } }
        (around(report))
        @for output in report.outputs.iter().take(MAX_OUTPUTS) { (one(output, report, spot)) }
        @let more = report.outputs.len().saturating_sub(MAX_OUTPUTS);
        @if more > 0 { p { "Another " (count(more, "output is", "outputs are")) " left out here: --json lists all." } }
    };
    Some(spot.section("errors", "Comparison", &content))
}

fn only(words: &str, spot: Spot<'_>) -> Markup {
    spot.section("errors", "Comparison", &html! { p { (words) } })
}

/// What was fed, and what is not known.
fn around(report: &VerifyReport) -> Markup {
    let bends = report.bends.as_ref();
    html! {
        @if let Coverage::Regions { reason, .. } = &report.coverage { p.warn { "Only the rewritten regions were run: " (text(reason)) } }
        @if let Some(found) = &report.first_difference {
            p.warn {
                "First tensor that differs: " strong { (name(&found.tensor)) } ", of node " (name(&found.node)) " (" (name(&found.op)) "), by "
                (scientific(found.difference)) " of its largest value, on " (name(&found.input)) " input."
            }
        }
        dl.facts {
            dt { "arithmetic" } dd { (name(&report.arithmetic.element_type)) " in " (report.arithmetic.engine.as_str()) ", and float64" }
            dt { "inputs" }
            dd {
                (report.sizes.iter().take(MAX_LINES).map(|size| {
                    let shapes = size.inputs.iter().map(|i| format!("{} {:?}", name(&i.name), i.shape));
                    shapes.take(8).collect::<Vec<_>>().join(", ")
                }).collect::<Vec<_>>().join("; "))
            }
            dt { "values" } dd { (name(&report.kinds.join(", "))) "; seed " (report.seed) }
            @if let Some(bends) = bends {
                dt { "sides reached" } dd { (bends.total.saturating_sub(bends.missed.len())) " of " (bends.total) " sides of activations, bounds and choices" }
            }
        }
        (lines("Notes", &report.notes))
        (lines("What differs and showed on no input", &report.unreached))
    }
}

fn lines(title: &str, lines: &[String]) -> Markup {
    html! {
        @if !lines.is_empty() {
            details.more {
                summary { (title) ": " (lines.len()) }
                ul { @for line in lines.iter().take(MAX_LINES) { li { (text(line)) } } }
                @if lines.len() > MAX_LINES { p { "and " (lines.len() - MAX_LINES) " more: --json lists all" } }
            }
        }
    }
}

fn one(output: &OutputReport, report: &VerifyReport, spot: Spot<'_>) -> Markup {
    let telling: Vec<&Measure> = output.measures.iter().filter(|m| m.no_evidence.is_none()).collect();
    // The line is drawn where the strictest stands: each row of the table has its own.
    let limit = telling.iter().map(|m| m.limit).filter(|l| *l > 0.0).reduce(f64::min);
    let own = Histogram::of(telling.iter().map(|m| m.rewritten_error), ("limit", limit));
    let rounding = telling.iter().map(|m| m.rounding).filter(|r| *r > 0.0).reduce(f64::max);
    let exact = Histogram::of(telling.iter().filter(|m| !m.screened).map(|m| m.exact_error), ("rounding", rounding));
    let has_exact = telling.iter().any(|m| !m.screened);
    let what = ("kind of input", "kinds of input");
    html! {
        (spot.heading(&format!("Output {}", name(&output.name))))
        @if let Some(why) = &output.no_evidence { p.warn { "No evidence: " (text(why)) } }
        @if !telling.is_empty() {
            div.charts {
                figure { figcaption { "error in its own arithmetic, over the largest value; the strictest limit as a line" } (own.draw(what)) }
                @if has_exact {
                    figure { figcaption { "distance of both in float64; what rounding may move as a line" } (exact.draw(what)) }
                }
            }
        }
        (table(output, report))
    }
}

fn table(output: &OutputReport, report: &VerifyReport) -> Markup {
    let more = output.measures.len().saturating_sub(MAX_MEASURES);
    html! {
        details.more open[output.measures.len() <= 8] {
            summary { "Each kind of input: " (output.measures.len()) }
            div.scroll.tall tabindex="0" role="region" aria-label=(format!("Errors of output {}", name(&output.name))) {
                table {
                    caption { "Distances are over the largest value." @if more > 0 { " Another " (more) " are left out here: --json lists all." } }
                    thead {
                        tr {
                            th scope="col" { "input" } th.n scope="col" { "largest value" } th.n scope="col" { "apart in float64" }
                            th.n scope="col" { "rounding may move" } th.n scope="col" { "original's error" } th.n scope="col" { "error" }
                            th.n scope="col" { "limit" } th scope="col" { "verdict" }
                        }
                    }
                    tbody { @for measure in output.measures.iter().take(MAX_MEASURES) { (row(measure, report)) } }
                }
            }
        }
    }
}

fn row(m: &Measure, report: &VerifyReport) -> Markup {
    let verdict = [&m.failure, &m.no_evidence, &m.note].into_iter().flatten().next();
    let is_first = m.size == 0 || report.sizes.len() < 2;
    html! {
        tr class=(if m.failure.is_some() { "failed" } else { "" }) {
            th scope="row" { (name(&m.input)) @if !is_first { ", size " (m.size + 1) } }
            td.n { (scientific(m.largest)) }
            @if m.screened { td.n { "–" } td.n { "–" } td.n { "–" } } @else {
                td.n { (scientific(m.exact_error)) } td.n { (scientific(m.rounding)) } td.n { (scientific(m.original_error)) }
            }
            td.n { (scientific(m.rewritten_error)) } td.n { (scientific(m.limit)) }
            td { @if let Some(words) = verdict { (text(words)) } @else if m.unstable { "unstable" } @else { "within" } }
        }
    }
}
