//! The float64 evaluator: geometry of convolutions and pools, subgraphs, functions, and graphs that are broken.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use crate::common;

use std::collections::BTreeMap;

use common::{Build, int, ints};
use ndarray::{ArrayD, IxDyn};
use onnx_rm::onnx::attribute_proto::AttributeType;
use onnx_rm::onnx::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto,
};
use onnx_rm::verify::reference::{EvalError, Value, run, run_to, supports};

fn floats(shape: &[usize], values: &[f64]) -> Value {
    Value::F(ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).unwrap())
}

fn counting(shape: &[usize]) -> Value {
    floats(shape, &(1..=shape.iter().product()).map(|v: usize| v as f64).collect::<Vec<_>>())
}

fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::String as i32),
        s: Some(value.as_bytes().to_vec()),
        ..AttributeProto::default()
    }
}

fn graph_attribute(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::Graph as i32),
        g: Some(graph),
        ..AttributeProto::default()
    }
}

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        input: inputs.iter().map(|s| (*s).into()).collect(),
        output: outputs.iter().map(|s| (*s).into()).collect(),
        ..NodeProto::default()
    }
}

fn named(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: Some(name.into()), ..ValueInfoProto::default() }
}

/// One node on `x` (and weights), and what it gives.
fn one(
    op: &str,
    x: &Value,
    weights: &[(&[usize], &[f64])],
    attributes: Vec<AttributeProto>,
) -> Result<Value, EvalError> {
    let mut b = Build::new(1);
    b.input("x", &[]);
    let weights: Vec<String> = weights.iter().map(|(s, v)| b.floats(s, v.to_vec())).collect();
    let mut inputs = vec!["x"];
    inputs.extend(weights.iter().map(String::as_str));
    let y = b.node(op, &inputs, attributes);
    let trace = run(&b.model(), &BTreeMap::from([("x".to_owned(), x.clone())]))?;
    Ok(trace.get(&y).unwrap().clone())
}

const ONES: (&[usize], &[f64]) = (&[1, 1, 3], &[1.0, 10.0, 100.0]);

#[test]
fn same_upper_pads_behind_and_same_lower_in_front() {
    let x = counting(&[1, 1, 4]);
    let conv = |pad: &str| one("Conv", &x, &[ONES], vec![string("auto_pad", pad), ints("strides", &[2])]).unwrap();
    assert_eq!(conv("SAME_UPPER"), floats(&[1, 1, 2], &[321.0, 43.0]));
    assert_eq!(conv("SAME_LOWER"), floats(&[1, 1, 2], &[210.0, 432.0]));
    assert_eq!(conv("VALID"), floats(&[1, 1, 1], &[321.0]));
}

#[test]
fn uneven_pads_and_dilation_shift_the_window() {
    let x = counting(&[1, 1, 4]);
    let conv = |pads: &[i64], dilation| {
        one("Conv", &x, &[ONES], vec![ints("pads", pads), ints("dilations", &[dilation])]).unwrap()
    };
    assert_eq!(conv(&[2, 0], 1), floats(&[1, 1, 4], &[100.0, 210.0, 321.0, 432.0]));
    assert_eq!(conv(&[0, 1], 1), floats(&[1, 1, 3], &[321.0, 432.0, 43.0]));
    assert_eq!(conv(&[1, 2], 2), floats(&[1, 1, 3], &[420.0, 31.0, 42.0]));
}

#[test]
fn groups_read_their_own_channels() {
    let x = counting(&[1, 4, 1]);
    // Two groups of two channels, one output each; and four of one channel, two outputs each.
    let two = one("Conv", &x, &[(&[2, 2, 1], &[1.0, 10.0, 100.0, 1000.0])], vec![int("group", 2)]).unwrap();
    assert_eq!(two, floats(&[1, 2, 1], &[21.0, 4300.0]));
    let weights = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    let four = one("Conv", &x, &[(&[8, 1, 1], &weights)], vec![int("group", 4)]).unwrap();
    assert_eq!(four, floats(&[1, 8, 1], &[1.0, 2.0, 6.0, 8.0, 15.0, 18.0, 28.0, 32.0]));
}

