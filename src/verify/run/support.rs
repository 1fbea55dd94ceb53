//! Which nodes can be run at all.

use std::collections::HashSet;

use crate::onnx::{GraphProto, ModelProto, NodeProto};

use super::precision::Precision;
use super::runner;
use crate::verify::reference;

/// The operators that tract, or the float64 evaluator, does not have.
pub(super) struct Support {
    reasons: Vec<String>,
    unknown: HashSet<(String, String)>,
    float64: bool,
}

impl Support {
    /// Looks at every node of both models.
    pub(super) fn new(original: &ModelProto, rewritten: &ModelProto, precision: Precision) -> Self {
        let mut support = Self { reasons: Vec::new(), unknown: HashSet::new(), float64: true };
        let mut seen: HashSet<(String, String)> = HashSet::new();
        for model in [original, rewritten] {
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
                support.look(node, reference::supports(&probe).is_ok(), precision != Precision::BFloat16);
            }
        }
        support
    }

    fn look(&mut self, node: &NodeProto, float64: bool, needs_tract: bool) {
        let who = match (float64, !needs_tract || tract_knows(node)) {
            (true, true) => return,
            (false, _) => "the float64 evaluator",
            (true, false) => "tract",
        };
        self.float64 &= float64;
        if self.unknown.insert(key(node)) {
            let domain = if node.domain().is_empty() { String::new() } else { format!("{}::", node.domain()) };
            self.reasons.push(format!("{who} has no operator {domain}{}", node.op_type()));
        }
    }

    /// Why the models cannot be run whole, if they cannot.
    pub(super) fn first_unknown(&self) -> Option<String> {
        self.reasons.first().cloned()
    }

    pub(super) fn is_unknown(&self, node: &NodeProto) -> bool {
        self.unknown.contains(&key(node))
    }

    /// True when the float64 evaluator knows every operator of both models.
    pub(super) fn float64_knows_all(&self) -> bool {
        self.float64
    }
}

fn key(node: &NodeProto) -> (String, String) {
    (node.domain().to_owned(), node.op_type().to_owned())
}

/// tract knows operators by name and does not look at the domain.
fn tract_knows(node: &NodeProto) -> bool {
    let inside = node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)).flat_map(|g| &g.node);
    matches!(node.domain(), "" | "ai.onnx") && runner::knows(node.op_type()) && inside.into_iter().all(tract_knows)
}
