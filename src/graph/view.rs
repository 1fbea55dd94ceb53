//! A read-only view of the main graph.

use std::borrow::Cow;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};

use crate::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

use super::error::GraphError;
use super::ids::{NodeId, Use, ValueId};
use super::subgraph::captured_names;

struct Value<'a> {
    name: &'a str,
    def: Option<NodeId>,
    uses: Vec<Use>,
    initializer: Option<&'a TensorProto>,
    is_input: bool,
    is_output: bool,
    is_captured: bool,
    is_sparse: bool,
}

struct Node<'a> {
    proto: &'a NodeProto,
    op: Cow<'a, str>,
    inputs: Vec<Option<ValueId>>,
    outputs: Vec<Option<ValueId>>,
    position: usize,
}

/// Definitions, uses and order of the main graph of a model.
pub struct GraphView<'a> {
    model: &'a ModelProto,
    graph: &'a GraphProto,
    values: Vec<Value<'a>>,
    nodes: Vec<Node<'a>>,
    order: Vec<NodeId>,
    names: HashMap<&'a str, ValueId>,
}

impl<'a> GraphView<'a> {
    /// Reads `model`.
    ///
    /// # Errors
    /// [`GraphError`] for a graph that is not in single static assignment form, that has a cycle, or that reads what
    /// nothing defines. Nodes may stand in any order.
    pub fn new(model: &'a ModelProto) -> Result<Self, GraphError> {
        let graph = model.graph.as_ref().ok_or(GraphError::NoGraph)?;
        if u32::try_from(graph.node.len()).is_err() {
            return Err(GraphError::TooLarge);
        }
        let mut view =
            Self { model, graph, values: Vec::new(), nodes: Vec::new(), order: Vec::new(), names: HashMap::new() };
        view.define_inputs()?;
        view.define_nodes()?;
        view.connect()?;
        view.sort()?;
        Ok(view)
    }

    fn intern(&mut self, name: &'a str) -> Result<ValueId, GraphError> {
        if let Some(id) = self.names.get(name) {
            return Ok(*id);
        }
        let id = ValueId(u32::try_from(self.values.len()).map_err(|_| GraphError::TooLarge)?);
        self.names.insert(name, id);
        self.values.push(Value {
            name,
            def: None,
            uses: Vec::new(),
            initializer: None,
            is_input: false,
            is_output: false,
            is_captured: false,
            is_sparse: false,
        });
        Ok(id)
    }

    fn define_inputs(&mut self) -> Result<(), GraphError> {
        let twice = |tensor: &str, by: &str| GraphError::Duplicate { tensor: tensor.to_owned(), by: by.to_owned() };
        for input in &self.graph.input {
            let id = self.intern(input.name())?;
            let value = &mut self.values[id.0 as usize];
            if std::mem::replace(&mut value.is_input, true) {
                return Err(twice(input.name(), "the graph's inputs"));
            }
        }
        for tensor in &self.graph.initializer {
            let id = self.intern(tensor.name())?;
            let value = &mut self.values[id.0 as usize];
            if value.initializer.replace(tensor).is_some() {
                return Err(twice(tensor.name(), "the initializers"));
            }
        }
        for sparse in &self.graph.sparse_initializer {
            let name = sparse.values.as_ref().map_or("", |t| t.name());
            let id = self.intern(name)?;
            let value = &mut self.values[id.0 as usize];
            if value.initializer.is_some() || std::mem::replace(&mut value.is_sparse, true) {
                return Err(twice(name, "the sparse initializers"));
            }
        }
        Ok(())
    }

    fn define_nodes(&mut self) -> Result<(), GraphError> {
        let functions: HashSet<(&str, &str)> =
            self.model.functions.iter().map(|f| (plain_domain(f.domain()), f.name())).collect();
        for (index, proto) in self.graph.node.iter().enumerate() {
            let id = NodeId(index as u32);
            let mut outputs = Vec::with_capacity(proto.output.len());
            for name in &proto.output {
                if name.is_empty() {
                    outputs.push(None);
                    continue;
                }
                let value = self.intern(name)?;
                let v = &mut self.values[value.0 as usize];
                if v.def.is_some() || v.is_input || v.initializer.is_some() || v.is_sparse {
                    return Err(GraphError::Duplicate { tensor: name.clone(), by: format!("node '{}'", proto.name()) });
                }
                v.def = Some(id);
                outputs.push(Some(value));
            }
            let domain = plain_domain(proto.domain());
            let op = if functions.contains(&(domain, proto.op_type())) {
                Cow::Owned(format!("function::{domain}::{}", proto.op_type()))
            } else if domain.is_empty() {
                Cow::Borrowed(proto.op_type())
            } else {
                Cow::Owned(format!("{domain}::{}", proto.op_type()))
            };
            self.nodes.push(Node { proto, op, inputs: Vec::new(), outputs, position: 0 });
        }
        Ok(())
    }

