//! The criterion: how far from the original a rewritten model may be.
//!
//! **In float64** both models compute the same real function, but that new weights were rounded once. How far rounding can move
//! an output is a property of the model, so it is measured on the original: its weights and results are moved at random by up to
//! [`AMPLITUDE`](super::noise::AMPLITUDE) half-ulps, and no channel of the rewritten model may be further from the original than
//! channels of its size were moved, plus [`EXACT_ULPS`].
//!
//! **In their own arithmetic** the rewritten model may be as far from float64 as that, or as [`FACTOR`] times what the original
//! is in the same runtime, whose functions are approximations, plus [`OWN_ULPS`].

use super::profile::pooled;
use super::sample::{Channels, Sample};
use crate::verify::report::{Measure, WorstChannel};

/// How many times further from float64 than the original a rewritten model may be in a runtime. It sums the same numbers in
/// another order, so its distance is another draw of the same size. Over rewrites of a hundred exported networks (585 outputs and
/// kinds of input) twice the original's distance plus 4 epsilons covered all; the unluckiest draw seen in any was 4.1 times.
const FACTOR: f64 = 8.0;

/// What is always allowed in a runtime, in units of the type's epsilon: an original can come out exact by luck.
const OWN_ULPS: f64 = 16.0;

/// The same in float64: the rounding of new weights, half an epsilon each.
const EXACT_ULPS: f64 = 4.0;

/// Rounding that may move more than this share of what half of the type's digits hold leaves nothing to compare.
fn trust(epsilon: f64) -> f64 {
    super::noise::AMPLITUDE * epsilon.sqrt()
}

/// True when a tensor whose values are `difference` apart computes something else: more than rounding explains, and rounding leaves
/// something to compare.
pub(super) fn is_apart(difference: f64, moved: f64, largest: f64, epsilon: f64) -> bool {
    difference > moved + EXACT_ULPS * epsilon * largest && moved <= trust(epsilon) * largest
}

/// What an output is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// Epsilon of the output's type.
    pub(super) epsilon: f64,
    /// Largest absolute value that the output can have, where its operator bounds it: what is far below that is rounding, for
    /// whatever computes it. 0 where nothing is known.
    pub(super) range: f64,
    /// What runs the models in their own arithmetic.
    pub(super) engine: &'static str,
}

/// What all trials tell of an output, for each grouping and channel: in the middle of the trials, for one kind of input may leave
/// nothing but biases.
pub(super) struct Profile {
    /// Its largest value over the output's largest.
    shares: Vec<Vec<f64>>,
    /// How far rounding moved it, over the output's largest value, in trials with draws.
    spread: Vec<Vec<f64>>,
    /// How far the original is from float64 in its own arithmetic, over the output's largest value.
    own: Vec<Vec<f64>>,
}

impl Profile {
    /// Of the trials of one assignment of sizes.
    pub(super) fn new<'s>(samples: impl Iterator<Item = &'s Sample>) -> Self {
        let samples: Vec<&Sample> = samples.filter(|s| s.largest > 0.0 && !s.screened).collect();
        let middle = |values: &dyn Fn(&Channels) -> Option<Vec<f64>>| {
            let groupings = samples.iter().map(|s| s.channels.len()).max().unwrap_or(0);
            let rows = |index: usize| {
                let of = |s: &&Sample| Some((values(s.channels.get(index)?)?, s.largest));
                medians(&samples.iter().filter_map(of).collect::<Vec<_>>())
            };
            (0..groupings).map(rows).collect()
        };
        Self {
            shares: middle(&|c| Some(c.size.clone())),
            spread: middle(&|c| c.moved.iter().any(|m| *m > 0.0).then(|| c.moved.clone())),
            own: middle(&|c| c.own.as_ref().map(|own| own.original.clone())),
        }
    }

    /// How far rounding may move each channel of `sample`, channels of like size taken together.
    fn moved(&self, index: usize, channels: &Channels, sample: &Sample) -> Vec<f64> {
        let scaled = |rows: &[Vec<f64>]| -> Option<Vec<f64>> {
            let row = rows.get(index).filter(|row| row.len() == channels.size.len())?;
            Some(row.iter().map(|v| v * sample.largest).collect())
        };
        // A trial without draws takes what the others show.
        let drawn = channels.moved.iter().any(|m| *m > 0.0);
        let shown = if drawn { None } else { scaled(&self.spread) };
        let moved = shown.unwrap_or_else(|| channels.moved.clone());
        pooled(&moved, &scaled(&self.shares).unwrap_or_else(|| channels.size.clone()))
    }

    /// How far the original is from float64 in each channel in its own arithmetic, by what the other trials show.
    fn originals(&self, index: usize, channels: &Channels, sample: &Sample) -> Vec<f64> {
        let shown = self.own.get(index).filter(|o| o.len() == channels.size.len());
        let scaled = shown.map(|own| own.iter().map(|o| o * sample.largest).collect::<Vec<_>>());
        scaled.map_or_else(|| vec![0.0; channels.size.len()], |own| self.alike(index, &own, sample))
    }

    fn alike(&self, index: usize, distances: &[f64], sample: &Sample) -> Vec<f64> {
        match self.shares.get(index).filter(|s| s.len() == distances.len()) {
            Some(shares) => pooled(distances, &shares.iter().map(|s| s * sample.largest).collect::<Vec<_>>()),
            None => distances.to_vec(),
        }
    }
}

