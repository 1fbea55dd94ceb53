//! Pruning: what goes together, what goes for nothing, what least squares makes up for, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod coupling;
mod fit;
mod refit;

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};
use onnx_rm::Model;
use onnx_rm::onnx::ModelProto;
use onnx_rm::prune::{PruneOptions, PruneReport, Samples};
use onnx_rm::verify::reference::Value;

use crate::common::build::Rng;

/// The pruned model, and what was said of it.
fn prune(
    model: &Model,
    samples: Option<&Samples>,
    options: &PruneOptions,
) -> Result<(Model, PruneReport), onnx_rm::PruneError> {
    onnx_rm::prune(model, samples, options).map(|pruned| (pruned.model, pruned.report))
}

/// Largest difference of two forms of one sum in float64, relative to the largest value.
const SAME: f64 = 1e-9;

/// Random samples for the only input of a model, `[n, ...shape]`.
fn samples(name: &str, shape: &[usize], n: usize) -> Samples {
    Samples::new(arrays(name, shape, n)).unwrap()
}

fn arrays(name: &str, shape: &[usize], n: usize) -> BTreeMap<String, Value> {
    let mut rng = Rng(7);
    let all: Vec<usize> = std::iter::once(n).chain(shape.iter().copied()).collect();
    let values = (0..all.iter().product()).map(|_| rng.unit()).collect();
    BTreeMap::from([(name.to_owned(), Value::F(ArrayD::from_shape_vec(IxDyn(&all), values).unwrap()))])
}

/// Output channels of the convolutions and linear layers, in order.
fn widths(model: &ModelProto) -> Vec<i64> {
    let graph = model.graph.as_ref().unwrap();
    let dims = |name: &str| graph.initializer.iter().find(|t| t.name() == name).unwrap().dims.clone();
    let layers = graph.node.iter().filter(|n| n.op_type() == "Conv" || n.op_type() == "Gemm");
    layers.map(|n| dims(&n.input[1])[0]).collect()
}
