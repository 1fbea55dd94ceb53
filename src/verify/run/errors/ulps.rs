//! Distances in units in the last place.

use half::{bf16, f16};

use super::super::precision::Precision;
use crate::verify::UlpCount;

/// How many numbers of `precision` lie between two values: 0 when they round to the same one.
pub(super) fn distance(a: f64, b: f64, precision: Precision) -> u64 {
    position(a, precision).abs_diff(position(b, precision))
}

/// Where the number stands among all of its type; both zeros stand at 0.
fn position(value: f64, precision: Precision) -> i64 {
    let place = |bits: u64, width: u32| {
        let magnitude = (bits & !(1 << (width - 1))) as i64;
        if bits >> (width - 1) == 1 { -magnitude } else { magnitude }
    };
    match precision {
        Precision::BFloat16 => place(u64::from(bf16::from_f64(value).to_bits()), 16),
        Precision::Float16 => place(u64::from(f16::from_f64(value).to_bits()), 16),
        Precision::Float32 => place(u64::from((value as f32).to_bits()), 32),
        Precision::Float64 => place(value.to_bits(), 64),
    }
}

/// Counts by powers of two: 0, 1, 2, 3 to 4, 5 to 8, and so on.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram(Vec<u64>);

impl Histogram {
    pub(super) fn add(&mut self, distance: u64) {
        let at = match distance {
            0 => 0,
            1 => 1,
            more => 1 + (u64::BITS - (more - 1).leading_zeros()) as usize,
        };
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] += 1;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a += b);
    }

    pub(super) fn told(&self) -> Vec<UlpCount> {
        let most = |at: usize| match at {
            0 => 0,
            at => 1_u64.checked_shl(at as u32 - 1).unwrap_or(u64::MAX),
        };
        self.0.iter().enumerate().map(|(at, elements)| UlpCount::new(most(at), *elements)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_type_are_counted() {
        let f32s = |a: f32, b: f32| distance(f64::from(a), f64::from(b), Precision::Float32);
        assert_eq!(f32s(1.0, 1.0 + f32::EPSILON), 1);
        assert_eq!(f32s(1.0, 1.0 - f32::EPSILON), 2, "below a power of two they stand closer");
        assert_eq!(f32s(0.0, -0.0), 0);
        assert_eq!(f32s(f32::from_bits(1), -f32::from_bits(1)), 2, "across zero");
        assert_eq!(distance(1.0, 1.0 + 1e-12, Precision::Float32), 0, "rounded first");
        assert_eq!(distance(1.0, 1.0 + f64::EPSILON, Precision::Float64), 1);
        assert_eq!(distance(f64::MAX, f64::MIN, Precision::Float64), 2 * 0x7FEF_FFFF_FFFF_FFFF);
        assert_eq!(distance(1.0, 1.0 + 1.0 / 128.0, Precision::BFloat16), 1);
        assert_eq!(distance(1.0, 1.0 + 1.0 / 1024.0, Precision::Float16), 1);
    }

    #[test]
    fn they_are_grouped_by_powers_of_two() {
        let mut histogram = Histogram::default();
        [0, 0, 1, 2, 3, 4, 5, 8, 9, 1 << 20].into_iter().for_each(|d| histogram.add(d));
        let mut twice = histogram.clone();
        twice.merge(&histogram);
        let told = |h: &Histogram| h.told().iter().map(|u| (u.most, u.elements)).collect::<Vec<_>>();
        assert_eq!(told(&histogram)[..6], [(0, 2), (1, 1), (2, 1), (4, 2), (8, 2), (16, 1)]);
        assert_eq!(told(&histogram).last(), Some(&(1 << 20, 1)));
        assert_eq!(told(&twice)[3], (4, 4));
        histogram.add(u64::MAX);
        assert_eq!(told(&histogram).last(), Some(&(u64::MAX, 1)));
    }
}
