//! Normalisation by statistics of the tensor itself: `InstanceNormalization`, `GroupNormalization` (in one node, or between two
//! `Reshape`s), `LayerNormalization` (in one node, between two `Transpose`s, or written out), GRN.
//!
//! Its statistics run over channels or positions, so no carried channel may be among what is normalised. The body's channels are taken
//! out, normalised by the very nodes that the network has, and put back: `Where(mask, x, spread(f(take(x))))`. Nothing is proved of `f`
//! but that it is a function of one tensor which keeps that one's shape; carried values pass as they are. What it costs is a second
//! read of `x`, as every `Where`, and two moves of the body's channels: only where that was asked for (`--open-norms`).

use std::collections::{BTreeMap, BTreeSet};

use crate::algebra::{Layout, Slot};
use crate::emit::Emit;
use crate::graph::{NodeId, Use, ValueId};
use crate::read::affine::same_shape;
use crate::read::{Context, Reject, RejectCode, data_inputs};

use super::activation::spared;
use super::rows::sizes;
use super::{Arrival, Form, Found, Operation, Reading, Step, unstacked};

/// Most nodes of one normalisation.
const MAX_NODES: usize = 24;

/// Operators that compute statistics and apply them, ...
pub(super) const NORMS: [&str; 7] = [
    "InstanceNormalization",
    "GroupNormalization",
    "LayerNormalization",
    "RMSNormalization",
    "LpNormalization",
    "MeanVarianceNormalization",
    "LRN",
];

/// ... statistics alone, ...
const STATISTICS: [&str; 4] = ["ReduceMean", "ReduceSum", "ReduceL2", "ReduceSumSquare"];

/// ... and what stands around them.
const AROUND: [&str; 12] =
    ["Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Reciprocal", "Max", "Cast", "Reshape", "Transpose", "Identity"];

/// A function of one tensor of so many channels, as the nodes that compute it, in order.
struct Norm {
    nodes: Vec<NodeId>,
    input: ValueId,
    /// The one that computes the result.
    last: NodeId,
    channels: usize,
}

pub(crate) fn read(cx: Context<'_>, node: NodeId, value: ValueId) -> Found {
    let extents = if cx.options.open_norms { extents(cx, value) } else { Vec::new() };
    let readings: Vec<Reading> =
        extents.into_iter().filter_map(|(input, nodes)| reading(cx, node, input, nodes)).collect();
    if readings.is_empty() { None } else { Some(Ok(readings)) }
}

fn reading(cx: Context<'_>, last: NodeId, input: ValueId, nodes: Vec<NodeId>) -> Option<Reading> {
    let channels = cx.channels(input)?;
    let mut reads: Vec<Use> = cx.view.uses(input).iter().copied().filter(|u| nodes.contains(&u.node)).collect();
    let mut all = nodes.clone();
    for reshape in nodes.iter().filter(|n| cx.view.op(**n) == "Reshape" && target(cx, **n).is_some()) {
        let (computing, shapes) = sizes(cx, *reshape);
        all.extend(computing);
        reads.extend(shapes.into_iter().filter(|u| cx.view.input(u.node, u.slot) == Some(input)));
    }
    let norm = Norm { nodes, input, last, channels };
    Some(Reading { step: Step::Operation(Box::new(norm)), input, reads, nodes: all })
}

/// The tensors of the shape of `value` of which `value` is a normalisation, the nearest first, and the nodes between. The nearest need
/// not be the one: it may be what the mean was taken from already, or have its axes in another order, where all are of one size.
fn extents(cx: Context<'_>, value: ValueId) -> Vec<(ValueId, Vec<NodeId>)> {
    let position = |v: &ValueId| cx.view.def(*v).map(|n| cx.view.position(n));
    let mut found = Vec::new();
    let mut nodes: BTreeMap<usize, NodeId> = BTreeMap::new();
    let mut front: BTreeSet<(Option<usize>, ValueId)> = BTreeSet::from([(position(&value), value)]);
    while let Some((at, latest)) = front.pop_last() {
        let source = at.zip(cx.view.def(latest));
        // Everything in front of the latest tensor leads through it when it is the only one left.
        if front.is_empty() && is_norm(cx, nodes.values()) && same_shape(cx, latest, value) {
            found.push((latest, nodes.values().copied().collect()));
        }
        let Some((at, node)) = source else { break };
        let op = cx.view.op(node);
        let known = NORMS.contains(&op) || STATISTICS.contains(&op) || AROUND.contains(&op);
        if !known || cx.view.outputs(node).iter().flatten().count() != 1 || nodes.len() == MAX_NODES {
            break;
        }
        let inputs = data_inputs(cx, node);
        front.extend(inputs.into_iter().map(|v| (position(&v), v)));
        nodes.insert(at, node);
    }
    found
}