/// The median of each channel over trials, each trial's values over its largest.
fn medians(trials: &[(Vec<f64>, f64)]) -> Vec<f64> {
    let channels = trials.iter().map(|(values, _)| values.len()).min().unwrap_or(0);
    let median = |channel: usize| {
        let mut all: Vec<f64> = trials.iter().map(|(values, largest)| values[channel] / largest).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    (0..channels).map(median).collect()
}

/// In which comparison an output failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Float64 shows another function, or another shape.
    Exact,
    /// Only the models' own arithmetic parts them.
    Own,
    /// Two runs of the runtime differ, and nobody has looked at float64 yet.
    Screened,
}

/// Judges `sample`. The second value says what failed, when something did.
pub(super) fn measure(trial: &str, sample: &Sample, profile: &Profile, rule: Rule) -> (Measure, Option<Doubt>) {
    let mut m = Measure { input: trial.to_owned(), largest: sample.largest, ..Measure::default() };
    m.no_evidence = sample.silent.map(str::to_owned);
    m.note = match (sample.imitated, sample.own_silent) {
        (true, _) => {
            Some(format!("{} alone parts the two; with every result of float64 rounded they agree", rule.engine))
        }
        (_, Some(why)) => Some(format!("not compared in the models' own arithmetic: it is {why}")),
        _ => None,
    };
    if let Some(failure) = &sample.failure {
        m.failure = Some(failure.clone());
        return (m, Some(Doubt::Exact));
    }
    if let Some(answers) = &sample.answers {
        let (exact, own, ties) = answers.wrong();
        m.ties = ties;
        let words = |n: usize, how: &str| format!("{n} of {} answers differ{how}", answers.count);
        if exact > 0 {
            m.failure = Some(words(exact, ""));
            return (m, Some(Doubt::Exact));
        }
        if own > 0 {
            m.failure = Some(words(own, " in the models' own arithmetic"));
            return (m, Some(Doubt::Own));
        }
        return (m, None);
    }
    let mut doubt = None;
    for (index, channels) in sample.channels.iter().enumerate() {
        let moved = profile.moved(index, channels, sample);
        if sample.screened {
            screened(&mut m, &mut doubt, channels, &moved, &profile.originals(index, channels, sample), sample, rule);
            continue;
        }
        exact(&mut m, &mut doubt, channels, &moved, sample, rule);
        own(&mut m, &mut doubt, channels, &moved, profile.alike(index, &originals(channels), sample), sample, rule);
    }
    if m.rounding > trust(rule.epsilon) && !sample.screened {
        m.no_evidence = Some(format!("rounding alone may move it by {:.0e} of its largest value", m.rounding));
        m.unstable = true;
        m.failure = None;
        doubt = None;
    }
    (m, doubt)
}

fn originals(channels: &Channels) -> Vec<f64> {
    channels.own.as_ref().map(|own| own.original.clone()).unwrap_or_default()
}

/// `value` over the largest value of an output; the value itself where that is 0.
fn relative(value: f64, largest: f64) -> f64 {
    if largest > 0.0 { value / largest } else { value }
}

