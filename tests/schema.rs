//! The schema is that of ONNX, and what is decoded with it is encoded to the same bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use crate::common::python;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use onnx_rm::Model;
use onnx_rm::engine::rewrite;
use onnx_rm::io::{LoadOptions, load, save};
use onnx_rm::onnx::{ModelProto, TensorProto, Version};
use onnx_rm::options::Options;
use prost::Message;

/// What the build script compiled.
const OURS: &str = concat!(env!("OUT_DIR"), "/onnx.desc");

fn lines(text: &str) -> BTreeSet<&str> {
    text.lines().map(str::trim_end).collect()
}

#[test]
fn it_is_the_schema_of_the_onnx_package() {
    let ours = python::run("schema.py", &[OURS]);
    let theirs = python::run("schema.py", &[]);
    let (ours, theirs) = (lines(&ours), lines(&theirs));
    assert_eq!(ours.difference(&theirs).collect::<Vec<_>>(), Vec::<&&str>::new(), "the onnx package lacks them");
    assert_eq!(theirs.difference(&ours).collect::<Vec<_>>(), Vec::<&&str>::new(), "proto/onnx.proto lacks them");
    assert!(ours.contains("file onnx proto2"));
    assert!(ours.iter().filter(|l| l.starts_with("field ")).count() >= 134);
    assert_eq!(Version::IrVersion as i32, 14);
}

/// What `onnx_corpus.py` lists: kind and path of each file.
fn corpus() -> &'static [(String, String)] {
    static CORPUS: OnceLock<Vec<(String, String)>> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("onnx_node_models");
        let listing = python::run("onnx_corpus.py", &[folder.to_str().unwrap()]);
        let lines = listing.lines().map(|line| line.split_once(' ').unwrap());
        lines.map(|(kind, path)| (kind.to_owned(), path.to_owned())).collect()
    })
}

#[test]
fn every_file_of_the_onnx_package_encodes_to_its_own_bytes() {
    let (mut models, mut tensors) = (0, 0);
    for (kind, path) in corpus() {
        let bytes = fs::read(path).unwrap();
        let again = if kind == "model" {
            models += 1;
            ModelProto::decode(bytes.as_slice()).unwrap().encode_to_vec()
        } else {
            tensors += 1;
            TensorProto::decode(bytes.as_slice()).unwrap().encode_to_vec()
        };
        assert!(bytes == again, "{path}");
    }
    assert!(models >= 149 + 1884, "only {models} models");
    assert!(tensors >= 318, "only {tensors} tensors");
}

/// They are valid, so none may be an error, whatever is in them.
#[test]
fn every_model_of_the_onnx_package_is_accepted() {
    let mut refused = Vec::new();
    for (_, path) in corpus().iter().filter(|(kind, _)| kind == "model") {
        match load(path.as_ref(), &LoadOptions::default()) {
            Ok(mut model) => {
                if let Err(error) = rewrite(&mut model, &Options::default(), &mut onnx_rm::engine::go_on) {
                    refused.push(format!("{path}: {error}"));
                }
            }
            Err(error) => refused.push(error.to_string()),
        }
    }
    assert_eq!(refused, Vec::<String>::new());
}

/// Through loading and saving, as if the model had been edited, so that it is encoded anew.
#[test]
fn every_trained_model_is_saved_as_it_was_read() {
    let Some(shared) = python::shared("every_trained_model_is_saved_as_it_was_read") else { return };
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("out.onnx");
    let models = onnx_files(&shared.join("corpus/trained"));
    assert!(models.len() >= 7, "only {} models", models.len());
    for path in models {
        let model = Model::from_proto(load(&path, &LoadOptions::default()).unwrap().into_proto());
        save(&model, &to).unwrap();
        assert!(fs::read(&path).unwrap() == fs::read(&to).unwrap(), "{}", path.display());
    }
}

fn onnx_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    entries.filter(|p| p.extension().is_some_and(|e| e == "onnx")).collect()
}
