//! The models that wrong things are planted into.

use std::path::Path;
use std::sync::OnceLock;

use onnx_rm::engine;
use onnx_rm::io::{LoadOptions, load};
use onnx_rm::onnx::ModelProto;
use onnx_rm::options::Options;
use onnx_rm::verify::{VerifyOptions, verify_models};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::mutants::nets;
use crate::random::{spec, write};

/// Random models.
const RANDOM: usize = 40;

/// A model, and what is planted into: itself, or what it is rewritten to.
pub struct Host {
    pub name: String,
    pub original: ModelProto,
    pub start: ModelProto,
    sound: OnceLock<Result<(), String>>,
}

impl Host {
    fn new(name: String, original: &ModelProto, start: ModelProto) -> Self {
        Self { name, original: original.clone(), start, sound: OnceLock::new() }
    }

    /// Why nothing can be learnt from this model: verification does not call it equal before anything is planted.
    pub fn unusable(&self) -> Option<&String> {
        let look = || match verify_models(&self.original, &self.start, &VerifyOptions::default()) {
            Ok(report) if report.is_equal() => Ok(()),
            Ok(report) => Err(report.to_string()),
            Err(error) => Err(error.to_string()),
        };
        self.sound.get_or_init(look).as_ref().err()
    }

    /// [`Host::unusable`], as far as that was looked at.
    pub fn known_unusable(&self) -> Option<&String> {
        self.sound.get()?.as_ref().err()
    }
}

/// The hosts by where they come from: committed models, random blocks, small nets; each as they are, and rewritten.
pub fn all() -> Vec<Vec<Host>> {
    let nets = nets::all().map(|(name, net)| (format!("net {name}"), net(), options()));
    let sources = [committed(), random(), nets.collect()];
    let mut groups = Vec::new();
    for models in sources {
        let (mut plain, mut rewritten) = (Vec::new(), Vec::new());
        for (name, model, options) in models {
            let mut copy = model.clone();
            let changed = engine::rewrite_proto(&mut copy, &options, &mut onnx_rm::engine::go_on)
                .is_ok_and(|o| o.removed().count() > 0);
            if changed {
                rewritten.push(Host::new(format!("{name}, rewritten"), &model, copy));
            }
            plain.push(Host::new(name, &model, model.clone()));
        }
        groups.extend([plain, rewritten]);
    }
    groups
}

fn options() -> Options {
    Options::default().long_skips(true)
}

/// Every committed model.
fn committed() -> Vec<(String, ModelProto, Options)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut paths = Vec::new();
    for folder in [folder.clone(), folder.join("blocks")] {
        paths.extend(std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()));
    }
    paths.retain(|p| p.extension().is_some_and(|e| e == "onnx"));
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let model = load(path, &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
        (path.file_stem().unwrap().to_string_lossy().into_owned(), model.into_proto(), options())
    };
    paths.iter().map(read).collect()
}

fn random() -> Vec<(String, ModelProto, Options)> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[5; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = spec::spec();
    let mut model = |i| {
        // One channel alone leaves nothing to be swapped or mixed up.
        let mut specs = std::iter::repeat_with(|| strategy.new_tree(&mut runner).unwrap().current());
        let spec = specs.find(|spec| spec.channels > 1).unwrap();
        (format!("random block {i}"), write::model(&spec), spec.options)
    };
    (0..RANDOM).map(&mut model).collect()
}
