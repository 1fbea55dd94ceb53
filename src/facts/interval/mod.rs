//! Bounds of values, by abstract interpretation.
//!
//! A bound is used to prove that an activation is the identity on carried values, so it must hold for what a runtime
//! computes and not for the real function alone: floats round, overflow and underflow in their own type, integers wrap.
//!
//! **No number** is in no interval. The promise is about entries that no NaN went into: runtimes let one pass through `Relu`,
//! `Clip`, `Max` and `Min`, but `MaxPool` may drop it, and a cast to integers makes anything of it. That is enough for
//! carried values. A NaN at the fork is one at the join, with or without a rewrite; and on the way a carried NaN makes one of
//! all that a convolution computes beside it, whether an activation is the identity or not.

mod infer;
mod transfer;

use crate::onnx::tensor_proto::DataType;

use super::element::{self, EXACT, Float};

pub(super) use infer::infer;

/// Every value `v` satisfies `lo <= v <= hi`, infinite ones too; 0 and -0 are one value. Entries that a NaN went into are
/// not meant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower bound.
    pub lo: f64,
    /// Upper bound.
    pub hi: f64,
}

const ZERO: Interval = Interval { lo: 0.0, hi: 0.0 };
const UNIT: Interval = Interval { lo: 0.0, hi: 1.0 };
const POSITIVE: Interval = Interval { lo: 0.0, hi: f64::INFINITY };
const NEGATIVE: Interval = Interval { lo: f64::NEG_INFINITY, hi: 0.0 };

impl Interval {
    /// Nothing is known.
    pub const ANY: Self = Self { lo: f64::NEG_INFINITY, hi: f64::INFINITY };

    /// `[lo, hi]`, or everything when that is no interval.
    #[must_use]
    pub fn new(lo: f64, hi: f64) -> Self {
        if lo <= hi { Self { lo, hi } } else { Self::ANY }
    }

    /// All that a tensor of this type can hold.
    pub(super) fn of_type(dtype: Option<DataType>) -> Self {
        dtype.and_then(element::integer).map_or(Self::ANY, |(lo, hi)| Self { lo, hi })
    }

    /// As bounds of a tensor of this type: inside of what it can hold, and outside of it where float64 may have rounded one.
    fn within(self, dtype: Option<DataType>) -> Self {
        let all = Self::of_type(dtype);
        if all == Self::ANY {
            return self;
        }
        let lo = if self.lo.abs() < EXACT { self.lo.max(all.lo) } else { all.lo };
        let hi = if self.hi.abs() < EXACT { self.hi.min(all.hi) } else { all.hi };
        if lo <= hi { Self { lo, hi } } else { all }
    }

    /// The smallest interval around both.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        Self { lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }

    /// `max(min(v, hi), lo)`, as `Clip` computes it.
    #[must_use]
    pub fn clip(self, lo: f64, hi: f64) -> Self {
        Self::new(self.lo.min(hi).max(lo), self.hi.min(hi).max(lo))
    }

    /// Of real numbers, as all below up to `computed`.
    fn plus(self, other: Self) -> Self {
        Self::new(self.lo + other.lo, self.hi + other.hi)
    }

    fn times(self, other: Self) -> Self {
        // 0 * inf is 0 here: an infinite bound stands for a finite value of any size, and the product itself is no number.
        let product = |a: f64, b: f64| if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
        let all = [
            product(self.lo, other.lo),
            product(self.lo, other.hi),
            product(self.hi, other.lo),
            product(self.hi, other.hi),
        ];
        let lo = all.iter().copied().fold(f64::INFINITY, f64::min);
        let hi = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self::new(lo, hi)
    }

    fn minus(self) -> Self {
        Self { lo: -self.hi, hi: -self.lo }
    }

    /// Of the absolute values.
    fn size(self) -> Self {
        let (a, b) = (self.lo.abs(), self.hi.abs());
        if self.lo <= 0.0 && self.hi >= 0.0 {
            Self { lo: 0.0, hi: a.max(b) }
        } else {
            Self { lo: a.min(b), hi: a.max(b) }
        }
    }

    /// The sign alone: of a sum or mean of so many floats that the size is not sure.
    fn sign(self) -> Self {
        match self {
            _ if self.lo >= 0.0 => POSITIVE,
            _ if self.hi <= 0.0 => NEGATIVE,
            _ => Self::ANY,
        }
    }

