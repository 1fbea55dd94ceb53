//! What any tolerance asks of all elements, it asks of few.
//!
//! An element passes when its error is at most `atol + rtol * size`, `size` being the absolute value of its reference. So for every
//! `rtol` the least `atol` is the most that `error - rtol * size` comes to: the largest of many lines in `rtol`. Those that are the
//! largest somewhere are the corners of the upper hull of the points `(size, error)`, on the side of small sizes.

/// Points that wait before the hull is made again.
const BUFFER: usize = 1 << 12;

/// Most corners that a report holds.
const MAX_CORNERS: usize = 1 << 10;

/// The corners so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Frontier {
    points: Vec<(f64, f64)>,
    /// How many of the first points are corners.
    corners: usize,
}

impl Frontier {
    /// Takes in an element whose reference has the absolute value `size`, and its `error`. Both must be finite.
    pub(super) fn add(&mut self, size: f64, error: f64) {
        // Without an error every tolerance lets it pass.
        if error <= 0.0 {
            return;
        }
        self.points.push((size, error));
        if self.points.len() >= self.corners * 2 + BUFFER {
            self.settle();
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.points.extend_from_slice(&other.points);
        self.settle();
    }

    /// Leaves nothing but corners, by size.
    pub(super) fn settle(&mut self) {
        self.points.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        let mut hull: Vec<(f64, f64)> = Vec::new();
        for point in self.points.drain(..) {
            // Larger, and no further away: whatever lets the one before pass lets this pass.
            if hull.last().is_some_and(|last| point.1 <= last.1) {
                continue;
            }
            while let [.., a, b] = hull.as_slice() {
                let is_under = (b.1 - a.1) * (point.0 - a.0) <= (point.1 - a.1) * (b.0 - a.0);
                if !is_under {
                    break;
                }
                hull.pop();
            }
            hull.push(point);
        }
        self.corners = hull.len();
        self.points = hull;
    }

    /// The corners, and whether these are all. Where there are too many, neighbours become one point that is harder to let pass.
    pub(super) fn told(&self) -> (Vec<(f64, f64)>, bool) {
        let mut all = self.clone();
        all.settle();
        let mut points = all.points;
        let is_exact = points.len() <= MAX_CORNERS;
        while points.len() > MAX_CORNERS {
            points = points.chunks(2).map(|pair| (pair[0].0, pair[pair.len() - 1].1)).collect();
        }
        (points, is_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::random::Random;

    #[test]
    fn it_says_of_every_tolerance_what_all_elements_say() {
        let mut random = Random::new(7, "frontier");
        let all: Vec<(f64, f64)> =
            (0..30_000).map(|_| (random.normal().abs().powi(3), random.normal().abs() * 1e-3)).collect();
        let (mut whole, mut halves) = (Frontier::default(), [Frontier::default(), Frontier::default()]);
        for (index, (size, error)) in all.iter().enumerate() {
            whole.add(*size, *error);
            halves[index % 2].add(*size, *error);
        }
        let mut merged = halves[0].clone();
        merged.merge(&halves[1]);
        let (corners, is_exact) = whole.told();
        assert_eq!(merged.told(), (corners.clone(), true));
        assert!(is_exact && corners.len() < 100, "{}", corners.len());
        for rtol in [0.0, 1e-9, 1e-6, 3e-5, 1e-4, 1e-3, 0.01, 0.5, 10.0] {
            let least = |points: &[(f64, f64)]| points.iter().map(|(s, e)| e - rtol * s).fold(0.0, f64::max);
            assert_eq!(least(&corners), least(&all), "{rtol}");
        }
    }

    #[test]
    fn a_long_one_is_made_stricter_and_says_so() {
        let mut long = Frontier::default();
        // Points of a circle are corners, all of them.
        let point = |i: u32| (f64::from(i) * 1e-4, (1.0 - (1.0 - f64::from(i) * 1e-4).powi(2)).sqrt());
        (1..9_000).for_each(|i| long.add(point(i).0, point(i).1));
        let (short, is_exact) = long.told();
        assert!(!is_exact && short.len() <= MAX_CORNERS && short.len() > 100);
        for rtol in [0.0, 0.1, 1.0, 5.0] {
            let exact = (1..9_000).map(|i| point(i).1 - rtol * point(i).0).fold(0.0, f64::max);
            let said = short.iter().map(|(s, e)| e - rtol * s).fold(0.0, f64::max);
            assert!(said >= exact && said < exact + 0.1, "{rtol}: {said} for {exact}");
        }
    }
}
