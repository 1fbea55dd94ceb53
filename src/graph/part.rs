//! Some nodes of a model as a model of their own.

use std::collections::BTreeSet;

use crate::onnx::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};

use super::subgraph::reads;

/// A model of `nodes`, which stand in topological order, that gives `outputs`. What it needs and none of them makes is a constant of the
/// new model where `constant` knows it, or `whole` has it as a sparse one; everything else is an input, without a type.
pub(crate) fn part<'t>(
    whole: &ModelProto,
    nodes: Vec<NodeProto>,
    outputs: &[&str],
    constant: &dyn Fn(&str) -> Option<&'t TensorProto>,
) -> ModelProto {
    let made: BTreeSet<&str> = nodes.iter().flat_map(|n| &n.output).map(String::as_str).collect();
    let mut needed: BTreeSet<String> = nodes.iter().flat_map(reads).collect();
    needed.extend(outputs.iter().map(|name| (*name).to_owned()));
    needed.retain(|name| !made.contains(name.as_str()));
    let mut graph = GraphProto { name: Some("part".to_owned()), ..GraphProto::default() };
    graph.output = outputs.iter().map(|name| named(name)).collect();
    for name in &needed {
        let sparse = || whole.graph.iter().flat_map(|g| &g.sparse_initializer);
        let sparse = || sparse().find(|s| s.values.as_ref().is_some_and(|v| v.name() == name));
        if let Some(tensor) = constant(name) {
            graph.initializer.push(inline(tensor));
        } else if let Some(tensor) = sparse() {
            graph.sparse_initializer.push(tensor.clone());
        } else {
            graph.input.push(named(name));
        }
    }
    graph.node = nodes;
    ModelProto {
        ir_version: whole.ir_version,
        opset_import: whole.opset_import.clone(),
        functions: whole.functions.clone(),
        graph: Some(graph),
        ..ModelProto::default()
    }
}

/// `tensor` with its content inside, as loading has put it there.
pub(crate) fn inline(tensor: &TensorProto) -> TensorProto {
    TensorProto { external_data: Vec::new(), data_location: None, ..tensor.clone() }
}

fn named(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: Some(name.to_owned()), ..ValueInfoProto::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::node;
    use crate::onnx::SparseTensorProto;

    #[test]
    fn what_is_needed_and_not_made_is_a_constant_or_an_input() {
        let nodes = vec![node("a", "Add", &["x", "w"], &["a"]), node("b", "Mul", &["a", "s"], &["b"])];
        let tensor = |name: &str| TensorProto { name: Some(name.to_owned()), ..TensorProto::default() };
        let sparse = SparseTensorProto { values: Some(tensor("s")), ..SparseTensorProto::default() };
        let graph = GraphProto { sparse_initializer: vec![sparse], ..GraphProto::default() };
        let whole = ModelProto { ir_version: Some(8), graph: Some(graph), ..ModelProto::default() };
        let (w, outputs) = (tensor("w"), ["b", "y"]);
        let found = part(&whole, nodes, &outputs, &|name| (name == "w").then_some(&w));
        assert_eq!(found.ir_version, Some(8));
        let graph = found.graph.unwrap_or_default();
        let names = |list: &[ValueInfoProto]| list.iter().map(|v| v.name().to_owned()).collect::<Vec<_>>();
        assert_eq!(
            (names(&graph.input), names(&graph.output)),
            (vec!["x".into(), "y".into()], vec!["b".into(), "y".into()])
        );
        assert_eq!((graph.initializer, graph.sparse_initializer.len()), (vec![w.clone()], 1));
    }
}
