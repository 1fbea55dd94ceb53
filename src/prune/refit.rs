//! Every layer solved again, in order: what it reads in the pruned model, for what it gave in the original.
//!
//! Where a layer's output goes into a sum whose other side was computed before, it also makes up for what that side has lost
//! ("drift"): its target is the original's sum, less the pruned model's other side.

use std::collections::{BTreeSet, HashMap};

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayD, Axis};

use crate::facts::{Facts, tensor};
use crate::graph::{GraphView, NodeId};
use crate::onnx::ModelProto;

use super::coupling::{Coupling, Form, Layer};
use super::error::PruneError;
use super::patches::{self, Positions};
use super::samples::Batch;
use super::solve;
use super::statistics::{MAX_COLUMNS, POSITIONS, matrices, spatial};
use super::walk::Walk;
use super::write::Weights;

/// Ridges that are tried, as shares of the mean diagonal of the normal equations.
const RIDGES: [f64; 6] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1];

/// Variances below this share of the mean square are rounding.
const NOTHING: f64 = 1e-12;

/// One batch in so many is not fitted to, but judges the ridge.
const JUDGES: usize = 4;

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
    pub batches: &'a [Batch],
    pub seed: u64,
}

/// Sums over rows: of the columns, of the targets, and of products.
struct Sums {
    rows: f64,
    x: Array1<f64>,
    y: Array1<f64>,
    xx: Array2<f64>,
    xy: Array2<f64>,
    yy: f64,
}

impl Sums {
    fn new(columns: usize, outputs: usize) -> Self {
        let (x, y) = (Array1::zeros(columns), Array1::zeros(outputs));
        Self { rows: 0.0, x, y, xx: Array2::zeros((columns, columns)), xy: Array2::zeros((columns, outputs)), yy: 0.0 }
    }

    fn add(&mut self, x: &Array2<f64>, y: &Array2<f64>) {
        self.rows += x.nrows() as f64;
        self.x += &x.sum_axis(Axis(0));
        self.y += &y.sum_axis(Axis(0));
        general_mat_mul(1.0, &x.t(), x, 1.0, &mut self.xx);
        general_mat_mul(1.0, &x.t(), y, 1.0, &mut self.xy);
        self.yy += y.iter().map(|v| v * v).sum::<f64>();
    }

