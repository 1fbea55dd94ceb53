//! Activations.

use ndarray::Axis;
use onnx_rm::facts::tensor::read_f64;
use onnx_rm::onnx::{ModelProto, NodeProto};

use crate::common::{Rng, float, int, string};
use crate::mutants::edit::{
    Words, at, behind, constant, find, graph, node, number, opset, places, set, tensor, text, turn_into,
};
use crate::mutants::mutation::{Mutation, kind};

pub const KINDS: &[Mutation] = &[
    kind("Relu dropped", |m, r| turned(m, r, &["Relu"], "Identity", 1, |_| vec![])).harmless(behind_nothing_negative),
    kind("Relu as LeakyRelu", |m, r| turned(m, r, &["Relu"], "LeakyRelu", 1, |_| vec![float("alpha", 0.01)]))
        .hidden("a hundredth of what is negative may lie within rounding")
        .harmless(behind_nothing_negative),
    kind("Relu as Abs", |m, r| turned(m, r, &["Relu"], "Abs", 1, |_| vec![])).harmless(behind_nothing_negative),
    kind("Relu bounded by 6", |m, r| clipped(m, r, 6.0))
        .hidden("the tensor may never be that large")
        .open("no input drives the tensor beyond 6"),
    kind("Relu bounded by 100", |m, r| clipped(m, r, 100.0))
        .hidden("the tensor may never be that large")
        .open("no input drives the tensor beyond 100"),
    kind("Clip as Relu", |m, r| turned(m, r, &["Clip"], "Relu", 1, |_| vec![]))
        .hidden("the tensor may never be that large")
        .open("no input drives the tensor to its upper bound"),
    kind("slope of a LeakyRelu", |m, r| by_a_tenth(m, r, &["LeakyRelu"], "alpha", 0.01))
        .harmless(behind_nothing_negative),
    kind("slope of one channel", |m, r| {
        constant(m, r, &["PRelu"], 1, |s, _, r| {
            let i = r.below(s.len());
            s.iter_mut().skip(i).take(1).for_each(|v| *v += 0.01);
            Some(format!("slope {i} off by a hundredth"))
        })
    })
    .hidden("the channel may never be negative")
    .harmless(behind_nothing_negative),
    kind("slope of a carried channel, 0 and 1", |m, r| {
        constant(m, r, &["PRelu"], 1, |s, _, r| {
            let carried: Vec<usize> =
                s.iter().enumerate().filter(|(_, v)| **v == 0.0 || **v == 1.0).map(|(i, _)| i).collect();
            let i = *carried.get(r.below(carried.len().max(1)))?;
            s.iter_mut().skip(i).take(1).for_each(|v| *v = 1.0 - *v);
            Some(format!("slope {i} turned"))
        })
    })
    .hidden("the channel may never be negative")
    .harmless(behind_nothing_negative),
    kind("alpha of a HardSigmoid", |m, r| by_a_tenth(m, r, &["HardSigmoid"], "alpha", 0.2)),
    kind("beta of a HardSigmoid", |m, r| by_a_tenth(m, r, &["HardSigmoid"], "beta", 0.5)),
    kind("HardSwish as Relu", |m, r| turned(m, r, &["HardSwish"], "Relu", 1, |_| vec![])),
    kind("HardSwish as SiLU", |m, r| {
        let index = *places(m, r, &["HardSwish"]).first()?;
        let place = &mut graph(m).node[index];
        let (input, output) = (place.input[0].clone(), place.output[0].clone());
        let words = at(place, "x * Sigmoid(x) in its place");
        turn_into(place, "Identity", 1, vec![]);
        behind(m, &output, |b, y| {
            let s = b.node("Sigmoid", &[&input], vec![]);
            b.node("Mul", &[y, &s], vec![])
        });
        Some(words)
    }),
    kind("Sigmoid as HardSigmoid", |m, r| {
        turned(m, r, &["Sigmoid"], "HardSigmoid", 1, |_| vec![float("alpha", 1.0 / 6.0)])
    }),
    kind("Sigmoid as Softplus", |m, r| turned(m, r, &["Sigmoid"], "Softplus", 1, |_| vec![])),
    kind("Tanh as Sigmoid", |m, r| turned(m, r, &["Tanh"], "Sigmoid", 1, |_| vec![])),
    kind("Tanh as Softsign", |m, r| turned(m, r, &["Tanh"], "Softsign", 1, |_| vec![])),
    kind("Erf as Tanh", |m, r| turned(m, r, &["Erf"], "Tanh", 1, |_| vec![])),
    kind("Softplus as Relu", |m, r| turned(m, r, &["Softplus"], "Relu", 1, |_| vec![])),
    kind("Gelu by tanh, and without", |m, r| {
        node(m, r, &["Gelu"], |n, _, _| {
            let other = if text(n, "approximate") == "tanh" { "none" } else { "tanh" };
            set(n, string("approximate", other));
            Some(format!("approximate {other}"))
        })
    }),
    kind("Gelu as Sigmoid", |m, r| turned(m, r, &["Gelu"], "Sigmoid", 1, |_| vec![])),
    kind("Mish as HardSwish", |m, r| turned(m, r, &["Mish"], "HardSwish", 1, |_| vec![])),
    kind("alpha of an Elu", |m, r| by_a_tenth(m, r, &["Elu", "Celu"], "alpha", 1.0))
        .hidden("the tensor may never be negative")
        .harmless(behind_nothing_negative),
    kind("Elu as Celu of another alpha", |m, r| {
        turned(m, r, &["Elu"], "Celu", 1, |n| vec![float("alpha", number(n, "alpha", 1.0) + 0.5)])
    })
    .hidden("the tensor may never be negative")
    .harmless(behind_nothing_negative),
    kind("gamma of a Selu", |m, r| by_a_tenth(m, r, &["Selu"], "gamma", 1.050_701)),
    kind("alpha of a Swish", |m, r| by_a_tenth(m, r, &["Swish"], "alpha", 1.0))
        .open("tract has no Swish of another alpha"),
    kind("threshold of a ThresholdedRelu", |m, r| by_a_tenth(m, r, &["ThresholdedRelu"], "alpha", 1.0)),
    kind("lambda of a Shrink", |m, r| by_a_tenth(m, r, &["Shrink"], "lambd", 0.5)),
    kind("axis of a Softmax", |m, r| {
        node(m, r, &["Softmax", "LogSoftmax"], |n, _, _| {
            let axis = find(n, "axis").map_or(-1, |a| a.i());
            let other = match axis {
                -1 => -2,
                0 => 1,
                _ => axis - 1,
            };
            set(n, int("axis", other));
            Some(format!("axis {axis} became {other}"))
        })
    }),
    kind("Softmax as LogSoftmax", |m, r| {
        node(m, r, &["Softmax", "LogSoftmax"], |n, _, _| {
            n.op_type = Some(if n.op_type() == "Softmax" { "LogSoftmax" } else { "Softmax" }.into());
            Some("with and without Log exchanged".to_owned())
        })
    }),
    kind("Softmax as Sigmoid", |m, r| turned(m, r, &["Softmax"], "Sigmoid", 1, |_| vec![])),
];

