//! Which nodes can be evaluated at all.

use std::collections::HashSet;

use crate::onnx::{GraphProto, ModelProto, NodeProto};

use super::obstacle::Obstacle;
use super::signature::Port;
use super::{runner, signature};
use crate::verify::reference;
use crate::verify::structure::types;

/// What the float64 evaluator does not have.
#[derive(Default)]
pub(super) struct Support {
    reason: Option<Obstacle>,
    /// Domains and names of operators.
    unknown: HashSet<(String, String)>,
    /// Tensors of types that it cannot hold: strings, complex numbers.
    unheld: HashSet<String>,
}

impl Support {
    /// Looks at every node of both models.
    pub(super) fn new(original: &ModelProto, rewritten: &ModelProto) -> Self {
        let mut support = Self::default();
        for model in [original, rewritten] {
            for (name, dtype) in types(model).all().filter(|(_, dtype)| !reference::holds(*dtype)) {
                let reason = || Obstacle::Unheld { tensor: name.to_owned(), dtype };
                support.reason.get_or_insert_with(reason);
                support.unheld.insert(name.to_owned());
            }
        }
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
    pub(super) fn unknown_to_float64(&self) -> Option<Obstacle> {
        self.reason.clone()
    }

    pub(super) fn is_unknown(&self, node: &NodeProto) -> bool {
        let mut tensors = node.input.iter().chain(&node.output);
        self.unknown.contains(&key(node)) || tensors.any(|t| self.unheld.contains(t))
    }

    /// The inputs of `graph` that values can be made for.
    pub(super) fn inputs(&self, graph: &GraphProto) -> Vec<Port> {
        signature::inputs(graph).into_iter().filter(|port| !self.unheld.contains(&port.name)).collect()
    }
}

/// Why tract cannot run `model`, as far as its operators tell.
pub(super) fn unknown_to_tract(model: &ModelProto) -> Option<Obstacle> {
    let nodes = model.graph.iter().flat_map(|g| &g.node);
    nodes.into_iter().find(|n| !tract_knows(n)).map(|n| lacks("tract", n))
}

fn lacks(who: &'static str, node: &NodeProto) -> Obstacle {
    let domain = if node.domain().is_empty() { String::new() } else { format!("{}::", node.domain()) };
    Obstacle::Unknown { who, op: format!("{domain}{}", node.op_type()) }
}

fn key(node: &NodeProto) -> (String, String) {
    (node.domain().to_owned(), node.op_type().to_owned())
}

/// tract knows operators by name and does not look at the domain.
fn tract_knows(node: &NodeProto) -> bool {
    let inside = node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)).flat_map(|g| &g.node);
    matches!(node.domain(), "" | "ai.onnx") && runner::knows(node.op_type()) && inside.into_iter().all(tract_knows)
}
