//! Names inside subgraphs (`If`, `Loop`, `Scan`), which read the tensors of the graph around them by name.

use std::collections::BTreeSet;

use crate::onnx::{GraphProto, ModelProto, NodeProto};

/// The graphs held by the attributes of `node`.
pub(crate) fn graphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|a| a.g.iter().chain(a.graphs.iter()))
}

/// Every node in the subgraphs of `node`, at any depth.
#[must_use]
pub fn inner_nodes(node: &NodeProto) -> Vec<&NodeProto> {
    graphs(node).flat_map(|g| &g.node).flat_map(|inner| std::iter::once(inner).chain(inner_nodes(inner))).collect()
}

/// What the subgraphs of the node that computes `tensor`, at any depth, define.
#[must_use]
pub fn defined_inside<'m>(model: &'m ModelProto, tensor: &str) -> BTreeSet<&'m str> {
    let main = model.graph.iter().flat_map(|g| &g.node);
    let all = main.flat_map(|n| std::iter::once(n).chain(inner_nodes(n)));
    let of = all.filter(|n| n.output.iter().any(|o| o == tensor));
    of.flat_map(inner_nodes).flat_map(|n| &n.output).map(String::as_str).collect()
}

/// The operator of `node`, with its domain in front (`domain::Op`) when it is not ONNX's own.
#[must_use]
pub fn operator(node: &NodeProto) -> String {
    match node.domain() {
        "" | "ai.onnx" => node.op_type().to_owned(),
        domain => format!("{domain}::{}", node.op_type()),
    }
}

/// Every name that the subgraphs of `node` read from the graph around it, at any depth.
///
/// A name that a subgraph defines itself is not among them, for a tensor around it may have the same name.
pub fn captured_names(node: &NodeProto, names: &mut BTreeSet<String>) {
    graphs(node).for_each(|graph| names.append(&mut read_from_around(graph)));
}

/// The same of one subgraph.
#[must_use]
pub fn read_from_around(graph: &GraphProto) -> BTreeSet<String> {
    let mut reads: BTreeSet<String> = graph.output.iter().map(|o| o.name().to_owned()).collect();
    for inner in &graph.node {
        reads.extend(inner.input.iter().filter(|n| !n.is_empty()).cloned());
        captured_names(inner, &mut reads);
    }
    let sparse = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref());
    graph.input.iter().for_each(|i| _ = reads.remove(i.name()));
    graph.initializer.iter().chain(sparse).for_each(|t| _ = reads.remove(t.name()));
    graph.node.iter().flat_map(|n| &n.output).for_each(|o| _ = reads.remove(o));
    reads
}

/// How many sums of two tensors or more stand in the model's local functions, at any depth. Sums with a constant of the same
/// graph, such as a bias, are not counted.
#[must_use]
pub fn sums_in_functions(model: &ModelProto) -> usize {
    model.functions.iter().map(|f| sums(&f.node, BTreeSet::new())).sum()
}

/// The same of a subgraph.
#[must_use]
pub fn sums_in(graph: &GraphProto) -> usize {
    sums(&graph.node, graph.initializer.iter().map(|t| t.name()).collect())
}

fn sums<'a>(nodes: &'a [NodeProto], mut constants: BTreeSet<&'a str>) -> usize {
    let written = nodes.iter().filter(|n| n.op_type() == "Constant");
    constants.extend(written.flat_map(|n| n.output.iter().map(String::as_str)));
    let is_sum = |n: &&NodeProto| {
        let joins = matches!(n.op_type(), "Add" | "Sum") && matches!(n.domain(), "" | "ai.onnx");
        joins && n.input.iter().filter(|i| !constants.contains(i.as_str())).count() > 1
    };
    let inside: usize = nodes.iter().flat_map(graphs).map(sums_in).sum();
    nodes.iter().filter(is_sum).count() + inside
}

/// What `node` and its subgraphs read, each name once.
pub(crate) fn reads(node: &NodeProto) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = node.input.iter().filter(|n| !n.is_empty()).cloned().collect();
    captured_names(node, &mut names);
    names
}

/// Every name in `graph` and the graphs inside it: nodes, tensors, initializers.
pub(crate) fn all_names(graph: &GraphProto, names: &mut BTreeSet<String>) {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{model, node};
    use super::*;
    use crate::onnx::AttributeProto;

    fn holding(mut outer: NodeProto, nodes: Vec<NodeProto>, outputs: &[&str]) -> NodeProto {
        outer.attribute.push(AttributeProto { g: model(nodes, outputs).graph, ..AttributeProto::default() });
        outer
    }

    #[test]
    fn sums_of_two_tensors_are_counted_where_nothing_looks() {
        let sum = || vec![node("s", "Add", &["x", "near"], &["y"])];
        let mut bias = node("b", "Constant", &[], &["c"]);
        bias.attribute.clear();
        let biased = vec![bias, node("s", "Add", &["x", "c"], &["y"])];
        let deep = holding(node("in", "If", &["p"], &["q"]), sum(), &["y"]);
        let outer = holding(node("if", "If", &["c"], &["y"]), [sum(), vec![deep]].concat(), &["y"]);
        assert_eq!(graphs(&outer).map(sums_in).sum::<usize>(), 2);
        let mut m = model([sum(), vec![outer]].concat(), &["y"]);
        assert_eq!(sums_in_functions(&m), 0);
        let function = |node| crate::onnx::FunctionProto { node, ..Default::default() };
        m.functions = vec![function(sum()), function(biased)];
        assert_eq!(sums_in_functions(&m), 1, "a sum with a constant is no join");
    }

    #[test]
    fn only_what_comes_from_outside_is_captured() {
        let deep = holding(node("in", "If", &["p"], &["q"]), vec![node("r", "Neg", &["far"], &["s"])], &["s"]);
        let inner = vec![node("a", "Relu", &["x"], &["y"]), node("b", "Add", &["y", "near"], &["p"]), deep];
        let outer = holding(node("if", "If", &["c"], &["y"]), inner, &["q", "through"]);
        let mut names = BTreeSet::new();
        captured_names(&outer, &mut names);
        // `x` is an input of the subgraph, `y`, `p` and `q` are made in it.
        assert_eq!(names, ["far", "near", "through"].map(str::to_owned).into());
    }
}
