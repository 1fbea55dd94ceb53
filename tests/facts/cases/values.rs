//! Functions of the entries of one or more tensors.

use onnx_rm::onnx::tensor_proto::DataType;

use super::{any_axis, of_floats, operand, some};
use crate::common::{float, int, string};
use crate::facts::world::{FLOATS, INTEGERS, World, is_float, is_integer};

pub(super) fn plain(w: &mut World, op: &str) -> Option<()> {
    let (x, t, _) = of_floats(w)?;
    let t = if matches!(op, "IsNaN" | "IsInf") { DataType::Bool } else { t };
    w.node(op, &[&x], &[t], vec![])
}

pub(super) fn with_alpha(w: &mut World, op: &str) -> Option<()> {
    let (x, t, _) = of_floats(w)?;
    let alpha = w.one(&[0.01, 1.0, -0.5, 0.0, 3.0, 1e-3, 1e-30, 1e30]);
    w.node(op, &[&x], &[t], vec![float(if op == "Shrink" { "lambd" } else { "alpha" }, alpha)])
}

pub(super) fn number(w: &mut World, op: &str) -> Option<()> {
    let signed = !matches!(op, "Neg");
    let (x, t, _) = some(w, |t| {
        is_float(t.dtype) || is_integer(t.dtype) && (signed || !matches!(t.dtype, DataType::Uint8 | DataType::Uint32))
    })?;
    w.node(op, &[&x], &[t], vec![])
}

pub(super) fn gelu(w: &mut World, op: &str) -> Option<()> {
    let (x, t, _) = of_floats(w)?;
    let how = w.one(&["none", "tanh"]);
    w.node(op, &[&x], &[t], vec![string("approximate", how)])
}

pub(super) fn along_axis(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| is_float(t.dtype) && t.rank() > 0)?;
    let axis = any_axis(w, shape.len());
    w.node(op, &[&x], &[t], vec![int("axis", axis)])
}

pub(super) fn anything(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |_| true)?;
    let mut attributes = vec![];
    if op == "Shape" && w.opset >= 15 && w.chance(40) {
        attributes = vec![int("start", any_axis(w, shape.len())), int("end", any_axis(w, shape.len()))];
    }
    w.node(op, &[&x], &[if op == "Identity" { t } else { DataType::Int64 }], attributes)
}

pub(super) fn dropout(w: &mut World, op: &str) -> Option<()> {
    let (x, t, _) = of_floats(w)?;
    if w.opset < 12 || w.chance(50) {
        return w.node(op, &[&x], &[t], vec![]);
    }
    let ratio = w.floats(DataType::Float, &[], &[0.5]);
    let (off, ..) = some(w, |t| t.dtype == DataType::Bool)?;
    w.node(op, &[&x, &ratio, &off], &[t, DataType::Bool], vec![])
}

pub(super) fn cast(w: &mut World, op: &str) -> Option<()> {
    let (x, ..) = some(w, |_| true)?;
    if op == "CastLike" {
        let (like, to, _) = some(w, |t| t.dtype != DataType::Float8e4m3fn)?;
        return w.node(op, &[&x, &like], &[to], vec![]);
    }
    let to = if w.chance(50) { w.one(FLOATS) } else { w.one(INTEGERS) };
    let to = w.one(&[to, to, to, DataType::Bool, DataType::Float8e4m3fn]);
    w.node(op, &[&x], &[to], vec![int("to", to as i64)])
}

pub(super) fn arithmetic(w: &mut World, op: &str) -> Option<()> {
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

pub(super) fn logic(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| t.dtype == DataType::Bool)?;
    if op == "Not" {
        return w.node(op, &[&x], &[t], vec![]);
    }
    let y = operand(w, t, &shape)?;
    w.node(op, &[&x, &y], &[t], vec![])
}

pub(super) fn choose(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| is_float(t.dtype) || is_integer(t.dtype))?;
    let (y, mask) = (operand(w, t, &shape)?, operand(w, DataType::Bool, &shape)?);
    w.node(op, &[&mask, &x, &y], &[t], vec![])
}

pub(super) fn prelu(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = of_floats(w)?;
    let slope = operand(w, t, &shape)?;
    w.node(op, &[&x, &slope], &[t], vec![])
}

pub(super) fn clip(w: &mut World, op: &str) -> Option<()> {
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
