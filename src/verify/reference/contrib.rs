//! Operators of the domain `com.microsoft` that no nodes of ONNX stand for.

use std::sync::Arc;

use super::Value;
use super::call::{Call, Table};
use super::error::{Outcome, fault};
use super::matmul::matmul;

pub(super) const OPERATORS: Table = &[("FusedMatMul", fused_matmul), ("TransposeMatMul", fused_matmul)];

/// `alpha * A B`, with matrices transposed, or batches of them: then the first axis stands before the last.
fn fused_matmul(call: &mut Call) -> Outcome<Vec<Value>> {
    for (i, matrix, batch) in [(0, "transA", "transBatchA"), (1, "transB", "transBatchB")] {
        let rank = call.value(i)?.shape().len();
        let mut order: Vec<usize> = (0..rank).collect();
        if call.flag(batch, false) && rank > 2 {
            // [K, B..., N] holds matrices [K, N].
            order[..rank - 1].rotate_left(1);
        }
        if call.flag(matrix, false) && rank > 1 {
            order.swap(rank - 2, rank - 1);
        }
        let Value::F(a) = call.take(i)? else { return fault!("input {i} holds no floats") };
        call.put(i, Arc::new(Value::F(a.permuted_axes(order)).standard()));
    }
    let alpha = call.float("alpha", 1.0);
    let y = matmul(call)?;
    let scaled = |v| match v {
        Value::F(a) if alpha != 1.0 => Value::F(a * alpha),
        other => other,
    };
    Ok(y.into_iter().map(scaled).collect())
}
