//! One join: from the readings of its sides to the edit that removes it, by the cheapest of its proofs.

use std::collections::BTreeSet;

use crate::algebra::Slot;
use crate::graph::{EditList, Names, NodeId};
use crate::options::{ActivationForm, Family};
use crate::plan::change::{Change, Channels, Exactness};
use crate::plan::memo::Memo;
use crate::plan::{cost, layouts};
use crate::read::{Context, Reject, RejectCode};
use crate::report::{SiteReport, SiteStatus};
use crate::residual::build;
use crate::residual::check::{self, Proof, Recipe};
use crate::residual::find::{self, PathStep, Site};
use crate::residual::operation::{Form, Step};

use super::planned;
use super::round::report;
use super::untaken;

pub(super) struct Planned {
    pub(super) edits: EditList,
    pub(super) report: SiteReport,
    pub(super) proof: Proof,
}

pub(super) fn plan_join(
    cx: Context<'_>,
    join: NodeId,
    claimed: &BTreeSet<NodeId>,
    names: &mut Names,
    memo: &mut Memo,
) -> Result<Planned, Reject> {
    let options = planned::options(cx, join);
    let cx = Context { options: &options, ..cx };
    let mut nearest: Option<Reject> = None;
    let mut proofs = Vec::new();
    for site in find::find(cx, join)? {
        // Looked at again in the next round.
        if site.steps.iter().any(|step| claimed.contains(&step.node)) {
            nearest = Some(shared(cx, join));
            continue;
        }
        match admit(cx, site).and_then(|site| check::prove(cx, site)) {
            Ok(proof) => proofs.push(proof),
            Err(reject) => nearest = Some(reject),
        }
    }
    let mut ways: Vec<(usize, build::Choice<'_>, cost::Cost)> = Vec::new();
    for (index, proof) in proofs.iter().enumerate() {
        match layouts::choose(cx, proof, memo) {
            Ok((choice, cost)) => ways.push((index, choice, cost)),
            Err(reject) => nearest = nearest.or(Some(reject)),
        }
    }
    // The cheapest that the target takes; of those that cost as much, the first.
    ways.sort_by(|(_, _, a), (_, _, b)| a.order(b, cx.options.objective));
    let mut found = None;
    for (index, choice, cost) in ways {
        let proof = &proofs[index];
        if !proof.branch().removed.is_disjoint(claimed) {
            return Err(shared(cx, join));
        }
        let (edits, tensors) = build::build(cx, proof, &choice, names)?;
        if let Err(reject) = untaken::check(cx, join, &edits) {
            nearest = Some(reject);
            continue;
        }
        let change = Change {
            form: form(proof, &choice, cx.options.activation),
            exactness: Exactness::Reordered,
            macs_before: macs_of(cx, proof),
            macs_after: macs_of(cx, proof).map(|_| cost.macs as u64),
            params_before: params_of(cx, proof),
            params_after: cost.params as u64,
            channels: channels(&choice, tensors),
        };
        found = Some((index, edits, change));
        break;
    }
    let Some((index, edits, change)) = found else {
        return Err(nearest.unwrap_or_else(|| Reject::at(cx.view, join, RejectCode::TwoBranches, "it has no branch")));
    };
    let report = report(cx, Family::Residual, join, SiteStatus::Removed(change));
    Ok(Planned { edits, report, proof: proofs.swap_remove(index) })
}

fn shared(cx: Context<'_>, join: NodeId) -> Reject {
    Reject::at(cx.view, join, RejectCode::CannotPass, "it shares operators with a join that is removed first")
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

/// What the tensors between the items hold, where they hold more than the branch. The last tensor is the join's own.
fn channels(choice: &build::Choice<'_>, tensors: Vec<String>) -> Vec<Channels> {
    let held = choice.layouts.iter().skip(1).zip(tensors).map(|(layout, tensor)| {
        let count = |is: fn(&Slot) -> bool| layout.iter().filter(|slot| is(slot)).count();
        let (body, carried) = (count(|s| s.body.is_some()), count(|s| s.is_carried()));
        Channels { tensor, body, carried, zero: layout.len() - body - carried }
    });
    held.filter(|held| held.carried + held.zero > 0).collect()
}

fn form(proof: &Proof, choice: &build::Choice<'_>, asked: ActivationForm) -> String {
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
    let missed = missed(asked, choice).map(|word| format!("; --activation {word} does not fit there"));
    format!("{carried}, {}{chain}{}", choice.host.hardest_form().words(), missed.unwrap_or_default())
}

/// The form of activations that was asked for, where one of them got another.
fn missed(asked: ActivationForm, choice: &build::Choice<'_>) -> Option<&'static str> {
    let (form, word) = match asked {
        ActivationForm::Auto => return None,
        ActivationForm::Prelu => (Form::Prelu, "prelu"),
        ActivationForm::Minmax => (Form::Bounds, "minmax"),
        ActivationForm::Pair => (Form::Pair, "pair"),
        ActivationForm::Select => (Form::Select, "select"),
    };
    let is_other = |f: Form| matches!(f, Form::Prelu | Form::Bounds | Form::Pair | Form::Select) && f != form;
    choice.host.forms().any(is_other).then_some(word)
}

/// The nodes of branch and shortcut, which may share some, each once.
fn site_nodes(proof: &Proof) -> BTreeSet<NodeId> {
    proof.branch().removed.iter().chain(&proof.shortcut_nodes).copied().collect()
}

fn macs_of(cx: Context<'_>, proof: &Proof) -> Option<u64> {
    let mut nodes = site_nodes(proof).into_iter();
    nodes.try_fold(0_u64, |n, node| Some(n.saturating_add(cost::macs(cx.view, cx.facts, node)?)))
}

fn params_of(cx: Context<'_>, proof: &Proof) -> u64 {
    let convs = site_nodes(proof).into_iter().filter(|n| matches!(cx.view.op(*n), "Conv" | "Gemm" | "MatMul"));
    convs
        .filter_map(|n| cx.facts.constant_shape(cx.view.input(n, 1)?))
        .map(|s| s.iter().fold(1_u64, |n, d| n.saturating_mul(*d as u64)))
        .fold(0, u64::saturating_add)
}
