//! Operators that are defined by others, written out. A node that is not covered, by its operator or by how it is used, stays as
//! it is; nothing then knows it, and the error names it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::graph::{Body, Definition, definition, int};
use crate::onnx::tensor_proto::DataType;
use crate::onnx::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, type_proto,
};

use super::scope::subgraphs;

/// What is known where nodes stand.
#[derive(Clone)]
struct Around<'m> {
    /// Domain and name of the model's own functions, which are called whatever their name says.
    local: &'m HashSet<(&'m str, &'m str)>,
    /// The element types of inputs and constants by name, in the graph and those around it.
    types: HashMap<&'m str, i32>,
}

/// `model` with these operators written out, in subgraphs and functions too.
pub(super) fn expanded(model: &ModelProto) -> Cow<'_, ModelProto> {
    let local = model.functions.iter().map(|f| (f.domain(), f.name())).collect();
    let around = Around { local: &local, types: HashMap::new() };
    let main = model.graph.iter().flat_map(|g| &g.node);
    if !main.chain(model.functions.iter().flat_map(|f| &f.node)).any(|n| around.changes(n)) {
        return Cow::Borrowed(model);
    }
    let of_function = |f: &FunctionProto| FunctionProto { node: around.nodes(&f.node), ..f.clone() };
    Cow::Owned(ModelProto {
        graph: model.graph.as_ref().map(|g| around.graph(g)),
        functions: model.functions.iter().map(of_function).collect(),
        ..model.clone()
    })
}

impl Around<'_> {
    fn definition(&self, node: &NodeProto) -> Option<Definition> {
        let local = self.local.contains(&(node.domain(), node.op_type()));
        if local { None } else { definition(node) }
    }

    /// True for a node that is written out, or that holds one in its subgraphs.
    fn changes(&self, node: &NodeProto) -> bool {
        self.definition(node).is_some()
            || matches!(node.op_type(), "QuantizeLinear" | "CastLike")
            || subgraphs(node).flat_map(|g| &g.node).any(|n| self.changes(n))
    }

    fn graph(&self, graph: &GraphProto) -> GraphProto {
        let mut types = self.types.clone();
        types.extend(graph.input.iter().filter_map(|i| Some((i.name(), declared(i)?))));
        types.extend(graph.initializer.iter().map(|t| (t.name(), t.data_type())));
        GraphProto { node: Around { local: self.local, types }.nodes(&graph.node), ..graph.clone() }
    }

    fn nodes(&self, nodes: &[NodeProto]) -> Vec<NodeProto> {
        let mut types = self.types.clone();
        for node in nodes {
            if let Some(dtype) = given(node, &types) {
                types.extend(node.output.first().map(|o| (o.as_str(), dtype)));
            }
        }
        let here = Around { local: self.local, types };
        let mut all = Vec::with_capacity(nodes.len());
        for node in nodes {
            let mut body = Body::new(node);
            match self.definition(node) {
                Some(define) if define(node, &mut body).is_some() => all.append(&mut body.nodes),
                None if subgraphs(node).next().is_some() => all.push(here.with_subgraphs(node)),
                _ => all.push(node.clone()),
            }
        }
        all.into_iter().map(|n| here.typed(n)).collect()
    }

    fn with_subgraphs(&self, node: &NodeProto) -> NodeProto {
        let of = |a: &AttributeProto| AttributeProto {
            g: a.g.as_ref().map(|g| self.graph(g)),
            graphs: a.graphs.iter().map(|g| self.graph(g)).collect(),
            ..a.clone()
        };
        NodeProto { attribute: node.attribute.iter().map(of).collect(), ..node.clone() }
    }

    /// `QuantizeLinear` and `CastLike` say themselves what type they give: a value here does not know its own.
    fn typed(&self, mut node: NodeProto) -> NodeProto {
        let like = node.input.get(1).and_then(|like| self.types.get(like.as_str()).copied());
        if let Some(to) = like.filter(|_| node.op_type() == "CastLike") {
            node.op_type = Some("Cast".to_owned());
            node.input.truncate(1);
            node.attribute.push(int("to", i64::from(to)));
            return node;
        }
        let said = node.attribute.iter().any(|a| a.name() == "output_dtype" && a.i() != 0);
        if node.op_type() != "QuantizeLinear" || said {
            return node;
        }
        let zero = node.input.get(2).filter(|i| !i.is_empty());
        let dtype = zero.map_or(Some(DataType::Uint8 as i32), |zero| self.types.get(zero.as_str()).copied());
        if let Some(dtype) = dtype {
            node.attribute.retain(|a| a.name() != "output_dtype");
            node.attribute.push(int("output_dtype", i64::from(dtype)));
        }
        node
    }
}

/// The element type of the first output of `node`, for what zero points and the types of casts come from.
fn given(node: &NodeProto, types: &HashMap<&str, i32>) -> Option<i32> {
    match node.op_type() {
        "Constant" => node.attribute.iter().find_map(|a| a.t.as_ref()).map(TensorProto::data_type),
        "Cast" => i32::try_from(node.attribute.iter().find(|a| a.name() == "to")?.i?).ok(),
        "CastLike" => types.get(node.input.get(1)?.as_str()).copied(),
        "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" => types.get(node.input.first()?.as_str()).copied(),
        _ => None,
    }
}

/// The element type that an input says it has.
fn declared(info: &ValueInfoProto) -> Option<i32> {
    match info.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(t) => t.elem_type.filter(|t| *t != 0),
        _ => None,
    }
}
