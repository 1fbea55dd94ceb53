//! Shape and type inference, one function a group of operators.

use crate::graph::{NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;

use super::{ConvSpec, Dim, Facts, slice::slices, tensor};

type Shape = Vec<Dim>;

/// Operators whose first output has the shape of their first input.
const SAME_SHAPE: &[&str] = &[
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Clip",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Tanh",
    "Elu",
    "Selu",
    "Celu",
    "Softplus",
    "Softsign",
    "Gelu",
    "Mish",
    "Swish",
    "Erf",
    "Exp",
    "Log",
    "Sqrt",
    "Abs",
    "Neg",
    "Ceil",
    "Floor",
    "Round",
    "Reciprocal",
    "Sin",
    "Cos",
    "Sign",
    "Not",
    "ThresholdedRelu",
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
        op if SAME_SHAPE.contains(&op) => {
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
        op if op.contains("::") || matches!(op, "If" | "Loop" | "Scan" | "QuantizeLinear" | "DequantizeLinear") => None,
        _ => of(0),
    }
}

/// Contents of a small integer vector made from shapes, entry by entry.
pub(super) fn sizes(facts: &Facts<'_>, node: NodeId) -> Option<Vec<Dim>> {
    let view = facts.view();
    // A table of sizes is no list of sizes: only scalars and vectors are followed entry by entry.
    let of = |slot: usize| {
        let value = view.input(node, slot)?;
        facts.rank(value).filter(|rank| *rank <= 1)?;
        facts.sizes(value)
    };
    let integer = |slot: usize| {
        view.input(node, slot)
            .and_then(|v| facts.dtype(v))
            .is_some_and(|t| matches!(t, DataType::Int64 | DataType::Int32))
    };
    match view.op(node) {
        "Shape" => {
            let shape = facts.shape(view.input(node, 0)?)?;
            let at = |name: &str, default: i64| {
                let v = view.attr_i(node, name).unwrap_or(default);
                (if v < 0 { v.saturating_add(shape.len() as i64) } else { v }).clamp(0, shape.len() as i64) as usize
            };
            shape.get(at("start", 0)..at("end", shape.len() as i64)).map(<[Dim]>::to_vec)
        }
        "Identity" | "Cast" | "Unsqueeze" | "Squeeze" if integer(0) => of(0),
        "Gather" if integer(0) => {
            let (data, index) = (of(0)?, of(1)?);
            index
                .iter()
                .map(|i| {
                    let i = i.known()?;
                    let i = if i < 0 { i.checked_add(data.len() as i64)? } else { i };
                    data.get(usize::try_from(i).ok()?).cloned()
                })
                .collect()
        }
        "Concat" if integer(0) => {
            let parts: Vec<Vec<Dim>> = (0..view.inputs(node).len()).map(of).collect::<Option<_>>()?;
            Some(parts.concat())
        }
        "Slice" if integer(0) => {
            let data = of(0)?;
            let [cut] = slices(view, facts, node)?.try_into().ok()?;
            let (start, count) = cut.resolve(data.len() as i64)?;
            Some((0..count).filter_map(|i| data.get((start + i * cut.step) as usize).cloned()).collect())
        }
        "Add" | "Sub" | "Mul" | "Div" if integer(0) => {
            let (a, b) = (of(0)?, of(1)?);
            let n = a.len().max(b.len());
            if a.is_empty() || b.is_empty() || (a.len() != n && a.len() != 1) || (b.len() != n && b.len() != 1) {
                return None;
            }
            let op = view.op(node);
            Some((0..n).map(|i| arithmetic(op, &a[i % a.len()], &b[i % b.len()])).collect())
        }
        _ => None,
    }
}

fn arithmetic(op: &str, a: &Dim, b: &Dim) -> Dim {
    let (Some(x), Some(y)) = (a.known(), b.known()) else { return Dim::Unknown };
    let found = match op {
        "Add" => x.checked_add(y),
        "Sub" => x.checked_sub(y),
        "Mul" => x.checked_mul(y),
        _ => x.checked_div(y),
    };
    found.map_or(Dim::Unknown, Dim::Known)
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

/// Output entries of a window: `floor((in + pads - reach) / stride) + 1`.
fn windowed(size: &Dim, pads: i64, reach: i64, stride: i64, ceil: bool) -> Dim {
    if stride == 1 && pads == reach {
        return size.clone();
    }
    let Some(n) = size.known() else { return Dim::Unknown };
    let room = n.saturating_add(pads).saturating_sub(reach).saturating_sub(1);
    let steps = if ceil { room.saturating_add(stride - 1).div_euclid(stride) } else { room.div_euclid(stride) };
    if room < 0 { Dim::Unknown } else { Dim::Known(steps + 1) }
}

fn conv(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = view.input(node, 0).and_then(|v| facts.shape(v));
    let weight = facts.shape(view.input(node, 1)?)?;
    let axes = weight.len().checked_sub(2)?;
    let mut shape = vec![input.and_then(|s| s.first()).cloned().unwrap_or(Dim::Unknown), weight.first()?.clone()];
    let spec = ConvSpec::new(view, facts, node).ok();
    for a in 0..axes {
        let dim = match (&spec, input.and_then(|s| s.get(a + 2))) {
            (Some(c), Some(n)) => {
                let pads = c.pad_begin[a] + c.pad_end[a];
                windowed(n, pads as i64, (c.dilation[a] * (c.kernel[a] - 1)) as i64, c.stride[a] as i64, false)
            }
            // SAME with a stride on an unknown size.
            _ => Dim::Unknown,
        };
        shape.push(dim);
    }
    Some(shape)
}

fn conv_transpose(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    let weight = facts.shape(view.input(node, 1)?)?;
    let axes = weight.len().checked_sub(2)?;
    let group = view.attr_i(node, "group").unwrap_or(1);
    let outputs = weight.get(1)?.known().and_then(|n| n.checked_mul(group)).map_or(Dim::Unknown, Dim::Known);
    let mut shape = vec![input.first()?.clone(), outputs];
    let plain =
        matches!(view.attr_s(node, "auto_pad"), None | Some(b"NOTSET")) && view.attr(node, "output_shape").is_none();
    for a in 0..axes {
        let at = |name: &str, default: i64, i: usize| {
            view.attr_ints(node, name).map_or(Some(default), |v| v.get(i).copied())
        };
        let size = || -> Option<i64> {
            let (stride, dilation) = (at("strides", 1, a)?, at("dilations", 1, a)?);
            let pads = at("pads", 0, a)?.checked_add(at("pads", 0, a + axes)?)?;
            let reach = weight.get(a + 2)?.known()?.checked_sub(1)?.checked_mul(dilation)?;
            let n = input.get(a + 2)?.known()?.checked_sub(1)?.checked_mul(stride)?;
            n.checked_add(reach)?.checked_add(1)?.checked_add(at("output_padding", 0, a)?)?.checked_sub(pads)
        };
        shape.push(if plain { size().map_or(Dim::Unknown, Dim::Known) } else { Dim::Unknown });
    }
    Some(shape)
}

fn pool(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    let kernel = view.attr_ints(node, "kernel_shape")?;
    let ceil = view.attr_i(node, "ceil_mode").unwrap_or(0) != 0;
    let auto = view.attr_s(node, "auto_pad");
    let mut shape = input.get(..2)?.to_vec();
    for (a, k) in kernel.iter().enumerate() {
        let at = |name: &str, default: i64, i: usize| {
            view.attr_ints(node, name).map_or(Some(default), |v| v.get(i).copied())
        };
        let (stride, dilation) = (at("strides", 1, a)?.max(1), at("dilations", 1, a)?);
        let size = input.get(a + 2)?;
        let reach = dilation.checked_mul(k.checked_sub(1)?)?;
        shape.push(match auto {
            None | Some(b"NOTSET") => {
                let begin = at("pads", 0, a)?;
                let pads = begin.checked_add(at("pads", 0, a + kernel.len())?)?;
                let mut dim = windowed(size, pads, reach, stride, ceil);
                // A window that would start in the padding behind is left out.
                if let (true, Dim::Known(n), Some(m)) = (ceil, &dim, size.known())
                    && (n - 1).saturating_mul(stride) >= m.saturating_add(begin)
                {
                    dim = Dim::Known(n - 1);
                }
                dim
            }
            Some(b"VALID") => windowed(size, 0, reach, stride, ceil),
            Some(_) => size.known().map_or(Dim::Unknown, |n| Dim::Known((n + stride - 1).div_euclid(stride))),
        });
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

fn concat(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let parts: Vec<&[Dim]> = view.inputs(node).iter().map(|v| facts.shape((*v)?)).collect::<Option<_>>()?;
    let first = parts.first()?;
    let axis = axis_of(view.attr_i(node, "axis")?, first.len())?;
    let mut shape = first.to_vec();
    for part in &parts[1..] {
        if part.len() != shape.len() {
            return None;
        }
        for (i, dim) in shape.iter_mut().enumerate() {
            if i != axis && dim.known().is_none() {
                *dim = part[i].clone();
            }
        }
    }
    shape[axis] = parts.iter().try_fold(0_i64, |n, p| n.checked_add(p[axis].known()?)).map_or(Dim::Unknown, Dim::Known);
    Some(shape)
}

fn split(facts: &Facts<'_>, node: NodeId) -> Vec<Option<Shape>> {
    let view = facts.view();
    let count = view.outputs(node).len();
    let find = || -> Option<Vec<Option<Shape>>> {
        let input = facts.shape(view.input(node, 0)?)?;
        let axis = axis_of(view.attr_i(node, "axis").unwrap_or(0), input.len())?;
        let parts: Option<Vec<i64>> = match (view.attr_ints(node, "split"), view.input(node, 1)) {
            (Some(parts), _) => Some(parts.to_vec()),
            (None, Some(v)) => facts.sizes(v).and_then(|s| s.iter().map(Dim::known).collect()),
            (None, None) => input[axis].known().map(|n| {
                let each = n.div_euclid(count as i64) + i64::from(n % count as i64 != 0);
                (0..count as i64).map(|i| each.min(n - i * each)).collect()
            }),
        };
        Some(
            (0..count)
                .map(|i| {
                    let mut shape = input.to_vec();
                    shape[axis] = parts.as_ref().and_then(|p| p.get(i)).map_or(Dim::Unknown, |n| Dim::Known(*n));
                    Some(shape)
                })
                .collect(),
        )
    };
    find().unwrap_or_default()
}

fn slice(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let mut shape = facts.shape(view.input(node, 0)?)?.to_vec();
    let Some(cuts) = slices(view, facts, node) else { return Some(vec![Dim::Unknown; shape.len()]) };
    for cut in cuts {
        let axis = axis_of(cut.axis, shape.len())?;
        let whole = cut.start == 0 && cut.step == 1 && cut.end >= i64::from(i32::MAX);
        if !whole {
            let count = shape[axis].known().and_then(|n| cut.resolve(n));
            shape[axis] = count.map_or(Dim::Unknown, |(_, n)| Dim::Known(n));
        }
    }
    Some(shape)
}

fn pad(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    let pads: Option<Vec<i64>> = match view.attr_ints(node, "pads") {
        Some(p) => Some(p.to_vec()),
        None => view.input(node, 1).and_then(|v| facts.sizes(v)).and_then(|s| s.iter().map(Dim::known).collect()),
    };
    let rank = input.len();
    match pads {
        Some(pads) if pads.len() == 2 * rank && view.input(node, 3).is_none() => Some(
            (0..rank)
                .map(|i| match pads[i].checked_add(pads[i + rank])? {
                    0 => Some(input[i].clone()),
                    more => Some(input[i].known().and_then(|n| n.checked_add(more)).map_or(Dim::Unknown, Dim::Known)),
                })
                .collect::<Option<Shape>>()?,
        ),
        _ => Some(vec![Dim::Unknown; rank]),
    }
}

fn reshape(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let target = view.input(node, 1)?;
    let Some(target) = facts.sizes(target) else {
        let rank = usize::try_from(facts.shape(target)?.first()?.known()?).ok()?;
        return (rank <= 64).then(|| vec![Dim::Unknown; rank]);
    };
    let input = view.input(node, 0).and_then(|v| facts.shape(v));
    let copies = view.attr_i(node, "allowzero").unwrap_or(0) == 0;
    let mut shape: Shape = target
        .iter()
        .enumerate()
        .map(|(i, d)| match d {
            Dim::Known(0) if copies => input.and_then(|s| s.get(i)).cloned().unwrap_or(Dim::Unknown),
            other => other.clone(),
        })
        .collect();
    if let Some(free) = shape.iter().position(|d| *d == Dim::Known(-1)) {
        shape[free] = Dim::Unknown;
        let rest: Vec<Dim> = shape.iter().enumerate().filter(|(i, _)| *i != free).map(|(_, d)| d.clone()).collect();
        if let Some(n) = input.and_then(|s| quotient(s, &rest)) {
            shape[free] = n;
        }
    }
    Some(shape)
}

/// `product(all) / product(part)`, names cancelled against each other.
fn quotient(all: &[Dim], part: &[Dim]) -> Option<Dim> {
    let (mut above, mut below) = (1_i64, 1_i64);
    let mut names: Vec<&str> = Vec::new();
    for dim in all {
        match dim {
            Dim::Known(n) => above = above.checked_mul(*n)?,
            Dim::Symbol(s) => names.push(s),
            Dim::Unknown => return None,
        }
    }
    for dim in part {
        match dim {
            Dim::Known(n) => below = below.checked_mul(*n)?,
            Dim::Symbol(s) => {
                let at = names.iter().position(|n| n == s)?;
                names.swap_remove(at);
            }
            Dim::Unknown => return None,
        }
    }
    if below == 0 || above % below != 0 {
        return None;
    }
    match (names.as_slice(), above / below) {
        ([], n) => Some(Dim::Known(n)),
        ([name], 1) => Some(Dim::Symbol((*name).to_owned())),
        _ => None,
    }
}

fn flatten(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    let axis = view.attr_i(node, "axis").unwrap_or(1);
    let axis = if axis == input.len() as i64 { input.len() } else { axis_of(axis, input.len())? };
    let product = |dims: &[Dim]| quotient(dims, &[]).unwrap_or(Dim::Unknown);
    Some(vec![product(&input[..axis]), product(&input[axis..])])
}

fn transpose(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    match view.attr_ints(node, "perm") {
        Some(perm) if perm.len() == input.len() => {
            perm.iter().map(|p| input.get(usize::try_from(*p).ok()?).cloned()).collect()
        }
        Some(_) => None,
        None => Some(input.iter().rev().cloned().collect()),
    }
}

fn axes_of(facts: &Facts<'_>, node: NodeId) -> Option<Vec<i64>> {
    let view = facts.view();
    match (view.attr_ints(node, "axes"), view.input(node, 1)) {
        (Some(axes), _) => Some(axes.to_vec()),
        (None, Some(v)) => facts.sizes(v)?.iter().map(Dim::known).collect(),
        (None, None) => None,
    }
}

fn squeeze(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    let axes = axes_of(facts, node);
    if view.op(node) == "Squeeze" {
        let axes: Vec<usize> = match axes {
            Some(axes) => axes.iter().map(|a| axis_of(*a, input.len())).collect::<Option<_>>()?,
            None if input.iter().all(|d| d.known().is_some()) => {
                (0..input.len()).filter(|i| input[*i] == Dim::Known(1)).collect()
            }
            None => return None,
        };
        return Some(input.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, d)| d.clone()).collect());
    }
    let axes = axes?;
    let rank = input.len() + axes.len();
    let axes: Vec<usize> = axes.iter().map(|a| axis_of(*a, rank)).collect::<Option<_>>()?;
    let mut rest = input.iter();
    (0..rank).map(|i| if axes.contains(&i) { Some(Dim::Known(1)) } else { rest.next().cloned() }).collect()
}

fn gather(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let data = facts.shape(view.input(node, 0)?)?;
    let index = facts.shape(view.input(node, 1)?)?;
    let axis = axis_of(view.attr_i(node, "axis").unwrap_or(0), data.len())?;
    Some([&data[..axis], index, &data[axis + 1..]].concat())
}

fn expand(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    let target = facts.sizes(view.input(node, 1)?)?;
    let rank = input.len().max(target.len());
    let at = |s: &[Dim], i: usize| (i + s.len()).checked_sub(rank).map_or(Dim::Known(1), |i| s[i].clone());
    Some((0..rank).map(|i| broadcast(&at(input, i), &at(&target, i))).collect())
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

fn depth_space(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let [n, c, h, w] = facts.shape(view.input(node, 0)?)? else { return None };
    let block = view.attr_i(node, "blocksize").filter(|b| (1..=1 << 16).contains(b))?;
    let up = view.op(node) == "DepthToSpace";
    let grow = |d: &Dim| d.known().and_then(|n| n.checked_mul(block)).map_or(Dim::Unknown, Dim::Known);
    let shrink = |d: &Dim| d.known().map_or(Dim::Unknown, |n| Dim::Known(n / block));
    let channels = c.known().and_then(|c| if up { Some(c / (block * block)) } else { c.checked_mul(block * block) });
    let space = |d: &Dim| if up { grow(d) } else { shrink(d) };
    Some(vec![n.clone(), channels.map_or(Dim::Unknown, Dim::Known), space(h), space(w)])
}

fn resize(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    let unknown = Some(input.iter().enumerate().map(|(i, d)| if i < 2 { d.clone() } else { Dim::Unknown }).collect());
    if view.attr(node, "axes").is_some() {
        return Some(vec![Dim::Unknown; input.len()]);
    }
    if let Some(sizes) = view.input(node, 3).and_then(|v| facts.sizes(v)) {
        let stretch = matches!(view.attr_s(node, "keep_aspect_ratio_policy"), None | Some(b"stretch"));
        return if stretch && sizes.len() == input.len() { Some(sizes) } else { None };
    }
    let scales = view.input(node, if view.op(node) == "Upsample" || view.opset() < 11 { 1 } else { 2 });
    let Some(scales) = scales.and_then(|v| facts.constant(v)) else {
        // Whether it resizes channels is not known either.
        return Some(vec![Dim::Unknown; input.len()]);
    };
    if scales.data.len() != input.len() {
        return unknown;
    }
    Some(
        input
            .iter()
            .zip(scales.data.iter())
            .map(|(d, s)| match d.known() {
                _ if *s == 1.0 => d.clone(),
                Some(n) => Dim::Known((n as f64 * s).floor() as i64),
                None => Dim::Unknown,
            })
            .collect(),
    )
}
