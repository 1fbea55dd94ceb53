//! What two models do not have in common where they could: as data, and in words.

use std::fmt;

use crate::onnx::{FunctionProto, NodeProto};

pub use super::content::Content;

/// Something that differs between two nodes that otherwise are one: a node of the original and one of the rewritten model that
/// compute a tensor of the same name by the same operator from the same tensors.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The node, or its first output when it has no name. Inside a function or a subgraph: the node there.
    pub node: String,
    /// Its operator, with the domain in front when it is not ONNX's own.
    pub op: String,
    /// The first tensor that the node computes.
    pub tensor: String,
    /// The function or subgraph that the node stands in, in words; `None` for the main graph.
    pub inside: Option<String>,
    /// What differs.
    pub what: What,
    pub(super) patch: Patch,
}

/// What differs between two twins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// An attribute, defaults included.
    Attribute {
        /// Its name.
        name: String,
        /// What it is in the original, in a few words.
        original: String,
        /// What it is in the rewritten model.
        rewritten: String,
    },
    /// A tensor among the attributes, or an initializer of a subgraph.
    Tensor {
        /// The attribute or initializer.
        name: String,
        /// How its content differs.
        content: Content,
    },
    /// A constant that the node reads.
    Constant {
        /// The input; `None` for one that a subgraph of the node reads from around it.
        slot: Option<usize>,
        /// The constant's name in the original.
        name: String,
        /// How its content differs.
        content: Content,
        /// True for a default that a caller may replace.
        is_default: bool,
    },
    /// The nodes of a function or a subgraph, which are not the same ones.
    Body(String),
}

/// How the original node is made to differ in this alone.
#[derive(Debug, Clone)]
pub(super) enum Patch {
    /// Node number `index` of the main graph is this one instead.
    Node { index: usize, node: Box<NodeProto> },
    /// Node number `index` reads the value of constant `rewritten` of the other model in place of its own constant `original`, at
    /// the input `slot` or, without one, in its subgraphs.
    Constant { index: usize, slot: Option<usize>, original: String, rewritten: String },
    /// Function number `index` is this one instead; without one it is missing.
    Function { index: usize, function: Option<Box<FunctionProto>> },
}

/// A difference inside a body, before it is known where the body stands.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) node: String,
    pub(super) op: String,
    pub(super) tensor: String,
    pub(super) inside: Vec<String>,
    pub(super) what: What,
}

impl Found {
    pub(super) fn new(node: &NodeProto, what: What) -> Self {
        let tensor = node.output.iter().find(|o| !o.is_empty()).cloned().unwrap_or_default();
        let name = if node.name().is_empty() { tensor.clone() } else { node.name().to_owned() };
        let op = match node.domain() {
            "" | "ai.onnx" => node.op_type().to_owned(),
            domain => format!("{domain}::{}", node.op_type()),
        };
        Self { node: name, op, tensor, inside: Vec::new(), what }
    }

    /// The same, seen from around the body `name`.
    pub(super) fn within(mut self, name: String) -> Self {
        self.inside.push(name);
        self
    }

    pub(super) fn patched(self, patch: Patch) -> Difference {
        let inside = (!self.inside.is_empty()).then(|| self.inside.join(" of "));
        Difference { node: self.node, op: self.op, tensor: self.tensor, inside, what: self.what, patch }
    }
}

impl Difference {
    /// True where a subgraph of a node has other nodes: no slip in one of them, but another way to compute the same.
    #[must_use]
    pub fn is_rewritten_body(&self) -> bool {
        matches!((&self.what, &self.patch), (What::Body(_), Patch::Node { .. }))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node '{}' ({}), tensor '{}'", self.node, self.op, self.tensor)?;
        if let Some(inside) = &self.inside {
            write!(f, " in {inside}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute { name, original, rewritten } => {
                write!(f, "attribute {name} was {original} and is {rewritten}")
            }
            Self::Tensor { name, content } => write!(f, "tensor '{name}': {content}"),
            Self::Constant { slot, name, content, is_default } => {
                let kind = if *is_default { "default" } else { "constant" };
                let place = slot.map_or_else(|| "a subgraph".to_owned(), |slot| format!("input {slot}"));
                write!(f, "{place}, {kind} '{name}': {content}")
            }
            Self::Body(reason) => f.write_str(reason),
        }
    }
}
