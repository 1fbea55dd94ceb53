//! Outputs that say nothing, originals that are no yardstick, other float types.

use ndarray::{ArrayD, IxDyn};
use onnx_rm::facts::tensor;
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{ModelProto, NodeProto};
use onnx_rm::verify::Status;

use onnx_rm::Options;

use super::common::{Build, conv, rewrite};
use super::regions::block;
use super::{amplified, check, edit, net, set_type, weight};

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
    // The same nodes compute it from the same constants: no evidence is needed.
    let report = check(&model, &model);
    assert!(report.is_equal() && report.notes.iter().any(|n| n.starts_with("'dead': it is all zero")), "{report}");
    let mut other = model.clone();
    edit(weight(&mut other, 2, 1), |w| w[[0, 0, 1, 1]] += 1e-7);
    assert_eq!(check(&model, &other).status, Status::NoEvidence);
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
    assert!(report.message.contains("leaves the range of float32; none does in the original"), "{report}");
    assert!(report.first_difference.is_none_or(|d| d.op == "Mul"));
    // An original that overflows by itself is compared in float64, where it does not.
    let report = check(&build(1e38), &build(1e38));
    assert!(report.notes.iter().any(|n| n.contains("it is not finite in the original")), "{report}");
}

#[test]
fn an_overflow_of_the_runtime_inside_of_the_original_is_no_failure() {
    // tract's Softplus is infinite where the function is not; the Tanh hides that in the original.
    let mut b = Build::new(0);
    let x = b.input("x", &[1, 9, 1]);
    let y = b.node("Softplus", &[&x], vec![]);
    let (first, last) = (b.random(&[1, 1], 1.0), b.random(&[1, 1], 1.0));
    let y = b.node("MatMul", &[&y, &first], vec![]);
    let y = b.node("Tanh", &[&y], vec![]);
    let y = b.node("MatMul", &[&y, &last], vec![]);
    let y = b.add(&y, &x);
    b.output(&y);
    let model = b.model();
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!(outcome.after.joins, 0);
    let report = check(&model, &after);
    assert!(report.is_equal(), "{report}");
    assert!(report.notes.iter().any(|n| n.contains("tract alone parts the two")), "{report}");
}

/// A convolution of the `Softplus` of a convolution, and `tail` behind it.
fn softplus(tail: impl Fn(&mut Build, &str) -> String) -> ModelProto {
    let mut model = with_tail(|b, c| {
        let y = b.node("Softplus", &[c], vec![]);
        let y = b.conv(&y, &conv(4, 4, 3));
        tail(b, &y)
    });
    // Both models of a pair have outputs of the same name.
    let graph = model.graph.as_mut().unwrap();
    graph.node.last_mut().unwrap().output[0] = "y".into();
    graph.output[0].name = Some("y".into());
    model
}

#[test]
fn a_rewrite_that_leaves_the_range_is_wrong_whatever_the_runtime_does() {
    let slopes = |b: &mut Build, y: &str| {
        let slope = b.floats(&[4, 1, 1], vec![0.0; 4]);
        b.node("PRelu", &[y, &slope], vec![])
    };
    // tract has infinities behind `Softplus` of large values, and NaNs behind the convolution, which only `Relu` hides.
    let relu = softplus(|b, y| b.relu(y));
    let report = check(&relu, &softplus(slopes));
    assert!(report.is_equal(), "{report}");
    let wrong = softplus(|b, y| {
        let (up, down) = (b.floats(&[], vec![3e34]), b.floats(&[], vec![1.0 / 3e34]));
        let huge = b.node("Mul", &[y, &up], vec![]);
        let kept = slopes(b, &huge);
        b.node("Mul", &[&kept, &down], vec![])
    });
    let report = check(&relu, &wrong);
    assert_eq!(report.status, Status::Mismatch, "{report}");
    assert!(report.message.contains("leaves the range of float32"), "{report}");
}

#[test]
fn an_original_that_amplifies_rounding_is_compared_in_float64() {
    let logistic = |scale: f64| {
        let mut b = Build::new(6);
        let x = b.input("x", &[1, 1, 6, 6]);
        let y = amplified(&mut b, &x, scale);
        b.output(&y);
        b.model()
    };
    let report = check(&logistic(3.99), &logistic(3.99));
    assert!(report.is_unstable() && report.agrees_in_float64() && !report.is_equal(), "{report}");
    assert!(report.message.contains("rounding alone may move it"), "{report}");
    let report = check(&logistic(3.99), &logistic(3.98));
    assert_eq!(report.status, Status::Mismatch, "{report}");
    assert_eq!(report.first_difference.unwrap().op, "Mul");
}

#[test]
fn very_many_nodes_are_imitated() {
    let chain = |slope: f32| {
        let mut b = Build::new(6);
        let mut y = b.input("x", &[1, 2, 4, 4]);
        for _ in 0..1030 {
            let less = b.node("LeakyRelu", &[&y], vec![super::common::float("alpha", slope)]);
            y = b.node("Neg", &[&less], vec![]);
        }
        b.output(&y);
        b.model()
    };
    let model = chain(0.999);
    let report = check(&model, &model);
    assert!(report.is_equal(), "{report}");
    let reason = report.arithmetic.rounded_because.unwrap();
    assert!(reason.contains("2060 nodes"), "{reason}");
    assert_eq!(check(&model, &chain(0.998)).status, Status::Mismatch);
}

#[test]
fn what_is_stable_only_where_it_grows_without_bound_is_unstable() {
    // Forty steps of the tent map: chaos between 0 and 1, twice the value in each step beyond.
    let mut b = Build::new(6);
    let mut y = b.input("x", &[1, 1, 8, 8]);
    for _ in 0..40 {
        let (two, one, less) = (b.floats(&[], vec![2.0]), b.floats(&[], vec![1.0]), b.floats(&[], vec![0.9999]));
        let y2 = b.node("Mul", &[&y, &two], vec![]);
        let from = b.node("Sub", &[&y2, &one], vec![]);
        let away = b.node("Abs", &[&from], vec![]);
        let scaled = b.node("Mul", &[&away, &less], vec![]);
        y = b.node("Sub", &[&one, &scaled], vec![]);
    }
    b.output(&y);
    let model = b.model();
    let report = check(&model, &model);
    let measure = |kind: &str| report.outputs[0].measures.iter().find(|m| m.input == kind).unwrap();
    assert!(!measure("normal").unstable && measure("uniform").unstable);
    assert!(report.is_unstable() && report.message.contains("on uniform input"), "{report}");
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
fn much_work_in_float16_is_imitated() {
    let mut b = Build::new(3);
    let x = b.input("x", &[1, 8, 96, 96]);
    let y = b.conv(&x, &conv(8, 32, 3));
    b.output(&y);
    let model = retyped(b.model(), DataType::Float16);
    let report = check(&model, &model);
    assert!(report.is_equal() && !report.is_unstable(), "{report}");
    assert!(report.arithmetic.rounded_because.as_ref().unwrap().contains("tract emulates float16"), "{report}");
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
        assert_eq!(report.arithmetic.rounded_because.is_some(), dtype == DataType::Bfloat16, "{name}: {report}");
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