    /// What a tensor of type `dtype` holds where the real result of one operation is inside: a float is rounded, which keeps
    /// the sign, an integer wraps. Of an unknown type it may be anything.
    fn computed(self, dtype: Option<DataType>) -> Self {
        if let Some(format) = dtype.and_then(element::float) {
            return self.rounded(format, 0.0);
        }
        let all = Self::of_type(dtype);
        let exact = self.lo > -EXACT && self.hi < EXACT;
        if exact && all.lo <= self.lo && self.hi <= all.hi && dtype.is_some() { self } else { all }
    }

    /// Widened by the rounding of one operation on numbers up to `size`, by overflow and by underflow.
    fn rounded(self, format: Float, size: f64) -> Self {
        let wide = |bound: f64| format.error().max(1e-3) * bound.abs().max(size) + format.smallest();
        let (lo, hi) = (self.lo - wide(self.lo), self.hi + wide(self.hi));
        let lo = if self.lo >= 0.0 { lo.max(0.0) } else { lo };
        let hi = if self.hi <= 0.0 { hi.min(0.0) } else { hi };
        let infinite = |bound: f64| if bound.abs() > format.largest() { bound * f64::INFINITY } else { bound };
        // A bound that is too large stands for the infinite value only on its own side.
        Self::new(if lo < 0.0 { infinite(lo) } else { lo }, if hi > 0.0 { infinite(hi) } else { hi })
    }

    /// What `Cast` makes of it: see [`element::cast`]. A bound that is a number of the new type stays, however it rounds.
    fn cast(self, to: Option<DataType>) -> Self {
        if let Some(format) = to.and_then(element::float) {
            let rounded = self.rounded(format, 0.0);
            let keeps = |bound: f64| format.nearest(bound) == bound;
            return match format.is_byte() {
                // They may saturate.
                true => self.sign(),
                false => Self {
                    lo: if keeps(self.lo) { self.lo } else { rounded.lo },
                    hi: if keeps(self.hi) { self.hi } else { rounded.hi },
                },
            };
        }
        let all = Self::of_type(to);
        let (lo, hi) = (self.lo.trunc(), self.hi.trunc());
        let exact = -EXACT < lo && hi < EXACT;
        let fits = exact && to.is_some() && to != Some(DataType::Bool) && all.lo <= lo && hi <= all.hi;
        if fits { Self::new(lo, hi) } else { all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_survive_rounding_and_nothing_else_is_sure() {
        let float = Some(DataType::Float);
        let positive = POSITIVE.plus(UNIT).computed(float);
        assert!(positive.lo >= 0.0);
        assert!(UNIT.times(UNIT).computed(float).hi > 1.0, "a product may round up");
        assert!(Interval::new(-1.0, 1.0).times(POSITIVE).lo == f64::NEG_INFINITY);
        assert_eq!(Interval::ANY.clip(0.0, 6.0), Interval { lo: 0.0, hi: 6.0 });
        assert_eq!(Interval::new(f64::NAN, 1.0), Interval::ANY);
        assert_eq!(POSITIVE.computed(None), Interval::ANY, "integers may wrap");
    }

    #[test]
    fn integers_wrap_and_floats_leave_their_range() {
        let (byte, half) = (Some(DataType::Int8), Some(DataType::Float16));
        let all = Interval { lo: -128.0, hi: 127.0 };
        assert_eq!(Interval::new(-128.0, 0.0).size().computed(byte), all);
        assert_eq!(Interval::new(-127.0, 0.0).size().computed(byte), Interval::new(0.0, 127.0));
        assert_eq!(Interval::new(0.0, 100.0).plus(Interval::new(0.0, 28.0)).computed(byte), all);
        assert_eq!(Interval::new(3e4, 6e4).plus(Interval::new(0.0, 6e4)).computed(half).hi, f64::INFINITY);
        assert!(Interval::new(1e-9, 1e-8).computed(half).lo == 0.0, "it underflows");
        assert_eq!(Interval::new(-1.5, 6.0).cast(byte), Interval::new(-1.0, 6.0));
        assert_eq!(Interval::new(0.0, 200.0).cast(byte), all);
        assert_eq!(POSITIVE.cast(byte), all);
        assert_eq!(Interval::new(0.0, 6.0).cast(half), Interval::new(0.0, 6.0));
        assert!(Interval::new(0.1, 6.1).cast(half).hi > 6.1);
    }
}