    fn connect(&mut self) -> Result<(), GraphError> {
        for (index, proto) in self.graph.node.iter().enumerate() {
            let mut inputs = Vec::with_capacity(proto.input.len());
            for (slot, name) in proto.input.iter().enumerate() {
                if name.is_empty() {
                    inputs.push(None);
                    continue;
                }
                let Some(value) = self.names.get(name.as_str()).copied() else {
                    return Err(GraphError::Undefined {
                        node: proto.name().to_owned(),
                        op: proto.op_type().to_owned(),
                        tensor: name.clone(),
                    });
                };
                self.values[value.0 as usize].uses.push(Use { node: NodeId(index as u32), slot });
                inputs.push(Some(value));
            }
            self.nodes[index].inputs = inputs;
            let mut captured = BTreeSet::new();
            captured_names(proto, &mut captured);
            for name in &captured {
                if let Some(value) = self.names.get(name.as_str()) {
                    self.values[value.0 as usize].is_captured = true;
                }
            }
        }
        for output in &self.graph.output {
            let Some(value) = self.names.get(output.name()) else {
                return Err(GraphError::UndefinedOutput { tensor: output.name().to_owned() });
            };
            self.values[value.0 as usize].is_output = true;
        }
        Ok(())
    }

    /// Kahn's algorithm; of the nodes that are ready, the first in the file comes first.
    fn sort(&mut self) -> Result<(), GraphError> {
        let mut waits: Vec<usize> = vec![0; self.nodes.len()];
        let mut readers: Vec<Vec<u32>> = vec![Vec::new(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            let mut sources: BTreeSet<NodeId> =
                node.inputs.iter().flatten().filter_map(|v| self.values[v.0 as usize].def).collect();
            let mut captured = BTreeSet::new();
            captured_names(node.proto, &mut captured);
            sources.extend(captured.iter().filter_map(|n| self.values[self.names.get(n.as_str())?.0 as usize].def));
            waits[index] = sources.len();
            for source in sources {
                readers[source.0 as usize].push(index as u32);
            }
        }
        let mut ready: BinaryHeap<std::cmp::Reverse<u32>> =
            (0..self.nodes.len()).filter(|i| waits[*i] == 0).map(|i| std::cmp::Reverse(i as u32)).collect();
        while let Some(std::cmp::Reverse(index)) = ready.pop() {
            self.nodes[index as usize].position = self.order.len();
            self.order.push(NodeId(index));
            for reader in &readers[index as usize] {
                waits[*reader as usize] -= 1;
                if waits[*reader as usize] == 0 {
                    ready.push(std::cmp::Reverse(*reader));
                }
            }
        }
        match waits.iter().position(|w| *w > 0) {
            Some(stuck) => Err(GraphError::Cycle { node: self.nodes[stuck].proto.name().to_owned() }),
            None => Ok(()),
        }
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &'a ModelProto {
        self.model
    }

    /// Its main graph.
    #[must_use]
    pub fn graph(&self) -> &'a GraphProto {
        self.graph
    }

