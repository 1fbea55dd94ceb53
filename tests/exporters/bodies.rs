//! Bodies of `If`, `Loop` and `Scan`.

use onnx_rm::graph::{captured_names, inner_nodes};
use onnx_rm::onnx::attribute_proto::AttributeType;
use onnx_rm::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TypeProto, ValueInfoProto, tensor_proto::DataType,
};
use onnx_rm::options::Options;

use crate::common::*;

const CHANNELS: usize = 6;

fn graph(name: &str, mut graph: GraphProto) -> AttributeProto {
    graph.name = Some(name.into());
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::Graph as i32),
        g: Some(graph),
        ..AttributeProto::default()
    }
}

fn named(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: Some(name.into()), r#type: Some(float_type(None)), ..ValueInfoProto::default() }
}

/// A residual block that reads `x` from around, with weights of its own; every tensor of it begins with `prefix`.
fn block(seed: u64, x: &str, prefix: &str) -> GraphProto {
    let mut b = Build::new(seed);
    let y = b.conv(x, &conv(CHANNELS, 8, 3));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(8, CHANNELS, 3));
    let y = b.add(&y, x);
    b.output(&y);
    renamed(b.graph, prefix, x)
}

/// `graph` with `prefix` before every name of its own.
fn renamed(mut graph: GraphProto, prefix: &str, outer: &str) -> GraphProto {
    let new = |name: &String| if name == outer { name.clone() } else { format!("{prefix}{name}") };
    for node in &mut graph.node {
        node.name = node.name.as_ref().map(new);
        node.input.iter_mut().chain(&mut node.output).for_each(|n| *n = new(n));
    }
    graph.initializer.iter_mut().for_each(|t| t.name = t.name.as_ref().map(new));
    graph.output.iter_mut().for_each(|o| o.name = o.name.as_ref().map(new));
    graph
}

/// Its input, behind an activation, and a condition that the input decides.
fn start(seed: u64) -> (Build, String, String) {
    let mut b = Build::new(seed);
    let x = b.input("x", &[1, CHANNELS as i64, 8, 8]);
    let x = b.relu(&x);
    let mean = b.node("ReduceMean", &[&x], vec![int("keepdims", 0)]);
    let half = b.scalar(0.98);
    let condition = b.node("Greater", &[&mean, &half], vec![]);
    (b, x, condition)
}

/// A choice between two blocks, the first of which has its weights outside.
fn choice() -> ModelProto {
    let (mut b, x, condition) = start(3);
    let (mut then, other) = (block(4, &x, "then_"), block(5, &x, "else_"));
    b.graph.initializer.append(&mut then.initializer);
    let y = b.node("If", &[&condition], vec![graph("then_branch", then), graph("else_branch", other)]);
    let y = b.relu(&y);
    b.output(&y);
    b.model()
}

fn holder<'m>(model: &'m ModelProto, op: &str) -> &'m NodeProto {
    model.graph.as_ref().unwrap().node.iter().find(|n| n.op_type() == op).unwrap()
}

fn body<'m>(model: &'m mut ModelProto, op: &str, name: &str) -> &'m mut GraphProto {
    let node = model.graph.as_mut().unwrap().node.iter_mut().find(|n| n.op_type() == op).unwrap();
    node.attribute.iter_mut().find(|a| a.name() == name).unwrap().g.as_mut().unwrap()
}

fn inside(model: &ModelProto, op: &str) -> Vec<String> {
    inner_nodes(holder(model, op)).iter().map(|n| n.op_type().to_owned()).collect()
}

/// Every name that something in the model defines, at any depth.
fn defined(model: &ModelProto) -> Vec<String> {
    fn of(graph: &GraphProto, names: &mut Vec<String>) {
        names.extend(graph.input.iter().map(|i| i.name().to_owned()));
        names.extend(graph.initializer.iter().map(|t| t.name().to_owned()));
        for node in &graph.node {
            names.extend(node.output.iter().cloned());
            node.attribute.iter().filter_map(|a| a.g.as_ref()).for_each(|g| of(g, names));
        }
    }
    let mut names = Vec::new();
    of(model.graph.as_ref().unwrap(), &mut names);
    names
}

