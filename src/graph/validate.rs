//! A last look at an edited graph.

use std::collections::HashSet;

use crate::onnx::ModelProto;

use super::error::GraphError;
use super::imports::check_imports;
use super::subgraph::reads;
use super::view::GraphView;

/// Checks what [`check_imports`] does, that the graph can be viewed, and that every node stands behind what it reads, as ONNX demands.
///
/// # Errors
/// The first [`GraphError`] found.
pub fn validate(model: &ModelProto) -> Result<(), GraphError> {
    check_imports(model)?;
    let view = GraphView::new(model)?;
    let nodes = &view.graph().node;
    let mut ahead: HashSet<&str> = nodes.iter().flat_map(|n| n.output.iter().map(String::as_str)).collect();
    for node in nodes {
        if let Some(tensor) = reads(node).into_iter().find(|name| ahead.contains(name.as_str())) {
            let (node, op) = (node.name().to_owned(), node.op_type().to_owned());
            return Err(GraphError::Order { node, op, tensor });
        }
        for name in &node.output {
            ahead.remove(name.as_str());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{model, node};
    use super::*;
    use crate::onnx::AttributeProto;

    #[test]
    fn order_matters_also_for_what_a_subgraph_reads() {
        let (a, b) = (node("a", "Relu", &["x"], &["m"]), node("b", "Relu", &["m"], &["y"]));
        validate(&model(vec![a.clone(), b.clone()], &["y"])).unwrap();
        let error = validate(&model(vec![b, a.clone()], &["y"])).unwrap_err();
        assert_eq!(error.to_string(), "node 'b' (Relu) reads tensor 'm', which is defined behind it");
        let mut choice = node("if", "If", &["x"], &["y"]);
        let inner = model(vec![node("n", "Neg", &["m"], &["k"])], &["k"]);
        choice.attribute.push(AttributeProto { g: inner.graph, ..AttributeProto::default() });
        validate(&model(vec![a.clone(), choice.clone()], &["y"])).unwrap();
        assert!(matches!(validate(&model(vec![choice, a], &["y"])), Err(GraphError::Order { .. })));
    }

    #[test]
    fn an_optional_output_left_out_is_no_tensor() {
        let m =
            model(vec![node("a", "Dropout", &["x"], &["m", ""]), node("b", "Clip", &["m", "", ""], &["y"])], &["y"]);
        validate(&m).unwrap();
    }
}
