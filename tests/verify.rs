//! Verification: equal models pass, wrong ones are caught and the first differing tensor is named.
#![cfg(feature = "verify")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::path::PathBuf;

use common::{Build, conv, float, int, ints};
use ndarray::{Array4, ArrayD, IxDyn};
use onnx_rm::facts::tensor;
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{ModelProto, NodeProto, TensorProto, ValueInfoProto, tensor_shape_proto, type_proto};
use onnx_rm::plan::options::Options;
use onnx_rm::verify::{Coverage, Status, VerifyError, VerifyOptions, VerifyReport, verify_models};

fn check(a: &ModelProto, b: &ModelProto) -> VerifyReport {
    verify_models(a, b, &VerifyOptions::default()).unwrap()
}

/// Two convolutions with a clip between, a projection of their sum, and two outputs of one shape.
fn net() -> ModelProto {
    let mut b = Build::new(5);
    let x = b.input("x", &[1, 3, 12, 12]);
    let stem = b.conv(&x, &conv(3, 8, 3));
    let fork = b.node("Relu", &[&stem], vec![]);
    let (low, high) = (b.floats(&[], vec![0.0]), b.floats(&[], vec![6.0]));
    let first = b.conv(&fork, &conv(8, 8, 3));
    let clip = b.node("Clip", &[&first, &low, &high], vec![]);
    let second = b.conv(&clip, &conv(8, 8, 3));
    let join = b.add(&second, &fork);
    let (y, z) = (b.conv(&join, &conv(8, 4, 1)), b.conv(&join, &conv(8, 4, 1)));
    b.output(&y);
    b.output(&z);
    b.model()
}

fn nodes(model: &mut ModelProto) -> &mut Vec<NodeProto> {
    &mut model.graph.as_mut().unwrap().node
}

fn weight(model: &mut ModelProto, node: usize, slot: usize) -> &mut TensorProto {
    let graph = model.graph.as_mut().unwrap();
    let name = graph.node[node].input[slot].clone();
    graph.initializer.iter_mut().find(|t| t.name() == name).unwrap()
}

fn edit(tensor: &mut TensorProto, f: impl Fn(&mut ArrayD<f64>)) {
    let mut values = tensor::read_f64(tensor).unwrap();
    f(&mut values);
    *tensor = tensor::write(tensor.name(), &values, DataType::Float);
}

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
    assert_eq!(report.kinds, ["normal", "uniform", "zero", "large", "negative", "one-hot"]);
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
    caught(&net(), &bad, 2);
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

fn set_dims(info: &mut ValueInfoProto, dims: &[Option<i64>]) {
    let dim = |d: &Option<i64>| tensor_shape_proto::Dimension {
        value: d.map(tensor_shape_proto::dimension::Value::DimValue),
        ..Default::default()
    };
    let Some(type_proto::Value::TensorType(t)) = info.r#type.as_mut().unwrap().value.as_mut() else { panic!() };
    t.shape.as_mut().unwrap().dim = dims.iter().map(dim).collect();
}

fn set_type(info: &mut ValueInfoProto, dtype: DataType) {
    let Some(type_proto::Value::TensorType(t)) = info.r#type.as_mut().unwrap().value.as_mut() else { panic!() };
    t.elem_type = Some(dtype as i32);
}

/// A convolution, and `tail` behind it.
fn with_tail(tail: impl Fn(&mut Build, &str) -> String) -> ModelProto {
    let mut b = Build::new(2);
    let x = b.input("x", &[1, 2, 6, 6]);
    let c = b.conv(&x, &conv(2, 4, 3));
    let y = tail(&mut b, &c);
    b.output(&y);
    b.model()
}

