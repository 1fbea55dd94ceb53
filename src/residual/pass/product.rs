//! `Mul` and `Add` with a second tensor of data: gates (squeeze-excite, ECA, SiLU written out), products of
//! two branches, broadcast sums. The other operand is extended with the neutral element on every carried
//! channel, 1 for a product and 0 for a sum, so that carried values pass bit for bit.

use crate::algebra::Slot;
use crate::facts::Dim;
use crate::graph::{NodeId, ValueId};
use crate::residual::emit::Emit;
use crate::residual::reject::{Reject, RejectCode};

use super::{Arrival, Context, Form, Found, Pass, Reading, Step};

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
        "Add" => 0.0,
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
            {
                return None;
            }
            let pass = Operand { node, slot, input, other, neutral };
            Reading::one(cx, node, slot, Step::Pass(Box::new(pass)))
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

impl Pass for Operand {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        let refuse = |code, reason: &str| Reject::at(cx.view, self.node, code, reason);
        if cx.view.opset() < 11 {
            let reason = "extending a gate needs opset 11 (Pad with a value)";
            return Err(refuse(RejectCode::Opset, reason).hint("convert the model to a newer opset"));
        }
        let at = |v: ValueId, axis: usize| cx.facts.shape(v).and_then(|s| s.get(axis)).and_then(Dim::known);
        let size = |v: ValueId| at(v, arrival.axis);
        let (maps, weights) = (at(self.input, 1), at(self.other, 1));
        if arrival.stacked && weights != Some(1) && (weights.is_none() || weights != maps) {
            let reason = "it weights one map in several ways, so carried channels would be summed up";
            return Err(refuse(RejectCode::CannotPass, reason));
        }
        if size(self.input).is_none() || size(self.input) != size(self.other) {
            let reason = "its operands are not known to have the same channels";
            return Err(refuse(RejectCode::SizeUnknown, reason));
        }
        Ok(Form::Neutral)
    }

    fn broadcasts(&self) -> bool {
        true
    }

    fn emit(&self, cx: Context<'_>, emit: &mut Emit<'_>, _: Form, input: &str, lin: &[Slot], output: &str) {
        let node = cx.view.node(self.node);
        let name = node.name().to_owned();
        let gate = emit.spread(&format!("{name}_gate"), cx.view.name(self.other), lin, self.neutral);
        let mut inputs = [input, gate.as_str()];
        if self.slot == 1 {
            inputs.swap(0, 1);
        }
        emit.copy(node, &inputs, output);
    }
}
