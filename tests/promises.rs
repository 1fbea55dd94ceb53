//! What a user may rely on of every run: the same input gives the same bytes, and what was not shown to be right is
//! not written.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use crate::common::build;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use build::{Build, conv};
use prost::Message;

fn rewrite(input: &Path, output: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onnx-rm"));
    command.arg("rewrite").arg(input).arg(output).args(more).output().unwrap()
}

/// Each run is a process of its own, in which hash maps have an order of their own.
#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    for name in ["digits_mobilenet_v2_dynamo", "blocks/residual_of_branches.legacy", "blocks/softmax_mixture.dynamo"] {
        let bytes: Vec<Vec<u8>> = (0..4)
            .map(|_| {
                let output = folder.path().join("out.onnx");
                let options = ["--no-verify", "--long-skips", "--only", "all", "--require"];
                let ran = rewrite(&models.join(format!("{name}.onnx")), &output, &options);
                assert!(ran.status.success(), "{name}: {}", String::from_utf8_lossy(&ran.stderr));
                fs::read(&output).unwrap()
            })
            .collect();
        assert!(bytes.windows(2).all(|b| b[0] == b[1]), "{name}");
    }
}

/// A block that can be rewritten, in front of a zero: no output says whether that was right.
fn without_evidence() -> Vec<u8> {
    let mut b = Build::new(1);
    let x = b.input("x", &[1, 4, 8, 8]);
    let y = b.conv(&x, &conv(4, 4, 3));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(4, 4, 3));
    let y = b.add(&y, &x);
    let y = b.relu(&y);
    let zero = b.scalar(0.0);
    let y = b.node("Mul", &[&y, &zero], vec![]);
    b.output(&y);
    b.model().encode_to_vec()
}

#[test]
fn what_is_not_verified_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.onnx"), folder.path().join("out.onnx"));
    fs::write(&input, without_evidence()).unwrap();
    fs::write(&output, "what was there before").unwrap();
    let ran = rewrite(&input, &output, &[]);
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    // A build without verification must not write either.
    let (code, word) = if cfg!(feature = "verify") { (1, "no evidence") } else { (2, "cannot verify") };
    assert_eq!(ran.status.code(), Some(code), "{said}");
    assert!(said.contains(word), "{said}");
    assert_eq!(fs::read_to_string(&output).unwrap(), "what was there before");
    let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["in.onnx", "out.onnx"], "nothing else is left");
    assert!(rewrite(&input, &output, &["--no-verify"]).status.success());
    assert_ne!(fs::read(&output).unwrap(), b"what was there before");
}
