//! One case an operator: which inputs and attributes it may have.

use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{AttributeProto, NodeProto, TensorProto, attribute_proto::AttributeType};

use super::world::{FLOATS, INTEGERS, Tensor, World, is_float, is_integer};
use crate::common::{float, int, ints, string};

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
        ],
        plain,
    ),
    (&["LeakyRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "HardSigmoid", "Swish"], with_alpha),
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

fn plain(w: &mut World, op: &str) -> Option<()> {
    let (x, t, _) = of_floats(w)?;
    let t = if op == "IsNaN" { DataType::Bool } else { t };
    w.node(op, &[&x], &[t], vec![])
}

fn with_alpha(w: &mut World, op: &str) -> Option<()> {
    let (x, t, _) = of_floats(w)?;
    let alpha = w.one(&[0.01, 1.0, -0.5, 0.0, 3.0, 1e-3, 1e-30, 1e30]);
    w.node(op, &[&x], &[t], vec![float("alpha", alpha)])
}

fn number(w: &mut World, op: &str) -> Option<()> {
    let signed = !matches!(op, "Neg");
    let (x, t, _) = some(w, |t| {
        is_float(t.dtype) || is_integer(t.dtype) && (signed || !matches!(t.dtype, DataType::Uint8 | DataType::Uint32))
    })?;
    w.node(op, &[&x], &[t], vec![])
}

fn gelu(w: &mut World, op: &str) -> Option<()> {
    let (x, t, _) = of_floats(w)?;
    let how = w.one(&["none", "tanh"]);
    w.node(op, &[&x], &[t], vec![string("approximate", how)])
}

fn any_axis(w: &mut World, rank: usize) -> i64 {
    w.rng.below(2 * rank.max(1)) as i64 - rank as i64
}

fn along_axis(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| is_float(t.dtype) && t.rank() > 0)?;
    let axis = any_axis(w, shape.len());
    w.node(op, &[&x], &[t], vec![int("axis", axis)])
}

fn anything(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |_| true)?;
    let mut attributes = vec![];
    if op == "Shape" && w.opset >= 15 && w.chance(40) {
        attributes = vec![int("start", any_axis(w, shape.len())), int("end", any_axis(w, shape.len()))];
    }
    w.node(op, &[&x], &[if op == "Identity" { t } else { DataType::Int64 }], attributes)
}

fn dropout(w: &mut World, op: &str) -> Option<()> {
    let (x, t, _) = of_floats(w)?;
    if w.opset < 12 || w.chance(50) {
        return w.node(op, &[&x], &[t], vec![]);
    }
    let ratio = w.floats(DataType::Float, &[], &[0.5]);
    let (off, ..) = some(w, |t| t.dtype == DataType::Bool)?;
    w.node(op, &[&x, &ratio, &off], &[t, DataType::Bool], vec![])
}

fn cast(w: &mut World, op: &str) -> Option<()> {
    let (x, ..) = some(w, |_| true)?;
    if op == "CastLike" {
        let (like, to, _) = some(w, |t| t.dtype != DataType::Float8e4m3fn)?;
        return w.node(op, &[&x, &like], &[to], vec![]);
    }
    let to = if w.chance(50) { w.one(FLOATS) } else { w.one(INTEGERS) };
    let to = w.one(&[to, to, to, DataType::Bool, DataType::Float8e4m3fn]);
    w.node(op, &[&x], &[to], vec![int("to", to as i64)])
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

fn arithmetic(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| match op {
        "Mean" | "Sum" => is_float(t.dtype),
        "Mod" => is_integer(t.dtype),
        _ => is_float(t.dtype) || is_integer(t.dtype),
    })?;
    let compares = matches!(op, "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual");
    let result = if compares { DataType::Bool } else { t };
    if w.chance(10) {
        return w.node(op, &[&x, &x], &[result], vec![]);
    }
    let y = operand(w, t, &shape)?;
    if matches!(op, "Max" | "Min" | "Sum" | "Mean") && w.chance(40) {
        let z = operand(w, t, &shape)?;
        return w.node(op, &[&x, &y, &z], &[result], vec![]);
    }
    let (a, b) = if w.chance(30) { (y, x) } else { (x, y) };
    w.node(op, &[&a, &b], &[result], vec![])
}

