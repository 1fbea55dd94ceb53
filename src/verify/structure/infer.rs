//! Element types from node to node.

use std::collections::HashMap;

use crate::graph::GraphView;
use crate::onnx::tensor_proto::DataType;
use crate::onnx::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};

use super::attributes::{is_standard, opset};
use super::types::{Contradiction, Types, declared, is_no_tensor, label};
use crate::graph::plain_domain;
use crate::graph::schemas::{self, Schema, element_type, type_name};
use crate::graph::typing::{self, Bound, Typing, of_tensor};

/// Deepest nesting of functions and subgraphs that is looked into.
const MAX_DEPTH: usize = 32;

/// Most nodes that are looked at, those of a function once for each call: functions that call each other can ask for any number.
const MAX_NODES: usize = 1 << 22;

/// Infers the element type of every tensor of `model` from its inputs, its constants and the rules of its operators; `value_info`
/// is never believed. What a custom operator gives is unknown, and nothing is said of it.
#[must_use]
pub fn types(model: &ModelProto) -> Types {
    Inference::new(model).run()
}

/// A walk through the graphs of a model.
struct Inference<'m> {
    model: &'m ModelProto,
    functions: HashMap<(&'m str, &'m str, &'m str), &'m FunctionProto>,
    contradictions: Vec<Contradiction>,
    nodes_left: usize,
}

/// What the names of a graph stand for; `None` when that is unknown.
struct Scope<'s, 'm> {
    names: HashMap<&'m str, Option<DataType>>,
    outer: Option<&'s Scope<'s, 'm>>,
}

/// What nodes are read with.
#[derive(Clone)]
struct Frame<'m> {
    opsets: &'m [OperatorSetIdProto],
    /// In a function: the attributes of the call.
    attributes: HashMap<&'m str, &'m AttributeProto>,
    depth: usize,
}

impl Scope<'_, '_> {
    fn of(&self, name: &str) -> Option<DataType> {
        match (self.names.get(name), self.outer) {
            (Some(known), _) => *known,
            (None, Some(outer)) => outer.of(name),
            (None, None) => None,
        }
    }
}

impl<'m> Frame<'m> {
    fn attribute(&self, node: &'m NodeProto, name: &str) -> Option<&'m AttributeProto> {
        let found = node.attribute.iter().find(|a| a.name() == name)?;
        if found.ref_attr_name().is_empty() { Some(found) } else { self.attributes.get(found.ref_attr_name()).copied() }
    }
}

impl<'m> Inference<'m> {
    pub(super) fn new(model: &'m ModelProto) -> Self {
        let key = |f: &'m FunctionProto| ((plain_domain(f.domain()), f.name(), f.overload()), f);
        let functions = model.functions.iter().map(key).collect();
        Self { model, functions, contradictions: Vec::new(), nodes_left: MAX_NODES }
    }

    pub(super) fn run(mut self) -> Types {
        let Some(graph) = self.model.graph.as_ref() else { return Types::default() };
        let frame = Frame { opsets: &self.model.opset_import, attributes: HashMap::new(), depth: 0 };
        let mut scope = Scope { names: HashMap::new(), outer: None };
        for input in &graph.input {
            scope.names.insert(input.name(), declared(input));
        }
        self.constants(graph, &mut scope);
        // Nodes may stand in any order.
        match GraphView::new(self.model) {
            Ok(view) => self.nodes(view.nodes().map(|n| view.node(n)), graph, &mut scope, &frame),
            Err(_) => self.nodes(graph.node.iter(), graph, &mut scope, &frame),
        }
        let undeclared = graph.output.iter().filter(|o| declared(o).is_none() && !is_no_tensor(o));
        Types {
            known: scope.names.iter().filter_map(|(name, t)| Some(((*name).to_owned(), (*t)?))).collect(),
            contradictions: self.contradictions,
            undeclared: undeclared.map(|o| o.name().to_owned()).collect(),
        }
    }

