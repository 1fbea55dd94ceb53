//! What an attribute of a node says, defaults included, and which attributes say nothing about what is computed.

use std::collections::BTreeSet;

use crate::onnx::attribute_proto::AttributeType;
use crate::onnx::{AttributeProto, GraphProto, NodeProto, OperatorSetIdProto, SparseTensorProto, TensorProto};

use crate::graph::plain_domain;
use crate::graph::schemas::{self, Plain, Schema};

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Setting<'m> {
    /// Neither written down nor given by a default.
    Absent,
    Plain(Plain),
    Tensor(&'m TensorProto),
    Graph(&'m GraphProto),
    Sparse(&'m SparseTensorProto),
    /// In a function: the attribute of the call that it stands for.
    Reference(&'m str),
    /// Lists of tensors or graphs, and types: compared whole.
    Other(&'m AttributeProto),
}

/// The attributes that one of two nodes of one operator has, and those with another default in the operator set of the other.
pub(super) fn names<'m>(a: &'m NodeProto, b: &'m NodeProto, opsets: [&[OperatorSetIdProto]; 2]) -> BTreeSet<&'m str> {
    let mut names: BTreeSet<&str> = a.attribute.iter().chain(&b.attribute).map(AttributeProto::name).collect();
    let [x, y]: [Option<&'static Schema>; 2] = opsets.map(|opsets| schema(a, opsets));
    if let (Some(x), Some(y)) = (x, y)
        && x.since != y.since
    {
        let other = |name: &&str| y.default_of(name).is_some_and(|d| Some(d) != x.default_of(name));
        names.extend(x.attributes().filter(other).map(|name| -> &'m str { name }));
    }
    names
}

/// True for a default written down that the operator has not had in the operator set of the other node.
pub(super) fn is_new_default(node: &NodeProto, name: &str, value: &Setting<'_>, opsets: &[OperatorSetIdProto]) -> bool {
    let Setting::Plain(value) = value else { return false };
    schema(node, opsets).and_then(|s| s.default_of(name)) == Some(value)
}

/// The version of the operator of `node`; `None` for one that is not ONNX's.
fn schema(node: &NodeProto, opsets: &[OperatorSetIdProto]) -> Option<&'static Schema> {
    if is_standard(node) { schemas::find(node.op_type(), opset(opsets, node.domain())) } else { None }
}

/// What attribute `name` of `node` is, with the default that its operator has in `opsets`.
pub(super) fn setting<'m>(
    node: &'m NodeProto,
    name: &str,
    opsets: &[OperatorSetIdProto],
    function_defaults: &'m [AttributeProto],
) -> Setting<'m> {
    let written = node.attribute.iter().find(|a| a.name() == name).map(value);
    match written {
        Some(Setting::Plain(value)) if is_implied(node, name, &value) => Setting::Absent,
        Some(setting) => setting,
        None => {
            let of_function = function_defaults.iter().find(|a| a.name() == name).map(value);
            let of_schema = || schema(node, opsets)?.default_of(name).cloned().map(Setting::Plain);
            of_function.or_else(of_schema).unwrap_or(Setting::Absent)
        }
    }
}

fn value(attribute: &AttributeProto) -> Setting<'_> {
    if !attribute.ref_attr_name().is_empty() {
        return Setting::Reference(attribute.ref_attr_name());
    }
    let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect();
    let plain = match attribute.r#type() {
        AttributeType::Int => Plain::Int(attribute.i()),
        AttributeType::Float => Plain::Float(attribute.f().to_bits()),
        AttributeType::String => Plain::Text(attribute.s().to_vec()),
        AttributeType::Ints => Plain::Ints(attribute.ints.clone()),
        AttributeType::Floats => Plain::Floats(bits(&attribute.floats)),
        AttributeType::Strings => Plain::Texts(attribute.strings.clone()),
        _ => return structured(attribute),
    };
    Setting::Plain(plain)
}

/// An attribute of another type, or of none: the oldest files do not say which field counts.
fn structured(attribute: &AttributeProto) -> Setting<'_> {
    let a = attribute;
    if let Some(tensor) = &a.t {
        Setting::Tensor(tensor)
    } else if let Some(graph) = &a.g {
        Setting::Graph(graph)
    } else if let Some(sparse) = &a.sparse_tensor {
        Setting::Sparse(sparse)
    } else if a.r#type() != AttributeType::Undefined {
        Setting::Other(a)
    } else if let Some(i) = a.i {
        Setting::Plain(Plain::Int(i))
    } else if let Some(f) = a.f {
        Setting::Plain(Plain::Float(f.to_bits()))
    } else if let Some(s) = &a.s {
        Setting::Plain(Plain::Text(s.clone()))
    } else if !a.floats.is_empty() {
        Setting::Plain(Plain::Floats(a.floats.iter().map(|v| v.to_bits()).collect()))
    } else if !a.strings.is_empty() {
        Setting::Plain(Plain::Texts(a.strings.clone()))
    } else {
        Setting::Plain(Plain::Ints(a.ints.clone()))
    }
}