/// The paths for depthwise, pointwise and gathered convolution against the sum in the specification.
#[test]
fn every_way_to_convolve_gives_the_sum_of_the_specification() {
    for (group, inputs, outputs, kernel, stride, pad, dilation) in [
        (1, 3, 4, 3, 1, 1, 1),
        (3, 3, 6, 3, 2, 1, 1),
        (2, 4, 4, 3, 2, 2, 2),
        (1, 5, 2, 1, 1, 0, 1),
        (1, 2, 2, 1, 2, 0, 1),
        (4, 4, 4, 5, 1, 2, 1),
    ] {
        let mut b = Build::new(5);
        b.input("x", &[2, inputs as i64, 9, 7]);
        let per_group = inputs / group;
        let w = b.random(&[outputs, per_group, kernel, kernel], 1.0);
        let name = b.node(
            "Conv",
            &["x", &w],
            vec![
                int("group", group as i64),
                ints("strides", &[stride; 2]),
                ints("pads", &[pad; 4]),
                ints("dilations", &[dilation; 2]),
            ],
        );
        let model = b.model();
        let feed = common::feed(&model, 3);
        let trace = run_to(&model, &feed, &[&name, &w]).unwrap();
        let (x, w, y) = (
            feed["x"].floats().unwrap(),
            trace.get(&w).unwrap().floats().unwrap(),
            trace.get(&name).unwrap().floats().unwrap(),
        );
        for (at, have) in y.indexed_iter() {
            let g = at[1] / (outputs / group);
            let mut want = 0.0;
            for c in 0..per_group {
                for (i, j) in (0..kernel).flat_map(|i| (0..kernel).map(move |j| (i, j))) {
                    let place = |o: usize, k: usize| (o as i64 * stride - pad + k as i64 * dilation) as usize;
                    let value = x.get(IxDyn(&[at[0], g * per_group + c, place(at[2], i), place(at[3], j)]));
                    want += value.unwrap_or(&0.0) * w[[at[1], c, i, j].as_slice()];
                }
            }
            assert!((have - want).abs() < 1e-12, "{group} {kernel} {stride}: {have} {want}");
        }
    }
}

#[test]
fn a_transposed_convolution_cuts_and_adds_room() {
    let x = floats(&[1, 1, 2], &[1.0, 2.0]);
    let conv = |attributes| one("ConvTranspose", &x, &[ONES], attributes).unwrap();
    let stride = || ints("strides", &[2]);
    assert_eq!(conv(vec![stride()]), floats(&[1, 1, 5], &[1.0, 10.0, 102.0, 20.0, 200.0]));
    assert_eq!(conv(vec![stride(), ints("pads", &[1, 1])]), floats(&[1, 1, 3], &[10.0, 102.0, 20.0]));
    let more = conv(vec![stride(), ints("pads", &[1, 1]), ints("output_padding", &[1])]);
    assert_eq!(more, floats(&[1, 1, 4], &[10.0, 102.0, 20.0, 200.0]));
    assert_eq!(conv(vec![stride(), ints("output_padding", &[1])]).shape(), [1, 1, 6]);
    assert_eq!(conv(vec![stride(), ints("output_shape", &[4])]), floats(&[1, 1, 4], &[10.0, 102.0, 20.0, 200.0]));
    assert_eq!(conv(vec![stride(), string("auto_pad", "SAME_UPPER")]), floats(&[1, 1, 4], &[1.0, 10.0, 102.0, 20.0]));
}

#[test]
fn an_average_counts_padding_only_when_told_and_never_the_overhang() {
    let x = counting(&[1, 1, 4]);
    let pool = |pads: &[i64], counted, ceil| {
        let attributes = vec![
            ints("kernel_shape", &[3]),
            ints("strides", &[2]),
            ints("pads", pads),
            int("count_include_pad", counted),
            int("ceil_mode", ceil),
        ];
        one("AveragePool", &x, &[], attributes).unwrap()
    };
    assert_eq!(pool(&[1, 0], 0, 0), floats(&[1, 1, 2], &[1.5, 3.0]));
    assert_eq!(pool(&[1, 0], 1, 0), floats(&[1, 1, 2], &[1.0, 3.0]));
    // The last window hangs over by one.
    assert_eq!(pool(&[0, 0], 1, 1), floats(&[1, 1, 2], &[2.0, 3.5]));
    assert_eq!(pool(&[0, 0], 0, 0), floats(&[1, 1, 1], &[2.0]));
    // Elements 4 and 0 of the padding count, the overhang does not.
    assert_eq!(pool(&[1, 1], 1, 1), floats(&[1, 1, 3], &[1.0, 3.0, 2.0]));
}

