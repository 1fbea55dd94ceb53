//! A model as exporters of channels-last frameworks write it: a `Transpose` on both sides of what knows channels on axis 1 alone, and
//! everything else on tensors with their channels behind.
#![allow(dead_code, clippy::unwrap_used, missing_docs, unreachable_pub)]

use std::collections::BTreeSet;

use onnx_rm::facts::{Facts, Padding, tensor};
use onnx_rm::graph::{GraphView, NodeId, ValueId};
use onnx_rm::onnx::{ModelProto, NodeProto, TensorProto, tensor_shape_proto, type_proto};

use super::build::{int, ints};

/// Operators that are left to tensors with their channels behind, and change by their axes at most.
const FREE: &[&str] = &[
    "Relu",
    "LeakyRelu",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Tanh",
    "Elu",
    "Softplus",
    "Erf",
    "Exp",
    "Sqrt",
    "Neg",
    "Abs",
    "Clip",
    "Identity",
    "Dropout",
    "Cast",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Max",
    "Min",
    "Sum",
    "Where",
    "PRelu",
    "Pow",
    "Concat",
    "Split",
    "ReduceMean",
    "ReduceMax",
    "ReduceSum",
    "Slice",
    "Pad",
    "Greater",
    "Less",
];

struct Writer<'a> {
    view: &'a GraphView<'a>,
    facts: &'a Facts<'a>,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    turned: BTreeSet<String>,
}

/// `model` with the channels of every tensor of data with three axes or more behind, those of its inputs and outputs as well.
pub fn channels_last(model: &ModelProto) -> ModelProto {
    let view = GraphView::new(model).unwrap();
    let facts = Facts::new(&view);
    let mut writer =
        Writer { view: &view, facts: &facts, nodes: Vec::new(), constants: Vec::new(), turned: BTreeSet::new() };
    view.nodes().for_each(|node| writer.node(node));
    let (nodes, constants) = (writer.nodes, writer.constants);
    let is_map = |name: &str| view.value(name).is_some_and(|v| writer_rank(&facts, v).is_some());
    let mut last = model.clone();
    let graph = last.graph.as_mut().unwrap();
    graph.node = nodes;
    graph.initializer.extend(constants);
    for info in graph.input.iter_mut().chain(&mut graph.output).filter(|info| is_map(info.name())) {
        let Some(type_proto::Value::TensorType(t)) = info.r#type.as_mut().and_then(|t| t.value.as_mut()) else {
            continue;
        };
        let Some(shape) = &mut t.shape else { continue };
        shape.dim = to_last::<tensor_shape_proto::Dimension>(&shape.dim);
    }
    graph.value_info.clear();
    last
}

/// Axes of a tensor whose channels stand behind.
fn writer_rank(facts: &Facts<'_>, value: ValueId) -> Option<usize> {
    facts.rank(value).filter(|rank| *rank > 2 && facts.is_data(value))
}

/// `[N, C, ...]` as `[N, ..., C]`.
fn to_last<T: Clone>(list: &[T]) -> Vec<T> {
    [&list[..1], &list[2..], &list[1..2]].concat()
}

fn there(axis: usize, rank: usize) -> i64 {
    match axis {
        0 => 0,
        1 => rank as i64 - 1,
        _ => axis as i64 - 1,
    }
}

