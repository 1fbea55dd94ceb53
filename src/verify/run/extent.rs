//! How much of two models is evaluated: the most that can be. Each way says what stood in it, and that decides which comes next.

use crate::onnx::NodeProto;

use super::inputs::InputKind;
use super::job::Job;
use super::obstacle::Obstacle;
use super::pair::dependents;
use super::shapes::Sizing;
use super::stage::{Stage, Trial};
use super::trial::{Arithmetic, Bench};
use super::watch::Work;
use super::{narrow, regions};

/// What can be evaluated.
pub(super) enum Extent<'a> {
    /// These models, or parts of them.
    Evaluated(Box<Bench<'a>>, Work),
    /// Nothing, and no node differs.
    Same(Obstacle),
}

/// The models that are left to try, and what stood in the ways so far.
struct Attempt<'a> {
    stage: Stage<'a>,
    sizing: Sizing,
    obstacles: Vec<Obstacle>,
}

/// What can be evaluated, with what stood in the ways to more; or an attempt that knows one obstacle more.
type Outcome<'a> = Result<(Extent<'a>, Vec<Obstacle>), Box<Attempt<'a>>>;

/// One way. Where the last obstacle is none that it gets around, it leaves the attempt as it is.
type Way = for<'a> fn(&Job<'a>, Box<Attempt<'a>>) -> Outcome<'a>;

/// In this order: the first that can be evaluated is taken.
const WAYS: [Way; 3] = [whole, without_unknown, changed_nodes];

/// The most of `stage` that can be evaluated in float64, with what stood in the ways to more.
///
/// # Errors
/// What stood in every way.
pub(super) fn widest<'a>(
    job: &Job<'a>,
    stage: Stage<'a>,
    sizing: Sizing,
) -> Result<(Extent<'a>, Vec<Obstacle>), Vec<Obstacle>> {
    let mut attempt = Box::new(Attempt { stage, sizing, obstacles: Vec::new() });
    for way in WAYS {
        match way(job, attempt) {
            Ok(found) => return Ok(found),
            Err(next) => attempt = next,
        }
    }
    Err(attempt.obstacles)
}

/// Both models from inputs to outputs, when every operator is known.
fn whole<'a>(job: &Job<'a>, attempt: Box<Attempt<'a>>) -> Outcome<'a> {
    match job.support.unknown_to_float64() {
        Some(obstacle) => Err(attempt.met(obstacle)),
        None => attempt.evaluated(),
    }
}

/// The rewritten regions, as far as operators and types are known.
fn without_unknown<'a>(job: &Job<'a>, mut attempt: Box<Attempt<'a>>) -> Outcome<'a> {
    if !matches!(attempt.obstacles.last(), Some(Obstacle::Unknown { .. } | Obstacle::Unheld { .. })) {
        return Err(attempt);
    }
    match narrow::narrow(&attempt.stage, &|n| job.support.is_unknown(n), job, attempt.sizing) {
        Ok(Some(regions)) => {
            attempt.stage = regions;
            attempt.evaluated()
        }
        Ok(None) => attempt.same(),
        Err(why) => Err(attempt.met(Obstacle::Regions(why))),
    }
}

/// The changed nodes alone, for models of which the evaluator cannot run some other part.
fn changed_nodes<'a>(job: &Job<'a>, mut attempt: Box<Attempt<'a>>) -> Outcome<'a> {
    if !matches!(attempt.obstacles.last(), Some(Obstacle::Float64(_))) {
        return Err(attempt);
    }
    let stage = &attempt.stage;
    let cut = regions::unchanged(&stage.original.model, &stage.rewritten.model).and_then(|same| {
        let data = dependents(stage.original.graph(), stage.inputs.iter().map(|s| s.name.as_str()));
        let is_barrier = |n: &NodeProto| n.output.iter().any(|o| same.contains(o) && data.contains(o.as_str()));
        narrow::narrow(stage, &is_barrier, job, attempt.sizing)
    });
    match cut {
        Ok(Some(regions)) => {
            attempt.stage = regions;
            attempt.evaluated()
        }
        Ok(None) => attempt.same(),
        Err(why) => Err(attempt.met(Obstacle::Regions(why))),
    }
}

impl<'a> Attempt<'a> {
    /// Evaluates once: that is cheap, and a size that does not fit is found before anything is optimised.
    fn evaluated(mut self: Box<Self>) -> Outcome<'a> {
        let bench = Bench::new(self.stage, Arithmetic::None);
        match bench.work(&Trial::of(InputKind::Normal)) {
            Ok(work) => Ok((Extent::Evaluated(Box::new(bench), work), self.obstacles)),
            Err(why) => {
                self.stage = bench.stage;
                Err(self.met(Obstacle::Float64(why)))
            }
        }
    }

    /// Nothing differs, and this stood in the way.
    fn same(mut self: Box<Self>) -> Outcome<'a> {
        match self.obstacles.pop() {
            Some(last) => Ok((Extent::Same(last), self.obstacles)),
            None => Err(self),
        }
    }

    fn met(mut self: Box<Self>, obstacle: Obstacle) -> Box<Self> {
        self.obstacles.push(obstacle);
        self
    }
}
