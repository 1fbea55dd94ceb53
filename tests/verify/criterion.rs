//! What is equal and what is not.

use onnx_rm::onnx::ModelProto;
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::options::Options;
use onnx_rm::verify::{Coverage, Measure, Status, VerifyError, VerifyOptions, VerifyReport, verify_models};

use super::common::{self, Build, conv, float};
use super::{check, edit, net, nodes, set_dims, set_type, weight};

/// Asserts that `bad` is caught, and that the blame is on the output of the node at `index`.
fn caught(good: &ModelProto, bad: &ModelProto, index: usize) -> VerifyReport {
    let report = check(good, bad);
    assert_eq!(report.status, Status::Mismatch, "{report}");
    let node = &good.graph.as_ref().unwrap().node[index];
    let first = report.first_difference.as_ref().unwrap_or_else(|| panic!("no tensor is named: {report}"));
    assert_eq!((first.tensor.as_str(), first.op.as_str()), (node.output[0].as_str(), node.op_type()), "{report}");
    assert!(report.to_string().contains(&format!("first differing tensor: '{}'", first.tensor)));
    report
}

#[test]
fn a_model_equals_itself() {
    let report = check(&net(), &net());
    assert_eq!(report.status, Status::Equal, "{report}");
    assert_eq!(report.coverage, Coverage::Whole);
    assert_eq!(
        report.kinds,
        ["normal", "uniform", "zero", "large", "negative", "one-hot", "tens", "bytes", "thousands", "level"]
    );
    assert_eq!(report.arithmetic.element_type, "float32");
    assert_eq!(report.outputs.len(), 2);
    for m in report.outputs.iter().flat_map(|o| &o.measures) {
        assert!(m.no_evidence.is_none() && m.rewritten_error == m.original_error && m.original_error > 0.0, "{m:?}");
    }
}

#[test]
fn a_rewrite_passes() {
    let (after, outcome) = common::rewrite(&net(), &Options::default());
    assert_eq!(outcome.after.joins, 0);
    let report = check(&net(), &after);
    assert!(report.is_equal(), "{report}");
    assert_eq!(report, check(&net(), &after), "the same seed gives the same report");
}

#[test]
fn clip_replaced_by_relu() {
    let mut bad = net();
    let clip = nodes(&mut bad).iter_mut().find(|n| n.op_type() == "Clip").unwrap();
    clip.op_type = Some("Relu".into());
    clip.input.truncate(1);
    caught(&net(), &bad, 3);
}

#[test]
fn a_dirac_tap_shifted_by_one() {
    let build = |column: usize| {
        let mut b = Build::new(1);
        let x = b.input("x", &[1, 2, 9, 9]);
        let mut dirac = vec![0.0; 2 * 2 * 9];
        dirac[3 + column] = 1.0;
        dirac[27 + 3 + column] = 1.0;
        let w = b.floats(&[2, 2, 3, 3], dirac);
        let stem = b.node("LeakyRelu", &[&x], vec![float("alpha", 0.1)]);
        let carried = b.conv_with(&[&stem, &w], &conv(2, 2, 3));
        let y = b.conv(&carried, &conv(2, 3, 3));
        b.output(&y);
        b.model()
    };
    caught(&build(1), &build(2), 1);
}

#[test]
fn a_bias_forgotten() {
    let mut bad = net();
    nodes(&mut bad)[4].input.truncate(2);
    caught(&net(), &bad, 4);
}

#[test]
fn one_weight_changed_by_a_thousandth() {
    let mut bad = net();
    edit(weight(&mut bad, 2, 1), |w| {
        let largest = w.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        w.iter_mut().filter(|v| v.abs() == largest).take(1).for_each(|v| *v *= 1.001);
    });
    let report = caught(&net(), &bad, 2);
    let margin = |m: &Measure| m.rewritten_error / m.limit;
    let widest = report.outputs.iter().flat_map(|o| &o.measures).map(margin).fold(0.0, f64::max);
    assert!(widest > 4.0, "{widest}");
}

#[test]
fn outputs_swapped() {
    let mut bad = net();
    let count = nodes(&mut bad).len();
    let (y, z) = (nodes(&mut bad)[count - 2].output.clone(), nodes(&mut bad)[count - 1].output.clone());
    nodes(&mut bad)[count - 2].output = z;
    nodes(&mut bad)[count - 1].output = y;
    caught(&net(), &bad, count - 2);
}

