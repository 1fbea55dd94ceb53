//! The float type of every tensor: the reference keeps all floats in float64 and does not know what they were.

use std::collections::HashMap;

use crate::onnx::tensor_proto::DataType;
use crate::onnx::{GraphProto, ModelProto, NodeProto, TensorProto};

use super::precision::Precision;
use super::signature::Port;

/// Float types by tensor name, as the operators of the main graph give them.
pub(super) struct Widths {
    known: HashMap<String, Precision>,
    /// The type of floats that nothing tells.
    usual: Precision,
}

impl Widths {
    /// Follows the nodes of `model` in order. What is no float has no entry.
    pub(super) fn new(model: &ModelProto) -> Self {
        let usual = Precision::of_model(model);
        let mut widths = Self { known: HashMap::new(), usual };
        let Some(graph) = &model.graph else { return widths };
        let declared = |t: &TensorProto| DataType::try_from(t.data_type()).ok().and_then(Precision::of);
        let mut add = |name: &str, precision: Option<Precision>| {
            if let Some(p) = precision {
                widths.known.insert(name.to_owned(), p);
            }
        };
        graph.input.iter().for_each(|i| add(i.name(), Port::new(i).dtype.and_then(Precision::of)));
        graph.initializer.iter().for_each(|t| add(t.name(), declared(t)));
        for node in &graph.node {
            let width = widths.given(node);
            for (slot, output) in node.output.iter().enumerate().filter(|(_, o)| !o.is_empty()) {
                // Bodies may give any type; the graph may say which.
                let of_body = || says(graph, output).unwrap_or(usual);
                let width = if width.is_none() && slot == 0 { of_body() } else { width.unwrap_or(usual) };
                widths.known.insert(output.clone(), width);
            }
        }
        widths
    }

    /// The type of `name`.
    pub(super) fn of(&self, name: &str) -> Precision {
        self.known.get(name).copied().unwrap_or(self.usual)
    }

    /// The type that `node` computes in: stated by an attribute, else that of its first float input.
    fn given(&self, node: &NodeProto) -> Option<Precision> {
        let attribute = |name: &str| node.attribute.iter().find(|a| a.name() == name);
        let stated = ["to", "dtype", "output_dtype"].iter().find_map(|n| attribute(n)).and_then(|a| a.i);
        if let Some(stated) = stated.filter(|t| *t != 0) {
            return i32::try_from(stated).ok().and_then(|t| DataType::try_from(t).ok()).and_then(Precision::of);
        }
        if let Some(value) = attribute("value").and_then(|a| a.t.as_ref()) {
            return DataType::try_from(value.data_type()).ok().and_then(Precision::of);
        }
        // The type of a `CastLike` is that of its second input.
        let skip = usize::from(node.op_type() == "CastLike");
        node.input.iter().skip(skip).find_map(|i| self.known.get(i)).copied()
    }
}

/// The float type that `graph` declares for `name`.
fn says(graph: &GraphProto, name: &str) -> Option<Precision> {
    let info = graph.output.iter().chain(&graph.value_info).find(|v| v.name() == name)?;
    Port::new(info).dtype.and_then(Precision::of)
}
