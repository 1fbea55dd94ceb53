//! Functions that the standard library lacks.

use std::f64::consts::{FRAC_2_SQRT_PI, SQRT_2};

/// The error function, to a few units in the last place (Abramowitz and Stegun 7.1.6 and 7.1.14).
pub(super) fn erf(x: f64) -> f64 {
    let a = x.abs();
    if x.is_nan() {
        x
    } else if a < 3.0 {
        series(x)
    } else if a < 6.0 {
        (1.0 - fraction(a)).copysign(x)
    } else {
        // 1 - erf(6) is 2e-17.
        1_f64.copysign(x)
    }
}

/// `erf` as `2/sqrt(pi) exp(-x^2) sum 2^n x^(2n+1) / (1 3 5 ... (2n+1))`: all terms of one sign, no cancellation.
fn series(x: f64) -> f64 {
    let (mut sum, mut term, mut n) = (x, x, 0.0);
    while term.abs() > sum.abs() * 1e-17 {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// `1 - erf(x)` for large `x`, by its continued fraction from the inside out.
fn fraction(x: f64) -> f64 {
    let inner = (1..=60).rev().fold(x, |rest, n| x + f64::from(n) / 2.0 / rest);
    FRAC_2_SQRT_PI / 2.0 * (-x * x).exp() / inner
}

/// Distribution function of the standard normal distribution.
pub(super) fn normal_cdf(x: f64) -> f64 {
    let a = x / SQRT_2;
    // The tail keeps its relative accuracy, which 1 + erf would lose.
    if a < -3.0 { fraction(-a) / 2.0 } else { (1.0 + erf(a)) / 2.0 }
}

/// Nearest integer, halves to even.
pub(super) fn round(x: f64) -> f64 {
    x.round_ties_even()
}

pub(super) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `ln(1 + exp(x))` without overflow.
pub(super) fn softplus(x: f64) -> f64 {
    if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Abramowitz and Stegun, table 7.1, and of the tail.
    #[test]
    fn erf_agrees_with_tables() {
        let table = [
            (0.0, 0.0),
            (0.5, 0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (2.0, 0.995_322_265_018_952_7),
            (3.5, 0.999_999_256_901_627_7),
        ];
        for (x, want) in table {
            assert!((erf(x) - want).abs() < 4e-16, "{x}: {} {want}", erf(x));
            assert!((erf(-x) + want).abs() < 4e-16);
        }
        assert!(erf(f64::NAN).is_nan());
        assert_eq!(erf(f64::INFINITY), 1.0);
        // Both forms where they meet.
        assert!((series(3.0) - (1.0 - fraction(3.0))).abs() < 4e-16);
    }

    #[test]
    fn the_tail_of_the_normal_distribution_is_relative() {
        let want = 6.220_960_574_271_786e-16;
        assert!((normal_cdf(-8.0) / want - 1.0).abs() < 1e-12, "{}", normal_cdf(-8.0));
        assert!((normal_cdf(1.0) - 0.841_344_746_068_542_9).abs() < 1e-15);
    }
}
