//! Errors of one output, gathered over runs in a memory that does not grow with them.

use crate::verify::comparison::{ChannelErrors, Comparison, LADDER, Tolerance, WorstElement};
use crate::verify::reference::Value;

use super::super::precision::Precision;
use super::super::profile::Grouping;
use super::frontier::Frontier;
use super::ulps::{self, Histogram};

/// Most channels that a report lists one by one.
const MAX_LISTED: usize = 1 << 12;

/// Whose values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Model {
    Original,
    Rewritten,
}

/// What they are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Against {
    Original,
    Expected,
}

/// Which two sides of an output are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Pairing {
    /// What computed them.
    pub(in super::super) engine: &'static str,
    pub(in super::super) model: Model,
    pub(in super::super) against: Against,
}

/// The worst element so far.
#[derive(Clone, Debug)]
struct Worst {
    error: f64,
    element: WorstElement,
}

/// Errors by channel.
#[derive(Clone, Debug)]
struct Channels {
    grouping: Grouping,
    largest: Vec<f64>,
    max: Vec<f64>,
    sum: Vec<f64>,
    count: Vec<u64>,
}

/// Errors so far.
#[derive(Clone, Debug)]
pub(in super::super) struct Errors {
    pub(in super::super) pairing: Pairing,
    /// The float type; `None` for integers and booleans.
    precision: Option<Precision>,
    kind: &'static str,
    runs: usize,
    elements: u64,
    different: u64,
    not_finite: u64,
    largest: f64,
    max: f64,
    sum: f64,
    relative: f64,
    worst: Option<Worst>,
    channels: Vec<Channels>,
    ulps: Histogram,
    /// Sums of squares of the reference, the values and the errors, and of the products of the first two.
    squares: [f64; 4],
    frontier: Frontier,
    failure: Option<String>,
}

/// One pair of elements.
struct Pair {
    reference: f64,
    value: f64,
    /// Infinite where just one of them is finite.
    error: f64,
}

impl Errors {
    /// Compares `value` with `reference` in one run.
    pub(in super::super) fn new(pairing: Pairing, reference: &Value, value: &Value, precision: Precision) -> Self {
        let (kind, precision) = match reference {
            Value::F(_) => (precision.name(), Some(precision)),
            Value::I(_) => ("integers", None),
            Value::B(_) => ("booleans", None),
        };
        let mut errors = Self {
            pairing,
            precision,
            kind,
            runs: 1,
            elements: 0,
            different: 0,
            not_finite: 0,
            largest: 0.0,
            max: 0.0,
            sum: 0.0,
            relative: 0.0,
            worst: None,
            channels: Vec::new(),
            ulps: Histogram::default(),
            squares: [0.0; 4],
            frontier: Frontier::default(),
            failure: None,
        };
        let shape = reference.shape();
        if shape != value.shape() {
            errors.failure = Some(format!("shape {shape:?} became {:?}", value.shape()));
            return errors;
        }
        errors.channels = Grouping::of(shape).into_iter().filter(|g| g.axis.is_some()).map(Channels::new).collect();
        match (reference, value) {
            (Value::F(a), Value::F(b)) => errors.take(shape, a.iter().zip(b).map(|(a, b)| Pair::floats(*a, *b))),
            (Value::I(a), Value::I(b)) => errors.take(shape, a.iter().zip(b).map(|(a, b)| Pair::integers(*a, *b))),
            (Value::B(a), Value::B(b)) => {
                errors.take(shape, a.iter().zip(b).map(|(a, b)| Pair::integers(i64::from(*a), i64::from(*b))));
            }
            _ => errors.failure = Some("elements of one kind became another".to_owned()),
        }
        errors.frontier.settle();
        errors
    }

