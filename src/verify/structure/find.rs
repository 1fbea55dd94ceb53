//! Finding what differs between the twins of two models.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::graph::{GraphError, GraphView, NodeId, captured_names};
use crate::onnx::{FunctionProto, ModelProto, NodeProto};

use super::bodies::Imports;
use super::constants::{Compared, Constants};
use super::difference::{Difference, Found, Patch, What};
use crate::graph::plain_domain;

/// What differs between nodes of the two models that are *twins*: they compute a tensor of the same name by the same operator,
/// and read the same tensors, or constants. Attributes are compared with their defaults, constants by content, functions and
/// subgraphs node by node. What has no effect in inference (names, notes, the seed of a `Dropout`) is no difference, and nodes
/// that no graph output needs are not looked at. The time is linear in the size of the models.
///
/// # Errors
/// [`GraphError`] when one of the graphs is broken.
pub fn differences(original: &ModelProto, rewritten: &ModelProto) -> Result<Vec<Difference>, GraphError> {
    let (a, b) = (Constants::new(original)?, Constants::new(rewritten)?);
    let imports = Imports::new(original, rewritten);
    let mut constants = Compared::new(&a, &b);
    let live = live(&a.view);
    let mut found = Vec::new();
    for id in a.view.nodes().filter(|n| live.contains(n)) {
        let node = a.view.node(id);
        let index = id.0 as usize;
        if a.computes(node) {
            continue;
        }
        let Some(twin) = twin(node, &a, &b) else { continue };
        for (difference, patched) in imports.attributes(node, twin) {
            found.push(difference.patched(Patch::Node { index, node: Box::new(patched) }));
        }
        let slots = node.input.iter().zip(&twin.input).enumerate();
        let slots = slots.map(|(slot, (x, y))| (Some(slot), x.as_str(), y.as_str()));
        let captured = captured(node, &a, &b);
        for (slot, x, y) in slots.chain(captured.into_iter().map(|name| (None, name, name))) {
            let both = a.has(x) && b.has(y);
            let Some(content) = both.then(|| constants.differ(x, y)).flatten() else { continue };
            let what = What::Constant { slot, name: x.to_owned(), content, is_default: a.is_default(x) };
            let patch = Patch::Constant { index, slot, original: x.to_owned(), rewritten: y.to_owned() };
            found.push(Found::new(node, what).patched(patch));
        }
    }
    let called = called(original, live.iter().map(|n| a.view.node(*n)));
    let theirs = |f: &FunctionProto| rewritten.functions.iter().find(|g| key(f) == key(g));
    for (index, function) in original.functions.iter().enumerate().filter(|(i, _)| called.contains(i)) {
        let inside = format!("function '{}'", function.name());
        let Some(twin) = theirs(function) else {
            let last = function.node.last().cloned().unwrap_or_default();
            let gone = Found::new(&last, What::Body("the rewritten model has no such function".to_owned()));
            if calls(rewritten, function) {
                found.push(gone.within(inside).patched(Patch::Function { index, function: None }));
            }
            continue;
        };
        for (difference, patched) in imports.functions(function, twin) {
            let patch = Patch::Function { index, function: Some(Box::new(patched)) };
            found.push(difference.within(inside.clone()).patched(patch));
        }
    }
    Ok(found)
}

/// The node of `b` that computes what `node` of `a` computes, from the same tensors and from constants.
fn twin<'m>(node: &NodeProto, a: &Constants<'_>, b: &Constants<'m>) -> Option<&'m NodeProto> {
    let output = node.output.iter().find(|o| !o.is_empty())?;
    let twin = b.view.node(b.view.def(b.view.value(output)?)?);
    let same_operator = node.op_type() == twin.op_type()
        && plain_domain(node.domain()) == plain_domain(twin.domain())
        && node.overload() == twin.overload()
        && node.input.len() == twin.input.len();
    let same_input = |(x, y): (&String, &String)| x == y || a.has(x) && b.has(y);
    (same_operator && node.input.iter().zip(&twin.input).all(same_input)).then_some(twin)
}

/// The constants of both models that the subgraphs of `node` read by name.
fn captured<'m>(node: &NodeProto, a: &Constants<'m>, b: &Constants<'_>) -> Vec<&'m str> {
    let mut names = BTreeSet::new();
    captured_names(node, &mut names);
    names.iter().filter(|n| a.has(n) && b.has(n)).map(|n| a.name(n)).collect()
}

/// The nodes that graph outputs need.
fn live(view: &GraphView<'_>) -> HashSet<NodeId> {
    let mut names: Vec<String> = view.graph().output.iter().map(|o| o.name().to_owned()).collect();
    let mut live = HashSet::new();
    while let Some(name) = names.pop() {
        let Some(node) = view.value(&name).and_then(|v| view.def(v)) else { continue };
        if live.insert(node) {
            let mut captured = BTreeSet::new();
            captured_names(view.node(node), &mut captured);
            names.extend(view.node(node).input.iter().filter(|i| !i.is_empty()).cloned());
            names.extend(captured);
        }
    }
    live
}

/// True when a node of `model` has the name of `function`.
fn calls(model: &ModelProto, function: &FunctionProto) -> bool {
    let mut open: Vec<&NodeProto> = model.graph.iter().flat_map(|g| &g.node).collect();
    open.extend(model.functions.iter().flat_map(|f| &f.node));
    while let Some(node) = open.pop() {
        if (plain_domain(node.domain()), node.op_type(), node.overload()) == key(function) {
            return true;
        }
        open.extend(node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)).flat_map(|g| &g.node));
    }
    false
}

/// What tells functions apart.
pub(super) fn key(function: &FunctionProto) -> (&str, &str, &str) {
    (plain_domain(function.domain()), function.name(), function.overload())
}

/// The functions of `model`, by number, that `nodes` call, at any depth.
pub(super) fn called<'m>(model: &'m ModelProto, nodes: impl Iterator<Item = &'m NodeProto>) -> HashSet<usize> {
    let numbers: HashMap<_, _> = model.functions.iter().enumerate().map(|(i, f)| (key(f), i)).collect();
    let mut open: Vec<&NodeProto> = nodes.collect();
    let mut found = HashSet::new();
    while let Some(node) = open.pop() {
        let graphs = node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs));
        open.extend(graphs.flat_map(|g| &g.node));
        let number = numbers.get(&(plain_domain(node.domain()), node.op_type(), node.overload()));
        if let Some(number) = number.filter(|n| found.insert(**n)) {
            open.extend(model.functions.get(*number).iter().flat_map(|f| &f.node));
        }
    }
    found
}
