//! The constants of a main graph: initializers, `Constant` nodes, and what is computed from these alone.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::graph::{GraphError, GraphView};
use crate::onnx::{GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto};
use crate::verify::reference::{self, Value};

use super::attributes::is_standard;
use super::content::{self, Content};

/// Where a constant comes from.
#[derive(Clone, Copy)]
enum Source<'m> {
    Tensor(&'m TensorProto),
    Sparse(&'m SparseTensorProto),
    Node(&'m NodeProto),
}

/// The constants of one model by name.
pub(super) struct Constants<'m> {
    pub(super) view: GraphView<'m>,
    sources: HashMap<&'m str, Source<'m>>,
    /// Initializers that a caller may give another value.
    overridable: HashSet<&'m str>,
}

impl<'m> Constants<'m> {
    /// # Errors
    /// What is wrong with the graph.
    pub(super) fn new(model: &'m ModelProto) -> Result<Self, GraphError> {
        let view = GraphView::new(model)?;
        let graph = view.graph();
        let mut sources: HashMap<&str, Source<'_>> = HashMap::new();
        sources.extend(graph.initializer.iter().map(|t| (t.name(), Source::Tensor(t))));
        sources.extend(
            graph.sparse_initializer.iter().filter_map(|s| Some((s.values.as_ref()?.name(), Source::Sparse(s)))),
        );
        let inputs = graph.input.iter().map(|i| i.name());
        let overridable: HashSet<&str> = inputs.filter(|i| sources.contains_key(i)).collect();
        let functions: HashSet<(&str, &str)> = model.functions.iter().map(|f| (f.domain(), f.name())).collect();
        for node in view.nodes().map(|n| view.node(n)) {
            let is_local = functions.contains(&(node.domain(), node.op_type()));
            let constant =
                |i: &String| i.is_empty() || sources.contains_key(i.as_str()) && !overridable.contains(i.as_str());
            if is_pure(node) && !is_local && node.input.iter().all(constant) {
                sources.extend(node.output.iter().filter(|o| !o.is_empty()).map(|o| (o.as_str(), Source::Node(node))));
            }
        }
        Ok(Self { view, sources, overridable })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.sources.contains_key(name)
    }

    /// `name` as the model itself has it; the same text.
    pub(super) fn name(&self, name: &str) -> &'m str {
        self.sources.get_key_value(name).map_or("", |(name, _)| name)
    }

    /// True when `name` is a default that a caller may replace.
    pub(super) fn is_default(&self, name: &str) -> bool {
        self.overridable.contains(name)
    }

    /// True when `node` computes a constant.
    pub(super) fn computes(&self, node: &NodeProto) -> bool {
        node.output.iter().any(|o| self.sources.contains_key(o.as_str()))
    }

    fn source(&self, name: &str) -> Option<Source<'m>> {
        self.sources.get(name).copied()
    }

    /// The tensor that `name` is, when it need not be computed.
    fn tensor(&self, name: &str) -> Option<&'m TensorProto> {
        match self.source(name)? {
            Source::Tensor(t) => Some(t),
            Source::Node(n) if n.op_type() == "Constant" => n.attribute.iter().find_map(|a| a.t.as_ref()),
            _ => None,
        }
    }

    /// The value of constant `name`; `None` when it cannot be computed.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        if let Some(tensor) = self.tensor(name) {
            return Value::try_from(tensor).ok();
        }
        let mut graph = GraphProto::default();
        let mut nodes: Vec<&NodeProto> = Vec::new();
        let (mut open, mut seen) = (vec![name], HashSet::from([name]));
        while let Some(name) = open.pop() {
            match self.source(name)? {
                Source::Tensor(t) => graph.initializer.push(t.clone()),
                Source::Sparse(s) => graph.sparse_initializer.push(s.clone()),
                Source::Node(node) => {
                    nodes.push(node);
                    let unseen = node.input.iter().map(String::as_str).filter(|i| !i.is_empty() && seen.insert(i));
                    open.extend(unseen.collect::<Vec<_>>());
                }
            }
        }
        let place = |n: &&NodeProto| self.place(n);
        nodes.sort_by_key(place);
        nodes.dedup_by_key(|n| self.place(n));
        graph.node = nodes.into_iter().cloned().collect();
        let model = ModelProto { graph: Some(graph), ..shell(self.view.model()) };
        let trace = reference::run_to(&model, &BTreeMap::new(), &[name]).ok()?;
        trace.get(name).cloned()
    }

    /// Where `node` stands in the order of the graph.
    fn place(&self, node: &NodeProto) -> Option<usize> {
        let output = node.output.iter().find(|o| !o.is_empty())?;
        self.view.value(output).and_then(|v| self.view.def(v)).map(|n| self.view.position(n))
    }
}

