//! `onnx-rm verify` and the verification inside `rewrite`: exit codes, reports, and that a failure writes nothing.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use onnx_rm::onnx::tensor_proto::DataLocation;
use onnx_rm::onnx::{ModelProto, NodeProto, StringStringEntryProto};
use prost::Message;
use serde_json::Value;

use super::common::{Build, conv, residual_block};
use super::{amplified, edit, net, nodes, weight};

pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new(models: &[(&str, &ModelProto)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, model) in models {
            fs::write(folder.path(name), model.encode_to_vec()).unwrap();
        }
        folder
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Exit code, stdout, stderr.
    pub(super) fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_onnx-rm"))
            .args(arguments)
            .current_dir(self.0.path())
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

fn wrong() -> ModelProto {
    let mut bad = net();
    edit(weight(&mut bad, 2, 1), |w| w[[0, 0, 1, 1]] += 0.5);
    bad
}

#[test]
fn verify_says_equal_different_or_impossible() {
    let folder = Folder::new(&[("a.onnx", &net()), ("b.onnx", &wrong())]);
    let (code, stdout, stderr) = folder.run(&["verify", "a.onnx", "a.onnx"]);
    assert_eq!((code, stdout.as_str()), (Some(0), ""));
    assert!(stderr.starts_with("equal; of the largest value: 0.0e0 apart in float64"), "{stderr}");

    let (code, stdout, stderr) = folder.run(&["verify", "a.onnx", "b.onnx"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("the models differ") && stderr.contains("first differing tensor: 'Conv_"), "{stderr}");
    assert_eq!(folder.run(&["verify", "a.onnx", "b.onnx", "--quiet"]), (Some(1), String::new(), String::new()));

    let (code, _, stderr) = folder.run(&["verify", "a.onnx", "none.onnx", "--quiet"]);
    assert_eq!(code, Some(2));
    assert!(stderr.starts_with("error: none.onnx"), "{stderr}");
    let (code, _, stderr) = folder.run(&["verify", "a.onnx", "a.onnx", "--input-shape", "x:1x3x5x5"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("error: input 'x'") && stderr.contains("hint: --input-shape"), "{stderr}");
}

#[test]
fn a_reproducer_has_the_part_that_differs_and_shows_it_again() {
    let folder = Folder::new(&[("a.onnx", &net()), ("b.onnx", &wrong())]);
    let (code, _, stderr) = folder.run(&["verify", "a.onnx", "b.onnx", "--dump", "new/found"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("the part of both models that differs: 'new/found/1'"), "{stderr}");
    let (a, b) = ("new/found/1/original.onnx", "new/found/1/rewritten.onnx");
    let model = onnx_rm::load(folder.path(a)).unwrap().into_proto();
    let graph = model.graph.unwrap();
    assert_eq!(graph.node.iter().map(|n| n.op_type()).collect::<Vec<_>>(), ["Conv"], "only what differs");
    assert_eq!((graph.input.len(), graph.output.len(), graph.initializer.len()), (1, 1, 2));
    let given = ["--inputs", "new/found/1/inputs.npz"];
    let (code, stdout, _) = folder.run(&[&["verify", a, b, "--json"][..], &given].concat());
    assert_eq!(code, Some(1));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let measures = report["outputs"][0]["measures"].as_array().unwrap();
    let given = measures.iter().find(|m| m["input"] == "given").unwrap();
    assert!(given["failure"].is_string(), "the inputs that come with it show it: {given}");
    assert_eq!(folder.run(&["verify", a, a]).0, Some(0));

    // A second one has a folder of its own; where nothing differs, nothing is written.
    let (_, stdout, _) = folder.run(&["verify", "a.onnx", "b.onnx", "--dump", "new/found", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&stdout).unwrap()["reproducer"], "new/found/2");
    folder.run(&["verify", "a.onnx", "a.onnx", "--dump", "none"]);
    assert!(!folder.path("none").exists());
    // A folder that cannot be made changes nothing of the verdict.
    let (code, _, stderr) = folder.run(&["verify", "a.onnx", "b.onnx", "--dump", "a.onnx"]);
    assert!(code == Some(1) && stderr.contains("no reproducer was written: a.onnx"), "{stderr}");
}

#[test]
fn the_json_has_every_measure() {
    let folder = Folder::new(&[("a.onnx", &net()), ("b.onnx", &wrong())]);
    let (code, stdout, stderr) = folder.run(&["verify", "a.onnx", "b.onnx", "--json", "--seed", "7"]);
    assert_eq!((code, stderr.as_str()), (Some(1), ""));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&report["status"], &report["seed"], &report["coverage"]),
        (&"mismatch".into(), &7.into(), &"whole".into())
    );
    assert_eq!(report["outputs"][0]["measures"].as_array().unwrap().len(), 10);
    let measure = &report["outputs"][0]["measures"][0];
    assert!(measure["exact_error"].as_f64() > measure["rounding"].as_f64(), "{measure}");
    let worst = &measure["worst_channel"];
    assert!(worst["error"].as_f64() > worst["limit"].as_f64() && worst["axis"] == 1, "{measure}");
    assert_eq!(report["schema_version"], 2);
    assert_eq!(report["first_difference"]["op"], "Conv");
}

#[test]
fn rewrite_verifies_before_it_writes() {
    let folder = Folder::new(&[("a.onnx", &residual_block(1, 4))]);
    let (code, _, stderr) = folder.run(&["rewrite", "a.onnx", "out.onnx"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("verified: equal"), "{stderr}");
    assert_eq!(folder.run(&["verify", "a.onnx", "out.onnx"]).0, Some(0));
    let (code, _, stderr) = folder.run(&["rewrite", "out.onnx", "again.onnx"]);
    assert_eq!(code, Some(0));
    assert!(stderr.contains("unchanged: the output is the input"), "{stderr}");
}

/// A block whose output is multiplied by 0: no input can show whether a rewrite is right.
fn silent() -> ModelProto {
    let mut model = residual_block(1, 4);
    let graph = model.graph.as_mut().unwrap();
    let inner = graph.output[0].name().to_owned();
    let (zero, dead) = ("zero".to_owned(), "dead".to_owned());
    let values = ndarray::ArrayD::zeros(ndarray::IxDyn(&[]));
    graph.initializer.push(onnx_rm::facts::tensor::write(
        "zero",
        &values,
        onnx_rm::onnx::tensor_proto::DataType::Float,
    ));
    graph.node.push(NodeProto {
        op_type: Some("Mul".into()),
        input: vec![inner, zero],
        output: vec![dead.clone()],
        ..NodeProto::default()
    });
    graph.output[0].name = Some(dead);
    model
}

#[test]
fn a_failed_verification_writes_nothing() {
    let folder = Folder::new(&[("a.onnx", &silent())]);
    fs::write(folder.path("out.onnx"), "precious").unwrap();
    for quiet in [false, true] {
        let mut arguments = vec!["rewrite", "a.onnx", "out.onnx"];
        arguments.extend(quiet.then_some("--quiet"));
        let (code, _, stderr) = folder.run(&arguments);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains("no evidence: 'dead': it is all zero"), "{stderr}");
        assert_eq!(fs::read(folder.path("out.onnx")).unwrap(), b"precious");
    }
    let (code, stdout, _) = folder.run(&["rewrite", "a.onnx", "new.onnx", "--json"]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &report["output"]), (Some(1), &Value::Null));
    assert_eq!(report["verification"]["status"], "no-evidence");
    let names: Vec<_> = fs::read_dir(folder.0.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing new, and no leftovers: {names:?}");
    let (code, _, stderr) = folder.run(&["rewrite", "a.onnx", "new.onnx", "--no-verify"]);
    assert_eq!((code, folder.path("new.onnx").exists()), (Some(0), true));
    assert!(stderr.contains("not verified (--no-verify)"), "{stderr}");
}

#[test]
fn a_model_that_is_mostly_rounding_error_is_left_as_it_is() {
    let mut b = Build::new(1);
    let x = b.input("x", &[1, 4, 8, 8]);
    let y = b.conv(&x, &conv(4, 4, 3));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(4, 4, 3));
    let y = b.add(&y, &x);
    let y = amplified(&mut b, &y, 3.99);
    b.output(&y);
    let folder = Folder::new(&[("a.onnx", &b.model())]);
    let read = |name: &str| fs::read(folder.path(name)).unwrap();

    let (code, _, stderr) = folder.run(&["rewrite", "a.onnx", "kept.onnx"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("0 of 1 joins removed") && stderr.contains("  unstable\n"), "{stderr}");
    assert!(stderr.contains("left as it is: unstable: ") && stderr.contains("hint: --accept-unstable"), "{stderr}");
    assert_eq!(read("kept.onnx"), read("a.onnx"));
    let (code, stdout, _) = folder.run(&["rewrite", "a.onnx", "a.onnx", "--json"]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &report["verification"]["result"]), (Some(0), &"unstable".into()));
    assert_eq!((&report["sites"][0]["code"], &report["after"]), (&"unstable".into(), &report["before"]));
    assert_eq!(folder.run(&["rewrite", "a.onnx", "none.onnx", "--require"]).0, Some(1));
    assert!(!folder.path("none.onnx").exists());

    let (code, _, stderr) = folder.run(&["rewrite", "a.onnx", "chain.onnx", "--accept-unstable"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("1 of 1 joins removed") && stderr.contains("both agree in float64: unstable"), "{stderr}");
    assert_ne!(read("chain.onnx"), read("a.onnx"));
}

/// `model` with its larger weights in `name`, which is written into `folder`.
fn externalised(mut model: ModelProto, folder: &Folder, name: &str) -> ModelProto {
    let mut side = Vec::new();
    for tensor in &mut model.graph.as_mut().unwrap().initializer {
        let Some(raw) = tensor.raw_data.take_if(|raw| raw.len() > 64) else { continue };
        let entry = |k: &str, v: String| StringStringEntryProto { key: Some(k.into()), value: Some(v) };
        tensor.external_data = vec![
            entry("location", name.into()),
            entry("offset", side.len().to_string()),
            entry("length", raw.len().to_string()),
        ];
        tensor.data_location = Some(DataLocation::External as i32);
        side.extend_from_slice(&raw);
    }
    fs::write(folder.path(name), side).unwrap();
    model
}

#[test]
fn side_files_are_read() {
    let folder = Folder::new(&[("a.onnx", &net())]);
    for (name, side, model) in [("e.onnx", "e.data", net()), ("f.onnx", "f.data", wrong())] {
        let model = externalised(model, &folder, side);
        fs::write(folder.path(name), model.encode_to_vec()).unwrap();
    }
    assert_eq!(folder.run(&["verify", "a.onnx", "e.onnx"]).0, Some(0));
    assert_eq!(folder.run(&["verify", "e.onnx", "a.onnx"]).0, Some(0));
    assert_eq!(folder.run(&["verify", "a.onnx", "f.onnx"]).0, Some(1));
    let (code, _, stderr) = folder.run(&["rewrite", "e.onnx", "g.onnx"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(folder.path("g.onnx.data").exists());
    assert_eq!(folder.run(&["verify", "a.onnx", "g.onnx"]).0, Some(0));
}

#[test]
fn a_custom_head_is_reported() {
    let mut model = residual_block(1, 4);
    let graph = model.graph.as_mut().unwrap();
    let inner = graph.output[0].name().to_owned();
    graph.output[0].name = Some("boxes".into());
    nodes(&mut model).push(NodeProto {
        name: Some("head".into()),
        op_type: Some("Boxes".into()),
        domain: Some("acme".into()),
        input: vec![inner.clone()],
        output: vec!["boxes".into()],
        ..NodeProto::default()
    });
    let folder = Folder::new(&[("a.onnx", &model)]);
    let (code, _, stderr) = folder.run(&["rewrite", "a.onnx", "out.onnx"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("only the rewritten regions were run") && stderr.contains("acme::Boxes"), "{stderr}");
}

#[test]
fn two_models_are_timed_in_turns() {
    let block = residual_block(1, 4);
    let folder = Folder::new(&[("a.onnx", &block), ("other.onnx", &net())]);
    assert_eq!(folder.run(&["rewrite", "a.onnx", "b.onnx", "--quiet"]).0, Some(0));
    let (code, stdout, _) = folder.run(&["bench", "a.onnx", "b.onnx", "--runs", "5", "--json"]);
    assert_eq!(code, Some(0));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&report["schema_version"], &report["engine"]), (&1.into(), &"tract".into()));
    assert_eq!((&report["runs"], &report["threads"]), (&5.into(), &1.into()));
    let figure = |of: &Value, name: &str| of[name].as_f64().unwrap();
    for spread in [&report["first"]["milliseconds"], &report["second"]["milliseconds"], &report["ratio"]] {
        let figures = ["least", "lower", "median", "upper", "most"].map(|name| figure(spread, name));
        assert!(figures[0] > 0.0 && figures.is_sorted(), "{figures:?}");
    }
    assert_eq!(report["inputs"][0]["shape"], serde_json::json!([1, 4, 8, 8]));
    let macs = |model: &str| report[model]["macs"].as_u64().unwrap();
    assert!(macs("second") > macs("first") && macs("first") > 0);

    let (code, stdout, stderr) = folder.run(&["bench", "a.onnx", "a.onnx", "--runs", "3"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains("second / first: ") && stdout.contains("a.onnx"), "{stdout}");
    let (code, _, stderr) = folder.run(&["bench", "a.onnx", "other.onnx"]);
    assert!(code == Some(2) && stderr.contains("graph input"), "{stderr}");
    let (code, _, stderr) = folder.run(&["bench", "a.onnx", "none.onnx"]);
    assert!(code == Some(2) && stderr.contains("none.onnx"), "{stderr}");
    assert_eq!(folder.run(&["bench", "a.onnx", "a.onnx", "--runs", "0"]).0, Some(2));
}