fn logic(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| t.dtype == DataType::Bool)?;
    if op == "Not" {
        return w.node(op, &[&x], &[t], vec![]);
    }
    let y = operand(w, t, &shape)?;
    w.node(op, &[&x, &y], &[t], vec![])
}

fn choose(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| is_float(t.dtype) || is_integer(t.dtype))?;
    let (y, mask) = (operand(w, t, &shape)?, operand(w, DataType::Bool, &shape)?);
    w.node(op, &[&mask, &x, &y], &[t], vec![])
}

fn prelu(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = of_floats(w)?;
    let slope = operand(w, t, &shape)?;
    w.node(op, &[&x, &slope], &[t], vec![])
}

fn clip(w: &mut World, op: &str) -> Option<()> {
    if w.opset < 11 {
        let (x, t, _) = of_floats(w)?;
        let (lo, hi) = (w.rng.unit() as f32 * 0.3, w.rng.unit() as f32 + 1.1);
        return w.node(op, &[&x], &[t], vec![float("min", lo), float("max", hi)]);
    }
    let (x, t, _) = some(w, |t| is_float(t.dtype) || is_integer(t.dtype))?;
    let bound = |w: &mut World| {
        let value = w.random(t, &[]);
        if w.chance(25) { String::new() } else { w.constant(t, value) }
    };
    let (lo, hi) = (bound(w), bound(w));
    w.node(op, &[&x, &lo, &hi], &[t], vec![])
}

fn reshape(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |_| true)?;
    if w.chance(35) {
        // By sizes that the graph computes.
        let (sizes, ..) = some(w, |t| t.dtype == DataType::Int64 && t.rank() == 1)?;
        return w.node(op, &[&x, &sizes], &[t], vec![]);
    }
    let n: i64 = shape.iter().product();
    let first = w.one(&[1, 2, 3, 4]);
    let mut target = if n % first == 0 { vec![first, n / first] } else { vec![n] };
    if w.chance(50) {
        let i = w.rng.below(target.len());
        target[i] = -1;
    }
    if w.chance(30) && !shape.is_empty() {
        target = vec![0, -1];
    }
    let target = w.ints(&target);
    w.node(op, &[&x, &target], &[t], vec![])
}

/// Axes as an attribute, or as an input since `since`.
fn axes(w: &mut World, since: i64, list: &[i64]) -> (Option<String>, Vec<AttributeProto>) {
    if w.opset < since { (None, vec![ints("axes", list)]) } else { (Some(w.ints(list)), vec![]) }
}

fn rearrange(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| match op {
        "Trilu" => t.rank() > 1,
        "CumSum" => t.rank() > 0 && is_float(t.dtype),
        _ => true,
    })?;
    let rank = shape.len();
    match op {
        "Flatten" => {
            let axis = any_axis(w, rank);
            w.node(op, &[&x], &[t], vec![int("axis", axis)])
        }
        "Transpose" => {
            let mut perm: Vec<i64> = (0..rank as i64).collect();
            (1..rank).for_each(|i| perm.swap(i, w.rng.below(i + 1)));
            let attributes = if w.chance(20) { vec![] } else { vec![ints("perm", &perm)] };
            w.node(op, &[&x], &[t], attributes)
        }
        "Squeeze" => {
            let ones: Vec<i64> = (0..rank).filter(|i| shape[*i] == 1).map(|i| i as i64).collect();
            if ones.is_empty() || w.chance(20) {
                return w.node(op, &[&x], &[t], vec![]);
            }
            let axis = w.one(&ones) - if w.chance(50) { rank as i64 } else { 0 };
            let (input, attributes) = axes(w, 13, &[axis]);
            let inputs: Vec<&str> = [Some(x.as_str()), input.as_deref()].into_iter().flatten().collect();
            w.node(op, &inputs, &[t], attributes)
        }
        "Unsqueeze" => {
            let axis = any_axis(w, rank + 1);
            let (input, attributes) = axes(w, 13, &[axis]);
            let inputs: Vec<&str> = [Some(x.as_str()), input.as_deref()].into_iter().flatten().collect();
            w.node(op, &inputs, &[t], attributes)
        }
        "CumSum" => {
            let axis = any_axis(w, rank);
            let axis = w.int(axis);
            w.node(op, &[&x, &axis], &[t], vec![])
        }
        _ => w.node(op, &[&x], &[t], vec![]),
    }
}

