//! One set of inputs through everything: both models in float64, the original with its rounding moved, and both in their own
//! arithmetic. Only the samples are kept, so one set of inputs is in memory at a time.

use std::thread;

use crate::verify::reference::Value;
use crate::verify::signature;

use super::errors::{Against, Errors, Model, Pairing};
use super::inputs::Feed;
use super::noise::Rounded;
use super::runtime::Runners;
use super::sample::{Sample, Sides};
use super::stage::{self, Own, Stage, Trial};
use super::watch::{Watch, Work};

/// What the evaluator is called in reports.
const FLOAT64: &str = "float64";

/// Where the models' own arithmetic comes from.
pub(super) enum Arithmetic {
    /// A runtime.
    Runtime(Runners),
    /// Float64, every result rounded to its type: for what no runtime here can run.
    Rounded,
    /// Nobody asks.
    None,
}

/// What is needed to try inputs on a stage.
pub(super) struct Bench<'a> {
    pub(super) stage: Stage<'a>,
    /// Rounding in the original and in the rewritten model.
    pub(super) rounding: (Rounded, Rounded),
    pub(super) arithmetic: Arithmetic,
    /// How many of the compared tensors are reported with all their errors; the others stand inside of both models.
    pub(super) reported: usize,
}

/// Why a trial gave nothing.
pub(super) enum TrialError {
    /// The original itself cannot be evaluated on these inputs, or in these sizes.
    Original(String),
    /// Only the rewritten model cannot.
    Rewritten(String),
    /// The runtime cannot run one of them.
    Runtime(String),
}

impl<'a> Bench<'a> {
    pub(super) fn new(stage: Stage<'a>, arithmetic: Arithmetic) -> Self {
        let names = || stage.slots.iter().map(|s| s.name.as_str());
        let rounding = (Rounded::new(&stage.original.model, names()), Rounded::new(&stage.rewritten.model, names()));
        let reported = stage.original.outputs.len();
        Self { stage, rounding, arithmetic, reported }
    }

    /// How much the original computes on inputs.
    ///
    /// # Errors
    /// Why it cannot be evaluated on these, or in these sizes.
    pub(super) fn work(&self, trial: &Trial) -> Result<Work, String> {
        let watch = Watch::new(&self.rounding.0);
        stage::evaluate(&self.stage.original, &self.stage.feed(trial)?, &watch)?;
        Ok(watch.work())
    }

    /// Tries inputs, with `draws` of rounding.
    ///
    /// # Errors
    /// Which side failed, and why.
    pub(super) fn run(&self, trial: &Trial, draws: u64) -> Result<Vec<Sample>, TrialError> {
        let feed = self.stage.feed(trial).map_err(TrialError::Original)?;
        let (exact, own) = match &self.arithmetic {
            Arithmetic::Runtime(runners) => {
                beside(|| self.exact(&feed), || runners.run(&feed).map_err(TrialError::Runtime))?
            }
            Arithmetic::Rounded => {
                let exact = self.exact(&feed);
                (exact, self.rounded(&feed).map_err(TrialError::Original).map(Some))
            }
            Arithmetic::None => (self.exact(&feed), Ok(None)),
        };
        let Exact { original, rewritten, overflow } = exact?;
        let own = own?;
        let mut samples = sample(&original, &rewritten, own.as_ref());
        let graphs = (self.stage.original.graph(), self.stage.rewritten.graph());
        for (sample, (name, value)) in samples.iter_mut().zip(self.stage.original.outputs.iter().zip(&rewritten)) {
            let wrong = signature::wrong_size(graphs.0, graphs.1, name, value.shape());
            sample.failure = sample.failure.take().or(wrong);
        }
        self.compare(&mut samples, FLOAT64, (&original, &rewritten));
        if let Some((a, b)) = &own {
            self.compare(&mut samples, self.engine(), (a, b));
        }
        match &own {
            Some((a, b)) => self.expect(&mut samples, self.engine(), (a, b), trial),
            None => self.expect(&mut samples, FLOAT64, (&original, &rewritten), trial),
        }
        if let (Some(overflow), Some(first)) = (overflow, samples.first_mut()) {
            first.failure.get_or_insert(overflow);
        }
        self.draw(&feed, &original, 0..draws, &mut samples);
        Ok(samples)
    }

