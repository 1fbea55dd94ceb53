//! The criterion: how far from float64 a rewritten model may be.
//!
//! With `e(m)` the largest distance of an output of model `m` from the float64 value of the original, over the largest
//! value of that output, a kind of input passes when `e(rewritten) <= FACTOR * e(original) + FLOOR_ULPS * epsilon`.

use ndarray::ArrayD;

use super::precision::Precision;
use crate::verify::reference::Value;
use crate::verify::report::{Measure, OutputReport};

/// How many times further from float64 than the original a rewritten model may be. A rewritten model sums the same numbers in
/// another order, so its distance is another draw of the same size. Over rewrites of a hundred exported networks (585 outputs
/// and kinds of input; the original's distance is 9 epsilons in the middle and 278 at the 99th percentile) twice the original's distance plus 4
/// epsilons covered all; the unluckiest draw seen in any was 4.1 times.
pub(super) const FACTOR: f64 = 8.0;

/// What is always allowed, in units of the type's epsilon: an original can come out exact by luck. A single weight that is wrong by a
/// thousandth moves the output of a small network by more than a hundred.
pub(super) const FLOOR_ULPS: f64 = 16.0;

/// How many times further a rewritten model may be that computes the same in float64: no wrong weight hides there, only the
/// arithmetic of a runtime. Seen: 4.4, by tract's `Sigmoid` of a large negative number.
const PROVED: f64 = 8.0;

/// The same where both models are evaluated in float64: only the rounding of new weights is left, half an epsilon each. Seen: 0.2.
pub(super) const ROUNDING_ULPS: f64 = 8.0;

/// What is allowed.
#[derive(Clone, Copy)]
pub(super) struct Tolerance {
    factor: f64,
    floor: f64,
    /// An original further from float64 than this is no yardstick.
    trust: f64,
}

impl Tolerance {
    /// For models run in their own arithmetic.
    pub(super) fn run(precision: Precision) -> Self {
        Self { factor: FACTOR, floor: FLOOR_ULPS * precision.epsilon(), trust: precision.epsilon().sqrt() }
    }

    /// What is allowed where rounding moves the original by `error` of its largest value.
    pub(super) fn limit(self, error: f64) -> f64 {
        self.factor * error + self.floor
    }

    /// The same for a rewritten model that float64 shows to compute the same function.
    pub(super) fn limit_when_proved(self, error: f64) -> f64 {
        PROVED * self.limit(error)
    }

    /// True when the original lost half of its digits or more to rounding: its distance from float64 says how it amplifies
    /// rounding, and nothing finer can be seen behind that.
    pub(super) fn is_chaotic(&self, measure: &Measure) -> bool {
        measure.original_error > self.trust
    }

    /// For models evaluated in float64.
    pub(super) fn rounding(precision: Precision) -> Self {
        Self { factor: 0.0, floor: ROUNDING_ULPS * precision.epsilon(), trust: f64::INFINITY }
    }
}

/// One output of one case on all sides.
pub(super) struct Sides<'a> {
    pub(super) exact: &'a Value,
    pub(super) original: &'a Value,
    pub(super) rewritten: &'a Value,
}

/// Measures one output under one kind of input.
pub(super) fn measure(input: &str, sides: &Sides<'_>, tolerance: Tolerance) -> Measure {
    let (exact, original, rewritten) = (floats(sides.exact), floats(sides.original), floats(sides.rewritten));
    let mut m = Measure { input: input.to_owned(), ..Measure::default() };
    let finite = |a: &ArrayD<f64>| a.iter().all(|v| v.is_finite());
    m.largest = exact.iter().fold(0.0, |max, v| v.abs().max(max));
    m.no_evidence = if !finite(&exact) {
        Some("not finite, even in float64")
    } else if original.shape() != exact.shape() {
        Some("of another shape in float64")
    } else if !finite(&original) {
        Some("not finite in the original")
    } else if m.largest == 0.0 {
        Some("all zero")
    } else {
        None
    }
    .map(str::to_owned);
    if m.no_evidence.is_some() {
        return m;
    }
    if exact.len() > 1 && exact.iter().all(|v| Some(v) == exact.first()) {
        m.no_evidence = Some("constant".to_owned());
    }
    m.original_error = distance(&original, &exact) / m.largest;
    m.limit = tolerance.limit(m.original_error);
    if tolerance.is_chaotic(&m) {
        m.no_evidence =
            Some(format!("{:.0e} of its largest value away from float64 in the original", m.original_error));
    }
    if rewritten.shape() != exact.shape() {
        m.failure = Some(format!("shape {:?} became {:?}", exact.shape(), rewritten.shape()));
        return m;
    }
    m.rewritten_error = distance(&rewritten, &exact) / m.largest;
    if !finite(&rewritten) {
        m.failure = Some("it is finite in the original and not in the rewritten model".to_owned());
    } else if m.rewritten_error > m.limit && !tolerance.is_chaotic(&m) {
        m.failure = Some(format!(
            "it is {:.1e} of its largest value away from float64, the original {:.1e}; allowed are {:.1e}",
            m.rewritten_error, m.original_error, m.limit
        ));
    }
    m
}

/// One output over all cases. `depends`: some graph input reaches it, so it must show that it varies.
pub(super) fn judge(name: &str, depends: bool, measures: Vec<Measure>, exact: &[&Value]) -> OutputReport {
    let varies = exact.windows(2).any(|w| w[0] != w[1]);
    let missing = if !depends || measures.iter().any(|m| m.no_evidence.is_none()) && varies {
        None
    } else if measures.iter().any(|m| m.no_evidence.is_none()) {
        Some("it is the same for every input".to_owned())
    } else {
        let each: Vec<String> =
            measures.iter().map(|m| format!("{} ({})", m.no_evidence.as_deref().unwrap_or(""), m.input)).collect();
        Some(format!("it is {}", each.join(", ")))
    };
    OutputReport { name: name.to_owned(), no_evidence: missing, measures }
}

/// Largest difference of arrays of one shape; infinite when one of them is not finite.
pub(super) fn distance(a: &ArrayD<f64>, b: &ArrayD<f64>) -> f64 {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |max, d| if d.is_nan() { f64::INFINITY } else { d.max(max) })
}

/// The elements as floats, whatever they are.
pub(super) fn floats(value: &Value) -> ArrayD<f64> {
    match value {
        Value::F(a) => a.clone(),
        Value::I(a) => a.mapv(|v| v as f64),
        Value::B(a) => a.mapv(|v| f64::from(u8::from(v))),
    }
}
