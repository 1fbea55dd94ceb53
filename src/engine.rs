//! View, facts, find, prove, plan, apply: round after round, to a fixed point.

mod associate;
mod bodies;
mod budget;
mod calls;
mod curve;
mod defaults;
mod edits;
mod error;
mod join;
mod origins;
mod planned;
mod price;
mod record;
mod round;
mod sums;
mod survivors;
mod transposes;
mod untaken;
mod watch;

use std::cell::LazyCell;
use std::collections::BTreeSet;

use crate::facts::Facts;
use crate::graph::{self, GraphView, Names};
use crate::io::Model;
use crate::onnx::ModelProto;
use crate::options::{Family, Options};
use crate::read::{Context, RejectCode};
use crate::report::{NotInspected, Outcome, RejectReport, SiteReport, SiteStatus, StopReason};

pub use curve::curve;
pub use error::EngineError;
pub use planned::planned;
pub use price::price;
pub use record::{Record, mark_pruned, without_record};
pub use round::Refused;
pub use watch::{Progress, Watch, go_on};

use budget::Rewritten;
use edits::{drop_surplus, legalize, plan_edits};
use origins::Origins;
use price::priced;
use round::Round;
use survivors::Known;

/// Most rounds; each removes the joins that the round before uncovered, so a model needs as many rounds as
/// its joins are nested deep, and as many again for the folds between them.
pub const MAX_ROUNDS: usize = 128;

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
    // The digest of a large file takes a while, so it is not made before it is known to be needed.
    let record = LazyCell::new(|| Record::new(model, options, refused));
    let sign = |model: &mut ModelProto| record.write(model);
    let outcome = rewrite_under((&net, Some(&sign)), &mut proto, options, refused.clone(), watch)?;
    drop(record);
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
    Ok(plan(model, options, watch)?.1)
}

/// [`inspect`], with the model that would come out.
///
/// # Errors
/// As [`rewrite`].
pub fn plan(model: &Model, options: &Options, watch: Watch<'_>) -> Result<(ModelProto, Outcome), EngineError> {
    let mut copy = model.proto().clone();
    let refused = Refused::new();
    let record = LazyCell::new(|| Record::new(model, options, &refused));
    let sign = |model: &mut ModelProto| record.write(model);
    let mut outcome = rewrite_under((&net, Some(&sign)), &mut copy, options, Refused::new(), watch)?;
    for site in &mut outcome.sites {
        if let SiteStatus::Removed(change) = &site.status {
            site.status = SiteStatus::Candidate(change.clone());
        }
    }
    Ok((copy, outcome))
}

/// [`rewrite`] on a model in memory, which says nothing of its making then.
///
/// # Errors
/// As [`rewrite`]; the model is then as it was, also when rounds had been made.
pub fn rewrite_proto(model: &mut ModelProto, options: &Options, watch: Watch<'_>) -> Result<Outcome, EngineError> {
    rewrite_under((&net, None), model, options, Refused::new(), watch)
}

/// What contradicts what was known before: see [`Known::contradiction`].
type Net<'n> = &'n dyn Fn(&Known, &GraphView<'_>, &Facts<'_>) -> Option<String>;

fn net(known: &Known, view: &GraphView<'_>, facts: &Facts<'_>) -> Option<String> {
    let fault = known.contradiction(view, facts);
    debug_assert!(fault.is_none(), "{fault:?}");
    fault
}

/// Writes into a rewritten model what it says of itself.
type Sign<'s> = &'s dyn Fn(&mut ModelProto);

/// A round whose edits were applied, until the facts of the graph that came out say that they were right.
struct Applied {
    model: ModelProto,
    known: Known,
    removed: Vec<SiteReport>,
    /// Tensors, each with the one that stands in its place.
    renamed: Vec<(String, String)>,
}

