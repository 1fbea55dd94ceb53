//! Names and what they stand for while a graph runs.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::graph::Place;
use crate::onnx::{AttributeProto, GraphProto, NodeProto, OperatorSetIdProto, SparseTensorProto, TensorProto};

use super::budget::{Budget, Held};
use super::error::{EvalError, Outcome};
use super::{Tap, Value, tensor};

/// The tensors of one graph; a subgraph sees those of the graphs around it.
pub(super) struct Scope<'s, 'm> {
    values: HashMap<&'m str, (Arc<Value>, Held)>,
    initializers: HashMap<&'m str, &'m TensorProto>,
    sparse: HashMap<&'m str, &'m SparseTensorProto>,
    /// Inputs of a function that its call leaves out.
    absent: HashSet<&'m str>,
    outer: Option<&'s Scope<'s, 'm>>,
    tap: Option<&'s dyn Tap>,
    budget: Rc<Budget>,
}

impl<'s, 'm> Scope<'s, 'm> {
    /// Without tensors of its own; what it is given counts as alive in `budget`.
    pub(super) fn new(outer: Option<&'s Scope<'s, 'm>>, budget: &Rc<Budget>) -> Self {
        let (values, initializers, sparse) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { values, initializers, sparse, absent: HashSet::new(), outer, tap: None, budget: Rc::clone(budget) }
    }

    /// The initializers of `graph`. They are read when they are used, not before.
    pub(super) fn with_initializers(mut self, graph: &'m GraphProto) -> Self {
        self.initializers = graph.initializer.iter().map(|t| (t.name(), t)).collect();
        // A sparse initializer has the name of its values.
        self.sparse = graph.sparse_initializer.iter().filter_map(|s| Some((s.values.as_ref()?.name(), s))).collect();
        self
    }

    /// Shows `tap` what is computed and read here.
    pub(super) fn with_tap(self, tap: Option<&'s dyn Tap>) -> Self {
        Self { tap, ..self }
    }

    /// Tells the tap, if there is one here or around, that `graph` of `node` is about to run.
    pub(super) fn show_entry(&self, node: &NodeProto, graph: &GraphProto) {
        let Some(tap) = self.tap else { return self.outer.map_or((), |outer| outer.show_entry(node, graph)) };
        let holds = |a: &&AttributeProto| a.g.as_ref().is_some_and(|g| std::ptr::eq(g, graph));
        let output = node.output.iter().find(|o| !o.is_empty());
        if let Some((attribute, output)) = node.attribute.iter().find(holds).zip(output) {
            tap.enter(&Place { output: output.clone(), attribute: attribute.name().to_owned() });
        }
    }

    /// Shows what `node` reads to the tap, if there is one.
    pub(super) fn show_read(&self, node: &NodeProto, inputs: &[Option<Arc<Value>>]) {
        if let Some(tap) = self.tap {
            tap.read(node, inputs);
        }
    }

    /// Shows the outputs of `node` to the tap, if there is one.
    pub(super) fn show(&self, node: &NodeProto, outputs: &mut [Arc<Value>]) {
        let Some(tap) = self.tap else { return };
        for (name, value) in node.output.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
            tap.output(node, name, value);
        }
    }

    /// Marks `names` as inputs that are left out: their readers see no input.
    pub(super) fn leave_out(&mut self, names: impl Iterator<Item = &'m str>) {
        self.absent.extend(names);
    }

    pub(super) fn set(&mut self, name: &'m str, value: Arc<Value>) {
        let held = self.budget.hold(value.len());
        self.values.insert(name, (value, held));
    }

    pub(super) fn free(&mut self, name: &str) {
        self.values.remove(name);
    }

    /// An input of a node: `None` when it is left out.
    pub(super) fn input(&self, name: &str) -> Result<Option<Arc<Value>>, EvalError> {
        if name.is_empty() || self.is_absent(name) { Ok(None) } else { self.get(name).map(Some) }
    }

    fn is_absent(&self, name: &str) -> bool {
        self.absent.contains(name) || self.outer.is_some_and(|o| o.is_absent(name))
    }

    /// What `name` stands for here, or in the graphs around.
    pub(super) fn get(&self, name: &str) -> Result<Arc<Value>, EvalError> {
        if let Some((value, _)) = self.values.get(name) {
            return Ok(Arc::clone(value));
        }
        let read = |value: Outcome<Value>| {
            let failed =
                |f: super::error::Fault| EvalError::Tensor { tensor: name.to_owned(), condition: f.to_string() };
            let mut value = value.map_err(failed)?;
            if let Some(tap) = self.tap {
                tap.constant(name, &mut value);
            }
            Ok(Arc::new(value))
        };
        match (self.initializers.get(name), self.sparse.get(name), self.outer) {
            (Some(t), _, _) => read(tensor::read(t)),
            (_, Some(t), _) => read(tensor::read_sparse(t)),
            (_, _, Some(outer)) => outer.get(name),
            _ => Err(EvalError::Undefined(name.to_owned())),
        }
    }
}

/// What the nodes of a graph need besides tensors.
#[derive(Clone)]
pub(super) struct Frame<'m> {
    /// Operator sets of the model or function that the nodes stand in.
    pub(super) opsets: &'m [OperatorSetIdProto],
    /// Inside a function: the attributes of the call, by the names that the body refers to.
    pub(super) attributes: HashMap<&'m str, &'m AttributeProto>,
    /// How many subgraphs and functions are around.
    pub(super) depth: usize,
}

impl<'m> Frame<'m> {
    /// The attribute `name` of `node`; inside a function it may refer to one of the call.
    pub(super) fn attribute(&self, node: &'m NodeProto, name: &str) -> Option<&'m AttributeProto> {
        let found = node.attribute.iter().find(|a| a.name() == name)?;
        if found.ref_attr_name().is_empty() { Some(found) } else { self.attributes.get(found.ref_attr_name()).copied() }
    }

    /// The version of `domain` that is imported; 0 when none is.
    pub(super) fn opset(&self, domain: &str) -> i64 {
        let plain = |d: &'m str| if d == "ai.onnx" { "" } else { d };
        let found = self.opsets.iter().find(|o| plain(o.domain()) == if domain == "ai.onnx" { "" } else { domain });
        found.map_or(0, OperatorSetIdProto::version)
    }
}

/// The graphs in the attributes of `node`.
pub(super) fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|a| a.g.iter().chain(a.graphs.iter()))
}

/// Number of `nodes`, those in their subgraphs included.
pub(super) fn weight(nodes: &[NodeProto]) -> usize {
    nodes.iter().map(|node| 1 + subgraphs(node).map(|g| weight(&g.node)).sum::<usize>()).sum()
}

/// Adds every name that the subgraphs of `node` read, at any depth, their own tensors among them.
pub(super) fn captured<'m>(node: &'m NodeProto, names: &mut HashSet<&'m str>) {
    for graph in subgraphs(node) {
        names.extend(graph.output.iter().map(|o| o.name()));
        for inner in &graph.node {
            names.extend(inner.input.iter().map(String::as_str));
            captured(inner, names);
        }
    }
}