    fn take(&mut self, shape: &[usize], pairs: impl Iterator<Item = Pair>) {
        let (mut at, mut furthest) = (None, 0.0);
        for (entry, pair) in pairs.enumerate() {
            self.elements += 1;
            let Pair { reference, value, error } = pair;
            if error > furthest {
                at = Some((entry, reference, value));
                furthest = error;
            }
            self.different += u64::from(error > 0.0);
            let size = if reference.is_finite() { reference.abs() } else { 0.0 };
            self.largest = self.largest.max(size);
            if error.is_infinite() {
                self.not_finite += 1;
                continue;
            }
            self.channels.iter_mut().for_each(|c| c.add(entry, size, error));
            if !reference.is_finite() {
                continue;
            }
            self.max = self.max.max(error);
            self.sum += error;
            self.relative = self.relative.max(if error == 0.0 { 0.0 } else { error / size });
            self.frontier.add(size, error);
            let products = [reference * reference, value * value, error * error, reference * value];
            self.squares.iter_mut().zip(products).for_each(|(s, p)| *s += p);
            if let Some(precision) = self.precision {
                self.ulps.add(ulps::distance(reference, value, precision));
            }
        }
        self.worst = at.map(|(entry, reference, value)| Worst {
            error: furthest,
            element: WorstElement {
                index: index(entry, shape),
                reference: Some(reference).filter(|v| v.is_finite()),
                value: Some(value).filter(|v| v.is_finite()),
                ..WorstElement::default()
            },
        });
    }

    /// Says in which sizes these runs were.
    pub(in super::super) fn at(&mut self, size: usize) {
        if let Some(worst) = &mut self.worst {
            worst.element.size = size;
        }
    }

    /// Says on which input this run was.
    pub(in super::super) fn on(&mut self, input: &str) {
        if let Some(worst) = &mut self.worst {
            input.clone_into(&mut worst.element.input);
        }
        if let Some(failure) = &mut self.failure {
            *failure = format!("{failure} on {input} input");
        }
    }

    /// Takes in what other runs gave.
    pub(in super::super) fn merge(&mut self, other: &Self) {
        self.runs += other.runs;
        self.elements += other.elements;
        self.different += other.different;
        self.not_finite += other.not_finite;
        self.largest = self.largest.max(other.largest);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        self.relative = self.relative.max(other.relative);
        if let Some(worst) = &other.worst
            && self.worst.as_ref().is_none_or(|own| worst.error > own.error)
        {
            self.worst = Some(worst.clone());
        }
        // Channels are the same only where there are as many: positions and pictures of another size are others.
        self.channels.retain(|c| other.channels.iter().any(|o| c.is_like(o)));
        for channels in &mut self.channels {
            if let Some(same) = other.channels.iter().find(|o| channels.is_like(o)) {
                channels.merge(same);
            }
        }
        self.ulps.merge(&other.ulps);
        self.squares.iter_mut().zip(other.squares).for_each(|(a, b)| *a += b);
        self.frontier.merge(&other.frontier);
        if self.failure.is_none() {
            self.failure.clone_from(&other.failure);
        }
    }

    /// The figures.
    pub(in super::super) fn told(&self) -> Comparison {
        let (frontier, frontier_is_exact) = self.frontier.told();
        let finite = self.elements - self.not_finite;
        let [reference, value, error, product] = self.squares;
        let ratio = |over: f64, under: f64| Some(over / under).filter(|v| v.is_finite() && under > 0.0);
        let word = |is_original: bool| if is_original { "original" } else { "rewritten" }.to_owned();
        let mut comparison = Comparison {
            engine: self.pairing.engine.to_owned(),
            model: word(self.pairing.model == Model::Original),
            against: if self.pairing.against == Against::Expected { "expected" } else { "original" }.to_owned(),
            element_type: self.kind.to_owned(),
            runs: self.runs,
            elements: self.elements,
            different: self.different,
            not_finite: self.not_finite,
            largest: self.largest,
            max_error: self.max,
            mean_error: if finite > 0 { (self.sum / finite as f64).min(f64::MAX) } else { 0.0 },
            scaled_error: ratio(self.max, self.largest),
            relative_error: Some(self.relative).filter(|v| v.is_finite() && self.not_finite == 0),
            worst: self.worst.as_ref().map(|w| w.element.clone()),
            channels: self.channels.iter().map(Channels::told).collect(),
            ulps: self.ulps.told(),
            cosine: ratio(product, reference.sqrt() * value.sqrt()).map(|c| c.clamp(-1.0, 1.0)),
            snr_db: ratio(reference, error).filter(|r| *r > 0.0).map(|r| 10.0 * r.log10()),
            would_pass: Vec::new(),
            frontier,
            frontier_is_exact,
            failure: self.failure.clone(),
        };
        let passing = LADDER.iter().filter_map(|rtol| Some(Tolerance::new(*rtol, comparison.least_atol(*rtol)?)));
        comparison.would_pass = passing.collect();
        comparison
    }
}

