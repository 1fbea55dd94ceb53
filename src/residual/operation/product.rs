//! `Mul`, `Add` and `Sub` with a second tensor of data: gates (squeeze-excite, ECA, SiLU written out), products of
//! two branches, broadcast sums. The other operand is extended with the neutral element on every carried
//! channel, 1 for a product and 0 for a sum, so that carried values pass bit for bit. One that all channels share, the
//! gate of a pixel (CBAM), becomes one for each channel: itself for the body's, the neutral element for the carried.

use crate::algebra::Slot;
use crate::emit::Emit;
use crate::facts::Dim;
use crate::graph::{NodeId, ValueId};
use crate::read::{Context, Reject, RejectCode};

use super::{Arrival, Form, Found, Operation, Reading, Step};

struct Operand {
    node: NodeId,
    slot: usize,
    input: ValueId,
    other: ValueId,
    neutral: f64,
}

pub(crate) fn read(cx: Context<'_>, node: NodeId, _: ValueId) -> Found {
    let neutral = match cx.view.op(node) {
        "Mul" => 1.0,
        "Add" | "Sub" => 0.0,
        _ => return None,
    };
    let (a, b) = (cx.view.input(node, 0)?, cx.view.input(node, 1)?);
    if a == b || !cx.facts.is_data(a) || !cx.facts.is_data(b) {
        return None;
    }
    let readings: Vec<Reading> = [(0, a, b), (1, b, a)]
        .into_iter()
        .filter_map(|(slot, input, other)| {
            let (gate, flat) = (is_flat(cx, other), is_flat(cx, input));
            // A sum of two whole tensors is a join: it is removed by itself, and only when it stays the branch leads
            // through it.
            if cx.facts.rank(input)? != cx.facts.rank(other)?
                || neutral == 0.0 && !cx.through_joins && (!gate || flat)
                // The branch comes in by the map, not by what weights it.
                || flat && !gate
                || weights(cx, input, other)
                // What is subtracted would come out negated; and what a mean is taken from is no join that stays.
                || cx.view.op(node) == "Sub" && (slot == 1 || gate || cx.channels(other) == Some(1))
            {
                return None;
            }
            let pass = Operand { node, slot, input, other, neutral };
            Reading::one(cx, node, slot, Step::Operation(Box::new(pass)))
        })
        .collect();
    if readings.is_empty() { None } else { Some(Ok(readings)) }
}

/// True when all positions are known to be one: a gate is `[N, C, 1, ...]`, or `[N, 1, C]`.
fn is_flat(cx: Context<'_>, value: ValueId) -> bool {
    let Some(shape) = cx.facts.shape(value) else { return false };
    let positions = &shape[cx.frame.positions(shape.len())];
    !positions.is_empty() && positions.iter().all(|d| *d == Dim::Known(1))
}

/// True when `value` has one channel for all of those of `whole`, and repeats along no other axis of it what it has.
fn weights(cx: Context<'_>, value: ValueId, whole: ValueId) -> bool {
    let (Some(a), Some(b)) = (cx.facts.shape(value), cx.facts.shape(whole)) else { return false };
    let repeats = |a: &Dim, b: &Dim| *b == Dim::Known(1) && *a != Dim::Known(1);
    cx.channels(value) == Some(1)
        && cx.channels(whole).is_some_and(|c| c > 1)
        && !a.iter().zip(b).any(|(a, b)| repeats(a, b))
}

/// True unless an axis of size `own` keeps it beside an operand of size `other`: where both are the same, the other is 1, or
/// its own is more than 1, which no other size fits.
pub(super) fn enlarges(own: &Dim, other: &Dim) -> bool {
    let same = own == other && *own != Dim::Unknown;
    !same && *other != Dim::Known(1) && own.known().is_none_or(|n| n <= 1)
}

/// The size of `value` along `axis`, when it is known.
fn size(cx: Context<'_>, value: ValueId, axis: usize) -> Option<i64> {
    cx.facts.shape(value)?.get(axis)?.known()
}

impl Operand {
    /// True when the other operand has one channel for all of the body's, which stand on `axis`.
    fn is_shared(&self, cx: Context<'_>, axis: usize) -> bool {
        size(cx, self.other, axis) == Some(1) && size(cx, self.input, axis).is_some_and(|c| c > 1)
    }
}

impl Operation for Operand {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        let refuse = |code, reason: &str| Reject::at(cx.view, self.node, code, reason);
        let shared = self.is_shared(cx, arrival.axis);
        let (since, reason) = match shared {
            true => (9, "a gate that all channels share needs opset 9 (Where)"),
            false => (2, "extending a gate needs opset 2 (Pad)"),
        };
        if cx.view.opset() < since {
            return Err(refuse(RejectCode::Opset, reason).hint("convert the model to a newer opset"));
        }
        let (maps, weights) = (size(cx, self.input, 1), size(cx, self.other, 1));
        if arrival.stacked && weights != Some(1) && (weights.is_none() || weights != maps) {
            let reason = "it weights one map in several ways, so carried channels would be summed up";
            return Err(refuse(RejectCode::CannotPass, reason));
        }
        let (channels, gates) = (size(cx, self.input, arrival.axis), size(cx, self.other, arrival.axis));
        if channels.is_none() || channels != gates && !shared {
            let reason = "its operands are not known to have the same channels";
            return Err(refuse(RejectCode::SizeUnknown, reason));
        }
        Ok(Form::Neutral)
    }

    fn repeats(&self, cx: Context<'_>) -> bool {
        let (Some(own), Some(other)) = (cx.facts.shape(self.input), cx.facts.shape(self.other)) else { return true };
        let rank = own.len();
        let axes = if cx.is_channels_first() { cx.frame.positions(rank) } else { 0..rank.saturating_sub(1) };
        own.len() != other.len() || axes.into_iter().any(|axis| enlarges(&own[axis], &other[axis]))
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
        let node = cx.view.node(self.node);
        let name = node.name().to_owned();
        let other = cx.view.name(self.other);
        let gate = if self.is_shared(cx, emit.axis) {
            emit.select(&format!("{name}_gate"), self.neutral, other, lin)
        } else {
            emit.spread(&format!("{name}_gate"), other, lin, self.neutral)
        };
        let mut inputs = [input, gate.as_str()];
        if self.slot == 1 {
            inputs.swap(0, 1);
        }
        emit.copy(node, &inputs, output);
        Some(())
    }
}
