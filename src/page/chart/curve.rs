//! What the removal of joins costs, the cheapest first: one point a join.

use maud::{Markup, html};

use crate::page::words::{compact, count};

/// A choice: so many joins left, at such a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::page) struct Point {
    pub(in crate::page) left: usize,
    pub(in crate::page) price: u64,
}

/// What is paid.
pub(in crate::page) struct Axis {
    pub(in crate::page) title: &'static str,
    /// What the model that came out really costs.
    pub(in crate::page) end: Option<Point>,
    /// What may be paid.
    pub(in crate::page) limit: Option<u64>,
}

const SIZE: (f64, f64) = (460.0, 250.0);
const LEFT: f64 = 46.0;
const BOTTOM: f64 = 44.0;
const TOP: f64 = 14.0;
const RIGHT: f64 = 18.0;

/// Points with a dot of their own; of more, some are left out.
const MAX_DOTS: usize = 120;

/// Draws `points`, which begin with the model as it was.
pub(in crate::page) fn curve(points: &[Point], axis: &Axis) -> Markup {
    let all = || points.iter().copied().chain(axis.end);
    let most = all().map(|p| p.left).max().unwrap_or(0).max(1);
    let prices = all().map(|p| p.price);
    let (low, high) = (prices.clone().min().unwrap_or(0), prices.max().unwrap_or(0));
    let room = (high - low).max(high / 20).max(1) as f64;
    let (low, room) = (low as f64 - room * 0.06, room * 1.14);
    let x = |price: u64| LEFT + (price as f64 - low) / room * (SIZE.0 - LEFT - RIGHT);
    let y = |left: f64| TOP + (1.0 - left / most as f64) * (SIZE.1 - TOP - BOTTOM);
    let path = points.iter().enumerate().fold(String::new(), |path, (at, p)| {
        let (x, y) = (x(p.price), y(p.left as f64));
        if at == 0 { format!("M{x:.1} {y:.1}") } else { format!("{path}H{x:.1}V{y:.1}") }
    });
    let base = points.first().map_or(0, |p| p.price);
    let said = |p: &Point| {
        let more = if base == 0 { String::new() } else { format!(" ({:.2}×)", p.price as f64 / base as f64) };
        format!("{} left at {} {}{more}", count(p.left, "join", "joins"), compact(p.price), axis.title)
    };
    let ends = points.first().zip(points.last());
    let label = ends.map_or(String::new(), |(a, b)| format!("From {} to {}", said(a), said(b)));
    let step = points.len().div_ceil(MAX_DOTS).max(1);
    html! {
        svg.chart width=(SIZE.0) height=(SIZE.1) viewBox=(format!("0 0 {} {}", SIZE.0, SIZE.1)) role="img" aria-label=(label) {
            @for left in ticks(most) {
                path.grid d=(format!("M{LEFT} {:.1}H{}", y(left as f64), SIZE.0 - RIGHT)) {}
                text.tick.end x=(LEFT - 7.0) y=(format!("{:.1}", y(left as f64) + 4.0)) { (left) }
            }
            @for price in prices_on(low.max(0.0), low + room) {
                path.grid d=(format!("M{:.1} {TOP}V{}", x(price), SIZE.1 - BOTTOM)) {}
                text.tick.middle x=(format!("{:.1}", x(price))) y=(SIZE.1 - BOTTOM + 16.0) { (compact(price)) }
            }
            text.tick.middle x=(f64::midpoint(LEFT, SIZE.0 - RIGHT)) y=(SIZE.1 - 8.0) { (axis.title) }
            text.tick.middle transform=(format!("translate(13 {}) rotate(-90)", f64::midpoint(TOP, SIZE.1 - BOTTOM))) { "joins left" }
            @if let Some(limit) = axis.limit.filter(|l| x(*l) > LEFT && x(*l) < SIZE.0 - RIGHT) {
                path.limit d=(format!("M{:.1} {TOP}V{}", x(limit), SIZE.1 - BOTTOM)) { title { "the limit: " (compact(limit)) } }
            }
            path.step d=(path) {}
            @for p in points.iter().step_by(step) {
                circle.point cx=(format!("{:.1}", x(p.price))) cy=(format!("{:.1}", y(p.left as f64))) r="3.2" { title { (said(p)) } }
            }
            @if let Some(end) = axis.end {
                path.result d=(format!("M{:.1} {:.1}l6 6l-6 6l-6 -6z", x(end.price), y(end.left as f64) - 6.0)) {
                    title { "this run: " (said(&end)) }
                }
            }
        }
    }
}

/// Round numbers between two prices, about five.
fn prices_on(low: f64, high: f64) -> Vec<u64> {
    let rough = ((high - low) / 5.0).max(1.0);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|step| *step >= rough).unwrap_or(rough);
    let first = (low / step).ceil();
    (0..8).map(|n| (first + f64::from(n)) * step).take_while(|price| *price <= high).map(|price| price as u64).collect()
}

/// Whole numbers from 0 to `most`, about five.
fn ticks(most: usize) -> impl Iterator<Item = usize> {
    let mut step = 1;
    while most / step > 6 {
        step = if step.to_string().starts_with('2') { step / 2 * 5 } else { step * 2 };
    }
    (0..=most).step_by(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(prices_on(1.2e6, 2.9e6), [1_500_000, 2_000_000, 2_500_000]);
        assert_eq!(prices_on(0.0, 3.0), [0, 1, 2, 3]);
        assert!(prices_on(0.0, 1e30).len() <= 8);
        assert!(ticks(5).eq([0, 1, 2, 3, 4, 5]));
        assert!(ticks(50).eq([0, 10, 20, 30, 40, 50]));
        assert!(ticks(7).eq([0, 2, 4, 6]));
        assert!(ticks(100_000).count() < 8);
    }

    #[test]
    fn a_curve_of_any_points_is_drawn() {
        let axis = Axis { title: "weights", end: Some(Point { left: 0, price: u64::MAX }), limit: Some(3) };
        let points: Vec<Point> = (0..1000).map(|n| Point { left: 999 - n, price: n as u64 * 7 }).collect();
        let text = curve(&points, &axis).into_string();
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert!(text.matches("<circle").count() <= MAX_DOTS);
        assert!(!curve(&[], &Axis { title: "", end: None, limit: None }).into_string().contains("NaN"));
    }
}
