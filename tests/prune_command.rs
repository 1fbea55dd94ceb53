//! `onnx-rm prune` from the command line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs::{self, File};
use std::process::Command;

use ndarray::{ArrayD, IxDyn, OwnedRepr};
use ndarray_npy::{NpzReader, NpzWriter, WriteNpyExt};

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// A folder with the digits as samples and as labels.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/digits_test.npz");
    let mut archive = NpzReader::new(File::open(path).unwrap()).unwrap();
    let x: ArrayD<u8> = archive.by_name::<OwnedRepr<u8>, IxDyn>("x").unwrap();
    let y: ArrayD<u8> = archive.by_name::<OwnedRepr<u8>, IxDyn>("y").unwrap();
    let x = x.mapv(|v| f32::from(v) / 16.0);
    let mut samples = NpzWriter::new(File::create(folder.path().join("x.npz")).unwrap());
    samples.add_array("input", &x).unwrap();
    samples.finish().unwrap();
    y.mapv(i64::from).write_npy(File::create(folder.path().join("y.npy")).unwrap()).unwrap();
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/models/digits_resnet.onnx"), folder.path().join("in.onnx")).unwrap();
    folder
}

fn run(folder: &tempfile::TempDir, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onnx-rm"));
    let output = command.arg("prune").args(arguments).current_dir(folder.path()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

const USUAL: [&str; 8] = ["in.onnx", "out.onnx", "--calibration", "x.npz", "--labels", "y.npy", "--macs", "0.6x"];

#[test]
fn it_prunes_and_says_that_something_else_is_computed() {
    let folder = folder();
    let ran = run(&folder, &USUAL);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for words in
        ["* residual", "chain", "held-out samples", "same largest output", "accuracy", "computes something else"]
    {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    assert_eq!(ran.stdout, "");
    assert!(
        fs::metadata(folder.path().join("out.onnx")).unwrap().len()
            < fs::metadata(folder.path().join("in.onnx")).unwrap().len()
    );
    let report = run(&folder, &[&USUAL[..], &["--json", "--way", "residual"]].concat());
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!((report["command"].as_str(), report["chosen"].as_str()), (Some("prune"), Some("residual")));
    let way = &report["ways"][0];
    assert!(way["macs"].as_f64().unwrap() <= 0.6 * report["macs"].as_f64().unwrap());
    assert!(way["quality"]["accuracy_after"].as_f64().unwrap() > 0.9);
    assert_eq!(report["output"].as_str(), Some("out.onnx"));
}

#[test]
fn a_limit_that_is_not_kept_writes_nothing() {
    let folder = folder();
    fs::write(folder.path().join("out.onnx"), "mine").unwrap();
    for limit in [["--max-error", "0.0001"], ["--min-agreement", "1"]] {
        let limited = [&USUAL[..6], &["--macs", "0.3x", "--way", "residual", "--quiet"], &limit].concat();
        let ran = run(&folder, &limited);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert!(ran.stderr.contains(limit[0]), "{}", ran.stderr);
        assert_eq!(fs::read_to_string(folder.path().join("out.onnx")).unwrap(), "mine");
    }
}

#[test]
fn what_changes_nothing_is_verified() {
    let folder = folder();
    let ran = run(&folder, &["in.onnx", "out.onnx", "--exact-only"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains("something else"), "{}", ran.stderr);
    assert!(folder.path().join("out.onnx").exists());
}

#[test]
fn right_answers_are_counted() {
    let folder = folder();
    assert_eq!(run(&folder, &[&USUAL[..], &["--way", "residual", "--quiet"]].concat()).code, Some(0));
    let verify = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_onnx-rm"))
            .args(["verify", "in.onnx", "out.onnx", "--json", "--against-labels"])
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, json, words) = verify(&["y.npy", "--inputs", "x.npz"]);
    // However well it answers, it computes something else.
    assert_eq!(code, Some(1), "{words}");
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let share = |name: &str| report["labels"][name].as_f64().unwrap();
    assert!(share("original") > 0.95 && share("rewritten") > 0.9 && share("agreement") > 0.9, "{report}");
    for (arguments, reason) in [(&["y.npy"][..], "--inputs"), (&["x.npz", "--inputs", "x.npz"], "x.npz")] {
        let (code, _, words) = verify(arguments);
        assert_eq!(code, Some(2), "{words}");
        assert!(words.contains(reason), "{words}");
    }
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let folder = folder();
    let refused = |arguments: &[&str], words: &str| {
        let ran = run(&folder, arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
        assert!(!folder.path().join("out.onnx").exists());
    };
    refused(&["in.onnx", "out.onnx", "--macs", "0.5x"], "--calibration");
    refused(&["in.onnx", "out.onnx", "--calibration", "x.npz"], "--macs");
    refused(&["in.onnx", "out.onnx", "--calibration", "x.npz", "--macs", "2x"], "at most 1");
    refused(&["in.onnx", "out.onnx", "--calibration", "none.npz", "--macs", "0.5x"], "none.npz");
    refused(&["in.onnx", "out.onnx", "--calibration", "in.onnx", "--macs", "0.5x"], "in.onnx");
    refused(&["in.onnx", "out.onnx", "--calibration", "x.npz", "--labels", "x.npz", "--macs", "0.5x"], "x.npz");
    refused(&["x.npz", "out.onnx", "--calibration", "x.npz", "--macs", "0.5x"], "x.npz");
}
