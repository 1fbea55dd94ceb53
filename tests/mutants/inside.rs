//! Bodies of functions, branches and loops; operators that nobody knows; what is random.

use onnx_rm::onnx::{GraphProto, ModelProto, NodeProto};

use crate::common::{Rng, float};
use crate::mutants::edit::{Words, at, graph, is_graph, number, places, set, shuffled, written};
use crate::mutants::mutation::{Mutation, kind};

pub const KINDS: &[Mutation] = &[
    kind("body of a local function: an operator", |m, r| {
        let order = shuffled(m.functions.len(), r);
        let function = m.functions.get_mut(*order.first()?)?;
        other_operator(&mut function.node).map(|w| format!("function '{}': {w}", function.name()))
    })
    .open("no node of the main graph differs, so nothing is run"),
    kind("body of a local function: an attribute", |m, r| {
        let order = shuffled(m.functions.len(), r);
        let function = m.functions.get_mut(*order.first()?)?;
        let node = function.node.iter_mut().find(|n| n.op_type() == "LeakyRelu")?;
        set(node, float("alpha", number(node, "alpha", 0.01) + 0.1));
        Some(format!("function '{}': slope 0.1 more", function.name()))
    })
    .open("no node of the main graph differs, so nothing is run"),
    kind("body of a branch taken", |m, r| body(m, r, "then_branch", other_operator_of)),
    kind("body of a branch seldom taken", |m, r| body(m, r, "else_branch", other_operator_of)),
    kind("weight inside of a branch", |m, r| body(m, r, "then_branch", weight_of)),
    kind("body of a loop", |m, r| body(m, r, "body", other_operator_of)),
    kind("branches exchanged", |m, r| {
        let index = *places(m, r, &["If"]).first()?;
        let node = &mut graph(m).node[index];
        for attribute in node.attribute.iter_mut().filter(|a| is_graph(a)) {
            attribute.name = Some(if attribute.name() == "then_branch" { "else_branch" } else { "then_branch" }.into());
        }
        Some(at(node, "branches exchanged"))
    }),
    kind("number of turns of a loop", |m, r| {
        crate::mutants::edit::constant(m, r, &["Loop"], 0, |n, _, _| {
            n.mapv_inplace(|v| v + 1.0);
            Some("one more turn".to_owned())
        })
    }),
    kind("an initializer beside a custom operator", |m, r| {
        let custom = |n: &&NodeProto| !matches!(n.domain(), "" | "ai.onnx");
        let node = m.graph.as_ref()?.node.iter().find(custom)?.clone();
        let local = m.functions.iter().any(|f| f.name() == node.op_type());
        let name = node.input.iter().find(|i| crate::mutants::edit::tensor(m, i).is_some()).filter(|_| !local)?.clone();
        let mut values = crate::mutants::edit::values(m, &name)?;
        let i = r.below(values.len());
        values.iter_mut().skip(i).take(1).for_each(|v| *v += 0.5);
        crate::mutants::edit::store(m, &name, &values)?;
        Some(at(&node, &format!("entry {i} of '{name}' off by 0.5")))
    }),
    kind("an attribute of a custom operator", |m, _| {
        let functions: Vec<String> = m.functions.iter().map(|f| f.name().to_owned()).collect();
        let custom =
            |n: &&mut NodeProto| !matches!(n.domain(), "" | "ai.onnx") && !functions.contains(&n.op_type().to_owned());
        let node = graph(m).node.iter_mut().find(custom)?;
        set(node, float("strength", number(node, "strength", 1.0) + 0.5));
        Some(at(node, "an attribute changed"))
    }),
    kind("a layer in front of a custom operator", |m, r| {
        let custom = m.graph.as_ref()?.node.iter().any(|n| !matches!(n.domain(), "" | "ai.onnx"));
        (custom && m.functions.is_empty()).then_some(())?;
        crate::mutants::edit::constant(m, r, &["Conv"], 1, |w, _, r| {
            let i = r.below(w.len());
            w.iter_mut().skip(i).take(1).for_each(|v| *v += 0.25);
            Some(format!("weight {i} off by a quarter"))
        })
    }),
    kind("Dropout in training mode", |m, r| {
        let index =
            places(m, r, &["Dropout"]).into_iter().find(|i| m.graph.as_ref().unwrap().node[*i].input.len() == 3)?;
        let node = m.graph.as_ref()?.node[index].clone();
        let one = crate::mutants::edit::values(m, &node.input[2])?.mapv(|_| 1.0);
        crate::mutants::edit::store(m, &node.input[2], &one)?;
        Some(at(&node, "training mode"))
    })
    .open("nobody evaluates random values"),
    kind("ratio of a Dropout", |m, r| {
        crate::mutants::edit::constant(m, r, &["Dropout"], 1, |v, _, _| {
            v.mapv_inplace(|v| v / 2.0);
            Some("ratio halved".to_owned())
        })
    })
    .open("without training mode the ratio is not read")
    .harmless(not_training),
    kind("seed of random values", |m, r| {
        crate::mutants::edit::node(m, r, &["RandomNormalLike", "RandomUniformLike"], |n, _, _| {
            set(n, float("seed", number(n, "seed", 0.0) + 1.0));
            Some("another seed".to_owned())
        })
    })
    .open("nobody evaluates random values"),
];

fn not_training(_: &ModelProto, after: &ModelProto) -> Option<&'static str> {
    let dropouts = after.graph.as_ref()?.node.iter().filter(|n| n.op_type() == "Dropout");
    let still = |n: &NodeProto| {
        let mode = n.input.get(2).map(|t| crate::mutants::edit::values(after, t));
        mode.is_none_or(|v| v.is_some_and(|v| v.iter().all(|v| *v == 0.0)))
    };
    dropouts.into_iter().all(still).then_some("the ratio is read in training mode only")
}

/// Changes an operator inside of the first node that has a graph called `name`.
fn body(m: &mut ModelProto, r: &mut Rng, name: &str, change: fn(&mut GraphProto) -> Words) -> Words {
    for index in places(m, r, &["If", "Loop", "Scan"]) {
        let node = &mut graph(m).node[index];
        let attribute = node.attribute.iter_mut().find(|a| a.name() == name);
        if let Some(words) = attribute.and_then(|a| a.g.as_mut()).and_then(change) {
            return Some(at(&graph(m).node[index], &format!("{name}: {words}")));
        }
    }
    None
}

fn other_operator_of(graph: &mut GraphProto) -> Words {
    other_operator(&mut graph.node)
}

/// Another operator of one input, or of two, in place of the first that is known.
fn other_operator(nodes: &mut [NodeProto]) -> Words {
    let pairs =
        [("Sigmoid", "Tanh"), ("Tanh", "Sigmoid"), ("Neg", "Abs"), ("Relu", "Abs"), ("Add", "Sub"), ("Mul", "Add")];
    let found = nodes.iter_mut().find_map(|n| {
        let (_, other) = pairs.iter().find(|(op, _)| *op == n.op_type())?;
        Some((n, *other))
    });
    let (node, other) = found?;
    let words = at(node, &format!("became {other}"));
    node.op_type = Some(other.to_owned());
    Some(words)
}

fn weight_of(graph: &mut GraphProto) -> Words {
    let tensor = graph.initializer.iter_mut().find(|t| t.data_type == Some(1))?;
    let mut values = onnx_rm::facts::tensor::read_f64(tensor).ok()?;
    values.iter_mut().take(1).for_each(|v| *v += 0.25);
    *tensor = written(tensor, &values);
    Some(format!("'{}' off by a quarter", tensor.name()))
}
