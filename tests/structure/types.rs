//! Element types, against ONNX Runtime.

use std::collections::BTreeSet;
use std::path::Path;

use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{ModelProto, type_proto};
use onnx_rm::verify::structure::types;
use prost::Message;

use super::bodies::{calling, choosing};
use super::common::{Build, conv, int, python, residual_block, retyped, value_info};
use super::{node, weight};

fn words(model: &ModelProto) -> Vec<String> {
    types(model).contradictions().iter().map(ToString::to_string).collect()
}

fn declare(info: &mut onnx_rm::onnx::ValueInfoProto, dtype: i32) {
    let Some(type_proto::Value::TensorType(t)) = info.r#type.as_mut().unwrap().value.as_mut() else { panic!() };
    t.elem_type = Some(dtype);
}

#[test]
fn a_weight_of_another_type_is_named() {
    let mut m = residual_block(3, 8);
    assert_eq!(words(&m), Vec::<String>::new());
    assert_eq!(words(&retyped(m.clone(), DataType::Float16)), Vec::<String>::new());
    let w = weight(&mut m, "Conv", 1);
    let values = onnx_rm::facts::tensor::read_f64(w).unwrap();
    *w = onnx_rm::facts::tensor::write(w.name(), &values, DataType::Float16);
    let all = words(&m);
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].contains("(Conv)") && all[0].ends_with("is float16, but float is expected"), "{all:?}");
}

#[test]
fn an_output_computed_in_another_type_is_named() {
    let mut b = Build::new(5);
    let x = b.input("x", &[1, 3, 8, 8]);
    let y = b.conv(&x, &conv(3, 4, 3));
    let z = b.node("Cast", &[&y], vec![int("to", DataType::Double as i64)]);
    b.output(&z);
    let mut m = b.model();
    let all = words(&m);
    assert!(
        all.len() == 1 && all[0].contains("(Cast)") && all[0].ends_with("is float, but double is expected"),
        "{all:?}"
    );
    let output = &mut m.graph.as_mut().unwrap().output[0];
    declare(output, DataType::Double as i32);
    assert_eq!(words(&m), Vec::<String>::new());
    declare(&mut m.graph.as_mut().unwrap().output[0], 0);
    let found = types(&m);
    assert_eq!((found.undeclared(), found.of(&z)), (&[z.clone()][..], Some(DataType::Double)));
    m.graph.as_mut().unwrap().output[0].r#type = None;
    assert_eq!(types(&m).undeclared(), [z]);
    let mut stale = value_info(&y, &[1]);
    declare(&mut stale, DataType::Int32 as i32);
    m.graph.as_mut().unwrap().value_info.push(stale);
    assert_eq!(words(&m).len(), 1, "a type in value_info counts too");
}

#[test]
fn functions_and_subgraphs_are_looked_into() {
    for mut m in [calling(0.5), choosing(0.5, 4.0)] {
        assert_eq!(words(&m), Vec::<String>::new());
        assert!(types(&m).undeclared().is_empty());
        let graph = m.graph.as_mut().unwrap();
        let y = graph.output[0].name().to_owned();
        assert_eq!(types(&m).of(&y), Some(DataType::Float));
        declare(&mut m.graph.as_mut().unwrap().input[0], DataType::Int32 as i32);
        assert!(words(&m).iter().any(|w| w.contains("is int32")), "{:?}", words(&m));
    }
}

#[test]
fn custom_operators_give_unknown_types() {
    let mut m = residual_block(3, 8);
    node(&mut m, "Relu").domain = Some("custom".into());
    let out = node(&mut m, "Relu").output[0].clone();
    declare(&mut m.graph.as_mut().unwrap().input[0], DataType::Int8 as i32);
    assert_eq!(words(&m), Vec::<String>::new());
    assert_eq!(types(&m).of(&out), None);
}

/// Operators whose types may be mixed, or are sequences: ONNX Runtime is stricter than the specification there.
const FREER: [&str; 7] = [
    "attention",
    "rms_normalization",
    "center_crop_pad",
    "sequence_map",
    "sequence_insert",
    "optional",
    "split_to_sequence",
];

/// The node tests of the `onnx` package, with and without wrong types: what ONNX Runtime refuses for its types has a
/// contradiction, and what it accepts has none.
#[test]
fn contradictions_are_what_onnx_runtime_refuses() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("type_errors");
    let listing = python::run("type_errors.py", &[folder.to_str().unwrap()]);
    let (mut wrong, mut counted) = (Vec::new(), [0; 2]);
    for (verdict, path) in listing.lines().map(|line| line.split_once(' ').unwrap()) {
        let model = ModelProto::decode(std::fs::read(path).unwrap().as_slice()).unwrap();
        let found = words(&model);
        counted[usize::from(verdict == "refused")] += 1;
        let freer = found.is_empty() && FREER.iter().any(|f| path.contains(f));
        if found.is_empty() != (verdict == "ok") && !freer {
            wrong.push(format!("{verdict}: {path} {found:?}"));
        }
    }
    eprintln!("{} accepted, {} refused", counted[0], counted[1]);
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(counted[0] > 1400 && counted[1] > 2400, "{counted:?}");
}

/// They are valid, whatever is in them.
#[test]
fn no_model_of_the_onnx_package_contradicts_itself() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("onnx_node_models_typed");
    let listing = python::run("onnx_corpus.py", &[folder.to_str().unwrap()]);
    let mut wrong = BTreeSet::new();
    let mut models = 0;
    for path in listing.lines().filter_map(|line| line.strip_prefix("model ")) {
        let model = ModelProto::decode(std::fs::read(path).unwrap().as_slice()).unwrap();
        models += 1;
        wrong.extend(words(&model).into_iter().map(|w| format!("{path}: {w}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(models > 2000, "only {models} models");
}