fn slice(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| t.rank() > 0)?;
    let axis = any_axis(w, shape.len());
    let start = w.one(&[0, 0, 1, -1, -2, 9, i64::MAX, i64::MIN]);
    let end = w.one(&[i64::MAX, 2, 1, -1, 0, -9, i64::MIN]);
    if w.opset < 10 {
        return w.node(op, &[&x], &[t], vec![ints("starts", &[start]), ints("ends", &[end]), ints("axes", &[axis])]);
    }
    let step = w.one(&[1, 1, 2, -1, -2, i64::MIN]);
    let all = [start, end, axis, step].map(|v| w.ints(&[v]));
    w.node(op, &[&x, &all[0], &all[1], &all[2], &all[3]], &[t], vec![])
}

fn parts(w: &mut World, size: i64) -> Vec<i64> {
    let first = w.rng.below(size as usize + 1) as i64;
    vec![first, size - first]
}

fn split(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| t.rank() > 0)?;
    let axis = any_axis(w, shape.len());
    let parts = parts(w, shape[axis.rem_euclid(shape.len() as i64) as usize]);
    let mut attributes = vec![int("axis", axis)];
    if w.chance(30) {
        if w.opset >= 18 {
            attributes.push(int("num_outputs", 2));
        }
        return w.node(op, &[&x], &[t, t], attributes);
    }
    if w.opset < 13 {
        attributes.push(ints("split", &parts));
        return w.node(op, &[&x], &[t, t], attributes);
    }
    let sizes = w.ints(&parts);
    w.node(op, &[&x, &sizes], &[t, t], attributes)
}

fn sequence(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| t.rank() > 0)?;
    let axis = any_axis(w, shape.len());
    let parts = parts(w, shape[axis.rem_euclid(shape.len() as i64) as usize]);
    let sizes = if w.chance(50) { w.int(2) } else { w.ints(&parts) };
    let place = w.one(&[0, 1, -1]);
    let place = w.int(place);
    let n = w.tensors.len();
    let node = |op: &str, input: &[&str], output: String, attribute| NodeProto {
        name: Some(format!("{op}{n}")),
        op_type: Some(op.into()),
        input: input.iter().map(|s| (*s).to_owned()).collect(),
        output: vec![output],
        attribute,
        ..NodeProto::default()
    };
    let list = format!("list{n}");
    let nodes = vec![
        node("SplitToSequence", &[&x, &sizes], list.clone(), vec![int("axis", axis)]),
        node(op, &[&list, &place], format!("t{n}"), vec![]),
    ];
    w.nodes(op, nodes, &[t])
}

fn gather(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| t.rank() > 0)?;
    let axis = any_axis(w, shape.len());
    let size = shape[axis.rem_euclid(shape.len() as i64) as usize];
    let pick = any_axis(w, size as usize);
    let index = if w.chance(50) { w.int(pick) } else { w.ints(&[pick, 0, -1]) };
    w.node(op, &[&x, &index], &[t], vec![int("axis", axis)])
}

fn repeat(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |_| true)?;
    let target: Vec<i64> = if op == "Tile" {
        shape.iter().map(|_| w.one(&[1, 1, 2, 3, 0])).collect()
    } else {
        let own = shape.iter().map(|n| if *n == 1 { w.one(&[1, 2, 3]) } else { w.one(&[*n, 1]) }).collect();
        if w.chance(30) { [vec![2], own].concat() } else { own }
    };
    let target = w.ints(&target);
    w.node(op, &[&x, &target], &[t], vec![])
}

