//! What things cost: multiply-accumulates, parameters, bytes.

use crate::facts::{Dim, Facts};
use crate::graph::{GraphView, NodeId, ValueId};
use crate::onnx::ModelProto;

use super::change::Price;

/// The cost of a candidate, compared in this order: multiply-accumulates, parameters, channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Cost {
    /// Multiply-accumulates for one image; relative to one position of the fork where sizes are unknown.
    pub macs: f64,
    /// Weights.
    pub params: f64,
    /// Channels of all intermediate tensors.
    pub channels: f64,
}

impl Cost {
    /// A convolution with so many weights, output positions and output channels.
    #[must_use]
    pub fn conv(weights: usize, positions: f64, channels: usize) -> Self {
        Self { macs: weights as f64 * positions, params: weights as f64, channels: channels as f64 }
    }
}

impl std::ops::Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            macs: self.macs + other.macs,
            params: self.params + other.params,
            channels: self.channels + other.channels,
        }
    }
}

/// Multiply-accumulates of `node` for one image: `Conv`, `ConvTranspose`, `Gemm`, `MatMul`. `Some(0)` for every
/// other operator, `None` when a size is unknown.
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
        _ => Some(0),
    }
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
    let params = view
        .graph()
        .initializer
        .iter()
        .map(|t| t.dims.iter().fold(1_u64, |n, d| n.saturating_mul(u64::try_from(*d).unwrap_or(0))))
        .fold(0, u64::saturating_add);
    let macs = nodes.iter().try_fold(0_u64, |n, node| Some(n.saturating_add(macs(view, facts, *node)?)));
    Price { macs, params, bytes: prost::Message::encoded_len(model) as u64, nodes: nodes.len(), joins }
}