#[test]
fn an_output_that_says_nothing_is_no_evidence() {
    let scaled = |by: f64, plus: f64| {
        with_tail(|b, c| {
            let (by, plus) = (b.floats(&[], vec![by]), b.floats(&[], vec![plus]));
            let scaled = b.node("Mul", &[c, &by], vec![]);
            b.node("Add", &[&scaled, &plus], vec![])
        })
    };
    let nan = with_tail(|b, c| {
        let square = b.node("Mul", &[c, c], vec![]);
        let one = b.floats(&[], vec![1.0]);
        let below = b.node("Add", &[&square, &one], vec![]);
        let negative = b.node("Neg", &[&below], vec![]);
        b.node("Sqrt", &[&negative], vec![])
    });
    // A pattern that no input reaches: it varies in space and says nothing all the same.
    let frozen = with_tail(|b, c| {
        let zero = b.floats(&[], vec![0.0]);
        let nothing = b.node("Mul", &[c, &zero], vec![]);
        let pattern = b.random(&[1, 4, 6, 6], 1.0);
        b.node("Add", &[&nothing, &pattern], vec![])
    });
    let cases = [
        (scaled(0.0, 0.0), "all zero"),
        (scaled(0.0, 3.0), "constant"),
        (nan, "not finite"),
        (frozen, "the same for every input"),
    ];
    for (model, reason) in cases {
        let report = check(&model, &model);
        assert_eq!(report.status, Status::NoEvidence, "{report}");
        assert!(report.message.contains(reason), "{report}");
    }
    assert!(check(&scaled(1.0, 3.0), &scaled(1.0, 3.0)).is_equal());
}

#[test]
fn one_output_without_evidence_is_not_covered_by_another() {
    let mut model = net();
    let graph = model.graph.as_mut().unwrap();
    let y = graph.output[1].name().to_owned();
    let mut zero = tensor::write("zero", &ArrayD::zeros(IxDyn(&[])), DataType::Float);
    zero.name = Some("zero".into());
    graph.initializer.push(zero);
    graph.node.push(NodeProto {
        op_type: Some("Mul".into()),
        input: vec![y, "zero".into()],
        output: vec!["dead".into()],
        ..NodeProto::default()
    });
    graph.output[1].name = Some("dead".into());
    assert_eq!(check(&model, &model).status, Status::NoEvidence);
}

#[test]
fn a_rewritten_model_that_overflows_alone_is_wrong() {
    let build = |scale: f64| {
        with_tail(|b, c| {
            let (up, down) = (b.floats(&[], vec![scale]), b.floats(&[], vec![1.0 / scale]));
            let huge = b.node("Mul", &[c, &up], vec![]);
            // Keeps the two products apart, which tract would make one of.
            let kept = b.node("Relu", &[&huge], vec![]);
            b.node("Mul", &[&kept, &down], vec![])
        })
    };
    let report = check(&build(1.0), &build(1e38));
    assert_eq!(report.status, Status::Mismatch, "{report}");
    assert!(report.message.contains("finite in the original"), "{report}");
    assert!(report.first_difference.is_none_or(|d| d.op == "Mul"));
    // The other way round nothing is wrong with what the rewritten model gives.
    let report = check(&build(1e38), &build(1e38));
    assert!(report.outputs[0].measures.iter().any(|m| m.no_evidence.as_deref() == Some("not finite in the original")));
}

#[test]
fn free_dimensions_get_a_stated_choice() {
    let mut model = net();
    set_dims(&mut model.graph.as_mut().unwrap().input[0], &[None, None, None, None]);
    let report = check(&model, &model);
    assert!(report.is_equal(), "{report}");
    assert_eq!((report.inputs[0].shape.as_slice(), report.inputs[0].assumed), ([1, 3, 64, 64].as_slice(), true));
    assert!(report.to_string().contains("input 'x' was taken as [1, 3, 64, 64]"), "{report}");
    let options = VerifyOptions { shapes: vec![("x".into(), vec![2, 3, 9, 8])], ..VerifyOptions::default() };
    let report = verify_models(&model, &model, &options).unwrap();
    assert_eq!((report.inputs[0].shape.as_slice(), report.inputs[0].assumed), ([2, 3, 9, 8].as_slice(), false));
}

#[test]
fn a_size_that_the_classifier_asks_for_is_found() {
    let mut b = Build::new(3);
    let x = b.input("x", &[-1, 3, -1, -1]);
    let c = b.conv(&x, &conv(3, 2, 3));
    let flat = b.node("Flatten", &[&c], vec![int("axis", 1)]);
    let w = b.random(&[2 * 32 * 32, 5], 0.1);
    let y = b.node("MatMul", &[&flat, &w], vec![]);
    b.output(&y);
    let model = b.model();
    // The builder calls every free dimension `batch`; here they are three.
    let mut model = model;
    set_dims(&mut model.graph.as_mut().unwrap().input[0], &[None, Some(3), None, None]);
    let report = check(&model, &model);
    assert!(report.is_equal(), "{report}");
    assert_eq!(report.inputs[0].shape, [1, 3, 32, 32]);
}

