//! Reading and writing files: nothing is copied, nothing is lost, nothing is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use crate::common::build;
mod external;
mod files;
mod unknown;
mod weights;

use std::fs;
use std::path::{Path, PathBuf};

use onnx_rm::io::{LoadOptions, Model, load};
use onnx_rm::onnx::{ModelProto, StringStringEntryProto, TensorProto, tensor_proto::DataLocation};
use onnx_rm::options::Options;
use prost::Message;

/// A folder for one test. Its files are listed by name, folders with a slash behind.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, model: &ModelProto) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, model.encode_to_vec()).unwrap();
        path
    }

    fn list(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|e| e.unwrap())
            .map(|e| e.file_name().to_string_lossy().into_owned() + if e.path().is_dir() { "/" } else { "" })
            .collect();
        names.sort();
        names
    }
}

fn open(path: &Path) -> Model {
    load(path, &LoadOptions::default()).unwrap()
}

/// The error of loading `path`.
fn refusal(path: &Path) -> String {
    load(path, &LoadOptions::default()).unwrap_err().to_string()
}

/// Loads `path` and removes `joins` joins.
fn rewritten(path: &Path, joins: usize) -> Model {
    let mut model = open(path);
    let outcome = onnx_rm::engine::rewrite(&mut model, &Options::default(), &mut onnx_rm::engine::go_on).unwrap();
    assert_eq!(outcome.removed().count(), joins, "{:#?}", outcome.sites);
    model
}

fn initializers(model: &ModelProto) -> &[TensorProto] {
    &model.graph.as_ref().unwrap().initializer
}

fn initializers_mut(model: &mut ModelProto) -> &mut [TensorProto] {
    &mut model.graph.as_mut().unwrap().initializer
}

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) }
}

/// Puts the content of `tensor` behind `file` and says so in the tensor.
fn move_out(tensor: &mut TensorProto, location: &str, file: &mut Vec<u8>) {
    let content = tensor.raw_data.take().unwrap();
    let at = [entry("location", location), entry("offset", &file.len().to_string())];
    tensor.external_data = at.into_iter().chain([entry("length", &content.len().to_string())]).collect();
    tensor.data_location = Some(DataLocation::External as i32);
    file.extend(&content);
}

/// Every weight by name, wherever it is stored.
fn contents(model: &ModelProto) -> std::collections::BTreeMap<String, Vec<u8>> {
    initializers(model).iter().map(|t| (t.name().to_owned(), t.raw_data.clone().unwrap().to_vec())).collect()
}