fn rewrite_under(
    under: (Net<'_>, Option<Sign<'_>>),
    model: &mut ModelProto,
    options: &Options,
    refused: Refused,
    watch: Watch<'_>,
) -> Result<Outcome, EngineError> {
    graph::check_operators(model)?;
    let mut refused = refused;
    budget::not_asked(model, options, &mut refused)?;
    planned::left(model, options, &mut refused)?;
    let before = defaults::as_constants(model, options);
    let (rewritten, mut outcome) = calls::rewrite(&before, options, &mut |before| {
        let mut attempt = |refused: &Refused| whole(under, before, options, refused, watch);
        match options.limits.is_none() {
            true => attempt(&refused),
            false => budget::within(&options.limits, &refused, &mut attempt),
        }
    })?;
    if !graph::defaults(&before).is_empty() {
        let mut constant = model.clone();
        let options = options.clone().constant_initializers(true);
        let other = rewrite_under((under.0, None), &mut constant, &options, refused, watch)?;
        defaults::explain(model, &other, &mut outcome);
    }
    if outcome.removed().next().is_some() {
        *model = rewritten;
    }
    Ok(outcome)
}

/// The main graph, and then the bodies of its nodes.
fn whole(
    (net, sign): (Net<'_>, Option<Sign<'_>>),
    before: &ModelProto,
    options: &Options,
    refused: &Refused,
    watch: Watch<'_>,
) -> Result<Rewritten, EngineError> {
    let mut model = before.clone();
    let mut outcome = rounds(net, &mut model, options, refused.clone(), watch)?;
    let mut changed = bodies::rewrite(&mut model, &mut outcome, &mut |body| {
        let mut refused = refused.clone();
        budget::not_asked(body, options, &mut refused)?;
        calls::rewrite(body, options, &mut |body| whole((net, None), body, options, &refused, watch))
    })?;
    if let (true, Some(sign)) = (outcome.removed().next().is_some(), sign) {
        sign(&mut model);
        changed = true;
    }
    if changed {
        outcome.after = priced(&model)?;
    }
    Ok((model, outcome))
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
    let mut origins = Origins::new(model);
    let mut through_joins = false;
    let mut last: Option<Applied> = None;
    // Orders of axes that freed nothing, and what was gone when they were last looked at from the start.
    let (mut tried, mut gone) = (BTreeSet::new(), 0);
    // The last one only looks at what the one before did.
    for number in 1..=MAX_ROUNDS + 1 {
        if let Some(applied) = &last {
            origins.note(&applied.renamed, &mut refused);
        }
        let known = last.as_ref().map(|applied| &applied.known);
        let under = (net, known, &refused, &mut tried);
        let round = plan_round(model, options, (through_joins, number), under, watch)?;
        if let Some(applied) = last.take() {
            if let Some(fault) = round.fault {
                *model = applied.model;
                refuse_all(&mut refused, applied.removed, &fault);
                continue;
            }
            sites.extend(applied.removed.into_iter().filter_map(|site| origins.named(site)));
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
            // What went meanwhile may let another order free something.
            if !tried.is_empty() && sites.len() > gone {
                (tried, gone) = (BTreeSet::new(), sites.len());
                continue;
            }
            stop = if sites.is_empty() { StopReason::NothingToDo } else { StopReason::FixedPoint };
            break;
        }
        let edited = round.edits.iter().flat_map(|edits| edits.renamed.iter().cloned());
        let renamed = round.renamed.into_iter().chain(edited).collect();
        let mut next = match round.parted {
            Some(parted) => parted,
            None => model.clone(),
        };
        let touched = graph::apply(&mut next, &round.edits)?;
        graph::clean(&mut next, &touched);
        graph::validate(&next)?;
        let model = std::mem::replace(model, next);
        last = Some(Applied { model, known: round.known, removed: round.removed, renamed });
    }
    let after = if sites.is_empty() { before.clone() } else { priced(model)? };
    sites.extend(kept.into_iter().filter_map(|site| origins.named(site)));
    Ok(Outcome { sites, before, after, stop, not_inspected: NotInspected::default() })
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

fn plan_round(
    model: &ModelProto,
    options: &Options,
    (through_joins, number): (bool, usize),
    (net, known, refused, tried): (Net<'_>, Option<&Known>, &Refused, &mut BTreeSet<String>),
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
    if round.edits.is_empty() && round.parted.is_none() && options.families.has(Family::Residual) {
        sums::remove_pair(model, cx, refused, &mut round)?;
    }
    if round.edits.is_empty() && round.parted.is_none() && options.families.has(Family::Transpose) {
        transposes::free(model, cx, (number, refused, tried), watch, &mut round)?;
    }
    if round.edits.is_empty() && round.parted.is_none() {
        legalize(cx, &mut names, &mut round);
        round.drop_refused(refused);
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
