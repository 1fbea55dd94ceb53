//! A model evaluated piece by piece on all samples at once: only tensors that are still to be read are held.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::graph::{self, reads};
use crate::onnx::{ModelProto, NodeProto, TensorProto};
use crate::verify::reference::{self, Value};

use super::error::PruneError;
use super::samples::Batch;

/// A model on its way through the samples.
pub(super) struct Walk<'m> {
    model: &'m ModelProto,
    nodes: &'m [NodeProto],
    initializers: HashMap<&'m str, &'m TensorProto>,
    /// Weights that are fitted anew.
    replaced: HashMap<String, TensorProto>,
    /// The node before which every batch stands.
    at: usize,
    held: Vec<BTreeMap<String, Value>>,
}

impl<'m> Walk<'m> {
    /// At the start of `model`, whose nodes stand in topological order.
    pub(super) fn new(model: &'m ModelProto, batches: &[Batch]) -> Result<Self, PruneError> {
        let Some(graph) = &model.graph else { return Err(PruneError::Internal("a model without a graph".to_owned())) };
        Ok(Self {
            model,
            nodes: &graph.node,
            initializers: graph.initializer.iter().map(|t| (t.name(), t)).collect(),
            replaced: HashMap::new(),
            at: 0,
            held: batches.iter().map(|b| b.inputs.clone()).collect(),
        })
    }

    /// Where the node that computes `tensor` stands.
    pub(super) fn place(&self, tensor: &str) -> Option<usize> {
        self.nodes.iter().position(|n| n.output.iter().any(|o| o == tensor))
    }

    /// The name of input `slot` of the node at `place`.
    pub(super) fn input(&self, place: usize, slot: usize) -> Option<&'m str> {
        self.nodes.get(place)?.input.get(slot).map(String::as_str)
    }

    /// Puts another constant in the place of initializer `name`, from here on.
    pub(super) fn replace(&mut self, name: &str, tensor: TensorProto) {
        self.replaced.insert(name.to_owned(), tensor);
    }

    /// Evaluates all nodes in front of the one at `place`.
    pub(super) fn advance(&mut self, place: usize) -> Result<(), PruneError> {
        let (done, rest) = (self.nodes.get(self.at..place), self.nodes.get(place..));
        let (Some(done), Some(rest)) = (done, rest) else { return Ok(()) };
        let later: BTreeSet<String> = rest.iter().flat_map(reads).chain(self.outputs()).collect();
        let made = done.iter().flat_map(|n| n.output.iter().map(String::as_str));
        let wanted: Vec<&str> = made.filter(|o| later.contains(*o)).collect();
        let constant = |name: &str| self.replaced.get(name).or_else(|| self.initializers.get(name).copied());
        let piece = graph::part(self.model, done.to_vec(), &wanted, &constant);
        let inputs: Vec<String> = match &piece.graph {
            Some(graph) => graph.input.iter().map(|i| i.name().to_owned()).collect(),
            None => Vec::new(),
        };
        for held in &mut self.held {
            if !wanted.is_empty() {
                let given = inputs.iter().filter_map(|name| Some((name.clone(), held.get(name)?.clone()))).collect();
                let trace = reference::run_to(&piece, &given, &wanted)?;
                held.extend(wanted.iter().filter_map(|name| Some(((*name).to_owned(), trace.get(name)?.clone()))));
            }
            held.retain(|name, _| later.contains(name));
        }
        self.at = place;
        Ok(())
    }

    /// The value of `tensor` on batch `batch`, when it is still to be read.
    pub(super) fn value(&self, batch: usize, tensor: &str) -> Option<&Value> {
        self.held.get(batch)?.get(tensor)
    }

    fn outputs(&self) -> impl Iterator<Item = String> + 'm {
        self.model.graph.iter().flat_map(|g| g.output.iter().map(|o| o.name().to_owned()))
    }
}