    /// The node itself.
    #[must_use]
    pub fn node(&self, node: NodeId) -> &'a NodeProto {
        self.nodes[node.0 as usize].proto
    }

    /// All nodes, in topological order.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.order.iter().copied()
    }

    /// The place of `node` in that order.
    #[must_use]
    pub fn position(&self, node: NodeId) -> usize {
        self.nodes[node.0 as usize].position
    }

    /// Operator type; with the domain in front (`domain::Op`) when it is not ONNX's own, or when a local function
    /// of the model defines it.
    #[must_use]
    pub fn op(&self, node: NodeId) -> &str {
        &self.nodes[node.0 as usize].op
    }

    /// All tensors.
    pub fn values(&self) -> impl Iterator<Item = ValueId> + '_ {
        (0..self.values.len()).map(|i| ValueId(i as u32))
    }

    /// The tensor called `name`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<ValueId> {
        self.names.get(name).copied()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self, value: ValueId) -> &'a str {
        self.values[value.0 as usize].name
    }

    /// Inputs of `node`; an omitted optional input is `None`.
    #[must_use]
    pub fn inputs(&self, node: NodeId) -> &[Option<ValueId>] {
        &self.nodes[node.0 as usize].inputs
    }

    /// One input, `None` when omitted.
    #[must_use]
    pub fn input(&self, node: NodeId, slot: usize) -> Option<ValueId> {
        self.inputs(node).get(slot).copied().flatten()
    }

    /// Outputs of `node`.
    #[must_use]
    pub fn outputs(&self, node: NodeId) -> &[Option<ValueId>] {
        &self.nodes[node.0 as usize].outputs
    }

    /// Its first output.
    #[must_use]
    pub fn output(&self, node: NodeId) -> Option<ValueId> {
        self.outputs(node).first().copied().flatten()
    }

    /// The node that computes `value`.
    #[must_use]
    pub fn def(&self, value: ValueId) -> Option<NodeId> {
        self.values[value.0 as usize].def
    }

    /// Every read of `value` by a node of the main graph.
    #[must_use]
    pub fn uses(&self, value: ValueId) -> &[Use] {
        &self.values[value.0 as usize].uses
    }

    /// True for a graph input.
    #[must_use]
    pub fn is_input(&self, value: ValueId) -> bool {
        self.values[value.0 as usize].is_input
    }

    /// True for a graph output.
    #[must_use]
    pub fn is_output(&self, value: ValueId) -> bool {
        self.values[value.0 as usize].is_output
    }

    /// True when a subgraph may read it by name.
    #[must_use]
    pub fn is_captured(&self, value: ValueId) -> bool {
        self.values[value.0 as usize].is_captured
    }

    /// Its initializer, overridable or not.
    #[must_use]
    pub fn initializer(&self, value: ValueId) -> Option<&'a TensorProto> {
        self.values[value.0 as usize].initializer
    }

    /// True for an initializer that is also a graph input: a caller may give another value.
    #[must_use]
    pub fn is_overridable(&self, value: ValueId) -> bool {
        let v = &self.values[value.0 as usize];
        v.is_input && (v.initializer.is_some() || v.is_sparse)
    }

    /// True when one node reads it once and nothing else does.
    #[must_use]
    pub fn is_private(&self, value: ValueId) -> bool {
        let v = &self.values[value.0 as usize];
        v.uses.len() == 1 && !v.is_output && !v.is_captured
    }

    /// Version of ONNX's own operator set; 0 when the model imports none.
    #[must_use]
    pub fn opset(&self) -> i64 {
        self.model
            .opset_import
            .iter()
            .find(|o| plain_domain(o.domain()).is_empty())
            .map_or(0, |o| o.version.unwrap_or(0))
    }

    /// An attribute.
    #[must_use]
    pub fn attr(&self, node: NodeId, name: &str) -> Option<&'a AttributeProto> {
        self.node(node).attribute.iter().find(|a| a.name() == name)
    }

    /// An integer attribute.
    #[must_use]
    pub fn attr_i(&self, node: NodeId, name: &str) -> Option<i64> {
        self.attr(node, name)?.i
    }

    /// A float attribute.
    #[must_use]
    pub fn attr_f(&self, node: NodeId, name: &str) -> Option<f32> {
        self.attr(node, name)?.f
    }

    /// A list of integers.
    #[must_use]
    pub fn attr_ints(&self, node: NodeId, name: &str) -> Option<&'a [i64]> {
        self.attr(node, name).map(|a| a.ints.as_slice())
    }

    /// A string attribute.
    #[must_use]
    pub fn attr_s(&self, node: NodeId, name: &str) -> Option<&'a [u8]> {
        self.attr(node, name)?.s.as_deref()
    }
}

/// The ONNX domain has two names.
pub(crate) fn plain_domain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::super::testing::{model, node};
    use super::*;

    #[test]
    fn a_broken_graph_is_named() {
        let error = |nodes| GraphView::new(&model(nodes, &["y"])).err().unwrap().to_string();
        assert!(error(vec![node("a", "Relu", &["z"], &["y"])]).contains("'z', which nothing defines"));
        assert!(
            error(vec![node("a", "Relu", &["x"], &["y"]), node("b", "Relu", &["x"], &["y"])]).contains("defined twice")
        );
        assert!(error(vec![node("a", "Relu", &["y"], &["z"]), node("b", "Relu", &["z"], &["y"])]).contains("cycle"));
        assert!(error(vec![node("a", "Relu", &["x"], &["z"])]).contains("output 'y'"));
    }

    #[test]
    fn order_and_uses() {
        let m = model(vec![node("b", "Relu", &["z"], &["y"]), node("a", "Relu", &["x"], &["z"])], &["y"]);
        let view = GraphView::new(&m).unwrap();
        let names: Vec<&str> = view.nodes().map(|n| view.node(n).name()).collect();
        assert_eq!(names, ["a", "b"]);
        let z = view.value("z").unwrap();
        assert!(view.is_private(z));
        assert!(!view.is_private(view.value("y").unwrap()), "a graph output is not private");
        assert_eq!(view.uses(z), [Use { node: NodeId(0), slot: 0 }]);
    }

    #[test]
    fn a_subgraph_may_name_its_tensors_as_it_likes() {
        let inner = model(vec![node("in", "Relu", &["x"], &["y"])], &["y"]);
        let mut choice = node("if", "If", &["x"], &["y"]);
        choice.attribute.push(AttributeProto { g: inner.graph, ..AttributeProto::default() });
        let m = model(vec![choice], &["y"]);
        let view = GraphView::new(&m).unwrap();
        assert!(!view.is_captured(view.value("y").unwrap()));
    }

    #[test]
    fn a_function_is_no_operator_of_onnx() {
        let mut m = model(vec![node("a", "Relu", &["x"], &["y"])], &["y"]);
        m.functions.push(crate::onnx::FunctionProto { name: Some("Relu".into()), ..Default::default() });
        let view = GraphView::new(&m).unwrap();
        assert_ne!(view.op(NodeId(0)), "Relu");
    }
}
