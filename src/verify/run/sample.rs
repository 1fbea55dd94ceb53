//! One output under one kind of input, on all sides: what is kept of it when the values are gone.

use ndarray::ArrayD;

use crate::verify::reference::Value;

use super::errors::Errors;
use super::profile::{Grouping, floats};

/// Distances by channel, in the tensor's own unit.
#[derive(Clone, Debug)]
pub(super) struct Channels {
    pub(super) grouping: Grouping,
    /// Largest absolute value of the original in float64.
    pub(super) size: Vec<f64>,
    /// How far rounding, exaggerated, moved the original.
    pub(super) moved: Vec<f64>,
    /// How far the rewritten model is away in float64.
    pub(super) exact: Vec<f64>,
    /// How far the two are away from it in their own arithmetic.
    pub(super) own: Option<OwnChannels>,
}

/// See [`Channels::own`].
#[derive(Clone, Debug)]
pub(super) struct OwnChannels {
    pub(super) original: Vec<f64>,
    pub(super) rewritten: Vec<f64>,
}

/// An output in a trial.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// One for each way to see channels in it; empty for integers and booleans.
    pub(super) channels: Vec<Channels>,
    /// Integers and booleans.
    pub(super) answers: Option<Answers>,
    pub(super) largest: f64,
    /// Why this says nothing about the output.
    pub(super) silent: Option<&'static str>,
    /// Why there is nothing to compare in the models' own arithmetic.
    pub(super) own_silent: Option<&'static str>,
    /// What no rounding explains.
    pub(super) failure: Option<String>,
    /// True when the runtime's run of the original stands for float64.
    pub(super) screened: bool,
    /// True when rounding, imitated, stands for the runtime, which alone parts the two.
    pub(super) imitated: bool,
    /// Tells whether an output varies between trials.
    pub(super) fingerprint: u64,
    /// How far apart the sides are, whatever is allowed.
    pub(super) errors: Vec<Errors>,
}

/// Answers that are right or wrong, with nothing between.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    exact: Vec<i64>,
    differ: Vec<usize>,
    own_differ: Vec<usize>,
    /// Entries that rounding changes in the original.
    unsure: Vec<bool>,
    pub(super) count: usize,
}

impl Answers {
    /// Entries that differ in float64 and in the models' own arithmetic, those that rounding decides left out, and how many
    /// these were.
    pub(super) fn wrong(&self) -> (usize, usize, usize) {
        let sure = |all: &[usize]| all.iter().filter(|i| !self.unsure[**i]).count();
        let (exact, own) = (sure(&self.differ), sure(&self.own_differ));
        (exact, own, self.differ.len().max(self.own_differ.len()) - exact.max(own))
    }
}

/// The sides of one output.
pub(super) struct Sides<'a> {
    pub(super) exact: &'a Value,
    pub(super) rewritten: &'a Value,
    /// The original and the rewritten model in their own arithmetic.
    pub(super) own: Option<(&'a Value, &'a Value)>,
}

impl Sample {
    /// Looks at `sides`, without any draw of rounding yet.
    pub(super) fn new(sides: &Sides<'_>) -> Self {
        let exact = floats(sides.exact);
        let mut sample = Self {
            channels: Vec::new(),
            answers: None,
            largest: exact.iter().filter(|v| v.is_finite()).fold(0.0, |max, v| v.abs().max(max)),
            silent: silence(&exact),
            own_silent: None,
            failure: sides.mismatch(),
            screened: false,
            imitated: false,
            fingerprint: fingerprint(&exact),
            errors: Vec::new(),
        };
        if sample.failure.is_some() {
            return sample;
        }
        let own = sides.own.filter(|(original, _)| original.shape() == sides.exact.shape());
        let own = own.map(|(a, b)| (floats(a), floats(b)));
        if own.is_none() && sides.own.is_some() {
            sample.own_silent = Some("of another shape in float64");
        }
        if !matches!(sides.exact, Value::F(_)) {
            sample.answers = Some(Answers::new(sides));
            return sample;
        }
        let rewritten = floats(sides.rewritten);
        let own = own.filter(|(original, _)| {
            let overflows = exact.iter().zip(original).any(|(e, o)| e.is_finite() && !o.is_finite());
            sample.own_silent = overflows.then_some("not finite in the original");
            !overflows
        });
        for grouping in Grouping::of(exact.shape()) {
            let own = own.as_ref().map(|(a, b)| OwnChannels {
                original: grouping.distances(a, &exact),
                rewritten: grouping.distances(b, &exact),
            });
            let size = grouping.sizes(&exact);
            let moved = vec![0.0; size.len()];
            let exact = grouping.distances(&rewritten, &exact);
            sample.channels.push(Channels { grouping, size, moved, exact, own });
        }
        sample
    }

