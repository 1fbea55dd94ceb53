//! One case an operator: which inputs and attributes it may have.

mod arrange;
mod values;
mod windows;

use onnx_rm::onnx::AttributeProto;
use onnx_rm::onnx::tensor_proto::DataType;

use super::world::{Tensor, World, is_float};
use crate::common::ints;
use arrange::{
    blocks, concat, elements, gather, literal, one_hot, pad, rearrange, repeat, reshape, sequence, slice, split,
};
use values::{
    along_axis, anything, arithmetic, cast, choose, clip, dropout, gelu, logic, number, plain, prelu, with_alpha,
};
use windows::{conv, einsum, norm, pool, product, quantize, reduce, resize};

/// Adds a node of the operator; `None` when nothing fits.
type Case = fn(&mut World, &str) -> Option<()>;

pub const CASES: &[(&[&str], Case)] = &[
    (
        &[
            "Sigmoid",
            "Tanh",
            "Erf",
            "Softsign",
            "Sin",
            "Cos",
            "Softplus",
            "Exp",
            "Sqrt",
            "HardSwish",
            "Mish",
            "Floor",
            "Ceil",
            "Log",
            "Reciprocal",
            "Round",
            "GlobalAveragePool",
            "GlobalMaxPool",
            "GlobalLpPool",
            "IsNaN",
            "IsInf",
            "Tan",
            "Asin",
            "Acos",
            "Atan",
            "Sinh",
            "Cosh",
            "Asinh",
            "Acosh",
            "Atanh",
            "com.microsoft::Gelu",
            "com.microsoft::FastGelu",
        ],
        plain,
    ),
    (
        &[
            "LeakyRelu",
            "Elu",
            "Selu",
            "Celu",
            "ThresholdedRelu",
            "HardSigmoid",
            "Swish",
            "Shrink",
            "com.microsoft::QuickGelu",
        ],
        with_alpha,
    ),
    (&["Relu", "Abs", "Neg", "Sign"], number),
    (&["Gelu"], gelu),
    (&["Softmax", "LogSoftmax", "Hardmax", "LpNormalization"], along_axis),
    (&["Identity", "Shape", "Size"], anything),
    (&["Dropout"], dropout),
    (&["Cast", "CastLike"], cast),
    (&["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean", "Pow", "Mod"], arithmetic),
    (&["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"], arithmetic),
    (&["And", "Or", "Xor", "Not"], logic),
    (&["Where"], choose),
    (&["PRelu"], prelu),
    (&["Clip"], clip),
    (&["Reshape"], reshape),
    (&["Flatten", "Transpose", "Squeeze", "Unsqueeze", "Trilu", "CumSum"], rearrange),
    (&["Slice"], slice),
    (&["Split"], split),
    (&["SequenceAt"], sequence),
    (&["Gather"], gather),
    (&["Expand", "Tile"], repeat),
    (&["Concat"], concat),
    (&["Pad"], pad),
    (&["DepthToSpace", "SpaceToDepth"], blocks),
    (&["Constant", "ConstantOfShape", "Range"], literal),
    (&["MaxPool", "AveragePool", "LpPool"], pool),
    (&["Resize", "Upsample"], resize),
    (&["Conv", "ConvTranspose"], conv),
    (&["MatMul", "Gemm"], product),
    (&["Einsum"], einsum),
    (&["GatherElements", "ScatterElements", "ScatterND", "GatherND"], elements),
    (&["OneHot"], one_hot),
    (
        &[
            "BatchNormalization",
            "InstanceNormalization",
            "LayerNormalization",
            "GroupNormalization",
            "RMSNormalization",
            "LRN",
        ],
        norm,
    ),
    (&["QuantizeLinear", "DequantizeLinear"], quantize),
    (
        &[
            "ReduceSum",
            "ReduceMean",
            "ReduceMax",
            "ReduceMin",
            "ReduceProd",
            "ReduceL1",
            "ReduceL2",
            "ReduceSumSquare",
            "ReduceLogSum",
            "ReduceLogSumExp",
            "ArgMax",
            "ArgMin",
        ],
        reduce,
    ),
];

fn some(w: &mut World, fits: impl Fn(&Tensor) -> bool) -> Option<(String, DataType, Vec<i64>)> {
    let i = w.pick(fits)?;
    let t = &w.tensors[i];
    Some((t.name.clone(), t.dtype, t.shape()))
}

fn of_floats(w: &mut World) -> Option<(String, DataType, Vec<i64>)> {
    some(w, |t| is_float(t.dtype))
}

fn any_axis(w: &mut World, rank: usize) -> i64 {
    w.rng.below(2 * rank.max(1)) as i64 - rank as i64
}

/// A second operand of the same type: one that is there, or a constant that broadcasts.
fn operand(w: &mut World, t: DataType, shape: &[i64]) -> Option<String> {
    let wanted = shape.to_vec();
    if w.chance(50)
        && let Some(i) = w.pick(|o| o.dtype == t && (o.rank() <= 1 || o.shape() == wanted))
    {
        return Some(w.tensors[i].name.clone());
    }
    let from = w.rng.below(shape.len() + 1);
    let shape: Vec<usize> = shape[from..].iter().map(|n| if w.chance(30) { 1 } else { *n as usize }).collect();
    let value = w.random(t, &shape);
    Some(w.constant(t, value))
}

/// Axes as an attribute, or as an input since `since`.
fn axes(w: &mut World, since: i64, list: &[i64]) -> (Option<String>, Vec<AttributeProto>) {
    if w.opset < since { (None, vec![ints("axes", list)]) } else { (Some(w.ints(list)), vec![]) }
}
