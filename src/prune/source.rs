//! Samples and labels out of files.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::{ArrayD, Axis, concatenate};

use crate::onnx::ModelProto;
use crate::onnx::tensor_proto::DataType;
use crate::verify::reference::Value;
use crate::verify::samples::{self, Preprocess, SampleError};
use crate::verify::signature::{self, Port, PortDim};

use super::error::PruneError;
use super::samples::Samples;

/// Most elements of all samples: 8 GiB of float64.
const MAX_ELEMENTS: usize = 1 << 30;

impl From<SampleError> for PruneError {
    fn from(error: SampleError) -> Self {
        Self::Samples(error.to_string())
    }
}

impl Samples {
    /// Reads samples for `model` from an .npz with one array an input, an .npy, or folders of ONNX test data; with `preprocess`, from a
    /// folder of images. The sets are put together along axis 0.
    ///
    /// # Errors
    /// [`PruneError::Samples`] names the file, what in it, and the condition.
    pub fn from_path(model: &ModelProto, path: &Path, preprocess: Option<&Preprocess>) -> Result<Self, PruneError> {
        let mut ports: Vec<Port> = model.graph.iter().flat_map(signature::inputs).collect();
        // A file has all samples; how many the model takes at once is looked after later.
        for first in ports.iter_mut().filter_map(|p| p.dims.as_mut()?.first_mut()) {
            *first = PortDim::Free;
        }
        let sets = match preprocess {
            Some(preprocess) => samples::Samples::images(path, preprocess, 1, &ports)?,
            None => samples::Samples::open(path, &ports, &[])?,
        };
        let mut parts: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let mut elements = 0;
        for index in 0..sets.len() {
            for (name, value) in sets.read(index)?.inputs {
                elements += value.shape().iter().product::<usize>();
                parts.entry(name).or_default().push(value);
            }
            if elements > MAX_ELEMENTS {
                let reason = format!("{}: more than {MAX_ELEMENTS} values; give fewer samples", path.display());
                return Err(PruneError::Samples(reason));
            }
        }
        let joined = parts.into_iter().map(|(name, values)| match join(values) {
            Some(value) => Ok((name, value)),
            None => Err(PruneError::Samples(format!("{}: the shapes for input '{name}' differ", path.display()))),
        });
        Self::new(joined.collect::<Result<_, _>>()?).map_err(|error| match error {
            PruneError::Samples(reason) => PruneError::Samples(format!("{}: {reason}", path.display())),
            other => other,
        })
    }

    /// The same samples with the class of each, out of an .npy of integers.
    ///
    /// # Errors
    /// As [`Samples::from_path`].
    pub fn labelled(self, path: &Path) -> Result<Self, PruneError> {
        let port = Port { name: "labels".to_owned(), dtype: Some(DataType::Int64), dims: None };
        let read = samples::Samples::open(path, &[port], &[])?.read(0)?;
        let wrong = |reason: &str| PruneError::Samples(format!("{}: {reason}", path.display()));
        let Some(Value::I(labels)) = read.inputs.get("labels") else { return Err(wrong("labels are integers")) };
        let classes: Result<Vec<usize>, _> = labels.iter().map(|n| usize::try_from(*n)).collect();
        self.with_labels(classes.map_err(|_| wrong("a label is negative"))?)
    }
}

fn join(values: Vec<Value>) -> Option<Value> {
    fn rows<T: Clone>(all: Vec<ArrayD<T>>) -> Option<ArrayD<T>> {
        match <[ArrayD<T>; 1]>::try_from(all) {
            Ok([one]) => Some(one),
            Err(all) => concatenate(Axis(0), &all.iter().map(|a| a.view()).collect::<Vec<_>>()).ok(),
        }
    }
    let (mut floats, mut integers, mut booleans) = (Vec::new(), Vec::new(), Vec::new());
    for value in values {
        match value {
            Value::F(a) => floats.push(a),
            Value::I(a) => integers.push(a),
            Value::B(a) => booleans.push(a),
        }
    }
    match (floats.is_empty(), integers.is_empty(), booleans.is_empty()) {
        (false, true, true) => rows(floats).map(Value::F),
        (true, false, true) => rows(integers).map(Value::I),
        (true, true, false) => rows(booleans).map(Value::B),
        _ => None,
    }
}