fn folder() -> PathBuf {
    tempfile::Builder::new().prefix("onnx-rm-verify-").tempdir().unwrap().keep()
}

fn save_npz(arrays: &[(&str, Array4<f32>)]) -> PathBuf {
    let path = folder().join("inputs.npz");
    let mut npz = ndarray_npy::NpzWriter::new(std::fs::File::create(&path).unwrap());
    for (name, array) in arrays {
        npz.add_array(*name, array).unwrap();
    }
    npz.finish().unwrap();
    path
}

#[test]
fn given_inputs_are_used_too() {
    // Only values beyond a million show that one of the two is bounded; no seeded input has such.
    let bound = |high: f64| {
        let mut b = Build::new(2);
        let x = b.input("x", &[1, 2, 6, 6]);
        let (low, high) = (b.floats(&[], vec![-1e9]), b.floats(&[], vec![high]));
        let y = b.node("Clip", &[&x, &low, &high], vec![]);
        b.output(&y);
        b.model()
    };
    let (a, b) = (bound(1e6), bound(1e7));
    assert!(check(&a, &b).is_equal());
    let mut values = Array4::from_elem((1, 2, 6, 6), 1.0);
    values[[0, 1, 2, 3]] = 5e6;
    let options = VerifyOptions { inputs: Some(save_npz(&[("x", values)])), ..VerifyOptions::default() };
    let report = verify_models(&a, &b, &options).unwrap();
    assert_eq!(report.status, Status::Mismatch, "{report}");
    assert_eq!(report.first_difference.unwrap().input, "given");
}

#[test]
fn inputs_that_do_not_fit_are_an_error() {
    let model = net();
    let error = |arrays: &[(&str, Array4<f32>)]| {
        let options = VerifyOptions { inputs: Some(save_npz(arrays)), ..VerifyOptions::default() };
        verify_models(&model, &model, &options).unwrap_err().to_string()
    };
    let fits = || Array4::from_elem((1, 3, 12, 12), 0.5);
    assert!(error(&[("z", fits())]).contains("array 'z' is no input of the model; its inputs are x"));
    assert!(error(&[]).contains("there is no array for input 'x'"));
    assert!(error(&[("x", Array4::zeros((1, 3, 12, 13)))]).contains("does not fit"));
    let text = folder().join("inputs.npz");
    std::fs::write(&text, "no archive").unwrap();
    let options = VerifyOptions { inputs: Some(text), ..VerifyOptions::default() };
    assert!(verify_models(&model, &model, &options).unwrap_err().to_string().contains("inputs.npz"));
    let options = VerifyOptions { shapes: vec![("x".into(), vec![1, 4, 12, 12])], ..VerifyOptions::default() };
    let error = verify_models(&model, &model, &options).unwrap_err();
    assert!(error.hint().unwrap().contains("--input-shape"), "{error}");
}

#[test]
fn an_initializer_that_is_an_input_keeps_its_default() {
    let mut model = net();
    let graph = model.graph.as_mut().unwrap();
    let name = graph.node[0].input[1].clone();
    let mut info = graph.input[0].clone();
    info.name = Some(name);
    set_dims(&mut info, &[Some(8), Some(3), Some(3), Some(3)]);
    graph.input.push(info);
    let report = check(&model, &model);
    assert!(report.is_equal(), "{report}");
    assert_eq!(report.inputs.len(), 1);
}

/// A residual block between a stem and a head, each of which may be an operator that nobody can run.
fn block(stem: Option<&str>, head: Option<&str>) -> ModelProto {
    let mut b = Build::new(8);
    let x = b.input("x", &[1, 6, 8, 8]);
    let begin = match stem {
        Some(op) => b.node(op, &[&x], vec![]),
        None => b.conv(&x, &conv(6, 6, 3)),
    };
    let fork = b.node("Relu", &[&begin], vec![]);
    let one = b.conv(&fork, &conv(6, 6, 3));
    let relu = b.node("Relu", &[&one], vec![]);
    let two = b.conv(&relu, &conv(6, 6, 3));
    let join = b.add(&two, &fork);
    let end = b.node("Relu", &[&join], vec![]);
    let y = match head {
        Some(op) => b.node(op, &[&end], vec![]),
        None => b.node("GlobalAveragePool", &[&end], vec![]),
    };
    b.output(&y);
    let mut model = b.model();
    for node in nodes(&mut model).iter_mut().filter(|n| n.op_type().starts_with("Secret")) {
        node.domain = Some("acme".into());
    }
    model
}

