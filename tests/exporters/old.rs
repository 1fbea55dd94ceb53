//! Old operator sets, operators of `com.microsoft`, casts that do nothing.

use onnx_rm::onnx::attribute_proto::AttributeType;
use onnx_rm::onnx::{AttributeProto, NodeProto, OperatorSetIdProto};
use onnx_rm::options::Options;
use onnx_rm::report::{Outcome, SiteStatus};

use super::{block, ops};
use crate::common::*;

fn left(opset: i64, between: fn(&mut Build, &str) -> String) -> usize {
    let model = block(opset, between).model();
    let (after, outcome) = rewrite(&model, &Options::default());
    let d = distance(&model, &after);
    assert!(d < ROUNDING, "differs by {d}");
    joins(&outcome)
}

#[test]
fn batch_normalisation_says_whether_it_trains() {
    let norm = |b: &mut Build, y: &str, attributes: &[(&str, i64)]| {
        let y = b.batch_norm(y, 8);
        let node = b.graph.node.last_mut().unwrap();
        node.attribute.extend(attributes.iter().map(|(name, value)| int(name, *value)));
        y
    };
    // Below opset 7 training is the default.
    let folds = |opset: i64, attributes: &'static [(&'static str, i64)]| {
        let model = block(opset, move |b, y| norm(b, y, attributes)).model();
        !ops(&rewrite(&model, &Options::default()).0).contains(&"BatchNormalization")
    };
    assert!(folds(6, &[("is_test", 1)]) && !folds(6, &[]) && !folds(6, &[("is_test", 0)]));
    assert!(!folds(6, &[("is_test", 1), ("spatial", 0)]));
    assert!(folds(7, &[]) && folds(8, &[]));
}

#[test]
fn dropout_below_opset_7_drops_unless_it_is_told_not_to() {
    let dropout = |b: &mut Build, y: &str, attributes| b.node("Dropout", &[y], attributes);
    let joins = |opset: i64, test: Option<i64>| {
        let attributes = || test.map(|t| int("is_test", t)).into_iter().collect::<Vec<_>>();
        let model = block(opset, |b, y| dropout(b, y, attributes())).model();
        joins(&rewrite(&model, &Options::default()).1)
    };
    assert_eq!((joins(6, None), joins(6, Some(0)), joins(6, Some(1)), joins(7, None)), (1, 1, 0, 0));
}

fn refused_for_opset(outcome: &Outcome) -> bool {
    outcome
        .sites
        .iter()
        .any(|s| matches!(&s.status, SiteStatus::Kept(reject) if reject.code == onnx_rm::RejectCode::Opset))
}

