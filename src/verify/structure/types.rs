//! The element type of every tensor, by the rules of the specification, and what contradicts them.

use std::collections::BTreeMap;
use std::fmt;

use crate::onnx::tensor_proto::DataType;
use crate::onnx::{NodeProto, ValueInfoProto, type_proto};

/// Element types of the tensors of a model's main graph.
#[derive(Debug, Clone, Default)]
pub struct Types {
    pub(super) known: BTreeMap<String, DataType>,
    pub(super) contradictions: Vec<Contradiction>,
    pub(super) undeclared: Vec<String>,
}

/// A type that a runtime refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// The node, or its first output when it has no name; empty for what belongs to no node.
    pub node: String,
    /// Its operator; empty for what belongs to no node.
    pub op: String,
    /// The tensor.
    pub tensor: String,
    /// The type that it should have, or the types that it may have.
    pub expected: String,
    /// The type that it has, or is declared to have.
    pub found: String,
}

impl Types {
    /// The element type of tensor `name`; `None` when it is unknown, or no tensor.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<DataType> {
        self.known.get(name).copied()
    }

    /// Every tensor whose type is known.
    pub fn all(&self) -> impl Iterator<Item = (&str, DataType)> {
        self.known.iter().map(|(name, dtype)| (name.as_str(), *dtype))
    }

    /// What contradicts itself, in the order of the nodes: inputs of a node whose types must be equal and are not, or that its
    /// operator does not have, and declared types (of graph outputs and `value_info`) that are not those computed. A
    /// runtime refuses a model with any of these.
    #[must_use]
    pub fn contradictions(&self) -> &[Contradiction] {
        &self.contradictions
    }

    /// The graph outputs without a declared element type.
    #[must_use]
    pub fn undeclared(&self) -> &[String] {
        &self.undeclared
    }
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.op.is_empty() {
            write!(f, "node '{}' ({}), ", self.node, self.op)?;
        }
        write!(f, "tensor '{}' is {}, but {} is expected", self.tensor, self.found, self.expected)
    }
}

/// The type that `info` declares.
pub(super) fn declared(info: &ValueInfoProto) -> Option<DataType> {
    match info.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(t) => {
            DataType::try_from(t.elem_type()).ok().filter(|t| *t != DataType::Undefined)
        }
        _ => None,
    }
}

/// True when `info` says that it is something else than a tensor.
pub(super) fn is_no_tensor(info: &ValueInfoProto) -> bool {
    let value = info.r#type.as_ref().and_then(|t| t.value.as_ref());
    value.is_some_and(|v| !matches!(v, type_proto::Value::TensorType(_)))
}

/// The name of `node`, or of its first output.
pub(super) fn label(node: &NodeProto) -> String {
    let output = node.output.iter().find(|o| !o.is_empty()).map_or("", String::as_str);
    if node.name().is_empty() { output.to_owned() } else { node.name().to_owned() }
}
