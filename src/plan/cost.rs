//! What things cost: multiply-accumulates, parameters, bytes, elements moved, time.

use std::cmp::Ordering;

use crate::facts::{Dim, Facts};
use crate::graph::{self, GraphView, NodeId, ValueId};
use crate::onnx::{GraphProto, ModelProto, NodeProto};
use crate::options::{Objective, Rates};

use super::change::Price;

use super::latency;
use super::memory;
use super::work::Work;

/// The cost of a candidate, by every measure. Where sizes are unknown all are relative to one position of the fork.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Multiply-accumulates for one image.
    pub macs: f64,
    /// Weights.
    pub params: f64,
    /// Elements that are read and written.
    pub moved: f64,
    /// Elements that are alive at once, where most are: nothing on a chain is read twice, so that is what an operator reads and
    /// computes, or the larger of both where it writes over what it reads ([`memory`]).
    pub peak: f64,
    /// Operators.
    pub nodes: f64,
    /// Elements that go through activations.
    pub nonlinear: f64,
    /// Nanoseconds, by the model of [`latency`].
    pub time: f64,
}

impl Cost {
    /// A convolution.
    #[must_use]
    pub fn conv(work: &Work, rates: &Rates) -> Self {
        let (params, moved) = (work.weights() as f64, work.moved());
        let macs = params * work.positions.1;
        Self { macs, params, moved, peak: moved, nodes: 1.0, time: latency::conv(work, rates), ..Self::default() }
    }

    /// A selection of so many channels.
    #[must_use]
    pub fn select(inputs: usize, outputs: usize, positions: f64, rates: &Rates) -> Self {
        let peak = (inputs + outputs) as f64 * positions;
        let moved = 2.0 * outputs as f64 * positions;
        Self { moved, peak, nodes: 1.0, time: latency::select(inputs, outputs, positions, rates), ..Self::default() }
    }

    /// Any other operator that computes so many elements, `plain` when it is what stood in the network. `alive` elements are in
    /// memory while it runs: those it computes alone, where it writes over what it reads.
    #[must_use]
    pub fn pass(elements: f64, alive: f64, plain: bool, rates: &Rates) -> Self {
        let moved = 2.0 * elements;
        Self { moved, peak: alive, nodes: 1.0, time: latency::pass(moved, plain, rates), ..Self::default() }
    }

    /// The same, of an operator that is an activation.
    #[must_use]
    pub fn activation(elements: f64, alive: f64, plain: bool, rates: &Rates) -> Self {
        Self { nonlinear: elements, ..Self::pass(elements, alive, plain, rates) }
    }

    /// Which of two candidates is better for `objective`; what it does not tell apart, the measures behind it do.
    #[must_use]
    pub fn order(&self, other: &Self, objective: Objective) -> Ordering {
        let measures = |c: &Self| match objective {
            Objective::Macs => [c.macs, c.params, c.moved],
            Objective::Parameters => [c.params, c.macs, c.moved],
            Objective::Memory => [c.peak, c.moved, c.macs],
            Objective::Latency => [c.time, c.macs, c.params],
            Objective::Nodes => [c.nodes, c.time, c.macs],
            Objective::Nonlinear => [c.nonlinear, c.macs, c.params],
            Objective::Constraints => [c.nonlinear + c.macs, c.params, c.moved],
        };
        let pairs = measures(self).into_iter().zip(measures(other));
        pairs.map(|(a, b)| a.total_cmp(&b)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// True when it is better than `other`, or there is none.
    #[must_use]
    pub fn beats(&self, other: Option<&Self>, objective: Objective) -> bool {
        other.is_none_or(|other| self.order(other, objective).is_lt())
    }
}

impl std::ops::Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            macs: self.macs + other.macs,
            params: self.params + other.params,
            moved: self.moved + other.moved,
            peak: self.peak.max(other.peak),
            nodes: self.nodes + other.nodes,
            nonlinear: self.nonlinear + other.nonlinear,
            time: self.time + other.time,
        }
    }
}

