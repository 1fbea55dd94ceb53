//! A graph as it is drawn: the nodes that work on data, in topological order, and the tensors between them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use prost::Message;

use crate::facts::{Dim, Facts};
use crate::graph::{GraphError, GraphView, NodeId, ValueId, captured_names};
use crate::onnx::ModelProto;
use crate::plan::cost;

/// A node.
pub(crate) struct Node {
    pub(super) name: String,
    pub(super) op: String,
    /// Window and channels, where it has weights.
    pub(super) what: String,
    /// Tensors of data, each once.
    pub(super) reads: Vec<usize>,
    pub(super) gives: Vec<usize>,
    /// Equal for nodes that are the same in both graphs.
    pub(super) signature: u64,
    pub(super) macs: Option<u64>,
}

impl Node {
    /// Where tensors of data meet.
    pub(super) fn is_join(&self) -> bool {
        self.reads.len() > 1
    }
}

/// A tensor of data.
pub(crate) struct Tensor {
    pub(super) name: String,
    /// Equal for tensors of the same name.
    pub(super) key: u64,
    pub(super) shape: Vec<Option<i64>>,
    /// The node that gives it; none for a graph input.
    pub(super) by: Option<usize>,
    /// Up to in front of which node it is needed: it crosses the lines from behind `by` to here.
    end: usize,
}

impl Tensor {
    /// The line that it crosses first.
    fn first(&self) -> usize {
        self.by.map_or(0, |by| by + 1)
    }
}

/// A graph.
pub(crate) struct Net {
    pub(super) nodes: Vec<Node>,
    pub(super) tensors: Vec<Tensor>,
    /// Nodes that compute constants and sizes, which are not drawn.
    hidden: usize,
    /// How many tensors cross the line in front of each node, and the one behind the last.
    pub(super) alive: Vec<usize>,
    names: HashMap<String, usize>,
}

impl Net {
    /// The main graph of `model`.
    ///
    /// # Errors
    /// When it is malformed.
    pub(crate) fn of(model: &ModelProto) -> Result<Self, GraphError> {
        let view = GraphView::new(model)?;
        let facts = Facts::new(&view);
        let mut reading = Reading { view: &view, facts: &facts, at: HashMap::new(), tensors: Vec::new() };
        let is_free = |v: &ValueId| view.is_input(*v) && view.initializer(*v).is_none() && facts.is_data(*v);
        for value in view.values().filter(is_free) {
            reading.tensor(value, None);
        }
        let mut nodes = Vec::new();
        let mut hidden = 0;
        for id in view.nodes() {
            match reading.node(id, nodes.len()) {
                Some(node) => nodes.push(node),
                None => hidden += 1,
            }
        }
        let mut tensors = reading.tensors;
        for (at, node) in nodes.iter().enumerate() {
            node.reads.iter().for_each(|t| tensors[*t].end = at + 1);
        }
        for (value, at) in reading.at {
            if view.is_output(value) {
                tensors[at].end = usize::MAX;
            }
        }
        let names = tensors.iter().enumerate().map(|(at, t)| (t.name.clone(), at)).collect();
        let mut net = Self { nodes, tensors, hidden, names, alive: Vec::new() };
        net.alive = net.lines().iter().map(|line| line.0).collect();
        Ok(net)
    }

    /// The node that gives the tensor called `name`.
    pub(in crate::page) fn giver(&self, name: &str) -> Option<usize> {
        self.tensors[*self.names.get(name)?].by
    }

    /// True when something reads `tensor` that stands behind `line`.
    pub(super) fn goes_on(&self, tensor: usize, line: usize) -> bool {
        self.tensors[tensor].end > line
    }

    /// Some of its nodes.
    pub(in crate::page) fn part(&self, nodes: Range<usize>) -> &[Node] {
        &self.nodes[nodes]
    }

    /// Multiply-accumulates of some nodes; unknown where those of one are.
    pub(in crate::page) fn macs(&self, nodes: Range<usize>) -> Option<u64> {
        self.nodes[nodes].iter().try_fold(0_u64, |sum, node| Some(sum.saturating_add(node.macs?)))
    }

    /// Nodes that are not drawn.
    pub(in crate::page) fn hidden(&self) -> usize {
        self.hidden
    }

    /// Nodes, drawn or not.
    pub(crate) fn size(&self) -> usize {
        self.nodes.len() + self.hidden
    }

