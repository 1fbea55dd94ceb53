//! The nodes that an operator is written out as.

use crate::onnx::attribute_proto::AttributeType;
use crate::onnx::{AttributeProto, NodeProto};

/// The nodes that stand for one.
pub(crate) struct Body<'n> {
    of: &'n NodeProto,
    /// Those so far.
    pub(crate) nodes: Vec<NodeProto>,
}

impl<'n> Body<'n> {
    pub(crate) fn new(of: &'n NodeProto) -> Self {
        Self { of, nodes: Vec::new() }
    }

    /// A node in the domain of ONNX that gives an unnamed tensor.
    pub(crate) fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let base = self.of.output.iter().find(|o| !o.is_empty()).map_or("", String::as_str);
        // No file has a name with a control character in it.
        let name = format!("{base}\u{1}{}", self.nodes.len());
        self.give(op, inputs, attributes, &[&name]);
        name
    }

    /// A node in the domain of ONNX that gives the `outputs`.
    pub(crate) fn give(&mut self, op: &str, inputs: &[&str], attribute: Vec<AttributeProto>, outputs: &[&str]) {
        self.nodes.push(NodeProto {
            name: self.of.name.clone(),
            op_type: Some(op.to_owned()),
            input: inputs.iter().map(|i| (*i).to_owned()).collect(),
            output: outputs.iter().map(|o| (*o).to_owned()).collect(),
            attribute,
            ..NodeProto::default()
        });
    }

    /// Input `i`; empty when it is left out.
    pub(crate) fn input(&self, i: usize) -> &'n str {
        self.of.input.get(i).map_or("", String::as_str)
    }

    /// Output `i`; empty when nobody wants it.
    pub(crate) fn output(&self, i: usize) -> &'n str {
        self.of.output.get(i).map_or("", String::as_str)
    }

    /// The attributes of the node but those that are named.
    pub(crate) fn attributes(&self, but: &[&str]) -> Vec<AttributeProto> {
        self.of.attribute.iter().filter(|a| !but.contains(&a.name())).cloned().collect()
    }

    /// The attribute of the node as it stands there.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'n AttributeProto> {
        self.of.attribute.iter().find(|a| a.name() == name)
    }

    /// Attribute `name` of the node under another name; `default` when it is not there.
    pub(crate) fn float(&self, name: &str, other: &str, default: f32) -> AttributeProto {
        match self.attribute(name) {
            Some(a) => AttributeProto { name: Some(other.to_owned()), ..a.clone() },
            None => float(other, default),
        }
    }

    /// True when an integer attribute of the node is there and not 0.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.attribute(name).is_some_and(|a| a.i() != 0)
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(kind as i32), ..AttributeProto::default() }
}

pub(crate) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

pub(crate) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::Ints) }
}

pub(crate) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

pub(crate) fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.into()), ..attribute(name, AttributeType::String) }
}
