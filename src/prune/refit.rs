//! Every layer solved again, in order: what it reads in the pruned model, for what it gave in the original.
//!
//! Where a layer's output goes into a sum whose other side was computed before, it also makes up for what that side has lost
//! ("drift"): its target is the original's sum, less the pruned model's other side.

use std::collections::{BTreeSet, HashMap};

use ndarray::{Array1, Array2, ArrayD, Axis};

use crate::algebra::normal::Normal;
use crate::facts::{Facts, tensor};
use crate::graph::{GraphView, NodeId};
use crate::onnx::ModelProto;

use super::coupling::{Coupling, Form, Layer};
use super::decouple;
use super::error::PruneError;
use super::flat::{self, Flat};
use super::patches::{self, Positions};
use super::samples::Batch;
use super::statistics::{MAX_COLUMNS, POSITIONS, matrices, spatial};
use super::walk::Walk;
use super::write::Weights;

/// Ridges that are tried, as shares of the mean diagonal of the normal equations.
const RIDGES: [f64; 6] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1];

/// One batch in so many is not fitted to, but judges the ridge.
const JUDGES: usize = 4;

/// How often a layer in front of a bend is fitted again, to targets that know what it gives by now. The error falls by less each time.
const PASSES: usize = 8;

/// Places of channels in the model that the first round began with, by tensor.
pub(super) type Origin = HashMap<String, Vec<usize>>;

/// Everything that stays the same from layer to layer.
pub(super) struct Fit<'a> {
    pub view: &'a GraphView<'a>,
    pub facts: &'a Facts<'a>,
    pub coupling: &'a Coupling,
    pub alive: &'a [bool],
    /// The model that the first round began with, and the one of this round without the channels that go: nodes in topological order.
    pub models: (&'a ModelProto, &'a ModelProto),
    /// Which channels of the first one's layers are left in this round, by what they give; all where nothing stands.
    pub origin: &'a Origin,
    /// What layers on shortcuts give; those that only select channels stay as they are.
    pub shortcuts: &'a BTreeSet<String>,
    pub batches: &'a [Batch],
    pub seed: u64,
}

/// Weights and biases of all layers that read something else than they did, by node and input.
///
/// # Errors
/// When a model cannot be run.
pub(super) fn refit(
    fit: &Fit<'_>,
    progress: &mut dyn FnMut(usize, usize) -> Result<(), PruneError>,
) -> Result<Weights, PruneError> {
    let mut original = Walk::new(fit.models.0, fit.batches)?;
    let mut pruned = Walk::new(fit.models.1, fit.batches)?;
    let mut layers: Vec<(usize, usize, &Layer)> = Vec::new();
    for layer in fit.coupling.layers.iter().filter(|l| l.refits) {
        let name = fit.view.output(layer.node).map_or("", |v| fit.view.name(v));
        if let Some(places) = original.place(name).zip(pruned.place(name)) {
            layers.push((places.0, places.1, layer));
        }
    }
    layers.sort_by_key(|l| l.0);
    let mut fitted = Weights::new();
    let mut dirty = Dirty::default();
    let count = layers.len();
    for (i, (place, own, layer)) in layers.into_iter().enumerate() {
        progress(i, count)?;
        let columns = fit.columns(layer).len() * layer.taps;
        let side = fit.other_side(layer.node).and_then(|name| fit.view.value(name));
        let beside = |dirty: &Dirty| side.is_some_and(|v| dirty.tensors.contains(&v));
        let same = !dirty.reach(fit, layer.node) && !beside(&dirty) && fit.origin.is_empty();
        if same || columns > MAX_COLUMNS || fit.selects(layer) {
            continue;
        }
        original.advance(place + 1)?;
        pruned.advance(own)?;
        if let Some(new) = fit.layer(layer, &original, &pruned)? {
            for (slot, data) in new {
                pruned.put(own, slot, &data, fit.facts.dtype(fit.slot(layer.node, 1)).unwrap_or_default());
                fitted.insert((layer.node, slot), data);
            }
        }
    }
    Ok(fitted)
}

/// Tensors that hold other values than in the original, channels that are gone left out of account.
#[derive(Default)]
struct Dirty {
    seen: usize,
    tensors: BTreeSet<crate::graph::ValueId>,
}

impl Dirty {
    /// Goes on to `node`; true when it gives something else than it did.
    fn reach(&mut self, fit: &Fit<'_>, node: NodeId) -> bool {
        let view = fit.view;
        let order: Vec<NodeId> =
            view.nodes().skip(self.seen).take_while(|n| view.position(*n) <= view.position(node)).collect();
        self.seen += order.len();
        for n in order {
            let lost = |l: &Layer| l.node == n && !l.inputs.iter().all(|c| fit.lives(*c));
            let other = view.inputs(n).iter().flatten().any(|v| self.tensors.contains(v));
            if other || fit.coupling.layers.iter().any(lost) {
                self.tensors.extend(view.outputs(n).iter().flatten());
            }
        }
        view.output(node).is_some_and(|v| self.tensors.contains(&v))
    }
}