impl Writer<'_> {
    fn node(&mut self, node: NodeId) {
        let copy = self.view.node(node).clone();
        match self.free(node, copy.clone()) {
            Some(free) => self.nodes.push(free),
            None => self.between(node, copy),
        }
    }

    fn ports(&self, node: NodeId) -> Vec<ValueId> {
        self.view
            .inputs(node)
            .iter()
            .chain(self.view.outputs(node))
            .flatten()
            .copied()
            .filter(|v| self.facts.is_data(*v))
            .collect()
    }

    /// `node` on tensors with their channels behind; `None` when it cannot be written so.
    fn free(&mut self, node: NodeId, mut copy: NodeProto) -> Option<NodeProto> {
        let op = self.view.op(node);
        let ports = self.ports(node);
        let rank = writer_rank(self.facts, *ports.first()?)?;
        let alike = ports.iter().all(|v| writer_rank(self.facts, *v) == Some(rank));
        if !FREE.contains(&op) || !alike {
            return None;
        }
        let place = |axis: i64| there(if axis < 0 { axis + rank as i64 } else { axis } as usize, rank);
        let attribute = |copy: &NodeProto, name: &str| copy.attribute.iter().position(|a| a.name() == name);
        match op {
            "Concat" | "Split" => {
                let at = attribute(&copy, "axis")?;
                let axis = place(copy.attribute[at].i?);
                copy.attribute[at] = int("axis", axis);
            }
            "ReduceMean" | "ReduceMax" | "ReduceSum" => match attribute(&copy, "axes") {
                Some(at) => {
                    copy.attribute[at] =
                        ints("axes", &copy.attribute[at].ints.iter().map(|a| place(*a)).collect::<Vec<_>>())
                }
                None => self.axes(node, &mut copy, 1, &place)?,
            },
            "Slice" => self.axes(node, &mut copy, 3, &place)?,
            "Pad" => {
                let pads = to_last(&Padding::new(self.view, self.facts, node)?.axes);
                let list: Vec<i64> = pads.iter().map(|p| p.0).chain(pads.iter().map(|p| p.1)).collect();
                let name = self.list(&copy, &list);
                copy.input[1] = name;
            }
            _ => {
                for slot in 0..copy.input.len() {
                    let Some(value) = self.view.input(node, slot).filter(|v| !self.facts.is_data(*v)) else { continue };
                    copy.input[slot] = self.turned(value, rank)?;
                }
            }
        }
        Some(copy)
    }

    fn axes(&mut self, node: NodeId, copy: &mut NodeProto, slot: usize, place: &dyn Fn(i64) -> i64) -> Option<()> {
        let axes = self.facts.constant(self.view.input(node, slot)?)?;
        let list: Vec<i64> = axes.data.iter().map(|a| place(*a as i64)).collect();
        copy.input[slot] = self.list(copy, &list);
        Some(())
    }

    fn list(&mut self, node: &NodeProto, list: &[i64]) -> String {
        let name = format!("{}_last", node.name());
        self.constants.push(TensorProto {
            name: Some(name.clone()),
            dims: vec![list.len() as i64],
            data_type: Some(7),
            int64_data: list.to_vec(),
            ..TensorProto::default()
        });
        name
    }

    /// The constant `value`, which broadcasts against a tensor of `rank` axes. One value a channel is a plain list.
    fn turned(&mut self, value: ValueId, rank: usize) -> Option<String> {
        let name = self.view.name(value);
        let constant = self.facts.constant(value)?;
        let shape = constant.data.shape();
        if constant.data.len() == 1 {
            return Some(name.to_owned());
        }
        if shape.len() > rank {
            return None;
        }
        let new = format!("{name}_last");
        if self.turned.insert(new.clone()) {
            let padded: Vec<usize> = std::iter::repeat_n(1, rank - shape.len()).chain(shape.iter().copied()).collect();
            let perm: Vec<usize> = to_last(&(0..rank).collect::<Vec<_>>());
            let data = constant.data.to_shape(padded).unwrap().permuted_axes(perm).as_standard_layout().into_owned();
            let channels = data.shape()[rank - 1];
            let data = if data.len() == channels { data.into_shape_with_order(vec![channels]).unwrap() } else { data };
            self.constants.push(tensor::write_back(&new, &data, constant.dtype)?);
        }
        Some(new)
    }

    /// `node` as it is, with a `Transpose` before and behind.
    fn between(&mut self, node: NodeId, mut copy: NodeProto) {
        for slot in 0..copy.input.len() {
            let Some(rank) = self.view.input(node, slot).and_then(|v| writer_rank(self.facts, v)) else { continue };
            let perm: Vec<i64> = [0, rank as i64 - 1].into_iter().chain(1..rank as i64 - 1).collect();
            let name = format!("{}_in{slot}", copy.name());
            let input = std::mem::replace(&mut copy.input[slot], name.clone());
            self.transpose(&input, &name, perm);
        }
        let mut behind = Vec::new();
        for (value, output) in self.view.outputs(node).iter().zip(&mut copy.output) {
            let Some(rank) = value.and_then(|v| writer_rank(self.facts, v)) else { continue };
            let perm: Vec<i64> = [0].into_iter().chain(2..rank as i64).chain([1]).collect();
            let name = format!("{output}_first");
            behind.push((name.clone(), std::mem::replace(output, name), perm));
        }
        self.nodes.push(copy);
        behind.into_iter().for_each(|(input, output, perm)| self.transpose(&input, &output, perm));
    }

    fn transpose(&mut self, input: &str, output: &str, perm: Vec<i64>) {
        self.nodes.push(NodeProto {
            name: Some(format!("{output}_transpose")),
            op_type: Some("Transpose".into()),
            input: vec![input.to_owned()],
            output: vec![output.to_owned()],
            attribute: vec![ints("perm", &perm)],
            ..NodeProto::default()
        });
    }
}
