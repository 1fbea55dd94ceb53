//! Which nodes can be evaluated at all.

use std::collections::HashSet;

use crate::onnx::{GraphProto, ModelProto, NodeProto};

use super::runner;
use crate::verify::reference;

/// The operators that the float64 evaluator does not have.
#[derive(Default)]
pub(super) struct Support {
    reason: Option<String>,
    unknown: HashSet<(String, String)>,
}

impl Support {
    /// Looks at every node of both models.
    pub(super) fn new(original: &ModelProto, rewritten: &ModelProto) -> Self {
        let mut support = Self::default();
        let mut seen: HashSet<(String, String)> = HashSet::new();
        for model in [original, rewritten].into_iter().filter(|m| reference::supports(m).is_err()) {
            // What the evaluator thinks of a node is asked for with a model of that node alone.
            let mut probe = ModelProto {
                opset_import: model.opset_import.clone(),
                functions: model.functions.clone(),
                graph: Some(GraphProto::default()),
                ..ModelProto::default()
            };
            for node in model.graph.iter().flat_map(|g| &g.node) {
                // Nodes with graphs inside differ from one another, all others are known by their operator.
                let simple = node.attribute.iter().all(|a| a.g.is_none() && a.graphs.is_empty());
                if simple && !seen.insert(key(node)) {
                    continue;
                }
                probe.graph = Some(GraphProto { node: vec![node.clone()], ..GraphProto::default() });
                if reference::supports(&probe).is_err() && support.unknown.insert(key(node)) {
                    support.reason.get_or_insert(lacks("the float64 evaluator", node));
                }
            }
        }
        support
    }

    /// Why the models cannot be evaluated whole, if they cannot.
    pub(super) fn unknown_to_float64(&self) -> Option<String> {
        self.reason.clone()
    }

    pub(super) fn is_unknown(&self, node: &NodeProto) -> bool {
        self.unknown.contains(&key(node))
    }
}

/// Why tract cannot run `model`, as far as its operators tell.
pub(super) fn unknown_to_tract(model: &ModelProto) -> Option<String> {
    let nodes = model.graph.iter().flat_map(|g| &g.node);
    nodes.into_iter().find(|n| !tract_knows(n)).map(|n| lacks("tract", n))
}

fn lacks(who: &str, node: &NodeProto) -> String {
    let domain = if node.domain().is_empty() { String::new() } else { format!("{}::", node.domain()) };
    format!("{who} has no operator {domain}{}", node.op_type())
}

fn key(node: &NodeProto) -> (String, String) {
    (node.domain().to_owned(), node.op_type().to_owned())
}

/// tract knows operators by name and does not look at the domain.
fn tract_knows(node: &NodeProto) -> bool {
    let inside = node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)).flat_map(|g| &g.node);
    matches!(node.domain(), "" | "ai.onnx") && runner::knows(node.op_type()) && inside.into_iter().all(tract_knows)
}