#[test]
fn a_maximum_ignores_padding_and_says_where_it_is() {
    let x = floats(&[1, 2, 3], &[-3.0, -1.0, -2.0, 5.0, 7.0, 7.0]);
    let mut b = Build::new(1);
    b.input("x", &[]);
    let y = b.nodes("MaxPool", &["x"], 2, vec![ints("kernel_shape", &[2]), ints("pads", &[1, 0])]);
    let trace = run(&b.model(), &BTreeMap::from([("x".to_owned(), x)])).unwrap();
    assert_eq!(trace.get(&y[0]), Some(&floats(&[1, 2, 3], &[-3.0, -1.0, -1.0, 5.0, 7.0, 7.0])));
    let places = ArrayD::from_shape_vec(IxDyn(&[1, 2, 3]), vec![0, 1, 1, 3, 4, 4]).unwrap();
    assert_eq!(trace.get(&y[1]), Some(&Value::I(places)));
}

#[test]
fn shapes_broadcast_or_are_refused() {
    let x = counting(&[2, 1, 2]);
    let sum = one("Add", &x, &[(&[3, 1], &[10.0, 20.0, 30.0])], vec![]).unwrap();
    let want = [11.0, 12.0, 21.0, 22.0, 31.0, 32.0, 13.0, 14.0, 23.0, 24.0, 33.0, 34.0];
    assert_eq!(sum, floats(&[2, 3, 2], &want));
    let error = one("Add", &x, &[(&[3], &[1.0; 3])], vec![]).unwrap_err();
    let EvalError::Node { node, op, condition, .. } = &error else { panic!("{error}") };
    assert_eq!((node.as_str(), op.as_str()), ("Add_2", "Add"));
    assert_eq!(condition, "shapes [2, 1, 2] and [3] do not broadcast");
}

/// Three layers; each test runs or breaks it in its own way.
fn layers() -> (ModelProto, [String; 3]) {
    let mut b = Build::new(2);
    let x = b.input("x", &[1, 2, 4, 4]);
    let y = b.conv(&x, &common::conv(2, 3, 3));
    let z = b.relu(&y);
    let s = b.add(&y, &z);
    b.output(&s);
    (b.model(), [y, z, s])
}

#[test]
fn run_keeps_every_tensor_in_order_and_run_to_only_what_is_wanted() {
    let (model, [y, z, s]) = layers();
    let feed = common::feed(&model, 1);
    let all = run(&model, &feed).unwrap();
    assert_eq!(all.tensors().map(|(n, _)| n).collect::<Vec<_>>(), ["x", &y, &z, &s]);
    let some = run_to(&model, &feed, &[&s, &y]).unwrap();
    assert_eq!(some.tensors().map(|(n, _)| n).collect::<Vec<_>>(), [&y, &s]);
    assert_eq!(some.get(&s), all.get(&s));
    assert_eq!(some.get(&y), all.get(&y), "an operator that works in place must not reach what is kept");
    // The broken node is not needed.
    let mut broken = model.clone();
    broken.graph.as_mut().unwrap().node[2].input[1] = "nowhere".into();
    assert_eq!(run_to(&broken, &feed, &[&z]).unwrap().get(&z), all.get(&z));
    assert_eq!(run(&broken, &feed).unwrap_err(), EvalError::Undefined("nowhere".into()));
}

#[test]
fn what_is_missing_or_not_asked_for_is_named() {
    let (model, [_, z, _]) = layers();
    let feed = common::feed(&model, 1);
    assert_eq!(run(&model, &BTreeMap::new()).unwrap_err(), EvalError::MissingInput("x".into()));
    let more = feed.clone().into_iter().chain([("q".to_owned(), feed["x"].clone())]).collect();
    assert_eq!(run(&model, &more).unwrap_err(), EvalError::UnknownInput("q".into()));
    assert_eq!(run_to(&model, &feed, &["q"]).unwrap_err(), EvalError::Undefined("q".into()));
    assert_eq!(run(&ModelProto::default(), &feed).unwrap_err(), EvalError::NoGraph);
    let mut broken = model.clone();
    broken.graph.as_mut().unwrap().node[1].op_type = Some("Snake".into());
    let unknown = EvalError::UnknownOperator { node: "Relu_4".into(), op: "Snake".into(), domain: String::new() };
    assert_eq!(supports(&broken).unwrap_err(), unknown);
    assert_eq!(run_to(&broken, &feed, &[&z]).unwrap_err(), unknown);
    let mut broken = model.clone();
    broken.graph.as_mut().unwrap().initializer[0].raw_data = Some(vec![0; 5].into());
    assert!(matches!(run(&broken, &feed), Err(EvalError::Tensor { tensor, .. }) if tensor == "w_1"));
    // Nodes out of order: the reader comes first.
    let mut broken = model;
    broken.graph.as_mut().unwrap().node.reverse();
    assert!(matches!(run(&broken, &feed), Err(EvalError::Undefined(_))));
}

