//! Normalisations of constants: weight standardisation, and weights that a softmax makes sum to one.

use ndarray::{ArrayD, ArrayViewD, Axis};

use crate::facts::{BatchNorm, Facts};
use crate::graph::NodeId;

use super::{Table, axis, input};

pub(super) const OPERATORS: Table = &[("BatchNormalization", batch_norm), ("Softmax", softmax)];

/// Along one axis. Before opset 13 all axes from `axis` on counted as one, which is the same for the last axis alone.
fn softmax(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let view = facts.view();
    let mut x = input(facts, node, 0)?.data.clone();
    if x.is_empty() {
        return None;
    }
    let modern = view.opset() >= 13;
    let axis = axis(view.attr_i(node, "axis").unwrap_or(if modern { -1 } else { 1 }), x.ndim())?;
    if !modern && axis + 1 != x.ndim() {
        return None;
    }
    for mut lane in x.lanes_mut(Axis(axis)) {
        let largest = lane.fold(f64::NEG_INFINITY, |m, v| m.max(*v));
        lane.mapv_inplace(|v| (v - largest).exp());
        let sum = lane.sum();
        lane.mapv_inplace(|v| v / sum);
    }
    Some(x)
}

/// `BatchNormalization` of a weight (inference), and in training mode too: weight standardisation normalises each
/// filter over its own entries, `[1, filters, entries]`, which depends on the weight alone.
fn batch_norm(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let view = facts.view();
    let x = facts.constant(view.input(node, 0)?)?;
    let channels = *x.data.shape().get(1)?;
    if x.data.is_empty() {
        return None;
    }
    let mut out = x.data.clone();
    let maps: Vec<(f64, f64)> = match BatchNorm::new(view, facts, node) {
        Some(norm) => norm.scale.into_iter().zip(norm.shift).collect(),
        None if view.attr_i(node, "training_mode").unwrap_or(0) != 0 => standardised(facts, node, &x.data)?,
        None => return None,
    };
    if maps.len() != channels {
        return None;
    }
    for (mut plane, (scale, shift)) in out.axis_iter_mut(Axis(1)).zip(maps) {
        plane.mapv_inplace(|x| x * scale + shift);
    }
    Some(out)
}

/// The affine map of each channel of `x` by its own mean and variance.
fn standardised(facts: &Facts<'_>, node: NodeId, x: &ArrayD<f64>) -> Option<Vec<(f64, f64)>> {
    let view = facts.view();
    let (gamma, beta) = (facts.constant(view.input(node, 1)?)?, facts.constant(view.input(node, 2)?)?);
    let epsilon = f64::from(view.attr_f(node, "epsilon").unwrap_or(1e-5));
    let map = |((plane, gamma), beta): ((ArrayViewD<'_, f64>, &f64), &f64)| {
        let n = plane.len().max(1) as f64;
        let mean = plane.sum() / n;
        let variance = plane.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
        let scale = gamma / (variance + epsilon).sqrt();
        (scale, beta - mean * scale)
    };
    Some(x.axis_iter(Axis(1)).zip(&gamma.data).zip(&beta.data).map(map).collect())
}
