//! Small networks with the operators that the committed models do not have. Batch and, where it makes sense, sizes are free.

mod activations;
mod attention;
mod control;
mod joins;
mod maps;
mod windows;

use onnx_rm::onnx::tensor_shape_proto::dimension::Value::{DimParam, DimValue};
use onnx_rm::onnx::{ModelProto, type_proto};

use crate::common::Build;

pub type Net = (&'static str, fn() -> ModelProto);

pub fn all() -> impl Iterator<Item = Net> {
    [activations::NETS, attention::NETS, control::NETS, joins::NETS, maps::NETS, windows::NETS]
        .into_iter()
        .flatten()
        .copied()
}

/// A graph input whose free sizes, given as -1, have names of their own.
fn input(b: &mut Build, name: &str, shape: &[i64]) -> String {
    b.input(name, shape);
    let info = b.graph.input.last_mut().unwrap();
    let Some(type_proto::Value::TensorType(t)) = info.r#type.as_mut().unwrap().value.as_mut() else { unreachable!() };
    for (axis, dim) in t.shape.as_mut().unwrap().dim.iter_mut().enumerate() {
        if !matches!(dim.value, Some(DimValue(n)) if n > 0) {
            dim.value = Some(DimParam(format!("{name}_{axis}")));
        }
    }
    name.to_owned()
}

/// Maps of three channels, of any size.
fn maps(b: &mut Build) -> String {
    input(b, "x", &[-1, 3, -1, -1])
}

/// Maps of three channels and a fixed size.
fn fixed(b: &mut Build, size: i64) -> String {
    input(b, "x", &[-1, 3, size, size])
}

fn model(mut b: Build, opset: i64, outputs: &[&str]) -> ModelProto {
    b.opset = opset;
    for output in outputs {
        b.output(output);
    }
    let mut model = b.model();
    if opset > 21 {
        model.ir_version = Some(10);
    }
    model
}