#[test]
fn constants_begin_at_an_axis_below_opset_7() {
    // A projection whose input is never negative, so that nothing newer is needed.
    let shifted = |opset: i64, shape: &'static [usize], attributes: &'static [(&'static str, i64)]| {
        let mut b = block(opset, |b, y| {
            let c = b.random(shape, 1.0);
            let y = b.node("Add", &[y, &c], attributes.iter().map(|(name, value)| int(name, *value)).collect());
            b.relu(&y)
        });
        let stem = b.graph.node.iter().position(|n| n.op_type() == "Conv").unwrap();
        let (stem, read) = (b.graph.node[stem].output[0].clone(), "positive".to_owned());
        for node in &mut b.graph.node {
            node.input.iter_mut().filter(|i| **i == stem).for_each(|i| i.clone_from(&read));
        }
        let relu =
            NodeProto { op_type: Some("Relu".into()), input: vec![stem], output: vec![read], ..NodeProto::default() };
        b.graph.node.insert(1, relu);
        b.model()
    };
    for (shape, attributes) in [
        (&[8][..], &[("broadcast", 1), ("axis", 1)][..]),
        (&[8, 1, 1], &[("broadcast", 1), ("axis", 1)]),
        (&[8, 1, 1], &[("broadcast", 1)]),
        (&[1], &[("broadcast", 1)]),
    ] {
        let model = shifted(6, shape, attributes);
        let (after, outcome) = rewrite(&model, &Options::default());
        assert_eq!(joins(&outcome), 0, "{shape:?}: {:?}", outcome.sites);
        assert!(distance(&model, &after) < ROUNDING, "{shape:?}");
    }
    // Along positions: eight of them, as there are channels.
    for (shape, attributes) in [
        (&[8][..], &[("broadcast", 1), ("axis", 2)][..]),
        (&[8], &[("broadcast", 1), ("axis", 3)]),
        (&[8], &[("broadcast", 1)]),
        (&[8, 8], &[("broadcast", 1), ("axis", 1)]),
    ] {
        let model = shifted(6, shape, attributes);
        let (after, outcome) = rewrite(&model, &Options::default());
        assert_eq!(ops(&after), ops(&model), "{shape:?}");
        assert!(refused_for_opset(&outcome), "{:?}", outcome.sites);
    }
    // A slope a channel stood alone below opset 7.
    let model = block(6, |b, y| {
        let slope = b.random(&[8], 0.2);
        b.node("PRelu", &[y, &slope], vec![])
    });
    let (_, outcome) = rewrite(&model.model(), &Options::default());
    assert!(refused_for_opset(&outcome), "{:?}", outcome.sites);
}

#[test]
fn gates_pass_by_the_pads_of_their_operator_set() {
    let gated = |b: &mut Build, y: &str| {
        let g = b.node("GlobalAveragePool", &[y], vec![]);
        let g = b.conv(&g, &conv(8, 4, 1));
        let g = b.relu(&g);
        let g = b.conv(&g, &conv(4, 8, 1));
        let g = b.node("Sigmoid", &[&g], vec![]);
        b.node("Mul", &[y, &g], vec![])
    };
    for opset in [7, 9, 10, 11, 13] {
        let model = block(opset, gated).model();
        let (after, outcome) = rewrite(&model, &Options::default());
        assert_eq!(joins(&outcome), 0, "opset {opset}: {:?}", outcome.sites);
        assert!(distance(&model, &after) < ROUNDING, "opset {opset}");
        assert_valid(&after, "a gate");
        let pad = after.graph.as_ref().unwrap().node.iter().find(|n| n.op_type() == "Pad").unwrap();
        assert_eq!(pad.input.len(), if opset < 11 { 1 } else { 3 }, "opset {opset}");
    }
}

#[test]
fn casts_to_the_same_type_do_nothing() {
    let cast = |to: i64| move |b: &mut Build, y: &str| b.node("Cast", &[y], vec![int("to", to)]);
    let model = block(13, |b, y| cast(1)(b, y)).model();
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!(joins(&outcome), 0, "{:?}", outcome.sites);
    assert!(distance(&model, &after) < ROUNDING);
    // Through float16 and back every value is rounded.
    let model = block(13, |b, y| {
        let y = cast(10)(b, y);
        cast(1)(b, &y)
    })
    .model();
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!(after, model);
    assert!(outcome.kept().any(|(_, r)| r.reason.contains("rounds")), "{:?}", outcome.sites);
}

#[test]
fn activations_of_other_domains_pass() {
    for (op, bias) in [("Gelu", false), ("FastGelu", false), ("QuickGelu", false), ("FastGelu", true)] {
        let mut b = block(17, |b, y| {
            let bias = bias.then(|| b.random(&[8], 1.0));
            let inputs: Vec<&str> = std::iter::once(y).chain(bias.as_deref()).collect();
            let y = b.node(op, &inputs, vec![]);
            b.graph.node.last_mut().unwrap().domain = Some("com.microsoft".into());
            y
        });
        b.opset = 17;
        let mut model = b.model();
        model.opset_import.push(OperatorSetIdProto { domain: Some("com.microsoft".into()), version: Some(1) });
        let (after, outcome) = rewrite(&model, &Options::default());
        assert_eq!(joins(&outcome), usize::from(bias), "{op}: {:?}", outcome.sites);
        assert!(distance(&model, &after) < ROUNDING, "{op}");
    }
}

/// ONNX Runtime's own layout: a convolution that adds another tensor is a join, and how much it computes is not known.
#[test]
fn joins_in_blocked_layouts_are_counted() {
    let mut b = Build::new(3);
    let x = b.input("x", &[1, 8, 6, 6]);
    let blocked = |b: &mut Build, inputs: &[&str], op: &str| {
        let y = b.node(op, inputs, vec![]);
        b.graph.node.last_mut().unwrap().domain = Some("com.microsoft.nchwc".into());
        y
    };
    let x = blocked(&mut b, &[&x], "ReorderInput");
    let w = b.random(&[8, 8, 3, 3], 0.1);
    let y = blocked(&mut b, &[&x, &w], "Conv");
    let y = blocked(&mut b, &[&y, &w, "", &x], "Conv");
    let y = blocked(&mut b, &[&y], "ReorderOutput");
    b.output(&y);
    let mut model = b.model();
    model.opset_import.push(OperatorSetIdProto { domain: Some("com.microsoft.nchwc".into()), version: Some(1) });
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!((&after, joins(&outcome), outcome.before.macs), (&model, 1, None));
    let reasons: Vec<_> = outcome.kept().map(|(_, r)| r.reason.as_str()).collect();
    assert!(reasons.iter().any(|r| r.contains("blocked layout")), "{reasons:?}");
}

#[test]
fn weights_in_constant_nodes_are_parameters() {
    let model = block(13, |b, y| b.relu(y)).model();
    let mut written = model.clone();
    let graph = written.graph.as_mut().unwrap();
    let constants = std::mem::take(&mut graph.initializer).into_iter().map(|t| onnx_rm::onnx::NodeProto {
        op_type: Some("Constant".into()),
        output: vec![t.name().to_owned()],
        attribute: vec![AttributeProto {
            name: Some("value".into()),
            r#type: Some(AttributeType::Tensor as i32),
            t: Some(t),
            ..AttributeProto::default()
        }],
        ..Default::default()
    });
    graph.node.splice(0..0, constants);
    let price = |m| rewrite(m, &Options::default()).1.before.params;
    assert_eq!(price(&written), price(&model));
}

#[test]
fn relu_in_the_first_operator_sets() {
    assert_eq!(left(7, |b, y| b.relu(y)), 0);
}
