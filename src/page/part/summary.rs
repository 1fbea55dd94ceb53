//! The verdict, and the figures that everybody looks for first.

use maud::{Markup, html};

use crate::page::what::{Page, Tone};
use crate::page::words::{compact, ratio, text};

/// A figure: what, the number, and what is said of it.
type Tile = (&'static str, String, String);

/// The head of the page.
pub(in crate::page) fn summary(page: &Page<'_>) -> Markup {
    let (class, word) = match page.verdict.tone {
        Tone::Good => ("good", "✓"),
        Tone::Note => ("note", "!"),
        Tone::Bad => ("bad", "✗"),
    };
    html! {
        section class=(format!("verdict {class}")) id="verdict" aria-labelledby="verdict-title" {
            h2 id="verdict-title" { span aria-hidden="true" { (word) } " " (text(&page.verdict.head)) }
            @for line in page.verdict.body.lines() { p { (text(line)) } }
        }
        @let tiles = tiles(page);
        @if !tiles.is_empty() {
            ul.tiles aria-label="Figures" {
                @for (what, number, told) in &tiles { li { span.what { (what) } span.number { (number) } span.told { (told) } } }
            }
        }
    }
}

fn tiles(page: &Page<'_>) -> Vec<Tile> {
    if let Some(report) = page.check {
        let sum = &report.summary;
        return vec![
            ("models", sum.files.to_string(), format!("{} passed", sum.passed)),
            ("findings", sum.findings.to_string(), format!("{} known from the baseline", sum.known)),
            ("models with findings", sum.failed.to_string(), format!("{} could not be checked", sum.errors)),
            ("warnings", sum.warnings.to_string(), "they fail nothing".to_owned()),
        ];
    }
    let Some(part) = page.parts.first() else { return Vec::new() };
    let mut tiles = Vec::new();
    if let Some(outcome) = part.outcome {
        let joins = outcome.removed().filter(|(site, _)| site.is_residual()).count();
        let word = if page.command == "rewrite" { "joins removed" } else { "joins removable" };
        tiles.push((word, format!("{joins} of {}", outcome.before.joins), format!("{} left", outcome.after.joins)));
        let folds = outcome.removed().count() - joins;
        if folds > 0 {
            tiles.push(("folds", folds.to_string(), "linear operators, dead weight, orders of axes".to_owned()));
        }
    }
    let prices = part.outcome.map(|o| (&o.before, &o.after)).or(part.prices.as_ref().map(|(a, b)| (a, b)));
    if let Some((before, after)) = prices {
        let told = |a: u64, b: u64| format!("{} → {}", compact(a), compact(b));
        if let (Some(a), Some(b)) = (before.macs, after.macs) {
            tiles.push(("multiply-accumulates", ratio(a, b), told(a, b)));
        }
        tiles.push(("weights", ratio(before.params, after.params), told(before.params, after.params)));
        let nodes = (before.nodes as u64, after.nodes as u64);
        tiles.push(("nodes", ratio(nodes.0, nodes.1), told(nodes.0, nodes.1)));
    }
    tiles
}