/// Multiply-accumulates of `node` for one image: `Conv`, `ConvTranspose`, `Gemm`, `MatMul`. `Some(0)` for every
/// other operator, `None` when a size is unknown, and for products that are not read here: quantised ones, those of other
/// domains, and those in a body, for it is not known how often that runs.
#[must_use]
pub fn macs(view: &GraphView<'_>, facts: &Facts<'_>, node: NodeId) -> Option<u64> {
    let weights = |slot: usize| -> Option<u64> {
        let shape = facts.constant_shape(view.input(node, slot)?)?;
        Some(shape.iter().fold(1, |n: u64, d| n.saturating_mul(*d as u64)))
    };
    match view.op(node) {
        "Conv" => Some(weights(1)?.saturating_mul(positions(facts, view.output(node)?)?)),
        "ConvTranspose" => Some(weights(1)?.saturating_mul(positions(facts, view.input(node, 0)?)?)),
        "Gemm" => weights(1),
        "MatMul" => {
            let inner = last(facts, view.input(node, 0)?)?;
            Some(inner.saturating_mul(elements(facts, view.output(node)?)?))
        }
        "QLinearConv" | "QLinearMatMul" | "ConvInteger" | "MatMulInteger" | "DeformConv" => None,
        _ if graph::inner_nodes(view.node(node)).into_iter().any(multiplies) => None,
        op if op.contains("::") && ["Conv", "MatMul", "Gemm", "Attention"].iter().any(|part| op.contains(part)) => None,
        _ => Some(0),
    }
}

/// True for a node that multiplies and accumulates, or may.
fn multiplies(node: &NodeProto) -> bool {
    ["Conv", "MatMul", "Gemm", "Attention"].iter().any(|part| node.op_type().contains(part))
}

/// Multiply-accumulates of a convolution with so many weights that computes `output`.
#[must_use]
pub fn conv_macs(facts: &Facts<'_>, weights: usize, output: ValueId) -> Option<u64> {
    Some((weights as u64).saturating_mul(positions(facts, output)?))
}

/// Weights of `node`, the bias not counted.
#[must_use]
pub fn params(view: &GraphView<'_>, facts: &Facts<'_>, node: NodeId) -> u64 {
    let shape = view.input(node, 1).and_then(|v| facts.constant_shape(v)).unwrap_or_default();
    shape.iter().fold(1, |n: u64, d| n.saturating_mul(*d as u64))
}

fn known(dims: &[Dim]) -> Option<u64> {
    dims.iter().try_fold(1_u64, |n, d| match d {
        Dim::Known(k) => Some(n.saturating_mul(u64::try_from(*k).ok()?)),
        _ => None,
    })
}

/// Entries along the spatial axes.
fn positions(facts: &Facts<'_>, value: ValueId) -> Option<u64> {
    known(facts.shape(value)?.get(2..)?)
}

fn last(facts: &Facts<'_>, value: ValueId) -> Option<u64> {
    facts.shape(value)?.last().and_then(|d| known(std::slice::from_ref(d)))
}

/// Entries of one image: the first axis counts once.
fn elements(facts: &Facts<'_>, value: ValueId) -> Option<u64> {
    known(facts.shape(value)?.get(1..)?)
}

/// What the whole model costs, for one image.
#[must_use]
pub fn price(model: &ModelProto, view: &GraphView<'_>, facts: &Facts<'_>, joins: usize) -> Price {
    let nodes: Vec<NodeId> = view.nodes().collect();
    let params = weights(view.graph());
    let macs = nodes.iter().try_fold(0_u64, |n, node| Some(n.saturating_add(macs(view, facts, *node)?)));
    let bytes = prost::Message::encoded_len(model) as u64;
    let activation_bytes = memory::peak(view, facts).map(|peak| peak.bytes);
    Price { macs, params, bytes, nodes: nodes.len(), joins, activation_bytes }
}