#[test]
fn an_initializer_is_overridden_by_an_input_of_its_name() {
    let (mut model, [_, _, s]) = layers();
    let graph = model.graph.as_mut().unwrap();
    let bias = graph.initializer[1].name().to_owned();
    graph.input.push(named(&bias));
    let mut feed = common::feed(&model, 1);
    let before = run_to(&model, &feed, &[&s]).unwrap();
    feed.insert(bias, floats(&[3], &[9.0; 3]));
    let after = run_to(&model, &feed, &[&s]).unwrap();
    assert_ne!(before.get(&s), after.get(&s));
}

#[test]
fn branches_see_the_tensors_around_them() {
    let mut b = Build::new(3);
    b.input("x", &[]);
    let y = b.relu("x");
    let branch = |op: &str| GraphProto {
        node: vec![node(op, &[&y, "x"], &["inner"])],
        output: vec![named("inner")],
        ..GraphProto::default()
    };
    let (plus, minus) = (branch("Add"), branch("Sub"));
    let zero = b.floats(&[], vec![0.0]);
    let is_positive = b.node("Greater", &["x", &zero], vec![]);
    let z = b.node(
        "If",
        &[&is_positive],
        vec![graph_attribute("then_branch", plus), graph_attribute("else_branch", minus)],
    );
    let model = b.model();
    let value = |x: f64| {
        let trace = run_to(&model, &BTreeMap::from([("x".to_owned(), floats(&[], &[x]))]), &[&z]).unwrap();
        trace.get(&z).unwrap().floats().unwrap().sum()
    };
    assert_eq!((value(3.0), value(-3.0)), (6.0, 3.0));
}

#[test]
fn a_loop_carries_and_collects() {
    let body = GraphProto {
        input: vec![named("turn"), named("go"), named("a")],
        node: vec![
            node("Add", &["a", "x"], &["b"]),
            node("Identity", &["go"], &["go_on"]),
            node("Mul", &["b", "b"], &["square"]),
        ],
        // `a` is an input that the body reads and gives out as it is.
        output: vec![named("go_on"), named("b"), named("square"), named("a")],
        ..GraphProto::default()
    };
    let mut b = Build::new(4);
    b.input("x", &[]);
    let turns = b.ints(&[3]);
    let out = b.nodes("Loop", &[&turns, "", "x"], 3, vec![graph_attribute("body", body)]);
    let trace = run(&b.model(), &BTreeMap::from([("x".to_owned(), floats(&[], &[1.0]))])).unwrap();
    assert_eq!(trace.get(&out[0]), Some(&floats(&[], &[4.0])));
    assert_eq!(trace.get(&out[1]), Some(&floats(&[3], &[4.0, 9.0, 16.0])));
    assert_eq!(trace.get(&out[2]), Some(&floats(&[3], &[1.0, 2.0, 3.0])));
}

/// `scaled(x, slope)`, a leaky ReLU whose slope is an attribute of the call, plus an input that may be left out.
fn function() -> FunctionProto {
    let slope = AttributeProto {
        name: Some("alpha".into()),
        ref_attr_name: Some("slope".into()),
        r#type: Some(AttributeType::Float as i32),
        ..AttributeProto::default()
    };
    let mut leaky = node("LeakyRelu", &["a"], &["b"]);
    leaky.attribute.push(slope);
    FunctionProto {
        name: Some("scaled".into()),
        domain: Some("local".into()),
        input: vec!["a".into(), "high".into()],
        output: vec!["c".into()],
        attribute: vec!["slope".into()],
        node: vec![leaky, node("Clip", &["b", "", "high"], &["c"])],
        opset_import: vec![OperatorSetIdProto { version: Some(17), ..OperatorSetIdProto::default() }],
        ..FunctionProto::default()
    }
}

