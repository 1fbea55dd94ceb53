//! Random residual blocks: rewritten, each computes the same, and every promise of the engine holds.
//!
//! `ONNX_RM_CASES` says how many are tried, `ONNX_RM_SEED` which; without them always the same two hundred.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

use crate::common;
pub mod rows;
pub mod spec;
pub mod write;

use std::cell::Cell;
use std::io::Write;

use common::{ROUNDING, evaluate, rewrite};
use onnx_rm::onnx::ModelProto;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use prost::Message;

/// What rounding may leave is measured against outputs of at least this size: the tensors inside are of order 1.
const FLOOR: f64 = 0.25;

/// Roundings add up along a branch.
fn bar(model: &ModelProto) -> f64 {
    ROUNDING * (1.0 + model.graph.as_ref().unwrap().node.len() as f64 / 8.0)
}

fn differs(model: &ModelProto, after: &ModelProto) -> Option<f64> {
    let mut worst = 0.0_f64;
    for (x, y) in evaluate(model, 1).iter().zip(&evaluate(after, 1)) {
        if x.shape() != y.shape() {
            return Some(f64::INFINITY);
        }
        let largest = x.iter().fold(FLOOR, |m, v| m.max(v.abs()));
        let diff = (x - y).iter().fold(0.0_f64, |m, v| if v.is_nan() { f64::INFINITY } else { m.max(v.abs()) });
        worst = worst.max(diff / largest);
    }
    (worst > bar(model)).then_some(worst)
}

/// Joins that were removed, and joins in all.
fn check(spec: &spec::Spec) -> Result<(usize, usize), String> {
    let model = write::model(spec);
    let (after, outcome) = rewrite(&model, &spec.options);
    let (first, last) = (model.graph.as_ref().unwrap(), after.graph.as_ref().unwrap());
    if (&first.input, &first.output) != (&last.input, &last.output) {
        return Err("inputs or outputs changed".to_owned());
    }
    if let Some(by) = differs(&model, &after) {
        let dump = onnx_rm::graph::dump;
        return Err(format!("differs by {by}\n{}\n{}\n{:#?}", dump(&model), dump(&after), outcome.sites));
    }
    if rewrite(&model, &spec.options).0.encode_to_vec() != after.encode_to_vec() {
        return Err("two runs give different bytes".to_owned());
    }
    let (again, more) = rewrite(&after, &spec.options);
    if again != after {
        let more: Vec<_> = more.removed().collect();
        return Err(format!("a second rewrite changes something: {more:#?}\n{}", onnx_rm::graph::dump(&after)));
    }
    through_tract(&model, &after)?;
    let removed = outcome.removed().filter(|(site, _)| site.is_residual()).count();
    Ok((removed, outcome.before.joins))
}

/// Both models through tract, as the program itself verifies them. An output that never varies is no evidence, but no
/// difference either.
#[cfg(feature = "verify")]
fn through_tract(model: &ModelProto, after: &ModelProto) -> Result<(), String> {
    use onnx_rm::verify::{Status, VerifyOptions, verify_models};
    let report = verify_models(model, after, &VerifyOptions::default()).map_err(|e| e.to_string())?;
    if report.status == Status::Mismatch { Err(report.to_string()) } else { Ok(()) }
}

#[cfg(not(feature = "verify"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature it can fail")]
fn through_tract(_: &ModelProto, _: &ModelProto) -> Result<(), String> {
    Ok(())
}

#[test]
fn random_blocks_compute_the_same() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u32>().ok());
    let cases = number("ONNX_RM_CASES").unwrap_or(200);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let seed: Vec<u8> = number("ONNX_RM_SEED").unwrap_or(0).to_le_bytes().repeat(8);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let (removed, joins, with) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let result = runner.run(&spec::spec(), |spec| {
        let (gone, all) = check(&spec).map_err(TestCaseError::fail)?;
        removed.set(removed.get() + gone);
        joins.set(joins.get() + all);
        with.set(with.get() + u32::from(gone > 0));
        Ok(())
    });
    // Not `eprintln!`, whose words the test harness hides.
    let _ = writeln!(
        std::io::stderr(),
        "{} of {} joins removed, in {} of {cases} models",
        removed.get(),
        joins.get(),
        with.get()
    );
    if let Err(failure) = result {
        panic!("{failure}");
    }
    // A generator of blocks that nothing can be done with would test nothing.
    assert!(5 * with.get() > 4 * cases, "joins were removed in {} of {cases} models only", with.get());
    assert!(2 * removed.get() > joins.get(), "{} of {} joins were removed only", removed.get(), joins.get());
}
