//! `onnx.checker` and ONNX Runtime, without optimisations.

use std::path::{Path, PathBuf};

use onnx_rm::onnx::attribute_proto::AttributeType;
use onnx_rm::onnx::{AttributeProto, ModelProto, ValueInfoProto};
use prost::Message;

use super::build::{self, Build, conv, float, ints};
use super::python;

/// Rounding in another order. Outputs are of the size of the largest.
const ROUNDING: f64 = 2e-5;

/// Compares models with what the program makes of them. Each must lose a join.
fn compare(pairs: &[(PathBuf, PathBuf)]) {
    let paths: Vec<&str> = pairs.iter().flat_map(|(a, b)| [a.to_str().unwrap(), b.to_str().unwrap()]).collect();
    let lines = python::run("compare.py", &paths);
    assert_eq!(lines.lines().count(), pairs.len());
    for line in lines.lines() {
        let distance: f64 = line.rsplit_once(' ').unwrap().1.parse().unwrap();
        assert!(distance < ROUNDING, "{line}");
    }
}

/// A model with one input, its stem and whatever `block` puts behind it.
fn built(seed: u64, block: impl Fn(&mut Build, &str) -> String) -> ModelProto {
    let mut b = Build::new(seed);
    let x = b.input("x", &[-1, 3, 12, 12]);
    let x = b.conv(&x, &conv(3, 6, 3));
    let x = b.relu(&x);
    let y = block(&mut b, &x);
    let y = b.node("GlobalAveragePool", &[&y], vec![]);
    b.graph.output.push(build::value_info(&y, &[-1, 6, 1, 1]));
    b.model()
}

fn models() -> Vec<(&'static str, ModelProto)> {
    let basic = |b: &mut Build, x: &str| {
        let y = b.conv(x, &conv(6, 6, 3));
        let y = b.batch_norm(&y, 6);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(6, 6, 3));
        let y = b.add(&y, x);
        b.relu(&y)
    };
    vec![
        (
            "two_blocks",
            built(1, |b, x| {
                let y = basic(b, x);
                basic(b, &y)
            }),
        ),
        (
            "projection",
            built(2, |b, x| {
                let y = b.conv(x, &conv(6, 6, 3).stride(2));
                let y = b.node("LeakyRelu", &[&y], vec![float("alpha", 0.1)]);
                let y = b.conv(&y, &conv(6, 6, 3));
                let s = b.conv(x, &conv(6, 6, 1).stride(2));
                b.add(&y, &s)
            }),
        ),
        (
            "inverted_residual",
            built(3, |b, x| {
                let y = b.conv(x, &conv(6, 12, 1));
                let y = b.relu(&y);
                let y = b.conv(&y, &conv(12, 12, 3).group(12));
                let y = b.relu(&y);
                let y = b.conv(&y, &conv(12, 6, 1));
                b.add(x, &y)
            }),
        ),
        (
            "sliced_elsewhere",
            built(4, |b, x| {
                let y = b.conv(x, &conv(6, 6, 3));
                let y = b.relu(&y);
                let tap = b.node("ReduceMean", &[&y], vec![ints("axes", &[1, 2, 3])]);
                b.graph.output.push(build::value_info(&tap, &[-1, 1, 1, 1]));
                let y = b.conv(&y, &conv(6, 6, 3));
                b.add(&y, x)
            }),
        ),
        ("captured", captured()),
    ]
}

/// Both branches of an `If` read the join.
fn captured() -> ModelProto {
    let mut b = Build::new(5);
    let x = b.input("x", &[1, 6, 8, 8]);
    let x = b.relu(&x);
    let y = b.conv(&x, &conv(6, 6, 3));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(6, 6, 3));
    let y = b.add(&y, &x);
    let m = b.node("ReduceMax", &[&y], vec![ints("axes", &[0, 1, 2, 3]), build::int("keepdims", 0)]);
    let zero = b.floats(&[], vec![0.0]);
    let positive = b.node("Greater", &[&m, &zero], vec![]);
    let branches = ["then_branch", "else_branch"].map(|name| AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::Graph as i32),
        g: Some(branch(name, &y)),
        ..AttributeProto::default()
    });
    let out = b.node("If", &[&positive], branches.to_vec());
    b.graph.output.push(build::value_info(&out, &[1, 6, 8, 8]));
    b.model()
}

fn branch(name: &str, reads: &str) -> onnx_rm::onnx::GraphProto {
    let mut inner = Build::new(6);
    let out = inner.node(if name == "then_branch" { "Sigmoid" } else { "Neg" }, &[reads], vec![]);
    let out = inner.node("Abs", &[&out], vec![]);
    let mut graph = inner.graph;
    for node in &mut graph.node {
        node.output[0] = format!("{name}_{}", node.output[0]);
        if node.input[0] != reads {
            node.input[0] = format!("{name}_{}", node.input[0]);
        }
    }
    let out = format!("{name}_{out}");
    graph.name = Some(name.into());
    graph.output = vec![ValueInfoProto { name: Some(out), ..build::value_info("", &[1, 6, 8, 8]) }];
    graph
}

#[test]
fn built_models_compute_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let pairs: Vec<(PathBuf, PathBuf)> = models()
        .into_iter()
        .map(|(name, model)| {
            let from = folder.path().join(format!("{name}.onnx"));
            let to = folder.path().join(format!("{name}_out.onnx"));
            std::fs::write(&from, model.encode_to_vec()).unwrap();
            assert!(super::rewrite(&from, &to) > 0, "{name} lost no join");
            (from, to)
        })
        .collect();
    compare(&pairs);
}

#[test]
fn the_models_of_the_repository_compute_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut pairs = Vec::new();
    for from in ["", "blocks", "frameworks"].into_iter().flat_map(|folder| onnx_files(&models.join(folder))) {
        let to = folder.path().join(from.file_name().unwrap());
        if super::rewrite(&from, &to) > 0 {
            pairs.push((from, to));
        }
    }
    assert!(pairs.len() >= 40, "only {} models lost a join", pairs.len());
    compare(&pairs);
}

fn onnx_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "onnx"));
    files.sort();
    files
}