type New = Vec<(usize, ArrayD<f64>)>;

impl Fit<'_> {
    fn lives(&self, channel: super::coupling::Channel) -> bool {
        self.alive[self.coupling.root(channel) as usize]
    }

    /// The places of a group's inputs that are left.
    fn columns(&self, layer: &Layer) -> Vec<usize> {
        let left =
            |place: &usize| layer.inputs.iter().skip(*place).step_by(layer.each().max(1)).any(|c| self.lives(*c));
        (0..layer.each()).filter(left).collect()
    }

    /// True for a layer on a shortcut of which only a selection of channels is left.
    fn selects(&self, layer: &Layer) -> bool {
        let named = self.view.output(layer.node).is_some_and(|v| self.shortcuts.contains(self.view.name(v)));
        let left =
            |list: &[super::coupling::Channel]| (0..list.len()).filter(|i| self.lives(list[*i])).collect::<Vec<_>>();
        let weight = named.then(|| self.facts.constant(self.slot(layer.node, 1))).flatten();
        weight.is_some_and(|w| {
            let rest = w.data.select(Axis(0), &left(&layer.outputs)).select(Axis(1), &left(&layer.inputs));
            decouple::selection(&rest).is_some()
        })
    }

    fn slot(&self, node: NodeId, slot: usize) -> crate::graph::ValueId {
        self.view.input(node, slot).unwrap_or(crate::graph::ValueId(0))
    }

    /// The other side of the only sum that reads what `node` gives.
    fn other_side(&self, node: NodeId) -> Option<&str> {
        let view = self.view;
        let output = view.output(node).filter(|v| view.is_private(*v))?;
        let join = view.uses(output).first()?.node;
        let sides: Vec<_> = view.inputs(join).iter().flatten().filter(|v| **v != output).collect();
        match (view.op(join), sides.as_slice()) {
            ("Add" | "Sum", [side])
                if self.facts.is_data(**side) && self.facts.shape(**side) == self.facts.shape(output) =>
            {
                Some(view.name(**side))
            }
            _ => None,
        }
    }

    /// The new weight and bias of one layer; `None` when there is nothing to fit to.
    fn layer(&self, layer: &Layer, original: &Walk<'_>, pruned: &Walk<'_>) -> Result<Option<New>, PruneError> {
        let view = self.view;
        let output = view.output(layer.node).map_or("", |v| view.name(v));
        let kept: Vec<usize> = (0..layer.outputs.len()).filter(|o| self.lives(layer.outputs[*o])).collect();
        let was = |o: &usize| self.origin.get(output).map_or(Some(*o), |all| all.get(*o).copied());
        let Some(origin) = kept.iter().map(was).collect::<Option<Vec<usize>>>() else { return Ok(None) };
        let columns = self.columns(layer);
        let per = layer.outputs.len() / layer.group;
        let mut groups: Vec<usize> = kept.iter().map(|o| o / per).collect();
        groups.dedup();
        let mut small = layer.clone();
        small.inputs.retain(|c| self.lives(*c));
        small.group = groups.len();
        let side = self.other_side(layer.node);
        let known = side.is_none_or(|s| original.floats(0, s).is_some());
        let flat = flat::behind(self.view, self.facts, layer.node, side.is_some()).filter(|_| known);
        let seen = Seen { fit: self, layer: &small, output, side, origin: &origin, walks: (original, pruned), flat };
        let Some(priors) = matrices(self.facts, layer) else { return Ok(None) };
        let rows: Vec<usize> = columns.iter().flat_map(|c| c * layer.taps..(c + 1) * layer.taps).collect();
        let prior = |group: usize| {
            let own: Vec<usize> = kept.iter().filter(|o| **o / per == group).map(|o| o % per).collect();
            Some(priors.get(group)?.select(Axis(0), &rows).select(Axis(1), &own))
        };
        let parts = groups.iter().enumerate().map(|(place, group)| seen.fit(place, &prior(*group)?));
        let parts: Option<Vec<_>> = parts.collect();
        Ok(parts.map(|parts| self.arrays(layer, parts, columns.len())))
    }

    /// Weights and biases as the node has them.
    fn arrays(&self, layer: &Layer, parts: Vec<(Array2<f64>, Array1<f64>)>, inputs: usize) -> New {
        let bias: Vec<f64> = parts.iter().flat_map(|(_, b)| b.iter().copied()).collect();
        let outputs = bias.len();
        let data = match &layer.form {
            Form::Conv(window) => {
                let mut shape = vec![outputs, inputs];
                shape.extend(&window.kernel);
                let rows: Vec<f64> =
                    parts.iter().flat_map(|(w, _)| w.t().iter().copied().collect::<Vec<_>>()).collect();
                ArrayD::from_shape_vec(shape, rows)
            }
            Form::Linear { input_axis: 0 } => Ok(parts[0].0.clone().into_dyn()),
            _ => Ok(parts[0].0.t().to_owned().into_dyn()),
        };
        let mut new = Vec::new();
        new.extend(data.ok().map(|d| (1, d)));
        if layer.has_bias {
            new.push((2, Array1::from(bias).into_dyn()));
        }
        new
    }
}

