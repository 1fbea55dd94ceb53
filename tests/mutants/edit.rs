//! Finding places in a model, and changing them.

use std::collections::HashSet;

use ndarray::ArrayD;
use onnx_rm::facts::tensor::{read_f64, write};
use onnx_rm::onnx::attribute_proto::AttributeType;
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, type_proto};

use crate::common::{Build, Rng};

/// What a plant says of itself: the node and what was done there. `None`: the model has no place for it.
pub type Words = Option<String>;

pub fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

/// `0..n` in random order.
pub fn shuffled(n: usize, rng: &mut Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, rng.below(i + 1));
    }
    order
}

/// Two different numbers below `n`.
pub fn two(n: usize, rng: &mut Rng) -> Option<(usize, usize)> {
    let order = shuffled(n, rng);
    Some((*order.first()?, *order.get(1)?))
}

fn is_plain(node: &NodeProto) -> bool {
    matches!(node.domain(), "" | "ai.onnx")
}

/// The nodes of the main graph whose operator is one of `ops`, in random order; `[]` stands for all.
pub fn places(model: &ModelProto, rng: &mut Rng, ops: &[&str]) -> Vec<usize> {
    let nodes = &model.graph.as_ref().unwrap().node;
    let fits = |n: &NodeProto| is_plain(n) && (ops.is_empty() || ops.contains(&n.op_type()));
    let live = live(model);
    shuffled(nodes.len(), rng).into_iter().filter(|i| live[*i] && fits(&nodes[*i])).collect()
}

/// Which nodes of the main graph an output depends on.
fn live(model: &ModelProto) -> Vec<bool> {
    let graph = model.graph.as_ref().unwrap();
    let mut read: HashSet<&str> = graph.output.iter().map(|o| o.name()).collect();
    let mut live = vec![false; graph.node.len()];
    for (index, node) in graph.node.iter().enumerate().rev() {
        if node.output.iter().any(|o| read.contains(o.as_str())) {
            live[index] = true;
            read.extend(node.input.iter().map(String::as_str));
            let inside = node.attribute.iter().filter_map(|a| a.g.as_ref()).flat_map(|g| &g.node);
            read.extend(inside.flat_map(|n| &n.input).map(String::as_str));
        }
    }
    live
}

pub fn at(node: &NodeProto, what: &str) -> String {
    format!("'{}' ({}): {what}", node.output.first().map_or("", |o| o), node.op_type())
}

/// Changes the first node, in random order, for which `change` says that it did: in words.
pub fn node(
    model: &mut ModelProto,
    rng: &mut Rng,
    ops: &[&str],
    change: impl Fn(&mut NodeProto, &ModelProto, &mut Rng) -> Words,
) -> Words {
    for index in places(model, rng, ops) {
        let mut node = model.graph.as_ref()?.node[index].clone();
        if let Some(words) = change(&mut node, model, rng) {
            let place = &mut graph(model).node[index];
            if *place != node {
                let words = at(place, &words);
                *place = node;
                return Some(words);
            }
        }
    }
    None
}

/// The constant called `name`: an initializer, or the value of a `Constant`.
pub fn tensor<'a>(model: &'a ModelProto, name: &str) -> Option<&'a TensorProto> {
    let graph = model.graph.as_ref()?;
    let constants = graph.node.iter().filter(|n| n.op_type() == "Constant" && n.output.iter().any(|o| o == name));
    let values = constants.filter_map(|n| n.attribute.iter().find(|a| a.name() == "value")?.t.as_ref());
    graph.initializer.iter().filter(|t| t.name() == name).chain(values).next()
}

fn tensor_mut<'a>(model: &'a mut ModelProto, name: &str) -> Option<&'a mut TensorProto> {
    let graph = model.graph.as_mut()?;
    if let Some(found) = graph.initializer.iter_mut().find(|t| t.name() == name) {
        return Some(found);
    }
    let constant = graph.node.iter_mut().find(|n| n.op_type() == "Constant" && n.output.iter().any(|o| o == name))?;
    constant.attribute.iter_mut().find(|a| a.name() == "value")?.t.as_mut()
}