#[cfg(feature = "verify")]
fn report(a: &ModelProto, b: &ModelProto) -> onnx_rm::verify::VerifyReport {
    onnx_rm::verify::verify_models(a, b, &onnx_rm::verify::VerifyOptions::default()).unwrap()
}

/// Both in ONNX Runtime, behind the checker of the onnx package.
#[cfg(feature = "cli")]
fn in_onnxruntime(a: &ModelProto, b: &ModelProto) {
    use prost::Message;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, model) in [("a", a), ("b", b)] {
        std::fs::create_dir(path(name)).unwrap();
        let mut model = model.clone();
        let outputs = evaluate(&model, 1).into_iter().zip(&mut model.graph.as_mut().unwrap().output);
        for (value, output) in outputs {
            let shape: Vec<i64> = value.shape().iter().map(|d| *d as i64).collect();
            *output = value_info(output.name(), &shape);
        }
        std::fs::write(path(name).join("m.onnx"), model.encode_to_vec()).unwrap();
    }
    let folders = ["a", "b"].map(|name| path(name).display().to_string());
    let said = python::run("compare_models.py", &[&folders[0], &folders[1], "m.onnx"]);
    let numbers: Vec<f64> = said.split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect();
    assert!(numbers[0] < 1e-5 && numbers[1] > 1e-2, "{said}");
}

/// The same model with the other branch taken.
fn flipped(model: &ModelProto) -> ModelProto {
    let mut model = model.clone();
    let mut nodes = model.graph.as_mut().unwrap().node.iter_mut();
    nodes.find(|n| n.op_type() == "Greater").unwrap().op_type = Some("Less".into());
    model
}

#[test]
fn both_branches_are_rewritten() {
    let model = choice();
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!((outcome.before.joins, joins(&outcome)), (2, 0), "{:?}", outcome.sites);
    assert_eq!(outcome.removed().count(), 2);
    assert_eq!(inside(&after, "If"), ["Conv", "PRelu", "Conv", "Conv", "PRelu", "Conv"]);
    assert_eq!((outcome.before.macs, outcome.not_inspected.in_subgraphs), (None, 0), "nobody knows which branch runs");
    assert!(outcome.after.params > outcome.before.params, "weights inside count");
    assert!(distance(&model, &after) < ROUNDING);
    let outside = &after.graph.as_ref().unwrap().initializer;
    assert!(outside.iter().all(|t| !t.name().starts_with("then_")), "what only the branch read is gone");
    assert_eq!(rewrite(&after, &Options::default()).0, after);
    #[cfg(feature = "verify")]
    assert!(report(&model, &after).is_equal(), "{}", report(&model, &after));
    assert!(distance(&flipped(&model), &flipped(&after)) < ROUNDING);
    #[cfg(feature = "cli")]
    for (a, b) in [(model.clone(), after.clone()), (flipped(&model), flipped(&after))] {
        in_onnxruntime(&a, &b);
    }
}

#[test]
fn names_are_those_of_nothing_else_in_the_model() {
    let mut model = choice();
    // Both branches call theirs the same, which ONNX allows for they do not see each other, and a tensor outside has a name that is made.
    let same = block(5, &body(&mut model, "If", "then_branch").node[0].input[0].clone(), "then_");
    *body(&mut model, "If", "else_branch") = same;
    let (plain, _) = rewrite(&model, &Options::default());
    let new: Vec<String> = defined(&plain).into_iter().filter(|n| !defined(&model).contains(n)).collect();
    assert!(!new.is_empty());
    let graph = model.graph.as_mut().unwrap();
    for name in &new {
        let node = NodeProto {
            name: Some(format!("{name}_taken")),
            op_type: Some("Neg".into()),
            input: vec!["x".into()],
            output: vec![name.clone()],
            ..NodeProto::default()
        };
        graph.node.push(node);
        graph.output.push(named(name));
    }
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!(joins(&outcome), 0, "{:?}", outcome.sites);
    let mut fresh: Vec<String> = defined(&after).into_iter().filter(|n| !defined(&model).contains(n)).collect();
    let count = fresh.len();
    fresh.sort();
    fresh.dedup();
    assert_eq!(fresh.len(), count);
    assert!(fresh.iter().all(|n| !new.contains(n)));
    assert!(distance(&model, &after) < ROUNDING);
}

