//! View, facts, find, prove, plan, apply: round after round, to a fixed point.

mod budget;
mod error;
mod join;
mod round;
mod sums;
mod survivors;
mod transposes;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::facts::Facts;
use crate::graph::{self, GraphView, Names, NodeId};
use crate::io::Model;
use crate::onnx::ModelProto;
use crate::options::{Family, Options};
use crate::plan::change::Price;
use crate::plan::{cost, folds, surplus};
use crate::read::{Context, RejectCode};
use crate::report::{NotInspected, Outcome, RejectReport, SiteReport, SiteStatus, StopReason};
use crate::residual::find;

pub use error::EngineError;
pub use round::Refused;

use join::{Planned, plan_join};
use round::{Round, refused_site, report};
use survivors::Known;

/// Most rounds; each removes the joins that the round before uncovered, so a model needs as many rounds as
/// its joins are nested deep, and as many again for the folds between them.
pub const MAX_ROUNDS: usize = 128;

/// What the engine is doing, for a progress bar.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// The round, from 1.
    pub round: usize,
    /// Joins looked at in this round.
    pub done: usize,
    /// Joins in this round.
    pub total: usize,
    /// The join in hand.
    pub message: String,
}

/// Is told of progress, and says whether to go on.
pub type Watch<'w> = &'w mut dyn FnMut(&Progress) -> ControlFlow<()>;

