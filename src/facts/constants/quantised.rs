//! Weights that are stored as small integers.

use ndarray::{ArrayD, IxDyn};

use crate::facts::Facts;
use crate::graph::NodeId;

use super::{Table, axis, input};

pub(super) const OPERATORS: Table = &[("DequantizeLinear", dequantised)];

/// `DequantizeLinear` (ONNX, versions 10, 13, 19 and 21): `(x - zero_point) * scale`, with one scale and zero point for all
/// entries or one for each along an axis. Blocks of entries with a scale of their own are not handled.
fn dequantised(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let view = facts.view();
    if view.attr_i(node, "block_size").unwrap_or(0) != 0 {
        return None;
    }
    let x = input(facts, node, 0)?;
    let spread = |values: &ArrayD<f64>| -> Option<ArrayD<f64>> {
        if values.len() == 1 && values.ndim() <= 1 {
            return values.clone().into_shape_with_order(IxDyn(&[])).ok();
        }
        // Before opset 13 there was one scale for all.
        let axis = axis(view.attr_i(node, "axis").unwrap_or(1), x.data.ndim())?;
        let fits = view.opset() >= 13 && values.ndim() == 1 && values.len() == x.data.shape()[axis];
        let mut shape = vec![1; x.data.ndim()];
        shape[axis] = values.len();
        fits.then(|| values.clone().into_shape_with_order(IxDyn(&shape)).ok()).flatten()
    };
    let scale = spread(&input(facts, node, 1)?.data)?;
    let zero = match view.input(node, 2) {
        Some(value) => spread(&facts.constant(value)?.data)?,
        None => ArrayD::zeros(IxDyn(&[])),
    };
    Some((&x.data - &zero) * &scale)
}
