//! All trials of one assignment of sizes, and the judgement of what they gave. What is in doubt is looked at again: with more draws
//! of rounding, in float64 where only a runtime was asked, with rounding imitated where a runtime's own functions may be off.

use super::attempt::Ready;
use super::effort::Effort;
use super::error::VerifyError;
use super::errors::Errors;
use super::judge::{self, Doubt, Profile, Rule};
use super::obstacle::Obstacle;
use super::options::{Observer, VerifyProgress};
use super::range;
use super::sample::Sample;
use super::stage::Trial;
use super::trial::{Arithmetic, TrialError};
use crate::verify::report::Measure;

/// What all trials in some sizes gave.
pub(super) struct Course {
    /// For each output, a measure of each trial that could be evaluated.
    pub(super) measures: Vec<Vec<Measure>>,
    /// Those trials.
    pub(super) trials: Vec<Trial>,
    /// Trials that the original cannot be evaluated on, and why.
    pub(super) skipped: Vec<String>,
    /// For each output: whether it is not the same in all trials.
    pub(super) varies: Vec<bool>,
    /// For each output: whether it holds integers or booleans.
    pub(super) discrete: Vec<bool>,
    /// For each output: how far apart the sides are over all trials.
    pub(super) errors: Vec<Vec<Errors>>,
    /// True when something is wrong that no tolerance is about.
    pub(super) is_broken: bool,
}

impl Course {
    /// Takes in what other trials of the same sizes gave.
    pub(super) fn absorb(&mut self, other: Self) {
        self.measures.iter_mut().zip(other.measures).for_each(|(a, b)| a.extend(b));
        self.trials.extend(other.trials);
        self.skipped.extend(other.skipped);
        self.varies.iter_mut().zip(other.varies).for_each(|(a, b)| *a |= b);
        self.discrete.iter_mut().zip(other.discrete).for_each(|(a, b)| *a |= b);
        self.errors.iter_mut().zip(&other.errors).for_each(|(a, b)| merge(a, b));
        self.is_broken |= other.is_broken;
    }
}

/// Puts errors of the same sides together.
pub(super) fn merge(all: &mut Vec<Errors>, more: &[Errors]) {
    for errors in more {
        match all.iter_mut().find(|e| e.pairing == errors.pairing) {
            Some(same) => same.merge(errors),
            None => all.push(errors.clone()),
        }
    }
}

/// Why there is no course.
pub(super) enum Fruitless {
    /// The observer asked to stop.
    Stopped,
    /// The original could be evaluated on no trial, for this reason.
    Nothing(String),
}

impl Fruitless {
    /// As an error of the whole verification.
    pub(super) fn error(self) -> VerifyError {
        match self {
            Self::Stopped => VerifyError::Stopped,
            Self::Nothing(reason) => VerifyError::CannotRun(reason),
        }
    }
}

/// Nothing, where the original could be evaluated on no trial; a request to stop is handed on.
pub(super) fn useful(found: Result<Course, Fruitless>) -> Result<Option<Course>, VerifyError> {
    match found {
        Ok(course) => Ok(Some(course)),
        Err(Fruitless::Nothing(_)) => Ok(None),
        Err(stopped) => Err(stopped.error()),
    }
}

/// Runs `trials`, and judges each output by its own type.
///
/// # Errors
/// [`Fruitless`].
pub(super) fn run(ready: &mut Ready<'_>, trials: Vec<Trial>, observer: Observer<'_>) -> Result<Course, Fruitless> {
    let effort = Effort::of(ready.work.macs);
    let mut done: Vec<(Trial, Vec<Sample>, u64)> = Vec::new();
    let mut skipped = Vec::new();
    let total = trials.len();
    for (index, trial) in trials.into_iter().enumerate() {
        if observer(&VerifyProgress { stage: "comparing both models", done: index, total }).is_break() {
            return Err(Fruitless::Stopped);
        }
        match attempt(ready, &trial, effort, index) {
            Ok((samples, draws)) => done.push((trial, samples, draws)),
            Err(reason) => skipped.push(format!("{} input: {reason}", trial.name)),
        }
    }
    if done.is_empty() {
        let reason = skipped.into_iter().next().unwrap_or_else(|| "there is nothing to feed".to_owned());
        return Err(Fruitless::Nothing(reason));
    }
    let rules: Vec<Rule> = ready.rules();
    let mut profiles = profiles(&done, &rules);
    // What one trial shows on a second look moves the limits of all others: it ends when no trial is looked at again.
    while (0..done.len())
        .fold(false, |any, index| any | settle(ready, &mut done, index, (&rules, &mut profiles), effort))
    {}
    Ok(judged(done, skipped, (&rules, &profiles)))
}

impl Ready<'_> {
    /// What each output is judged by.
    fn rules(&self) -> Vec<Rule> {
        let original = &self.bench.stage.original;
        let rule = |name: &String| Rule {
            epsilon: self.bench.rounding.0.width(name).epsilon(),
            range: range::range(original.graph(), name),
            engine: self.bench.engine(),
        };
        original.outputs.iter().map(rule).collect()
    }
}

/// One trial: its samples, and with how many draws.
fn attempt(ready: &mut Ready<'_>, trial: &Trial, effort: Effort, index: usize) -> Result<(Vec<Sample>, u64), String> {
    if index >= effort.exact
        && let Some(Ok(samples)) = ready.bench.screen(trial)
    {
        return Ok((samples, 0));
    }
    exactly(ready, trial, effort.draws(index))
}

