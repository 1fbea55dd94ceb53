//! ONNX Runtime as the judge of the bulk: every committed model and many random blocks, with free sizes, before and after a
//! rewrite. The crate's own evaluator has no part in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

use crate::common;
use crate::random::{spec, write};

use std::io::Write as _;
use std::path::{Path, PathBuf};

use common::python;
use onnx_rm::io::{LoadOptions, load};
use onnx_rm::onnx::tensor_shape_proto::dimension::Value::{DimParam, DimValue};
use onnx_rm::onnx::{ModelProto, type_proto};
use onnx_rm::options::Options;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use prost::Message;

/// Random blocks, unless `ONNX_RM_CASES` says otherwise.
const CASES: u32 = 200;

/// Largest difference over the largest value: float32 in another order, through whole blocks.
const ROUNDING: f64 = 1e-4;

/// Sizes beside a model's own: one entry, fewer than a window has, odd.
const SIZES: [i64; 3] = [1, 2, 5];

/// A model with free sizes, and the sizes to run it at.
struct Case {
    name: String,
    model: ModelProto,
    sizes: Vec<i64>,
    options: Options,
}

/// `model` with free batch and spatial sizes, and its own spatial size. What is said of tensors inside is said of that size
/// alone, so it goes.
fn freed(mut model: ModelProto) -> (ModelProto, Option<i64>) {
    let graph = model.graph.as_mut().unwrap();
    graph.value_info.clear();
    let mut own = None;
    for (port, info) in graph.input.iter_mut().enumerate() {
        let Some(type_proto::Value::TensorType(t)) = info.r#type.as_mut().and_then(|t| t.value.as_mut()) else {
            continue;
        };
        for (axis, dim) in t.shape.iter_mut().flat_map(|s| &mut s.dim).enumerate() {
            if axis > 1
                && let Some(DimValue(n)) = dim.value
            {
                own = Some(n);
            }
            if axis != 1 {
                dim.value = Some(DimParam(format!("input_{port}_axis_{axis}")));
            }
        }
    }
    for info in &mut graph.output {
        if let Some(type_proto::Value::TensorType(t)) = info.r#type.as_mut().and_then(|t| t.value.as_mut()) {
            t.shape = None;
        }
    }
    (model, own)
}

fn case(name: String, model: ModelProto, options: Options) -> Case {
    let (model, own) = freed(model);
    Case { name, model, sizes: SIZES.into_iter().chain(own).collect(), options }
}

fn committed() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in [folder.clone(), folder.join("blocks")] {
        paths.extend(std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()));
    }
    paths.retain(|p| p.extension().is_some_and(|e| e == "onnx"));
    paths.sort();
    let options = Options::default().long_skips(true);
    let one = |path: &PathBuf| {
        let model = load(path, &LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
        case(path.file_name().unwrap().to_str().unwrap().to_owned(), model.into_proto(), options.clone())
    };
    paths.iter().map(one).collect()
}

fn random() -> Vec<Case> {
    let cases = std::env::var("ONNX_RM_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(CASES);
    let seed = std::env::var("ONNX_RM_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1_u32);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed.to_le_bytes().repeat(8));
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = spec::spec();
    let one = |i| {
        let spec = strategy.new_tree(&mut runner).unwrap().current();
        case(format!("random_{i}.onnx"), write::model(&spec), spec.options)
    };
    (0..cases).map(one).collect()
}

/// Joins and folds that went, models that changed, pairs of values that were compared, and what is wrong.
#[derive(Default)]
struct Tally {
    changed: usize,
    compared: usize,
    neither: usize,
    wrong: Vec<String>,
}

fn compare(name: &str, cases: &[Case]) -> Tally {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let (before, after) = (folder.join("original"), folder.join("rewritten"));
    for folder in [&before, &after] {
        std::fs::create_dir_all(folder).unwrap();
    }
    let mut tally = Tally::default();
    let mut arguments = vec![before.to_str().unwrap().to_owned(), after.to_str().unwrap().to_owned()];
    for case in cases {
        let (rewritten, outcome) = common::rewrite(&case.model, &case.options);
        if outcome.removed().count() == 0 {
            continue;
        }
        tally.changed += 1;
        std::fs::write(before.join(&case.name), case.model.encode_to_vec()).unwrap();
        std::fs::write(after.join(&case.name), rewritten.encode_to_vec()).unwrap();
        let sizes: Vec<String> = case.sizes.iter().map(i64::to_string).collect();
        arguments.push(format!("{}={}", case.name, sizes.join(",")));
    }
    let text = python::run("compare_sizes.py", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    for line in text.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        match (cells[2], cells.get(3)) {
            ("neither runs", _) => tally.neither += 1,
            (error, Some(largest)) if error.parse::<f64>().is_ok_and(|e| e < ROUNDING) => {
                tally.compared += usize::from(largest.parse::<f64>().unwrap() > 1e-3);
            }
            _ => tally.wrong.push(line.replace('\t', " ")),
        }
    }
    let pairs: usize = cases.len() * (SIZES.len() + 1);
    // Not `eprintln!`, whose words the test harness hides.
    let _ = writeln!(
        std::io::stderr(),
        "{name}: {} of {} models are rewritten; of {pairs} sizes {} compared, {} run in neither",
        tally.changed,
        cases.len(),
        tally.compared,
        tally.neither
    );
    tally
}

#[test]
fn committed_models_compute_the_same_at_every_size() {
    let tally = compare("sizes_committed", &committed());
    assert!(tally.wrong.is_empty(), "{}", tally.wrong.join("\n"));
    assert!(tally.changed > 100 && tally.compared > 300, "{} models, {} sizes", tally.changed, tally.compared);
}

#[test]
fn random_blocks_compute_the_same_at_every_size() {
    let cases = random();
    let tally = compare("sizes_random", &cases);
    assert!(tally.wrong.is_empty(), "{}", tally.wrong.join("\n"));
    assert!(
        2 * tally.changed > cases.len() && tally.compared > tally.changed,
        "{} models, {} sizes",
        tally.changed,
        tally.compared
    );
}
