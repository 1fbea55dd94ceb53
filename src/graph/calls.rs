//! Nodes that stand for several: calls of the model's local functions, and operators that ONNX Runtime's optimiser fuses.
//!
//! Nothing here decides whether they are to be written out. A function that holds a subgraph, reads an attribute that nobody gives, or
//! is written in another version of ONNX's operator set than the model stays a call; so does a fused operator whose parts the model's
//! operator set lacks.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::onnx::{AttributeProto, FunctionProto, ModelProto, NodeProto, OperatorSetIdProto};

use super::apply::with_provenance;
use super::body::Body;
use super::edit::Names;
use super::fused::definition;
use super::schemas;
use super::subgraph::graphs;
use super::view::plain_domain;

/// Most nodes that all calls together may become, and deepest nesting of functions: one may call another twice, and that one too.
const MAX_NODES: usize = 1 << 18;
const MAX_DEPTH: usize = 64;

/// The nodes of the main graph that stand for several, by their place, with those that they stand for.
pub type Calls = BTreeMap<usize, Vec<NodeProto>>;

/// Every node of the main graph that can be written out; no calls of local functions unless `functions` are asked for. The same model
/// gives the same names.
#[must_use]
pub fn calls(model: &ModelProto, functions: bool) -> Calls {
    let Some(graph) = &model.graph else { return Calls::new() };
    let opset = |imports: &[OperatorSetIdProto]| {
        imports.iter().find(|o| plain_domain(o.domain()).is_empty()).map(OperatorSetIdProto::version)
    };
    let local = model.functions.iter().map(|f| ((plain_domain(f.domain()), f.name(), f.overload()), f)).collect();
    let mut open = Opening { model, local, opset: opset(&model.opset_import), functions, made: 0, names: None };
    let mut calls = Calls::new();
    for (index, node) in graph.node.iter().enumerate() {
        if let Some(parts) = open.parts(node, 0) {
            calls.insert(index, parts.into_iter().map(|part| with_provenance(part, "written out")).collect());
        }
        if open.made > MAX_NODES {
            return Calls::new();
        }
    }
    calls
}

/// `model` with the `calls` at the places that are asked for written out. Functions that nothing calls any more go.
#[must_use]
pub fn written_out(model: &ModelProto, calls: &Calls, is_asked: &dyn Fn(usize) -> bool) -> ModelProto {
    let mut new = model.clone();
    let Some(graph) = new.graph.as_mut() else { return new };
    let nodes = std::mem::take(&mut graph.node).into_iter().enumerate();
    graph.node = nodes
        .flat_map(|(index, node)| match calls.get(&index) {
            Some(parts) if is_asked(index) => parts.clone(),
            _ => vec![node],
        })
        .collect();
    forget_functions(model, &mut new);
    new
}

/// Takes the functions out of `new` that `model` called and nothing in `new` calls any more. Its nodes may use what these imported.
pub fn forget_functions(model: &ModelProto, new: &mut ModelProto) {
    let (before, after) = (called(model), called(new));
    let is_kept = |f: &FunctionProto| !before.contains(&key(f)) || after.contains(&key(f));
    let gone: BTreeSet<Key> = model.functions.iter().filter(|f| !is_kept(f)).map(key).collect();
    new.functions.retain(|f| !gone.contains(&key(f)));
    let imports = model.functions.iter().filter(|f| gone.contains(&key(f))).flat_map(|f| &f.opset_import);
    for import in imports.filter(|o| !plain_domain(o.domain()).is_empty()) {
        if !new.opset_import.iter().any(|o| o.domain() == import.domain()) {
            new.opset_import.push(import.clone());
        }
    }
}

type Key = (String, String, String);

fn key(function: &FunctionProto) -> Key {
    (plain_domain(function.domain()).to_owned(), function.name().to_owned(), function.overload().to_owned())
}

/// The local functions that the main graph calls, by way of others too.
fn called(model: &ModelProto) -> BTreeSet<Key> {
    let local: HashMap<Key, &FunctionProto> = model.functions.iter().map(|f| (key(f), f)).collect();
    let mut found = BTreeSet::new();
    let mut open: Vec<&[NodeProto]> = model.graph.iter().map(|g| g.node.as_slice()).collect();
    while let Some(nodes) = open.pop() {
        for node in nodes {
            open.extend(graphs(node).map(|g| g.node.as_slice()));
            let domain = plain_domain(node.domain()).to_owned();
            let of = (domain, node.op_type().to_owned(), node.overload().to_owned());
            if let Some(function) = local.get(&of)
                && found.insert(of)
            {
                open.push(&function.node);
            }
        }
    }
    found
}

struct Opening<'m> {
    model: &'m ModelProto,
    local: HashMap<(&'m str, &'m str, &'m str), &'m FunctionProto>,
    opset: Option<i64>,
    functions: bool,
    /// Nodes made so far.
    made: usize,
    /// Made when they are first needed: most models have no calls.
    names: Option<Names>,
}

