//! Two models compared as text, and the element types of one.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, missing_docs, unreachable_pub)]

use crate::common;

mod bodies;
mod differences;
mod table;
mod types;
mod unreached;

use onnx_rm::onnx::{ModelProto, NodeProto, TensorProto};
use onnx_rm::verify::structure::{Difference, differences};

fn node<'a>(model: &'a mut ModelProto, op: &str) -> &'a mut NodeProto {
    model.graph.as_mut().unwrap().node.iter_mut().find(|n| n.op_type() == op).unwrap()
}

/// The initializer that node `op` reads at `slot`.
fn weight<'a>(model: &'a mut ModelProto, op: &str, slot: usize) -> &'a mut TensorProto {
    let name = node(model, op).input[slot].clone();
    model.graph.as_mut().unwrap().initializer.iter_mut().find(|t| t.name() == name).unwrap()
}

/// Changes entry `i` of a tensor of float32 stored raw.
fn set(tensor: &mut TensorProto, i: usize, value: f32) {
    let mut bytes = tensor.raw_data.as_ref().unwrap().to_vec();
    bytes[4 * i..4 * i + 4].copy_from_slice(&value.to_le_bytes());
    tensor.raw_data = Some(bytes.into());
}

fn found(a: &ModelProto, b: &ModelProto) -> Vec<Difference> {
    differences(a, b).unwrap()
}

/// What differs, in words; the same from both sides.
fn words(a: &ModelProto, b: &ModelProto) -> Vec<String> {
    let there = found(a, b);
    assert_eq!(there.len(), found(b, a).len());
    there.iter().map(ToString::to_string).collect()
}
