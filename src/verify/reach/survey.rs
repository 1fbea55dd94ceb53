//! What the tensors of a model look like on the inputs at hand, without keeping them.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use ndarray::{ArrayD, Axis};

use crate::onnx::{ModelProto, NodeProto};
use crate::verify::reference::{self, Tap, Value};

use super::probe::Inputs;

/// A float tensor on several inputs.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    pub(super) shape: Vec<usize>,
    /// The least and the largest entry at each place of axis 1; of the whole, where there is no axis 1.
    pub(super) ranges: Vec<(f64, f64)>,
    /// For each input a weighted sum of the entries, and that of their sizes.
    sums: Vec<(f64, f64)>,
    squares: f64,
    entries: f64,
}

/// How far the sums of one tensor in two models may lie apart, of the sum of sizes: other arithmetic, and nothing else.
const CLOSE: f64 = 1e-4;

impl Look {
    fn add(&mut self, a: &ArrayD<f64>) {
        let channels = if a.ndim() > 1 { a.shape()[1] } else { 1 };
        self.shape = a.shape().to_vec();
        self.ranges.resize(channels, (f64::INFINITY, f64::NEG_INFINITY));
        let hull = |r: (f64, f64), v: &f64| (r.0.min(*v), r.1.max(*v));
        if a.ndim() > 1 {
            for (part, range) in a.axis_iter(Axis(1)).zip(&mut self.ranges) {
                *range = part.iter().fold(*range, hull);
            }
        } else {
            self.ranges[0] = a.iter().fold(self.ranges[0], hull);
        }
        // Weights that repeat at no usual size of a tensor, so that entries which change places show.
        let weighted = a.iter().enumerate().map(|(i, v)| (v * (1.0 + (i % 997) as f64 / 997.0), v.abs()));
        self.sums.push(weighted.fold((0.0, 0.0), |sum, v| (sum.0 + v.0, sum.1 + v.1)));
        self.squares += a.iter().map(|v| v * v).sum::<f64>();
        self.entries += a.len() as f64;
    }

    /// The root of the mean square.
    pub(super) fn rms(&self) -> f64 {
        (self.squares / self.entries.max(1.0)).sqrt()
    }

    /// True when both models have computed the same here.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        let close = |(a, b): (&(f64, f64), &(f64, f64))| (a.0 - b.0).abs() <= CLOSE * a.1.max(b.1);
        self.shape == other.shape && self.sums.len() == other.sums.len() && self.sums.iter().zip(&other.sums).all(close)
    }
}

/// The float tensors that nodes of the main graph read or that are given out, on all of `fed` that `model` can be evaluated on.
pub(super) fn survey(model: &ModelProto, fed: &[&BTreeMap<String, Value>]) -> HashMap<String, Look> {
    let mut looks = HashMap::new();
    let Some(graph) = &model.graph else { return looks };
    let outputs: Vec<&str> = graph.output.iter().map(|o| o.name()).collect();
    let is_input = |name: &str| graph.input.iter().any(|i| i.name() == name);
    for feed in fed {
        let own = feed.iter().filter(|(name, _)| is_input(name));
        let own: BTreeMap<String, Value> = own.map(|(n, v)| (n.clone(), v.clone())).collect();
        let surveyor = Surveyor { looks: &looks, seen: RefCell::default() };
        if let Ok(trace) = reference::run_tapped(model, &own, &outputs, &surveyor) {
            trace.tensors().for_each(|(name, value)| surveyor.see(name, value));
            let seen = surveyor.seen.into_inner();
            looks.extend(seen);
        }
    }
    looks
}

/// Adds one evaluation to `looks`. A tensor is read by several nodes, and looked at once.
struct Surveyor<'l> {
    looks: &'l HashMap<String, Look>,
    seen: RefCell<HashMap<String, Look>>,
}

impl Surveyor<'_> {
    fn see(&self, name: &str, value: &Value) {
        let mut seen = self.seen.borrow_mut();
        if let Some(a) = value.floats().filter(|_| !seen.contains_key(name)) {
            let mut look = self.looks.get(name).cloned().unwrap_or_default();
            look.add(a);
            seen.insert(name.to_owned(), look);
        }
    }
}

impl Tap for Surveyor<'_> {
    fn read(&self, node: &NodeProto, inputs: Inputs<'_>) {
        for (name, value) in node.input.iter().zip(inputs) {
            value.iter().for_each(|v| self.see(name, v));
        }
    }
}
