//! A stable text of a model, for snapshots and diffs.

use std::fmt::Write as _;

use crate::onnx::{AttributeProto, ModelProto, TensorProto, ValueInfoProto, tensor_shape_proto, type_proto};

/// One line for each input, output, initializer and node; weights as a short digest.
#[must_use]
pub fn dump(model: &ModelProto) -> String {
    let mut text = String::new();
    for opset in &model.opset_import {
        let _ = writeln!(text, "opset {} {}", opset.domain(), opset.version.unwrap_or(0));
    }
    let Some(graph) = &model.graph else { return text };
    for (what, values) in [("input", &graph.input), ("output", &graph.output)] {
        for value in values {
            let _ = writeln!(text, "{what} {}", typed(value));
        }
    }
    for tensor in &graph.initializer {
        let _ = writeln!(text, "weight {} {}", tensor.name(), digest(tensor));
    }
    for node in &graph.node {
        let mut attributes: Vec<String> = node.attribute.iter().map(attribute).collect();
        attributes.sort();
        let _ = writeln!(
            text,
            "{} = {}({}) [{}] # {}",
            node.output.join(", "),
            node.op_type(),
            node.input.join(", "),
            attributes.join(" "),
            node.name()
        );
    }
    text
}

fn typed(value: &ValueInfoProto) -> String {
    let Some(type_proto::Value::TensorType(t)) = value.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return value.name().to_owned();
    };
    let dims: Vec<String> = t
        .shape
        .iter()
        .flat_map(|s| &s.dim)
        .map(|d| match &d.value {
            Some(tensor_shape_proto::dimension::Value::DimValue(n)) => n.to_string(),
            Some(tensor_shape_proto::dimension::Value::DimParam(p)) => p.clone(),
            None => "?".to_owned(),
        })
        .collect();
    format!("{} type {} [{}]", value.name(), t.elem_type.unwrap_or(0), dims.join(", "))
}

fn attribute(a: &AttributeProto) -> String {
    let value = if let Some(i) = a.i {
        i.to_string()
    } else if let Some(f) = a.f {
        f.to_string()
    } else if let Some(s) = &a.s {
        String::from_utf8_lossy(s).into_owned()
    } else if let Some(t) = &a.t {
        digest(t)
    } else if a.g.is_some() {
        "graph".to_owned()
    } else if a.ints.is_empty() {
        format!("{:?}", a.floats)
    } else {
        format!("{:?}", a.ints)
    };
    format!("{}={value}", a.name())
}

/// Type, shape and a 64-bit FNV-1a digest of the content.
fn digest(tensor: &TensorProto) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |byte: u8| {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(0x0100_0000_01b3);
    };
    tensor.raw_data.iter().flat_map(|b| b.iter()).for_each(|b| eat(*b));
    tensor.float_data.iter().flat_map(|v| v.to_le_bytes()).for_each(&mut eat);
    tensor.int32_data.iter().flat_map(|v| v.to_le_bytes()).for_each(&mut eat);
    tensor.int64_data.iter().flat_map(|v| v.to_le_bytes()).for_each(&mut eat);
    tensor.double_data.iter().flat_map(|v| v.to_le_bytes()).for_each(&mut eat);
    tensor.uint64_data.iter().flat_map(|v| v.to_le_bytes()).for_each(&mut eat);
    format!("type {} {:?} {:016x}", tensor.data_type.unwrap_or(0), tensor.dims, hash)
}