impl Pair {
    fn floats(reference: f64, value: f64) -> Self {
        Self { reference, value, error: super::super::profile::apart(reference, value) }
    }

    /// The difference is exact where the values themselves are not, as floats.
    fn integers(reference: i64, value: i64) -> Self {
        Self { reference: reference as f64, value: value as f64, error: reference.abs_diff(value) as f64 }
    }
}

impl Channels {
    fn new(grouping: Grouping) -> Self {
        let count = grouping.count();
        Self {
            grouping,
            largest: vec![0.0; count],
            max: vec![0.0; count],
            sum: vec![0.0; count],
            count: vec![0; count],
        }
    }

    fn add(&mut self, entry: usize, size: f64, error: f64) {
        let at = self.grouping.index(entry);
        self.largest[at] = self.largest[at].max(size);
        self.max[at] = self.max[at].max(error);
        self.sum[at] += error;
        self.count[at] += 1;
    }

    fn is_like(&self, other: &Self) -> bool {
        self.grouping.axis == other.grouping.axis && self.max.len() == other.max.len()
    }

    fn merge(&mut self, other: &Self) {
        let most = |a: &mut [f64], b: &[f64]| a.iter_mut().zip(b).for_each(|(a, b)| *a = a.max(*b));
        most(&mut self.largest, &other.largest);
        most(&mut self.max, &other.max);
        self.sum.iter_mut().zip(&other.sum).for_each(|(a, b)| *a += b);
        self.count.iter_mut().zip(&other.count).for_each(|(a, b)| *a += b);
    }

    fn told(&self) -> ChannelErrors {
        let listed = |values: &[f64]| match values.len() <= MAX_LISTED {
            true => values.to_vec(),
            false => Vec::new(),
        };
        let worst = (0..self.max.len()).max_by(|a, b| self.max[*a].total_cmp(&self.max[*b]).then(b.cmp(a)));
        let means: Vec<f64> =
            self.sum.iter().zip(&self.count).map(|(s, n)| (s / (*n).max(1) as f64).min(f64::MAX)).collect();
        ChannelErrors {
            axis: self.grouping.axis.unwrap_or_default(),
            count: self.max.len(),
            worst: worst.unwrap_or_default(),
            largest: listed(&self.largest),
            max_error: listed(&self.max),
            mean_error: listed(&means),
        }
    }
}

