//! Models that cannot be run whole.

use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{ModelProto, NodeProto, TensorProto, TensorShapeProto, type_proto};
use onnx_rm::options::Options;
use onnx_rm::verify::{Coverage, Status, VerifyError, VerifyOptions, VerifyReport, verify_models};

use super::common::{self, Build, conv, int, ints};
use super::{check, edit, nodes, set_dims, weight};

/// A residual block between a stem and a head, each of which may be an operator that nobody can run.
pub(super) fn block(stem: Option<&str>, head: Option<&str>) -> ModelProto {
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
    let options = VerifyOptions::default().shape(behind.clone(), vec![1, 6, 7, 7]);
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
fn an_operator_that_only_float64_has_needs_no_cut() {
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
        assert_eq!(report.coverage, Coverage::Whole);
        let reason = report.arithmetic.rounded_because.as_ref().unwrap();
        assert!(reason.contains("tract has no operator LpPool"), "{reason}");
        edit(weight(&mut bad, 1, 1), |w| w[[0, 0, 1, 1]] += 1e-3);
        let report = check(&good, &bad);
        // Behind the Relu no input shows that, for the channel is never above 0.
        let shown = if after { Status::Mismatch } else { Status::NoEvidence };
        assert_eq!(report.status, shown, "{report}");
        assert!(after || report.message.contains("no input carried that to an output"), "{report}");
        assert_eq!(report.first_difference.unwrap().op, "Conv");
    }
}

#[test]
fn a_model_that_tract_refuses_is_compared_in_float64_and_rounded() {
    let mut b = Build::new(4);
    let x = b.input("x", &[1, 4, 8, 8]);
    let stem = b.conv(&x, &conv(4, 4, 3));
    let ones = b.floats(&[4], vec![1.0; 4]);
    let zeros = b.floats(&[4], vec![0.0; 4]);
    // Batch statistics as outputs: tract has BatchNormalization, but not this.
    let training = vec![int("training_mode", 1)];
    let norm = b.nodes("BatchNormalization", &[&stem, &ones, &zeros, &zeros, &ones], 3, training).remove(0);
    let relu = b.relu(&norm);
    let y = b.conv(&relu, &conv(4, 2, 3));
    b.output(&y);
    let good = b.model();
    let changed = |by: f64| {
        let mut model = good.clone();
        edit(weight(&mut model, 3, 1), |w| w[[0, 0, 1, 1]] += by);
        check(&good, &model)
    };
    let report = changed(3e-8);
    assert!(report.is_equal(), "{report}");
    assert_eq!((&report.coverage, report.arithmetic.engine.as_str()), (&Coverage::Whole, "float64, rounded"));
    let reason = report.arithmetic.rounded_because.as_ref().unwrap();
    assert!(reason.starts_with("tract cannot run the model"), "{reason}");
    assert_eq!(changed(1e-3).status, Status::Mismatch);
}

/// [`block`], with a table of strings that the answer picks from, and the number of a string among the inputs.
fn named() -> ModelProto {
    let mut model = block(None, None);
    let graph = model.graph.as_mut().unwrap();
    let strings = |name: &str, n: i64| TensorProto {
        name: Some(name.into()),
        dims: vec![n],
        data_type: Some(DataType::String as i32),
        string_data: (0..n).map(|i| vec![b'a' + i as u8]).collect(),
        ..TensorProto::default()
    };
    graph.initializer.push(strings("labels", 6));
    let pooled = graph.output[0].name().to_owned();
    let node = |op: &str, inputs: &[&str], output: &str, attribute| NodeProto {
        op_type: Some(op.into()),
        name: Some(output.into()),
        input: inputs.iter().map(|i| (*i).to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute,
        ..NodeProto::default()
    };
    graph.node.push(node("ArgMax", &[&pooled], "best", vec![int("axis", 1), int("keepdims", 0)]));
    graph.node.push(node("Gather", &["labels", "best"], "name", vec![]));
    graph.node.push(node("Equal", &["labels", "asked"], "is", vec![]));
    for (name, dtype, list) in
        [("name", DataType::String, 1), ("is", DataType::Bool, 1), ("asked", DataType::String, 0)]
    {
        let mut info = graph.output[0].clone();
        info.name = Some(name.into());
        let Some(type_proto::Value::TensorType(t)) = info.r#type.as_mut().unwrap().value.as_mut() else { panic!() };
        (t.elem_type, t.shape) = (Some(dtype as i32), (list == 0).then(TensorShapeProto::default));
        if list == 1 {
            graph.output.push(info);
        } else {
            set_dims(&mut info, &[Some(1)]);
            graph.input.push(info);
        }
    }
    model
}

#[test]
fn strings_are_left_out_and_the_rest_is_compared() {
    let good = named();
    let report = check(&good, &good);
    assert!(report.is_equal(), "{report}");
    assert!(report.to_string().contains("is of type STRING"), "{report}");
    let (after, outcome) = common::rewrite(&good, &Options::default());
    assert_eq!(outcome.after.joins, 0);
    let report = check(&good, &after);
    assert!(report.is_equal() && matches!(report.coverage, Coverage::Regions { .. }), "{report}");
    assert_eq!(report.inputs.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["x"], "nothing is fed to 'asked'");

    let mut bad = after.clone();
    let merge = nodes(&mut bad).iter().rposition(|n| n.op_type() == "Conv").unwrap();
    edit(weight(&mut bad, merge, 1), |w| w.iter_mut().filter(|v| **v == 1.0).take(1).for_each(|v| *v = 0.99));
    assert_eq!(check(&good, &bad).status, Status::Mismatch);
    // Another string changes what the model says, and no input can show it.
    let mut bad = after;
    let labels = bad.graph.as_mut().unwrap().initializer.iter_mut().find(|t| t.name() == "labels").unwrap();
    labels.string_data[3] = b"z".to_vec();
    let report = verify_models(&good, &bad, &VerifyOptions::default());
    assert!(report.as_ref().map_or(true, |r| !r.is_equal()), "{report:?}");
}

#[test]
fn small_floats_and_integers_of_four_bits_are_fed() {
    for dtype in [DataType::Float8e4m3fn, DataType::Float8e5m2, DataType::Int4] {
        let mut b = Build::new(3);
        let x = b.input("x", &[1, 4, 6, 6]);
        let cast = b.node("Cast", &[&x], vec![int("to", DataType::Float as i64)]);
        let y = b.conv(&cast, &conv(4, 4, 3));
        let (step, zero) = (b.floats(&[], vec![0.125]), "zero");
        let q = b.node("QuantizeLinear", &[&y, &step, zero], vec![]);
        let z = b.node("DequantizeLinear", &[&q, &step, zero], vec![]);
        b.output(&z);
        let mut model = b.model();
        let graph = model.graph.as_mut().unwrap();
        graph.initializer.push(TensorProto {
            name: Some(zero.into()),
            data_type: Some(dtype as i32),
            raw_data: Some(vec![0].into()),
            ..TensorProto::default()
        });
        let Some(type_proto::Value::TensorType(t)) = graph.input[0].r#type.as_mut().unwrap().value.as_mut() else {
            panic!()
        };
        t.elem_type = Some(dtype as i32);
        model.opset_import[0].version = Some(21);
        let report = check(&model, &model);
        assert!(report.is_equal() && report.coverage == Coverage::Whole, "{dtype:?} {report}");
        let mut bad = model.clone();
        edit(weight(&mut bad, 1, 1), |w| w[[0, 0, 1, 1]] += 3.0);
        assert_eq!(check(&model, &bad).status, Status::Mismatch, "{dtype:?}");
    }
}
