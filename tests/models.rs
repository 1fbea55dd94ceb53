//! The committed models: what they are, what becomes of them, and that they still compute the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use serde::de::IgnoredAny;

use crate::committed::{files as all, folder, read, rewrite};
use crate::common::{Build, conv, float, python};

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use onnx_rm::graph::dump;
use onnx_rm::io::save;
use onnx_rm::onnx::ModelProto;
use onnx_rm::options::Options;
use onnx_rm::report::SiteStatus;
use sha2::{Digest, Sha256};

/// Largest difference of float32 outputs over the largest output: sums in another order, weights rounded once.
const ROUNDING: f64 = 2e-6;

/// Files under `folder`, as paths relative to `models/`, but for those of `make/`.
fn files(under: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(folder()).unwrap().to_str().unwrap().replace('\\', "/");
        if !path.is_dir() {
            found.insert(name);
        } else if name != "make" {
            files(&path, found);
        }
    }
}

/// Every model rewritten into a folder of its own for the test `name`.
fn rewrite_all(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    for file in all::<IgnoredAny>().keys() {
        fs::create_dir_all(target.join(file).parent().unwrap()).unwrap();
        let mut model = read(&folder().join(file));
        rewrite(&mut model);
        save(&model, &target.join(file)).unwrap();
    }
    target
}

#[test]
fn every_file_is_listed_with_its_digest_and_size() {
    let text = fs::read_to_string(folder().join("README.md")).unwrap();
    let mut listed = BTreeSet::new();
    for row in text.lines().filter(|l| l.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(|c| c.trim().trim_matches('`')).collect();
        let [_, file, size, digest, _] = cells[..] else { continue };
        if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
            continue;
        }
        let content = fs::read(folder().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let found: String = Sha256::digest(&content).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(found, digest, "{file}");
        assert_eq!(content.len().to_string(), size.replace(',', ""), "{file}");
        listed.insert(file.to_owned());
    }
    let mut found = BTreeSet::new();
    files(&folder(), &mut found);
    found.retain(|f| f != "README.md" && f != "expected.json");
    assert_eq!(found, listed);
    let models: BTreeSet<String> = found.into_iter().filter(|f| f.ends_with(".onnx")).collect();
    assert_eq!(models, all::<IgnoredAny>().into_keys().collect::<BTreeSet<_>>());
}

#[test]
fn rewritten_models_compute_the_same_in_onnx_runtime() {
    let rewritten = rewrite_all("models_compared");
    let expected = all::<IgnoredAny>();
    // Statistics of a batch, written in a form that ONNX Runtime does not run.
    let files: Vec<&str> = expected.keys().map(String::as_str).filter(|f| !f.contains("training_mode")).collect();
    python::assert_alike([&folder(), &rewritten], &files, ROUNDING);
}

#[test]
fn digits_get_the_same_class_before_and_after() {
    let rewritten = rewrite_all("models_digits");
    let images = folder().join("digits_test.npz");
    for name in ["digits_resnet", "digits_resnet_dynamo", "digits_mobilenet_v2", "digits_mobilenet_v2_dynamo"] {
        let file = format!("{name}.onnx");
        let paths = [images.clone(), folder().join(&file), rewritten.join(&file)];
        let text = python::run("digits.py", &paths.iter().map(|p| p.to_str().unwrap()).collect::<Vec<_>>());
        let [labels, before, after, difference] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert_eq!(labels.len(), 500);
        let right = labels.bytes().zip(after.bytes()).filter(|(a, b)| a == b).count();
        assert!(right > 475, "{name}: {right} of 500");
        assert_eq!(before, after, "{name}");
        assert!(difference.parse::<f64>().unwrap() < 1e-4, "{name}: {difference}");
    }
}

/// Branches of two residual blocks each that meet (HiFi-GAN): the sum stays, and around it tensors get wider, round by round.
fn fused_branches() -> ModelProto {
    let mut b = Build::new(1);
    let x = b.input("x", &[1, 4, 8, 8]);
    let y = b.conv(&x, &conv(4, 6, 3));
    let branch = |b: &mut Build| {
        (0..2).fold(y.clone(), |z, _| {
            let alpha = || vec![float("alpha", 0.1)];
            let m = b.node("LeakyRelu", &[&z], alpha());
            let m = b.conv(&m, &conv(6, 6, 3));
            let m = b.node("LeakyRelu", &[&m], alpha());
            let m = b.conv(&m, &conv(6, 6, 3));
            b.add(&z, &m)
        })
    };
    let (first, second) = (branch(&mut b), branch(&mut b));
    let sum = b.add(&first, &second);
    let y = b.conv(&sum, &conv(6, 4, 1));
    b.output(&y);
    b.model()
}

#[test]
fn reasons_name_what_the_file_has() {
    let committed = all::<IgnoredAny>();
    let committed = committed.keys().map(|file| (file.as_str(), read(&folder().join(file)).into_proto()));
    let mut quoted = 0;
    for (file, model) in committed.chain([("fused branches", fused_branches())]) {
        let graph = model.graph.as_ref().unwrap();
        let nodes: BTreeSet<&str> = graph.node.iter().map(|n| n.name()).collect();
        let outputs = graph.node.iter().flat_map(|n| &n.output).map(String::as_str);
        let others = graph.input.iter().map(|i| i.name()).chain(graph.initializer.iter().map(|t| t.name()));
        let tensors: BTreeSet<&str> = outputs.chain(others).collect();
        let (_, outcome) = crate::common::rewrite(&model, &Options::default());
        for site in &outcome.sites {
            let SiteStatus::Kept(reject) = &site.status else { continue };
            assert!(tensors.contains(site.tensor.as_str()), "{file}: {site:?}");
            assert!(reject.tensor.is_empty() || tensors.contains(reject.tensor.as_str()), "{file}: {reject:?}");
            assert!(reject.node.is_empty() || nodes.contains(reject.node.as_str()), "{file}: {reject:?}");
            for name in reject.reason.split('\'').skip(1).step_by(2) {
                assert!(tensors.contains(name) || nodes.contains(name), "{file}: {reject:?}");
                quoted += 1;
            }
        }
        assert!(file != "fused branches" || crate::common::joins(&outcome) == 1);
    }
    assert!(quoted > 0, "no reason names a tensor");
}

#[test]
fn rewritten_structure() {
    for file in [
        "basic_projection.legacy",
        "basic_option_a.dynamo",
        "grouped_bottleneck.dynamo",
        "inverted_residual_relu6.legacy",
        "repvgg_block.legacy",
    ] {
        let mut model = read(&folder().join(format!("blocks/{file}.onnx")));
        rewrite(&mut model);
        insta::assert_snapshot!(file, dump(model.proto()));
    }
}