/// Elements of the constants of `graph` and of the graphs inside of it. Some exporters keep weights in `Constant` nodes.
fn weights(graph: &GraphProto) -> u64 {
    let written = graph.node.iter().filter(|n| n.op_type() == "Constant").flat_map(|n| &n.attribute);
    let tensors = graph.initializer.iter().chain(written.filter_map(|a| a.t.as_ref()));
    let own = tensors.map(|t| t.dims.iter().fold(1_u64, |n, d| n.saturating_mul(u64::try_from(*d).unwrap_or(0))));
    let inside = graph.node.iter().flat_map(graph::graphs).map(weights);
    own.chain(inside).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conv(inputs: usize, outputs: usize, group: usize, side: f64) -> Cost {
        Cost::conv(&Work { inputs, outputs, group, taps: 9, positions: (side * side, side * side) }, &Rates::default())
    }

    #[test]
    fn an_objective_decides_by_its_own_measure_first() {
        use Objective::{Latency, Macs, Memory, Nodes, Nonlinear, Parameters};
        let base = Cost { macs: 2.0, params: 2.0, moved: 2.0, peak: 2.0, nodes: 2.0, nonlinear: 2.0, time: 2.0 };
        let better = [
            (Macs, Cost { macs: 1.0, params: 9.0, time: 9.0, ..base }),
            (Parameters, Cost { params: 1.0, macs: 9.0, ..base }),
            (Memory, Cost { peak: 1.0, moved: 9.0, ..base }),
            (Latency, Cost { time: 1.0, macs: 9.0, nodes: 9.0, ..base }),
            (Nodes, Cost { nodes: 1.0, time: 9.0, ..base }),
            (Nonlinear, Cost { nonlinear: 1.0, params: 9.0, ..base }),
        ];
        for (i, (objective, cost)) in better.iter().enumerate() {
            assert!(cost.beats(Some(&base), *objective) && !base.beats(Some(cost), *objective), "{objective:?}");
            let (other, _) = better[(i + 1) % better.len()];
            assert!(!cost.beats(Some(&base), other), "{objective:?} is not {other:?}");
        }
        let sums = Cost { macs: 0.5, nonlinear: 3.0, ..base };
        assert!(sums.beats(Some(&base), Objective::Constraints) && !sums.beats(Some(&base), Nonlinear));
        assert!(base.beats(None, Macs) && !base.beats(Some(&base), Macs));
    }

    #[test]
    fn one_behind_the_other_costs_both_and_the_larger_tensors() {
        let (a, b) = (conv(64, 64, 1, 8.0), conv(64, 128, 2, 8.0));
        let both = a + b;
        assert_eq!((both.macs, both.nodes, both.peak), (a.macs + b.macs, 2.0, b.peak));
        assert!(both.time > a.time.max(b.time));
    }

    #[test]
    fn what_is_written_over_is_alive_once() {
        let rates = &Rates::default();
        let around = conv(64, 64, 1, 8.0);
        assert_eq!((around + Cost::activation(4096.0, 4096.0, true, rates)).peak, around.peak);
        assert!((around + Cost::pass(8192.0, 16384.0, true, rates)).peak > around.peak);
    }

    #[test]
    fn small_groups_are_slower_than_whole_blocks() {
        let rates = &Rates::default();
        let (blocks, small) = (conv(256, 256, 16, 14.0), conv(256, 256, 32, 14.0));
        assert!(small.macs < blocks.macs && small.time > blocks.time);
        let (dense, deep) = (conv(256, 256, 1, 14.0), conv(256, 256, 256, 14.0));
        assert!(deep.time < blocks.time && blocks.time < dense.time);
        assert!(Cost::select(64, 64, 1.0, rates).time > Cost::pass(64.0, 64.0, true, rates).time);
    }
}