    /// Tries inputs in the runtime only: two runs against each other. `None` without a runtime.
    ///
    /// # Errors
    /// Which side failed, and why.
    pub(super) fn screen(&self, trial: &Trial) -> Option<Result<Vec<Sample>, TrialError>> {
        let Arithmetic::Runtime(runners) = &self.arithmetic else { return None };
        let run = || {
            let feed = self.stage.feed(trial).map_err(TrialError::Original)?;
            let (original, rewritten) = stage::guarded(|| runners.run(&feed)).map_err(TrialError::Runtime)?;
            let mut samples = sample(&original, &rewritten, None);
            self.compare(&mut samples, self.engine(), (&original, &rewritten));
            self.expect(&mut samples, self.engine(), (&original, &rewritten), trial);
            samples.iter_mut().for_each(|s| s.screened = true);
            Ok(samples)
        };
        Some(run())
    }

    /// What runs the models in their own arithmetic, as a report calls it.
    pub(super) fn engine(&self) -> &'static str {
        match &self.arithmetic {
            Arithmetic::Runtime(runners) => runners.runtime.name(),
            Arithmetic::Rounded => "float64, rounded",
            Arithmetic::None => FLOAT64,
        }
    }

    /// Gathers the errors of the rewritten model against the original.
    fn compare(&self, samples: &mut [Sample], engine: &'static str, (a, b): (&[Value], &[Value])) {
        let names = self.stage.original.outputs.iter().zip(a.iter().zip(b));
        for (sample, (name, (a, b))) in samples.iter_mut().zip(names).take(self.reported) {
            // What is wrong whatever is allowed was said.
            if sample.failure.is_none() {
                let pairing = Pairing { engine, model: Model::Rewritten, against: Against::Original };
                sample.errors.push(Errors::new(pairing, a, b, self.rounding.0.width(name)));
            }
        }
    }

    /// Gathers the errors of both models against what should come out, where that is known.
    fn expect(&self, samples: &mut [Sample], engine: &'static str, (a, b): (&[Value], &[Value]), trial: &Trial) {
        let expected = Stage::expected(trial);
        let names = self.stage.original.outputs.iter().zip(a.iter().zip(b));
        for (sample, (name, (a, b))) in samples.iter_mut().zip(names).take(self.reported) {
            let Some(expected) = expected.get(name) else { continue };
            for (model, value) in [(Model::Original, a), (Model::Rewritten, b)] {
                let pairing = Pairing { engine, model, against: Against::Expected };
                sample.errors.push(Errors::new(pairing, expected, value, self.rounding.0.width(name)));
            }
        }
    }

    /// What both models give in the runtime.
    ///
    /// # Errors
    /// In words.
    pub(super) fn in_runtime(&self, trial: &Trial) -> Result<Own, String> {
        let Arithmetic::Runtime(runners) = &self.arithmetic else { return Err("there is no runtime".to_owned()) };
        let feed = self.stage.feed(trial)?;
        stage::guarded(|| runners.run(&feed))
    }

    /// What both models give in float64.
    ///
    /// # Errors
    /// In words.
    pub(super) fn in_float64(&self, trial: &Trial) -> Result<Own, String> {
        let feed = self.stage.feed(trial)?;
        let of = |side, rounding| stage::evaluate(side, &feed, &Watch::new(rounding));
        Ok((of(&self.stage.original, &self.rounding.0)?, of(&self.stage.rewritten, &self.rounding.1)?))
    }

    /// Adds more draws of rounding to what a trial gave.
    pub(super) fn draw_more(&self, trial: &Trial, draws: std::ops::Range<u64>, samples: &mut [Sample]) {
        let Ok(feed) = self.stage.feed(trial) else { return };
        let watch = Watch::new(&self.rounding.0);
        let Ok(exact) = stage::evaluate(&self.stage.original, &feed, &watch) else { return };
        self.draw(&feed, &exact, draws, samples);
    }

    fn draw(&self, feed: &Feed, exact: &[Value], draws: std::ops::Range<u64>, samples: &mut [Sample]) {
        for draw in draws {
            // A draw that cannot be evaluated shows nothing.
            let Ok(moved) = stage::moved(&self.stage.original, feed, &self.rounding.0, draw) else { continue };
            samples.iter_mut().zip(exact.iter().zip(&moved)).for_each(|(s, (e, m))| s.draw(e, m));
        }
    }

    /// Puts the rewritten model in float64 with every result rounded in place of what a runtime gave.
    pub(super) fn imitate(&self, trial: &Trial, samples: &mut [Sample]) -> Result<(), String> {
        let feed = self.stage.feed(trial)?;
        let watch = Watch::new(&self.rounding.0);
        let exact = stage::evaluate(&self.stage.original, &feed, &watch)?;
        let rewritten = stage::rounded(&self.stage.rewritten, &feed, &self.rounding.1)?;
        samples.iter_mut().zip(exact.iter().zip(&rewritten)).for_each(|(s, (e, r))| s.replace_own(e, r));
        Ok(())
    }

    fn rounded(&self, feed: &Feed) -> Result<Own, String> {
        let original = stage::rounded(&self.stage.original, feed, &self.rounding.0)?;
        Ok((original, stage::rounded(&self.stage.rewritten, feed, &self.rounding.1)?))
    }

    fn exact(&self, feed: &Feed) -> Result<Exact, TrialError> {
        let (before, after) = (Watch::new(&self.rounding.0), Watch::new(&self.rounding.1));
        let original = stage::evaluate(&self.stage.original, feed, &before).map_err(TrialError::Original)?;
        let rewritten = stage::evaluate(&self.stage.rewritten, feed, &after).map_err(TrialError::Rewritten)?;
        let overflow = after.overflow().filter(|_| before.overflow().is_none()).map(|o| {
            format!(
                "tensor '{}' of node '{}' in the rewritten model leaves the range of {}; none does in the original",
                o.tensor, o.node, o.width
            )
        });
        Ok(Exact { original, rewritten, overflow })
    }
}