/// Defaults that the specification has in words only: a list that is as long as the kernel, or as the rank.
fn is_implied(node: &NodeProto, name: &str, value: &Plain) -> bool {
    let Plain::Ints(list) = value else { return false };
    let all = |n: i64| list.iter().all(|v| *v == n);
    match name {
        "strides" | "dilations" => has_window(node) && all(1),
        "pads" | "output_padding" => has_window(node) && all(0),
        "perm" => list.iter().rev().enumerate().all(|(i, v)| *v == i as i64) && !list.is_empty(),
        _ => false,
    }
}

fn has_window(node: &NodeProto) -> bool {
    let op = node.op_type();
    op.contains("Conv") || op.ends_with("Pool") || op.ends_with("Unpool")
}

/// True when attribute `name` of `node` says nothing about what the node computes, whatever its value.
pub(super) fn is_idle(node: &NodeProto, name: &str, opsets: &[OperatorSetIdProto]) -> bool {
    if name == "consumed_inputs" {
        return opset(opsets, node.domain()) < 6 && is_standard(node);
    }
    let second_output = node.output.get(1).is_some_and(|o| !o.is_empty());
    match (node.op_type(), name) {
        // It says how indices are counted.
        ("MaxPool", "storage_order") => !second_output,
        // Moving averages come out of training only.
        ("BatchNormalization", "momentum") => !second_output,
        // Nothing is dropped outside of training.
        ("Dropout", "seed" | "ratio") => true,
        // The weights have it, and it must be theirs.
        ("Conv" | "ConvTranspose" | "ConvInteger" | "QLinearConv" | "DeformConv", "kernel_shape") => true,
        _ => false,
    }
}

/// True for an operator of the ONNX domain.
pub(super) fn is_standard(node: &NodeProto) -> bool {
    plain_domain(node.domain()).is_empty()
}

/// The version of `domain` that is imported; 0 when none is.
pub(super) fn opset(opsets: &[OperatorSetIdProto], domain: &str) -> i64 {
    let domain = plain_domain(domain);
    opsets.iter().find(|o| plain_domain(o.domain()) == domain).map_or(0, OperatorSetIdProto::version)
}

impl Setting<'_> {
    /// It in a few words.
    pub(super) fn text(&self) -> String {
        let floats = |v: &[u32]| v.iter().map(|v| f32::from_bits(*v)).collect::<Vec<_>>();
        let texts = |v: &[Vec<u8>]| v.iter().map(|v| String::from_utf8_lossy(v).into_owned()).collect::<Vec<_>>();
        let text = match self {
            Self::Absent => "not given".to_owned(),
            Self::Plain(Plain::Int(v)) => v.to_string(),
            Self::Plain(Plain::Float(v)) => f32::from_bits(*v).to_string(),
            Self::Plain(Plain::Text(v)) => format!("{:?}", String::from_utf8_lossy(v)),
            Self::Plain(Plain::Ints(v)) => format!("{v:?}"),
            Self::Plain(Plain::Floats(v)) => format!("{:?}", floats(v)),
            Self::Plain(Plain::Texts(v)) => format!("{:?}", texts(v)),
            Self::Tensor(t) => format!("a tensor of shape {:?}", t.dims),
            Self::Graph(_) => "a graph".to_owned(),
            Self::Sparse(t) => format!("a sparse tensor of shape {:?}", t.dims),
            Self::Reference(name) => format!("what '{name}' of the call is"),
            Self::Other(_) => "another list".to_owned(),
        };
        if text.chars().count() <= 60 { text } else { text.chars().take(57).chain("...".chars()).collect() }
    }

    /// It written down; `None` for what is absent, or stands in a node already.
    pub(super) fn attribute(&self, name: &str) -> Option<AttributeProto> {
        let Self::Plain(plain) = self else { return None };
        let floats = |v: &[u32]| v.iter().map(|v| f32::from_bits(*v)).collect();
        let mut a = AttributeProto { name: Some(name.to_owned()), ..AttributeProto::default() };
        let kind = match plain {
            Plain::Int(v) => (a.i = Some(*v), AttributeType::Int).1,
            Plain::Float(v) => (a.f = Some(f32::from_bits(*v)), AttributeType::Float).1,
            Plain::Text(v) => (a.s = Some(v.clone()), AttributeType::String).1,
            Plain::Ints(v) => (a.ints = v.clone(), AttributeType::Ints).1,
            Plain::Floats(v) => (a.floats = floats(v), AttributeType::Floats).1,
            Plain::Texts(v) => (a.strings = v.clone(), AttributeType::Strings).1,
        };
        a.r#type = Some(kind as i32);
        Some(a)
    }

    /// The axes that it names, when it is that of an attribute `axis` or `axes`.
    pub(super) fn axes(&self) -> Option<Vec<i64>> {
        match self {
            Self::Plain(Plain::Int(axis)) => Some(vec![*axis]),
            Self::Plain(Plain::Ints(axes)) => Some(axes.clone()),
            _ => None,
        }
    }
}