impl Opening<'_> {
    fn fresh(&mut self, hint: &str) -> String {
        self.names.get_or_insert_with(|| Names::new(self.model)).fresh(hint)
    }

    /// What `node` stands for, if it stands for others: no node of these does.
    fn parts(&mut self, node: &NodeProto, depth: usize) -> Option<Vec<NodeProto>> {
        if depth > MAX_DEPTH || self.made > MAX_NODES {
            return None;
        }
        let function = self.local.get(&(plain_domain(node.domain()), node.op_type(), node.overload())).copied();
        let parts = match function {
            Some(function) if self.functions => self.body(function, node)?,
            Some(_) => return None,
            None => self.fused(node)?,
        };
        self.made += parts.len();
        let mut all = Vec::with_capacity(parts.len());
        for part in parts {
            match self.parts(&part, depth + 1) {
                Some(inner) => all.extend(inner),
                None => all.push(part),
            }
        }
        Some(all)
    }

    /// A fused operator, when the model's operator set has all that it is made of.
    fn fused(&mut self, node: &NodeProto) -> Option<Vec<NodeProto>> {
        let define = definition(node)?;
        let mut body = Body::new(node);
        define(node, &mut body)?;
        let opset = self.opset?;
        let has = |n: &NodeProto| schemas::find(n.op_type(), opset).is_some_and(|s| !s.removed);
        if !body.nodes.iter().all(has) {
            return None;
        }
        let outer = |name: &str| node.input.iter().chain(&node.output).any(|n| n == name);
        let mut inner: HashMap<String, String> = HashMap::new();
        for output in body.nodes.iter().flat_map(|n| &n.output).filter(|o| !o.is_empty() && !outer(o)) {
            let hint = format!("{}_{}", body.output(0), inner.len());
            inner.insert(output.clone(), self.fresh(&hint));
        }
        let renamed = |name: &String| inner.get(name).unwrap_or(name).clone();
        let mut parts = body.nodes;
        for part in &mut parts {
            part.input = part.input.iter().map(renamed).collect();
            part.output = part.output.iter().map(renamed).collect();
        }
        Some(parts)
    }

    /// The body of `function` for `call`.
    fn body(&mut self, function: &FunctionProto, call: &NodeProto) -> Option<Vec<NodeProto>> {
        let plain = |o: &&OperatorSetIdProto| plain_domain(o.domain()).is_empty();
        let same = function.opset_import.iter().find(plain).is_none_or(|o| Some(o.version()) == self.opset);
        let holds_graph = function.node.iter().any(|n| graphs(n).next().is_some());
        if !same || holds_graph || call.input.len() > function.input.len() || call.output.len() > function.output.len()
        {
            return None;
        }
        // What each name of the body is in the graph; an input that the call leaves out is the empty name there too.
        let mut names: HashMap<&str, String> = HashMap::new();
        for (i, name) in function.input.iter().enumerate() {
            names.insert(name, call.input.get(i).cloned().unwrap_or_default());
        }
        let mut defined: BTreeSet<&str> = function.input.iter().map(String::as_str).collect();
        // An output that is an input, or another output, needs a node of its own.
        let mut copies: Vec<(&str, &str)> = Vec::new();
        for (name, output) in function.output.iter().zip(&call.output).filter(|(_, o)| !o.is_empty()) {
            if names.contains_key(name.as_str()) {
                copies.push((name, output));
            } else {
                names.insert(name, output.clone());
            }
        }
        let base = call.output.iter().find(|o| !o.is_empty())?;
        let mut parts = Vec::with_capacity(function.node.len() + copies.len());
        for node in &function.node {
            let mut part = node.clone();
            for input in part.input.iter_mut().filter(|i| !i.is_empty()) {
                *input = names.get(input.as_str())?.clone();
            }
            for (name, output) in node.output.iter().zip(&mut part.output).filter(|(name, _)| !name.is_empty()) {
                if !defined.insert(name) {
                    return None;
                }
                if !names.contains_key(name.as_str()) {
                    let fresh = self.fresh(&format!("{base}_{name}"));
                    names.insert(name, fresh);
                }
                output.clone_from(&names[name.as_str()]);
            }
            part.name = Some(self.fresh(&[call.name(), node.name()].join("_")));
            part.attribute = attributes(function, call, node)?;
            parts.push(part);
        }
        for (name, output) in copies {
            parts.push(NodeProto {
                name: Some(self.fresh(&format!("{base}_copy"))),
                op_type: Some("Identity".to_owned()),
                input: vec![names.get(name)?.clone()],
                output: vec![output.to_owned()],
                ..NodeProto::default()
            });
        }
        Some(parts)
    }
}

/// The attributes of `node` in the body of `function`, those that refer to one of the `call` with what that says. One that the
/// call leaves out has the function's default, or is left out as well where the function names it.
fn attributes(function: &FunctionProto, call: &NodeProto, node: &NodeProto) -> Option<Vec<AttributeProto>> {
    let mut all = Vec::with_capacity(node.attribute.len());
    for attribute in &node.attribute {
        if attribute.ref_attr_name().is_empty() {
            all.push(attribute.clone());
            continue;
        }
        let wanted = attribute.ref_attr_name();
        let given = call.attribute.iter().chain(&function.attribute_proto).find(|a| a.name() == wanted);
        match given {
            Some(a) if a.ref_attr_name().is_empty() => {
                all.push(AttributeProto { name: attribute.name.clone(), ..a.clone() });
            }
            None if function.attribute.iter().any(|name| name == wanted) => {}
            _ => return None,
        }
    }
    Some(all)
}
