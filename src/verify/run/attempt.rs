//! In which sizes two models are evaluated, how much of them ([`super::extent`]), and in which arithmetic: in tract when it can, else in
//! float64 with every result rounded.

use std::collections::HashMap;

use crate::verify::report::InputReport;

use super::error::VerifyError;
use super::extent::{self, Extent};
use super::given::Group;
use super::inputs::InputTensor;
use super::job::Job;
use super::obstacle::{Obstacle, words};
use super::precision::Precision;
use super::runtime::{Runners, Runtime};
use super::shapes::{self, OTHER_SIZES, Sizing};
use super::stage::{self, Stage, Trial};
use super::support;
use super::trial::{Arithmetic, Bench};
use super::watch::Work;

/// Multiply-accumulates that one run through tract in float16 may take: it emulates the type at a hundred times the price.
const MAX_FLOAT16: u64 = 1 << 24;

/// Nodes of a model that tract may prepare: twice as many take it five times as long.
const MAX_NODES: usize = 1 << 11;

/// Models ready to be tried in one assignment of sizes.
pub(super) struct Ready<'a> {
    pub(super) bench: Bench<'a>,
    /// How much the original computes.
    pub(super) work: Work,
    /// Inputs that come with a part of the models.
    pub(super) own_trials: Vec<Trial>,
    /// How many of the compared tensors are outputs; the others stand inside of both models.
    pub(super) outputs: usize,
    /// The assignment of sizes.
    pub(super) sizing: Sizing,
    /// Why only regions are evaluated.
    pub(super) regions_because: Option<Obstacle>,
    /// Why float64, rounded, stands in for the models' own arithmetic.
    pub(super) rounded_because: Option<Obstacle>,
}

/// What can be done with a pair of models.
pub(super) enum Way<'a> {
    /// They are evaluated.
    Ready(Box<Ready<'a>>),
    /// No node differs, and the models cannot be run whole, for this reason.
    Same(Obstacle),
}

/// Makes the models of `job` ready in the first of the usual sizes that the original can be evaluated in.
///
/// # Errors
/// [`VerifyError`] when there is no way; of several sizes, what the first one met.
pub(super) fn first<'a>(job: &Job<'a>) -> Result<Way<'a>, VerifyError> {
    let (mut first, mut same): (Option<Vec<Obstacle>>, _) = (None, None);
    for sizing in Sizing::usual() {
        let stage = whole(job, sizing, job.given.groups.first())?;
        let is_free = stage.reports.iter().any(|i| i.assumed);
        match ready(job, stage, sizing, true) {
            Ok(Way::Ready(ready)) => return Ok(Way::Ready(ready)),
            // In other sizes the models may run.
            Ok(way) => same = same.or(Some(way)),
            Err(obstacles) => first = first.or(Some(obstacles)),
        }
        if !is_free {
            break;
        }
    }
    same.ok_or_else(|| VerifyError::CannotRun(words(&first.unwrap_or_default())))
}

/// The same in other sizes, where the model leaves these free. Sizes that the original cannot be evaluated in are left out.
pub(super) fn others<'a>(job: &Job<'a>, seen: &[InputReport]) -> Vec<Ready<'a>> {
    let mut seen = vec![seen.to_vec()];
    let mut found = Vec::new();
    for group in OTHER_SIZES {
        for sizing in *group {
            let Ok(stage) = whole(job, *sizing, None) else { continue };
            if !stage.reports.iter().any(|i| i.assumed) || seen.contains(&stage.reports) {
                continue;
            }
            let reports = stage.reports.clone();
            if let Ok(Way::Ready(ready)) = ready(job, stage, *sizing, false) {
                seen.push(reports);
                found.push(*ready);
                break;
            }
        }
    }
    found
}

/// The same in the shapes of what was given, for all of that which has other shapes than the first.
///
/// # Errors
/// In words.
pub(super) fn group<'a>(job: &Job<'a>, sizing: Sizing, group: &Group) -> Result<Ready<'a>, String> {
    whole(job, sizing, Some(group)).map_err(|e| e.to_string()).and_then(|stage| alone(job, stage, sizing))
}

/// The same with `batch` for the first axis.
///
/// # Errors
/// In words.
pub(super) fn batch<'a>(job: &Job<'a>, first: &Ready<'_>, batch: usize) -> Result<Ready<'a>, String> {
    let sizing = Sizing { batch, ..first.sizing };
    let stage = whole(job, sizing, None).map_err(|e| e.to_string())?;
    if !stage.reports.iter().any(|i| i.assumed && i.shape.first() == Some(&batch)) {
        return Err("no input leaves the size of its first axis free".to_owned());
    }
    alone(job, stage, sizing)
}

