//! `Max` or `Min` with a bound for each channel: what an earlier rewrite makes of a `Clip` or a `Relu`. Carried
//! channels get the extreme finite value, which changes none of theirs.

use crate::algebra::Slot;
use crate::emit::Emit;
use crate::facts::tensor::largest;
use crate::graph::{NodeId, ValueId};
use crate::read::affine::per_channel;
use crate::read::{Context, Reject};

use super::activation::per_slot;
use super::{Arrival, Form, Found, Operation, Reading, Step, found, unstacked};

struct ChannelBound {
    node: NodeId,
    slot: usize,
    bounds: Vec<f64>,
}

pub(crate) fn read(cx: Context<'_>, node: NodeId, _: ValueId) -> Found {
    let inputs = cx.view.inputs(node);
    if !matches!(cx.view.op(node), "Max" | "Min") || inputs.len() != 2 || cx.view.opset() < 8 {
        return None;
    }
    let slot = (0..2).find(|s| cx.view.input(node, *s).is_some_and(|v| cx.facts.is_data(v)))?;
    let data = cx.view.input(node, slot)?;
    let constant = cx.facts.constant(cx.view.input(node, 1 - slot)?)?;
    let bounds = per_channel(cx, &constant.data, data)?;
    if bounds.iter().any(|b| b.is_nan()) {
        return None;
    }
    found(Reading::one(cx, node, slot, Step::Operation(Box::new(ChannelBound { node, slot, bounds }))))
}

impl Operation for ChannelBound {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        unstacked(cx, self.node, arrival, "its bounds").map(|()| Form::Bounds)
    }

    fn is_activation(&self) -> bool {
        true
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
        let sign = if cx.view.op(self.node) == "Max" { -1.0 } else { 1.0 };
        let neutral = sign * largest(emit.dtype);
        let bound = emit.per_channel(&format!("{}_bound", node.name()), per_slot(&self.bounds, lin, neutral)?);
        let mut inputs = [input, bound.as_str()];
        if self.slot == 1 {
            inputs.swap(0, 1);
        }
        emit.copy(node, &inputs, output);
        Some(())
    }
}
