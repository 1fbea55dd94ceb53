//! Interpolation along one axis: where an output element lies in the input, and which elements it is made of.

use super::error::{Outcome, fault};

/// One axis that is resized.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) input: usize,
    pub(super) output: usize,
    /// Output elements for `per` input elements: exact when both sizes are given.
    pub(super) steps: f64,
    pub(super) per: f64,
    /// Region of the input, as parts of its size, that `tf_crop_and_resize` reads.
    pub(super) region: (f64, f64),
}

/// How coordinates and values are found (attributes of `Resize`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Method<'a> {
    pub(super) mode: &'a str,
    pub(super) coordinates: &'a str,
    pub(super) nearest: &'a str,
    pub(super) cubic: f64,
    pub(super) antialias: bool,
    pub(super) exclude_outside: bool,
}

/// What an output element is made of.
pub(super) enum Sample {
    /// A weighted sum of elements.
    Taps(Vec<(usize, f64)>),
    /// It lies outside, where an extrapolation value stands.
    Outside,
}

impl Axis {
    /// `x` output elements as input elements.
    fn scaled(&self, x: f64) -> f64 {
        x * self.per / self.steps
    }

    /// What output element `o` is made of.
    pub(super) fn sample(&self, o: usize, method: &Method) -> Outcome<Sample> {
        let x = self.coordinate(o as f64, method)?;
        if !x.is_finite() {
            return fault!("output element {o} lies at {x}");
        }
        let last = (self.input - 1) as f64;
        if method.coordinates == "tf_crop_and_resize" && !(0.0..=last).contains(&x) {
            return Ok(Sample::Outside);
        }
        let a = method.cubic;
        match method.mode {
            "nearest" => Ok(Sample::Taps(vec![(rounded(x, method.nearest)?.clamp(0.0, last) as usize, 1.0)])),
            "linear" => self.weighted(x, 1.0, |d| (1.0 - d).max(0.0), method),
            "cubic" => self.weighted(x, 2.0, |d| cubic(d, a), method),
            other => fault!("mode '{other}' is not known"),
        }
    }

    /// Elements around `x` within `reach`, weighted by their distance.
    fn weighted(&self, x: f64, reach: f64, kernel: impl Fn(f64) -> f64, method: &Method) -> Outcome<Sample> {
        let shrink = if method.antialias { (self.steps / self.per).min(1.0) } else { 1.0 };
        let side = (reach / shrink).ceil();
        if side > 1e6 {
            return fault!("a filter of {side} elements");
        }
        let (first, last) = (x.floor() as i64 + 1 - side as i64, x.floor() as i64 + side as i64);
        let inside = 0..self.input as i64;
        let mut taps: Vec<(usize, f64)> = (first..=last)
            .filter(|i| !method.exclude_outside || inside.contains(i))
            .map(|i| (i.clamp(0, inside.end - 1) as usize, kernel((x - i as f64).abs() * shrink)))
            .collect();
        if method.antialias || method.exclude_outside {
            let sum: f64 = taps.iter().map(|(_, w)| w).sum();
            taps.iter_mut().for_each(|(_, w)| *w /= sum);
        }
        Ok(Sample::Taps(taps))
    }

    /// Where output element `o` lies in the input.
    fn coordinate(&self, o: f64, method: &Method) -> Outcome<f64> {
        let (n, m) = (self.input as f64, self.output as f64);
        let (start, end) = self.region;
        Ok(match method.coordinates {
            "half_pixel" => self.scaled(o + 0.5) - 0.5,
            "pytorch_half_pixel" => {
                if self.output > 1 {
                    self.scaled(o + 0.5) - 0.5
                } else {
                    0.0
                }
            }
            "half_pixel_symmetric" => {
                // What rounding the size took away is left out on both sides alike.
                let part = m / (n * self.steps / self.per);
                n / 2.0 * (1.0 - part) + self.scaled(o + 0.5) - 0.5
            }
            "align_corners" => {
                if self.output > 1 {
                    o * (n - 1.0) / (m - 1.0)
                } else {
                    0.0
                }
            }
            "asymmetric" => self.scaled(o),
            "tf_half_pixel_for_nn" => self.scaled(o + 0.5),
            "tf_crop_and_resize" if self.output > 1 => start * (n - 1.0) + o * (end - start) * (n - 1.0) / (m - 1.0),
            "tf_crop_and_resize" => 0.5 * (start + end) * (n - 1.0),
            other => return fault!("coordinate mode '{other}' is not known"),
        })
    }
}

fn rounded(x: f64, mode: &str) -> Outcome<f64> {
    Ok(match mode {
        "round_prefer_floor" => (x - 0.5).ceil(),
        "round_prefer_ceil" => (x + 0.5).floor(),
        "floor" => x.floor(),
        "ceil" => x.ceil(),
        other => return fault!("nearest mode '{other}' is not known"),
    })
}

/// Keys' cubic convolution kernel at distance `d`.
fn cubic(d: f64, a: f64) -> f64 {
    if d <= 1.0 {
        ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    } else if d < 2.0 {
        ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    const NEAREST: Method = Method {
        mode: "nearest",
        coordinates: "asymmetric",
        nearest: "floor",
        cubic: -0.75,
        antialias: false,
        exclude_outside: false,
    };

    #[test]
    fn exact_ratios_stay_exact() {
        // 7 * 6 / 14 is 3, though 7 / (14 / 6) may fall below it.
        let axis = Axis { input: 6, output: 14, steps: 14.0, per: 6.0, region: (0.0, 1.0) };
        let picks: Vec<usize> = (0..14).map(|o| first(&axis.sample(o, &NEAREST).unwrap())).collect();
        let want: Vec<usize> = (0..14).map(|o| o * 6 / 14).collect();
        assert_eq!(picks, want);
    }

    fn first(s: &Sample) -> usize {
        match s {
            Sample::Taps(t) => t[0].0,
            Sample::Outside => usize::MAX,
        }
    }

    #[test]
    fn weights_sum_to_one() {
        for mode in ["linear", "cubic"] {
            for (output, antialias) in [(11, false), (3, false), (3, true)] {
                let axis = Axis { input: 7, output, steps: output as f64, per: 7.0, region: (0.0, 1.0) };
                let method = Method { mode, coordinates: "half_pixel", antialias, ..NEAREST };
                for o in 0..output {
                    let Sample::Taps(t) = axis.sample(o, &method).unwrap() else { panic!() };
                    assert!((t.iter().map(|(_, w)| w).sum::<f64>() - 1.0).abs() < 1e-14);
                }
            }
        }
    }
}
