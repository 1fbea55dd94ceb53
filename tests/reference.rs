//! The float64 evaluator against the backend tests of the `onnx` package: what each operator should compute.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, missing_docs)]

use crate::common::python;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ndarray::ArrayD;
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{ModelProto, TensorProto, ValueInfoProto, type_proto};
use onnx_rm::verify::reference::{self, EvalError, Value};
use prost::Message;

/// Tests of known operators that are not compared, and why. Each must be there and must fail.
const SKIPPED: &[(&str, &str)] = &[
    ("test_averagepool_2d_ceil_last_window_starts_on_pad", "its expected values are written with four digits"),
    ("test_dynamicquantizelinear", "it has a half that float32 rounds to the other side"),
    ("test_dynamicquantizelinear_expanded", "it has a half that float32 rounds to the other side"),
    // The test divides by the size before it is rounded down; PyTorch and ONNX Runtime by the size of the output.
    ("test_resize_downsample_scales_cubic_align_corners", "its aligned corners do not meet"),
    ("test_resize_downsample_scales_linear_align_corners", "its aligned corners do not meet"),
    ("test_scan_sum", "the batch axis of Scan in opset 8 is not handled"),
    ("test_training_dropout", "it drops at random"),
    ("test_training_dropout_default", "it drops at random"),
    ("test_training_dropout_default_mask", "it drops at random"),
    ("test_training_dropout_mask", "it drops at random"),
];

/// Tests that were compared when this was written. It may only grow.
const COMPARED: usize = 1347;

/// Ways in which each test is spoilt.
const SPOILT: usize = 27;

/// One backend test.
struct Case {
    name: String,
    folder: PathBuf,
    model: ModelProto,
}

fn cases() -> Vec<Case> {
    static WRITTEN: std::sync::LazyLock<PathBuf> = std::sync::LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("backend_tests");
        python::run("node_tests.py", &[folder.to_str().unwrap()]);
        folder
    });
    let folder = &*WRITTEN;
    let mut cases: Vec<Case> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let folder = entry.unwrap().path();
            let bytes = std::fs::read(folder.join("model.onnx")).unwrap();
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            Case { name, folder, model: ModelProto::decode(bytes.as_slice()).unwrap() }
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

/// The element type; `None` for what is no tensor of numbers that the evaluator knows.
fn numeric(info: &ValueInfoProto) -> Option<DataType> {
    let Some(type_proto::Value::TensorType(t)) = info.r#type.as_ref()?.value.as_ref() else { return None };
    let dtype = DataType::try_from(t.elem_type()).ok()?;
    use DataType::{Bfloat16, Bool, Double, Float, Float16, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64};
    let known = [Bfloat16, Bool, Double, Float, Float16, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64];
    known.contains(&dtype).then_some(dtype)
}

