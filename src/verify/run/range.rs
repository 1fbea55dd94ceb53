//! Outputs that their operator bounds: what is far below the bound is a rounding error of whatever runtime computes it.

use std::collections::HashMap;

use crate::onnx::{GraphProto, NodeProto};
use crate::operators::function;
use crate::verify::reference::Value;

/// Operators that hand values on.
const COPIES: &[&str] =
    &["Concat", "Flatten", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze", "Gather"];

/// Largest absolute value that the operator which computes `output` can give; 0 where nothing bounds it.
pub(super) fn range(graph: &GraphProto, output: &str) -> f64 {
    let makers: HashMap<&str, &NodeProto> =
        graph.node.iter().flat_map(|n| n.output.iter().map(move |o| (o.as_str(), n))).collect();
    let mut tensor = output;
    // As many steps as there are nodes: a graph that is none has no end.
    for _ in 0..graph.node.len() {
        let Some(node) = makers.get(tensor) else { return 0.0 };
        match (node.op_type(), node.input.first()) {
            ("Softmax", _) => return 1.0,
            ("Clip", _) => return clip(graph, node),
            (op, Some(input)) if COPIES.contains(&op) => tensor = input,
            (op, _) => return function(op).and_then(|f| f.image.largest()).unwrap_or(0.0),
        }
    }
    0.0
}

fn clip(graph: &GraphProto, node: &NodeProto) -> f64 {
    let attribute = |name: &str| node.attribute.iter().find(|a| a.name() == name).and_then(|a| a.f).map(f64::from);
    let constant = |slot: usize| {
        let name = node.input.get(slot)?;
        let initializer = graph.initializer.iter().find(|t| t.name() == name);
        let written = || {
            let node = graph.node.iter().find(|n| n.op_type() == "Constant" && n.output.first() == Some(name))?;
            node.attribute.iter().find_map(|a| a.t.as_ref())
        };
        match Value::try_from(initializer.or_else(written)?) {
            Ok(Value::F(a)) => a.first().copied(),
            _ => None,
        }
    };
    let bound = |slot: usize, name: &str| attribute(name).or_else(|| constant(slot));
    match (bound(1, "min"), bound(2, "max")) {
        (Some(lo), Some(hi)) if lo.is_finite() && hi.is_finite() => lo.abs().max(hi.abs()),
        _ => 0.0,
    }
}
