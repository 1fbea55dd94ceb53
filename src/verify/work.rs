//! How much a node computes.

use std::sync::Arc;

use crate::onnx::NodeProto;

use super::reference::Value;

/// About how many multiply-accumulates `node` takes on `inputs`, if it is a convolution or a product.
pub(super) fn macs(node: &NodeProto, inputs: &[Option<Arc<Value>>]) -> usize {
    let shape = |i: usize| inputs.get(i).and_then(Option::as_deref).map(Value::shape);
    let size = |i: usize| shape(i).map_or(0, |s| s.iter().product::<usize>());
    let ints = |name: &str| node.attribute.iter().find(|a| a.name() == name).map(|a| a.ints.as_slice());
    let steps =
        || ints("strides").unwrap_or_default().iter().map(|s| s.unsigned_abs() as usize).product::<usize>().max(1);
    // Each entry of the first operand meets every weight of its own channel.
    let met = |axis: usize| size(1) / shape(1).and_then(|s| s.get(axis).copied()).unwrap_or(1).max(1);
    match node.op_type() {
        "Conv" => {
            let channels = shape(0).and_then(|s| s.get(1).copied()).unwrap_or(1).max(1);
            (size(0) / channels / steps()).saturating_mul(size(1))
        }
        "ConvTranspose" => size(0).saturating_mul(met(0)),
        "MatMul" | "Gemm" => {
            let inner = shape(0).and_then(|s| s.last().copied()).unwrap_or(1).max(1);
            size(0).saturating_mul(size(1) / inner)
        }
        _ => 0,
    }
}
