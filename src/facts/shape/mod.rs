//! Shape and type inference, one function a group of operators.

mod rearrange;
mod sizes;
mod window;

use crate::graph::{NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;

use super::{Dim, Facts, Piece, is_elementwise, tensor};

use rearrange::{axes_of, concat, expand, flatten, gather, pad, reshape, slice, split, squeeze, transpose};
use window::{conv, conv_transpose, depth_space, pool, resize};

pub(super) use sizes::sizes;

type Shape = Vec<Dim>;

/// Operators whose first output has the shape of their first input, besides the elementwise ones.
const SAME_SHAPE: &[&str] = &[
    "PRelu",
    "Clip",
    "Not",
    "Identity",
    "Dropout",
    "Cast",
    "CastLike",
    "BatchNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "GroupNormalization",
    "LRN",
    "LpNormalization",
    "Softmax",
    "LogSoftmax",
    "Hardmax",
    "CumSum",
    "IsNaN",
    "QuantizeLinear",
    "DequantizeLinear",
    "RMSNormalization",
    "Trilu",
];

/// Operators that broadcast all of their inputs.
const BROADCAST: &[&str] = &[
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Max",
    "Min",
    "Sum",
    "Mean",
    "Where",
    "Equal",
    "Greater",
    "Less",
    "GreaterOrEqual",
    "LessOrEqual",
    "And",
    "Or",
    "Xor",
    "Mod",
];

/// The shapes of the outputs of `node`, as far as they are known.
pub(super) fn infer(facts: &Facts<'_>, node: NodeId) -> Vec<Option<Shape>> {
    let view = facts.view();
    let input = |slot: usize| -> Option<&[Dim]> { facts.shape(view.input(node, slot)?) };
    let one = |shape: Option<Shape>| vec![shape];
    match view.op(node) {
        op if is_elementwise(op) || SAME_SHAPE.contains(&op) => {
            let shape = input(0).map(<[Dim]>::to_vec);
            let mask = if op == "Dropout" { shape.clone() } else { None };
            vec![shape, mask]
        }
        op if BROADCAST.contains(&op) => one(broadcast_all(facts, node)),
        "Conv" => one(conv(facts, node)),
        "ConvTranspose" => one(conv_transpose(facts, node)),
        "MaxPool" | "AveragePool" | "LpPool" => vec![pool(facts, node), None],
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => one(input(0)
            .map(|s| s.iter().enumerate().map(|(i, d)| if i < 2 { d.clone() } else { Dim::Known(1) }).collect())),
        "Constant" => one(constant_shape(facts, node)),
        "Shape" => one(sizes(facts, node).map(|s| vec![Dim::Known(s.len() as i64)])),
        "Size" => one(Some(Vec::new())),
        "Concat" => one(concat(facts, node)),
        "Split" => split(facts, node),
        "SequenceAt" => one(Piece::new(view, facts, node).and_then(|p| p.shape(facts))),
        "Slice" => one(slice(facts, node)),
        "Pad" => one(pad(facts, node)),
        "Reshape" => one(reshape(facts, node)),
        "Flatten" => one(flatten(facts, node)),
        "Transpose" => one(transpose(facts, node)),
        "Squeeze" | "Unsqueeze" => one(squeeze(facts, node)),
        "Gather" => one(gather(facts, node)),
        "Expand" => one(expand(facts, node)),
        "ConstantOfShape" => one(view.input(node, 0).and_then(|v| facts.sizes(v))),
        "MatMul" => one(matmul(facts, node)),
        "Gemm" => one(gemm(facts, node)),
        op if op.starts_with("Reduce") || matches!(op, "ArgMax" | "ArgMin") => one(reduce(facts, node)),
        "DepthToSpace" | "SpaceToDepth" => one(depth_space(facts, node)),
        "Resize" | "Upsample" => one(resize(facts, node)),
        _ => Vec::new(),
    }
}

/// The element type of one output.
pub(super) fn dtype(facts: &Facts<'_>, node: NodeId, slot: usize) -> Option<DataType> {
    let view = facts.view();
    let of = |slot: usize| facts.dtype(view.input(node, slot)?);
    match view.op(node) {
        "Cast" => DataType::try_from(i32::try_from(view.attr_i(node, "to")?).ok()?).ok(),
        "CastLike" => of(1),
        "Shape" | "Size" | "ArgMax" | "ArgMin" | "NonZero" => Some(DataType::Int64),
        "Equal" | "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual" | "And" | "Or" | "Xor" | "Not" | "IsNaN"
        | "IsInf" => Some(DataType::Bool),
        "Constant" => match view.attr(node, "value").and_then(|a| a.t.as_ref()) {
            Some(t) => tensor::dtype(t),
            None if view.attr(node, "value_float").is_some() || view.attr(node, "value_floats").is_some() => {
                Some(DataType::Float)
            }
            None => Some(DataType::Int64),
        },
        "ConstantOfShape" => {
            Some(view.attr(node, "value").and_then(|a| a.t.as_ref()).and_then(tensor::dtype).unwrap_or(DataType::Float))
        }
        "Where" => of(1),
        "MaxPool" | "Dropout" | "TopK" if slot == 1 => None,
        "DequantizeLinear" if view.opset() < 19 => Some(DataType::Float),
        "DequantizeLinear" => match view.attr_i(node, "output_dtype").unwrap_or(0) {
            0 => of(1),
            other => DataType::try_from(i32::try_from(other).ok()?).ok(),
        },
        "SequenceAt" => facts.dtype(Piece::new(view, facts, node)?.input),
        op if op.contains("::") || op.contains("Sequence") => None,
        "If" | "Loop" | "Scan" | "QuantizeLinear" => None,
        _ => of(0),
    }
}

fn axis_of(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add(rank as i64)? } else { axis };
    usize::try_from(axis).ok().filter(|a| *a < rank)
}