fn concat(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| t.rank() > 0)?;
    let axis = any_axis(w, shape.len());
    let place = axis.rem_euclid(shape.len() as i64) as usize;
    let fits = |o: &Tensor| {
        let other = o.shape();
        o.dtype == t && other.len() == shape.len() && (0..shape.len()).all(|i| i == place || other[i] == shape[i])
    };
    let (y, ..) = some(w, fits)?;
    w.node(op, &[&x, &y], &[t], vec![int("axis", axis)])
}

fn pad(w: &mut World, op: &str) -> Option<()> {
    let old = w.opset < 11;
    let (x, t, shape) = some(w, |t| is_float(t.dtype) || is_integer(t.dtype) && !old)?;
    let pads: Vec<i64> = (0..2 * shape.len()).map(|_| w.one(&[0, 0, 1, 2, -1])).collect();
    let mode = w.one(&["constant", "constant", "edge", "reflect", "wrap"]);
    if w.opset < 11 {
        let value = w.rng.unit() as f32 * 0.3;
        return w.node(op, &[&x], &[t], vec![ints("pads", &pads), string("mode", mode), float("value", value)]);
    }
    let pads = w.ints(&pads);
    let fill = w.random(t, &[]);
    let fill = if w.chance(40) { String::new() } else { w.constant(t, fill) };
    w.node(op, &[&x, &pads, &fill], &[t], vec![string("mode", mode)])
}

fn blocks(w: &mut World, op: &str) -> Option<()> {
    let value = w.random(DataType::Float, &[1, 4, 2, 2]);
    if w.chance(50) {
        w.input(DataType::Float, value);
    }
    let (x, t, _) = some(w, |t| t.rank() == 4)?;
    let mode = w.one(&["DCR", "CRD"]);
    let block = w.one(&[1, 2]);
    let attributes = vec![int("blocksize", block)];
    let attributes = if op == "DepthToSpace" { [attributes, vec![string("mode", mode)]].concat() } else { attributes };
    w.node(op, &[&x], &[t], attributes)
}

fn tensor(dtype: DataType, dims: &[i64], raw: &[u8]) -> AttributeProto {
    AttributeProto {
        name: Some("value".into()),
        r#type: Some(AttributeType::Tensor as i32),
        t: Some(TensorProto {
            dims: dims.to_vec(),
            data_type: Some(dtype as i32),
            raw_data: Some(raw.to_vec().into()),
            ..TensorProto::default()
        }),
        ..AttributeProto::default()
    }
}

fn literal(w: &mut World, op: &str) -> Option<()> {
    match op {
        "Constant" => match w.rng.below(4) {
            0 => w.node(op, &[], &[DataType::Float], vec![float("value_float", 0.1)]),
            1 => w.node(op, &[], &[DataType::Int64], vec![ints("value_ints", &[2, -1])]),
            2 => w.node(op, &[], &[DataType::Int64], vec![int("value_int", 3)]),
            _ => w.node(op, &[], &[DataType::Int8], vec![tensor(DataType::Int8, &[2, 1], &[200, 3])]),
        },
        "ConstantOfShape" => {
            let (sizes, ..) = some(w, |t| t.dtype == DataType::Int64 && t.rank() == 1)?;
            if w.chance(50) {
                return w.node(op, &[&sizes], &[DataType::Float], vec![]);
            }
            w.node(op, &[&sizes], &[DataType::Int8], vec![tensor(DataType::Int8, &[1], &[250])])
        }
        _ => {
            let t = w.one(&[DataType::Int64, DataType::Int32]);
            if w.chance(60) {
                let ends = [w.rng.below(5) as i64, w.rng.below(9) as i64, w.one(&[1, 2, -1, -3])].map(|v| w.int(v));
                return w.node(op, &[&ends[0], &ends[1], &ends[2]], &[DataType::Int64], vec![]);
            }
            let ends =
                (0..3).map(|_| Some(some(w, |o| o.dtype == t && o.rank() == 0)?.0)).collect::<Option<Vec<_>>>()?;
            w.node(op, &[&ends[0], &ends[1], &ends[2]], &[t], vec![])
        }
    }
}

