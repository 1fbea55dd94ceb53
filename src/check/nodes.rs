//! All nodes of a model, also those in the graphs of `If`, `Loop` and `Scan` and in local functions.

use crate::graph::plain_domain;
use crate::onnx::{GraphProto, ModelProto, NodeProto, TensorProto};

/// A node, and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Placed<'a> {
    pub(super) node: &'a NodeProto,
    /// In the main graph.
    pub(super) is_main: bool,
    /// There, or in bodies that a rewrite looks into.
    pub(super) is_seen: bool,
}

/// Every node, those of the main graph first.
pub(super) fn nodes(model: &ModelProto) -> Vec<Placed<'_>> {
    let mut found = Vec::new();
    let main = model.graph.iter().map(|g| (g.node.as_slice(), true, true));
    let bodies = model.functions.iter().map(|f| (f.node.as_slice(), false, false));
    let mut open: Vec<(&[NodeProto], bool, bool)> = bodies.rev().chain(main).collect();
    while let Some((list, is_main, is_seen)) = open.pop() {
        for node in list {
            found.push(Placed { node, is_main, is_seen });
            let is_seen = is_seen && matches!(operator(node).as_str(), "If" | "Loop" | "Scan");
            open.extend(graphs(node).map(|g| (g.node.as_slice(), false, is_seen)));
        }
    }
    found
}

/// Constants beside the main graph's initializers: sparse ones, those of inner graphs, and those that nodes hold.
pub(super) fn other_constants(model: &ModelProto) -> impl Iterator<Item = &TensorProto> {
    let nodes = nodes(model);
    let held: Vec<&TensorProto> = nodes
        .iter()
        .flat_map(|placed| &placed.node.attribute)
        .flat_map(|a| a.t.iter().chain(&a.tensors).chain(a.sparse_tensor.iter().filter_map(|s| s.values.as_ref())))
        .collect();
    let inner: Vec<&TensorProto> = nodes
        .iter()
        .flat_map(|placed| graphs(placed.node))
        .flat_map(|g| g.initializer.iter().chain(sparse(g)))
        .collect();
    let main: Vec<&TensorProto> = model.graph.iter().flat_map(sparse).collect();
    held.into_iter().chain(inner).chain(main)
}

fn sparse(graph: &GraphProto) -> impl Iterator<Item = &TensorProto> {
    graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref())
}

fn graphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|a| a.g.iter().chain(a.graphs.iter()))
}

/// ONNX's own domain has a name here.
pub(super) fn domain(node: &NodeProto) -> &str {
    let domain = plain_domain(node.domain());
    if domain.is_empty() { "ai.onnx" } else { domain }
}

/// The operator, with its domain in front when that is not ONNX's own.
pub(super) fn operator(node: &NodeProto) -> String {
    match domain(node) {
        "ai.onnx" => node.op_type().to_owned(),
        domain => format!("{domain}::{}", node.op_type()),
    }
}
