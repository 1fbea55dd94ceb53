//! How much there is to compute: tract emulates float16 where the processor has none, at a hundred times the price.

use crate::onnx::NodeProto;
use crate::verify::reference;

use super::inputs::Case;
use super::pair::Side;

/// Multiply-accumulates of convolutions and products that one run in float16 may take. Beyond, six inputs through both models
/// would take minutes for a small network and hours for a large one.
pub(super) const MOST_IN_FLOAT16: usize = 1 << 24;

/// Multiply-accumulates of convolutions and products by a constant; `None` when float64 cannot tell.
pub(super) fn multiplications(side: &Side<'_>, case: &Case) -> Option<usize> {
    let graph = side.graph();
    let counted = || graph.node.iter().filter(|n| matches!(n.op_type(), "Conv" | "ConvTranspose" | "Gemm" | "MatMul"));
    let weights = |name: &str| graph.initializer.iter().find(|t| t.name() == name).map(|t| t.dims.as_slice());
    let outputs: Vec<&str> = counted().filter_map(|n| n.output.first()).map(String::as_str).collect();
    let trace = reference::run_to(&side.model, &side.feed(&case.feed), &outputs).ok()?;
    let of = |node: &NodeProto| {
        let dims = weights(node.input.get(1)?)?;
        let each: i64 = dims.iter().fold(1, |n: i64, d| n.saturating_mul(*d));
        // Every output reads one row of the weights.
        let transposed = node.attribute.iter().any(|a| a.name() == "transB" && a.i() != 0);
        let rows = if node.op_type() == "Conv" || transposed { dims.first()? } else { dims.get(1)? };
        let entries = trace.get(node.output.first()?)?.shape().iter().product::<usize>();
        Some(entries.saturating_mul(usize::try_from(each / rows.max(&1)).ok()?))
    };
    Some(counted().filter_map(of).fold(0, usize::saturating_add))
}
