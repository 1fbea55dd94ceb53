//! Edges of the graph, and its outputs.

use onnx_rm::onnx::ModelProto;

use crate::common::Rng;
use crate::mutants::edit::{Words, at, behind, float_inputs, graph, places, shuffled, tensor, typed};
use crate::mutants::mutation::{Mutation, kind};

pub const KINDS: &[Mutation] = &[
    kind("shortcut dropped", |m, r| {
        join(m, r, |n, keep| {
            n.op_type = Some("Identity".into());
            n.input = vec![n.input[keep].clone()];
            Some(format!("only its input {keep}"))
        })
    }),
    kind("one side of a join twice", |m, r| {
        join(m, r, |n, keep| {
            n.input = vec![n.input[keep].clone(), n.input[keep].clone()];
            Some(format!("input {keep} twice"))
        })
    }),
    kind("shortcut added twice", |m, r| {
        let index = joins(m, r).into_iter().next()?;
        let node = m.graph.as_ref()?.node[index].clone();
        let side = node.input[r.below(2)].clone();
        behind(m, &node.output[0], |b, y| b.add(y, &side));
        Some(at(&node, &format!("'{side}' once more")))
    }),
    kind("shortcut from another tensor", |m, r| {
        let index = joins(m, r).into_iter().next()?;
        rewired(m, r, index)
    }),
    kind("a tensor for an earlier one of the same shape", |m, r| {
        places(m, r, &["Conv", "Relu", "Mul", "Sigmoid", "LeakyRelu", "BatchNormalization", "Clip"])
            .into_iter()
            .find_map(|index| rewired(m, r, index))
    }),
    kind("an operator dropped", |m, r| {
        let ops = [
            "Sigmoid",
            "Tanh",
            "LeakyRelu",
            "PRelu",
            "Softmax",
            "HardSwish",
            "Gelu",
            "Elu",
            "Clip",
            "Neg",
            "Abs",
            "Exp",
            "Sqrt",
            "Erf",
            "Floor",
        ];
        crate::mutants::edit::node(m, r, &ops, |n, _, _| {
            let words = format!("no {}", n.op_type());
            crate::mutants::edit::turn_into(n, "Identity", 1, vec![]);
            Some(words)
        })
    })
    .open("a Clip whose bounds no input reaches"),
    kind("an operator done twice", |m, r| {
        let index =
            *places(m, r, &["Sigmoid", "Tanh", "LeakyRelu", "HardSwish", "Gelu", "Elu", "Neg", "Softmax"]).first()?;
        let node = m.graph.as_ref()?.node[index].clone();
        behind(m, &node.output[0], |b, y| b.node(node.op_type(), &[y], node.attribute.clone()));
        Some(at(&node, "twice"))
    }),
    kind("outputs exchanged", |m, _| {
        let outputs = &m.graph.as_ref()?.output;
        let pairs = (0..outputs.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        let alike =
            |(i, j): &(usize, usize)| typed(&outputs[*i]).is_some() && typed(&outputs[*i]) == typed(&outputs[*j]);
        let (i, j) = pairs.into_iter().find(alike).or((outputs.len() == 2).then_some((0, 1)))?;
        let names = [outputs[i].name().to_owned(), outputs[j].name().to_owned()];
        let computed = |n: &String| m.graph.as_ref().unwrap().node.iter().any(|node| node.output.contains(n));
        names.iter().all(computed).then_some(())?;
        for node in &mut graph(m).node {
            for name in node.input.iter_mut().chain(&mut node.output) {
                if let Some(at) = names.iter().position(|n| n == name) {
                    name.clone_from(&names[1 - at]);
                }
            }
        }
        Some(format!("'{}' and '{}' exchanged", names[0], names[1]))
    }),
    kind("only one output of several", |m, r| {
        let outputs = &m.graph.as_ref()?.output;
        let float = |o: &&onnx_rm::onnx::ValueInfoProto| {
            let declared = o.r#type.as_ref().and_then(|t| t.value.as_ref());
            matches!(declared, Some(onnx_rm::onnx::type_proto::Value::TensorType(t)) if t.elem_type == Some(1))
        };
        let floats: Vec<String> = outputs.iter().filter(float).map(|o| o.name().to_owned()).collect();
        let name = floats.get(r.below(floats.len().max(1))).filter(|_| outputs.len() > 1)?.clone();
        behind(m, &name, |b, y| {
            let k = b.scalar(1.001);
            b.node("Mul", &[y, &k], vec![])
        });
        Some(format!("output '{name}' times 1.001"))
    }),
    kind("one channel of an output off", |m, _| {
        let input = float_inputs(m, &mut Rng(0));
        let name = m
            .graph
            .as_ref()?
            .output
            .iter()
            .find(|o| typed(o).is_some_and(|(_, d)| d.len() > 1))
            .map(|o| o.name().to_owned())?;
        let (_, dims) = typed(m.graph.as_ref()?.output.iter().find(|o| o.name() == name)?)?;
        let channels = dims[1].filter(|_| !input.is_empty())?;
        behind(m, &name, |b, y| {
            let mut shape = vec![1; dims.len()];
            shape[1] = channels;
            let mut factors = vec![1.0; channels];
            factors[channels - 1] = 1.01;
            let k = b.floats(&shape, factors);
            b.node("Mul", &[y, &k], vec![])
        });
        Some(format!("the last channel of output '{name}' times 1.01"))
    }),
];

/// Sums of two tensors of data.
fn joins(m: &ModelProto, r: &mut Rng) -> Vec<usize> {
    let data = |i: &usize| {
        let node = &m.graph.as_ref().unwrap().node[*i];
        node.input.len() == 2 && node.input[0] != node.input[1] && node.input.iter().all(|i| tensor(m, i).is_none())
    };
    places(m, r, &["Add", "Sum"]).into_iter().filter(data).collect()
}

fn join(m: &mut ModelProto, r: &mut Rng, change: fn(&mut onnx_rm::onnx::NodeProto, usize) -> Words) -> Words {
    let index = joins(m, r).into_iter().next()?;
    let node = &mut graph(m).node[index];
    let words = change(node, r.below(2))?;
    Some(at(node, &words))
}

/// The first input of a node from another tensor before it that has as many entries, as far as an evaluation knows.
fn rewired(m: &mut ModelProto, r: &mut Rng, index: usize) -> Words {
    let feed = crate::mutants::feeds::feeds(m, 1).into_iter().next()?;
    let trace = onnx_rm::verify::reference::run(m, &feed).ok()?;
    let nodes = &m.graph.as_ref()?.node;
    let node = nodes[index].clone();
    let slot = r.below(node.input.len().min(if node.op_type() == "Add" { 2 } else { 1 }));
    let old = trace.get(&node.input[slot])?;
    let earlier: Vec<&String> = nodes[..index].iter().flat_map(|n| &n.output).collect();
    let alike = |name: &&String| {
        let other = trace.get(name);
        **name != node.input[slot]
            && other.is_some_and(|v| v.shape() == old.shape() && v.floats().is_some() && v != old)
    };
    let order = shuffled(earlier.len(), r);
    let other = order.into_iter().map(|i| earlier[i]).find(alike)?.clone();
    let place = &mut graph(m).node[index];
    place.input[slot].clone_from(&other);
    Some(at(place, &format!("reads '{other}' instead of '{}'", node.input[slot])))
}
