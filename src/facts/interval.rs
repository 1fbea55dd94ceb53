//! Bounds of values, by abstract interpretation.
//!
//! A bound is used to prove that an activation is the identity on carried values, so it must hold for the float
//! computation too: sums and products of non-negative floats are non-negative, and everything that could round across
//! a bound is widened.

use crate::graph::{NodeId, ValueId};

use super::{BatchNorm, Facts, Fill, Piece, clip_bounds};

/// Every value `v` satisfies `lo <= v <= hi`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower bound.
    pub lo: f64,
    /// Upper bound.
    pub hi: f64,
}

impl Interval {
    /// Nothing is known.
    pub const ANY: Self = Self { lo: f64::NEG_INFINITY, hi: f64::INFINITY };

    /// `[lo, hi]`, or everything when that is no interval.
    #[must_use]
    pub fn new(lo: f64, hi: f64) -> Self {
        if lo <= hi { Self { lo, hi } } else { Self::ANY }
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

    fn plus(self, other: Self) -> Self {
        Self::new(self.lo + other.lo, self.hi + other.hi)
            .rounded(self.lo.min(other.lo) >= 0.0, self.hi.max(other.hi) <= 0.0)
    }

    fn times(self, other: Self) -> Self {
        // 0 * inf is 0 here: an infinite bound stands for a finite value of any size.
        let product = |a: f64, b: f64| if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
        let all = [
            product(self.lo, other.lo),
            product(self.lo, other.hi),
            product(self.hi, other.lo),
            product(self.hi, other.hi),
        ];
        let lo = all.iter().copied().fold(f64::INFINITY, f64::min);
        let hi = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self::new(lo, hi).rounded(lo >= 0.0, hi <= 0.0)
    }

    fn minus(self) -> Self {
        Self { lo: -self.hi, hi: -self.lo }
    }

    /// Widened by float rounding, except across a sign that rounding keeps.
    fn rounded(self, positive: bool, negative: bool) -> Self {
        let more = 1e-3;
        let lo = self.lo - self.lo.abs() * more;
        let hi = self.hi + self.hi.abs() * more;
        Self::new(if positive { lo.max(0.0) } else { lo }, if negative { hi.min(0.0) } else { hi })
    }
}

const UNIT: Interval = Interval { lo: 0.0, hi: 1.0 };
const SIGNED_UNIT: Interval = Interval { lo: -1.0, hi: 1.0 };
const POSITIVE: Interval = Interval { lo: 0.0, hi: f64::INFINITY };

/// Computes the bounds of the outputs of `node`.
pub(super) fn infer(facts: &mut Facts<'_>, node: NodeId) {
    let Some(output) = facts.view().output(node) else { return };
    let channels = per_channel(facts, node);
    let whole = match &channels {
        Some(all) => all.iter().copied().reduce(Interval::hull).unwrap_or(Interval::ANY),
        None => whole(facts, node),
    };
    // Split and Dropout: every output is a part of the input.
    if facts.view().op(node) == "Split" {
        for value in facts.view().outputs(node).iter().flatten() {
            facts.table.interval[value.0 as usize] = whole;
        }
    }
    facts.table.interval[output.0 as usize] = whole;
    facts.table.channel_intervals[output.0 as usize] = channels;
}

fn whole(facts: &Facts<'_>, node: NodeId) -> Interval {
    let view = facts.view();
    let of = |slot: usize| view.input(node, slot).map_or(Interval::ANY, |v| value_bounds(facts, v));
    let all = || view.inputs(node).iter().flatten().map(|v| value_bounds(facts, *v));
    match view.op(node) {
        "Relu" => of(0).clip(0.0, f64::INFINITY),
        "Clip" => clip(facts, node, of(0)),
        "LeakyRelu" => match of(0) {
            x if x.lo >= 0.0 => x,
            x if view.attr_f(node, "alpha").unwrap_or(0.01) >= 0.0 => Interval::new(f64::NEG_INFINITY, x.hi.max(0.0)),
            _ => Interval::ANY,
        },
        "PRelu" if of(0).lo >= 0.0 => of(0),
        "Sigmoid" | "HardSigmoid" | "Softmax" => UNIT,
        "Tanh" | "Erf" | "Softsign" | "Sin" | "Cos" | "Sign" => SIGNED_UNIT,
        "Softplus" | "Exp" | "Abs" | "Sqrt" => POSITIVE,
        // Minima: HardSwish -3/8, SiLU -0.2785, GELU -0.17, Mish -0.309; Elu and Celu -alpha, Selu -1.7581.
        "HardSwish" => Interval::new(-0.376, f64::INFINITY),
        // x * sigmoid(a x) is SiLU(a x) / a.
        "Swish" => match f64::from(view.attr_f(node, "alpha").unwrap_or(1.0)) {
            alpha if alpha > 0.0 => Interval::new(-0.279 / alpha, f64::INFINITY),
            _ => Interval::ANY,
        },
        "Gelu" => Interval::new(-0.171, f64::INFINITY),
        "Mish" => Interval::new(-0.310, f64::INFINITY),
        "Identity" | "Dropout" | "Reshape" | "Flatten" | "Transpose" | "Squeeze" | "Unsqueeze" | "Slice" | "Split"
        | "Gather" | "Expand" | "MaxPool" | "GlobalMaxPool" | "ReduceMax" | "ReduceMin" | "DepthToSpace"
        | "SpaceToDepth" | "Tile" => of(0),
        "SequenceAt" => Piece::new(view, facts, node).map_or(Interval::ANY, |p| facts.interval(p.input)),
        // A mean rounds, so only its sign is sure.
        "GlobalAveragePool" | "AveragePool" | "ReduceMean" => {
            of(0).hull(Interval { lo: 0.0, hi: 0.0 }).rounded(of(0).lo >= 0.0, of(0).hi <= 0.0)
        }
        "Resize" | "Upsample" if view.attr_s(node, "mode").is_none_or(|m| m == b"nearest") => of(0),
        "Resize" | "Upsample" if view.attr_s(node, "mode") == Some(b"linear") => {
            of(0).hull(Interval { lo: 0.0, hi: 0.0 }).rounded(of(0).lo >= 0.0, of(0).hi <= 0.0)
        }
        "Concat" => all().reduce(Interval::hull).unwrap_or(Interval::ANY),
        "Max" => all().reduce(|a, b| Interval::new(a.lo.max(b.lo), a.hi.max(b.hi))).unwrap_or(Interval::ANY),
        "Min" => all().reduce(|a, b| Interval::new(a.lo.min(b.lo), a.hi.min(b.hi))).unwrap_or(Interval::ANY),
        "Add" | "Sum" => all().reduce(Interval::plus).unwrap_or(Interval::ANY),
        "Sub" => of(0).plus(of(1).minus()),
        "Mul" if view.input(node, 0) == view.input(node, 1) => POSITIVE,
        "Mul" => of(0).times(of(1)),
        "Neg" => of(0).minus(),
        "Where" => of(1).hull(of(2)),
        "Pad" => pad(facts, node, of(0)),
        "Cast" => of(0).rounded(of(0).lo >= 0.0, of(0).hi <= 0.0),
        _ => Interval::ANY,
    }
}

/// Bounds of a tensor, a constant's included.
fn value_bounds(facts: &Facts<'_>, value: ValueId) -> Interval {
    let small = facts.constant_shape(value).is_some_and(|s| s.iter().product::<usize>() <= 1 << 16);
    match small.then(|| facts.constant(value)).flatten() {
        Some(c) if !c.data.is_empty() && c.data.iter().all(|v| v.is_finite()) => {
            let lo = c.data.iter().copied().fold(f64::INFINITY, f64::min);
            let hi = c.data.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            Interval::new(lo, hi)
        }
        _ => facts.interval(value),
    }
}

fn clip(facts: &Facts<'_>, node: NodeId, x: Interval) -> Interval {
    clip_bounds(facts.view(), facts, node).map_or(Interval::ANY, |(lo, hi)| x.clip(lo, hi))
}

fn pad(facts: &Facts<'_>, node: NodeId, x: Interval) -> Interval {
    match Fill::new(facts.view(), facts, node) {
        Fill::Value(fill) => x.hull(Interval::new(fill, fill)),
        Fill::Unknown => Interval::ANY,
        Fill::Repeated => x,
    }
}

/// Bounds of each channel of a `BatchNormalization`, and of what keeps channels apart behind one.
fn per_channel(facts: &Facts<'_>, node: NodeId) -> Option<Vec<Interval>> {
    let view = facts.view();
    let input = view.input(node, 0)?;
    let channels = facts.channels(input)?;
    match view.op(node) {
        "BatchNormalization" => {
            let norm = BatchNorm::new(view, facts, node).filter(|n| n.scale.len() == channels)?;
            let bounds = facts
                .channel_intervals(input)
                .map_or_else(|| vec![facts.interval(input); channels], <[Interval]>::to_vec);
            let all = (0..channels).map(|c| {
                let (scale, shift) = (norm.scale[c], norm.shift[c]);
                let ends = if scale >= 0.0 { (bounds[c].lo, bounds[c].hi) } else { (bounds[c].hi, bounds[c].lo) };
                let at = |end: f64| if scale == 0.0 { shift } else { end * scale + shift };
                let slack = 1e-5 * (1.0 + shift.abs() + (norm.mean[c] * scale).abs());
                Interval::new(at(ends.0) - slack, at(ends.1) + slack).rounded(false, false)
            });
            Some(all.collect())
        }
        "Relu" => Some(facts.channel_intervals(input)?.iter().map(|i| i.clip(0.0, f64::INFINITY)).collect()),
        "Clip" => Some(facts.channel_intervals(input)?.iter().map(|i| clip(facts, node, *i)).collect()),
        "Identity" | "MaxPool" => facts.channel_intervals(input).map(<[Interval]>::to_vec),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_survive_rounding_and_nothing_else_is_sure() {
        let positive = POSITIVE.plus(UNIT);
        assert!(positive.lo >= 0.0);
        assert!(UNIT.times(UNIT).hi > 1.0, "a product may round up");
        assert!(SIGNED_UNIT.times(POSITIVE).lo == f64::NEG_INFINITY);
        assert_eq!(Interval::ANY.clip(0.0, 6.0), Interval { lo: 0.0, hi: 6.0 });
        assert_eq!(Interval::new(f64::NAN, 1.0), Interval::ANY);
    }
}