fn alone<'a>(job: &Job<'a>, stage: Stage<'a>, sizing: Sizing) -> Result<Ready<'a>, String> {
    match ready(job, stage, sizing, true) {
        Ok(Way::Ready(ready)) => Ok(*ready),
        Ok(Way::Same(reason)) => Err(reason.to_string()),
        Err(obstacles) => Err(words(&obstacles)),
    }
}

/// Both models from inputs to outputs.
fn whole<'a>(job: &Job<'a>, sizing: Sizing, given: Option<&Group>) -> Result<Stage<'a>, VerifyError> {
    let graph = job.original.graph();
    let ports = job.support.inputs(graph);
    let given = given.into_iter().flat_map(|g| &g.shapes).map(|(name, shape)| (name.clone(), shape.clone()));
    let stated: HashMap<_, _> = given.chain(job.options.shapes.iter().cloned()).collect();
    let inputs = shapes::choose(&ports, graph, &stated, sizing)?;
    let slots = ports.iter().zip(&inputs).map(|(p, i)| InputTensor::of(p, i)).collect::<Result<Vec<_>, _>>()?;
    Ok(Stage::whole(&job.original, &job.rewritten, slots, inputs, job.options.seed))
}

/// Makes ready what can be evaluated of `stage`, in the models' own arithmetic too when `own` asks for it.
///
/// # Errors
/// What stood in every way, when the original cannot be evaluated in these sizes.
fn ready<'a>(job: &Job<'a>, stage: Stage<'a>, sizing: Sizing, own: bool) -> Result<Way<'a>, Vec<Obstacle>> {
    let (extent, obstacles) = extent::widest(job, stage, sizing)?;
    let (bench, work) = match extent {
        Extent::Evaluated(bench, work) => (*bench, work),
        Extent::Same(reason) => return Ok(Way::Same(reason)),
    };
    let outputs = bench.stage.original.outputs.len();
    let regions_because = obstacles.into_iter().next();
    let (rounded_because, own_trials) = (None, Vec::new());
    let mut ready = Ready { bench, work, outputs, sizing, regions_because, rounded_because, own_trials };
    if ready.regions_because.is_none() {
        ready.look_inside();
    }
    if own {
        match runners(job, &ready.bench.stage, ready.work.macs) {
            Ok(runners) => ready.bench.arithmetic = Arithmetic::Runtime(runners),
            Err(reason) => ready.imitate(reason),
        }
    }
    Ok(Way::Ready(Box::new(ready)))
}

/// Most entries that the tensors inside of both models may have which are compared too.
const MAX_INSIDE: usize = 1 << 25;

impl Ready<'_> {
    /// Compares the tensors at which rewritten regions end, too: an output may hide what is wrong with them, behind an activation
    /// that no input drives to its other side.
    fn look_inside(&mut self) {
        let stage = &mut self.bench.stage;
        let Ok(ends) = super::regions::inner_ends(&stage.original.model, &stage.rewritten.model) else { return };
        let mut left = MAX_INSIDE;
        for end in ends {
            let entries = self.work.entries.get(&end).copied().unwrap_or(usize::MAX);
            if entries <= left {
                left -= entries;
                stage.original.outputs.push(end.clone());
                stage.rewritten.outputs.push(end);
            }
        }
    }

    /// Takes float64, rounded, for the models' own arithmetic.
    pub(super) fn imitate(&mut self, reason: Obstacle) {
        self.bench.arithmetic = Arithmetic::Rounded;
        self.rounded_because = Some(reason);
    }
}

/// Both models in the runtime.
///
/// # Errors
/// Why it cannot run them.
fn runners(job: &Job<'_>, stage: &Stage<'_>, macs: u64) -> Result<Runners, Obstacle> {
    let new =
        || stage::guarded(|| Runners::new(job.runtime, stage)).map_err(|e| Obstacle::Runtime(job.runtime.name(), e));
    if job.runtime != Runtime::Tract {
        return new();
    }
    if job.precision == Precision::BFloat16 {
        return Err(Obstacle::NoBfloat16);
    }
    if job.precision == Precision::Float16 && macs > MAX_FLOAT16 {
        return Err(Obstacle::EmulatedFloat16);
    }
    let models = [&stage.original.model, &stage.rewritten.model];
    let nodes = models.iter().map(|m| m.graph.as_ref().map_or(0, |g| g.node.len())).max().unwrap_or(0);
    if nodes > MAX_NODES {
        return Err(Obstacle::ManyNodes(nodes));
    }
    if let Some(reason) = models.iter().find_map(|m| support::unknown_to_tract(m)) {
        return Err(reason);
    }
    new()
}
