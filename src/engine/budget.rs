//! Which joins go when not all may: those that were asked for, and of these the most that stay within the limits.

use wildmatch::WildMatch;

use crate::graph::GraphView;
use crate::onnx::ModelProto;
use crate::options::{Family, Limit, Limits, Options};
use crate::plan::change::Price;
use crate::read::RejectCode;
use crate::report::{Outcome, RejectReport, SiteStatus};

use super::error::EngineError;
use super::planned::is_sum;
use super::round::Refused;

/// Most joins that are tried one by one beyond the cheapest that fit together: the price of a join depends on its neighbours.
const MAX_TRIES: usize = 8;

/// The same where peak memory is limited: no join's share of it is known, for the peak is at one place, and what happens elsewhere
/// costs nothing.
const MAX_TRIES_OF_PEAK: usize = 64;

/// Adds to `refused` the joins of `model` that `options` do not ask for.
pub(super) fn not_asked(model: &ModelProto, options: &Options, refused: &mut Refused) -> Result<(), EngineError> {
    if options.sites.is_empty() && options.keep.is_empty() {
        return Ok(());
    }
    let compiled = |patterns: &[String]| patterns.iter().map(|p| WildMatch::new(p)).collect::<Vec<_>>();
    let (keep, sites) = (compiled(&options.keep), compiled(&options.sites));
    let view = GraphView::new(model)?;
    for node in view.nodes().filter(|n| is_sum(&view, *n)) {
        let Some(tensor) = view.output(node).map(|v| view.name(v)) else { continue };
        let name = view.node(node).name();
        let is_in = |patterns: &[WildMatch]| patterns.iter().any(|p| p.matches(name) || p.matches(tensor));
        if is_in(&keep) || !sites.is_empty() && !is_in(&sites) {
            let reject = RejectReport {
                node: name.to_owned(),
                tensor: tensor.to_owned(),
                ..RejectReport::new(RejectCode::NotAsked, "it was asked to stay".to_owned())
            };
            refused.entry((Family::Residual, tensor.to_owned())).or_insert(reject);
        }
    }
    Ok(())
}

/// A rewritten model, and what was done.
pub(super) type Rewritten = (ModelProto, Outcome);

/// Rewrites with `attempt`, which leaves alone what is refused, such that the most joins go and all `limits` are kept. With one
/// limit, and prices that do not depend on each other, the cheapest joins are the most; what they cost together is never
/// added up but taken from the model that comes out.
///
/// # Errors
/// Those of `attempt`; [`EngineError::Limit`] when the model without any join removed is beyond a limit.
pub(super) fn within(
    limits: &Limits,
    refused: &Refused,
    attempt: &mut dyn FnMut(&Refused) -> Result<Rewritten, EngineError>,
) -> Result<Rewritten, EngineError> {
    let all = attempt(refused)?;
    let before = all.1.before.clone();
    if exceeded(limits, &before, &all.1.after).is_none() {
        return Ok(all);
    }
    let candidates = cheapest_first(limits, &before, &all.1);
    let without = |stay: &[String], found: &Rewritten| {
        let mut refused = refused.clone();
        let reason = exceeded(limits, &before, &found.1.after).unwrap_or_default();
        for tensor in stay {
            refused.insert((Family::Residual, tensor.clone()), over_budget(tensor, &reason));
        }
        refused
    };
    // The first `fit` joins alone are within the limits, the first `many` are not.
    let (mut fit, mut many) = (0, candidates.len());
    let mut best = attempt(&without(&candidates, &all))?;
    if let Some(reason) = exceeded(limits, &before, &best.1.after) {
        return Err(EngineError::Limit { reason });
    }
    while many - fit > 1 {
        let middle = usize::midpoint(fit, many);
        let found = attempt(&without(&candidates[middle..], &all))?;
        match exceeded(limits, &before, &found.1.after) {
            None => (fit, best) = (middle, found),
            Some(_) => many = middle,
        }
    }
    let mut stay = candidates[fit..].to_vec();
    let tries = if limits.peak_memory.is_some() { MAX_TRIES_OF_PEAK } else { MAX_TRIES };
    for tensor in candidates[fit..].iter().take(tries) {
        let fewer: Vec<String> = stay.iter().filter(|t| *t != tensor).cloned().collect();
        let found = attempt(&without(&fewer, &all))?;
        if exceeded(limits, &before, &found.1.after).is_none() {
            (stay, best) = (fewer, found);
        }
    }
    Ok(best)
}

/// The tensors of the joins that were removed, those first that take the smallest share of what a limit allows.
pub(super) fn cheapest_first(limits: &Limits, before: &Price, outcome: &Outcome) -> Vec<String> {
    let share = |more: f64, limit: Option<Limit>, before: u64| {
        limit.map_or(0.0, |limit| more / (limit.of(before) as f64).max(1.0))
    };
    let mut joins: Vec<(f64, &str)> = outcome
        .sites
        .iter()
        .filter(|site| site.kind == Family::Residual)
        .filter_map(|site| {
            let SiteStatus::Removed(change) = &site.status else { return None };
            let macs = change.macs_after.unwrap_or(0) as f64 - change.macs_before.unwrap_or(0) as f64;
            let weights = change.params_after as f64 - change.params_before as f64;
            let shares = [
                share(macs, limits.macs, before.macs.unwrap_or(0)),
                share(weights, limits.parameters, before.params),
                // Weights are next to all of a file.
                share(weights * before.bytes as f64 / before.params.max(1) as f64, limits.bytes, before.bytes),
            ];
            Some((shares.into_iter().fold(0.0, f64::max), site.tensor.as_str()))
        })
        .collect();
    joins.sort_by(|a, b| a.0.total_cmp(&b.0));
    joins.into_iter().map(|(_, tensor)| tensor.to_owned()).collect()
}

/// Which limit `after` is beyond, in words.
fn exceeded(limits: &Limits, before: &Price, after: &Price) -> Option<String> {
    let measures = [
        ("multiply-accumulates", limits.macs, before.macs, after.macs),
        ("parameters", limits.parameters, Some(before.params), Some(after.params)),
        ("file bytes", limits.bytes, Some(before.bytes), Some(after.bytes)),
        ("peak bytes of activations", limits.peak_memory, before.activation_bytes, after.activation_bytes),
    ];
    measures.into_iter().find_map(|(what, limit, before, after)| {
        let limit = limit?;
        let (Some(before), Some(after)) = (before, after) else {
            return Some(format!("{what} are unknown, so whether {limit} are kept is too"));
        };
        let allowed = limit.of(before);
        (after > allowed).then(|| format!("{after} {what}, where {allowed} are allowed ({limit} of {before})"))
    })
}

fn over_budget(tensor: &str, reason: &str) -> RejectReport {
    RejectReport {
        tensor: tensor.to_owned(),
        hint: "cheaper joins went first; a higher limit lets it go".to_owned(),
        ..RejectReport::new(RejectCode::OverBudget, format!("all joins together would take {reason}"))
    }
}
