//! What is written for a target: nothing that it does not take, everything that it asks for, and the same results.

mod legal;

use std::collections::BTreeMap;

use onnx_rm::onnx::{ModelProto, NodeProto};
use onnx_rm::options::{Families, Groups, Objective, Options, Selector, Target};
use onnx_rm::report::{Outcome, SiteStatus};

use crate::common::*;
use crate::operations::blocks::{all, model_of, named};

pub(crate) fn target(name: &str) -> Options {
    Options::default().long_skips(true).open_norms(true).target(Target::named(name).unwrap())
}

fn nodes(model: &ModelProto) -> &[NodeProto] {
    &model.graph.as_ref().unwrap().node
}

fn group(node: &NodeProto) -> usize {
    node.attribute.iter().find(|a| a.name() == "group").map_or(1, |a| a.i() as usize)
}

/// The operators of a model, a convolution with the kind of its groups, and how often each stands there.
fn operators(model: &ModelProto) -> BTreeMap<(String, Groups), usize> {
    let constants = &model.graph.as_ref().unwrap().initializer;
    let mut found = BTreeMap::new();
    for node in nodes(model) {
        let weight = constants.iter().find(|t| node.op_type() == "Conv" && t.name() == node.input[1]);
        let groups = weight.map_or(Groups::None, |w| Groups::of(group(node), group(node) * w.dims[1] as usize));
        *found.entry((node.op_type().to_owned(), groups)).or_default() += 1;
    }
    found
}

/// What `after` has more of than `before`, and `target` does not take.
fn untaken(before: &ModelProto, after: &ModelProto, target: &Target) -> Vec<String> {
    let before = operators(before);
    let more = operators(after).into_iter().filter(|(kind, count)| before.get(kind).is_none_or(|was| count > was));
    more.filter(|((op, groups), _)| !target.takes(op) || op == "Conv" && *groups > target.groups())
        .map(|((op, groups), _)| format!("{op} {groups:?}"))
        .collect()
}

fn stay(outcome: &Outcome, code: &str) -> Vec<String> {
    let kept = outcome.sites.iter().filter_map(|s| match &s.status {
        SiteStatus::Kept(reject) if s.is_residual() && reject.code.as_str() == code => Some(reject.reason.clone()),
        _ => None,
    });
    kept.collect()
}

#[test]
fn nothing_is_written_that_a_target_does_not_take() {
    let mut complaints = Vec::new();
    let mut removed: BTreeMap<&str, usize> = BTreeMap::new();
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, block) in all() {
        for signed in [false, true] {
            let model = model_of(block, 7, signed).model();
            let expected = Expected::of(&model);
            for known in Target::all() {
                let (after, outcome) = rewrite(&model, &target(known.name()));
                let other = untaken(&model, &after, known);
                if !other.is_empty() {
                    complaints.push(format!("{name}, {}: {other:?}", known.name()));
                }
                let distance = expected.distance(&after);
                if distance >= ROUNDING {
                    complaints.push(format!("{name}, {}: differs by {distance}", known.name()));
                }
                *removed.entry(known.name()).or_default() += outcome.removed().filter(|(s, _)| s.is_residual()).count();
                *refused.entry(known.name()).or_default() += stay(&outcome, "target").len();
            }
        }
    }
    assert!(complaints.is_empty(), "{} complaints\n{}", complaints.len(), complaints.join("\n"));
    for name in ["generic", "onnxruntime", "tensorrt", "openvino", "tract", "zk"] {
        assert_eq!(refused[name], 0, "{name} takes everything");
    }
    for name in ["akida2", "speck", "hls4ml", "litert", "ethos-u", "rknn", "tfhe", "ncnn"] {
        assert!(refused[name] > 0 && removed[name] > removed["zk"] + 20, "{name}: {removed:?} {refused:?}");
    }
    assert_eq!((removed["zk"], removed["generic"]), (0, removed["tract"]));
}

