//! Every operation that can stand on a branch or a shortcut: a block that has it, rewritten, computes the same
//! in float64; and the cases in which nothing may be lost or nothing may be done.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

pub(crate) mod blocks;
mod bounds;
mod broadcast;
mod carry;
mod identity;
mod judge;
mod kinds;
mod order;
mod refusals;
mod refused;
mod stated;
mod wrong;

use judge::{assert_none, assert_removed, complaint, options};
use onnx_rm::report::{RejectReport, SiteStatus};

/// The refusals of a rewrite.
fn refusals(outcome: &onnx_rm::report::Outcome) -> Vec<&RejectReport> {
    let kept = outcome.sites.iter().filter(|s| s.is_residual()).filter_map(|s| match &s.status {
        SiteStatus::Kept(reject) => Some(reject),
        _ => None,
    });
    kept.collect()
}
