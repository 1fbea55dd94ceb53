//! A linear layer on vectors: `Gemm`, and `MatMul` with a matrix, both by a constant.
//!
//! There is no window and so no border: such a layer is a convolution over no spatial axis, and folds wherever channel
//! counts fit. Over more axes (`[N, tokens, C]`) layers stay as they are: what stands beside them there is mostly part of a
//! normalisation that is written out, which runtimes know as a whole.

use crate::graph::NodeId;
use crate::read::layer::Layer;
use crate::read::{BROADCASTS_SINCE, Context, Reject, RejectCode};

/// Reads `node`. `None` when it is no product of vectors of data and a matrix that the data does not change.
///
/// # Errors
/// A [`Reject`] when the matrix or the bias is no constant, or the bias not one value an output channel.
pub(super) fn read(cx: Context<'_>, node: NodeId) -> Option<Result<Layer, Reject>> {
    let (view, facts) = (cx.view, cx.facts);
    let (input, weight) = (view.input(node, 0)?, view.input(node, 1)?);
    let vectors = match view.op(node) {
        "Gemm" => view.opset() >= BROADCASTS_SINCE && view.attr_i(node, "transA").unwrap_or(0) == 0,
        "MatMul" => facts.rank(input) == Some(2),
        _ => false,
    };
    if !vectors || !facts.is_data(input) || facts.is_data(weight) {
        return None;
    }
    let refuse = |code, reason: &str| Some(Err(Reject::at(view, node, code, reason)));
    match Layer::given(cx, node) {
        Some(layer) if facts.channels(input).is_none_or(|n| n == layer.channels.0) => Some(Ok(layer)),
        Some(_) => {
            refuse(RejectCode::BadConvolution, "its input does not have as many features as its matrix asks for")
        }
        None if facts.is_constant(weight) => {
            refuse(RejectCode::WeightNotConstant, "its bias is no constant with one value an output channel")
        }
        None => refuse(RejectCode::WeightNotConstant, "its matrix is not a constant"),
    }
}