/// Another operator in place of one of `ops`.
fn turned(
    m: &mut ModelProto,
    r: &mut Rng,
    ops: &[&str],
    op: &str,
    inputs: usize,
    attributes: fn(&NodeProto) -> Vec<onnx_rm::onnx::AttributeProto>,
) -> Words {
    if op == "HardSwish" && opset(m) < 14 {
        return None;
    }
    node(m, r, ops, |n, _, _| {
        let attributes = attributes(n);
        let words = format!("became {op}");
        turn_into(n, op, inputs, attributes);
        Some(words)
    })
}

fn by_a_tenth(m: &mut ModelProto, r: &mut Rng, ops: &[&str], name: &str, default: f32) -> Words {
    node(m, r, ops, |n, _, _| {
        let old = number(n, name, default);
        set(n, float(name, old * 1.1 + 0.001));
        Some(format!("{name} {old} times 1.1"))
    })
}

fn clipped(m: &mut ModelProto, r: &mut Rng, bound: f64) -> Words {
    let index = *places(m, r, &["Relu"]).first()?;
    let name = m.graph.as_ref()?.node[index].output[0].clone();
    behind(m, &name, |b, y| {
        let bound = b.scalar(bound);
        b.node("Min", &[y, &bound], vec![])
    });
    Some(format!("'{name}' (Relu): bounded by {bound}"))
}

