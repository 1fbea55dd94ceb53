//! A last look at an edited graph.

use std::collections::HashSet;

use crate::onnx::ModelProto;

use super::view::{GraphError, GraphView};

/// Checks that the graph can be viewed and that every node stands behind what it reads, as ONNX demands.
///
/// # Errors
/// The first [`GraphError`] found.
pub fn validate(model: &ModelProto) -> Result<(), GraphError> {
    let view = GraphView::new(model)?;
    let mut seen: HashSet<&str> = HashSet::new();
    let made: HashSet<&str> = view.graph().node.iter().flat_map(|n| n.output.iter().map(String::as_str)).collect();
    for node in &view.graph().node {
        for name in node.input.iter().filter(|n| !n.is_empty()) {
            if made.contains(name.as_str()) && !seen.contains(name.as_str()) {
                return Err(GraphError::Undefined {
                    node: node.name().to_owned(),
                    op: node.op_type().to_owned(),
                    tensor: format!("{name}' (defined further down) '"),
                });
            }
        }
        seen.extend(node.output.iter().map(String::as_str));
    }
    Ok(())
}
