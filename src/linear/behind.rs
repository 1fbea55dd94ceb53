//! A per-channel `scale * x + shift` behind a `ConvTranspose` or a `Gemm`: both scale the weights of one output
//! channel and shift its bias. Exact everywhere, for nothing stands between.
//!
//! `Gemm` computes `alpha * A B + beta * C`; its output channels are the columns of `B` (ONNX `Gemm`, opset 7).

use ndarray::{ArrayD, IxDyn};

use crate::algebra::scale;
use crate::facts::tensor;
use crate::graph::{EditList, Names, NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::residual::emit::Emit;
use crate::residual::pass::affine;
use crate::residual::{Context, Reject, RejectCode};

/// A map and the affine operator behind it.
pub struct Scaled {
    /// The `ConvTranspose` or `Gemm`.
    pub map: NodeId,
    /// The affine operator.
    pub affine: NodeId,
    output: ValueId,
    scale: Vec<f64>,
    shift: Vec<f64>,
    dtype: DataType,
}

/// The affine operator behind the node `map`, when it can fold into it.
///
/// # Errors
/// Why it cannot, when there is one.
#[must_use]
pub fn find(cx: Context<'_>, map: NodeId) -> Option<Result<Scaled, Reject>> {
    let view = cx.view;
    if !matches!(view.op(map), "ConvTranspose" | "Gemm") {
        return None;
    }
    let value = view.output(map)?;
    let (node, scale, shift) = view.uses(value).iter().find_map(|u| {
        let (input, scale, shift) = affine::affine(cx, u.node)?;
        (input == value).then_some((u.node, scale, shift))
    })?;
    let refuse = |code, reason: &str| Some(Err(Reject::tensor(view, value, code, reason)));
    if !view.is_private(value) {
        return refuse(RejectCode::ReadElsewhere, "it is an output of the graph, or something else reads it");
    }
    let constant = |slot: usize| view.input(map, slot).is_none_or(|v| cx.facts.constant_shape(v).is_some());
    if !constant(1) || !constant(2) {
        return refuse(RejectCode::WeightNotConstant, "its weight is not a constant, or a caller may override it");
    }
    let dtype = cx
        .facts
        .dtype(value)
        .filter(|t| matches!(t, DataType::Float | DataType::Float16 | DataType::Bfloat16 | DataType::Double));
    let (Some(dtype), Some(output)) = (dtype, view.output(node)) else {
        return refuse(RejectCode::SizeUnknown, "its element type is unknown, or no float type");
    };
    Some(Ok(Scaled { map, affine: node, output, scale, shift, dtype }))
}

impl Scaled {
    /// The edit. `None` when the weights do not have one value a channel, or become too large.
    #[must_use]
    pub fn build(&self, cx: Context<'_>, names: &mut Names) -> Option<EditList> {
        let (weight, bias, factor) = match cx.view.op(self.map) {
            "Gemm" => self.gemm(cx)?,
            _ => self.transposed(cx)?,
        };
        // `beta` stands in front of the bias.
        let bias: Vec<f64> =
            bias.iter().zip(&self.scale).zip(&self.shift).map(|((b, s), t)| b * s + t / factor).collect();
        if !tensor::fits(self.dtype, weight.iter().chain(&bias)) {
            return None;
        }
        let node = cx.view.node(self.map);
        let mut emit = Emit::new(names, self.dtype, 0, format!("sequence: {}", cx.view.node(self.affine).name()));
        emit.edits.remove = vec![self.map, self.affine];
        let name = cx.view.input(self.map, 1).map(|v| cx.view.name(v))?;
        let weight = emit.constant(name, &weight);
        let bias = ArrayD::from_shape_vec(IxDyn(&[bias.len()]), bias).ok()?;
        let bias = emit.constant(&format!("{name}_bias"), &bias);
        emit.copy(node, &[node.input.first()?, &weight, &bias], cx.view.name(self.output));
        Some(emit.edits)
    }

    /// Weight, bias, and what stands in front of the bias.
    fn transposed(&self, cx: Context<'_>) -> Option<(ArrayD<f64>, Vec<f64>, f64)> {
        let group = usize::try_from(cx.view.attr_i(self.map, "group").unwrap_or(1)).ok()?;
        let weight = scale::transposed(&cx.facts.constant(cx.view.input(self.map, 1)?)?.data, group, &self.scale)?;
        let bias = match cx.view.input(self.map, 2) {
            Some(b) => cx.facts.constant(b)?.data.iter().copied().collect(),
            None => vec![0.0; self.scale.len()],
        };
        (bias.len() == self.scale.len()).then_some((weight, bias, 1.0))
    }

    fn gemm(&self, cx: Context<'_>) -> Option<(ArrayD<f64>, Vec<f64>, f64)> {
        let columns = if cx.view.attr_i(self.map, "transB").unwrap_or(0) == 0 { 1 } else { 0 };
        let weight = scale::along(&cx.facts.constant(cx.view.input(self.map, 1)?)?.data, columns, &self.scale)?;
        let n = self.scale.len();
        let beta = f64::from(cx.view.attr_f(self.map, "beta").unwrap_or(1.0));
        let bias = match cx.view.input(self.map, 2) {
            Some(c) => affine::along(&cx.facts.constant(c)?.data, n, 2, 1)?,
            None => vec![0.0; n],
        };
        (beta != 0.0).then_some((weight, bias, beta))
    }
}