    /// Of the lines in front of each node, and of the one behind the last: how many tensors cross it, and a number that is equal where
    /// the same tensors do.
    pub(super) fn lines(&self) -> Vec<(usize, u64)> {
        let mut changes: Vec<(isize, u64)> = vec![(0, 0); self.nodes.len() + 2];
        let last = self.nodes.len() + 1;
        for tensor in self.tensors.iter().filter(|t| t.first() < t.end) {
            for (at, sign) in [(tensor.first(), 1), (tensor.end.min(last), -1)] {
                changes[at].0 += sign;
                changes[at].1 ^= tensor.key;
            }
        }
        let running = changes.iter().take(last).scan((0_isize, 0_u64), |(count, key), change| {
            *count += change.0;
            *key ^= change.1;
            Some((usize::try_from(*count).unwrap_or(0), *key))
        });
        running.collect()
    }
}

struct Reading<'a> {
    view: &'a GraphView<'a>,
    facts: &'a Facts<'a>,
    at: HashMap<ValueId, usize>,
    tensors: Vec<Tensor>,
}

impl Reading<'_> {
    fn tensor(&mut self, value: ValueId, by: Option<usize>) -> usize {
        if let Some(at) = self.at.get(&value) {
            return *at;
        }
        let name = self.view.name(value).to_owned();
        let shape = self.facts.shape(value).map(|dims| dims.iter().map(Dim::known).collect());
        self.tensors.push(Tensor { key: hash(&name), name, shape: shape.unwrap_or_default(), by, end: 0 });
        self.at.insert(value, self.tensors.len() - 1);
        self.tensors.len() - 1
    }

    /// `None` for a node that gives no data.
    fn node(&mut self, id: NodeId, position: usize) -> Option<Node> {
        let (view, facts) = (self.view, self.facts);
        let data = |v: &ValueId| facts.is_data(*v);
        let gives: Vec<ValueId> = view.outputs(id).iter().flatten().copied().filter(data).collect();
        if gives.is_empty() {
            return None;
        }
        let mut inner = BTreeSet::new();
        captured_names(view.node(id), &mut inner);
        let captured = inner.iter().filter_map(|name| view.value(name));
        let mut seen = HashSet::new();
        let reads: Vec<ValueId> = view
            .inputs(id)
            .iter()
            .flatten()
            .copied()
            .chain(captured)
            .filter(data)
            .filter(|v| seen.insert(*v))
            .collect();
        let reads = reads.into_iter().map(|v| self.tensor(v, None)).collect();
        let gives = gives.into_iter().map(|v| self.tensor(v, Some(position))).collect();
        let proto = view.node(id);
        Some(Node {
            name: proto.name().to_owned(),
            op: view.op(id).to_owned(),
            what: self.what(id),
            reads,
            gives,
            signature: hash(&(view.op(id), &proto.input, &proto.output, attributes(proto))),
            macs: cost::macs(view, facts, id),
        })
    }

    /// Window and channels of an operator with weights.
    fn what(&self, id: NodeId) -> String {
        let weights = |slot: usize| self.facts.constant_shape(self.view.input(id, slot)?);
        let groups = usize::try_from(self.view.attr_i(id, "group").unwrap_or(1)).unwrap_or(1);
        let grouped = if groups > 1 { format!(", {groups} groups") } else { String::new() };
        match (self.view.op(id), weights(1).as_deref()) {
            ("Conv", Some([outputs, inputs, window @ ..])) => {
                format!("{} {} → {outputs}{grouped}", sizes(window), inputs.saturating_mul(groups))
            }
            ("ConvTranspose", Some([inputs, outputs, window @ ..])) => {
                format!("{} {inputs} → {}{grouped}", sizes(window), outputs.saturating_mul(groups))
            }
            ("Gemm", Some([a, b])) if self.view.attr_i(id, "transB").unwrap_or(0) == 0 => format!("{a} → {b}"),
            ("Gemm", Some([a, b])) => format!("{b} → {a}"),
            ("MatMul", Some([.., a, b])) => format!("{a} → {b}"),
            _ => String::new(),
        }
    }
}

fn attributes(node: &crate::onnx::NodeProto) -> Vec<Vec<u8>> {
    node.attribute.iter().map(Message::encode_to_vec).collect()
}

fn sizes(window: &[usize]) -> String {
    window.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}

/// The same in every run.
fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