/// One trial in float64.
fn exactly(ready: &mut Ready<'_>, trial: &Trial, draws: u64) -> Result<(Vec<Sample>, u64), String> {
    match ready.bench.run(trial, draws) {
        Ok(samples) => return Ok((samples, draws)),
        Err(TrialError::Original(reason)) => return Err(reason),
        Err(TrialError::Rewritten(reason)) => return Ok((failed(ready, &reason), draws)),
        Err(TrialError::Runtime(reason)) => ready.imitate(Obstacle::Runtime(ready.bench.engine(), reason)),
    }
    match ready.bench.run(trial, draws) {
        Ok(samples) => Ok((samples, draws)),
        Err(TrialError::Original(reason) | TrialError::Runtime(reason)) => Err(reason),
        Err(TrialError::Rewritten(reason)) => Ok((failed(ready, &reason), draws)),
    }
}

fn failed(ready: &Ready<'_>, reason: &str) -> Vec<Sample> {
    let sample = Sample::failed(format!("the rewritten model cannot be evaluated: {reason}"));
    vec![sample; ready.bench.stage.original.outputs.len()]
}

type Done = (Trial, Vec<Sample>, u64);

/// What all trials tell of each output.
fn profiles(done: &[Done], rules: &[Rule]) -> Vec<Profile> {
    (0..rules.len()).map(|output| Profile::new(done.iter().filter_map(|(_, s, _)| s.get(output)))).collect()
}

/// The gravest doubt of a trial.
fn doubt(done: &[Done], index: usize, (rules, profiles): (&[Rule], &[Profile])) -> Option<Doubt> {
    let (trial, samples, _) = done.get(index)?;
    let doubts = samples
        .iter()
        .zip(rules.iter().zip(profiles))
        .filter_map(|(sample, (rule, profile))| judge::measure(&trial.name, sample, profile, *rule).1);
    doubts.min_by_key(|d| match d {
        Doubt::Screened => 0,
        Doubt::Exact => 1,
        Doubt::Own => 2,
    })
}

/// Looks again at what is in doubt in a trial, as long as looking again can change anything. True when it did.
fn settle(
    ready: &mut Ready<'_>,
    done: &mut [Done],
    index: usize,
    (rules, all): (&[Rule], &mut Vec<Profile>),
    effort: Effort,
) -> bool {
    let mut doubted = doubt(done, index, (rules, all));
    let mut changed = false;
    if doubted == Some(Doubt::Screened) {
        let draws = effort.draws(0);
        let trial = done[index].0.clone();
        if let Ok((samples, draws)) = exactly(ready, &trial, draws) {
            (done[index].1, done[index].2) = (samples, draws);
            changed = true;
            *all = profiles(done, rules);
            doubted = doubt(done, index, (rules, all));
        }
    }
    while let Some(Doubt::Exact | Doubt::Own) = doubted {
        let (trial, samples, draws) = &mut done[index];
        if *draws >= effort.enough || samples.iter().any(|s| s.failure.is_some()) {
            break;
        }
        let more = (*draws * 2).clamp(*draws + 1, effort.enough);
        ready.bench.draw_more(trial, *draws..more, samples);
        *draws = more;
        changed = true;
        *all = profiles(done, rules);
        doubted = doubt(done, index, (rules, all));
    }
    let is_new = !done[index].1.iter().any(|s| s.imitated);
    if doubted == Some(Doubt::Own) && is_new && matches!(ready.bench.arithmetic, Arithmetic::Runtime(_)) {
        let mut imitated = done[index].1.clone();
        if ready.bench.imitate(&done[index].0, &mut imitated).is_err() {
            return changed;
        }
        imitated.iter_mut().for_each(|s| s.imitated = true);
        let before = std::mem::replace(&mut done[index].1, imitated);
        *all = profiles(done, rules);
        match doubt(done, index, (rules, all)) {
            None => changed = true,
            Some(_) => {
                done[index].1 = before;
                *all = profiles(done, rules);
            }
        }
    }
    changed
}

fn judged(done: Vec<Done>, skipped: Vec<String>, (rules, profiles): (&[Rule], &[Profile])) -> Course {
    let (trials, is_broken) = (Vec::new(), done.iter().flat_map(|(_, s, _)| s).any(|s| s.failure.is_some()));
    let (measures, varies, discrete, errors) = Default::default();
    let mut course = Course { measures, trials, skipped, varies, discrete, errors, is_broken };
    for (output, (rule, profile)) in rules.iter().zip(profiles).enumerate() {
        let samples = || done.iter().filter_map(|(_, s, _)| s.get(output));
        let measures = done.iter().filter_map(|(trial, samples, _)| {
            let sample = samples.get(output)?;
            Some(judge::measure(&trial.name, sample, profile, *rule).0)
        });
        course.measures.push(measures.collect());
        // What a runtime gave says nothing of what float64 gives.
        let prints: Vec<u64> = samples().filter(|s| !s.screened).map(|s| s.fingerprint).collect();
        let screened: Vec<u64> = samples().filter(|s| s.screened).map(|s| s.fingerprint).collect();
        course.varies.push([prints, screened].iter().any(|p| p.windows(2).any(|w| w[0] != w[1])));
        course.discrete.push(samples().any(|s| s.answers.is_some()));
        let mut all = Vec::new();
        for (trial, samples, _) in &done {
            let mut errors = samples.get(output).map(|s| s.errors.clone()).unwrap_or_default();
            errors.iter_mut().for_each(|e| e.on(&trial.name));
            merge(&mut all, &errors);
        }
        course.errors.push(all);
    }
    course.trials = done.into_iter().map(|(trial, _, _)| trial).collect();
    course
}