/// The index of `entry` in rows of `shape`.
fn index(entry: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = entry;
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|size| {
            let at = rest % (*size).max(1);
            rest /= (*size).max(1);
            at
        })
        .collect();
    index.reverse();
    index
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ndarray::{ArrayD, IxDyn};

    use super::*;

    const PAIRING: Pairing = Pairing { engine: "float64", model: Model::Rewritten, against: Against::Original };

    fn floats(shape: &[usize], values: &[f64]) -> Value {
        Value::F(ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).unwrap())
    }

    fn errors(reference: &Value, value: &Value) -> Errors {
        Errors::new(PAIRING, reference, value, Precision::Float32)
    }

    #[test]
    fn figures_are_those_of_the_values() {
        // Two channels of two entries; errors 0, 0.5, 0.25, 1.
        let reference = floats(&[1, 2, 1, 2], &[1.0, -2.0, 4.0, 8.0]);
        let mut found = errors(&reference, &floats(&[1, 2, 1, 2], &[1.0, -2.5, 4.25, 7.0]));
        found.on("normal");
        let told = found.told();
        assert_eq!((told.runs, told.elements, told.different, told.not_finite), (1, 4, 3, 0));
        assert_eq!((told.largest, told.max_error, told.mean_error), (8.0, 1.0, 1.75 / 4.0));
        assert_eq!((told.scaled_error, told.relative_error), (Some(0.125), Some(0.25)));
        let worst = told.worst.unwrap();
        assert_eq!((worst.input.as_str(), worst.index.as_slice()), ("normal", [0, 1, 0, 1].as_slice()));
        assert_eq!((worst.reference, worst.value), (Some(8.0), Some(7.0)));
        let channels = &told.channels[0];
        assert_eq!((channels.axis, channels.count, channels.worst), (1, 2, 1));
        assert_eq!(
            (channels.max_error.as_slice(), channels.mean_error.as_slice()),
            (&[0.5, 1.0][..], &[0.25, 0.625][..])
        );
        assert_eq!(channels.largest, [2.0, 8.0]);
        let (reference_norm, value_norm) = (85.0_f64.sqrt(), (1.0 + 6.25 + 18.0625 + 49.0_f64).sqrt());
        let cosine = (1.0 + 5.0 + 17.0 + 56.0) / (reference_norm * value_norm);
        assert!((told.cosine.unwrap() - cosine).abs() < 1e-15);
        assert!((told.snr_db.unwrap() - 10.0 * (85.0_f64 / (0.25 + 0.0625 + 1.0)).log10()).abs() < 1e-12);
        // Between 2 and 2.5 lie a quarter of the 2^23 numbers from 2 to 4.
        assert_eq!(told.ulps.first().unwrap().elements, 1);
        assert!(told.ulps.iter().any(|u| u.most == 1 << 21 && u.elements >= 1));
        let passing: Vec<(f64, f64)> = told.would_pass.iter().map(|t| (t.rtol, t.atol)).collect();
        assert_eq!((passing[0], passing[6]), ((0.0, 1.0), (0.01, 0.92)));
    }

    #[test]
    fn runs_are_put_together() {
        let (zeros, ones) = (floats(&[1, 2], &[0.0, 0.0]), floats(&[1, 2], &[1.0, 1.0]));
        let mut all = errors(&ones, &floats(&[1, 2], &[1.0, 1.5]));
        all.on("first");
        let mut second = errors(&zeros, &floats(&[1, 2], &[-2.0, 0.0]));
        second.on("second");
        second.at(1);
        all.merge(&second);
        let told = all.told();
        assert_eq!((told.runs, told.elements, told.max_error, told.mean_error), (2, 4, 2.0, 0.625));
        assert_eq!(told.relative_error, None, "a reference of 0 is missed");
        assert_eq!(told.worst.map(|w| (w.input, w.size)), Some(("second".to_owned(), 1)));
        assert_eq!(told.channels[0].max_error, [2.0, 0.5]);
        // As many images of other sizes have other channels only where there are other ones.
        all.merge(&errors(&floats(&[1, 3], &[0.0; 3]), &floats(&[1, 3], &[0.0; 3])));
        assert!(all.told().channels.is_empty() && all.told().runs == 3);
    }

    #[test]
    fn what_is_not_finite_is_told_apart() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let told = errors(&floats(&[4], &[inf, nan, 1.0, -inf]), &floats(&[4], &[inf, nan, 1.5, -inf])).told();
        assert_eq!((told.not_finite, told.different, told.max_error), (0, 1, 0.5));
        assert!(told.passes(Tolerance::new(0.5, 0.0)) && !told.passes(Tolerance::new(0.49, 0.0)));
        let told = errors(&floats(&[3], &[1.0, 2.0, inf]), &floats(&[3], &[1.0, nan, -inf])).told();
        assert_eq!((told.not_finite, told.different, told.max_error), (2, 2, 0.0));
        assert_eq!(told.worst.map(|w| (w.index, w.value)), Some((vec![1], None)));
        assert!(!errors(&floats(&[1], &[1.0]), &floats(&[1], &[nan])).told().passes(Tolerance::new(1e9, 1e9)));
    }

    #[test]
    fn integers_and_other_shapes() {
        let integers =
            |values: &[i64]| Value::I(ArrayD::from_shape_vec(IxDyn(&[values.len()]), values.to_vec()).unwrap());
        let told = errors(&integers(&[1 << 60, 2]), &integers(&[(1 << 60) + 1, 2])).told();
        assert_eq!((told.max_error, told.different), (1.0, 1), "exact where the values are not, as floats");
        assert!(told.ulps.is_empty() && told.element_type == "integers");
        let told = errors(&floats(&[2], &[1.0, 2.0]), &floats(&[1], &[1.0])).told();
        assert!(!told.passes(Tolerance::new(1.0, 1.0)) && told.failure.unwrap().contains("shape [2] became [1]"));
    }
}
