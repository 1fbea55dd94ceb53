//! What inputs show and what they cannot: inputs that reach both sides of every activation and bound, differences that no input
//! reached, and types that a runtime refuses.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::onnx::ModelProto;
use crate::verify::reach::{self, Budget, InputSpec, Missed};
use crate::verify::reference;
use crate::verify::report::{BendReport, InputReport};
use crate::verify::structure::{self, Difference, Watcher};

use super::attempt::Ready;
use super::effort::{Effort, Search};
use super::inputs::{Feed, InputTensor};
use super::pair::Side;
use super::stage::{Source, Stage, Trial};
use super::trial::{Arithmetic, Bench};
use super::watch::Work;

/// What a search may cost. Larger networks are evaluated a few times only.
const BUDGET: Budget = Budget { evaluations: 48, least: 2, work: 1 << 28, extra: 4 };

/// What in the element types of `rewritten` no runtime would take, or would give another type for, and is right in `original`.
pub(super) fn type_difference(original: &ModelProto, rewritten: &ModelProto) -> Option<String> {
    let (a, b) = (structure::types(original), structure::types(rewritten));
    let mine = |c: &&structure::Contradiction| !a.contradictions().contains(c);
    if let Some(c) = b.contradictions().iter().find(mine) {
        return Some(format!(
            "tensor '{}' of node '{}' ({}) should be {}, and is {}",
            c.tensor, c.node, c.op, c.expected, c.found
        ));
    }
    let outputs = original.graph.iter().flat_map(|g| &g.output).map(|o| o.name());
    outputs.into_iter().find_map(|name| match (a.of(name), b.of(name)) {
        (Some(x), Some(y)) if x != y => {
            Some(format!("output '{name}' was {} and is {}", x.as_str_name(), y.as_str_name()).to_lowercase())
        }
        _ => None,
    })
}

/// Inputs found by the search, what stays missed, and parts of both models that are compared by themselves.
pub(super) struct Found<'a> {
    pub(super) trials: Vec<Trial>,
    pub(super) bends: BendReport,
    pub(super) parts: Vec<Ready<'a>>,
}

/// Searches inputs that reach what `trials` do not.
pub(super) fn search<'a>(ready: &Ready<'_>, trials: &[Trial], seed: u64) -> Option<Found<'a>> {
    let stage = &ready.bench.stage;
    let is_small = match Effort::of(ready.work.macs).search {
        Search::Both => true,
        Search::Original => false,
        Search::Nowhere => return None,
    };
    let models: Vec<&ModelProto> = match is_small {
        true => vec![&stage.original.model, &stage.rewritten.model],
        false => vec![&stage.original.model],
    };
    let specs: Vec<InputSpec> = stage.slots.iter().map(spec).collect();
    let looked = if is_small { trials.len() } else { 2 };
    let feeds: Vec<Feed> = trials.iter().take(looked).filter_map(|t| stage.feed(t).ok()).collect();
    let reached = reach::reach(&models, &specs, &feeds, seed, BUDGET);
    let mut missed = reached.missed;
    let mut parts = Vec::new();
    if is_small {
        let isolated = reach::isolate((&stage.original.model, &stage.rewritten.model), &feeds, &missed, seed, BUDGET);
        missed = isolated.missed;
        parts = isolated.regions.into_iter().map(|region| part(region, ready)).collect();
    }
    let bends = BendReport { total: reached.total, missed };
    let found =
        |(index, feed): (usize, Feed)| Trial { name: format!("found {}", index + 1), source: Source::Found(feed) };
    let trials = reached.extra.into_iter().enumerate().map(found).collect();
    Some(Found { trials, bends, parts })
}

fn spec(slot: &InputTensor) -> InputSpec {
    InputSpec { name: slot.name.clone(), dtype: slot.dtype, shape: slot.shape.clone() }
}

/// A part of both models with inputs of its own.
fn part<'a>(region: reach::Region, ready: &Ready<'_>) -> Ready<'a> {
    let side = |model: ModelProto| Side { model: Cow::Owned(model), file: None, outputs: vec![region.end.clone()] };
    let shape = region.feeds.iter().flat_map(|f| f.values()).next().map(|v| v.shape().to_vec()).unwrap_or_default();
    let dtype = ready.bench.rounding.0.width(&region.begin).data_type();
    let slot = InputTensor { name: region.begin.clone(), dtype, shape: shape.clone() };
    let report = InputReport { name: region.begin.clone(), shape, assumed: false };
    let stage =
        Stage::whole(&side(region.original), &side(region.rewritten), vec![slot], vec![report], ready.bench.stage.seed);
    let trials = region.feeds.into_iter().map(|feed| Trial { name: "found".to_owned(), source: Source::Found(feed) });
    Ready {
        bench: Bench::new(stage, Arithmetic::None),
        work: Work::default(),
        outputs: 1,
        sizing: ready.sizing,
        regions_because: None,
        rounded_because: None,
        own_trials: trials.collect(),
    }
}

/// The differences between nodes that otherwise are one which showed on none of `trials`, in words.
pub(super) fn unreached(
    (original, rewritten): (&ModelProto, &ModelProto),
    differences: &[Difference],
    stage: Option<&Stage<'_>>,
    trials: &[Trial],
) -> Vec<String> {
    let Ok(mut watcher) = Watcher::new(differences, original, rewritten) else { return Vec::new() };
    for trial in trials {
        let Some(stage) = stage.filter(|_| !watcher.unreached().is_empty()) else { break };
        let Ok(feed) = stage.feed(trial) else { continue };
        let wanted: Vec<String> = watcher.wanted().into_iter().map(str::to_owned).collect();
        // A region has only some of the tensors.
        let graph = stage.original.graph();
        let known: HashSet<&str> = graph.node.iter().flat_map(|n| &n.output).map(String::as_str).collect();
        let is_known = |n: &&str| known.contains(n) || graph.input.iter().any(|i| i.name() == *n);
        let names: Vec<&str> = wanted.iter().map(String::as_str).filter(is_known).collect();
        let Ok(trace) = reference::run_to(&stage.original.model, &stage.original.feed(&feed), &names) else { continue };
        watcher.see(&|name| trace.get(name));
    }
    watcher.unreached().iter().map(ToString::to_string).collect()
}

/// What was missed, in one line.
pub(super) fn words(missed: &[Missed], total: usize) -> String {
    let listed: Vec<String> = missed.iter().take(3).map(|m| format!("{} of '{}' ({})", m.side, m.node, m.op)).collect();
    let more = if missed.len() > listed.len() { ", ..." } else { "" };
    format!(
        "{} of {total} sides of activations and bounds never reached: {}{more}; --inputs gives values",
        missed.len(),
        listed.join(", ")
    )
}