#[test]
fn a_function_takes_attributes_and_may_miss_inputs() {
    let mut b = Build::new(5);
    b.input("x", &[]);
    let high = b.floats(&[], vec![2.0]);
    let y = b.node("scaled", &["x"], vec![common::float("slope", 0.5)]);
    let z = b.node("scaled", &["x", &high], vec![common::float("slope", 0.25)]);
    let mut model = b.model();
    model.graph.as_mut().unwrap().node.iter_mut().for_each(|n| n.domain = Some("local".into()));
    let feed = BTreeMap::from([("x".to_owned(), floats(&[2], &[-4.0, 4.0]))]);
    assert!(matches!(supports(&model), Err(EvalError::UnknownOperator { .. })));
    model.functions.push(function());
    supports(&model).unwrap();
    let trace = run(&model, &feed).unwrap();
    assert_eq!(trace.get(&y), Some(&floats(&[2], &[-2.0, 4.0])));
    assert_eq!(trace.get(&z), Some(&floats(&[2], &[-1.0, 2.0])));
}

#[test]
fn a_function_that_calls_itself_is_an_error() {
    let mut b = Build::new(6);
    b.input("x", &[]);
    b.node("scaled", &["x"], vec![]);
    let mut model = b.model();
    model.graph.as_mut().unwrap().node[0].domain = Some("local".into());
    let mut f = function();
    f.node[0] = NodeProto { domain: Some("local".into()), ..node("scaled", &["a"], &["b"]) };
    model.functions.push(f);
    let feed = BTreeMap::from([("x".to_owned(), floats(&[1], &[1.0]))]);
    assert!(matches!(run(&model, &feed), Err(EvalError::TooDeep(_))));
}

/// What stands at `place` of the sequence that a tensor of two rows of five is split into.
fn piece(split: Option<&[i64]>, scalar: bool, place: i64, attributes: Vec<AttributeProto>) -> Result<Value, EvalError> {
    let mut b = Build::new(1);
    let x = b.input("x", &[2, 5]);
    let split = split.map(|s| b.ints(s));
    if scalar {
        b.graph.initializer[0].dims.clear();
    }
    let inputs: Vec<&str> = [x.as_str()].into_iter().chain(split.as_deref()).collect();
    let sequence = b.node("SplitToSequence", &inputs, attributes);
    let place = b.ints(&[place]);
    let y = b.node("SequenceAt", &[&sequence, &place], vec![]);
    b.output(&y);
    let trace = run(&b.model(), &BTreeMap::from([("x".to_owned(), counting(&[2, 5]))]))?;
    Ok(trace.get(&y).unwrap().clone())
}

#[test]
fn a_place_of_a_sequence_is_a_part_of_what_was_split() {
    let axis = || vec![int("axis", 1)];
    let of = |split: Option<&[i64]>, scalar, place, attributes| piece(split, scalar, place, attributes).unwrap();
    assert_eq!(of(Some(&[2, 3]), false, 1, axis()), floats(&[2, 3], &[3.0, 4.0, 5.0, 8.0, 9.0, 10.0]));
    assert_eq!(of(Some(&[2]), true, -1, axis()), floats(&[2, 1], &[5.0, 10.0]), "the last chunk is smaller");
    assert_eq!(of(Some(&[1, 1]), false, -2, vec![]), floats(&[1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0]));
    let squeezed = vec![int("axis", 1), int("keepdims", 0)];
    assert_eq!(of(None, false, 3, squeezed), floats(&[2], &[4.0, 9.0]));
    for (split, scalar, place) in [(&[2, 2][..], false, 0), (&[2, 3], false, 2), (&[0], true, 0), (&[-1], true, 0)] {
        assert!(piece(Some(split), scalar, place, axis()).is_err(), "{split:?} at {place}");
    }
}

#[test]
fn a_sequence_by_itself_is_refused() {
    let mut b = Build::new(1);
    let x = b.input("x", &[2, 5]);
    let sequence = b.node("SplitToSequence", &[&x], vec![]);
    let length = b.node("Identity", &[&sequence], vec![]);
    b.output(&length);
    let error = run(&b.model(), &BTreeMap::from([("x".to_owned(), counting(&[2, 5]))])).unwrap_err();
    assert!(error.to_string().contains("something else than SequenceAt"), "{error}");
}

#[test]
fn a_made_up_shape_is_an_error() {
    let mut b = Build::new(7);
    let shape = b.ints(&[1 << 40, 1 << 40]);
    b.node("ConstantOfShape", &[&shape], vec![]);
    assert!(matches!(run(&b.model(), &BTreeMap::new()), Err(EvalError::Node { .. })));
    let huge = TensorProto { dims: vec![i64::MAX, i64::MAX], data_type: Some(1), ..TensorProto::default() };
    assert!(Value::try_from(&huge).is_err());
}