    /// Both together.
    fn with(&self, other: &Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            x: &self.x + &other.x,
            y: &self.y + &other.y,
            xx: &self.xx + &other.xx,
            xy: &self.xy + &other.xy,
            yy: self.yy + other.yy,
        }
    }

    /// Weights and bias that are best by these sums; `prior` is where the ridge pulls to.
    fn solve(&self, ridge: f64, prior: &Array2<f64>, biased: bool) -> Option<(Array2<f64>, Array1<f64>)> {
        let (mut a, mut b) = (&self.xx / self.rows, &self.xy / self.rows);
        let (mx, my) = (&self.x / self.rows, &self.y / self.rows);
        if biased {
            for ((mut row, mut side), m) in a.outer_iter_mut().zip(b.outer_iter_mut()).zip(&mx) {
                row.scaled_add(-m, &mx);
                side.scaled_add(-m, &my);
            }
        }
        // Entries that do not vary leave rounding errors of their means: nothing is fitted to these.
        let n = a.nrows().max(1) as f64;
        let nothing = NOTHING * self.xx.diag().sum() / (self.rows * n) + f64::MIN_POSITIVE.sqrt();
        let ridge = ridge * a.diag().sum() / n + nothing;
        a.diag_mut().iter_mut().for_each(|d| *d += ridge);
        b.scaled_add(ridge, prior);
        let weights = solve::solve(a.view(), b.view())?;
        let bias = if biased { my - mx.dot(&weights) } else { Array1::zeros(my.len()) };
        weights.iter().all(|w| w.is_finite()).then_some((weights, bias))
    }

    /// Sum of squared errors of `weights` and `bias`.
    fn error(&self, weights: &Array2<f64>, bias: &Array1<f64>) -> f64 {
        let squares = (&self.xx.dot(weights) * weights).sum() - 2.0 * (&self.xy * weights).sum() + self.yy;
        let means = weights.t().dot(&self.x);
        squares
            + bias.iter().zip(&means).zip(&self.y).map(|((b, m), y)| b * (self.rows * b + 2.0 * (m - y))).sum::<f64>()
    }
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
        let columns = layer.inputs.iter().filter(|c| fit.lives(**c)).count() * layer.taps;
        let same = !dirty.reach(fit, layer.node) && fit.origin.is_empty();
        if same || columns > MAX_COLUMNS {
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
        let name = |v| view.name(v);
        let (input, output) = (name(self.slot(layer.node, 0)), view.output(layer.node).map_or("", name));
        let kept: Vec<usize> = (0..layer.outputs.len()).filter(|o| self.lives(layer.outputs[*o])).collect();
        let was = |o: &usize| self.origin.get(output).map_or(Some(*o), |all| all.get(*o).copied());
        let Some(origin) = kept.iter().map(was).collect::<Option<Vec<usize>>>() else { return Ok(None) };
        let columns: Vec<usize> = (0..layer.inputs.len()).filter(|c| self.lives(layer.inputs[*c])).collect();
        let side = self.other_side(layer.node);
        let mut small = layer.clone();
        small.inputs = columns.iter().map(|c| layer.inputs[*c]).collect();
        let each = kept.len() / layer.group;
        let width = columns.len() * layer.taps;
        let mut sums: Vec<[Sums; 2]> =
            (0..layer.group).map(|_| [Sums::new(width, each), Sums::new(width, each)]).collect();
        for (i, batch) in self.batches.iter().enumerate() {
            let values = pruned.floats(i, input).zip(original.floats(i, output));
            let Some((x, y)) = values else { return Ok(None) };
            let Some(sizes) = spatial(&small, x.shape()) else { return Ok(None) };
            let total = sizes.iter().product();
            let positions = Positions::draw(&batch.places, total, POSITIONS, self.seed, output);
            let Some(mut target) = patches::outputs(y, &positions, &origin) else { return Ok(None) };
            if let Some((was, is)) = side.and_then(|s| original.floats(i, s).zip(pruned.floats(i, s))) {
                let all: Vec<usize> = (0..kept.len()).collect();
                let both = patches::outputs(was, &positions, &origin).zip(patches::outputs(is, &positions, &all));
                if let Some((was, is)) = both {
                    target = target + was - is;
                }
            }
            let part = usize::from(self.batches.len() >= JUDGES && i % JUDGES == JUDGES - 1);
            for (group, sums) in sums.iter_mut().enumerate() {
                let Some(rows) = patches::inputs(&small, x, &sizes, &positions, group) else { return Ok(None) };
                let own: Vec<usize> = (group * each..(group + 1) * each).collect();
                sums[part].add(&rows, &target.select(Axis(1), &own));
            }
        }
        let Some(priors) = matrices(self.facts, layer) else { return Ok(None) };
        let rows: Vec<usize> = columns.iter().flat_map(|c| c * layer.taps..(c + 1) * layer.taps).collect();
        let mut parts = Vec::new();
        let per = layer.outputs.len() / layer.group;
        for (group, ([fit, judge], prior)) in sums.iter().zip(priors).enumerate() {
            let own: Vec<usize> = kept.iter().filter(|o| **o / per == group).map(|o| o % per).collect();
            let prior = prior.select(Axis(0), &rows).select(Axis(1), &own);
            let Some(found) = best(fit, judge, &prior, layer.has_bias) else { return Ok(None) };
            parts.push(found);
        }
        Ok(Some(self.arrays(layer, parts, columns.len())))
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

/// The weights with the ridge that is best where nothing was fitted, fitted to everything then.
fn best(fit: &Sums, judge: &Sums, prior: &Array2<f64>, biased: bool) -> Option<(Array2<f64>, Array1<f64>)> {
    if judge.rows == 0.0 {
        return fit.solve(RIDGES[3], prior, biased);
    }
    let tried = RIDGES.iter().filter_map(|ridge| {
        let (weights, bias) = fit.solve(*ridge, prior, biased)?;
        Some((judge.error(&weights, &bias), *ridge))
    });
    let (_, ridge) = tried.min_by(|a, b| a.0.total_cmp(&b.0))?;
    fit.with(judge).solve(ridge, prior, biased)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ndarray::array;

    #[test]
    fn the_fit_finds_a_line_and_the_error_is_that_of_the_rows() {
        let x = array![[0.0], [1.0], [2.0], [3.0]];
        let y = x.mapv(|v| 2.0 * v - 1.0);
        let mut sums = Sums::new(1, 1);
        sums.add(&x, &y);
        let (w, b) = sums.solve(1e-12, &Array2::zeros((1, 1)), true).unwrap();
        assert!((w[[0, 0]] - 2.0).abs() < 1e-9 && (b[0] + 1.0).abs() < 1e-9);
        let (w, b) = (array![[1.5]], array![0.25]);
        let by_hand: f64 = x.iter().zip(&y).map(|(x, y)| (1.5 * x + 0.25 - y).powi(2)).sum();
        assert!((sums.error(&w, &b) - by_hand).abs() < 1e-9);
    }
}
