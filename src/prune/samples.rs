//! Calibration samples: one array an input of the model, with the samples along axis 0.

use std::collections::BTreeMap;

use ndarray::{ArrayD, Axis};

use crate::facts::{Dim, Facts};
use crate::graph::GraphView;
use crate::onnx::tensor_shape_proto::{Dimension, dimension::Value::DimValue};
use crate::onnx::type_proto::Value as Type;
use crate::onnx::{ModelProto, TensorShapeProto};
use crate::verify::reference::Value;

use super::error::PruneError;

/// Samples that are evaluated together, where the model takes any number.
const BATCH: usize = 32;

/// One sample in so many is held out: nothing is fitted to it.
const HELD_OUT: usize = 5;

/// Calibration samples, and perhaps what the outputs should say of them.
#[derive(Clone, Debug)]
pub struct Samples {
    inputs: BTreeMap<String, Value>,
    labels: Option<Vec<usize>>,
    count: usize,
}

/// Samples that are evaluated together.
pub(super) struct Batch {
    /// The place of each among all samples.
    pub places: Vec<usize>,
    pub inputs: BTreeMap<String, Value>,
}

impl Batch {
    /// The first `n` samples, unless the model takes a fixed number.
    pub(super) fn take(self, n: usize, fixed: bool) -> Self {
        let n = if fixed { self.places.len() } else { n.min(self.places.len()) };
        let places: Vec<usize> = (0..n).collect();
        let inputs = self.inputs.iter().map(|(name, v)| (name.clone(), picked(v, &places))).collect();
        Self { places: self.places[..n].to_vec(), inputs }
    }
}

fn picked(value: &Value, places: &[usize]) -> Value {
    match value {
        Value::F(a) => Value::F(rows(a, places)),
        Value::I(a) => Value::I(rows(a, places)),
        Value::B(a) => Value::B(rows(a, places)),
    }
}

impl Samples {
    /// One array an input, all with as many samples along axis 0.
    ///
    /// # Errors
    /// [`PruneError::Samples`] when there are none, when their numbers differ, or when one is not finite.
    pub fn new(inputs: BTreeMap<String, Value>) -> Result<Self, PruneError> {
        let fail = |reason: String| Err(PruneError::Samples(reason));
        let mut count: Option<(usize, &str)> = None;
        for (name, value) in &inputs {
            let Some(&n) = value.shape().first() else {
                return fail(format!("array '{name}' has no axis of samples"));
            };
            match count {
                Some((m, other)) if m != n => {
                    return fail(format!("array '{name}' has {n} samples, array '{other}' has {m}"));
                }
                _ => count = Some((n, name)),
            }
            if value.floats().is_some_and(|a| a.iter().any(|v| !v.is_finite())) {
                return fail(format!("array '{name}' holds NaN or infinity"));
            }
        }
        match count {
            Some((count, _)) if count > 0 => Ok(Self { inputs, labels: None, count }),
            _ => fail("there are none".to_owned()),
        }
    }

    /// The class of each sample.
    ///
    /// # Errors
    /// [`PruneError::Samples`] when there are not as many as samples.
    pub fn with_labels(self, labels: Vec<usize>) -> Result<Self, PruneError> {
        if labels.len() != self.count {
            return Err(PruneError::Samples(format!("{} labels for {} samples", labels.len(), self.count)));
        }
        Ok(Self { labels: Some(labels), ..self })
    }

    /// Number of samples.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The class of the sample at `place`.
    pub(super) fn label(&self, place: usize) -> Option<usize> {
        self.labels.as_ref()?.get(place).copied()
    }