    /// Adds the initializers of `graph`; one that is an input too has the type of the input.
    fn constants(&mut self, graph: &'m GraphProto, scope: &mut Scope<'_, 'm>) {
        let sparse = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref());
        for tensor in graph.initializer.iter().chain(sparse) {
            let own = of_tensor(tensor);
            if let (Some(Some(said)), Some(own)) = (scope.names.get(tensor.name()), own)
                && *said != own
            {
                self.contradict(None, tensor.name(), type_name(*said), own);
            }
            scope.names.insert(tensor.name(), own);
        }
    }

    fn contradict(&mut self, node: Option<&NodeProto>, tensor: &str, expected: String, found: DataType) {
        let (node, op) = node.map_or_else(Default::default, |n| (label(n), n.op_type().to_owned()));
        let contradiction = Contradiction { node, op, tensor: tensor.to_owned(), expected, found: type_name(found) };
        // A function that is called again says nothing new.
        if !self.contradictions.contains(&contradiction) {
            self.contradictions.push(contradiction);
        }
    }

    /// Infers the outputs of `nodes`, which stand in `graph`, and compares them with what it declares.
    fn nodes(
        &mut self,
        nodes: impl Iterator<Item = &'m NodeProto>,
        graph: &'m GraphProto,
        scope: &mut Scope<'_, 'm>,
        frame: &Frame<'m>,
    ) {
        let infos = graph.value_info.iter().chain(&graph.output);
        let said: HashMap<&str, DataType> = infos.filter_map(|i| Some((i.name(), declared(i)?))).collect();
        for node in nodes {
            let outputs = self.node(node, scope, frame);
            for (k, name) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                let computed = outputs.get(k).copied().flatten();
                if let (Some(computed), Some(said)) = (computed, said.get(name.as_str()))
                    && computed != *said
                {
                    self.contradict(Some(node), name, type_name(computed), *said);
                }
                scope.names.insert(name, computed);
            }
        }
    }

    /// The types of the outputs of `node`.
    fn node(&mut self, node: &'m NodeProto, scope: &Scope<'_, 'm>, frame: &Frame<'m>) -> Vec<Option<DataType>> {
        if frame.depth > MAX_DEPTH || self.nodes_left == 0 {
            return Vec::new();
        }
        self.nodes_left -= 1;
        let function = self.functions.get(&(plain_domain(node.domain()), node.op_type(), node.overload()));
        if let Some(function) = function.copied() {
            return self.call(function, node, scope, frame);
        }
        let schema = schemas::find(node.op_type(), opset(frame.opsets, node.domain())).filter(|s| !s.removed);
        let Some(schema) = schema.filter(|_| is_standard(node)) else { return Vec::new() };
        let input = |slot: usize| scope.of(node.input.get(slot)?);
        let attribute = |name: &str| frame.attribute(node, name);
        let opset = opset(frame.opsets, node.domain());
        let typing = Typing { schema, node, opset, input: &input, attribute: &attribute };
        let bound = typing.bound(true);
        self.inputs(&typing, &bound);
        if let "If" | "Loop" | "Scan" = node.op_type() {
            return self.with_bodies(node, scope, frame);
        }
        (0..node.output.len()).map(|slot| typing.output(slot, &bound)).collect()
    }

    /// Checks the inputs of a node, at which the symbols of its operator stand for what is `bound`.
    fn inputs(&mut self, typing: &Typing<'_>, bound: &Bound) {
        for (slot, name) in typing.node.input.iter().enumerate() {
            let Some(t) = (typing.input)(slot) else { continue };
            let Some(parameter) = Schema::parameter(&typing.schema.inputs, slot) else { continue };
            if !typing.schema.allows(parameter.kind, t) {
                let allowed = typing.schema.allowed(parameter.kind);
                let tensors: Vec<&str> = allowed.into_iter().filter(|a| element_type(a).is_some()).collect();
                self.contradict(Some(typing.node), name, one_of(&tensors), t);
            } else if let Some(known) = typing::of(bound, parameter.kind).filter(|k| *k != t) {
                self.contradict(Some(typing.node), name, type_name(known), t);
            }
        }
    }

    fn call(
        &mut self,
        function: &'m FunctionProto,
        node: &'m NodeProto,
        scope: &Scope<'_, 'm>,
        frame: &Frame<'m>,
    ) -> Vec<Option<DataType>> {
        let mut attributes: HashMap<&str, _> = function.attribute_proto.iter().map(|a| (a.name(), a)).collect();
        attributes.extend(node.attribute.iter().filter_map(|a| Some((a.name(), frame.attribute(node, a.name())?))));
        let inner = Frame { opsets: &function.opset_import, attributes, depth: frame.depth + 1 };
        let given = function.input.iter().zip(&node.input);
        let mut body =
            Scope { names: given.map(|(inside, given)| (inside.as_str(), scope.of(given))).collect(), outer: None };
        for node in &function.node {
            let outputs = self.node(node, &body, &inner);
            let named = node.output.iter().enumerate().map(|(k, o)| (o.as_str(), outputs.get(k).copied().flatten()));
            body.names.extend(named);
        }
        function.output.iter().map(|o| body.of(o)).collect()
    }

    /// The outputs of an operator that runs subgraphs.
    fn with_bodies(&mut self, node: &'m NodeProto, scope: &Scope<'_, 'm>, frame: &Frame<'m>) -> Vec<Option<DataType>> {
        let given: Vec<_> = node.input.iter().map(|i| scope.of(i)).collect();
        let graph = |name: &str| node.attribute.iter().find(|a| a.name() == name).and_then(|a| a.g.as_ref());
        let early_scan = node.op_type() == "Scan" && opset(frame.opsets, node.domain()) < 9;
        let mut run = |name: &str, inputs: &[Option<DataType>]| {
            graph(name).map_or_else(Vec::new, |g| self.body(g, inputs, scope, frame))
        };
        match node.op_type() {
            "If" => {
                let (yes, no) = (run("then_branch", &[]), run("else_branch", &[]));
                for ((name, x), y) in node.output.iter().zip(&yes).zip(&no) {
                    if let (Some(x), Some(y)) = (x, y)
                        && x != y
                    {
                        self.contradict(Some(node), name, type_name(*x), *y);
                    }
                }
                let both = |(k, x): (usize, &Option<DataType>)| x.or(no.get(k).copied().flatten());
                yes.iter().enumerate().map(both).collect()
            }
            "Loop" => {
                let state = given.get(2..).unwrap_or_default();
                let inputs = [&[Some(DataType::Int64), Some(DataType::Bool)], state].concat();
                run("body", &inputs).into_iter().skip(1).collect()
            }
            _ => run("body", given.get(usize::from(early_scan)..).unwrap_or_default()),
        }
    }

    fn body(
        &mut self,
        graph: &'m GraphProto,
        inputs: &[Option<DataType>],
        outer: &Scope<'_, 'm>,
        frame: &Frame<'m>,
    ) -> Vec<Option<DataType>> {
        let given = graph.input.iter().enumerate();
        let names = given.map(|(k, i)| (i.name(), inputs.get(k).copied().flatten().or_else(|| declared(i)))).collect();
        let mut scope = Scope { names, outer: Some(outer) };
        self.constants(graph, &mut scope);
        let inner = Frame { depth: frame.depth + 1, ..frame.clone() };
        self.nodes(graph.node.iter(), graph, &mut scope, &inner);
        graph.output.iter().map(|o| scope.of(o.name())).collect()
    }
}

/// `a`, `a or b`, or how many more there are.
fn one_of(types: &[&str]) -> String {
    match types {
        [] => "no tensor".to_owned(),
        [one] => (*one).to_owned(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}