fn read(path: &Path) -> Value {
    let tensor = TensorProto::decode(std::fs::read(path).unwrap().as_slice()).unwrap();
    Value::try_from(&tensor).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn inputs(case: &Case) -> BTreeMap<String, Value> {
    let graph = case.model.graph.as_ref().unwrap();
    // Initializers may be inputs too, after the inputs that are given.
    let given =
        graph.input.iter().enumerate().map(|(k, i)| (i.name().to_owned(), case.folder.join(format!("input_{k}.pb"))));
    given.filter(|(_, path)| path.exists()).map(|(name, path)| (name, read(&path))).collect()
}

/// Relative and absolute tolerance for an output of type `dtype`: the expected values were computed in that type.
fn tolerance(dtype: DataType) -> f64 {
    match dtype {
        DataType::Bfloat16 => 1e-2,
        DataType::Float16 => 1e-3,
        DataType::Double => 1e-9,
        _ => 1e-5,
    }
}

/// Why the outputs of `case` are not the expected ones.
fn difference(case: &Case) -> Option<String> {
    let trace = match reference::run(&case.model, &inputs(case)) {
        Ok(trace) => trace,
        Err(e) => return Some(e.to_string()),
    };
    let graph = case.model.graph.as_ref().unwrap();
    graph.output.iter().enumerate().find_map(|(k, info)| {
        let want = read(&case.folder.join(format!("output_{k}.pb")));
        let have = trace.get(info.name()).unwrap();
        apart(have, &want, tolerance(numeric(info).unwrap())).map(|why| format!("{}: {why}", info.name()))
    })
}

fn apart(have: &Value, want: &Value, tolerance: f64) -> Option<String> {
    if have.shape() != want.shape() {
        return Some(format!("shape {:?}, not {:?}", have.shape(), want.shape()));
    }
    match (have, want) {
        (Value::F(have), Value::F(want)) => {
            let close =
                |h: f64, w: f64| h == w || h.is_nan() && w.is_nan() || (h - w).abs() <= tolerance * (1.0 + w.abs());
            let bad = have.iter().zip(want).enumerate().find(|(_, (h, w))| !close(**h, **w));
            bad.map(|(i, (h, w))| format!("element {i} is {h}, not {w}"))
        }
        _ => (have != want).then(|| format!("{have:?}, not {want:?}")),
    }
}

/// Spoils one thing in `model` or its inputs, chosen by `seed`: an attribute, the version, or an input.
fn spoil(model: &mut ModelProto, inputs: &mut BTreeMap<String, Value>, seed: usize) {
    const INTS: [i64; 9] = [0, -1, 1, 2, 7, -7, 1 << 40, i64::MIN, i64::MAX];
    const FLOATS: [f32; 4] = [f32::NAN, 0.0, -1.0, f32::INFINITY];
    let any = INTS[seed / 3 % INTS.len()];
    let which = seed / 3 % inputs.len().max(1);
    let graph = model.graph.as_mut().unwrap();
    let mut attributes: Vec<_> = graph.node.iter_mut().flat_map(|n| n.attribute.iter_mut()).collect();
    let n = attributes.len();
    if seed.is_multiple_of(3) && n > 0 {
        let a = &mut attributes[seed / 27 % n];
        a.i = a.i.map(|_| any);
        a.f = a.f.map(|_| FLOATS[seed / 3 % FLOATS.len()]);
        a.s = a.s.as_ref().map(|_| b"odd".to_vec());
        match a.ints.len() {
            0 => {}
            k if (seed / 9).is_multiple_of(2) => a.ints[seed % k] = any,
            _ => a.ints.push(any),
        }
    } else if seed % 3 == 1 {
        model.opset_import.iter_mut().for_each(|o| o.version = Some(INTS[seed / 3 % 5] * 4));
        graph.node.iter_mut().for_each(|n| n.output.push("more".into()));
    } else if let Some((_, value)) = inputs.iter_mut().nth(which) {
        *value = odd_value(value, seed / 9, any);
    }
}

/// Another value in place of `value`: other rank, other size, none at all, or numbers out of range.
fn odd_value(value: &Value, seed: usize, any: i64) -> Value {
    let shape = value.shape();
    let shape = match seed % 6 {
        0 => vec![],
        1 => vec![0],
        2 => shape.iter().map(|d| d + 1).collect(),
        3 => [&[2], shape].concat(),
        4 => shape.iter().skip(1).copied().collect(),
        _ => shape.to_vec(),
    };
    match value {
        Value::I(_) => Value::I(ArrayD::from_elem(shape, any)),
        Value::F(_) if seed % 5 == 4 => Value::I(ArrayD::from_elem(shape, any)),
        Value::F(_) => Value::F(ArrayD::from_elem(shape, any as f64)),
        Value::B(_) => Value::B(ArrayD::from_elem(shape, true)),
    }
}

#[test]
fn nothing_panics_on_spoilt_models() {
    let mut panicked = Vec::new();
    let mut refused = 0;
    for case in cases() {
        let graph = case.model.graph.as_ref().unwrap();
        if reference::supports(&case.model).is_err() || graph.input.iter().any(|i| numeric(i).is_none()) {
            continue;
        }
        let values = inputs(&case);
        for seed in 0..SPOILT {
            let (mut model, mut values) = (case.model.clone(), values.clone());
            spoil(&mut model, &mut values, seed);
            match std::panic::catch_unwind(|| reference::run(&model, &values)) {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => refused += 1,
                Err(_) => panicked.push(format!("{} {seed}", case.name)),
            }
        }
    }
    assert!(panicked.is_empty(), "{} panicked: {panicked:?}", panicked.len());
    assert!(refused > 5_000, "only {refused} were refused: they are not spoilt enough");
}

#[test]
fn known_operators_compute_what_the_backend_tests_expect() {
    let (mut compared, mut unknown, mut not_numeric) = (0, BTreeSet::new(), 0);
    let mut wrong = Vec::new();
    let mut skipped: BTreeMap<&str, &str> = SKIPPED.iter().copied().collect();
    for case in cases() {
        if let Err(EvalError::UnknownOperator { op, .. }) = reference::supports(&case.model) {
            unknown.insert(op);
            continue;
        }
        let graph = case.model.graph.as_ref().unwrap();
        if graph.input.iter().chain(&graph.output).any(|info| numeric(info).is_none()) {
            not_numeric += 1;
            continue;
        }
        match (difference(&case), skipped.remove(case.name.as_str())) {
            (None, None) => compared += 1,
            (Some(_), Some(_)) => {}
            (None, Some(reason)) => wrong.push(format!("{} passes, though skipped because {reason}", case.name)),
            (Some(why), None) => wrong.push(format!("{}: {why}", case.name)),
        }
    }
    eprintln!("{compared} compared; {} skipped by name; {not_numeric} without number tensors", SKIPPED.len());
    eprintln!("operators that are not known: {unknown:?}");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(skipped.is_empty(), "no such test: {skipped:?}");
    assert!(compared >= COMPARED, "only {compared} were compared");
}