/// The numbers of the constant called `name`.
pub fn values(model: &ModelProto, name: &str) -> Option<ArrayD<f64>> {
    read_f64(tensor(model, name)?).ok()
}

/// Gives the constant called `name` other numbers, in its own element type.
pub fn store(model: &mut ModelProto, name: &str, values: &ArrayD<f64>) -> Option<()> {
    let place = tensor_mut(model, name)?;
    let old = std::mem::take(place);
    *place = written(&old, values);
    Some(())
}

/// `values` in the name and element type of `old`.
pub fn written(old: &TensorProto, values: &ArrayD<f64>) -> TensorProto {
    let dtype = DataType::try_from(old.data_type.unwrap_or(1)).unwrap();
    let raw: Vec<u8> = match dtype {
        DataType::Int64 => values.iter().flat_map(|v| (*v as i64).to_le_bytes()).collect(),
        DataType::Int32 => values.iter().flat_map(|v| (*v as i32).to_le_bytes()).collect(),
        DataType::Int8 => values.iter().map(|v| *v as i8 as u8).collect(),
        DataType::Uint8 | DataType::Bool => values.iter().map(|v| *v as u8).collect(),
        _ => return write(old.name(), values, dtype),
    };
    TensorProto {
        name: old.name.clone(),
        dims: values.shape().iter().map(|d| *d as i64).collect(),
        data_type: old.data_type,
        raw_data: Some(raw.into()),
        ..TensorProto::default()
    }
}

/// Changes the numbers of input `slot` of a node among `ops`, the first in random order for which `change` says that it did.
pub fn constant(
    model: &mut ModelProto,
    rng: &mut Rng,
    ops: &[&str],
    slot: usize,
    change: impl Fn(&mut ArrayD<f64>, &NodeProto, &mut Rng) -> Words,
) -> Words {
    for index in places(model, rng, ops) {
        let node = model.graph.as_ref()?.node[index].clone();
        let Some(name) = node.input.get(slot) else { continue };
        let Some(old) = values(model, name) else { continue };
        let mut new = old.clone();
        if let Some(words) = change(&mut new, &node, rng)
            && new != old
        {
            store(model, name, &new)?;
            return Some(at(&node, &words));
        }
    }
    None
}

/// [`constant`] for whatever an operator is weighted with.
pub fn weight(
    model: &mut ModelProto,
    rng: &mut Rng,
    change: impl Fn(&mut ArrayD<f64>, &NodeProto, &mut Rng) -> Words,
) -> Words {
    constant(model, rng, &["Conv", "Gemm", "MatMul", "ConvTranspose"], 1, change)
}

pub fn find<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|a| a.name() == name)
}

pub fn list(node: &NodeProto, name: &str) -> Vec<i64> {
    find(node, name).map(|a| a.ints.clone()).unwrap_or_default()
}

pub fn integer(node: &NodeProto, name: &str, default: i64) -> i64 {
    find(node, name).map_or(default, |a| a.i())
}

pub fn number(node: &NodeProto, name: &str, default: f32) -> f32 {
    find(node, name).map_or(default, |a| a.f())
}

pub fn text(node: &NodeProto, name: &str) -> String {
    find(node, name).map(|a| String::from_utf8_lossy(a.s()).into_owned()).unwrap_or_default()
}

/// Sets an attribute, whether it is there or not.
pub fn set(node: &mut NodeProto, attribute: AttributeProto) {
    match node.attribute.iter_mut().find(|a| a.name() == attribute.name()) {
        // What is only said again must not look like a change.
        Some(old) => *old = AttributeProto { doc_string: old.doc_string.take(), ..attribute },
        None => node.attribute.push(attribute),
    }
}

/// Another operator in its place: `inputs` of its inputs, and other attributes.
pub fn turn_into(node: &mut NodeProto, op: &str, inputs: usize, attributes: Vec<AttributeProto>) {
    node.op_type = Some(op.to_owned());
    node.input.truncate(inputs);
    node.attribute = attributes;
}

pub fn opset(model: &ModelProto) -> i64 {
    let plain = model.opset_import.iter().filter(|o| matches!(o.domain(), "" | "ai.onnx"));
    plain.map(|o| o.version.unwrap_or(1)).max().unwrap_or(1)
}

