//! Bounds of single channels, tight enough to prove that a channel is zero.

use crate::algebra::Kernel;
use crate::facts::{Interval, has_full_windows, tensor};
use crate::graph::{NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::operators::keeps_zero;
use crate::read::{Context, affine};

/// Exactly zero.
pub(super) const ZERO: Interval = Interval { lo: 0.0, hi: 0.0 };

/// How far the float sum of a convolution of type `dtype` with so many terms may be from the real one, relative to the sum of
/// magnitudes: every addition and every product rounds.
fn slack(terms: usize, dtype: DataType) -> f64 {
    (2.0 * tensor::unit_roundoff(dtype) * (terms + 2) as f64).max(1e-3)
}

/// Bounds of each output channel of `kernel` on channels within `inputs`, in floats of type `dtype`; what is padded is 0.
pub(super) fn convolved(kernel: &Kernel, inputs: &[Interval], dtype: DataType) -> Vec<Interval> {
    let (width, height) = (kernel.group_inputs(), kernel.group_outputs().max(1));
    let row = |(o, row): (usize, ndarray::ArrayViewD<'_, f64>)| {
        let bias = kernel.bias.as_ref().map_or(0.0, |b| b[o]);
        let (mut lo, mut hi, mut size) = (bias, bias, 0.0);
        // A sum of floats of one sign keeps it, however it is rounded.
        let (mut positive, mut negative) = (bias >= 0.0, bias <= 0.0);
        for (i, taps) in row.outer_iter().enumerate() {
            let x = inputs.get(o / height * width + i).map_or(Interval::ANY, |x| x.hull(ZERO));
            // 0 * inf is 0 here: an infinite bound stands for a finite value of any size.
            for w in taps.iter().filter(|w| **w != 0.0) {
                let ends = [w * x.lo, w * x.hi].map(|v| if v.is_nan() { 0.0 } else { v });
                let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
                (lo, hi) = (lo + low, hi + high);
                (positive, negative) = (positive && low >= 0.0, negative && high <= 0.0);
                size += ends[0].abs().max(ends[1].abs());
            }
        }
        let slack = if size == 0.0 { 0.0 } else { slack(row.len(), dtype) * (size + bias.abs()) };
        let (lo, hi) = (lo - slack, hi + slack);
        Interval::new(if positive { lo.max(0.0) } else { lo }, if negative { hi.min(0.0) } else { hi })
    };
    kernel.weight.outer_iter().enumerate().map(row).collect()
}

/// Bounds of each channel of a tensor.
pub(super) fn known(cx: Context<'_>, value: ValueId, channels: usize) -> Vec<Interval> {
    match cx.facts.channel_intervals(value) {
        Some(all) if all.len() == channels => all.to_vec(),
        _ => vec![cx.facts.interval(value); channels],
    }
}

/// Bounds behind an operator that treats channels apart and maps `inputs` to `value`.
pub(super) fn behind(cx: Context<'_>, node: NodeId, value: ValueId, inputs: &[Interval]) -> Vec<Interval> {
    let known = known(cx, value, inputs.len());
    let map = affine::affine(cx, node).filter(|(_, scale, _)| scale.len() == inputs.len());
    // A window without entries gives no zero of zeros, and none of what is bounded.
    let full = !cx.view.op(node).ends_with("Pool") || has_full_windows(cx.view, node);
    let of = |c: usize, x: Interval| match (&map, cx.view.op(node)) {
        // Only where nothing is left to round.
        (Some((_, scale, shift)), _) if x == ZERO || scale[c] == 0.0 => Interval::new(shift[c], shift[c]),
        (Some(_), _) => Interval::ANY,
        (None, op) if x == ZERO && keeps_zero(op) && full => ZERO,
        (None, "Identity" | "Dropout" | "MaxPool") if full => x,
        (None, _) => cx.facts.image(node, x).unwrap_or(Interval::ANY),
    };
    let meet = |a: Interval, b: Interval| Interval::new(a.lo.max(b.lo), a.hi.min(b.hi));
    inputs.iter().zip(known).enumerate().map(|(c, (x, k))| if k == ZERO { ZERO } else { meet(of(c, *x), k) }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ndarray::{ArrayD, IxDyn};

    #[test]
    fn a_row_of_zeros_is_its_bias_and_a_bounded_input_bounds_the_rest() {
        let values = vec![0., 0., 1., -2., 1., 1., -1., -1.];
        let weight = ArrayD::from_shape_vec(IxDyn(&[4, 2, 1]), values).unwrap();
        let kernel = Kernel { weight, bias: Some(vec![-1.0, -5.0, 0.0, 0.0]), group: 1 };
        let open = [Interval { lo: 0.0, hi: 3.0 }, Interval { lo: 0.0, hi: f64::INFINITY }];
        let bounds = convolved(&kernel, &open, DataType::Float);
        assert!(bounds[0].hi <= 0.0, "a row of zeros");
        assert_eq!(bounds[2], Interval { lo: 0.0, hi: f64::INFINITY });
        assert_eq!(bounds[3], Interval { lo: f64::NEG_INFINITY, hi: 0.0 }, "only negative terms");
        let bounds = convolved(&kernel, &[Interval { lo: 0.0, hi: 3.0 }; 2], DataType::Float);
        assert!((-2.0..-1.9).contains(&bounds[1].hi) && bounds[1].lo < -11.0, "{:?}", bounds[1]);
        let zero = Kernel { weight: ArrayD::zeros(IxDyn(&[1, 1, 1])), bias: None, group: 1 };
        assert_eq!(convolved(&zero, &[Interval::ANY], DataType::Float), [ZERO]);
    }
}
