//! `--target`, `--cost-model`, `targets` and `calibrate` on the command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use prost::Message;

use crate::common::{Build, conv};

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onnx-rm"));
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A folder with `signed.onnx`, a block that carries signed values past a Relu.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let mut b = Build::new(3);
    let x = b.input("x", &[1, 4, 8, 8]);
    let y = b.conv(&x, &conv(4, 4, 3));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(4, 4, 3));
    let y = b.add(&y, &x);
    b.output(&y);
    fs::write(folder.path().join("signed.onnx"), b.model().encode_to_vec()).unwrap();
    let path = folder.path().to_owned();
    (folder, path)
}

#[test]
fn a_target_is_a_name_or_a_file() {
    let (_kept, folder) = folder();
    let inspect = |target: &str| run(&folder, &["inspect", "signed.onnx", "--target", target]);
    assert!(inspect("generic").1.starts_with("1 of 1 joins removable"));
    let (code, text, _) = inspect("akida2");
    assert_eq!(code, Some(0));
    assert!(
        text.starts_with("0 of 1 joins") && text.contains("target") && text.contains("akida2 takes no PRelu"),
        "{text}"
    );
    fs::write(folder.join("mine.toml"), "name = 'mine'\nwithout = ['PRelu', 'Where']\nopset = 9").unwrap();
    let (_, text, _) = inspect("mine.toml");
    assert!(text.starts_with("1 of 1 joins") && text.contains("per-channel Max and Min"), "{text}");
    assert!(text.contains("note: mine reads opset 9, and the model has"), "{text}");
    // What is written says all of it, so that it can be made again.
    let rewrite = ["rewrite", "signed.onnx", "out.onnx", "--no-verify", "--target", "mine.toml", "--json"];
    let report: serde_json::Value = serde_json::from_str(&run(&folder, &rewrite).1).unwrap();
    assert_eq!(report["options"]["target"]["without"][0], "PRelu");
    assert!(report["notes"][0].as_str().unwrap().contains("opset 9"));
    fs::remove_file(folder.join("mine.toml")).unwrap();
    fs::write(folder.join("wrong.toml"), "name = 'mine'\nspeed = 'high'").unwrap();
    for (target, said) in [("moon", "akida2"), ("wrong.toml", "line 2"), ("absent.toml", "absent.toml")] {
        let (code, _, error) = run(&folder, &["rewrite", "signed.onnx", "x.onnx", "--target", target]);
        assert!(code == Some(2) && error.contains(said) && !folder.join("x.onnx").exists(), "{error}");
    }
}

#[test]
fn an_option_says_otherwise_than_its_target() {
    let (_kept, folder) = folder();
    let options = |more: &[&str]| -> serde_json::Value {
        let words = [&["inspect", "signed.onnx", "--json"][..], more].concat();
        serde_json::from_str::<serde_json::Value>(&run(&folder, &words).1).unwrap()["options"].clone()
    };
    let tfhe = options(&["--target", "tfhe"]);
    assert_eq!(
        (&tfhe["objective"], &tfhe["carry"], &tfhe["target"]),
        (&"nonlinear".into(), &"conv".into(), &"tfhe".into())
    );
    let asked = options(&["--target", "tfhe", "--objective", "macs", "--carry", "auto"]);
    assert_eq!((&asked["objective"], &asked["carry"]), (&"macs".into(), &"auto".into()));
    assert_eq!(options(&["--target", "speck"])["pads"], "symmetric");
    assert_eq!(options(&["--target", "speck", "--pads", "any"])["pads"], "any");
    assert_eq!(options(&["--target", "zk"])["families"]["residual"], false);
    assert_eq!(options(&["--target", "zk", "--only", "residual"])["families"]["residual"], true);
    assert_eq!(options(&[])["objective"], "latency");
}

#[test]
fn targets_are_listed_and_printed() {
    let (_kept, folder) = folder();
    let (code, list, _) = run(&folder, &["targets"]);
    assert_eq!(code, Some(0));
    assert!(onnx_rm::Target::all().iter().all(|t| list.contains(t.name()) && list.contains(t.about())));
    let (_, one, _) = run(&folder, &["targets", "speck"]);
    assert!(one.contains("[sources]") && onnx_rm::Target::parse(&one).unwrap().name() == "speck");
}

#[test]
fn a_bad_file_of_rates_is_one_clear_error() {
    let (_kept, folder) = folder();
    fs::write(folder.join("wrong.toml"), "[nanoseconds]\nmac = -1.0").unwrap();
    for (file, said) in [("wrong.toml", "missing field"), ("absent.toml", "No such file")] {
        for command in [&["rewrite", "signed.onnx", "x.onnx"][..], &["inspect", "signed.onnx"]] {
            let words = [command, &["--cost-model", file]].concat();
            let (code, _, error) = run(&folder, &words);
            assert!(code == Some(2) && error.contains(said) && error.contains(file), "{error}");
            assert!(!folder.join("x.onnx").exists());
        }
    }
}

/// No time is looked at: that it measures, writes what it measured, and that a rewrite takes that.
#[cfg(feature = "verify")]
#[test]
fn a_machine_is_measured_and_counted_with() {
    let (_kept, folder) = folder();
    for file in ["machine.toml", "machine.json"] {
        let (code, text, error) = run(&folder, &["calibrate", file, "--rounds", "1"]);
        assert!(code == Some(0) && text.contains("tract, one thread") && text.contains("off by less than"), "{error}");
        let words = ["rewrite", "signed.onnx", "out.onnx", "--no-verify", "--json", "--cost-model", file];
        let (code, json, error) = run(&folder, &words);
        assert_eq!(code, Some(0), "{error}");
        let report: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert!(report["options"]["rates"]["mac"].as_f64().unwrap() > 0.0);
    }
    let (code, _, error) = run(&folder, &["calibrate", "--engine", "both", "--onnxruntime", "/nowhere"]);
    assert!(code == Some(2) && error.contains("one engine"), "{error}");
    let (code, _, error) =
        run(&folder, &["bench", "signed.onnx", "signed.onnx", "--engine", "onnxruntime", "--onnxruntime", "/nowhere"]);
    assert!(code == Some(2) && error.contains("/nowhere"), "{error}");
}