    /// A trial that cannot be compared.
    pub(super) fn failed(reason: String) -> Self {
        Self {
            channels: Vec::new(),
            answers: None,
            largest: 0.0,
            silent: None,
            own_silent: None,
            failure: Some(reason),
            screened: false,
            imitated: false,
            fingerprint: 0,
            errors: Vec::new(),
        }
    }

    /// Takes in what rounding made of the original in one draw.
    pub(super) fn draw(&mut self, exact: &Value, moved: &Value) {
        if exact.shape() != moved.shape() {
            return;
        }
        if let Some(answers) = &mut self.answers {
            answers.draw(moved);
            return;
        }
        let (exact, moved) = (floats(exact), floats(moved));
        for channels in &mut self.channels {
            let distances = channels.grouping.distances(&exact, &moved);
            channels.moved.iter_mut().zip(distances).for_each(|(m, d)| *m = m.max(d));
        }
    }

    /// Puts another run of the rewritten model in its own arithmetic in place of what there was.
    pub(super) fn replace_own(&mut self, exact: &Value, rewritten: &Value) {
        if exact.shape() != rewritten.shape() {
            return;
        }
        let (exact_floats, rewritten_floats) = (floats(exact), floats(rewritten));
        for channels in &mut self.channels {
            if let Some(own) = &mut channels.own {
                own.rewritten = channels.grouping.distances(&rewritten_floats, &exact_floats);
            }
        }
        if let Some(answers) = &mut self.answers {
            answers.own_differ = differ(&integers(rewritten), &answers.exact);
        }
    }
}

impl Answers {
    fn new(sides: &Sides<'_>) -> Self {
        let exact = integers(sides.exact);
        let differs = differ(&integers(sides.rewritten), &exact);
        let mut unsure = vec![false; exact.len()];
        let mut own_differ = Vec::new();
        if let Some((original, rewritten)) = sides.own.filter(|(a, b)| a.shape() == b.shape()) {
            let (original, rewritten) = (integers(original), integers(rewritten));
            // Where the runtime's original is not what float64 says, the two runs are compared with each other.
            let same = |i: &usize| original.get(*i) == rewritten.get(*i);
            own_differ = differ(&rewritten, &exact).into_iter().filter(|i| !same(i)).collect();
            differ(&original, &exact).into_iter().for_each(|i| unsure[i] = true);
        }
        Self { count: exact.len(), exact, differ: differs, own_differ, unsure }
    }

    fn draw(&mut self, moved: &Value) {
        differ(&integers(moved), &self.exact).into_iter().for_each(|i| self.unsure[i] = true);
    }
}

impl Sides<'_> {
    /// What is wrong whatever rounding does.
    fn mismatch(&self) -> Option<String> {
        let (a, b) = (self.exact, self.rewritten);
        if a.shape() != b.shape() {
            return Some(format!("shape {:?} became {:?}", a.shape(), b.shape()));
        }
        let kind = |v: &Value| match v {
            Value::F(_) => "floats",
            Value::I(_) => "integers",
            Value::B(_) => "booleans",
        };
        if kind(a) != kind(b) {
            return Some(format!("{} became {}", kind(a), kind(b)));
        }
        if let Some((original, rewritten)) = self.own
            && original.shape() != rewritten.shape()
            && original.shape() == a.shape()
        {
            return Some(format!("shape {:?} became {:?}", original.shape(), rewritten.shape()));
        }
        None
    }
}

/// Why values like these say nothing.
fn silence(exact: &ArrayD<f64>) -> Option<&'static str> {
    if exact.is_empty() {
        Some("empty")
    } else if !exact.iter().any(|v| v.is_finite()) {
        Some("not finite, even in float64")
    } else if exact.iter().all(|v| *v == 0.0) {
        Some("all zero")
    } else if exact.len() > 1 && exact.iter().all(|v| Some(v) == exact.first()) {
        Some("constant")
    } else {
        None
    }
}

fn integers(value: &Value) -> Vec<i64> {
    match value {
        Value::F(a) => a.iter().map(|v| *v as i64).collect(),
        Value::I(a) => a.iter().copied().collect(),
        Value::B(a) => a.iter().map(|v| i64::from(*v)).collect(),
    }
}

fn differ(a: &[i64], b: &[i64]) -> Vec<usize> {
    a.iter().zip(b).enumerate().filter(|(_, (a, b))| a != b).map(|(i, _)| i).collect()
}

/// FNV-1a over the bits.
fn fingerprint(values: &ArrayD<f64>) -> u64 {
    values
        .iter()
        .fold(0xCBF2_9CE4_8422_2325_u64, |h, v| (h ^ v.to_bits()).wrapping_mul(0x0100_0000_01B3).rotate_left(17))
}
