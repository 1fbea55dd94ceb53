//! How much of what a layer gives wrongly arrives at the model's outputs.
//!
//! No gradient is needed: each layer alone loses a share of what it reads, the cheapest, with its weights made up for it, and the
//! outputs are looked at. White noise would not do: an average pool evens it out, and what a layer loses with a channel it does not.

use std::collections::BTreeMap;

use ndarray::{ArrayD, Axis, concatenate};

use crate::facts::Facts;
use crate::onnx::ModelProto;
use crate::read::Context;
use crate::verify::reference::{self, Trace, Value};

use super::coupling::{Coupling, Form, Layer};
use super::error::PruneError;
use super::samples::Batch;
use super::select::State;
use super::write::{Weights, edited};

/// Share of the channels that a layer loses to find out.
const THINNED: f64 = 0.25;

/// For each layer, the change of the outputs for one unit of squared error in what it gives.
///
/// # Errors
/// When a model cannot be run.
pub(super) fn estimate(
    proto: &ModelProto,
    cx: Context<'_>,
    coupling: &Coupling,
    (states, positions): (&[State], &[f64]),
    free: &[bool],
    batches: &[Batch],
    progress: &mut dyn FnMut(usize, usize) -> Result<(), PruneError>,
) -> Result<Vec<f64>, PruneError> {
    let outputs: Vec<&str> = cx.view.graph().output.iter().map(|o| o.name()).collect();
    let run = |proto: &ModelProto, b: &Batch| reference::run_to(proto, &b.inputs, &outputs);
    let plain: Vec<_> = batches.iter().map(|b| run(proto, b)).collect::<Result<_, _>>()?;
    let mut found = vec![0.0; coupling.layers.len()];
    let probes = probes(cx.facts, coupling, states, free);
    let (count, alive) = (probes.len(), vec![true; coupling.len()]);
    for (i, (layer, (lost, weights))) in probes.into_iter().enumerate() {
        progress(i, count)?;
        let thinned = edited(proto, cx, coupling, &alive, &weights)?;
        let mut changed = 0.0;
        for (batch, plain) in batches.iter().zip(&plain) {
            changed += change(&outputs, plain, &run(&thinned, batch)?);
        }
        found[layer] = changed / (batches.len() as f64 * lost * positions[layer]);
    }
    // Of a layer that could not be thinned nothing is known: it counts as the others do.
    let mut known: Vec<f64> = found.iter().copied().filter(|s| *s > 0.0 && s.is_finite()).collect();
    known.sort_by(f64::total_cmp);
    let usual = known.get(known.len() / 2).copied().unwrap_or(1.0);
    Ok(found.into_iter().map(|s| if s > 0.0 && s.is_finite() { s } else { usual }).collect())
}

/// What each layer alone loses when it is thinned, and with which weights: by layer.
fn probes(facts: &Facts<'_>, coupling: &Coupling, states: &[State], free: &[bool]) -> BTreeMap<usize, (f64, Weights)> {
    let mut layers: BTreeMap<usize, Vec<&State>> = BTreeMap::new();
    states.iter().for_each(|s| layers.entry(s.layer).or_default().push(s));
    let probe = |(layer, states): (usize, Vec<&State>)| {
        let mut lost = 0.0;
        let thinned: Vec<State> = states
            .iter()
            .map(|s| {
                let mut copy = (*s).clone();
                lost += copy.thin(THINNED, free);
                copy
            })
            .collect();
        let weights = thinned_weights(facts, &coupling.layers[layer], &states, &thinned)?;
        (lost > 0.0).then_some((layer, (lost, weights)))
    };
    layers.into_iter().filter_map(probe).collect()
}

/// The constants of a layer with those weights; its bias takes what changes in the mean.
fn thinned_weights(facts: &Facts<'_>, layer: &Layer, was: &[&State], is: &[State]) -> Option<Weights> {
    let view = facts.view();
    let shape = facts.constant_shape(view.input(layer.node, 1)?)?;
    let all: Vec<_> = is.iter().map(|s| s.weights.t()).collect();
    let rows = concatenate(Axis(0), &all).ok()?;
    let rows = match layer.form {
        Form::Linear { input_axis: 0 } | Form::Transposed => rows.reversed_axes(),
        _ => rows,
    };
    let data = ArrayD::from_shape_vec(shape, rows.iter().copied().collect()).ok()?;
    let mut weights = Weights::from([((layer.node, 1), data)]);
    if layer.has_bias && !matches!(layer.form, Form::Transposed) {
        let mut bias = match view.input(layer.node, 2) {
            Some(b) => facts.constant(b)?.data.iter().copied().collect(),
            None => vec![0.0; layer.outputs.len()],
        };
        let shift = was.iter().zip(is).flat_map(|(a, b)| (&a.weights - &b.weights).t().dot(&a.mean));
        bias.iter_mut().zip(shift).for_each(|(b, s)| *b += s);
        // As the node has it: `[outputs]`, or with axes of one entry in front.
        let own = view.input(layer.node, 2).and_then(|b| facts.constant_shape(b));
        let shape = own.unwrap_or_else(|| vec![bias.len()]);
        weights.insert((layer.node, 2), ArrayD::from_shape_vec(shape, bias).ok()?);
    }
    Some(weights)
}

/// Mean squared change of all `outputs` of a sample, each relative to its own mean square.
fn change(outputs: &[&str], plain: &Trace, other: &Trace) -> f64 {
    outputs.iter().map(|o| relative(plain.get(o), other.get(o))).sum()
}

fn relative(a: Option<&Value>, b: Option<&Value>) -> f64 {
    match (a, b) {
        (Some(Value::F(a)), Some(Value::F(b))) => {
            let size: f64 = a.iter().map(|v| v * v).sum();
            let change: f64 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
            if size > 0.0 { change / size } else { 0.0 }
        }
        (Some(Value::I(a)), Some(Value::I(b))) => share(a.iter().zip(b).map(|(a, b)| a != b)),
        (Some(Value::B(a)), Some(Value::B(b))) => share(a.iter().zip(b).map(|(a, b)| a != b)),
        _ => 0.0,
    }
}

/// Share of `true`.
fn share(all: impl Iterator<Item = bool>) -> f64 {
    let (n, count) = all.fold((0_usize, 0_usize), |(n, count), other| (n + usize::from(other), count + 1));
    n as f64 / count.max(1) as f64
}
