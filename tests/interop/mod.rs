//! What other programs see: a second decoder finds everything that was there, the onnx package's checker has no
//! complaint, and ONNX Runtime computes the same.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use crate::common::build;
mod decoder;
mod everything;
use crate::common::python;
mod runtime;

use std::path::Path;
use std::process::Command;

/// Rewrites `input` with the program itself, unverified, and returns how many joins it removed.
fn rewrite(input: &Path, output: &Path) -> usize {
    let command = Command::new(env!("CARGO_BIN_EXE_onnx-rm"))
        .args(["rewrite", "--no-verify", "--json", "--long-skips"])
        .args([input, output])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&command.stderr);
    assert!(command.status.success(), "{}: {stderr}", input.display());
    let report: serde_json::Value = serde_json::from_slice(&command.stdout).unwrap();
    let sites = report["sites"].as_array().unwrap();
    sites.iter().filter(|site| site["status"] == "removed").count()
}