/// A map of two axes, from the graph or a new one.
fn map(w: &mut World) -> Option<(String, DataType, Vec<i64>)> {
    if w.chance(50) {
        let t = w.one(FLOATS);
        let shape = [1, 1 + w.rng.below(3), 1 + w.rng.below(5), 1 + w.rng.below(5)];
        let value = w.random(t, &shape);
        if w.chance(50) { w.input(t, value) } else { drop(w.constant(t, value)) }
    }
    some(w, |t| is_float(t.dtype) && t.rank() == 4)
}

fn window(w: &mut World) -> Vec<AttributeProto> {
    let list = |w: &mut World, n: usize, of: &[i64]| (0..n).map(|_| w.one(of)).collect::<Vec<i64>>();
    let mut attributes = vec![ints("strides", &list(w, 2, &[1, 2, 3]))];
    if w.chance(40) {
        attributes.push(ints("dilations", &list(w, 2, &[1, 2])));
    }
    match w.rng.below(5) {
        0 => attributes.push(string("auto_pad", "SAME_UPPER")),
        1 => attributes.push(string("auto_pad", "SAME_LOWER")),
        2 => attributes.push(string("auto_pad", "VALID")),
        _ => attributes.push(ints("pads", &list(w, 4, &[0, 1, 2]))),
    }
    attributes
}

fn pool(w: &mut World, op: &str) -> Option<()> {
    let (x, t, _) = map(w)?;
    let mut attributes = window(w);
    let kernel = [w.one(&[1, 2, 3]), w.one(&[1, 2, 3])];
    attributes.push(ints("kernel_shape", &kernel));
    attributes.push(int("ceil_mode", w.one(&[0, 1])));
    if op == "AveragePool" {
        attributes.push(int("count_include_pad", w.one(&[0, 1])));
    }
    w.node(op, &[&x], &[t], attributes)
}

fn resize(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = map(w)?;
    let scales = [1.0, 1.0, w.one(&[0.7, 1.0, 1.5, 2.0]), w.one(&[0.6, 1.0, 2.0, 2.3])];
    let scales = w.floats(DataType::Float, &[4], &scales);
    if op == "Upsample" || w.opset < 11 {
        let mode = w.one(&["nearest", "linear"]);
        return w.node(op, &[&x, &scales], &[t], vec![string("mode", mode)]);
    }
    let mode = w.one(&["nearest", "linear", "cubic"]);
    let coordinates = w.one(&[
        "half_pixel",
        "asymmetric",
        "align_corners",
        "pytorch_half_pixel",
        "tf_crop_and_resize",
        "tf_crop_and_resize",
    ]);
    let mut attributes = vec![
        string("mode", mode),
        string("coordinate_transformation_mode", coordinates),
        string("nearest_mode", w.one(&["round_prefer_floor", "floor", "ceil"])),
        float("extrapolation_value", w.one(&[0.0, -3.0, 7.7, 1e30])),
    ];
    if mode != "nearest" && w.opset >= 18 {
        attributes.push(int("antialias", w.one(&[0, 1])));
    }
    let roi = if coordinates == "tf_crop_and_resize" {
        w.floats(DataType::Float, &[8], &[0.0, 0.0, -0.5, 0.0, 1.0, 1.0, 1.5, 0.7])
    } else {
        String::new()
    };
    if w.chance(50) {
        return w.node(op, &[&x, &roi, &scales], &[t], attributes);
    }
    let sizes = [shape[0], shape[1], w.one(&[1, 3, 6]), w.one(&[2, 4])];
    let sizes = w.ints(&sizes);
    w.node(op, &[&x, &roi, "", &sizes], &[t], attributes)
}

fn conv(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = map(w)?;
    let kernel = [w.one(&[1, 2, 3]), w.one(&[1, 2, 3])];
    let (inputs, outputs) = (shape[1] as usize, 1 + w.rng.below(3));
    let ends = if op == "Conv" { [outputs, inputs] } else { [inputs, outputs] };
    let value = w.random(t, &[ends[0], ends[1], kernel[0], kernel[1]]);
    let weight = w.constant(t, value);
    let mut attributes = window(w);
    if op == "ConvTranspose" && w.chance(30) {
        attributes.push(ints("output_padding", &[1, 0]));
    }
    w.node(op, &[&x, &weight], &[t], attributes)
}

