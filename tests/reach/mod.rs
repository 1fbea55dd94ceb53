//! Inputs that reach what they test: every bend is seen on both sides, and inputs are found that reach deep bounds.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs
)]

use crate::common;

mod bends;
mod isolate;
mod search;

use std::collections::BTreeMap;

use common::Build;
use ndarray::{ArrayD, IxDyn};
use onnx_rm::onnx::ModelProto;
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::verify::reach::{Budget, InputSpec, Reached, reach};
use onnx_rm::verify::reference::Value;

/// Looks, and does not search.
const LOOK: Budget = Budget { evaluations: 0, least: 0, work: 0, extra: 0 };

fn floats(shape: &[usize], values: &[f64]) -> Value {
    Value::F(ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).unwrap())
}

fn spec(dtype: DataType, shape: &[usize]) -> InputSpec {
    InputSpec { name: "x".to_owned(), dtype, shape: shape.to_vec() }
}

fn feed(value: Value) -> BTreeMap<String, Value> {
    BTreeMap::from([("x".to_owned(), value)])
}

/// The sides that `feeds` miss, as "operator: side".
fn sides(reached: &Reached) -> Vec<String> {
    reached.missed.iter().map(|m| format!("{}: {}", m.op, m.side)).collect()
}

/// A model of what `build` makes of its input `x` of `shape`.
fn model(shape: &[usize], build: impl FnOnce(&mut Build, &str) -> String) -> ModelProto {
    let mut b = Build::new(11);
    let dims: Vec<i64> = shape.iter().map(|d| *d as i64).collect();
    let x = b.input("x", &dims);
    let y = build(&mut b, &x);
    b.output(&y);
    b.model()
}
