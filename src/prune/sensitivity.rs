//! How much of an error in what a layer gives arrives at the model's outputs.

use std::cell::RefCell;
use std::sync::Arc;

use crate::graph::GraphView;
use crate::onnx::{ModelProto, NodeProto};
use crate::verify::random::Random;
use crate::verify::reference::{self, Tap, Trace, Value};

use super::coupling::Coupling;
use super::error::PruneError;
use super::samples::Batch;
use super::statistics::by_output;

/// Noise, as a share of the size of what it is added to: small enough to stay with the same activations mostly.
const NOISE: f64 = 0.1;

/// Adds noise to one tensor.
struct Shaken<'a> {
    tensor: &'a str,
    random: RefCell<Random>,
    /// Sum of squares of what was added.
    added: RefCell<f64>,
}

impl Tap for Shaken<'_> {
    fn output(&self, _: &NodeProto, name: &str, value: &mut Arc<Value>) {
        if name != self.tensor {
            return;
        }
        if let Value::F(a) = Arc::make_mut(value) {
            let size = (a.iter().map(|v| v * v).sum::<f64>() / a.len().max(1) as f64).sqrt();
            let mut random = self.random.borrow_mut();
            let mut added = 0.0;
            a.iter_mut().for_each(|v| {
                let noise = NOISE * size * random.normal();
                *v += noise;
                added += noise * noise;
            });
            *self.added.borrow_mut() += added;
        }
    }
}

/// For each layer, the squared change of all outputs, each relative to its own size, for one unit of squared error in what the layer gives:
/// estimated with random noise. No gradient is needed.
///
/// # Errors
/// When the model cannot be run.
pub(super) fn estimate(
    (model, view): (&ModelProto, &GraphView<'_>),
    coupling: &Coupling,
    batches: &[Batch],
    seed: u64,
    progress: &mut dyn FnMut(usize, usize) -> Result<(), PruneError>,
) -> Result<Vec<f64>, PruneError> {
    let outputs: Vec<&str> = view.graph().output.iter().map(|o| o.name()).collect();
    let mut names = vec![""; coupling.layers.len()];
    by_output(view, coupling).into_iter().for_each(|(name, i)| names[i] = name);
    let plain: Vec<Trace> =
        batches.iter().map(|b| reference::run_to(model, &b.inputs, &outputs)).collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for (i, name) in names.iter().enumerate() {
        progress(i, names.len())?;
        if coupling.layers[i].depthwise {
            found.push(0.0);
            continue;
        }
        let (mut change, mut added) = (0.0, 0.0);
        for (batch, plain) in batches.iter().zip(&plain) {
            let tap = Shaken { tensor: name, random: RefCell::new(Random::new(seed, name)), added: RefCell::new(0.0) };
            let shaken = reference::run_tapped(model, &batch.inputs, &outputs, &tap)?;
            added += *tap.added.borrow();
            change += outputs.iter().map(|o| relative(plain.get(o), shaken.get(o))).sum::<f64>();
        }
        found.push(if added > 0.0 { change / added } else { 0.0 });
    }
    Ok(found)
}

/// Squared difference, relative to the mean square of `a`.
fn relative(a: Option<&Value>, b: Option<&Value>) -> f64 {
    let (Some(a), Some(b)) = (a.and_then(Value::floats), b.and_then(Value::floats)) else { return 0.0 };
    let size = a.iter().map(|v| v * v).sum::<f64>() / a.len().max(1) as f64;
    let change: f64 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    if size > 0.0 { change / size } else { 0.0 }
}
