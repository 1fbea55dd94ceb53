//! Inputs that reach what they test.
//!
//! Noise averages out behind the first layers: a bound deep in a network never cuts, and a model without it looks the same.
//! [`reach`] lists the *bends* of both models, looks which sides of each the inputs at hand drive some entry to, in float64, and
//! searches inputs that reach the rest. What stays missed is said.
//!
//! `bends` has the table of operators, `probe` the number that each tests, `regimes` its sides; `watch` looks at one
//! evaluation; `space` makes values, `search` tries them, `cover` keeps few. For what no graph input reaches, `isolate` takes a
//! `part` out of both models, between tensors that `survey` has found to be the same, and feeds that.

mod bends;
mod cover;
mod isolate;
mod part;
mod probe;
mod regimes;
mod search;
mod space;
mod survey;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::onnx::ModelProto;
use crate::onnx::tensor_proto::DataType;
use crate::verify::random::Random;
use crate::verify::reference::Value;

pub use isolate::{Isolated, Region, isolate};
pub use watch::{Sight, Watch};

use cover::cover;
use search::Search;
use space::Space;

/// A graph input that values are made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputSpec {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub dtype: DataType,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// How much may be spent, and how much may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Most evaluations of each model in the search.
    pub evaluations: usize,
    /// Evaluations of a model that `work` does not pay for.
    pub least: usize,
    /// Multiply-accumulates that the search may take on each model.
    pub work: usize,
    /// Most inputs that are added.
    pub extra: usize,
}

impl Default for Budget {
    /// A second or two on a small network; eight evaluations of a large one.
    fn default() -> Self {
        Self { evaluations: 256, least: 8, work: 1 << 32, extra: 8 }
    }
}

/// A side of a bend that no input reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missed {
    /// The place of its model among those given.
    pub model: usize,
    /// The node, or its first output when it has no name.
    pub node: String,
    /// The node's operator.
    pub op: String,
    /// The node's first output.
    pub tensor: String,
    /// What was not reached, in words.
    pub side: &'static str,
    /// Where a constant operand has several values: how many of them missed this side, and how many there are.
    pub values: Option<(usize, usize)>,
}

/// What was reached, and with what.
#[derive(Clone, Debug, Default)]
pub struct Reached {
    /// Inputs to be added to those that were fed.
    pub extra: Vec<BTreeMap<String, Value>>,
    /// Sides of all bends of all models.
    pub total: usize,
    /// Sides that the fed inputs alone missed.
    pub before: usize,
    /// Sides that are missed with the extra inputs too.
    pub missed: Vec<Missed>,
    /// Evaluations of the search, all models together, without those of the fed inputs.
    pub evaluations: usize,
}

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
fn explore(
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