fn regions(good: &ModelProto, bad: &ModelProto) -> (VerifyReport, Vec<String>) {
    let report = check(good, bad);
    let Coverage::Regions { tensors, reason } = &report.coverage else { panic!("not cut: {report}") };
    assert!(reason.contains("acme::Secret"), "{reason}");
    let tensors = tensors.clone();
    (report, tensors)
}

#[test]
fn a_head_that_nobody_can_run_is_cut_off() {
    let good = block(None, Some("SecretHead"));
    let (after, outcome) = common::rewrite(&good, &Options::default());
    assert_eq!(outcome.after.joins, 0);
    let (report, tensors) = regions(&good, &after);
    assert!(report.is_equal(), "{report}");
    let join = good.graph.as_ref().unwrap().node.iter().find(|n| n.op_type() == "Add").unwrap().output[0].clone();
    assert_eq!(tensors, [join]);
    assert_eq!(report.inputs[0].name, "x", "the region reaches back to the input");

    let mut bad = after.clone();
    let merge = nodes(&mut bad).iter().rposition(|n| n.op_type() == "Conv").unwrap();
    edit(weight(&mut bad, merge, 1), |w| w.iter_mut().filter(|v| **v == 1.0).take(1).for_each(|v| *v = 0.99));
    let (report, _) = regions(&good, &bad);
    assert_eq!(report.status, Status::Mismatch, "{report}");
    assert_eq!(report.first_difference.unwrap().op, "Add");
}

#[test]
fn a_stem_that_nobody_can_run_gets_random_values_behind_it() {
    let good = block(Some("SecretStem"), None);
    let behind = good.graph.as_ref().unwrap().node[0].output[0].clone();
    let changed = |by: f64| {
        let mut model = good.clone();
        edit(weight(&mut model, 4, 1), |w| w[[0, 0, 1, 1]] += by);
        model
    };
    // Nothing says the shape of what the stem gives.
    let error = verify_models(&good, &changed(3e-8), &VerifyOptions::default()).unwrap_err();
    assert!(error.to_string().contains("shape is unknown"), "{error}");
    let options = VerifyOptions { shapes: vec![(behind.clone(), vec![1, 6, 7, 7])], ..VerifyOptions::default() };
    let check = |by: f64| verify_models(&good, &changed(by), &options).unwrap();
    let report = check(3e-8);
    assert!(report.is_equal(), "{report}");
    assert_eq!(
        (report.inputs[0].name.as_str(), report.inputs[0].shape.as_slice()),
        (&*behind, [1, 6, 7, 7].as_slice())
    );
    assert!(matches!(report.coverage, Coverage::Regions { .. }), "{report}");
    let report = check(1e-3);
    assert_eq!(report.status, Status::Mismatch, "{report}");
    assert_eq!(report.first_difference.unwrap().tensor, good.graph.as_ref().unwrap().node[4].output[0]);
}

#[test]
fn an_original_that_amplifies_rounding_is_compared_in_float64() {
    // Each step squares and shifts into another digit: what is left of float32 after twelve is noise.
    let logistic = |scale: f64| {
        let mut b = Build::new(6);
        let x = b.input("x", &[1, 1, 6, 6]);
        let mut y = b.node("Sigmoid", &[&x], vec![]);
        for _ in 0..30 {
            let (one, four) = (b.floats(&[], vec![1.0]), b.floats(&[], vec![scale]));
            let rest = b.node("Sub", &[&one, &y], vec![]);
            let product = b.node("Mul", &[&y, &rest], vec![]);
            y = b.node("Mul", &[&product, &four], vec![]);
        }
        b.output(&y);
        b.model()
    };
    let report = check(&logistic(3.99), &logistic(3.99));
    assert!(report.is_equal(), "{report}");
    assert!(report.arithmetic.float64_because.as_ref().unwrap().contains("amplifies"), "{report}");
    let report = check(&logistic(3.99), &logistic(3.98));
    assert_eq!(report.status, Status::Mismatch, "{report}");
    assert_eq!(report.first_difference.unwrap().op, "Mul");
}

