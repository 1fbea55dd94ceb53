//! Which differences inputs have told apart.

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};
use onnx_rm::onnx::ModelProto;
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::options::Options;
use onnx_rm::verify::reference::{self, Value};
use onnx_rm::verify::structure::Watcher;
use prost::Message;

use super::bodies::{calling, choosing};
use super::common::{Build, float, int, ints, string};
use super::{found, node, set, weight};

fn floats(values: &[f64]) -> Value {
    Value::F(ArrayD::from_shape_vec(IxDyn(&[1, values.len()]), values.to_vec()).unwrap())
}

/// How many differences there are, and how many no case has told apart.
fn counts(a: &ModelProto, b: &ModelProto, cases: &[Value]) -> (usize, usize) {
    let differences = found(a, b);
    let mut watcher = Watcher::new(&differences, a, b).unwrap();
    for case in cases {
        let names: Vec<String> = watcher.wanted().into_iter().map(str::to_owned).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let trace = reference::run_to(a, &BTreeMap::from([("x".to_owned(), case.clone())]), &names).unwrap();
        watcher.see(&|name| trace.get(name));
    }
    (differences.len(), watcher.unreached().len())
}

fn one(op: &str, weights: &[&[f64]], attributes: Vec<onnx_rm::onnx::AttributeProto>) -> ModelProto {
    let mut b = Build::new(5);
    let x = b.input("x", &[1, 4]);
    let weights: Vec<String> = weights.iter().map(|w| b.floats(&[], w.to_vec())).collect();
    let mut inputs = vec![x.as_str()];
    inputs.extend(weights.iter().map(String::as_str));
    let y = b.node(op, &inputs, attributes);
    b.output(&y);
    b.model()
}

#[test]
fn a_bound_that_nothing_comes_near_is_unreached() {
    let (a, b) = (one("Clip", &[&[0.0], &[6.0]], vec![]), one("Clip", &[&[0.0], &[6.5]], vec![]));
    assert_eq!(counts(&a, &b, &[]), (1, 1), "nothing was fed");
    assert_eq!(counts(&a, &b, &[floats(&[1.0, 2.0, -3.0, 6.0])]), (1, 1));
    assert_eq!(counts(&a, &b, &[floats(&[1.0; 4]), floats(&[1.0, 2.0, 3.0, 6.2])]), (1, 0));
}

#[test]
fn each_difference_of_one_node_is_watched_alone() {
    let (a, b) = (one("Clip", &[&[0.0], &[6.0]], vec![]), one("Clip", &[&[-1.0], &[7.0]], vec![]));
    assert_eq!(counts(&a, &b, &[floats(&[1.0, 2.0, 3.0, 4.0])]), (2, 2));
    assert_eq!(counts(&a, &b, &[floats(&[1.0, 2.0, -3.0, 4.0])]), (2, 1));
    assert_eq!(counts(&a, &b, &[floats(&[1.0, 2.0, -3.0, 4.0]), floats(&[9.0; 4])]), (2, 0));
}

#[test]
fn what_no_input_asks_for_is_unreached() {
    // A row of a table that is stored as integers.
    let mut b = Build::new(5);
    let x = b.input("x", &[1, 2]);
    let (scale, table) = (b.scalar(0.5), b.random(&[10, 4], 1.0));
    let table = b.node("Mul", &[&table, &scale], vec![]);
    let at = b.node("Cast", &[&x], vec![int("to", DataType::Int64 as i64)]);
    let y = b.node("Gather", &[&table, &at], vec![]);
    b.output(&y);
    let a = b.model();
    let mut b = a.clone();
    set(weight(&mut b, "Mul", 0), 22, 7.0);
    assert_eq!(counts(&a, &b, &[floats(&[0.0, 4.0])]), (1, 1));
    assert_eq!(counts(&a, &b, &[floats(&[5.0, 4.0])]), (1, 0));
    // The mode of a pad that adds nothing.
    let pad = |amount: i64, mode: &str| {
        let mut b = Build::new(5);
        let x = b.input("x", &[1, 4]);
        let pads = b.ints(&[0, amount, 0, amount]);
        let y = b.node("Pad", &[&x, &pads], vec![string("mode", mode)]);
        b.output(&y);
        b.model()
    };
    assert_eq!(counts(&pad(0, "reflect"), &pad(0, "edge"), &[floats(&[1.0, 2.0, 3.0, 4.0])]), (1, 1));
    assert_eq!(counts(&pad(1, "reflect"), &pad(1, "edge"), &[floats(&[1.0, 2.0, 3.0, 4.0])]), (1, 0));
    // One exact value.
    let (a, b) = (one("Equal", &[&[0.5]], vec![]), one("Equal", &[&[0.625]], vec![]));
    assert_eq!(counts(&a, &b, &[floats(&[1.0, 2.0, 3.0, 4.0])]), (1, 1));
    assert_eq!(counts(&a, &b, &[floats(&[0.5, 2.0, 3.0, 4.0])]), (1, 0));
    // NaN against NaN is no sight of a difference.
    let (a, b) = (one("LeakyRelu", &[], vec![float("alpha", 0.5)]), one("LeakyRelu", &[], vec![float("alpha", 0.25)]));
    assert_eq!(counts(&a, &b, &[floats(&[f64::NAN, 0.0, 3.0, 4.0])]), (1, 1));
    assert_eq!(counts(&a, &b, &[floats(&[-1.0, 0.0, 3.0, 4.0])]), (1, 0));
}

