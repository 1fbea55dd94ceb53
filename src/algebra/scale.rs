//! `y = scale * x + shift` beside maps that are no `Conv`.

use ndarray::{ArrayD, Axis};

/// Weights `[in, out / group, k...]` of a transposed convolution with each output channel scaled. `None` when the
/// groups do not fit `scale`.
#[must_use]
pub fn transposed(weight: &ArrayD<f64>, group: usize, scale: &[f64]) -> Option<ArrayD<f64>> {
    let (inputs, width) = (*weight.shape().first()?, *weight.shape().get(1)?);
    if group == 0 || inputs % group != 0 || width * group != scale.len() {
        return None;
    }
    let mut scaled = weight.clone();
    for (i, mut row) in scaled.outer_iter_mut().enumerate() {
        let start = i / (inputs / group) * width;
        for (mut taps, s) in row.outer_iter_mut().zip(&scale[start..]) {
            taps.mapv_inplace(|w| w * s);
        }
    }
    Some(scaled)
}

/// What a constant on each input channel becomes on each output channel of a transposed convolution with weights
/// `[in, out / group, k...]`, where all taps see it. `None` when the groups do not fit.
#[must_use]
pub fn seen_by_all_taps(weight: &ArrayD<f64>, group: usize, constant: &[f64]) -> Option<Vec<f64>> {
    let (inputs, width) = (*weight.shape().first()?, *weight.shape().get(1)?);
    if group == 0 || inputs % group != 0 || inputs != constant.len() {
        return None;
    }
    let mut seen = vec![0.0; width.checked_mul(group)?];
    for (i, row) in weight.outer_iter().enumerate() {
        let start = i / (inputs / group) * width;
        for (sum, taps) in seen[start..].iter_mut().zip(row.outer_iter()) {
            *sum += taps.sum() * constant[i];
        }
    }
    Some(seen)
}

/// A tensor scaled entry by entry along `axis`. `None` when the lengths differ.
#[must_use]
pub fn along(matrix: &ArrayD<f64>, axis: usize, scale: &[f64]) -> Option<ArrayD<f64>> {
    if matrix.ndim() <= axis || matrix.shape()[axis] != scale.len() {
        return None;
    }
    let mut scaled = matrix.clone();
    for (mut part, s) in scaled.axis_iter_mut(Axis(axis)).zip(scale) {
        part.mapv_inplace(|w| w * s);
    }
    Some(scaled)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ndarray::IxDyn;

    #[test]
    fn an_output_channel_of_a_transposed_convolution_stands_on_axis_one() {
        let weight = ArrayD::ones(IxDyn(&[4, 2, 1]));
        let scaled = transposed(&weight, 2, &[1., 2., 3., 4.]).unwrap();
        assert_eq!(scaled.iter().copied().collect::<Vec<_>>(), [1., 2., 1., 2., 3., 4., 3., 4.]);
        assert!(transposed(&weight, 1, &[1.; 4]).is_none());
    }

    #[test]
    fn a_constant_is_seen_through_all_taps_of_its_group() {
        let weight = ArrayD::ones(IxDyn(&[4, 2, 3]));
        assert_eq!(seen_by_all_taps(&weight, 2, &[1., 2., 3., 4.]).unwrap(), [9., 9., 21., 21.]);
        assert!(seen_by_all_taps(&weight, 3, &[1.; 4]).is_none());
    }

    #[test]
    fn a_matrix_is_scaled_along_one_axis() {
        let matrix = ArrayD::ones(IxDyn(&[2, 3]));
        assert_eq!(along(&matrix, 0, &[2., 3.]).unwrap().iter().copied().collect::<Vec<_>>(), [2., 2., 2., 3., 3., 3.]);
        assert!(along(&matrix, 1, &[1., 2.]).is_none());
    }
}
