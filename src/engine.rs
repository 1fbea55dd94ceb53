//! View, facts, find, prove, plan, apply: round after round, to a fixed point.

mod sums;

use std::collections::BTreeSet;

use crate::facts::Facts;
use crate::graph::{self, EditList, GraphView, Names, NodeId};
use crate::io::Model;
use crate::onnx::ModelProto;
use crate::plan::options::{Family, Options};
use crate::plan::{cost, folds, layouts, surplus};
use crate::report::{
    Change, Exactness, NotInspected, Outcome, Price, RejectReport, SiteReport, SiteStatus, StopReason,
};
use crate::residual::check::{self, Proof, Recipe};
use crate::residual::emit::merged_site;
use crate::residual::find::{self, Site};
use crate::residual::{Context, Frame, Reject, RejectCode, build};

/// Most rounds; each removes the joins that the round before uncovered, so a model needs as many rounds as
/// its joins are nested deep, and as many again for the folds between them.
pub const MOST_ROUNDS: usize = 128;

/// What the engine is doing, for a progress bar.
#[derive(Clone, Debug)]
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

/// Why a model could not be rewritten at all.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The graph itself is broken.
    #[error(transparent)]
    Graph(#[from] graph::GraphError),
    /// An edit would have broken it; nothing was changed.
    #[error(transparent)]
    Apply(#[from] graph::ApplyError),
}

/// Removes every join that `options` allow.
///
/// The model changes only when a join is removed. What is not part of a rewritten region keeps its bytes.
///
/// # Errors
/// [`EngineError`] when the graph is malformed.
pub fn rewrite(
    model: &mut Model,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, EngineError> {
    let outcome = rewrite_proto(&mut model.proto, options, progress)?;
    model.edited |= outcome.removed().next().is_some();
    Ok(outcome)
}

/// What [`rewrite`] would do, without changing the model.
///
/// # Errors
/// As [`rewrite`].
pub fn inspect(model: &Model, options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Outcome, EngineError> {
    let mut copy = model.proto.clone();
    let mut outcome = rewrite_proto(&mut copy, options, progress)?;
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
/// As [`rewrite`].
pub fn rewrite_proto(
    model: &mut ModelProto,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, EngineError> {
    graph::check_operators(model)?;
    let before = priced(model)?;
    let mut sites: Vec<SiteReport> = Vec::new();
    let mut stop = StopReason::RoundLimit;
    let mut kept = Vec::new();
    let mut through_joins = false;
    for number in 1..=MOST_ROUNDS {
        let round = plan_round(model, options, through_joins, number, progress)?;
        kept = round.kept;
        if let Some(parted) = round.parted {
            *model = parted.model;
            sites.push(parted.report);
            continue;
        }
        if round.edits.is_empty() {
            // What is left inside a branch is there to stay: now the join around it may be removed.
            let blocked = kept.iter().any(|site| is_blocked_by_join(&site.status));
            if blocked && !std::mem::replace(&mut through_joins, true) {
                continue;
            }
            stop = if sites.is_empty() { StopReason::NothingToDo } else { StopReason::FixedPoint };
            break;
        }
        let touched = graph::apply(model, &round.edits)?;
        graph::clean(model, &touched);
        graph::validate(model)?;
        sites.extend(round.removed);
    }
    let after = if sites.is_empty() { before.clone() } else { priced(model)? };
    sites.extend(kept);
    let (in_subgraphs, in_functions) = graph::sums_inside(model);
    Ok(Outcome { sites, before, after, stop, not_inspected: NotInspected { in_subgraphs, in_functions } })
}

fn is_blocked_by_join(status: &SiteStatus) -> bool {
    matches!(status, SiteStatus::Kept(reject) if reject.code == RejectCode::InnerJoin.as_str())
}

fn priced(model: &ModelProto) -> Result<Price, EngineError> {
    let view = GraphView::new(model)?;
    let facts = Facts::new(&view);
    let options = Options::default();
    let cx = Context { view: &view, facts: &facts, options: &options, through_joins: false, frame: Frame::Maps };
    let joins = view.nodes().map(|node| find::joins_of(cx, node)).sum();
    Ok(cost::price(model, &view, &facts, joins))
}

/// The joins of the graph that are nodes of their own, in topological order.
fn joins(cx: Context<'_>) -> Vec<NodeId> {
    cx.view.nodes().filter(|n| find::join_inputs(cx, *n).is_some()).collect()
}

#[derive(Default)]
struct Round {
    edits: Vec<EditList>,
    removed: Vec<SiteReport>,
    kept: Vec<SiteReport>,
    /// The model without a pair of the inputs of a longer `Sum`.
    parted: Option<sums::Parted>,
}

fn plan_round(
    model: &ModelProto,
    options: &Options,
    through_joins: bool,
    number: usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<Round, EngineError> {
    let view = GraphView::new(model)?;
    let facts = Facts::new(&view);
    let cx = Context { view: &view, facts: &facts, options, through_joins, frame: Frame::Maps };
    let mut names = Names::new(model);
    let mut round = fold(cx, &mut names);
    // Folding first: it makes whatever is removed next smaller.
    if round.edits.is_empty() && options.families.has(Family::Residual) {
        remove_joins(cx, number, progress, &mut names, &mut round);
        // A `Sum` of more than two is parted only where that removes a join, and when no other edit is in the way.
        if round.edits.is_empty() {
            sums::remove_pair(model, cx, &mut round)?;
        }
    }
    // Dead weight last: what is left may be narrowed.
    if round.edits.is_empty() && round.parted.is_none() && options.families.has(Family::Dead) {
        drop_surplus(cx, &mut names, &mut round);
    }
    Ok(round)
}

fn remove_joins(
    cx: Context<'_>,
    number: usize,
    progress: &mut dyn FnMut(Progress),
    names: &mut Names,
    round: &mut Round,
) {
    let mut claimed: BTreeSet<NodeId> = BTreeSet::new();
    let joins = joins(cx);
    for (done, join) in joins.iter().enumerate() {
        let message = cx.view.node(*join).name().to_owned();
        progress(Progress { round: number, done, total: joins.len(), message });
        match plan_join(cx, *join, &claimed, names) {
            Ok(Planned { edits, report, proof }) => {
                claimed.extend(&proof.branch().removed);
                round.edits.push(edits);
                round.removed.push(report);
            }
            Err(reject) => round.kept.push(report(cx, Family::Residual, *join, SiteStatus::Kept(refusal(&reject)))),
        }
    }
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
            kind: Family::Dead.name().to_owned(),
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
        folds.kept.iter().map(|k| report(cx, k.family, k.site, SiteStatus::Kept(refusal(&k.reject)))).collect();
    round
}

struct Planned {
    edits: EditList,
    report: SiteReport,
    proof: Proof,
}

fn plan_join(cx: Context<'_>, join: NodeId, claimed: &BTreeSet<NodeId>, names: &mut Names) -> Result<Planned, Reject> {
    let mut nearest: Option<Reject> = None;
    let mut proofs = Vec::new();
    for site in find::find(cx, join)? {
        match admit(cx, site).and_then(|site| check::prove(cx, site)) {
            Ok(proof) => proofs.push(proof),
            Err(reject) => nearest = Some(reject),
        }
    }
    let best = proofs
        .iter()
        .enumerate()
        .filter_map(|(i, proof)| layouts::choose(cx, proof).map(|(choice, cost)| (i, choice, cost)))
        .min_by(|a, b| a.2.partial_cmp(&b.2).unwrap_or(std::cmp::Ordering::Equal));
    let Some((index, choice, cost)) = best else {
        return Err(nearest.unwrap_or_else(|| {
            let reason = "no layout of the carried channels fits the groups of the branch's convolutions";
            Reject::at(cx.view, join, RejectCode::CannotPass, reason)
        }));
    };
    let proof = &proofs[index];
    if !proof.branch().removed.is_disjoint(claimed) {
        let reason = "it shares operators with a join that is removed first";
        return Err(Reject::at(cx.view, join, RejectCode::CannotPass, reason));
    }
    let edits = build::build(cx, proof, &choice, names).ok_or_else(|| {
        Reject::at(
            cx.view,
            join,
            RejectCode::WeightNotConstant,
            "a weight or an element type on the branch could not be read, or a folded weight is too large for it",
        )
    })?;
    let change = Change {
        form: form(proof, &choice),
        exactness: Exactness::Reordered,
        macs_before: macs_of(cx, proof),
        macs_after: macs_of(cx, proof).map(|_| cost.macs as u64),
        params_before: params_of(cx, proof),
        params_after: cost.params as u64,
    };
    let report = report(cx, Family::Residual, join, SiteStatus::Removed(change));
    Ok(Planned { edits, report, proof: proofs.swap_remove(index) })
}

/// Refuses a branch that held another join, unless long skips are asked for.
fn admit(cx: Context<'_>, site: Site) -> Result<Site, Reject> {
    if cx.options.long_skips {
        return Ok(site);
    }
    for step in &site.steps {
        if merged_site(cx.view.node(step.node)).is_some() {
            let reason = "the branch held another join: carrying across it costs much more than the join itself";
            return Err(
                Reject::at(cx.view, step.node, RejectCode::LongSkip, reason).hint("--long-skips removes it too")
            );
        }
    }
    Ok(site)
}

fn form(proof: &Proof, choice: &build::Choice<'_>) -> String {
    let carried = match proof.recipe(choice.host) {
        Recipe::Identity => "identity",
        Recipe::Added => "added into the convolution",
        Recipe::ReserveOutput => "projection, output reserved (V1)",
        Recipe::ReserveInput => "projection, input reserved (V2)",
        Recipe::Divided => "projection, divided between convolutions",
    };
    format!("{carried}, {}", choice.host.hardest_form().words())
}

fn site_nodes(proof: &Proof) -> impl Iterator<Item = NodeId> + '_ {
    proof.branch().removed.iter().chain(&proof.shortcut_nodes).copied()
}

fn macs_of(cx: Context<'_>, proof: &Proof) -> Option<u64> {
    site_nodes(proof).try_fold(0_u64, |n, node| Some(n.saturating_add(cost::macs(cx.view, cx.facts, node)?)))
}

fn params_of(cx: Context<'_>, proof: &Proof) -> u64 {
    let convs = site_nodes(proof).filter(|n| matches!(cx.view.op(*n), "Conv" | "Gemm" | "MatMul"));
    convs
        .filter_map(|n| cx.facts.constant_shape(cx.view.input(n, 1)?))
        .map(|s| s.iter().fold(1_u64, |n, d| n.saturating_mul(*d as u64)))
        .fold(0, u64::saturating_add)
}

fn report(cx: Context<'_>, family: Family, node: NodeId, status: SiteStatus) -> SiteReport {
    let tensor = cx.view.output(node).map(|v| cx.view.name(v).to_owned()).unwrap_or_default();
    SiteReport { join: cx.view.node(node).name().to_owned(), tensor, kind: family.name().to_owned(), status }
}

/// Says that everything stays after all, since rounding decides what the model computes in `dtype`: `message` says how far it
/// moves which output, `agrees` whether both models compute the same in float64.
pub fn leave_unstable(outcome: &mut Outcome, dtype: &str, message: &str, agrees: bool) {
    let hint = match agrees {
        true => "--accept-unstable rewrites it all the same: both agree in float64",
        false => "the rewritten model differs in float64 too, as any other rounding would make it",
    };
    outcome.undo(&RejectReport {
        code: RejectCode::Unstable.as_str().to_owned(),
        reason: format!("rounding decides what this model computes in {dtype}: {message}"),
        hint: hint.to_owned(),
        ..RejectReport::default()
    });
}

fn refusal(reject: &Reject) -> RejectReport {
    RejectReport {
        code: reject.code.as_str().to_owned(),
        reason: reject.reason.clone(),
        node: reject.node.clone(),
        tensor: reject.tensor.clone(),
        hint: reject.hint.clone(),
    }
}
