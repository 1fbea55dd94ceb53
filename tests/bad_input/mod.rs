//! Bad input: one clear error, no output, an existing output untouched, and never a panic.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use crate::common::build;
mod bytes;
mod files;
mod graphs;
mod sizes;
mod structure;
mod survive;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use onnx_rm::onnx::{GraphProto, ModelProto, NodeProto, TensorProto};
use prost::Message;

/// What the output file holds before each run.
const OLD: &[u8] = b"an existing output";

/// A folder with an input and an existing output.
struct Case {
    folder: tempfile::TempDir,
    input: PathBuf,
    output: PathBuf,
}

impl Case {
    fn new(input: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (input_path, output) = (folder.path().join("in.onnx"), folder.path().join("out.onnx"));
        fs::write(&input_path, input).unwrap();
        fs::write(&output, OLD).unwrap();
        Self { folder, input: input_path, output }
    }

    /// Runs `rewrite`; the exit code and stderr.
    fn run(&self) -> (Option<i32>, String) {
        run(&self.input, &self.output)
    }

    /// Asserts one error that has all of `parts`, exit code 2 and an untouched output.
    fn is_refused(&self, parts: &[&str]) {
        let before = names(self.folder.path());
        let (code, stderr) = self.run();
        assert_eq!(code, Some(2), "{parts:?}: {stderr}");
        assert!(stderr.starts_with("error: ") && stderr.matches("error: ").count() == 1, "{stderr}");
        let input = self.input.display().to_string();
        for part in [&input[..]].iter().chain(parts) {
            assert!(stderr.contains(part), "'{part}' is not in: {stderr}");
        }
        assert_eq!(fs::read(&self.output).unwrap(), OLD, "{parts:?}: the output was touched");
        assert_eq!(names(self.folder.path()), before, "{parts:?}: something was left behind");
    }

    /// Asserts exit code 0 and an output that equals the input.
    fn is_left_alone(&self, name: &str) {
        let (code, stderr) = self.run();
        assert_eq!(code, Some(0), "{name}: {stderr}");
        assert!(fs::read(&self.output).unwrap() == fs::read(&self.input).unwrap(), "{name}: {stderr}");
    }
}

fn run(input: &Path, output: &Path) -> (Option<i32>, String) {
    let command = Command::new(env!("CARGO_BIN_EXE_onnx-rm"))
        .args(["rewrite", "--no-verify"])
        .args([input, output])
        .output()
        .unwrap();
    (command.status.code(), String::from_utf8(command.stderr).unwrap())
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    names
}

/// A good model: `joined = conv_2(relu(conv_1(start))) + start`, where `start = relu(x)`. Its nodes and tensors have these
/// names; the weights are `w1`, `b1`, `w2` and `b2`.
fn good() -> ModelProto {
    let mut model = build::residual_block(1, 4);
    let graph = model.graph.as_mut().unwrap();
    let mut renamed = std::collections::BTreeMap::new();
    for (node, name) in graph.node.iter_mut().zip(["start", "conv_1", "relu", "conv_2", "joined"]) {
        node.name = Some(name.into());
        renamed.insert(node.output[0].clone(), name.to_owned());
    }
    for (tensor, name) in graph.initializer.iter_mut().zip(["w1", "b1", "w2", "b2"]) {
        renamed.insert(tensor.name().to_owned(), name.to_owned());
        tensor.name = Some(name.into());
    }
    let rename = |name: &mut String| {
        if let Some(new) = renamed.get(name) {
            name.clone_from(new);
        }
    };
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).for_each(rename);
    }
    for output in &mut graph.output {
        output.name.iter_mut().for_each(rename);
    }
    model
}

fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

fn node<'a>(model: &'a mut ModelProto, name: &str) -> &'a mut NodeProto {
    graph(model).node.iter_mut().find(|n| n.name() == name).unwrap()
}

fn tensor<'a>(model: &'a mut ModelProto, name: &str) -> &'a mut TensorProto {
    graph(model).initializer.iter_mut().find(|t| t.name() == name).unwrap()
}

#[test]
fn the_good_model_is_good() {
    let case = Case::new(&good().encode_to_vec());
    let (code, stderr) = case.run();
    assert_eq!(code, Some(0), "{stderr}");
    let written = ModelProto::decode(fs::read(&case.output).unwrap().as_slice()).unwrap();
    assert!(written.graph.unwrap().node.iter().all(|n| n.op_type() != "Add"));
}