/// True for nodes that compute statistics and divide by them. A mean alone is a gate.
fn is_norm<'n>(cx: Context<'_>, nodes: impl Iterator<Item = &'n NodeId>) -> bool {
    let ops: BTreeSet<&str> = nodes.map(|n| cx.view.op(*n)).collect();
    let has = |listed: &[&str]| listed.iter().any(|op| ops.contains(op));
    has(&NORMS) || has(&STATISTICS) && has(&["Div", "Reciprocal"])
}

/// Where each of the body's channels stands in `lin`.
fn columns(lin: &[Slot], channels: usize) -> Option<Vec<usize>> {
    (0..channels).map(|c| lin.iter().position(|s| s.body == Some(c as u32) && s.over.is_none())).collect()
}

/// The sizes that the `Reshape` at `node` asks for, when one of them at most is not known.
fn target(cx: Context<'_>, node: NodeId) -> Option<Vec<i64>> {
    let shape = cx.facts.shape(cx.view.output(node)?)?;
    let sizes: Vec<i64> = shape.iter().map(|d| d.known().unwrap_or(-1)).collect();
    (sizes.iter().filter(|n| **n == -1).count() <= 1).then_some(sizes)
}

impl Operation for Norm {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        unstacked(cx, self.last, arrival, "what is normalised")?;
        if cx.view.opset() < 9 {
            let reason = "passing a normalisation needs opset 9 (Where)";
            return Err(
                Reject::at(cx.view, self.last, RejectCode::Opset, reason).hint("convert the model to a newer opset")
            );
        }
        Ok(Form::Apart)
    }

    fn layout(&self, lin: &[Slot]) -> Option<Layout> {
        let whole = lin.iter().all(|s| s.over.is_none() && !(s.body.is_some() && s.carried.is_some()));
        (whole && columns(lin, self.channels).is_some()).then(|| lin.to_vec())
    }

    fn emit(
        &self,
        cx: Context<'_>,
        emit: &mut Emit<'_>,
        _: Form,
        input: &str,
        lin: &[Slot],
        output: &str,
    ) -> Option<()> {
        let result = cx.view.output(self.last)?;
        let site = cx.view.name(result).to_owned();
        let alone = lin.len() == self.channels && columns(lin, self.channels)?.is_sorted();
        let body = match alone {
            true => input.to_owned(),
            false => emit.take(&format!("{site}_body"), input, lin.len(), &columns(lin, self.channels)?, None),
        };
        let mut names: BTreeMap<ValueId, String> = BTreeMap::from([(self.input, body)]);
        for node in &self.nodes {
            let proto = cx.view.node(*node);
            let value = cx.view.output(*node)?;
            let mut inputs: Vec<String> = proto
                .input
                .iter()
                .map(|name| cx.view.value(name).and_then(|v| names.get(&v)).unwrap_or(name).clone())
                .collect();
            if cx.view.op(*node) == "Reshape"
                && let (Some(target), Some(shape)) = (target(cx, *node), inputs.get_mut(1))
            {
                *shape = emit.int64s(&format!("{}_shape", cx.view.name(value)), &target);
            }
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            let direct = alone && *node == self.last;
            let name = if direct { output.to_owned() } else { emit.fresh(&format!("{}_apart", cx.view.name(value))) };
            emit.copy(proto, &inputs, &name);
            names.insert(value, name);
        }
        if !alone {
            let spread = emit.spread(&format!("{site}_spread"), names.get(&result)?, lin, 0.0);
            let mask = emit.mask(&format!("{site}_mask"), spared(lin));
            emit.node("Where", &format!("{site}_select"), &[&mask, input, &spread], output, Vec::new());
        }
        Some(())
    }
}