#[test]
fn what_is_around_a_body_stays() {
    let mut model = choice();
    let graph = model.graph.as_mut().unwrap();
    // Weights and the fork are read outside too.
    let then = &graph.node.iter().find(|n| n.op_type() == "If").unwrap().attribute[0].g.as_ref().unwrap().node;
    let (x, weight) = (then[0].input[0].clone(), then[0].input[1].clone());
    let more = NodeProto {
        name: Some("outside".into()),
        op_type: Some("Conv".into()),
        input: vec![x, weight.clone()],
        output: vec!["z".into()],
        ..NodeProto::default()
    };
    graph.node.push(more);
    graph.output.push(named("z"));
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!(joins(&outcome), 0);
    let outer = |m: &ModelProto| {
        let nodes = m.graph.as_ref().unwrap().node.iter();
        nodes.filter(|n| n.op_type() != "If").cloned().collect::<Vec<_>>()
    };
    assert_eq!(outer(&after), outer(&model));
    assert!(after.graph.as_ref().unwrap().initializer.iter().any(|t| t.name() == weight));
    assert!(distance(&model, &after) < ROUNDING);
}

#[test]
fn a_branch_tensor_that_a_deeper_body_reads_stays_right() {
    let (mut b, x, condition) = start(3);
    let mut then = block(4, &x, "then_");
    let middle = then.node[1].output[0].clone();
    let deep = |op: &str| {
        let mut d = Build::new(1);
        let y = d.node(op, &[&middle], vec![]);
        d.output(&y);
        renamed(d.graph, &format!("{op}_"), &middle)
    };
    then.node.push(NodeProto {
        name: Some("deeper".into()),
        op_type: Some("If".into()),
        input: vec![condition.clone()],
        output: vec!["deep".into()],
        attribute: vec![graph("then_branch", deep("Neg")), graph("else_branch", deep("Abs"))],
        ..NodeProto::default()
    });
    then.output.push(named("deep"));
    let mut other = block(5, &x, "else_");
    other.output.push(named(&other.node[1].output[0].clone()));
    let both = b.nodes("If", &[&condition], 2, vec![graph("then_branch", then), graph("else_branch", other)]);
    both.iter().for_each(|y| b.output(y));
    let model = b.model();
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!((outcome.before.joins, joins(&outcome)), (2, 0), "{:?}", outcome.sites);
    assert!(distance(&model, &after) < ROUNDING);
    #[cfg(feature = "cli")]
    in_onnxruntime(&model, &after);
}

#[test]
fn a_body_in_a_body_is_rewritten() {
    let (mut b, x, condition) = start(7);
    let inner = vec![graph("then_branch", block(4, &x, "in_then_")), graph("else_branch", block(5, &x, "in_else_"))];
    let nested = GraphProto {
        node: vec![NodeProto {
            name: Some("inner".into()),
            op_type: Some("If".into()),
            input: vec![condition.clone()],
            output: vec!["inner_out".into()],
            attribute: inner,
            ..NodeProto::default()
        }],
        output: vec![named("inner_out")],
        ..GraphProto::default()
    };
    let outer = vec![graph("then_branch", nested), graph("else_branch", block(6, &x, "out_else_"))];
    let y = b.node("If", &[&condition], outer);
    b.output(&y);
    let model = b.model();
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!((outcome.before.joins, joins(&outcome)), (3, 0), "{:?}", outcome.sites);
    assert!(!inside(&after, "If").contains(&"Add".to_owned()));
    assert!(distance(&model, &after) < ROUNDING);
    // The `else` in the `then` is taken by no input.
    #[cfg(feature = "verify")]
    {
        let report = report(&model, &after);
        assert!(report.is_equal(), "{report}");
        assert!(report.notes.iter().any(|n| n.contains("'inner_out'") && n.contains("as if")), "{:?}", report.notes);
    }
}