fn broadcast(a: &Dim, b: &Dim) -> Dim {
    match (a, b) {
        (Dim::Known(1), other) | (other, Dim::Known(1)) => other.clone(),
        (Dim::Known(n), _) | (_, Dim::Known(n)) => Dim::Known(*n),
        (a, b) if a == b => a.clone(),
        _ => Dim::Unknown,
    }
}

fn broadcast_all(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let mut shape: Shape = Vec::new();
    for value in view.inputs(node).iter().flatten() {
        let other = facts.shape(*value)?;
        let rank = shape.len().max(other.len());
        let at = |s: &[Dim], i: usize| (i + s.len()).checked_sub(rank).map_or(Dim::Known(1), |i| s[i].clone());
        shape = (0..rank).map(|i| broadcast(&at(&shape, i), &at(other, i))).collect();
    }
    Some(shape)
}

fn constant_shape(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    if let Some(t) = view.attr(node, "value").and_then(|a| a.t.as_ref()) {
        return Some(t.dims.iter().map(|d| Dim::Known(*d)).collect());
    }
    let attribute = view.node(node).attribute.first()?;
    match attribute.name() {
        "value_float" | "value_int" => Some(Vec::new()),
        "value_floats" => Some(vec![Dim::Known(attribute.floats.len() as i64)]),
        "value_ints" => Some(vec![Dim::Known(attribute.ints.len() as i64)]),
        _ => None,
    }
}

fn matmul(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let (a, b) = (facts.shape(view.input(node, 0)?)?, facts.shape(view.input(node, 1)?)?);
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let rank = a.len().max(b.len());
    let at = |s: &[Dim], i: usize| (i + s.len()).checked_sub(rank).map_or(Dim::Known(1), |i| s[i].clone());
    let mut shape: Shape = (0..rank - 2).map(|i| broadcast(&at(a, i), &at(b, i))).collect();
    shape.push(a[a.len() - 2].clone());
    shape.push(b[b.len() - 1].clone());
    Some(shape)
}

fn gemm(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let side = |value: ValueId, flag: &str, index: usize| {
        let shape = facts.shape(value)?;
        let index = if view.attr_i(node, flag).unwrap_or(0) == 0 { index } else { 1 - index };
        (shape.len() == 2).then(|| shape[index].clone())
    };
    Some(vec![side(view.input(node, 0)?, "transA", 0)?, side(view.input(node, 1)?, "transB", 1)?])
}

fn reduce(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    let keep = view.attr_i(node, "keepdims").unwrap_or(1) != 0;
    let arg = matches!(view.op(node), "ArgMax" | "ArgMin");
    let axes: Vec<usize> = if arg {
        vec![axis_of(view.attr_i(node, "axis").unwrap_or(0), input.len())?]
    } else {
        match axes_of(facts, node) {
            Some(axes) if !axes.is_empty() => axes.iter().map(|a| axis_of(*a, input.len())).collect::<Option<_>>()?,
            // Axes that are given but unknown.
            None if view.input(node, 1).is_some() => return None,
            _ if view.attr_i(node, "noop_with_empty_axes").unwrap_or(0) != 0 => Vec::new(),
            _ => (0..input.len()).collect(),
        }
    };
    Some(
        input
            .iter()
            .enumerate()
            .filter_map(|(i, d)| match (axes.contains(&i), keep) {
                (false, _) => Some(d.clone()),
                (true, true) => Some(Dim::Known(1)),
                (true, false) => None,
            })
            .collect(),
    )
}
