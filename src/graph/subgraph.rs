//! Names inside subgraphs (`If`, `Loop`, `Scan`), which read the tensors of the graph around them by name.

use std::collections::BTreeSet;

use crate::onnx::{GraphProto, NodeProto};

/// The graphs held by the attributes of `node`.
fn graphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|a| a.g.iter().chain(a.graphs.iter()))
}

/// Every name that a subgraph of `node` mentions as a read, at any depth. Names that the subgraph defines itself are
/// among them: taking one too many for captured is safe.
pub fn captured_names(node: &NodeProto, names: &mut BTreeSet<String>) {
    for graph in graphs(node) {
        names.extend(graph.output.iter().map(|o| o.name().to_owned()));
        for inner in &graph.node {
            names.extend(inner.input.iter().filter(|n| !n.is_empty()).cloned());
            captured_names(inner, names);
        }
    }
}

/// Every name in `graph` and the graphs inside it: nodes, tensors, initializers.
pub(super) fn all_names(graph: &GraphProto, names: &mut BTreeSet<String>) {
    names.extend(graph.input.iter().chain(&graph.output).chain(&graph.value_info).map(|v| v.name().to_owned()));
    names.extend(graph.initializer.iter().map(|t| t.name().to_owned()));
    names.extend(graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref()).map(|t| t.name().to_owned()));
    for node in &graph.node {
        names.insert(node.name().to_owned());
        names.extend(node.input.iter().chain(&node.output).cloned());
        for inner in graphs(node) {
            all_names(inner, names);
        }
    }
}
