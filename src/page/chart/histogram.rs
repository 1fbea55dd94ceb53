//! Counts over a logarithmic scale, with the limit.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::page::words::{count, scientific};

/// How often values of each size were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::page) struct Histogram {
    /// By decade: those from 10^n to 10^(n+1) at n.
    pub(in crate::page) decades: BTreeMap<i32, u64>,
    /// Exactly zero.
    pub(in crate::page) zero: u64,
    /// Infinite, or no number.
    pub(in crate::page) beyond: u64,
    /// What a value is held against, and what that is called.
    pub(in crate::page) limit: Option<f64>,
    pub(in crate::page) line: &'static str,
}

const HEIGHT: f64 = 150.0;
const BASE: f64 = 116.0;
const TOP: f64 = 16.0;
const COLUMN: f64 = 40.0;
const LEFT: f64 = 24.0;

/// Most decades that are drawn; smaller values stand in the first.
const MAX_DECADES: i32 = 24;

impl Histogram {
    /// Counts `values`.
    pub(in crate::page) fn of(
        values: impl IntoIterator<Item = f64>,
        (line, limit): (&'static str, Option<f64>),
    ) -> Self {
        let limit = limit.filter(|l| l.is_finite() && *l > 0.0);
        let mut found = Self { limit, line, ..Self::default() };
        for value in values {
            match value.abs() {
                0.0 => found.zero += 1,
                v if v.is_finite() => *found.decades.entry(v.log10().floor() as i32).or_default() += 1,
                _ => found.beyond += 1,
            }
        }
        found
    }

    /// The decades of the scale, both ends included.
    fn scale(&self) -> (i32, i32) {
        let limit = self.limit.map(|l| l.log10().floor() as i32);
        let ends = || self.decades.keys().copied().chain(limit);
        let last = ends().max().unwrap_or(0);
        let first = ends().min().unwrap_or(0).max(last.saturating_sub(MAX_DECADES - 1));
        (first, last)
    }

    /// Draws it; `what` is counted.
    pub(in crate::page) fn draw(&self, what: (&str, &str)) -> Markup {
        let (first, last) = self.scale();
        let mut columns: Vec<(String, u64)> = Vec::new();
        if self.zero > 0 {
            columns.push(("0".to_owned(), self.zero));
        }
        let start = columns.len();
        for decade in first..=last {
            let small: u64 = if decade == first { self.decades.range(..first).map(|(_, n)| n).sum() } else { 0 };
            columns.push((format!("1e{decade}"), small + self.decades.get(&decade).copied().unwrap_or(0)));
        }
        if self.beyond > 0 {
            columns.push(("∞".to_owned(), self.beyond));
        }
        let most = columns.iter().map(|c| c.1).max().unwrap_or(0).max(1);
        let x = |column: usize| LEFT + COLUMN * column as f64;
        let limit = self.limit.map(|l| x(start) + (l.log10() - f64::from(first)) * COLUMN);
        let width = (x(columns.len()) + LEFT).max(limit.unwrap_or(0.0) + 120.0);
        let parts: Vec<String> = columns.iter().filter(|c| c.1 > 0).map(|c| format!("{} from {}", c.1, c.0)).collect();
        let words = self.limit.map_or(String::new(), |l| format!("; {} {}", self.line, scientific(l)));
        let label = format!("Histogram of {}: {}{words}", what.1, parts.join(", "));
        html! {
            svg.chart width=(width) height=(HEIGHT) viewBox=(format!("0 0 {width} {HEIGHT}")) role="img" aria-label=(label) {
                path.axis d=(format!("M{LEFT} {BASE}H{:.1}", x(columns.len()))) {}
                @for (at, (from, n)) in columns.iter().enumerate() {
                    @let height = *n as f64 / most as f64 * (BASE - TOP - 14.0);
                    @let over = limit.is_some_and(|l| x(at) > l) || from == "∞";
                    @if *n > 0 {
                        rect class=(if over { "bar over" } else { "bar" }) x=(x(at) + 2.0) y=(format!("{:.1}", BASE - height)) width=(COLUMN - 4.0) height=(format!("{height:.1}")) rx="3" {
                            title { (count(usize::try_from(*n).unwrap_or(usize::MAX), what.0, what.1)) " from " (from) }
                        }
                        text.tick.middle x=(x(at) + COLUMN / 2.0) y=(format!("{:.1}", BASE - height - 4.0)) { (n) }
                    }
                    // The edges of a decade have their names, what is no decade its middle.
                    @let is_decade = at >= start && at < start + usize::try_from(last - first + 1).unwrap_or(0);
                    text.tick.middle x=(if is_decade { x(at) } else { x(at) + COLUMN / 2.0 }) y=(BASE + 15.0) { (from) }
                }
                @if let (Some(at), Some(limit)) = (limit, self.limit) {
                    path.limit d=(format!("M{at:.1} 4V{}", BASE + 3.0)) {}
                    text.tick.limit x=(format!("{:.1}", at + 5.0)) y="13" { (self.line) " " (scientific(limit)) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_by_decade() {
        let values = [0.0, 1.5e-7, 9.9e-7, 2e-5, f64::INFINITY, f64::NAN, -3e-5];
        let found = Histogram::of(values, ("limit", Some(1e-4)));
        assert_eq!((found.zero, found.beyond), (1, 2));
        assert_eq!(found.decades, BTreeMap::from([(-7, 2), (-5, 2)]));
        assert_eq!(found.scale(), (-7, -4));
        let drawn = found.draw(("measure", "measures")).into_string();
        assert!(drawn.contains("limit 1.0e-4") && drawn.contains("2 from 1e-7"), "{drawn}");
    }

    #[test]
    fn the_scale_is_bounded() {
        let found = Histogram::of([1e-300, 1e300, 5e-324], ("limit", Some(f64::NAN)));
        assert_eq!(found.limit, None);
        let drawn = found.draw(("value", "values")).into_string();
        assert!(drawn.matches("<text").count() < 60);
        assert!(!Histogram::of([], ("", None)).draw(("value", "values")).into_string().contains("NaN"));
    }
}