fn exact(m: &mut Measure, doubt: &mut Option<Doubt>, channels: &Channels, moved: &[f64], sample: &Sample, rule: Rule) {
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    m.exact_error = m.exact_error.max(relative(most(&channels.exact), sample.largest));
    m.rounding = m.rounding.max(relative(most(moved), sample.largest));
    let limit = |c: usize| moved[c] + EXACT_ULPS * rule.epsilon * channels.size[c];
    if let Some(worst) = worst(&channels.exact, limit) {
        let (found, allowed) = (channels.exact[worst], limit(worst));
        m.failure = Some(format!(
            "in float64 it is {:.1e} away{}; rounding explains {:.1e}",
            found,
            place(channels, worst, sample),
            allowed
        ));
        m.worst_channel = at(channels, worst, found, allowed);
        *doubt = Some(Doubt::Exact);
    }
}

fn own(
    m: &mut Measure,
    doubt: &mut Option<Doubt>,
    channels: &Channels,
    moved: &[f64],
    originals: Vec<f64>,
    sample: &Sample,
    rule: Rule,
) {
    let Some(own) = &channels.own else { return };
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let relative = |value: f64| relative(value, sample.largest.max(rule.range));
    m.original_error = m.original_error.max(relative(most(&own.original)));
    m.rewritten_error = m.rewritten_error.max(relative(most(&own.rewritten)));
    let limit =
        |c: usize| moved[c].max(FACTOR * originals[c]) + OWN_ULPS * rule.epsilon * channels.size[c].max(rule.range);
    m.limit = m.limit.max(relative((0..moved.len()).map(limit).fold(0.0, f64::max)));
    let Some(worst) = worst(&own.rewritten, limit) else { return };
    if doubt.is_some() {
        return;
    }
    let (found, allowed) = (own.rewritten[worst], limit(worst));
    m.failure = Some(match found.is_finite() {
        true => format!(
            "it is {:.1e} away from float64{}, the original {:.1e}; allowed are {:.1e}",
            found,
            place(channels, worst, sample),
            own.original[worst],
            allowed
        ),
        false => "it is finite in the original and not in the rewritten model".to_owned(),
    });
    m.worst_channel = at(channels, worst, found, allowed);
    *doubt = Some(Doubt::Own);
}

/// Two runs of the runtime against each other.
fn screened(
    m: &mut Measure,
    doubt: &mut Option<Doubt>,
    channels: &Channels,
    moved: &[f64],
    originals: &[f64],
    sample: &Sample,
    rule: Rule,
) {
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let relative = |value: f64| relative(value, sample.largest.max(rule.range));
    m.screened = true;
    m.rewritten_error = m.rewritten_error.max(relative(most(&channels.exact)));
    m.rounding = m.rounding.max(relative(most(moved)));
    let limit =
        |c: usize| moved[c].max(FACTOR * originals[c]) + OWN_ULPS * rule.epsilon * channels.size[c].max(rule.range);
    m.limit = m.limit.max(relative((0..moved.len()).map(limit).fold(0.0, f64::max)));
    if let Some(worst) = worst(&channels.exact, limit) {
        m.failure = Some(format!("the runs differ by {:.1e}{}", channels.exact[worst], place(channels, worst, sample)));
        *doubt = Some(Doubt::Screened);
    }
}

/// The channel furthest beyond its limit, if one is.
fn worst(found: &[f64], limit: impl Fn(usize) -> f64) -> Option<usize> {
    let beyond = (0..found.len()).filter(|c| found[*c] > limit(*c));
    beyond.max_by(|a, b| {
        let ratio = |c: usize| found[c] / limit(c).max(f64::MIN_POSITIVE);
        ratio(*a).total_cmp(&ratio(*b))
    })
}

fn place(channels: &Channels, channel: usize, sample: &Sample) -> String {
    match channels.grouping.axis {
        Some(axis) => format!(
            " in channel {channel} of axis {axis}, whose largest value is {:.1e} (of all: {:.1e})",
            channels.size[channel], sample.largest
        ),
        None => format!(" (largest value: {:.1e})", sample.largest),
    }
}

fn at(channels: &Channels, channel: usize, error: f64, limit: f64) -> Option<WorstChannel> {
    let axis = channels.grouping.axis?;
    Some(WorstChannel { axis, channel, largest: channels.size[channel], error, limit })
}
