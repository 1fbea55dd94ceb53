//! Windows, products, normalisations and reductions.

use onnx_rm::onnx::AttributeProto;
use onnx_rm::onnx::tensor_proto::DataType;

use super::{any_axis, axes, some};
use crate::common::{float, int, ints, string};
use crate::facts::world::{FLOATS, World, is_float};

/// A map of two axes, from the graph or a new one.
pub(super) fn map(w: &mut World) -> Option<(String, DataType, Vec<i64>)> {
    if w.chance(50) {
        let t = w.one(FLOATS);
        let shape = [1, 1 + w.rng.below(3), 1 + w.rng.below(5), 1 + w.rng.below(5)];
        let value = w.random(t, &shape);
        if w.chance(50) { w.input(t, value) } else { drop(w.constant(t, value)) }
    }
    some(w, |t| is_float(t.dtype) && t.rank() == 4)
}

pub(super) fn window(w: &mut World) -> Vec<AttributeProto> {
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

pub(super) fn pool(w: &mut World, op: &str) -> Option<()> {
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

pub(super) fn resize(w: &mut World, op: &str) -> Option<()> {
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

pub(super) fn conv(w: &mut World, op: &str) -> Option<()> {
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

pub(super) fn product(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| is_float(t.dtype) && t.rank() >= 1 && (op == "MatMul" || t.rank() == 2))?;
    let flip = op == "Gemm" && w.chance(50);
    let depth = if flip { shape[0] } else { *shape.last()? };
    let width = 1 + w.rng.below(3);
    let value = w.random(t, &[depth as usize, width]);
    let y = w.constant(t, value);
    let attributes = if flip { vec![int("transA", 1)] } else { vec![] };
    w.node(op, &[&x, &y], &[t], attributes)
}

pub(super) fn norm(w: &mut World, op: &str) -> Option<()> {
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

pub(super) fn quantize(w: &mut World, op: &str) -> Option<()> {
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

pub(super) fn reduce(w: &mut World, op: &str) -> Option<()> {
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

pub(super) fn einsum(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| is_float(t.dtype) && t.rank() == 2)?;
    let value = w.random(t, &[shape[1] as usize, 2]);
    let y = w.constant(t, value);
    let (equation, inputs) = match w.rng.below(4) {
        0 => ("ij,jk->ik", vec![x.as_str(), &y]),
        1 => ("ij, jk -> kij", vec![x.as_str(), &y]),
        2 => ("ij,jk", vec![x.as_str(), &y]),
        _ => ("ba->ab", vec![x.as_str()]),
    };
    w.node(op, &inputs, &[t], vec![string("equation", equation)])
}
