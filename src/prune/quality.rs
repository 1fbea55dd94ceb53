//! What became of the outputs, on samples that nothing was fitted to.

use ndarray::{ArrayD, Axis};

use crate::facts::Facts;
use crate::graph::GraphView;
use crate::io::Model;
use crate::onnx::ModelProto;
use crate::verify::LabelReport;
use crate::verify::reference::{self, Value};

use super::error::PruneError;
use super::report::Quality;
use super::samples::{Batch, Samples};

/// Compares the outputs of both models.
///
/// # Errors
/// When a model cannot be run.
pub(super) fn measure(
    original: &ModelProto,
    pruned: &ModelProto,
    (samples, held): (&Samples, &[Batch]),
) -> Result<Quality, PruneError> {
    Ok(tally(original, pruned, (samples, held))?.quality())
}

/// How many of the labelled `samples` each of two models gets right; evaluated in float64.
///
/// # Errors
/// When a model cannot be run, when the samples do not fit or have no labels, or when the first output is no row of scores a sample.
pub fn against_labels(original: &Model, other: &Model, samples: &Samples) -> Result<LabelReport, PruneError> {
    let view = GraphView::new(original.proto())?;
    let batches = samples.all(&view, &Facts::new(&view))?;
    let tally = tally(original.proto(), other.proto(), (samples, &batches))?;
    let wrong =
        || PruneError::Samples("there is no first output with a row of scores for each labelled sample".to_owned());
    LabelReport::new(tally.labelled, tally.right, tally.alike).ok_or_else(wrong)
}

fn tally(
    original: &ModelProto,
    pruned: &ModelProto,
    (samples, batches): (&Samples, &[Batch]),
) -> Result<Tally, PruneError> {
    let outputs: Vec<&str> = original.graph.iter().flat_map(|g| &g.output).map(|o| o.name()).collect();
    let mut tally = Tally::default();
    for batch in batches {
        let was = reference::run_to(original, &batch.inputs, &outputs)?;
        let is = reference::run_to(pruned, &batch.inputs, &outputs)?;
        for (i, name) in outputs.iter().enumerate() {
            let (Some(was), Some(is)) = (was.get(name), is.get(name)) else { continue };
            if was.shape() != is.shape() {
                return Err(PruneError::Internal(format!("output '{name}' has another shape")));
            }
            tally.add(i, was, is);
            if let (0, Some(was), Some(is)) = (i, was.floats(), is.floats()) {
                tally.classes(was, is, |row| batch.places.get(row).and_then(|p| samples.label(*p)))?;
            }
        }
    }
    Ok(tally)
}

/// Largest difference of two models that should compute the same, relative to the largest value. Constants that a model computes are written
/// in their own type where they lose entries, so this is float32 rounding; what is coupled wrongly is further away.
const SAME: f64 = 1e-5;

/// Checks that both models compute the same but for float64 rounding.
///
/// # Errors
/// [`PruneError::Internal`] when they do not.
pub(super) fn same(a: &ModelProto, b: &ModelProto, batches: &[Batch]) -> Result<(), PruneError> {
    let outputs: Vec<&str> = a.graph.iter().flat_map(|g| &g.output).map(|o| o.name()).collect();
    for batch in batches {
        let (x, y) = (reference::run_to(a, &batch.inputs, &outputs)?, reference::run_to(b, &batch.inputs, &outputs)?);
        for name in &outputs {
            let both = x.get(name).and_then(|v| v.floats()).zip(y.get(name).and_then(|v| v.floats()));
            let largest = |v: &ArrayD<f64>| v.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
            let alike = both.is_none_or(|(x, y)| {
                x.shape() == y.shape() && largest(&(x - y)) <= SAME * largest(x).max(f64::MIN_POSITIVE)
            });
            if !alike {
                return Err(PruneError::Internal(format!(
                    "output '{name}' changes with channels that nothing was taken to read"
                )));
            }
        }
    }
    Ok(())
}

/// Of one output.
#[derive(Clone, Default)]
struct Errors {
    change: f64,
    size: f64,
    sum: f64,
    count: f64,
}

impl Errors {
    /// Relative to the output's own standard deviation; of answers the root of the share that differs.
    fn relative(&self) -> f64 {
        let spread = self.size - self.sum * self.sum / self.count.max(1.0);
        // What does not vary but for rounding has no deviation of its own.
        let spread = if spread > 1e-12 * self.size { spread } else { self.size };
        if spread > 0.0 { (self.change / spread).sqrt() } else { self.change.sqrt() }
    }
}

#[derive(Default)]
struct Tally {
    samples: usize,
    outputs: Vec<Errors>,
    ranked: usize,
    alike: usize,
    labelled: usize,
    right: (usize, usize),
}

impl Tally {
    fn add(&mut self, output: usize, was: &Value, is: &Value) {
        if output == 0 {
            self.samples += was.shape().first().copied().unwrap_or(0);
        }
        if self.outputs.len() <= output {
            self.outputs.resize(output + 1, Errors::default());
        }
        let own = &mut self.outputs[output];
        let mut entry = |change: f64, was: f64| {
            own.change += change * change;
            own.size += was * was;
            own.sum += was;
            own.count += 1.0;
        };
        match (was, is) {
            (Value::F(a), Value::F(b)) => a.iter().zip(b).for_each(|(a, b)| entry(a - b, *a)),
            // Answers, not amounts: each is right or wrong, and weighs one.
            (Value::I(a), Value::I(b)) => a.iter().zip(b).for_each(|(a, b)| entry(f64::from(u8::from(a != b)), 1.0)),
            (Value::B(a), Value::B(b)) => a.iter().zip(b).for_each(|(a, b)| entry(f64::from(u8::from(a != b)), 1.0)),
            _ => entry(f64::INFINITY, 1.0),
        }
    }

    /// Where an output is one row of scores a sample: which one is largest.
    fn classes(
        &mut self,
        was: &ArrayD<f64>,
        is: &ArrayD<f64>,
        label: impl Fn(usize) -> Option<usize>,
    ) -> Result<(), PruneError> {
        if was.ndim() != 2 || was.shape()[1] < 2 {
            return Ok(());
        }
        let classes = was.shape()[1];
        for (row, (was, is)) in was.axis_iter(Axis(0)).zip(is.axis_iter(Axis(0))).enumerate() {
            let largest = |a: ndarray::ArrayViewD<'_, f64>| {
                a.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0))).map(|(i, _)| i)
            };
            let (was, is) = (largest(was), largest(is));
            self.ranked += 1;
            self.alike += usize::from(was == is);
            if let Some(label) = label(row) {
                if label >= classes {
                    return Err(PruneError::Samples(format!("label {label} is none of {classes} classes")));
                }
                self.labelled += 1;
                self.right.0 += usize::from(was == Some(label));
                self.right.1 += usize::from(is == Some(label));
            }
        }
        Ok(())
    }

    fn quality(&self) -> Quality {
        let share = |n: usize, all: usize| (all > 0).then(|| n as f64 / all as f64);
        Quality {
            samples: self.samples,
            // The worst one counts: small outputs are outputs too.
            relative_error: self
                .outputs
                .iter()
                .map(Errors::relative)
                .fold(0.0, |a: f64, b| if b.is_nan() || a.is_nan() { f64::NAN } else { a.max(b) }),
            agreement: share(self.alike, self.ranked),
            accuracy_before: share(self.right.0, self.labelled),
            accuracy_after: share(self.right.1, self.labelled),
        }
    }
}