/// A basic block whose activation is `op`, behind a Relu unless it is `signed`.
fn basic(op: &str, signed: bool) -> ModelProto {
    let mut b = Build::new(31);
    let x = b.input("x", &[1, 6, 8, 8]);
    let x = b.conv(&x, &conv(6, 6, 1));
    let x = if signed { x } else { b.relu(&x) };
    let y = b.conv(&x, &conv(6, 6, 3));
    let y = b.node(op, &[&y], vec![]);
    let y = b.conv(&y, &conv(6, 6, 3));
    let y = b.add(&y, &x);
    let y = b.relu(&y);
    b.output(&y);
    b.model()
}

#[test]
fn a_join_whose_form_is_not_taken_stays_and_says_so() {
    for (name, op) in
        [("akida2", "PRelu, Max or Where"), ("speck", "PRelu, Max or Where"), ("hls4ml", "PRelu, Max or Where")]
    {
        let (_, outcome) = rewrite(&basic("Relu", true), &target(name));
        let reasons = stay(&outcome, "target");
        assert!(reasons.len() == 1 && reasons[0].contains(name) && reasons[0].contains(op), "{reasons:?}");
        let (after, outcome) = rewrite(&basic("Relu", false), &target(name));
        assert_eq!(joins(&outcome), 0, "{name}");
        assert!(nodes(&after).iter().all(|n| ["Conv", "Relu"].contains(&n.op_type())), "{name}");
    }
    // A form that is taken in place of one that is not.
    for (name, op) in [("litert", "Max"), ("onnxruntime", "Max"), ("ncnn", "PRelu"), ("generic", "PRelu")] {
        let (after, outcome) = rewrite(&basic("Relu", true), &target(name));
        assert_eq!(joins(&outcome), 0, "{name}");
        assert!(nodes(&after).iter().any(|n| n.op_type() == op), "{name}");
    }
    // Bounds of carried channels that would be quantised with the data.
    let (after, outcome) = rewrite(&basic("Relu", true), &target("rknn"));
    assert!(stay(&outcome, "target")[0].contains("rknn takes no"));
    assert!(nodes(&after).iter().all(|n| !["Max", "Min"].contains(&n.op_type())));
    let (_, outcome) = rewrite(&basic("Elu", true), &target("ncnn"));
    assert!(stay(&outcome, "target")[0].contains("ncnn takes no Where"));
    let (after, outcome) = rewrite(&basic("Elu", true), &target("litert"));
    assert_eq!(joins(&outcome), 0);
    assert!(nodes(&after).iter().any(|n| n.op_type() == "Where"));
}

/// A block around a Gelu that is written out with `Erf`, its last constant behind it.
fn gelu(last: bool) -> ModelProto {
    let mut b = Build::new(3);
    let x = b.input("x", &[1, 4, 6, 6]);
    let x = b.conv(&x, &conv(4, 4, 1));
    let y = b.conv(&x, &conv(4, 8, 3));
    let (root, one, half) = (b.scalar(std::f64::consts::SQRT_2), b.scalar(1.0), b.scalar(0.5));
    let e = b.node("Div", &[&y, &root], vec![]);
    let e = b.node("Erf", &[&e], vec![]);
    let e = b.node("Add", &[&e, &one], vec![]);
    let y = match last {
        true => {
            let y = b.node("Mul", &[&y, &e], vec![]);
            b.node("Mul", &[&y, &half], vec![])
        }
        false => {
            let e = b.node("Mul", &[&e, &half], vec![]);
            b.node("Mul", &[&y, &e], vec![])
        }
    };
    let y = b.conv(&y, &conv(8, 4, 3));
    let y = b.add(&y, &x);
    b.output(&y);
    b.model()
}

