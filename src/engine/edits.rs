//! What one round does: folds, or joins that do not touch each other, or dead weight.

use std::collections::BTreeSet;

use crate::graph::{Names, NodeId};
use crate::options::Family;
use crate::plan::memo::Memo;
use crate::plan::{folds, legal, surplus};
use crate::read::Context;
use crate::report::{SiteReport, SiteStatus};
use crate::residual::find;

use super::associate;
use super::error::EngineError;
use super::join::{Planned, plan_join};
use super::round::{Refused, Round, refused_site, report};
use super::untaken;
use super::watch::{Progress, Watch};

/// What folds; when nothing does, the joins that go. Folding first: it makes whatever is removed next smaller.
pub(super) fn plan_edits(
    cx: Context<'_>,
    (number, refused): (usize, &Refused),
    watch: Watch<'_>,
    names: &mut Names,
) -> Result<Round, EngineError> {
    let mut round = fold(cx, names);
    untaken::keep(cx, &mut round);
    round.drop_refused(refused);
    if round.edits.is_empty() && cx.options.families.has(Family::Parallel) {
        associate::fold_pair(cx.view.model(), cx, refused, &mut round)?;
    }
    if round.edits.is_empty() && round.parted.is_none() && cx.options.families.has(Family::Residual) {
        remove_joins(cx, (number, refused), watch, names, &mut round)?;
    }
    Ok(round)
}

/// The joins that go, of those that do not touch each other.
pub(super) fn remove_joins(
    cx: Context<'_>,
    (number, refused): (usize, &Refused),
    watch: Watch<'_>,
    names: &mut Names,
    round: &mut Round,
) -> Result<(), EngineError> {
    let mut claimed: BTreeSet<NodeId> = BTreeSet::new();
    let mut memo = Memo::default();
    let joins = joins(cx);
    for (done, join) in joins.iter().enumerate() {
        let message = cx.view.node(*join).name().to_owned();
        if watch(&Progress { round: number, done, total: joins.len(), message }).is_break() {
            return Err(EngineError::Stopped);
        }
        if let Some(stays) = refused_site(cx, refused, *join) {
            round.kept.push(stays);
            continue;
        }
        match plan_join(cx, *join, &claimed, names, &mut memo) {
            Ok(Planned { edits, report, proof }) => {
                claimed.extend(&proof.branch().removed);
                round.edits.push(edits);
                round.removed.push(report);
            }
            Err(reject) => round.kept.push(report(cx, Family::Residual, *join, SiteStatus::Kept((&reject).into()))),
        }
    }
    Ok(())
}

/// What the target, or the user, wants written otherwise.
pub(super) fn legalize(cx: Context<'_>, names: &mut Names, round: &mut Round) {
    for (node, written) in legal::plan(cx, names) {
        match written {
            Ok((edits, change)) => {
                round.removed.push(report(cx, Family::Legalize, node, SiteStatus::Removed(change)));
                round.edits.push(edits);
            }
            Err(reject) => round.kept.push(report(cx, Family::Legalize, node, SiteStatus::Kept((&reject).into()))),
        }
    }
}

/// What is dead, in one edit for all.
pub(super) fn drop_surplus(cx: Context<'_>, names: &mut Names, round: &mut Round) {
    let surplus = surplus::plan(cx, names);
    round.edits = surplus.edits;
    round.removed = surplus
        .dropped
        .into_iter()
        .map(|dropped| SiteReport {
            join: dropped.node.map(|n| cx.view.node(n).name().to_owned()).unwrap_or_default(),
            tensor: dropped.tensor,
            kind: Family::Dead,
            status: SiteStatus::Removed(dropped.change),
        })
        .collect();
}

/// The linear folds of one round.
fn fold(cx: Context<'_>, names: &mut Names) -> Round {
    let folds = folds::plan(cx, names);
    let mut round = Round::default();
    for chosen in folds.chosen {
        round.removed.push(report(cx, chosen.family, chosen.site, SiteStatus::Removed(chosen.change)));
        round.edits.push(chosen.edits);
    }
    round.kept =
        folds.kept.iter().map(|k| report(cx, k.family, k.site, SiteStatus::Kept((&k.reject).into()))).collect();
    round
}

/// The joins of the graph that are nodes of their own, in topological order.
fn joins(cx: Context<'_>) -> Vec<NodeId> {
    cx.view.nodes().filter(|n| find::join_inputs(cx, *n).is_some() || find::is_blocked(cx, *n)).collect()
}