#[test]
fn functions_and_subgraphs_are_watched_where_they_run() {
    let (up, down) = (floats(&[1.0, 2.0, 3.0, 4.0]), floats(&[-1.0, 2.0, -3.0, -4.0]));
    assert_eq!(counts(&calling(0.5), &calling(0.25), std::slice::from_ref(&up)), (1, 1));
    assert_eq!(counts(&calling(0.5), &calling(0.25), &[up.clone(), down.clone()]), (1, 0));
    // The sum is positive: only the first branch runs, and its slope is not needed.
    let mixed = floats(&[-1.0, 2.0, 3.0, 4.0]);
    let (a, b, c) = (choosing(0.5, 4.0), choosing(0.25, 4.0), choosing(0.5, 5.0));
    assert_eq!(counts(&a, &b, std::slice::from_ref(&up)), (1, 1));
    assert_eq!(counts(&a, &b, std::slice::from_ref(&down)), (1, 1));
    assert_eq!(counts(&a, &b, std::slice::from_ref(&mixed)), (1, 0));
    assert_eq!(counts(&a, &c, &[mixed]), (1, 1));
    assert_eq!(counts(&a, &c, &[down]), (1, 0));
}

#[test]
fn what_cannot_be_evaluated_stays_unreached() {
    let custom = |bound| {
        let mut m = one("Clip", &[&[0.0], &[bound]], vec![]);
        node(&mut m, "Clip").domain = Some("custom".into());
        m
    };
    let (a, b) = (custom(6.0), custom(6.5));
    let differences = found(&a, &b);
    let mut watcher = Watcher::new(&differences, &a, &b).unwrap();
    let x = floats(&[9.0; 4]);
    watcher.see(&|_| Some(&x));
    assert_eq!(watcher.unreached().len(), 1);
}

#[test]
fn two_ways_to_write_one_thing_are_no_difference() {
    let axis = |n| one("Softmax", &[], vec![int("axis", n)]);
    let x = floats(&[1.0; 4]);
    assert_eq!(counts(&axis(1), &axis(-1), std::slice::from_ref(&x)), (1, 0));
    assert_eq!(counts(&axis(1), &axis(0), &[floats(&[0.0; 4])]), (1, 0), "it shows");
    let shaped = |shape: &[i64], batch: i64| {
        let mut b = Build::new(5);
        let x = b.input("x", &[batch, 4]);
        let shape = b.ints(shape);
        let y = b.node("Reshape", &[&x, &shape], vec![]);
        b.output(&y);
        b.model()
    };
    assert_eq!(counts(&shaped(&[1, 2, 2], 1), &shaped(&[0, 2, -1], 1), std::slice::from_ref(&x)), (1, 0));
    // With a free size another batch would tell.
    assert_eq!(counts(&shaped(&[1, -1], -1), &shaped(&[0, -1], -1), &[x]), (1, 1));
    let sorted = |n| {
        let mut b = Build::new(5);
        let x = b.input("x", &[1, 4]);
        let k = b.ints(&[1]);
        let y = b.nodes("TopK", &[&x, &k], 2, vec![int("sorted", n), ints("unused", &[])]).remove(0);
        b.output(&y);
        b.model()
    };
    assert_eq!(counts(&sorted(1), &sorted(0), &[floats(&[1.0, 2.0, 3.0, 4.0])]), (1, 1));
}

#[test]
fn a_default_counts_only_where_it_is_used() {
    let model = |bound| {
        let mut m = one("Clip", &[&[0.0], &[bound]], vec![]);
        let name = node(&mut m, "Clip").input[2].clone();
        m.graph.as_mut().unwrap().input.push(super::common::value_info(&name, &[]));
        (m, name)
    };
    let ((a, name), (b, _)) = (model(6.0), model(6.5));
    let differences = found(&a, &b);
    let mut watcher = Watcher::new(&differences, &a, &b).unwrap();
    let (x, given) = (floats(&[9.0; 4]), Value::F(ArrayD::from_elem(IxDyn(&[]), 7.0)));
    watcher.see(&|n| if n == name { Some(&given) } else { Some(&x) });
    assert_eq!(watcher.unreached().len(), 1, "another value was fed");
    assert!(watcher.unreached()[0].to_string().contains("default"));
    watcher.see(&|n| (n != name).then_some(&x));
    assert_eq!(watcher.unreached().len(), 0);
}

/// What a right rewrite changes shows on the first inputs: nothing is listed without a reason.
#[test]
fn a_right_rewrite_leaves_nothing_unreached() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let folders = ["", "blocks", "frameworks"].map(|name| std::fs::read_dir(folder.join(name)).unwrap());
    let blocks = folders.into_iter().flatten();
    let (mut models, mut all) = (0, Vec::new());
    for path in blocks.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "onnx")) {
        let a = ModelProto::decode(std::fs::read(&path).unwrap().as_slice()).unwrap();
        let (b, _) = super::common::rewrite(&a, &Options::default().long_skips(true));
        models += usize::from(a != b);
        let differences = found(&a, &b);
        let mut watcher = Watcher::new(&differences, &a, &b).unwrap();
        for seed in [1, 2] {
            let names: Vec<String> = watcher.wanted().into_iter().map(str::to_owned).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let trace = reference::run_to(&a, &super::common::feed(&a, seed), &names).unwrap();
            watcher.see(&|name| trace.get(name));
        }
        all.extend(watcher.unreached().iter().map(|d| format!("{}: {d}", path.display())));
    }
    assert!(all.is_empty(), "{} of {models}:\n{}", all.len(), all.join("\n"));
    assert!(models > 90, "only {models} were rewritten");
}