#[test]
fn what_a_head_that_nobody_can_run_reads_is_compared() {
    let good = block(None, Some("SecretHead"));
    // The head reads another tensor, which computes the same, or does not.
    let rewire = |op: &str| {
        let mut model = good.clone();
        let head = nodes(&mut model).pop().unwrap();
        let node = NodeProto {
            name: Some("extra".into()),
            op_type: Some(op.into()),
            input: head.input.clone(),
            output: vec!["extra".into()],
            ..NodeProto::default()
        };
        nodes(&mut model).push(node);
        nodes(&mut model).push(NodeProto { input: vec!["extra".into()], ..head });
        model
    };
    let (report, _) = regions(&good, &rewire("Identity"));
    assert!(report.is_equal(), "{report}");
    assert_eq!(regions(&good, &rewire("Neg")).0.status, Status::Mismatch);
}

#[test]
fn models_without_a_difference_need_not_be_run() {
    let model = block(Some("SecretStem"), Some("SecretHead"));
    let (report, tensors) = regions(&model, &model);
    assert!(report.is_equal() && tensors.is_empty(), "{report}");
}

#[test]
fn a_changed_node_that_nobody_can_run_cannot_be_verified() {
    let good = block(None, Some("SecretHead"));
    let mut bad = good.clone();
    nodes(&mut bad).last_mut().unwrap().attribute.push(int("mode", 1));
    let error = verify_models(&good, &bad, &VerifyOptions::default()).unwrap_err();
    assert!(matches!(error, VerifyError::CannotRun(_)), "{error}");
    assert!(error.to_string().contains("SecretHead"), "{error}");
}

#[test]
fn an_operator_that_only_float64_has_is_cut_away() {
    let pooled = |after: bool| {
        let mut b = Build::new(4);
        let x = b.input("x", &[1, 4, 8, 8]);
        let pool = b.node("LpPool", &[&x], vec![ints("kernel_shape", &[2, 2])]);
        let c = b.conv(&pool, &conv(4, 4, 3));
        let y = if after { b.node("LpPool", &[&c], vec![ints("kernel_shape", &[2, 2])]) } else { b.relu(&c) };
        b.output(&y);
        b.model()
    };
    for after in [false, true] {
        let good = pooled(after);
        let mut bad = good.clone();
        edit(weight(&mut bad, 1, 1), |w| w[[0, 0, 1, 1]] += 1e-8);
        let report = check(&good, &bad);
        assert!(report.is_equal(), "{report}");
        let Coverage::Regions { tensors, reason } = &report.coverage else { panic!("not cut: {report}") };
        assert!(reason.contains("tract has no operator LpPool"), "{reason}");
        assert_eq!(tensors, &[good.graph.as_ref().unwrap().node[1].output[0].clone()]);
        edit(weight(&mut bad, 1, 1), |w| w[[0, 0, 1, 1]] += 1e-3);
        assert_eq!(check(&good, &bad).status, Status::Mismatch);
    }
}

/// `model` with all floats in another type.
fn retyped(mut model: ModelProto, dtype: DataType) -> ModelProto {
    let graph = model.graph.as_mut().unwrap();
    for t in &mut graph.initializer {
        if t.data_type() == DataType::Float as i32 {
            *t = tensor::write(t.name(), &tensor::read_f64(t).unwrap(), dtype);
        }
    }
    graph.input.iter_mut().chain(&mut graph.output).for_each(|v| set_type(v, dtype));
    model
}

#[test]
fn other_float_types_have_their_own_tolerance() {
    for (dtype, name, small, large) in [
        (DataType::Float16, "float16", 1e-4, 0.25),
        (DataType::Bfloat16, "bfloat16", 1e-3, 0.5),
        (DataType::Double, "float64", 1e-17, 1e-9),
    ] {
        let good = retyped(block(None, None), dtype);
        let report = check(&good, &good);
        assert!(report.is_equal(), "{name}: {report}");
        assert_eq!(report.arithmetic.element_type, name);
        assert_eq!(report.arithmetic.float64_because.is_some(), dtype == DataType::Bfloat16, "{name}: {report}");
        let changed = |by: f64| {
            let mut bad = good.clone();
            let tensor = weight(&mut bad, 4, 1);
            let mut values = tensor::read_f64(tensor).unwrap();
            values.mapv_inplace(|v| v * (1.0 + by));
            *tensor = tensor::write(tensor.name(), &values, dtype);
            check(&good, &bad)
        };
        assert!(changed(small).is_equal(), "{name}: {}", changed(small));
        assert_eq!(changed(large).status, Status::Mismatch, "{name}: {}", changed(large));
    }
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
