//! Builds small ONNX models in memory and evaluates them in float64.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

pub mod build;
pub mod channels_last;
pub mod python;

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};
use onnx_rm::engine;
use onnx_rm::onnx::{ModelProto, tensor_shape_proto, type_proto};
use onnx_rm::options::Options;
use onnx_rm::report::Outcome;
use onnx_rm::verify::reference::{self, Value};

pub use build::*;

/// Seeded values for every graph input that is no initializer.
pub fn feed(model: &ModelProto, seed: u64) -> BTreeMap<String, Value> {
    let graph = model.graph.as_ref().unwrap();
    let mut rng = Rng(seed);
    let mut inputs = BTreeMap::new();
    for input in &graph.input {
        if graph.initializer.iter().any(|t| t.name() == input.name()) {
            continue;
        }
        let Some(type_proto::Value::TensorType(t)) = input.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
            panic!()
        };
        let shape: Vec<usize> = t
            .shape
            .as_ref()
            .unwrap()
            .dim
            .iter()
            .map(|d| match &d.value {
                Some(tensor_shape_proto::dimension::Value::DimValue(n)) => *n as usize,
                _ => 2,
            })
            .collect();
        let values = (0..shape.iter().product()).map(|_| rng.unit() * 4.0).collect();
        inputs.insert(input.name().to_owned(), Value::F(ArrayD::from_shape_vec(IxDyn(&shape), values).unwrap()));
    }
    inputs
}

/// Every graph output in float64.
pub fn evaluate(model: &ModelProto, seed: u64) -> Vec<ArrayD<f64>> {
    let trace =
        reference::run(model, &feed(model, seed)).unwrap_or_else(|e| panic!("{e}\n{}", onnx_rm::graph::dump(model)));
    let graph = model.graph.as_ref().unwrap();
    graph
        .output
        .iter()
        .map(|o| match trace.get(o.name()) {
            Some(Value::F(a)) => a.clone().into_dyn(),
            // A shape that is given out.
            Some(Value::I(a)) => a.mapv(|v| v as f64).into_dyn(),
            other => panic!("output {} is {other:?}", o.name()),
        })
        .collect()
}

/// What a model computes in float64 for two seeded inputs.
pub struct Expected(Vec<Vec<ArrayD<f64>>>);

impl Expected {
    const SEEDS: [u64; 2] = [1, 2];

    pub fn of(model: &ModelProto) -> Self {
        let expected = Self(Self::SEEDS.iter().map(|seed| evaluate(model, *seed)).collect());
        for output in expected.0.iter().flatten() {
            let largest = largest(output);
            assert!(largest > 1e-3 && largest.is_finite(), "an output without evidence");
        }
        expected
    }

    /// Largest difference of any output of `model` over the largest value of that output.
    pub fn distance(&self, model: &ModelProto) -> f64 {
        let mut worst: f64 = 0.0;
        for (seed, outputs) in Self::SEEDS.iter().zip(&self.0) {
            for (x, y) in outputs.iter().zip(&evaluate(model, *seed)) {
                assert_eq!(x.shape(), y.shape());
                worst = worst.max(largest(&(x - y)) / largest(x));
            }
        }
        worst
    }
}

/// The largest absolute value; a NaN is larger than every number.
fn largest(values: &ArrayD<f64>) -> f64 {
    values.iter().fold(0.0_f64, |m, v| if v.is_nan() { f64::INFINITY } else { m.max(v.abs()) })
}

/// [`Expected::distance`] of `b` from `a`.
pub fn distance(a: &ModelProto, b: &ModelProto) -> f64 {
    Expected::of(a).distance(b)
}

pub fn rewrite(model: &ModelProto, options: &Options) -> (ModelProto, Outcome) {
    let mut copy = model.clone();
    let outcome = engine::rewrite_proto(&mut copy, options, &mut onnx_rm::engine::go_on).unwrap();
    (copy, outcome)
}

/// Adds and Sums of two tensors of data that are left.
pub fn joins(outcome: &Outcome) -> usize {
    outcome.after.joins
}

/// Weights are rounded once to float32, so the rewritten float64 result differs by as much.
pub const ROUNDING: f64 = 2e-6;

/// What an older opset does not have: operators, and constants that were attributes then.
pub fn assert_valid(model: &ModelProto, what: &str) {
    let opset = model.opset_import[0].version();
    for node in &model.graph.as_ref().unwrap().node {
        let inputs = node.input.len();
        let since = match node.op_type() {
            "Slice" if inputs > 1 => 10,
            "Pad" | "Clip" if inputs > 1 => 11,
            "Split" | "Unsqueeze" | "ReduceSum" if inputs > 1 => 13,
            "Where" => 9,
            "Max" | "Min" => 8,
            "PRelu" | "Gemm" => 7,
            _ => 1,
        };
        assert!(opset >= since, "{what}: {} with {inputs} inputs in opset {opset}", node.op_type());
    }
}