/// A changed `Relu` behind what is never negative.
pub fn behind_nothing_negative(before: &ModelProto, after: &ModelProto) -> Option<&'static str> {
    let (a, b) = (before.graph.as_ref()?, after.graph.as_ref()?);
    if let Some((changed, _)) = a.node.iter().zip(&b.node).find(|(a, b)| a != b) {
        return never_negative(before, changed.input.first()?, 16).then_some("its input is never negative");
    }
    // A slope: of the channels in which it changed.
    let (old, new) = a.initializer.iter().zip(&b.initializer).find(|(a, b)| a != b)?;
    let (old, new) = (read_f64(old).ok()?, (new.name(), read_f64(new).ok()?));
    let changed: Vec<usize> = old.iter().zip(&new.1).enumerate().filter(|(_, (a, b))| a != b).map(|(i, _)| i).collect();
    let mut readers = a.node.iter().filter(|n| n.input.get(1).is_some_and(|i| i == new.0));
    readers
        .all(|n| never_negative(before, &n.input[0], 16) || channels_never_negative(before, &n.input[0], &changed))
        .then_some("its channel is never negative")
}

/// Channels of a convolution whose weights and bias are not negative, of a tensor that is not.
fn channels_never_negative(m: &ModelProto, name: &str, channels: &[usize]) -> bool {
    let nodes = &m.graph.as_ref().unwrap().node;
    let conv = nodes.iter().find(|n| n.op_type() == "Conv" && n.output.iter().any(|o| o == name));
    let Some(conv) = conv.filter(|n| never_negative(m, &n.input[0], 16)) else { return false };
    let not_negative =
        |slot: usize, channel: usize| match conv.input.get(slot).map(|i| crate::mutants::edit::values(m, i)) {
            None => slot == 2,
            Some(None) => false,
            Some(Some(v)) => channel < v.shape()[0] && v.index_axis(Axis(0), channel).iter().all(|v| *v >= 0.0),
        };
    channels.iter().all(|c| not_negative(1, *c) && not_negative(2, *c))
}

/// Proves little, but that by structure alone.
pub fn never_negative(m: &ModelProto, name: &str, depth: usize) -> bool {
    if let Some(constant) = tensor(m, name) {
        return read_f64(constant).is_ok_and(|v| v.iter().all(|v| *v >= 0.0));
    }
    let nodes = &m.graph.as_ref().unwrap().node;
    let Some(node) = nodes.iter().find(|n| n.output.iter().any(|o| o == name)).filter(|_| depth > 0) else {
        return false;
    };
    let all = |inputs: &[String]| inputs.iter().all(|i| never_negative(m, i, depth - 1));
    match node.op_type() {
        "Relu" | "Sigmoid" | "Abs" | "Softmax" | "Exp" | "Softplus" | "Sqrt" | "HardSigmoid" => true,
        "Clip" => node.input.get(1).and_then(|l| tensor(m, l)).is_some() && all(&node.input[1..2]),
        "MaxPool" | "AveragePool" | "GlobalAveragePool" | "GlobalMaxPool" | "Identity" | "Dropout" | "Reshape"
        | "Transpose" | "Slice" | "Split" | "Squeeze" | "Unsqueeze" | "Flatten" => all(&node.input[..1]),
        "Max" => node.input.iter().any(|i| never_negative(m, i, depth - 1)),
        "Add" | "Mul" | "Min" | "Concat" | "Sum" | "Div" => all(&node.input),
        _ => false,
    }
}