/// What a layer is fitted to.
struct Seen<'a> {
    fit: &'a Fit<'a>,
    /// Without the inputs that are gone.
    layer: &'a Layer,
    output: &'a str,
    /// The other side of the sum behind it.
    side: Option<&'a str>,
    /// Where its outputs stand in the original.
    origin: &'a [usize],
    /// The original and the pruned model.
    walks: (&'a Walk<'a>, &'a Walk<'a>),
    flat: Option<Flat>,
}

/// Of a batch: what the layer reads, the sum that it should give, and what the other side of that sum has.
struct Rows {
    x: Array2<f64>,
    sum: Array2<f64>,
    beside: Array2<f64>,
}

impl Seen<'_> {
    fn rows(&self, batch: usize, group: usize) -> Option<Rows> {
        let view = self.fit.view;
        let (original, pruned) = self.walks;
        let input = view.name(self.fit.slot(self.layer.node, 0));
        let (x, y) = (pruned.floats(batch, input)?, original.floats(batch, self.output)?);
        let sizes = spatial(self.layer, x.shape())?;
        let places = &self.fit.batches.get(batch)?.places;
        let positions = Positions::draw(places, sizes.iter().product(), POSITIONS, self.fit.seed, self.output);
        let each = self.origin.len() / self.layer.group;
        let own = group * each..(group + 1) * each;
        let origin = &self.origin[own.clone()];
        let mut sum = patches::outputs(y, &positions, origin)?;
        let mut beside = Array2::zeros(sum.dim());
        if let Some(was) = self.side.and_then(|s| original.floats(batch, s)) {
            let was = patches::outputs(was, &positions, origin)?;
            sum += &was;
            // A side that comes later is taken to have lost nothing.
            beside = match self.side.and_then(|s| pruned.floats(batch, s)) {
                Some(is) => patches::outputs(is, &positions, &own.collect::<Vec<_>>())?,
                None => was,
            };
        }
        let x = patches::inputs(self.layer, x, &sizes, &positions, group)?;
        Some(Rows { x, sum, beside })
    }

    /// Weights and bias of one group.
    fn fit(&self, group: usize, prior: &Array2<f64>) -> Option<(Array2<f64>, Array1<f64>)> {
        let batches = self.fit.batches.len();
        let (columns, outputs) = prior.dim();
        let mut parts = [Normal::new(columns, outputs), Normal::new(columns, outputs)];
        for batch in 0..batches {
            let rows = self.rows(batch, group)?;
            let part = usize::from(batches >= JUDGES && batch % JUDGES == JUDGES - 1);
            parts[part].add(&rows.x, &(rows.sum - rows.beside));
        }
        let biased = self.layer.has_bias;
        let [fit, judge] = parts;
        let ridge = best(&fit, &judge, prior, biased)?;
        let mut sums = fit.with(&judge);
        let mut found = sums.solve(ridge, prior, biased)?;
        let Some(flat) = self.flat else { return Some(found) };
        for _ in 0..PASSES {
            sums.forget_targets();
            for batch in 0..batches {
                let Rows { x, mut sum, beside } = self.rows(batch, group)?;
                let given = x.dot(&found.0) + &found.1 + &beside;
                sum.zip_mut_with(&given, |want, given| *want = flat.target(*want, *given));
                sums.add_targets(&x, &(sum - beside));
            }
            found = sums.solve(ridge, prior, biased)?;
        }
        Some(found)
    }
}

/// The ridge that is best where nothing was fitted.
fn best(fit: &Normal, judge: &Normal, prior: &Array2<f64>, biased: bool) -> Option<f64> {
    if judge.is_empty() {
        return Some(RIDGES[3]);
    }
    let tried = RIDGES.iter().filter_map(|ridge| {
        let (weights, bias) = fit.solve(*ridge, prior, biased)?;
        Some((judge.error(&weights, &bias), *ridge))
    });
    Some(tried.min_by(|a, b| a.0.total_cmp(&b.0))?.1)
}

impl Walk<'_> {
    fn floats(&self, batch: usize, tensor: &str) -> Option<&ArrayD<f64>> {
        self.value(batch, tensor)?.floats()
    }

    /// Puts `data` in the place of the constant that the node at `place` reads at `slot`.
    fn put(&mut self, place: usize, slot: usize, data: &ArrayD<f64>, dtype: crate::onnx::tensor_proto::DataType) {
        if let Some(name) = self.input(place, slot).map(str::to_owned) {
            self.replace(&name, tensor::write(&name, data, dtype));
        }
    }
}