fn ordinary(info: &str, dtype: DataType) -> ValueInfoProto {
    use onnx_rm::onnx::type_proto::{Tensor, Value};
    let tensor = Tensor { elem_type: Some(dtype as i32), shape: Some(Default::default()) };
    let r#type = Some(TypeProto { value: Some(Value::TensorType(tensor)), ..TypeProto::default() });
    ValueInfoProto { name: Some(info.into()), r#type, ..ValueInfoProto::default() }
}

/// A block that is run `turns` times on what it gave, whose state is declared to be of `shape`.
fn repeated(turns: i64, shape: &[i64]) -> ModelProto {
    let (mut b, x, _) = start(9);
    let mut inner = block(4, "state", "in_");
    let result = inner.output[0].name().to_owned();
    inner.input = vec![ordinary("turn", DataType::Int64), ordinary("go", DataType::Bool), value_info("state", shape)];
    inner.node.push(NodeProto {
        name: Some("on".into()),
        op_type: Some("Identity".into()),
        input: vec!["go".into()],
        output: vec!["go_on".into()],
        ..NodeProto::default()
    });
    inner.output = vec![ordinary("go_on", DataType::Bool), named(&result)];
    let count = b.ints(&[turns]);
    let count = b.node("Squeeze", &[&count], vec![]);
    let yes = b.bools(&[], &[1]);
    let y = b.node("Loop", &[&count, &yes, &x], vec![graph("body", inner)]);
    b.output(&y);
    b.model()
}

#[test]
fn the_body_of_a_loop_is_rewritten() {
    let model = repeated(3, &[1, CHANNELS as i64, 8, 8]);
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!((outcome.before.joins, joins(&outcome)), (1, 0), "{:?}", outcome.sites);
    assert!(distance(&model, &after) < ROUNDING);
    assert_eq!(holder(&after, "Loop").input, holder(&model, "Loop").input);
    #[cfg(feature = "verify")]
    assert!(report(&model, &after).is_equal(), "{}", report(&model, &after));
    #[cfg(feature = "cli")]
    in_onnxruntime(&model, &after);
}

#[test]
fn what_a_body_declares_of_its_inputs_is_not_believed() {
    // The second convolution crops what the first extends: only a known size tells that the sum is right.
    let mut model = repeated(2, &[1, CHANNELS as i64, 8, 8]);
    for (node, pad) in [(0, 2), (2, 0)] {
        let inner = &mut body(&mut model, "Loop", "body").node[node];
        inner.attribute.iter_mut().find(|a| a.name() == "pads").unwrap().ints = vec![pad; 4];
    }
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!(after, model);
    let codes: Vec<_> = outcome.kept().filter(|(s, _)| s.is_residual()).map(|(_, r)| r.code.as_str()).collect();
    assert_eq!(codes, ["size-unknown"]);
}

#[test]
fn the_body_of_a_scan_is_rewritten() {
    let mut b = Build::new(11);
    let x = b.input("x", &[3, 1, CHANNELS as i64, 8, 8]);
    let zero = b.floats(&[1], vec![0.0]);
    let mut inner = block(4, "row", "in_");
    let result = inner.output[0].name().to_owned();
    inner.input = vec![named("sum"), named("row")];
    inner.node.push(NodeProto {
        name: Some("keep".into()),
        op_type: Some("Identity".into()),
        input: vec!["sum".into()],
        output: vec!["sum_out".into()],
        ..NodeProto::default()
    });
    inner.output = vec![named("sum_out"), named(&result)];
    let outputs = b.nodes("Scan", &[&zero, &x], 2, vec![graph("body", inner), int("num_scan_inputs", 1)]);
    b.output(&outputs[1]);
    let model = b.model();
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!((outcome.before.joins, joins(&outcome)), (1, 0), "{:?}", outcome.sites);
    assert!(distance(&model, &after) < ROUNDING);
    #[cfg(feature = "cli")]
    in_onnxruntime(&model, &after);
}

#[test]
fn weights_that_a_caller_may_override_stay() {
    let mut model = choice();
    let graph = model.graph.as_mut().unwrap();
    let listed: Vec<_> = graph.initializer.iter().map(|t| value_info(t.name(), &t.dims)).collect();
    graph.input.extend(listed);
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!(joins(&outcome), 1, "the branch with weights of its own goes: {:?}", outcome.sites);
    assert_eq!(inside(&after, "If").iter().filter(|op| *op == "Add").count(), 1);
    let stays: Vec<_> = outcome.kept().filter(|(s, _)| s.is_residual()).map(|(_, r)| r.code.as_str()).collect();
    assert_eq!(stays, ["weight-not-constant"]);
    assert!(distance(&model, &after) < ROUNDING);
}

#[test]
fn joins_in_bodies_can_be_kept_and_planned() {
    let model = choice();
    let then = body(&mut model.clone(), "If", "then_branch").output[0].name().to_owned();
    let (_, outcome) = rewrite(&model, &Options::default().keep(vec!["then_*".into()]));
    assert_eq!(joins(&outcome), 1);
    let (after, outcome) = rewrite(&model, &Options::default().sites(vec![then.clone()]));
    assert_eq!((joins(&outcome), outcome.removed().count()), (1, 1));
    assert!(inner_nodes(holder(&after, "If")).iter().all(|n| !n.output.contains(&then) || n.op_type() == "Conv"));
    let all = rewrite(&model, &Options::default()).1;
    let mut plan = onnx_rm::engine::planned(&model, &Options::default(), &all).unwrap();
    assert_eq!(plan.sites.len(), 2);
    plan.sites.iter_mut().filter(|s| s.tensor == then).for_each(|s| s.remove = false);
    assert_eq!(joins(&rewrite(&model, &Options::default().plan(plan)).1), 1);
}

#[test]
fn a_body_that_is_broken_is_counted() {
    let mut model = choice();
    let then = body(&mut model, "If", "then_branch");
    let twice = then.node[0].clone();
    then.node.push(twice);
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!((outcome.not_inspected.in_subgraphs, joins(&outcome)), (1, 0));
    assert!(inside(&after, "If").contains(&"Add".to_owned()));
}

#[cfg(feature = "verify")]
mod verified {
    use onnx_rm::verify::Status;

    use super::*;

    /// The condition is never true: the `then` branch is dead.
    fn dead() -> ModelProto {
        let mut model = choice();
        let graph = model.graph.as_mut().unwrap();
        let greater = graph.node.iter().find(|n| n.op_type() == "Greater").unwrap().input[1].clone();
        let bound = graph.initializer.iter_mut().find(|t| *t.name() == greater).unwrap();
        bound.raw_data = Some(f32::INFINITY.to_le_bytes().to_vec().into());
        model
    }

    /// One weight of the last convolution of a body is another one.
    fn spoilt(mut model: ModelProto, op: &str, name: &str) -> ModelProto {
        let inner = body(&mut model, op, name);
        let weight = inner.node.iter().rfind(|n| n.op_type() == "Conv").unwrap().input[1].clone();
        let tensor = inner.initializer.iter_mut().find(|t| t.name() == weight).unwrap();
        let mut raw = tensor.raw_data.as_ref().unwrap().to_vec();
        raw[..4].copy_from_slice(&7.5_f32.to_le_bytes());
        tensor.raw_data = Some(raw.into());
        model
    }

    #[test]
    fn a_branch_that_no_input_takes_is_compared_as_if_it_were_taken() {
        let model = dead();
        let (after, _) = rewrite(&model, &Options::default());
        let report = report(&model, &after);
        assert!(report.is_equal(), "{report}");
        assert!(report.notes.iter().any(|n| n.contains("then_branch") && n.contains("as if")), "{:?}", report.notes);
        let report = super::report(&model, &spoilt(after, "If", "then_branch"));
        assert!(!report.is_equal() && report.first_difference.is_some(), "{report}");
    }

    #[test]
    fn a_wrong_rewrite_in_a_body_is_found() {
        let model = choice();
        let (after, _) = rewrite(&model, &Options::default());
        for name in ["then_branch", "else_branch"] {
            let report = report(&model, &spoilt(after.clone(), "If", name));
            assert_eq!(report.status, Status::Mismatch, "{name}: {report}");
        }
    }

    #[test]
    fn a_body_that_nothing_can_run_is_no_evidence() {
        let model = repeated(0, &[1, CHANNELS as i64, 8, 8]);
        let (after, _) = rewrite(&model, &Options::default());
        assert_ne!(after, model);
        let report = report(&model, &after);
        assert_eq!(report.status, Status::NoEvidence, "{report}");
        assert!(report.message.contains("no input runs what was rewritten"), "{report}");
        assert_eq!(report.unreached.len(), 1);
    }
}

#[test]
fn bodies_read_what_they_read_before_and_no_more() {
    let model = choice();
    let (after, _) = rewrite(&model, &Options::default());
    let read = |m: &ModelProto| {
        let mut names = std::collections::BTreeSet::new();
        captured_names(holder(m, "If"), &mut names);
        names
    };
    assert!(read(&after).is_subset(&read(&model)));
}
