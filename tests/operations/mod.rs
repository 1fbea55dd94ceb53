//! Every operation that can stand on a branch or a shortcut: a block that has it, rewritten, computes the same
//! in float64; and the cases in which nothing may be lost or nothing may be done.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

pub(crate) mod blocks;
mod bounds;
mod broadcast;
mod carry;
use crate::common;
mod everywhere;
mod identity;
mod kinds;
mod order;
mod refusals;
mod wrong;

use blocks::stays;
use common::*;
use onnx_rm::onnx::ModelProto;
use onnx_rm::options::Options;
use onnx_rm::report::{RejectReport, SiteStatus};

fn options() -> Options {
    Options::default().long_skips(true).open_norms(true)
}

/// What is wrong with the rewrite of `model`, of which `expected` is the value: a join that is left, or a difference.
fn complaint(name: &str, model: &ModelProto, expected: &Expected, options: &Options) -> Option<String> {
    let (after, outcome) = rewrite(model, options);
    let kept: Vec<_> = outcome.sites.iter().filter(|s| matches!(s.status, SiteStatus::Kept(_))).collect();
    if joins(&outcome) != stays(name) {
        return Some(format!("{name} {options:?}: {} joins are left: {kept:?}", joins(&outcome)));
    }
    let d = expected.distance(&after);
    (d >= ROUNDING).then(|| format!("{name} {options:?}: differs by {d}\n{}", onnx_rm::graph::dump(&after)))
}

fn assert_removed(name: &str, model: &ModelProto, options: &Options) {
    assert_none(complaint(name, model, &Expected::of(model), options));
}

/// Every complaint at once.
fn assert_none(complaints: impl IntoIterator<Item = String>) {
    let all: Vec<String> = complaints.into_iter().collect();
    assert!(all.is_empty(), "{} complaints\n{}", all.len(), all.join("\n"));
}

/// The refusals of a rewrite.
fn refusals(outcome: &onnx_rm::report::Outcome) -> Vec<&RejectReport> {
    let kept = outcome.sites.iter().filter(|s| s.is_residual()).filter_map(|s| match &s.status {
        SiteStatus::Kept(reject) => Some(reject),
        _ => None,
    });
    kept.collect()
}