fn product(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| is_float(t.dtype) && t.rank() >= 1 && (op == "MatMul" || t.rank() == 2))?;
    let flip = op == "Gemm" && w.chance(50);
    let depth = if flip { shape[0] } else { *shape.last()? };
    let width = 1 + w.rng.below(3);
    let value = w.random(t, &[depth as usize, width]);
    let y = w.constant(t, value);
    let attributes = if flip { vec![int("transA", 1)] } else { vec![] };
    w.node(op, &[&x, &y], &[t], attributes)
}

fn norm(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| is_float(t.dtype) && t.rank() >= 2)?;
    let by_axis = matches!(op, "LayerNormalization" | "RMSNormalization");
    let n = if by_axis { *shape.last()? } else { shape[1] } as usize;
    if op == "LRN" {
        return w.node(op, &[&x], &[t], vec![int("size", 3)]);
    }
    let count = match op {
        "BatchNormalization" => 4,
        "RMSNormalization" => 1,
        _ => 2,
    };
    let mut inputs = vec![x];
    for i in 0..count {
        let values: Vec<f64> = (0..n).map(|_| w.rng.unit() * 3.0).collect();
        let values: Vec<f64> = values.iter().map(|v| if i == 3 { v.abs() } else { *v }).collect();
        inputs.push(w.floats(t, &[n], &values));
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let attributes = if op == "GroupNormalization" { vec![int("num_groups", 1)] } else { vec![] };
    w.node(op, &inputs, &[t], attributes)
}

fn quantize(w: &mut World, op: &str) -> Option<()> {
    if op == "QuantizeLinear" {
        let (x, _, _) = some(w, |t| t.dtype == DataType::Float)?;
        let scale = w.floats(DataType::Float, &[], &[0.1]);
        let zero = w.random(DataType::Uint8, &[]);
        let zero = w.constant(DataType::Uint8, zero);
        return w.node(op, &[&x, &scale, &zero], &[DataType::Uint8], vec![]);
    }
    let (x, t, shape) = some(w, |t| matches!(t.dtype, DataType::Int8 | DataType::Uint8))?;
    if w.opset >= 13 && !shape.is_empty() && w.chance(50) {
        let axis = w.rng.below(shape.len());
        let n = shape[axis] as usize;
        let scales: Vec<f64> = (0..n).map(|i| 0.003 * (i + 1) as f64).collect();
        let scale = w.floats(DataType::Float, &[n], &scales);
        let zero = w.random(t, &[n]);
        let zero = w.constant(t, zero);
        return w.node(op, &[&x, &scale, &zero], &[DataType::Float], vec![int("axis", axis as i64)]);
    }
    let scale = w.floats(DataType::Float, &[], &[0.3]);
    w.node(op, &[&x, &scale], &[DataType::Float], vec![])
}

fn reduce(w: &mut World, op: &str) -> Option<()> {
    let arg = op.starts_with("Arg");
    let (x, t, shape) = some(w, |t| {
        t.rank() > 0 && (is_float(t.dtype) || matches!(t.dtype, DataType::Int32 | DataType::Int64 | DataType::Int8))
    })?;
    let axis = any_axis(w, shape.len());
    let keep = int("keepdims", w.one(&[0, 1]));
    if arg {
        return w.node(op, &[&x], &[DataType::Int64], vec![int("axis", axis), keep]);
    }
    if w.chance(20) {
        return w.node(op, &[&x], &[t], vec![keep]);
    }
    let (input, mut attributes) = axes(w, if op == "ReduceSum" { 13 } else { 18 }, &[axis]);
    attributes.push(keep);
    let inputs: Vec<&str> = [Some(x.as_str()), input.as_deref()].into_iter().flatten().collect();
    w.node(op, &inputs, &[t], attributes)
}