struct Exact {
    original: Vec<Value>,
    rewritten: Vec<Value>,
    /// A value of the rewritten model that its type cannot hold, in words.
    overflow: Option<String>,
}

fn sample(original: &[Value], rewritten: &[Value], own: Option<&Own>) -> Vec<Sample> {
    let pairs = original.iter().zip(rewritten).enumerate();
    pairs
        .map(|(i, (exact, rewritten))| {
            let own = own.and_then(|(a, b)| Some((a.get(i)?, b.get(i)?)));
            Sample::new(&Sides { exact, rewritten, own })
        })
        .collect()
}

type Beside = (Result<Exact, TrialError>, Result<Option<Own>, TrialError>);

/// Runs `exact` here and `own` in a thread beside it. A panic of the runtime is an error like any other.
fn beside(
    exact: impl FnOnce() -> Result<Exact, TrialError>,
    own: impl FnOnce() -> Result<Own, TrialError> + Send,
) -> Result<Beside, TrialError> {
    thread::scope(|scope| {
        let started = stage::thread().spawn_scoped(scope, own);
        let exact = exact();
        let own = match started {
            Ok(thread) => thread.join().unwrap_or_else(|_| Err(TrialError::Runtime("it panicked".to_owned()))),
            Err(e) => return Err(TrialError::Runtime(format!("no thread could be started: {e}"))),
        };
        Ok((exact, own.map(Some)))
    })
}