/// The model without its graph and what only describes it.
pub(super) fn shell(model: &ModelProto) -> ModelProto {
    ModelProto { ir_version: model.ir_version, opset_import: model.opset_import.clone(), ..ModelProto::default() }
}

/// True for operators of ONNX whose outputs follow from their inputs, and that hold no graph.
fn is_pure(node: &NodeProto) -> bool {
    let op = node.op_type();
    let random = op.starts_with("Random") || matches!(op, "Multinomial" | "Bernoulli" | "Dropout");
    is_standard(node) && !random && node.attribute.iter().all(|a| a.g.is_none() && a.graphs.is_empty())
}

/// The constants of two models, compared when that is asked for and once only.
pub(super) struct Compared<'a, 'm> {
    original: &'a Constants<'m>,
    rewritten: &'a Constants<'m>,
    /// Constants of one name that the same nodes compute from the same content.
    same: HashSet<&'m str>,
    found: HashMap<(&'m str, &'m str), Option<Content>>,
}

impl<'a, 'm> Compared<'a, 'm> {
    pub(super) fn new(original: &'a Constants<'m>, rewritten: &'a Constants<'m>) -> Self {
        let mut compared = Self { original, rewritten, same: HashSet::new(), found: HashMap::new() };
        let same_imports = original.view.model().opset_import == rewritten.view.model().opset_import;
        for node in
            original.view.nodes().map(|n| original.view.node(n)).filter(|n| same_imports && original.computes(n))
        {
            let Some(name) = node.output.iter().find(|o| !o.is_empty()) else { continue };
            let Some(Source::Node(twin)) = rewritten.source(name) else { continue };
            let alike = twin.op_type == node.op_type && twin.domain == node.domain && twin.attribute == node.attribute;
            if alike && twin.input == node.input && twin.output == node.output && compared.same_inputs(node) {
                compared.same.extend(node.output.iter().map(String::as_str));
            }
        }
        compared
    }

    fn same_inputs(&mut self, node: &'m NodeProto) -> bool {
        node.input.iter().filter(|i| !i.is_empty()).all(|i| self.differ(i, i).is_none())
    }

    /// How constant `b` of the rewritten model differs from constant `a` of the original, if it does.
    pub(super) fn differ(&mut self, a: &'m str, b: &'m str) -> Option<Content> {
        if a == b && self.same.contains(a) {
            return None;
        }
        if let Some(known) = self.found.get(&(a, b)) {
            return known.clone();
        }
        let found = match (self.original.tensor(a), self.rewritten.tensor(b)) {
            (Some(x), Some(y)) => content::tensors(x, y),
            _ => match (self.original.value(a), self.rewritten.value(b)) {
                (Some(x), Some(y)) => content::values(&x, &y),
                _ => self.unknown(a, b),
            },
        };
        self.found.insert((a, b), found.clone());
        found
    }

    /// Constants without a value are equal when they are written alike.
    fn unknown(&self, a: &str, b: &str) -> Option<Content> {
        let alike = match (self.original.source(a), self.rewritten.source(b)) {
            (Some(Source::Sparse(x)), Some(Source::Sparse(y))) => x == y,
            (Some(Source::Node(x)), Some(Source::Node(y))) => {
                x.input.is_empty() && y.input.is_empty() && x.attribute == y.attribute
            }
            _ => false,
        };
        (!alike).then_some(Content::Unknown)
    }
}
