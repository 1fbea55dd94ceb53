//! View, facts, find, prove, plan, apply: round after round, to a fixed point.

mod sums;
mod survivors;

use std::collections::{BTreeMap, BTreeSet};

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
use crate::residual::find::{self, PathStep, Site};
use crate::residual::pass::Step;
use crate::residual::{Context, Reject, RejectCode, build};

use survivors::Known;

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
    /// An edit would have broken it, which is a fault of this crate. The model is as it was.
    #[error("{0}; nothing was rewritten. This is a fault of onnx-rm: please report it")]
    Apply(#[from] graph::ApplyError),
}

/// Removes every join that `options` allow.
///
/// The model changes only when a join is removed. What is not part of a rewritten region keeps its bytes.
///
/// # Errors
/// [`EngineError`] when the graph is malformed; the model is then unchanged.
pub fn rewrite(
    model: &mut Model,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, EngineError> {
    rewrite_without(model, options, &Refused::new(), progress)
}

/// As [`rewrite`], but leaves alone what is `refused`.
///
/// # Errors
/// As [`rewrite`].
pub fn rewrite_without(
    model: &mut Model,
    options: &Options,
    refused: &Refused,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, EngineError> {
    let outcome = rewrite_under(&net, &mut model.proto, options, refused.clone(), progress)?;
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
/// As [`rewrite`]; the model is then as it was, also when rounds had been made.
pub fn rewrite_proto(
    model: &mut ModelProto,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, EngineError> {
    rewrite_under(&net, model, options, Refused::new(), progress)
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

/// What is left alone, by kind and tensor, and why.
pub type Refused = BTreeMap<(String, String), RejectReport>;

fn rewrite_under(
    net: Net<'_>,
    model: &mut ModelProto,
    options: &Options,
    refused: Refused,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, EngineError> {
    graph::check_operators(model)?;
    let before = model.clone();
    rounds(net, model, options, refused, progress).inspect_err(|_| *model = before)
}

fn rounds(
    net: Net<'_>,
    model: &mut ModelProto,
    options: &Options,
    mut refused: Refused,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, EngineError> {
    let before = priced(model)?;
    let mut sites: Vec<SiteReport> = Vec::new();
    let mut stop = StopReason::RoundLimit;
    let mut kept = Vec::new();
    let mut through_joins = false;
    let mut last: Option<Applied> = None;
    // The last one only looks at what the one before did.
    for number in 1..=MOST_ROUNDS + 1 {
        let known = last.as_ref().map(|applied| &applied.known);
        let round = plan_round(model, options, (through_joins, number), (net, known, &refused), progress)?;
        if let Some(applied) = last.take() {
            if let Some(fault) = round.fault {
                *model = applied.model;
                refuse_all(&mut refused, applied.removed, &fault);
                continue;
            }
            sites.extend(applied.removed);
        }
        if number > MOST_ROUNDS {
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
    let reject = RejectReport {
        code: RejectCode::BrokenProof.as_str().to_owned(),
        reason: format!("what a rewrite made contradicts what was known before, so it was dropped: {fault}"),
        hint: "this is an error of onnx-rm: please report it".to_owned(),
        ..RejectReport::default()
    };
    for site in sites {
        let reject = RejectReport { node: site.join, tensor: site.tensor.clone(), ..reject.clone() };
        refused.insert((site.kind, site.tensor), reject);
    }
}

fn is_blocked_by_join(status: &SiteStatus) -> bool {
    matches!(status, SiteStatus::Kept(reject) if reject.code == RejectCode::InnerJoin.as_str())
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

#[derive(Default)]
struct Round {
    edits: Vec<EditList>,
    removed: Vec<SiteReport>,
    kept: Vec<SiteReport>,
    /// The model without a pair of the inputs of a longer `Sum`.
    parted: Option<ModelProto>,
    /// What is known of the tensors before any edit.
    known: Known,
    /// What contradicts what was known before the last round's.
    fault: Option<String>,
}

impl Round {
    /// Takes what was `refused` out of what is to go. `true` when something was.
    fn drop_refused(&mut self, refused: &Refused) -> bool {
        let reject = |site: &SiteReport| refused.get(&(site.kind.clone(), site.tensor.clone()));
        let stays: Vec<bool> = self.removed.iter().map(|site| reject(site).is_some()).collect();
        for site in self.removed.iter().filter(|site| reject(site).is_some()) {
            let status = reject(site).cloned().map_or(site.status.clone(), SiteStatus::Kept);
            self.kept.push(SiteReport { status, ..site.clone() });
        }
        let mut stay = stays.iter();
        self.removed.retain(|_| !stay.next().is_some_and(|s| *s));
        let mut stay = stays.iter();
        self.edits.retain(|_| !stay.next().is_some_and(|s| *s));
        stays.contains(&true)
    }
}

fn plan_round(
    model: &ModelProto,
    options: &Options,
    (through_joins, number): (bool, usize),
    (net, known, refused): (Net<'_>, Option<&Known>, &Refused),
    progress: &mut dyn FnMut(Progress),
) -> Result<Round, EngineError> {
    let view = GraphView::new(model)?;
    let facts = Facts::new(&view);
    let fault = known.and_then(|known| net(known, &view, &facts));
    if fault.is_some() || number > MOST_ROUNDS {
        return Ok(Round { fault, ..Round::default() });
    }
    let cx = Context { through_joins, ..Context::new(&view, &facts, options) };
    let mut names = Names::new(model);
    let mut round = fold(cx, &mut names);
    round.drop_refused(refused);
    // Folding first: it makes whatever is removed next smaller.
    if round.edits.is_empty() && options.families.has(Family::Residual) {
        remove_joins(cx, (number, refused), progress, &mut names, &mut round);
        // A `Sum` of more than two is parted only where that removes a join, and when no other edit is in the way.
        if round.edits.is_empty() {
            sums::remove_pair(model, cx, refused, &mut round)?;
        }
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

fn remove_joins(
    cx: Context<'_>,
    (number, refused): (usize, &Refused),
    progress: &mut dyn FnMut(Progress),
    names: &mut Names,
    round: &mut Round,
) {
    let mut claimed: BTreeSet<NodeId> = BTreeSet::new();
    let joins = joins(cx);
    for (done, join) in joins.iter().enumerate() {
        let message = cx.view.node(*join).name().to_owned();
        progress(Progress { round: number, done, total: joins.len(), message });
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
            Err(reject) => round.kept.push(report(cx, Family::Residual, *join, SiteStatus::Kept(refusal(&reject)))),
        }
    }
}

/// The report of a residual join that is never tried again.
fn refused_site(cx: Context<'_>, refused: &Refused, join: NodeId) -> Option<SiteReport> {
    let tensor = cx.view.output(join).map(|v| cx.view.name(v).to_owned())?;
    let reject = refused.get(&(Family::Residual.name().to_owned(), tensor))?;
    Some(report(cx, Family::Residual, join, SiteStatus::Kept(reject.clone())))
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
    let mut best: Option<(usize, build::Choice<'_>, cost::Cost)> = None;
    for (index, proof) in proofs.iter().enumerate() {
        match layouts::choose(cx, proof) {
            Ok((choice, cost)) if cost.beats(best.as_ref().map(|(_, _, b)| b), cx.options.objective) => {
                best = Some((index, choice, cost));
            }
            Ok(_) => {}
            Err(reject) => nearest = nearest.or(Some(reject)),
        }
    }
    let Some((index, choice, cost)) = best else {
        return Err(nearest.unwrap_or_else(|| Reject::at(cx.view, join, RejectCode::TwoBranches, "it has no branch")));
    };
    let proof = &proofs[index];
    if !proof.branch().removed.is_disjoint(claimed) {
        let reason = "it shares operators with a join that is removed first";
        return Err(Reject::at(cx.view, join, RejectCode::CannotPass, reason));
    }
    let edits = build::build(cx, proof, &choice, names)?;
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

/// Refuses a branch that carries channels already, as one does that held another join, unless long skips are asked for.
fn admit(cx: Context<'_>, site: Site) -> Result<Site, Reject> {
    if cx.options.long_skips {
        return Ok(site);
    }
    // The last one is the merge, whose result has the name of that join's.
    let carries = |step: &&PathStep| matches!(&step.reading.step, Step::Conv(conv) if conv.carries(cx.facts));
    let Some(step) = site.steps.iter().rfind(carries) else { return Ok(site) };
    let reason = "the branch held another join: carrying across it costs much more than the join itself";
    Err(Reject::at(cx.view, step.node, RejectCode::LongSkip, reason).hint("--long-skips removes it too"))
}

fn form(proof: &Proof, choice: &build::Choice<'_>) -> String {
    let carried = match proof.recipe(choice.host) {
        Recipe::Identity => "identity",
        Recipe::Added => "added into the convolution",
        Recipe::ReserveOutput => "projection, output reserved (V1)",
        Recipe::ReserveInput => "projection, input reserved (V2)",
        Recipe::Divided => "projection, divided between convolutions",
    };
    let sums = choice.hops.iter().any(|hop| hop.sum.is_some());
    let selects = choice.hops.iter().any(|hop| hop.select.is_some());
    let chain = match (sums, selects) {
        (true, _) => ", in blocks that are summed up",
        (false, true) => ", channels selected",
        (false, false) => "",
    };
    format!("{carried}, {}{chain}", choice.host.hardest_form().words())
}

/// The nodes of branch and shortcut, which may share some, each once.
fn site_nodes(proof: &Proof) -> BTreeSet<NodeId> {
    proof.branch().removed.iter().chain(&proof.shortcut_nodes).copied().collect()
}

fn macs_of(cx: Context<'_>, proof: &Proof) -> Option<u64> {
    site_nodes(proof)
        .into_iter()
        .try_fold(0_u64, |n, node| Some(n.saturating_add(cost::macs(cx.view, cx.facts, node)?)))
}

fn params_of(cx: Context<'_>, proof: &Proof) -> u64 {
    let convs = site_nodes(proof).into_iter().filter(|n| matches!(cx.view.op(*n), "Conv" | "Gemm" | "MatMul"));
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
