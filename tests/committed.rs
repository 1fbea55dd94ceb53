//! The committed models: what becomes of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use onnx_rm::engine;
use onnx_rm::io::{LoadOptions, Model, load, save};
use onnx_rm::options::Options;
use onnx_rm::report::Outcome;
use serde::Deserialize;

/// What `models/expected.json` says of a file.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub joins: usize,
    pub left: usize,
    pub note: Option<String>,
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

/// All that are listed.
pub fn files() -> BTreeMap<String, Expected> {
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

/// The expected joins go; where none does the bytes stay; and a second rewrite changes nothing.
#[allow(dead_code)]
pub fn rewritten_as_expected(file: &str, expected: &Expected) {
    let source = folder().join(file);
    let mut model = read(&source);
    let outcome = rewrite(&mut model);
    let kept: Vec<_> = outcome.kept().map(|(s, r)| format!("{}: {}", s.join, r.reason)).collect();
    assert_eq!((outcome.before.joins, outcome.after.joins), (expected.joins, expected.left), "{kept:#?}");
    assert_eq!(expected.note.is_some(), expected.left > 0, "what is left needs a note, and nothing else");
    let place = tempfile::tempdir().unwrap();
    let (once, twice) = (place.path().join("once.onnx"), place.path().join("twice.onnx"));
    save(&model, &once).unwrap();
    if expected.joins == expected.left {
        assert!(fs::read(&source).unwrap() == fs::read(&once).unwrap(), "nothing is removed, and the bytes differ");
    }
    let mut model = read(&once);
    let outcome = rewrite(&mut model);
    assert_eq!(outcome.removed().count(), 0, "rewritten a second time");
    save(&model, &twice).unwrap();
    assert!(fs::read(&once).unwrap() == fs::read(&twice).unwrap(), "a second rewrite changes bytes");
}
