//! `onnx-rm check`: policies, what they find, and how that is told.

#[cfg(feature = "cli")]
mod ci;
#[cfg(feature = "cli")]
mod command;
mod fresh;
mod keys;
mod policy;
mod reports;

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::build::{self, Build};

use onnx_rm::onnx::ModelProto;
use onnx_rm::{CheckOptions, CheckReport, FileReport, Model, Options, Policy, check, rewrite, save};
use prost::Message;

/// A folder of models: `block.onnx` has a residual join, `chain.onnx` is what `rewrite` makes of it.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("block.onnx", &build::residual_block(1, 4));
        folder.rewrite("block.onnx", "chain.onnx", &Options::default());
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, model: &ModelProto) {
        self.write_bytes(name, &model.encode_to_vec());
    }

    pub fn write_bytes(&self, name: &str, bytes: &[u8]) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), bytes).unwrap();
    }

    pub fn copy(&self, from: impl AsRef<Path>, to: &str) {
        self.write_bytes(to, &fs::read(self.0.path().join(from)).unwrap());
    }

    /// Writes `to`, which `rewrite` makes of `from`.
    pub fn rewrite(&self, from: &str, to: &str, options: &Options) {
        let mut model = Model::from_path(self.path(from)).unwrap();
        rewrite(&mut model, options).unwrap();
        save(&model, self.path(to)).unwrap();
    }

    /// The options of a policy in this folder.
    pub fn options(&self, policy: &str) -> CheckOptions {
        CheckOptions::default().policy(Policy::parse(policy, "onnx-rm.toml", self.path("")).unwrap())
    }

    pub fn check(&self, policy: &str, files: &[&str]) -> CheckReport {
        self.check_with(&self.options(policy), files)
    }

    pub fn check_with(&self, options: &CheckOptions, files: &[&str]) -> CheckReport {
        let files: Vec<PathBuf> = files.iter().map(|f| self.path(f)).collect();
        check(&files, options).unwrap()
    }

    /// The report of one file.
    pub fn look(&self, policy: &str, file: &str) -> FileReport {
        self.check(policy, &[file]).files.remove(0)
    }
}

/// The findings of a file, as `key: message`.
pub fn said(report: &FileReport) -> Vec<String> {
    report.findings.iter().map(|f| format!("{}: {}", f.key, f.message)).collect()
}

/// A model of one node of any operator.
pub fn of_operator(op: &str, domain: &str) -> ModelProto {
    let mut b = Build::new(1);
    let x = b.input("x", &[1, 4, 8, 8]);
    let y = b.node(op, &[&x], vec![]);
    b.graph.node.last_mut().unwrap().domain = Some(domain.into());
    b.output(&y);
    let mut model = b.model();
    if !domain.is_empty() {
        let import = onnx_rm::onnx::OperatorSetIdProto { domain: Some(domain.into()), version: Some(1) };
        model.opset_import.push(import);
    }
    model
}
