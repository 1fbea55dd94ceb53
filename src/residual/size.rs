//! The proof that branch and shortcut have the same size, position by position.
//!
//! `Add` broadcasts: where one side had a single row, a rewrite that assumes equal sizes would compute
//! something else. And a carried value reaches the join only if no convolution on the way crops it.

use crate::algebra::Geometry;
use crate::facts::Dim;
use crate::graph::ValueId;
use crate::read::rows::same_rows;
use crate::read::{Context, Reject, RejectCode};

use super::branch::Branch;
use super::shortcut::Shortcut;

/// A convolution of the branch, and the window of the shortcut's piece that it applies, if it does.
pub type Placed<'g> = (&'g Geometry, Option<&'g Geometry>);

/// Proves for every axis that the windows of the branch, one after the other, and those of the shortcut map the
/// fork onto grids of the same size, on which the carried values all arrive. Where the branch `repeats` entries to the size
/// of another operand, its size is not that of its windows: these must then keep whatever size there is.
///
/// # Errors
/// [`RejectCode::SizeUnknown`].
pub fn prove(
    cx: Context<'_>,
    fork: ValueId,
    join: ValueId,
    sides: (&[Placed<'_>], &[&Geometry]),
    repeats: bool,
) -> Result<(), Reject> {
    let (branch, shortcut) = sides;
    let Some(axes) = cx.facts.rank(fork).and_then(|rank| cx.frame.spatial(rank)) else {
        return Err(refuse(cx, join, "the rank of the fork is unknown, or it has no spatial axis".to_owned()));
    };
    if branch.iter().map(|(w, _)| w).chain(shortcut).any(|w| w.axes() != axes) {
        return Err(refuse(cx, join, "the convolutions differ in their number of spatial axes".to_owned()));
    }
    (0..axes).try_for_each(|axis| prove_axis(cx, (fork, join), axis, sides, repeats))
}

fn prove_axis(
    cx: Context<'_>,
    (fork, join): (ValueId, ValueId),
    axis: usize,
    (branch, shortcut): (&[Placed<'_>], &[&Geometry]),
    repeats: bool,
) -> Result<(), Reject> {
    let step = |n: usize, w: &Geometry| n.checked_mul(w.stride[axis]);
    let along = branch.iter().try_fold(1, |n, (w, _)| step(n, w));
    let beside = shortcut.iter().try_fold(1, |n, w| step(n, w));
    let (Some(along), Some(beside)) = (along, beside) else {
        return Err(refuse(
            cx,
            join,
            format!("along spatial axis {axis} the convolutions step further than any image"),
        ));
    };
    if along != beside {
        let reason = format!("along spatial axis {axis} the branch steps by {along} and the shortcut by {beside}");
        return Err(refuse(cx, join, reason));
    }
    let keeps = |w: &Geometry| w.growth(axis) == 0;
    if branch.iter().all(|(w, _)| keeps(w)) && shortcut.iter().all(|w| keeps(w)) {
        return Ok(());
    }
    // Both sides get smaller, or larger, by as much at once.
    let alike = |(w, piece): &Placed<'_>| piece.is_some_and(|p| p.agrees(w, axis, None));
    let placed = branch.iter().filter(|(_, piece)| piece.is_some()).count() == shortcut.len();
    if placed && !repeats && branch.iter().all(|at| alike(at) || keeps(at.0) && at.1.is_none_or(keeps)) {
        return Ok(());
    }
    if repeats {
        let reason = format!(
            "along spatial axis {axis} not all convolutions keep the size, and the branch may be enlarged to that of another operand"
        );
        return Err(refuse(cx, join, reason).hint("export with a fixed input size"));
    }
    let Some(size) = cx.facts.shape(fork).and_then(|s| s.get(axis + 2)).and_then(Dim::known) else {
        let reason = format!(
            "the size along spatial axis {axis} is unknown, and the branch's convolutions do not all keep it (SAME padding)"
        );
        return Err(refuse(cx, join, reason).hint("export with a fixed input size"));
    };
    let mut at = size;
    for (window, piece) in branch {
        let next = window.output(axis, at);
        let passes = next == (at + window.stride[axis] as i64 - 1).div_euclid(window.stride[axis] as i64);
        if !passes && !piece.is_some_and(|p| p.agrees(window, axis, Some(at)) && p.stride[axis] == window.stride[axis])
        {
            let reason =
                format!("a convolution of the branch crops or extends spatial axis {axis} from {at} to {next}");
            return Err(refuse(cx, join, reason));
        }
        at = next;
    }
    let other = shortcut.iter().fold(size, |n, w| w.output(axis, n));
    if at != other {
        // A window that is larger than its map leaves less than nothing.
        let count = |n: i64| if n < 1 { "none".to_owned() } else { n.to_string() };
        let (at, other) = (count(at), count(other));
        let reason = format!("along spatial axis {axis} the branch has {at} entries and the shortcut {other}");
        return Err(refuse(cx, join, reason));
    }
    Ok(())
}

/// Proves that both ends of the join number their rows as the fork does, where a `Reshape` on the way numbers them
/// anew. Without one, rows only broadcast, and the carried ones like those of the shortcut.
///
/// # Errors
/// [`RejectCode::SizeUnknown`].
pub fn prove_rows(
    cx: Context<'_>,
    (fork, join): (ValueId, ValueId),
    branch: &Branch,
    shortcut: &Shortcut,
    ends: [Option<ValueId>; 2],
) -> Result<(), Reject> {
    let renumbered = branch.items.iter().any(|i| i.pass().is_some_and(|p| p.rows().is_some()));
    let front = |v: ValueId| cx.facts.shape(v).and_then(|s| s.split_last()).map(|(_, rows)| rows);
    let repeats = branch.repeats(cx);
    let alike = |end: Option<ValueId>| {
        let (Some(a), Some(b)) = (front(fork), end.and_then(front)) else { return false };
        if repeats { a == b && !a.contains(&Dim::Unknown) } else { same_rows(a, b) }
    };
    let [branch_end, shortcut_end] = ends;
    if renumbered && !alike(branch_end) || shortcut.numbers_rows() && !alike(shortcut_end) {
        let reason = "a Reshape numbers rows anew, and both sides are not known to end with the rows of the fork";
        return Err(refuse(cx, join, reason.to_owned()).hint("export with a fixed input size"));
    }
    Ok(())
}

fn refuse(cx: Context<'_>, join: ValueId, reason: String) -> Reject {
    Reject::tensor(cx.view, join, RejectCode::SizeUnknown, reason)
}