#[test]
fn a_rewrite_with_one_wrong_weight_is_caught() {
    let (mut bad, _) = common::rewrite(&net(), &Options::default());
    let merge = nodes(&mut bad).iter().rposition(|n| !n.metadata_props.is_empty() && n.op_type() == "Conv").unwrap();
    edit(weight(&mut bad, merge, 1), |w| w.iter_mut().filter(|v| **v == 1.0).take(1).for_each(|v| *v = 0.999));
    let report = check(&net(), &bad);
    assert_eq!(report.status, Status::Mismatch, "{report}");
    // What was the join's output: the branch itself has other tensors now.
    assert_eq!(report.first_difference.unwrap().op, "Add");
}

#[test]
fn the_same_values_in_another_shape_are_a_mismatch() {
    let shaped = |shape: &[i64]| {
        let mut b = Build::new(2);
        let x = b.input("x", &[1, 2, 6, 6]);
        let y = b.conv(&x, &conv(2, 4, 3));
        let shape = b.ints(shape);
        let y = b.node("Reshape", &[&y, &shape], vec![]);
        b.output(&y);
        b.model()
    };
    let report = check(&shaped(&[1, 4, 36]), &shaped(&[4, 36]));
    assert_eq!(report.status, Status::Mismatch, "{report}");
    assert!(report.message.contains("shape [1, 4, 36] became [4, 36]"), "{report}");
}

#[test]
fn another_signature_is_a_mismatch() {
    let good = net();
    let graph = |f: &dyn Fn(&mut onnx_rm::onnx::GraphProto)| {
        let mut bad = net();
        f(bad.graph.as_mut().unwrap());
        let report = check(&good, &bad);
        assert_eq!(report.status, Status::Mismatch);
        report.message
    };
    assert!(graph(&|g| g.output.truncate(1)).contains("2 graph outputs became 1"));
    assert!(graph(&|g| g.output.reverse()).contains("graph output"));
    let message = graph(&|g| set_dims(&mut g.input[0], &[Some(1), Some(3), Some(14), Some(12)]));
    assert!(message.contains("[1, 3, 12, 12] became 'x' float [1, 3, 14, 12]"), "{message}");
    let message = graph(&|g| set_dims(&mut g.input[0], &[None, Some(3), Some(12), Some(12)]));
    assert!(message.contains("[?, 3, 12, 12]"), "{message}");
    assert!(graph(&|g| set_type(&mut g.output[0], DataType::Double)).contains("became"));
}

/// As simplifiers do: sizes that the exporter left free are named where they follow from the inputs.
#[test]
fn sizes_of_outputs_may_be_named_where_they_are_right() {
    let sized = |size: Option<i64>, free: bool| {
        let mut b = Build::new(2);
        let x = b.input("x", &[1, 2, if free { -1 } else { 6 }, 6]);
        let y = b.conv(&x, &conv(2, 4, 3));
        b.output(&y);
        let mut model = b.model();
        set_dims(&mut model.graph.as_mut().unwrap().output[0], &[Some(1), Some(4), size, Some(6)]);
        model
    };
    let (open, right) = (sized(None, false), sized(Some(6), false));
    assert_eq!(check(&open, &right).status, Status::Equal);
    let wrong = check(&open, &sized(Some(7), false));
    assert!(wrong.status == Status::Mismatch && wrong.message.contains("it is [1, 4, 6, 6]"), "{wrong}");
    // Right in one size only.
    let wrong = check(&sized(None, true), &sized(Some(64), true));
    assert!(wrong.status == Status::Mismatch && wrong.message.contains("declares sizes"), "{wrong}");
    // What was named stays so.
    let wrong = check(&right, &open);
    assert!(wrong.status == Status::Mismatch && wrong.message.contains("became"), "{wrong}");
}

#[test]
fn a_graph_that_is_broken_is_named() {
    let mut bad = net();
    nodes(&mut bad)[1].input[0] = "nothing".into();
    let error = verify_models(&net(), &bad, &VerifyOptions::default()).unwrap_err();
    assert!(matches!(error, VerifyError::Graph { .. }), "{error}");
    assert!(error.to_string().contains("nothing"), "{error}");
    assert!(verify_models(&ModelProto::default(), &net(), &VerifyOptions::default()).is_err());
}