/// Goes on whatever it is told.
pub fn go_on(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Removes every join that `options` allow.
///
/// The model changes only when a join is removed. What is not part of a rewritten region keeps its bytes.
///
/// # Errors
/// [`EngineError`] when the graph is malformed or `watch` asks to stop; the model is then unchanged.
pub fn rewrite(model: &mut Model, options: &Options, watch: Watch<'_>) -> Result<Outcome, EngineError> {
    rewrite_without(model, options, &Refused::new(), watch)
}

/// As [`rewrite`], but leaves alone what is `refused`.
///
/// # Errors
/// As [`rewrite`].
pub fn rewrite_without(
    model: &mut Model,
    options: &Options,
    refused: &Refused,
    watch: Watch<'_>,
) -> Result<Outcome, EngineError> {
    let mut proto = model.proto().clone();
    let outcome = rewrite_under(&net, &mut proto, options, refused.clone(), watch)?;
    if outcome.removed().next().is_some() {
        model.replace(proto);
    }
    Ok(outcome)
}

/// What [`rewrite`] would do, without changing the model.
///
/// # Errors
/// As [`rewrite`].
pub fn inspect(model: &Model, options: &Options, watch: Watch<'_>) -> Result<Outcome, EngineError> {
    let mut copy = model.proto().clone();
    let mut outcome = rewrite_proto(&mut copy, options, watch)?;
    for site in &mut outcome.sites {
        if let SiteStatus::Removed(change) = &site.status {
            site.status = SiteStatus::Candidate(change.clone());
        }
    }
    Ok(outcome)
}

/// [`rewrite`] on a model in memory.
///
/// # Errors
/// As [`rewrite`]; the model is then as it was, also when rounds had been made.
pub fn rewrite_proto(model: &mut ModelProto, options: &Options, watch: Watch<'_>) -> Result<Outcome, EngineError> {
    rewrite_under(&net, model, options, Refused::new(), watch)
}

/// What contradicts what was known before: see [`Known::contradiction`].
type Net<'n> = &'n dyn Fn(&Known, &GraphView<'_>, &Facts<'_>) -> Option<String>;

fn net(known: &Known, view: &GraphView<'_>, facts: &Facts<'_>) -> Option<String> {
    let fault = known.contradiction(view, facts);
    debug_assert!(fault.is_none(), "{fault:?}");
    fault
}

/// A round whose edits were applied, until the facts of the graph that came out say that they were right.
struct Applied {
    model: ModelProto,
    known: Known,
    removed: Vec<SiteReport>,
}

fn rewrite_under(
    net: Net<'_>,
    model: &mut ModelProto,
    options: &Options,
    refused: Refused,
    watch: Watch<'_>,
) -> Result<Outcome, EngineError> {
    graph::check_operators(model)?;
    let mut refused = refused;
    budget::not_asked(model, options, &mut refused)?;
    let before = model.clone();
    let mut attempt = |refused: &Refused| {
        let mut rewritten = before.clone();
        let outcome = rounds(net, &mut rewritten, options, refused.clone(), watch)?;
        Ok((rewritten, outcome))
    };
    let (rewritten, outcome) = match options.limits.is_none() {
        true => attempt(&refused)?,
        false => budget::within(&options.limits, &refused, &mut attempt)?,
    };
    *model = rewritten;
    Ok(outcome)
}

fn rounds(
    net: Net<'_>,
    model: &mut ModelProto,
    options: &Options,
    mut refused: Refused,
    watch: Watch<'_>,
) -> Result<Outcome, EngineError> {
    let before = priced(model)?;
    let mut sites: Vec<SiteReport> = Vec::new();
    let mut stop = StopReason::RoundLimit;
    let mut kept = Vec::new();
    let mut through_joins = false;
    let mut last: Option<Applied> = None;
    // The last one only looks at what the one before did.
    for number in 1..=MAX_ROUNDS + 1 {
        let known = last.as_ref().map(|applied| &applied.known);
        let round = plan_round(model, options, (through_joins, number), (net, known, &refused), watch)?;
        if let Some(applied) = last.take() {
            if let Some(fault) = round.fault {
                *model = applied.model;
                refuse_all(&mut refused, applied.removed, &fault);
                continue;
            }
            sites.extend(applied.removed);
        }
        if number > MAX_ROUNDS {
            break;
        }
        kept = round.kept;
        if round.edits.is_empty() && round.parted.is_none() {
            // What is left inside a branch is there to stay: now the join around it may be removed.
            let blocked = kept.iter().any(|site| is_blocked_by_join(&site.status));
            if blocked && !std::mem::replace(&mut through_joins, true) {
                continue;
            }
            stop = if sites.is_empty() { StopReason::NothingToDo } else { StopReason::FixedPoint };
            break;
        }
        let mut next = match round.parted {
            Some(parted) => parted,
            None => model.clone(),
        };
        let touched = graph::apply(&mut next, &round.edits)?;
        graph::clean(&mut next, &touched);
        graph::validate(&next)?;
        last = Some(Applied { model: std::mem::replace(model, next), known: round.known, removed: round.removed });
    }
    let after = if sites.is_empty() { before.clone() } else { priced(model)? };
    sites.extend(kept);
    let (in_subgraphs, in_functions) = graph::sums_inside(model);
    Ok(Outcome { sites, before, after, stop, not_inspected: NotInspected { in_subgraphs, in_functions } })
}

/// Says of every site of a round whose edits were dropped that it stays.
fn refuse_all(refused: &mut Refused, sites: Vec<SiteReport>, fault: &str) {
    let reason = format!("what a rewrite made contradicts what was known before, so it was dropped: {fault}");
    let reject = RejectReport {
        hint: "this is an error of onnx-rm: please report it".to_owned(),
        ..RejectReport::new(RejectCode::BrokenProof, reason)
    };
    for site in sites {
        let reject = RejectReport { node: site.join, tensor: site.tensor.clone(), ..reject.clone() };
        refused.insert((site.kind, site.tensor), reject);
    }
}

fn is_blocked_by_join(status: &SiteStatus) -> bool {
    matches!(status, SiteStatus::Kept(reject) if reject.code == RejectCode::InnerJoin)
}

/// What `model` costs as it is.
///
/// # Errors
/// [`EngineError`] when the graph is malformed.
pub fn price(model: &Model) -> Result<Price, EngineError> {
    priced(model.proto())
}

fn priced(model: &ModelProto) -> Result<Price, EngineError> {
    let view = GraphView::new(model)?;
    let facts = Facts::new(&view);
    let options = Options::default();
    let cx = Context::new(&view, &facts, &options);
    let joins = view.nodes().map(|node| find::joins_of(cx, node)).sum();
    Ok(cost::price(model, &view, &facts, joins))
}

/// The joins of the graph that are nodes of their own, in topological order.
fn joins(cx: Context<'_>) -> Vec<NodeId> {
    cx.view.nodes().filter(|n| find::join_inputs(cx, *n).is_some()).collect()
}

fn plan_round(
    model: &ModelProto,
    options: &Options,
    (through_joins, number): (bool, usize),
    (net, known, refused): (Net<'_>, Option<&Known>, &Refused),
    watch: Watch<'_>,
) -> Result<Round, EngineError> {
    let view = GraphView::new(model)?;
    let facts = Facts::new(&view);
    let fault = known.and_then(|known| net(known, &view, &facts));
    if fault.is_some() || number > MAX_ROUNDS {
        return Ok(Round { fault, ..Round::default() });
    }
    let cx = Context { through_joins, ..Context::new(&view, &facts, options) };
    let mut names = Names::new(model);
    let mut round = Round::default();
    // Where the channels stand decides what can be read at all.
    if options.families.has(Family::Transpose) {
        round = transposes::fewer(cx, &mut names, refused);
    }
    if round.edits.is_empty() {
        let kept = round.kept;
        round = plan_edits(cx, (number, refused), watch, &mut names)?;
        round.kept.extend(kept);
    }
    // A `Sum` of more than two is parted only where that removes a join, and when no other edit is in the way.
    if round.edits.is_empty() && options.families.has(Family::Residual) {
        sums::remove_pair(model, cx, refused, &mut round)?;
    }
    if round.edits.is_empty() && round.parted.is_none() && options.families.has(Family::Transpose) {
        transposes::free(model, cx, (number, refused), watch, &mut round)?;
    }
    // Dead weight last: what is left may be narrowed.
    if round.edits.is_empty() && round.parted.is_none() && options.families.has(Family::Dead) {
        drop_surplus(cx, &mut names, &mut round);
        // Initializers go in one edit for all.
        if round.drop_refused(refused) {
            round.edits.clear();
            round.removed.clear();
        }
    }
    if !round.edits.is_empty() || round.parted.is_some() {
        round.known = Known::of(&view, &facts);
    }
    Ok(round)
}

/// What folds; when nothing does, the joins that go. Folding first: it makes whatever is removed next smaller.
fn plan_edits(
    cx: Context<'_>,
    (number, refused): (usize, &Refused),
    watch: Watch<'_>,
    names: &mut Names,
) -> Result<Round, EngineError> {
    let mut round = fold(cx, names);
    round.drop_refused(refused);
    if round.edits.is_empty() && cx.options.families.has(Family::Residual) {
        remove_joins(cx, (number, refused), watch, names, &mut round)?;
    }
    Ok(round)
}

fn remove_joins(
    cx: Context<'_>,
    (number, refused): (usize, &Refused),
    watch: Watch<'_>,
    names: &mut Names,
    round: &mut Round,
) -> Result<(), EngineError> {
    let mut claimed: BTreeSet<NodeId> = BTreeSet::new();
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
        match plan_join(cx, *join, &claimed, names) {
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

fn drop_surplus(cx: Context<'_>, names: &mut Names, round: &mut Round) {
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

/// Says that everything stays after all, since rounding decides what the model computes in `dtype`: `message` says how far it
/// moves which output, `agrees` whether both models compute the same in float64.
pub fn leave_unstable(outcome: &mut Outcome, dtype: &str, message: &str, agrees: bool) {
    let hint = match agrees {
        true => "--accept-unstable rewrites it all the same: both agree in float64",
        false => "the rewritten model differs in float64 too, as any other rounding would make it",
    };
    let reason = format!("rounding decides what this model computes in {dtype}: {message}");
    outcome.undo(&RejectReport { hint: hint.to_owned(), ..RejectReport::new(RejectCode::Unstable, reason) });
}
