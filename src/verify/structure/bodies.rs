//! Nodes compared attribute by attribute, and the bodies of functions and subgraphs compared node by node.
//!
//! Tensors inside a body may be called anything: bodies are compared in order, and names are matched as they come.

use std::collections::HashMap;

use crate::onnx::{FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto};

use super::attributes::{Setting, is_idle, is_new_default, names, setting};
use super::content;
use super::difference::{Found, What};

/// Most differences that are told apart inside one body; what is beyond is one difference.
const MAX_IN_A_BODY: usize = 16;

/// A difference, and the node, graph or function of the original with it.
pub(super) type Spoilt<T> = (Found, T);

/// What the nodes of both models are read with.
#[derive(Clone, Copy)]
pub(super) struct Imports<'m> {
    pub(super) models: [&'m ModelProto; 2],
    pub(super) opsets: [&'m [OperatorSetIdProto]; 2],
}

/// Names inside a body of the original, and what they are called in the other.
type Names<'m> = HashMap<&'m str, &'m str>;

impl<'m> Imports<'m> {
    pub(super) fn new(original: &'m ModelProto, rewritten: &'m ModelProto) -> Self {
        Self { models: [original, rewritten], opsets: [&original.opset_import, &rewritten.opset_import] }
    }

    fn setting(&self, which: usize, node: &'m NodeProto, name: &str) -> Setting<'m> {
        let functions = &self.models[which].functions;
        let custom = !super::attributes::is_standard(node);
        let function = functions.iter().find(|f| custom && f.name() == node.op_type() && f.domain() == node.domain());
        setting(node, name, self.opsets[which], function.map_or(&[], |f| f.attribute_proto.as_slice()))
    }

    /// Each attribute in which `b` differs from `a`, and `a` with that of `b`.
    pub(super) fn attributes(&self, a: &'m NodeProto, b: &'m NodeProto) -> Vec<Spoilt<NodeProto>> {
        self.settings(a, b, &Names::new())
    }

    fn settings(&self, a: &'m NodeProto, b: &'m NodeProto, around: &Names<'m>) -> Vec<Spoilt<NodeProto>> {
        let mut found = Vec::new();
        for name in names(a, b, self.opsets).into_iter().filter(|name| !is_idle(a, name, self.opsets[0])) {
            let (x, y) = (self.setting(0, a, name), self.setting(1, b, name));
            let what = match (&x, &y) {
                (Setting::Graph(x), Setting::Graph(y)) => {
                    let inner = self.graphs(x, y, around).into_iter();
                    let owner =
                        if a.name().is_empty() { a.output.first().map_or("", String::as_str) } else { a.name() };
                    let inside = format!("{name} of node '{owner}'");
                    found.extend(inner.map(|(f, graph)| (f.within(inside.clone()), with_graph(a, name, graph))));
                    continue;
                }
                (Setting::Tensor(x), Setting::Tensor(y)) => match content::tensors(x, y) {
                    Some(content) => What::Tensor { name: name.to_owned(), content },
                    None => continue,
                },
                _ if x == y => continue,
                (Setting::Absent, y) if is_new_default(b, name, y, self.opsets[1]) => continue,
                (x, Setting::Absent) if is_new_default(a, name, x, self.opsets[0]) => continue,
                _ => What::Attribute { name: name.to_owned(), original: x.text(), rewritten: y.text() },
            };
            found.push((Found::new(a, what), with_attribute(a, b, name, &y)));
        }
        found
    }

    /// Each difference between two graphs, and the first with it.
    fn graphs(&self, a: &'m GraphProto, b: &'m GraphProto, around: &Names<'m>) -> Vec<Spoilt<GraphProto>> {
        let whole = |reason: &str| vec![(body(&a.node, reason), b.clone())];
        let mut inner = around.clone();
        if a.input.len() != b.input.len() || a.output.len() != b.output.len() {
            return whole("its body has other inputs or outputs");
        }
        inner.extend(a.input.iter().zip(&b.input).map(|(a, b)| (a.name(), b.name())));
        let (own, other) = (by_name(&a.initializer), by_name(&b.initializer));
        let initializers = |a: &str, b: &str| Some((*own.get(a)?, *other.get(b)?));
        let Some(nodes) = self.nodes([&a.node, &b.node], &mut inner, &own, &other) else {
            return whole("its body has other nodes");
        };
        let mut found: Vec<Spoilt<GraphProto>> =
            nodes.into_iter().map(|(f, node)| (f, GraphProto { node, ..a.clone() })).collect();
        let outputs = a.output.iter().zip(&b.output).map(|(a, b)| (a.name(), b.name()));
        if !outputs
            .clone()
            .all(|(a, b)| inner.get(a).map_or_else(|| a == b, |n| *n == b) || initializers(a, b).is_some())
        {
            return whole("its body gives other tensors");
        }
        let mut pairs: Vec<(&str, &str)> = inner.iter().map(|(a, b)| (*a, *b)).chain(outputs).collect();
        pairs.sort_unstable();
        pairs.dedup();
        for (x, y) in pairs.into_iter().filter_map(|(a, b)| initializers(a, b)) {
            let Some(content) = content::tensors(x, y) else { continue };
            let reader = a.node.iter().find(|n| n.input.iter().any(|i| i == x.name()));
            let what = What::Tensor { name: x.name().to_owned(), content };
            let found_here = reader.map_or_else(|| body(&a.node, "its body"), |n| Found::new(n, what.clone()));
            let swapped = |t: &TensorProto| match t.name() == x.name() {
                true => TensorProto { name: x.name.clone(), ..y.clone() },
                false => t.clone(),
            };
            let initializer = a.initializer.iter().map(swapped).collect();
            found.push((Found { what, ..found_here }, GraphProto { initializer, ..a.clone() }));
        }
        if found.len() > MAX_IN_A_BODY { whole("its body differs in many places") } else { found }
    }

    /// Each difference between two functions, and the first with it.
    pub(super) fn functions(&self, a: &'m FunctionProto, b: &'m FunctionProto) -> Vec<Spoilt<FunctionProto>> {
        let whole = |reason: &str| vec![(body(&a.node, reason), b.clone())];
        let inside = Self { opsets: [&a.opset_import, &b.opset_import], ..*self };
        if a.input.len() != b.input.len() || a.output.len() != b.output.len() || a.attribute != b.attribute {
            return whole("its body has other inputs, outputs or attributes");
        }
        let mut inner: Names<'m> = a.input.iter().map(String::as_str).zip(b.input.iter().map(String::as_str)).collect();
        let none = HashMap::new();
        let Some(nodes) = inside.nodes([&a.node, &b.node], &mut inner, &none, &none) else {
            return whole("its body has other nodes");
        };
        if !a.output.iter().zip(&b.output).all(|(a, b)| inner.get(a.as_str()).is_some_and(|n| n == b)) {
            return whole("its body gives other tensors");
        }
        if nodes.len() > MAX_IN_A_BODY {
            return whole("its body differs in many places");
        }
        nodes.into_iter().map(|(f, node)| (f, FunctionProto { node, ..a.clone() })).collect()
    }

    /// Each difference between two lists of nodes, and the first list with it. `None` when they are not the same nodes in the
    /// same order.
    fn nodes(
        &self,
        [a, b]: [&'m [NodeProto]; 2],
        inner: &mut Names<'m>,
        own: &HashMap<&'m str, &'m TensorProto>,
        other: &HashMap<&'m str, &'m TensorProto>,
    ) -> Option<Vec<Spoilt<Vec<NodeProto>>>> {
        if a.len() != b.len() {
            return None;
        }
        let mut found = Vec::new();
        for (k, (x, y)) in a.iter().zip(b).enumerate() {
            let kind = |n: &NodeProto| (n.op_type.clone(), n.domain.clone(), n.overload.clone());
            if kind(x) != kind(y) || x.input.len() != y.input.len() || x.output.len() != y.output.len() {
                return None;
            }
            for (i, j) in x.input.iter().map(String::as_str).zip(y.input.iter().map(String::as_str)) {
                match inner.get(i) {
                    Some(name) if *name == j => {}
                    Some(_) => return None,
                    None if own.contains_key(i) && other.contains_key(j) => _ = inner.insert(i, j),
                    None if i == j && own.contains_key(i) == other.contains_key(j) => {}
                    None => return None,
                }
            }
            for (spoilt, node) in
                self.settings(x, y, inner).into_iter().take(MAX_IN_A_BODY + 1 - found.len().min(MAX_IN_A_BODY))
            {
                let with = |(i, n): (usize, &NodeProto)| if i == k { node.clone() } else { n.clone() };
                found.push((spoilt, a.iter().enumerate().map(with).collect()));
            }
            if found.len() > MAX_IN_A_BODY {
                break;
            }
            inner.extend(x.output.iter().map(String::as_str).zip(y.output.iter().map(String::as_str)));
        }
        Some(found)
    }
}

fn by_name(tensors: &[TensorProto]) -> HashMap<&str, &TensorProto> {
    tensors.iter().map(|t| (t.name(), t)).collect()
}

/// A difference of a whole body, named by its last node.
fn body(nodes: &[NodeProto], reason: &str) -> Found {
    let what = What::Body(reason.to_owned());
    nodes.last().map_or_else(|| Found::new(&NodeProto::default(), what.clone()), |n| Found::new(n, what.clone()))
}

/// `a` with the attribute `name` of `b`, its default written out.
fn with_attribute(a: &NodeProto, b: &NodeProto, name: &str, setting: &Setting<'_>) -> NodeProto {
    let mut attribute: Vec<_> = a.attribute.iter().filter(|x| x.name() != name).cloned().collect();
    let written = b.attribute.iter().find(|x| x.name() == name).cloned();
    attribute.extend(written.or_else(|| setting.attribute(name)));
    NodeProto { attribute, ..a.clone() }
}

fn with_graph(a: &NodeProto, name: &str, graph: GraphProto) -> NodeProto {
    let mut graph = Some(graph);
    let mut attribute = a.attribute.clone();
    attribute.iter_mut().filter(|x| x.name() == name).for_each(|x| x.g = graph.take());
    NodeProto { attribute, ..a.clone() }
}
