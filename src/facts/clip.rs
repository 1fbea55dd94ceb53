//! The bounds of a `Clip`, as attributes and as inputs.

use crate::graph::{GraphView, NodeId};
use crate::onnx::tensor_proto::DataType;

use super::{Facts, element};

/// Lower and upper bound of the `Clip` at `node` (ONNX `Clip`, all opsets); infinite where there is none. `None` when
/// one is not known, or when nothing lies between them.
#[must_use]
pub fn clip_bounds(view: &GraphView<'_>, facts: &Facts<'_>, node: NodeId) -> Option<(f64, f64)> {
    let bound = |slot: usize, name: &str, default: f64| -> Option<f64> {
        if view.opset() < 11 {
            // An attribute is a float32, whatever the tensor is: of an unknown type only what all of them have is known.
            let bound = view.attr_f(node, name).map_or(default, f64::from);
            let nearest = |dtype| element::float(dtype).map(|format| format.nearest(bound));
            return match facts.dtype(view.input(node, 0)?) {
                Some(dtype) => nearest(dtype),
                None => [DataType::Float16, DataType::Bfloat16]
                    .into_iter()
                    .all(|t| nearest(t) == Some(bound))
                    .then_some(bound),
            };
        }
        match view.input(node, slot) {
            None => Some(default),
            Some(v) => facts.constant(v)?.data.iter().copied().next(),
        }
    };
    let (lo, hi) = (bound(1, "min", f64::NEG_INFINITY)?, bound(2, "max", f64::INFINITY)?);
    (lo <= hi).then_some((lo, hi))
}