#[test]
fn what_a_target_runs_as_one_stays_whole() {
    for last in [true, false] {
        let model = gelu(last);
        let count = |model: &ModelProto, op: &str| nodes(model).iter().filter(|n| n.op_type() == op).count();
        let (usual, _) = rewrite(&model, &target("generic"));
        assert_eq!(count(&usual, "Mul"), if last { 1 } else { 2 }, "a constant behind it is folded away");
        let (after, outcome) = rewrite(&model, &target("onnxruntime"));
        assert_eq!(joins(&outcome), 0, "{:?}", outcome.sites);
        let all = ["Div", "Erf", "Add", "Mul", "Where", "Max"].map(|op| count(&after, op));
        assert_eq!(all, [1, 1, 1, 2, 1, 0], "last: {last}");
        assert!(distance(&model, &after) < ROUNDING);
    }
}

#[test]
fn what_something_else_reads_a_piece_of_is_not_one_operator() {
    let count = |model: &ModelProto, op: &str| nodes(model).iter().filter(|n| n.op_type() == op).count();
    for (op, last) in [("Erf", true), ("Add", true), ("Div", false), ("Mul", false)] {
        for given in [true, false] {
            let mut model = gelu(last);
            let graph = model.graph.as_mut().unwrap();
            let piece = graph.node.iter().find(|n| n.op_type() == op).unwrap().output[0].clone();
            let output = if given { piece.clone() } else { "other".to_owned() };
            if !given {
                let mut other = graph.node.iter().find(|n| n.op_type() == "Erf").unwrap().clone();
                (other.op_type, other.input, other.output) = (Some("Abs".into()), vec![piece], vec![output.clone()]);
                other.name = Some("other".into());
                graph.node.push(other);
            }
            let mut port = graph.output[0].clone();
            port.name = Some(output);
            graph.output.push(port);
            let (after, outcome) = rewrite(&model, &target("onnxruntime"));
            // Whether the join goes or not, what is given out is what it was.
            assert_eq!(count(&after, "Max"), 0, "{op}: {:?}", outcome.sites);
            assert!(distance(&model, &after) < ROUNDING, "{op}");
        }
    }
}

#[test]
fn groups_are_written_where_they_are_taken_or_were_there() {
    let (generic, _) = rewrite(&basic("Relu", false), &Options::default().carry(onnx_rm::options::Chain::Conv));
    let has = |model: &ModelProto, groups| operators(model).contains_key(&("Conv".to_owned(), groups));
    // So narrow a block is best in groups of whole branches, or dense; which of the two is not the point.
    let depthwise = model_of(named("depthwise first and last"), 3, false).model();
    for (name, may) in [("hls4ml", true), ("speck", true), ("generic", true)] {
        let (after, outcome) = rewrite(&depthwise, &target(name).objective(Objective::Macs));
        assert_eq!(joins(&outcome), 0, "{name}");
        assert_eq!(has(&after, Groups::Depthwise), may, "{name}: it was there before");
        assert!(name == "generic" || !has(&after, Groups::Any), "{name}");
    }
    let grouped = model_of(named("grouped middle with in != out"), 3, false).model();
    let (after, outcome) = rewrite(&grouped, &target("hls4ml").objective(Objective::Macs));
    assert!(joins(&outcome) == 0 && has(&after, Groups::Any), "a convolution in groups may stay one");
    assert!(!has(&generic, Groups::Depthwise));
}

#[test]
fn what_a_target_prefers_is_taken_unless_something_else_is_asked_for() {
    let zk = target("zk");
    let (_, outcome) = rewrite(&basic("Relu", false), &zk);
    assert_eq!(joins(&outcome), 1, "removing it would make the proof larger");
    let asked = zk.families(Families::new(&[Selector::Residual], &[]));
    assert_eq!(joins(&rewrite(&basic("Relu", false), &asked).1), 0);
    let tfhe = target("tfhe");
    assert!(tfhe.fold_head && tfhe.objective == Objective::Nonlinear);
    assert!(!target("ncnn").fold_head);
    let mine = Target::parse("name = 'mine'\noperators = ['Conv', 'Relu', 'Max', 'Min']").unwrap();
    let (after, outcome) = rewrite(&basic("Relu", true), &Options::default().target(mine));
    assert!(joins(&outcome) == 0 && nodes(&after).iter().any(|n| n.op_type() == "Max"));
}
