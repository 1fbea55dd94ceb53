//! Distances between outputs, channel by channel: one tensor may hold boxes in pixels and scores below 1.

use ndarray::ArrayD;

use crate::verify::reference::Value;

/// Most channels that are looked at one by one; the channels of a tensor with more are taken together in groups.
const MAX_CHANNELS: usize = 1 << 16;

/// Channels within this factor of each other in size are drawn from together: one value a channel is too few draws to tell
/// how far rounding moves it.
const ALIKE: f64 = 8.0;

/// A way to group the entries of a tensor: all entries with the same index along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grouping {
    /// The axis; `None` for a tensor taken as a whole.
    pub(super) axis: Option<usize>,
    stride: usize,
    size: usize,
}

impl Grouping {
    /// The groupings of a tensor: by axis 1, where channels stand, and by the last axis of a list of rows.
    pub(super) fn of(shape: &[usize]) -> Vec<Self> {
        let along = |axis: usize| {
            let size = shape[axis].max(1);
            let stride = shape[axis + 1..].iter().product::<usize>().max(1);
            let merged = size.div_ceil(MAX_CHANNELS);
            Self { axis: Some(axis), stride: stride * merged, size: size.div_ceil(merged) }
        };
        match shape.len() {
            0 | 1 => vec![Self { axis: None, stride: 1, size: 1 }],
            3 => vec![along(1), along(2)],
            _ => vec![along(1)],
        }
    }

    /// How many groups.
    pub(super) fn count(self) -> usize {
        self.size
    }

    /// The group of an entry.
    pub(super) fn index(self, entry: usize) -> usize {
        if self.axis.is_none() { 0 } else { (entry / self.stride) % self.size }
    }

    /// The largest of `f` in each channel.
    fn largest(self, values: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut largest = vec![0.0_f64; self.size];
        for (entry, value) in values.enumerate() {
            let at = &mut largest[self.index(entry)];
            // A NaN is further away than every number.
            *at = if value.is_nan() { f64::INFINITY } else { at.max(value) };
        }
        largest
    }

    /// Largest absolute value of each channel; what is not finite does not count.
    pub(super) fn sizes(self, values: &ArrayD<f64>) -> Vec<f64> {
        self.largest(values.iter().map(|v| if v.is_finite() { v.abs() } else { 0.0 }))
    }

    /// Largest distance of each channel of arrays of one shape.
    pub(super) fn distances(self, a: &ArrayD<f64>, b: &ArrayD<f64>) -> Vec<f64> {
        self.largest(a.iter().zip(b).map(|(a, b)| apart(*a, *b)))
    }
}

/// How far two values are apart: 0 when they are the same, infinities and NaNs included; infinite when just one of them is no
/// number.
pub(super) fn apart(a: f64, b: f64) -> f64 {
    if a == b || (a.is_nan() && b.is_nan()) {
        0.0
    } else if a.is_finite() && b.is_finite() {
        (a - b).abs()
    } else {
        f64::INFINITY
    }
}

/// The distances of `channels` of these `sizes`, each at least what channels of like size have on average.
pub(super) fn pooled(distances: &[f64], sizes: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by(|a, b| sizes[*a].total_cmp(&sizes[*b]));
    // Two pointers walk over the channels by size; a running sum of squares gives every mean.
    let mut sums = vec![0.0; order.len() + 1];
    for (i, channel) in order.iter().enumerate() {
        let d = distances[*channel];
        sums[i + 1] = sums[i] + if d.is_finite() { d * d } else { 0.0 };
    }
    let (mut first, mut last) = (0, 0);
    let mut pooled = distances.to_vec();
    for (i, channel) in order.iter().enumerate() {
        let size = sizes[*channel];
        while first < i && sizes[order[first]] * ALIKE < size {
            first += 1;
        }
        last = last.max(i);
        while last + 1 < order.len() && sizes[order[last + 1]] <= size * ALIKE {
            last += 1;
        }
        let mean = ((sums[last + 1] - sums[first]) / (last + 1 - first) as f64).max(0.0).sqrt();
        pooled[*channel] = pooled[*channel].max(mean);
    }
    pooled
}

/// The elements as floats, whatever they are.
pub(super) fn floats(value: &Value) -> ArrayD<f64> {
    match value {
        Value::F(a) => a.clone(),
        Value::I(a) => a.mapv(|v| v as f64),
        Value::B(a) => a.mapv(|v| f64::from(u8::from(v))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, IxDyn};

    fn ramp(shape: &[usize]) -> ArrayD<f64> {
        let n: usize = shape.iter().product();
        Array::from_iter((0..n).map(|v| v as f64)).into_shape_with_order(IxDyn(shape)).unwrap_or_default()
    }

    #[test]
    fn channels_stand_on_axis_1_and_rows_on_the_last() {
        let a = ramp(&[2, 3, 4]);
        let [by_channel, by_row] =
            <[Grouping; 2]>::try_from(Grouping::of(a.shape())).unwrap_or_else(|_| unreachable!());
        assert_eq!(by_channel.sizes(&a), [15.0, 19.0, 23.0]);
        assert_eq!(by_row.sizes(&a), [20.0, 21.0, 22.0, 23.0]);
        assert_eq!(Grouping::of(&[]), [Grouping { axis: None, stride: 1, size: 1 }]);
        let mut b = a.clone();
        b[[1, 2, 0]] += 0.5;
        b[[0, 0, 1]] = f64::NAN;
        assert_eq!(by_channel.distances(&a, &b), [f64::INFINITY, 0.0, 0.5]);
        assert_eq!(Grouping::of(&[1, 1 << 20])[0].sizes(&ArrayD::zeros(IxDyn(&[1, 1 << 20]))).len(), 1 << 16);
    }

    #[test]
    fn infinities_of_one_sign_and_nans_are_alike() {
        assert_eq!(apart(f64::INFINITY, f64::INFINITY), 0.0);
        assert_eq!(apart(f64::NAN, f64::NAN), 0.0);
        assert_eq!(apart(f64::INFINITY, f64::NEG_INFINITY), f64::INFINITY);
        assert_eq!(apart(f64::NAN, 1.0), f64::INFINITY);
        assert_eq!(apart(3.0, 1.0), 2.0);
    }

    #[test]
    fn channels_of_like_size_share_their_spread() {
        // Two boxes in pixels, two scores: the spread of the first says nothing of the second.
        let pooled = pooled(&[3.0, 4.0, 1e-6, 0.0], &[500.0, 300.0, 0.9, 0.5]);
        let rms = |a: f64, b: f64| ((a * a + b * b) / 2.0).sqrt();
        assert_eq!(pooled[0], rms(3.0, 4.0));
        assert_eq!(pooled[1], 4.0);
        assert!((pooled[3] - rms(1e-6, 0.0)).abs() < 1e-12 && pooled[2] == 1e-6, "{pooled:?}");
    }
}
