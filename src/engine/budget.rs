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
use super::round::{Refused, leave};

/// Most joins that are tried one by one beyond the cheapest that fit together: the price of a join depends on its neighbours.
const MAX_TRIES: usize = 8;

/// The same where peak memory is limited: no join's share of it is known, for the peak is at one place, and what happens elsewhere
/// costs nothing.
const MAX_TRIES_OF_PEAK: usize = 64;

/// Most sets of joins that are tried to know that no larger one fits, and most weights that may be read for it: a second or a few.
const MAX_SETS: usize = 256;
const MAX_WEIGHTS_READ: u64 = 1 << 30;

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
            leave(refused, name, tensor, "it was asked to stay");
        }
    }
    Ok(())
}

/// A rewritten model, and what was done.
pub(super) type Rewritten = (ModelProto, Outcome);

/// Rewrites with `attempt`, which leaves alone what is refused, such that the most joins go and all `limits` are kept. The cheapest go
/// first; where few enough sets have more joins than those, all of them are tried, and what stays says so. What joins cost together is
/// never added up but taken from the model that comes out.
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
    let exceeds = |found: &Rewritten| exceeded(limits, &before, &found.1.after);
    let Some(reason) = exceeds(&all) else { return Ok(all) };
    let candidates = cheapest_first(limits, &before, &all.1);
    let without = |stay: &[String], hint: &str| {
        let mut refused = refused.clone();
        for tensor in stay {
            refused.insert((Family::Residual, tensor.clone()), over_budget(tensor, &reason, hint));
        }
        refused
    };
    let greedy = "cheaper joins went first; a higher limit lets it go";
    // The first `fit` joins alone are within the limits, the first `many` are not.
    let (mut fit, mut many) = (0, candidates.len());
    let mut best = attempt(&without(&candidates, greedy))?;
    if let Some(reason) = exceeds(&best) {
        return Err(EngineError::Limit { reason });
    }
    while many - fit > 1 {
        let middle = usize::midpoint(fit, many);
        let found = attempt(&without(&candidates[middle..], greedy))?;
        match exceeds(&found) {
            None => (fit, best) = (middle, found),
            Some(_) => many = middle,
        }
    }
    let mut stay = candidates[fit..].to_vec();
    let tries = if limits.peak_memory.is_some() { MAX_TRIES_OF_PEAK } else { MAX_TRIES };
    for tensor in candidates[fit..].iter().take(tries) {
        let fewer: Vec<String> = stay.iter().filter(|t| *t != tensor).cloned().collect();
        let found = attempt(&without(&fewer, greedy))?;
        if exceeds(&found).is_none() {
            (stay, best) = (fewer, found);
        }
    }
    let Some(larger) = larger(candidates.len(), stay.len(), before.params) else { return Ok(best) };
    let exact = "every larger set of joins was tried, and none is within the limits; a higher one lets it go";
    for places in larger {
        let fewer: Vec<String> = places.iter().map(|at| candidates[*at].clone()).collect();
        let found = attempt(&without(&fewer, exact))?;
        if exceeds(&found).is_none() {
            return Ok(found);
        }
    }
    attempt(&without(&stay, exact))
}

/// The sets of fewer than `stay` of `all` candidates, the smallest first, and of these the one that leaves the dearest; not the empty one,
/// which was tried. `None` where they are too many for a model of so many weights.
fn larger(all: usize, stay: usize, weights: u64) -> Option<Vec<Vec<usize>>> {
    let most = (MAX_WEIGHTS_READ / weights.max(1)).min(MAX_SETS as u64) as usize;
    let mut sets: Vec<Vec<usize>> = Vec::new();
    let mut last: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 1..stay {
        // Each set grows at its front, so that every one is made once, and those of late candidates first.
        let grown = last.iter().flat_map(|set| {
            let front = set.first().copied().unwrap_or(all);
            (0..front).rev().map(move |at| [&[at], set.as_slice()].concat())
        });
        last = grown.take(most + 1).collect();
        sets.extend(last.iter().cloned());
        if sets.len() > most {
            return None;
        }
    }
    Some(sets)
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

fn over_budget(tensor: &str, reason: &str, hint: &str) -> RejectReport {
    RejectReport {
        tensor: tensor.to_owned(),
        hint: hint.to_owned(),
        ..RejectReport::new(RejectCode::OverBudget, format!("all joins together would take {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::larger;

    #[test]
    fn every_smaller_set_is_made_once_the_smallest_first() {
        assert_eq!(
            larger(3, 3, 1).as_deref(),
            Some(&[vec![2], vec![1], vec![0], vec![1, 2], vec![0, 2], vec![0, 1]][..])
        );
        assert_eq!(larger(8, 1, 1), Some(Vec::new()), "only one stays");
        assert_eq!(larger(8, 5, 1).map(|sets| sets.len()), Some(8 + 28 + 56 + 70));
        assert_eq!(larger(12, 7, 1), None, "too many");
        assert_eq!(larger(50, 2, 60_000_000), None, "too large a model");
        assert_eq!(larger(50, 2, 10_000_000).map(|sets| sets.len()), Some(50));
    }
}