/// A `Loop` of so many turns with an empty body around `inside`, as a node of `b`.
fn endless(b: &mut Build, turns: i64, inside: Vec<NodeProto>) {
    let body = GraphProto {
        input: vec![named("turn"), named("go")],
        node: [vec![node("Identity", &["go"], &["go_on"])], inside].concat(),
        output: vec![named("go_on")],
        ..GraphProto::default()
    };
    let turns = b.ints(&[turns]);
    b.nodes("Loop", &[&turns, ""], 0, vec![graph_attribute("body", body)]);
    b.graph.node.last_mut().unwrap().output.push("unread".into());
}

#[test]
fn a_loop_that_would_not_end_is_an_error_that_names_it_and_the_limit() {
    let branch = |nodes: Vec<NodeProto>| GraphProto { node: nodes, output: vec![named("go")], ..GraphProto::default() };
    let mut choice = node("If", &["go"], &["chosen"]);
    // What is not run is looked at: it counts too, or a few turns could take for ever.
    let many = vec![node("Identity", &["go"], &["same"]); 5_000];
    choice.attribute =
        vec![graph_attribute("then_branch", branch(many.clone())), graph_attribute("else_branch", branch(vec![]))];
    for (turns, inside) in [(1_000_000_000, vec![]), (100_000, vec![choice]), (2_000, many)] {
        let mut b = Build::new(8);
        endless(&mut b, turns, inside);
        let error = run(&b.model(), &BTreeMap::new()).unwrap_err();
        assert!(matches!(&error, EvalError::Spent { op, .. } if op == "Loop"), "{error}");
        assert!(error.to_string().contains("more than 1048576 node executions"), "{error}");
    }
}

#[test]
fn functions_that_double_their_calls_are_an_error() {
    let local = |name: &str, x: &str, y: &str| NodeProto { domain: Some("local".into()), ..node(name, &[x], &[y]) };
    let function = |depth: usize| FunctionProto {
        name: Some(format!("f{depth}")),
        domain: Some("local".into()),
        input: vec!["a".into()],
        output: vec!["c".into()],
        node: match depth {
            0 => vec![node("Neg", &["a"], &["c"])],
            _ => vec![local(&format!("f{}", depth - 1), "a", "b"), local(&format!("f{}", depth - 1), "b", "c")],
        },
        opset_import: vec![OperatorSetIdProto { version: Some(17), ..OperatorSetIdProto::default() }],
        ..FunctionProto::default()
    };
    let evaluate = |depth: usize| {
        let mut b = Build::new(9);
        b.input("x", &[]);
        let y = b.node(&format!("f{depth}"), &["x"], vec![]);
        let mut model = b.model();
        model.graph.as_mut().unwrap().node[0].domain = Some("local".into());
        model.functions = (0..=depth).map(function).collect();
        run(&model, &BTreeMap::from([("x".to_owned(), floats(&[1], &[1.0]))])).map(|t| t.get(&y).cloned())
    };
    assert_eq!(evaluate(4), Ok(Some(floats(&[1], &[1.0]))));
    let error = evaluate(30).unwrap_err();
    assert!(matches!(&error, EvalError::Spent { op, .. } if op == "f30"), "{error}");
}

/// As ONNX Runtime computes it: the window of 5 by steps of 2 hangs over the map of 4.
#[test]
fn a_window_that_hangs_over_the_whole_map_reads_what_is_there() {
    let pool = |op: &str, kernel: i64, stride: i64, pad: i64, ceil| {
        let padded = vec![ints("kernel_shape", &[kernel; 2]), ints("strides", &[stride; 2]), ints("pads", &[pad; 4])];
        let attributes = [padded, vec![int("ceil_mode", ceil), int("count_include_pad", 1)]].concat();
        one(op, &counting(&[1, 1, 4, 4]), &[], attributes)
    };
    assert_eq!(pool("MaxPool", 5, 2, 0, 1), Ok(floats(&[1, 1, 1, 1], &[16.0])));
    assert_eq!(pool("AveragePool", 5, 2, 0, 1), Ok(floats(&[1, 1, 1, 1], &[8.5])));
    assert_eq!(pool("AveragePool", 7, 3, 1, 1), Ok(floats(&[1, 1, 1, 1], &[136.0 / 36.0])));
    // Rounded down there is no output, and a step further none either.
    assert!(pool("MaxPool", 5, 2, 0, 0).is_err() && pool("MaxPool", 6, 2, 0, 1).is_err());
}
