//! What is wrong with a rewrite, in the options that all blocks are tried with.

use onnx_rm::onnx::ModelProto;
use onnx_rm::options::Options;
use onnx_rm::report::SiteStatus;

use super::blocks::stays;
use crate::common::*;

pub fn options() -> Options {
    Options::default().long_skips(true).open_norms(true)
}

/// What is wrong with the rewrite of `model`, of which `expected` is the value: a join that is left, or a difference.
pub fn complaint(name: &str, model: &ModelProto, expected: &Expected, options: &Options) -> Option<String> {
    let (after, outcome) = rewrite(model, options);
    let kept: Vec<_> = outcome.sites.iter().filter(|s| matches!(s.status, SiteStatus::Kept(_))).collect();
    if joins(&outcome) != stays(name) {
        return Some(format!("{name} {options:?}: {} joins are left: {kept:?}", joins(&outcome)));
    }
    let d = expected.distance(&after);
    (d >= ROUNDING).then(|| format!("{name} {options:?}: differs by {d}\n{}", onnx_rm::graph::dump(&after)))
}

pub fn assert_removed(name: &str, model: &ModelProto, options: &Options) {
    assert_none(complaint(name, model, &Expected::of(model), options));
}

/// Every complaint at once.
pub fn assert_none(complaints: impl IntoIterator<Item = String>) {
    let all: Vec<String> = complaints.into_iter().collect();
    assert!(all.is_empty(), "{} complaints\n{}", all.len(), all.join("\n"));
}