    /// Samples to fit to, and samples that are held out, in batches that the model takes.
    ///
    /// # Errors
    /// [`PruneError::Samples`] when a shape does not fit an input of the model, or when there are too few.
    pub(super) fn batches(
        &self,
        view: &GraphView<'_>,
        facts: &Facts<'_>,
    ) -> Result<(Vec<Batch>, Vec<Batch>), PruneError> {
        let each = self.check(view, facts)?;
        let fixed = each.is_some();
        let each = each.unwrap_or(BATCH);
        let (fit, held): (Vec<usize>, Vec<usize>) = (0..self.count).partition(|i| i % HELD_OUT != HELD_OUT - 1);
        let (fit, held) = (self.cut(&fit, each, fixed), self.cut(&held, each, fixed));
        if fit.is_empty() || held.is_empty() {
            let each = if fixed { format!(", and the model takes {each} at a time") } else { String::new() };
            let reason = format!("{} are too few: one is held out of every {HELD_OUT}{each}", self.count);
            return Err(PruneError::Samples(reason));
        }
        Ok((fit, held))
    }

    /// All samples, in batches that the model takes.
    ///
    /// # Errors
    /// [`PruneError::Samples`] when a shape does not fit an input of the model.
    pub(super) fn all(&self, view: &GraphView<'_>, facts: &Facts<'_>) -> Result<Vec<Batch>, PruneError> {
        let each = self.check(view, facts)?;
        let places: Vec<usize> = (0..self.count).collect();
        Ok(self.cut(&places, each.unwrap_or(BATCH), each.is_some()))
    }

    /// The fixed batch of the model, if it has one.
    pub(super) fn check(&self, view: &GraphView<'_>, facts: &Facts<'_>) -> Result<Option<usize>, PruneError> {
        let mut each = None;
        for input in &view.graph().input {
            let Some(value) = view.value(input.name()).filter(|v| view.initializer(*v).is_none()) else { continue };
            let Some(array) = self.inputs.get(input.name()) else {
                return Err(PruneError::Samples(format!("there is no array for input '{}'", input.name())));
            };
            let Some(dims) = facts.shape(value) else { continue };
            let fits = |(i, (d, n)): (usize, (&Dim, &usize))| i == 0 || d.known().is_none_or(|d| d == *n as i64);
            if dims.len() != array.shape().len() || !dims.iter().zip(array.shape()).enumerate().all(fits) {
                let wanted: Vec<String> =
                    dims.iter().map(|d| d.known().map_or("?".into(), |n| n.to_string())).collect();
                return Err(PruneError::Samples(format!(
                    "array '{}' has shape {:?}, input '{0}' takes [{}]",
                    input.name(),
                    array.shape(),
                    wanted.join(", ")
                )));
            }
            each = each.or(dims.first().and_then(Dim::known).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0));
        }
        Ok(each)
    }

    /// `model` with inputs of the samples' sizes: of one sample, or of as many as it takes at a time.
    pub(super) fn sized(&self, model: &ModelProto) -> ModelProto {
        let mut sized = model.clone();
        for info in sized.graph.iter_mut().flat_map(|g| &mut g.input) {
            let Some(array) = self.inputs.get(info.name()) else { continue };
            let Some(Type::TensorType(tensor)) = info.r#type.as_mut().and_then(|t| t.value.as_mut()) else { continue };
            let known = |d: &Dimension| matches!(d.value, Some(DimValue(n)) if n > 0);
            let first = tensor.shape.as_ref().and_then(|s| s.dim.first()).filter(|d| known(d)).cloned();
            let free = |n: usize| Dimension { value: Some(DimValue(n as i64)), ..Dimension::default() };
            let rest = array.shape().iter().skip(1).map(|n| free(*n));
            let dim = std::iter::once(first.unwrap_or_else(|| free(1))).chain(rest).collect();
            tensor.shape = Some(TensorShapeProto { dim });
        }
        sized
    }

    fn cut(&self, places: &[usize], each: usize, whole: bool) -> Vec<Batch> {
        let chunks = places.chunks(each).filter(|c| !whole || c.len() == each);
        let batch = |places: &[usize]| {
            let inputs = self.inputs.iter().map(|(name, v)| (name.clone(), picked(v, places))).collect();
            Batch { places: places.to_vec(), inputs }
        };
        chunks.map(batch).collect()
    }
}

fn rows<T: Clone>(array: &ArrayD<T>, places: &[usize]) -> ArrayD<T> {
    array.select(Axis(0), places)
}
