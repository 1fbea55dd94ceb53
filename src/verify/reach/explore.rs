//! The search over several models: what the inputs at hand reach, what others reach, and which of these are kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::onnx::ModelProto;
use crate::verify::random::Random;
use crate::verify::reference::Value;

use super::cover::cover;
use super::search::Search;
use super::space::Space;
use super::watch::{Sight, Watch};
use super::{Budget, InputSpec, Missed, Reached};

/// Looks which sides of the bends of `models` the inputs `fed` reach, and searches inputs for the others. All models have the
/// same inputs. The same arguments give the same answer.
///
/// Inputs that a model cannot be evaluated on, or that leave the range of its own type on the way, count for nothing.
#[must_use]
pub fn reach(
    models: &[&ModelProto],
    inputs: &[InputSpec],
    fed: &[BTreeMap<String, Value>],
    seed: u64,
    budget: Budget,
) -> Reached {
    let watches: Vec<Watch<'_>> = models.iter().map(|m| Watch::new(m)).collect();
    let seen: Vec<Vec<_>> = watches.iter().map(|w| fed.iter().map(|f| w.look(f)).collect()).collect();
    reach_seen(&watches, inputs, fed, &seen, seed, budget)
}

/// As [`reach`], when the models have been evaluated on `fed` before: `seen` has, by model and then by input, what
/// [`Watch::see`] gathered, `None` where the evaluation failed.
#[must_use]
pub fn reach_seen(
    watches: &[Watch<'_>],
    inputs: &[InputSpec],
    fed: &[BTreeMap<String, Value>],
    seen: &[Vec<Option<Sight>>],
    seed: u64,
    budget: Budget,
) -> Reached {
    // Without a value for every input there is nothing to try.
    let spaces: Option<Vec<Space<'_>>> = inputs.iter().map(|i| Space::new(i, fed)).collect();
    let fed: Vec<Arc<_>> = fed.iter().cloned().map(Arc::new).collect();
    explore(watches, &spaces.unwrap_or_default(), &fed, seen, seed, budget)
}

/// As [`reach_seen`]; without `spaces` there is no search.
pub(super) fn explore(
    watches: &[Watch<'_>],
    spaces: &[Space<'_>],
    fed: &[Arc<BTreeMap<String, Value>>],
    seen: &[Vec<Option<Sight>>],
    seed: u64,
    budget: Budget,
) -> Reached {
    let slots: usize = watches.iter().map(Watch::slots).sum();
    let mut by_fed = vec![false; slots];
    // Inputs that reached something first, and all that they reached.
    let mut found: Vec<(Arc<_>, Vec<bool>)> = Vec::new();
    let (mut at, mut evaluations) = (0, 0);
    for (index, watch) in watches.iter().enumerate() {
        let own = at..at + watch.slots();
        at = own.end;
        let mut search = Search::new(watch, spaces, Random::new(seed, &format!("reach {index}")));
        for (feed, sight) in fed.iter().zip(seen.get(index).into_iter().flatten()) {
            if let Some(sight) = sight {
                search.note(feed, None, sight);
            }
        }
        by_fed[own.clone()].copy_from_slice(search.reached());
        // What another model needed may be enough for this one.
        for (feed, reached) in &mut found {
            if let Some(new) = search.look(feed, None) {
                reached[own.clone()].copy_from_slice(&new.reached);
            }
        }
        if !spaces.is_empty() {
            for new in search.run(budget) {
                let mut reached = vec![false; slots];
                reached[own.clone()].copy_from_slice(&new.reached);
                found.push((new.feed, reached));
            }
        }
        evaluations += search.used();
    }
    let before = missed(watches, &by_fed).len();
    let (feeds, sets): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let mut covered = by_fed;
    let weights: Vec<f64> = watches.iter().flat_map(Watch::weights).collect();
    let chosen = cover(&sets, &weights, &mut covered, budget.extra);
    let extra = chosen.iter().filter_map(|i| feeds.get(*i)).map(|f| (**f).clone()).collect();
    let total = watches.iter().map(Watch::sides).sum();
    Reached { extra, total, before, missed: missed(watches, &covered), evaluations }
}

/// The sides of all models that have a slot which is not reached.
fn missed(watches: &[Watch<'_>], reached: &[bool]) -> Vec<Missed> {
    let mut rest = reached;
    let mut missed = Vec::new();
    for (index, watch) in watches.iter().enumerate() {
        let (own, others) = rest.split_at(watch.slots());
        missed.extend(watch.missed(index, own));
        rest = others;
    }
    missed
}
