//! The proof that branch and shortcut have the same size, position by position.
//!
//! `Add` broadcasts: where one side had a single row, a rewrite that assumes equal sizes would compute
//! something else. And a carried value reaches the join only if no convolution on the way crops it.

use crate::algebra::Geometry;
use crate::facts::Dim;
use crate::graph::ValueId;

use super::pass::Context;
use super::reject::{Reject, RejectCode};

/// Proves for every axis that the windows of the branch, one after the other, and the window of the shortcut
/// map the fork onto grids of the same size, on which the carried values all arrive.
///
/// # Errors
/// [`RejectCode::SizeUnknown`].
pub fn prove(
    cx: Context<'_>,
    fork: ValueId,
    join: ValueId,
    branch: &[&Geometry],
    shortcut: &Geometry,
) -> Result<(), Reject> {
    for axis in 0..shortcut.axes() {
        if branch.iter().any(|w| w.axes() != shortcut.axes()) {
            return Err(refuse(cx, join, "the convolutions differ in their number of spatial axes".to_owned()));
        }
        let stride: usize = branch.iter().map(|w| w.stride[axis]).product();
        if stride != shortcut.stride[axis] {
            let reason = format!(
                "along spatial axis {axis} the branch steps by {stride} and the shortcut by {}",
                shortcut.stride[axis]
            );
            return Err(refuse(cx, join, reason));
        }
        let whatever = branch.iter().all(|w| w.growth(axis) == 0) && shortcut.growth(axis) == 0;
        let alike = matches!(branch, [only] if only.growth(axis) == shortcut.growth(axis));
        if whatever || alike {
            continue;
        }
        let known = match cx.facts.shape(fork).and_then(|s| s.get(axis + 2)) {
            Some(Dim::Known(n)) => Some(*n),
            _ => None,
        };
        let Some(size) = known else {
            let reason = format!(
                "the size along spatial axis {axis} is unknown, and the branch's convolutions do not all keep it (SAME padding)"
            );
            return Err(refuse(cx, join, reason).hint("export with a fixed input size"));
        };
        let mut at = size;
        for window in branch {
            let next = window.output(axis, at);
            if next != (at + window.stride[axis] as i64 - 1).div_euclid(window.stride[axis] as i64) {
                let reason =
                    format!("a convolution of the branch crops or extends spatial axis {axis} from {at} to {next}");
                return Err(refuse(cx, join, reason));
            }
            at = next;
        }
        let other = shortcut.output(axis, size);
        if at != other {
            return Err(refuse(
                cx,
                join,
                format!("along spatial axis {axis} the branch has {at} entries and the shortcut {other}"),
            ));
        }
    }
    Ok(())
}

fn refuse(cx: Context<'_>, join: ValueId, reason: String) -> Reject {
    Reject::tensor(cx.view, join, RejectCode::SizeUnknown, reason)
}
