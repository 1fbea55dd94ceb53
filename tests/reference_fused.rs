//! The float64 evaluator against ONNX Runtime: the operators of its optimiser, quantised tensors, and narrow weights.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use crate::common::python;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use onnx_rm::onnx::{FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use onnx_rm::verify::reference::{self, EvalError, Value};
use prost::Message;

/// Float32 against float64, for values of about 1.
const TOLERANCE: f64 = 1e-5;

/// `LeakyRelu` and `Gelu` of ONNX Runtime are polynomials to about this.
const APPROXIMATE: f64 = 1e-4;

fn read(path: &Path) -> Value {
    Value::try_from(&TensorProto::decode(std::fs::read(path).unwrap().as_slice()).unwrap()).unwrap()
}

/// Why `have` is not `want`.
fn apart(have: &Value, want: &Value, tolerance: f64) -> Option<String> {
    if have.shape() != want.shape() {
        return Some(format!("shape {:?}, not {:?}", have.shape(), want.shape()));
    }
    match (have, want) {
        (Value::F(have), Value::F(want)) => {
            let bad = have
                .iter()
                .zip(want)
                .find(|(h, w)| (*h - *w).is_nan() || (*h - *w).abs() > tolerance * (1.0 + w.abs()));
            bad.map(|(h, w)| format!("{h}, not {w}"))
        }
        // Float32 may round a half to the other side: by one, and rarely.
        (Value::I(have), Value::I(want)) => {
            let off: Vec<i64> = have.iter().zip(want).map(|(h, w)| (h - w).abs()).filter(|d| *d > 0).collect();
            (off.iter().any(|d| *d > 1) || 20 * off.len() > have.len()).then(|| format!("{have:?}, not {want:?}"))
        }
        _ => (have != want).then(|| format!("{have:?}, not {want:?}")),
    }
}

#[test]
fn fused_operators_compute_what_onnx_runtime_computes() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fused");
    let listing = python::run("fused.py", &[folder.to_str().unwrap()]);
    let (mut wrong, mut operators) = (Vec::new(), BTreeSet::new());
    for line in listing.lines() {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        operators.extend(words);
        let here = folder.join(name);
        let model = ModelProto::decode(std::fs::read(here.join("model.onnx")).unwrap().as_slice()).unwrap();
        let graph = model.graph.as_ref().unwrap();
        let inputs: BTreeMap<String, Value> = graph
            .input
            .iter()
            .enumerate()
            .map(|(k, i)| (i.name().to_owned(), read(&here.join(format!("input_{k}.pb")))))
            .collect();
        let trace = match reference::supports(&model).and_then(|()| reference::run(&model, &inputs)) {
            Ok(trace) => trace,
            Err(e) => {
                wrong.push(format!("{name}: {e}"));
                continue;
            }
        };
        let tolerance = if name.contains("elu") || name.contains("Tanh") { APPROXIMATE } else { TOLERANCE };
        for (k, output) in graph.output.iter().enumerate() {
            let want = read(&here.join(format!("output_{k}.pb")));
            let why = apart(trace.get(output.name()).unwrap(), &want, tolerance);
            wrong.extend(why.map(|why| format!("{name}: {} is {why}", output.name())));
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(listing.lines().count() >= 84, "only {} models", listing.lines().count());
    assert!(operators.len() >= 14, "{operators:?}");
}

fn node(domain: &str, op: &str) -> NodeProto {
    NodeProto {
        name: Some("n".into()),
        op_type: Some(op.into()),
        domain: Some(domain.into()),
        input: vec!["x".into(), "w".into()],
        output: vec!["y".into(), "z".into()],
        ..NodeProto::default()
    }
}

/// Blocked layouts, and outputs that have no definition here, are named.
#[test]
fn what_has_no_definition_is_named() {
    for (domain, op) in [
        ("com.microsoft.nchwc", "Conv"),
        ("com.microsoft.nchwc", "ReorderOutput"),
        ("com.microsoft", "Attention"),
        ("com.microsoft", "Relu"),
        ("", "FusedConv"),
        ("com.microsoft", "SkipSimplifiedLayerNormalization"),
    ] {
        let graph = GraphProto { node: vec![node(domain, op)], ..GraphProto::default() };
        let error = reference::supports(&ModelProto { graph: Some(graph), ..ModelProto::default() }).unwrap_err();
        assert_eq!(error, EvalError::UnknownOperator { node: "n".into(), op: op.into(), domain: domain.into() });
    }
}

/// A function of the model is called, whatever its name says.
#[test]
fn a_function_of_the_model_goes_before_the_definition() {
    let call = NodeProto { input: vec!["x".into()], output: vec!["y".into()], ..node("com.microsoft", "QuickGelu") };
    let negate = NodeProto { input: vec!["a".into()], output: vec!["b".into()], ..node("", "Neg") };
    let named = |n: &str| ValueInfoProto { name: Some(n.into()), ..Default::default() };
    let function = FunctionProto {
        domain: Some("com.microsoft".into()),
        name: Some("QuickGelu".into()),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: vec![negate],
        ..Default::default()
    };
    let graph =
        GraphProto { node: vec![call], input: vec![named("x")], output: vec![named("y")], ..GraphProto::default() };
    let model = |functions| ModelProto { graph: Some(graph.clone()), functions, ..ModelProto::default() };
    let x = Value::F(ndarray::arr1(&[2.0]).into_dyn());
    let y = |m: &ModelProto| {
        let trace = reference::run(m, &BTreeMap::from([("x".to_owned(), x.clone())])).unwrap();
        trace.get("y").unwrap().floats().unwrap()[0]
    };
    assert_eq!(y(&model(vec![function])), -2.0);
    assert!((y(&model(vec![])) - 1.935).abs() < 0.01);
}
