//! Verification: equal models pass, wrong ones are caught and the first differing tensor is named.
#![cfg(feature = "verify")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use crate::common;

#[cfg(feature = "cli")]
mod command;
#[cfg(feature = "cli")]
mod comparing;
mod criterion;
#[cfg(all(feature = "cli", feature = "onnxruntime"))]
mod engines;
mod evidence;
mod inputs;
mod mend;
mod regions;
mod samples;

use common::{Build, conv};
use ndarray::ArrayD;
use onnx_rm::facts::tensor;
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{ModelProto, NodeProto, TensorProto, ValueInfoProto, tensor_shape_proto, type_proto};
use onnx_rm::verify::{VerifyOptions, VerifyReport, verify_models};

fn check(a: &ModelProto, b: &ModelProto) -> VerifyReport {
    verify_models(a, b, &VerifyOptions::default()).unwrap()
}

/// Two convolutions with a clip between, a projection of their sum, and two outputs of one shape.
fn net() -> ModelProto {
    let mut b = Build::new(5);
    let x = b.input("x", &[1, 3, 12, 12]);
    let stem = b.conv(&x, &conv(3, 8, 3));
    let fork = b.node("Relu", &[&stem], vec![]);
    let (low, high) = (b.floats(&[], vec![0.0]), b.floats(&[], vec![6.0]));
    let first = b.conv(&fork, &conv(8, 8, 3));
    let clip = b.node("Clip", &[&first, &low, &high], vec![]);
    let second = b.conv(&clip, &conv(8, 8, 3));
    let join = b.add(&second, &fork);
    let (y, z) = (b.conv(&join, &conv(8, 4, 1)), b.conv(&join, &conv(8, 4, 1)));
    b.output(&y);
    b.output(&z);
    b.model()
}

fn nodes(model: &mut ModelProto) -> &mut Vec<NodeProto> {
    &mut model.graph.as_mut().unwrap().node
}

fn weight(model: &mut ModelProto, node: usize, slot: usize) -> &mut TensorProto {
    let graph = model.graph.as_mut().unwrap();
    let name = graph.node[node].input[slot].clone();
    graph.initializer.iter_mut().find(|t| t.name() == name).unwrap()
}

/// Thirty steps of the logistic map: each squares and shifts into another digit, so what is left of float32 after
/// twelve is noise.
fn amplified(b: &mut common::Build, x: &str, scale: f64) -> String {
    let mut y = b.node("Sigmoid", &[x], vec![]);
    for _ in 0..30 {
        let (one, scale) = (b.floats(&[], vec![1.0]), b.floats(&[], vec![scale]));
        let rest = b.node("Sub", &[&one, &y], vec![]);
        let product = b.node("Mul", &[&y, &rest], vec![]);
        y = b.node("Mul", &[&product, &scale], vec![]);
    }
    y
}

fn edit(tensor: &mut TensorProto, f: impl Fn(&mut ArrayD<f64>)) {
    let mut values = tensor::read_f64(tensor).unwrap();
    f(&mut values);
    *tensor = tensor::write(tensor.name(), &values, DataType::Float);
}

fn set_dims(info: &mut ValueInfoProto, dims: &[Option<i64>]) {
    let dim = |d: &Option<i64>| tensor_shape_proto::Dimension {
        value: d.map(tensor_shape_proto::dimension::Value::DimValue),
        ..Default::default()
    };
    let Some(type_proto::Value::TensorType(t)) = info.r#type.as_mut().unwrap().value.as_mut() else { panic!() };
    t.shape.get_or_insert_default().dim = dims.iter().map(dim).collect();
}

fn set_type(info: &mut ValueInfoProto, dtype: DataType) {
    let Some(type_proto::Value::TensorType(t)) = info.r#type.as_mut().unwrap().value.as_mut() else { panic!() };
    t.elem_type = Some(dtype as i32);
}
