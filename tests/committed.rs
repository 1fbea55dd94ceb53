//! The committed models: what becomes of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use onnx_rm::engine;
use onnx_rm::io::{LoadOptions, Model, load};
use onnx_rm::options::Options;
use onnx_rm::report::Outcome;
use serde::de::DeserializeOwned;

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

/// All that `models/expected.json` lists, and what it says of each.
pub fn files<T: DeserializeOwned>() -> BTreeMap<String, T> {
    serde_json::from_str(&fs::read_to_string(folder().join("expected.json")).unwrap()).unwrap()
}

pub fn read(path: &Path) -> Model {
    load(path, &LoadOptions::default()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn rewrite(model: &mut Model) -> Outcome {
    let options = Options::default().long_skips(true);
    engine::rewrite(model, &options, &mut onnx_rm::engine::go_on)
        .unwrap_or_else(|e| panic!("{}: {e}", model.path().display()))
}
