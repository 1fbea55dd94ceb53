//! The float64 evaluator against onnx's own, tensor by tensor, on graphs as exporters write them.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use crate::common::python;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use onnx_rm::onnx::{GraphProto, ModelProto};
use onnx_rm::verify::reference::{self, Value};
use prost::Message;

/// Graphs that together have every operator of the corpus.
const GRAPHS: &[&str] = &[
    "c_cifar_resnet20_optA.legacy",
    "c_cyclegan_gen.legacy",
    "c_quartznet_1d.legacy",
    "c_resnet_elu.legacy",
    "c_resunet_instnorm.dynamo",
    "c_srresnet.legacy",
    "c_yolov8_c2f_silu.legacy",
    "timm_convnext_atto.legacy",
    "timm_ecaresnet26t.dynamo",
    "timm_ghostnet_100.legacy",
    "timm_mixnet_s.legacy",
    "timm_resnest14d.legacy",
    "timm_tf_efficientnet_b0.legacy",
    "tv_convnext_tiny.legacy",
    "tv_mobilenet_v2.legacy",
    "tv_mobilenet_v3_small.dynamo",
    "tv_mobilenet_v3_small.train",
    "tv_shufflenet_v2_x1_0.legacy",
    "tvseg_lraspp_mobilenet_v3_large.legacy",
    "tvvid_mc3_18.legacy",
];

/// Operators in all graphs of the corpus.
const OPERATORS: usize = 45;

/// Both sides compute in float64 and differ in the order of their sums.
const TOLERANCE: f64 = 1e-10;

fn fresh(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

fn load(path: &Path) -> ModelProto {
    ModelProto::decode(std::fs::read(path).unwrap().as_slice()).unwrap()
}

fn tensors(path: &Path) -> BTreeMap<String, Value> {
    let graph = load(path).graph.unwrap();
    graph.initializer.iter().map(|t| (t.name().to_owned(), Value::try_from(t).unwrap())).collect()
}

fn operators(graph: &GraphProto) -> BTreeSet<String> {
    graph.node.iter().map(|n| n.op_type().to_owned()).collect()
}

/// Largest difference over the largest value.
fn distance(have: &Value, want: &Value) -> f64 {
    assert_eq!(have.shape(), want.shape());
    let (Value::F(have), Value::F(want)) = (have, want) else {
        assert_eq!(have, want);
        return 0.0;
    };
    let largest = want.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    assert!(largest.is_finite());
    let apart = have.iter().zip(want).map(|(h, w)| if h.is_nan() { f64::INFINITY } else { (h - w).abs() });
    apart.fold(0.0, f64::max) / largest.max(f64::MIN_POSITIVE)
}

#[test]
fn every_tensor_is_that_of_the_onnx_package() {
    let Some(shared) = python::shared("every_tensor_is_that_of_the_onnx_package") else { return };
    let folder = fresh("corpus_reference");
    let corpus = shared.join("corpus");
    let mut arguments = vec![corpus.to_str().unwrap(), folder.to_str().unwrap()];
    arguments.extend(GRAPHS);
    python::run("corpus_reference.py", &arguments);
    let mut seen = BTreeSet::new();
    for name in GRAPHS {
        let folder = folder.join(name);
        let model = load(&folder.join("model.onnx"));
        let graph = model.graph.as_ref().unwrap();
        let trace =
            reference::run(&model, &tensors(&folder.join("inputs.onnx"))).unwrap_or_else(|e| panic!("{name}: {e}"));
        let want = tensors(&folder.join("tensors.onnx"));
        for node in &graph.node {
            for output in node.output.iter().filter(|o| want.contains_key(*o)) {
                let have = trace.get(output).unwrap_or_else(|| panic!("{name}: no tensor {output}"));
                let d = distance(have, &want[output]);
                assert!(d < TOLERANCE, "{name}: {output} ({}) is off by {d:e}", node.op_type());
            }
        }
        assert!(graph.output.iter().all(|o| want.contains_key(o.name())), "{name}: an output was not compared");
        seen.extend(operators(graph));
    }
    assert_eq!(seen.len(), OPERATORS, "{seen:?}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn every_operator_of_the_corpus_is_known() {
    let Some(shared) = python::shared("every_operator_of_the_corpus_is_known") else { return };
    let folder = fresh("skeletons");
    python::run("unpack_skeletons.py", &[shared.join("corpus").to_str().unwrap(), folder.to_str().unwrap()]);
    let (mut graphs, mut seen) = (0, BTreeSet::new());
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let model = load(&path);
        reference::supports(&model).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        graphs += 1;
        seen.extend(operators(model.graph.as_ref().unwrap()));
    }
    assert!(graphs >= 106, "only {graphs} graphs");
    assert_eq!(seen.len(), OPERATORS, "{seen:?}");
    std::fs::remove_dir_all(folder).unwrap();
}