/// The graph inputs that must be given.
pub fn ports(graph: &GraphProto) -> Vec<&ValueInfoProto> {
    graph.input.iter().filter(|i| graph.initializer.iter().all(|t| t.name() != i.name())).collect()
}

/// Element type and shape of a graph input or output; `None` for a size that is free.
pub fn typed(info: &ValueInfoProto) -> Option<(DataType, Vec<Option<usize>>)> {
    use onnx_rm::onnx::tensor_shape_proto::dimension::Value::DimValue;
    let Some(type_proto::Value::TensorType(t)) = info.r#type.as_ref()?.value.as_ref() else { return None };
    let size = |v: &Option<_>| match v {
        Some(DimValue(n)) if *n > 0 => Some(*n as usize),
        _ => None,
    };
    let dims = t.shape.as_ref()?.dim.iter().map(|d| size(&d.value)).collect();
    Some((DataType::try_from(t.elem_type()).ok()?, dims))
}

/// A float input with its free axes, in random order of the inputs.
pub fn float_inputs(model: &ModelProto, rng: &mut Rng) -> Vec<(String, Vec<Option<usize>>)> {
    let ports = ports(model.graph.as_ref().unwrap());
    let order = shuffled(ports.len(), rng).into_iter();
    let typed = order.filter_map(|i| typed(ports[i]).map(|(dtype, dims)| (ports[i].name().to_owned(), dtype, dims)));
    typed.filter(|(_, dtype, _)| *dtype == DataType::Float).map(|(name, _, dims)| (name, dims)).collect()
}

/// A tensor of floats that a layer gives.
pub fn layer_output(model: &ModelProto, rng: &mut Rng) -> Option<String> {
    if float_inputs(model, rng).is_empty() {
        return None;
    }
    let layers = ["Conv", "BatchNormalization", "Relu", "Gemm", "Add", "MatMul", "Clip", "LeakyRelu"];
    let nodes = &model.graph.as_ref()?.node;
    places(model, rng, &layers).first().map(|i| nodes[*i].output[0].clone())
}

/// Puts what `write` writes behind `tensor`: everything that reads it then reads that.
pub fn behind(model: &mut ModelProto, tensor: &str, write: impl FnOnce(&mut Build, &str) -> String) {
    let mut build = Build::new(0);
    let before = format!("{tensor}_before");
    let graph = graph(model);
    let producer = graph.node.iter().position(|n| n.output.iter().any(|o| o == tensor));
    let source = if producer.is_some() { before.as_str() } else { tensor };
    let last = write(&mut build, source);
    // The names of `Build` may be taken.
    let made: Vec<String> = build.graph.node.iter().flat_map(|n| n.output.clone()).collect();
    let inits: Vec<String> = build.graph.initializer.iter().map(|t| t.name().to_owned()).collect();
    let rename = |name: &mut String| {
        if producer.is_some() && *name == last {
            *name = tensor.to_owned();
        } else if made.contains(name) || inits.contains(name) {
            *name = format!("wrong_{name}");
        }
    };
    for node in &mut build.graph.node {
        node.name = node.name.as_ref().map(|n| format!("wrong_{n}"));
        node.input.iter_mut().chain(&mut node.output).for_each(rename);
    }
    for tensor in &mut build.graph.initializer {
        tensor.name.iter_mut().for_each(rename);
    }
    let at = match producer {
        Some(at) => {
            graph.node[at].output.iter_mut().filter(|o| *o == tensor).for_each(|o| o.clone_from(&before));
            at + 1
        }
        None => {
            let mut result = last.clone();
            rename(&mut result);
            let readers = graph.node.iter_mut().flat_map(|n| &mut n.input);
            readers.filter(|i| *i == tensor).for_each(|i| i.clone_from(&result));
            0
        }
    };
    graph.initializer.append(&mut build.graph.initializer);
    graph.node.splice(at..at, build.graph.node);
}

/// An attribute that is a graph.
pub fn is_graph(attribute: &AttributeProto) -> bool {
    attribute.r#type == Some(AttributeType::Graph as i32)
}
