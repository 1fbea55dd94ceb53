//! `Add`, `Sub`, `Mul` and `Div` by a constant that differs between positions: a mask, a window, an embedding of places. On carried
//! channels it is the neutral element at every position, 0 for a sum and 1 for a product, so that they pass bit for bit.

use ndarray::{ArrayD, Axis, IxDyn};

use crate::algebra::{MAX_WEIGHTS, Slot};
use crate::emit::Emit;
use crate::facts::Dim;
use crate::graph::{NodeId, ValueId};
use crate::read::{BROADCASTS_SINCE, Context, Reject, RejectCode};

use super::product::enlarges;
use super::{Arrival, Form, Found, Operation, Reading, Step, found, unstacked};

struct Positions {
    node: NodeId,
    slot: usize,
    input: ValueId,
    constant: ValueId,
    neutral: f64,
}

pub(crate) fn read(cx: Context<'_>, node: NodeId, _: ValueId) -> Found {
    let neutral = match cx.view.op(node) {
        "Mul" | "Div" => 1.0,
        "Add" | "Sub" => 0.0,
        _ => return None,
    };
    let [Some(a), Some(b)] = cx.view.inputs(node) else { return None };
    // A constant minus the branch, or over it, is no sum and no product with it.
    let both = matches!(cx.view.op(node), "Add" | "Mul");
    let (slot, input, constant) = match (cx.facts.is_data(*a), cx.facts.is_data(*b)) {
        (true, false) => (0, *a, *b),
        (false, true) if both => (1, *b, *a),
        _ => return None,
    };
    let shape = aligned(cx, constant, input)?;
    let (channels, along) = (cx.channels(input)?, cx.axis(input)?);
    let fits = |(axis, n): (usize, &usize)| match axis {
        _ if axis == along => *n == 1 || *n == channels,
        0 => *n == 1,
        _ => true,
    };
    let plain = cx.view.opset() >= BROADCASTS_SINCE && shape.iter().enumerate().all(fits);
    if !plain || !cx.facts.is_constant(constant) {
        return None;
    }
    found(Reading::one(cx, node, slot, Step::Operation(Box::new(Positions { node, slot, input, constant, neutral }))))
}

/// The shape of the constant with as many axes as `input` has. `None` when it has more.
fn aligned(cx: Context<'_>, constant: ValueId, input: ValueId) -> Option<Vec<usize>> {
    let (shape, rank) = (cx.facts.constant_shape(constant)?, cx.facts.rank(input)?);
    let missing = rank.checked_sub(shape.len())?;
    Some(std::iter::repeat_n(1, missing).chain(shape).collect())
}

/// Most slots of a layout, in channels of the body and carried ones.
const MAX_SPREAD: usize = 32;

impl Operation for Positions {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        unstacked(cx, self.node, arrival, "its constant")?;
        let entries = aligned(cx, self.constant, self.input).unwrap_or_default();
        let positions = entries.iter().enumerate().filter(|(axis, _)| *axis != arrival.axis).map(|(_, n)| *n);
        let slots = cx.channels(self.input).unwrap_or(MAX_WEIGHTS).saturating_add(arrival.channels);
        let most = positions.fold(slots.saturating_mul(MAX_SPREAD), usize::saturating_mul);
        if most > MAX_WEIGHTS {
            return Err(Reject::at(cx.view, self.node, RejectCode::TooLarge, cx.too_large("its constant", most)));
        }
        Ok(Form::Neutral)
    }

    fn repeats(&self, cx: Context<'_>) -> bool {
        let Some((shape, own)) = aligned(cx, self.constant, self.input).zip(cx.facts.shape(self.input)) else {
            return true;
        };
        let along = cx.axis(self.input);
        let larger =
            |(axis, (own, n)): (usize, (&Dim, &usize))| Some(axis) != along && enlarges(own, &Dim::Known(*n as i64));
        own.iter().zip(&shape).enumerate().any(larger)
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
        let shape = aligned(cx, self.constant, self.input)?;
        let constant = cx.facts.constant(self.constant)?;
        let own = constant.data.as_standard_layout().into_owned().into_shape_with_order(IxDyn(&shape)).ok()?;
        let axis = cx.axis(self.input).filter(|axis| *axis == emit.axis)?;
        let mut wide = shape.clone();
        *wide.get_mut(axis)? = lin.len();
        let mut constant = ArrayD::from_elem(IxDyn(&wide), self.neutral);
        for (at, slot) in lin.iter().enumerate() {
            let Some(channel) = slot.body else { continue };
            let channel = if shape[axis] == 1 { 0 } else { channel as usize };
            constant.index_axis_mut(Axis(axis), at).assign(&own.index_axis(Axis(axis), channel));
        }
        let node = cx.view.node(self.node);
        let constant = emit.constant(&format!("{}_wide", cx.view.name(self.constant)), &constant);
        let mut inputs = [input, constant.as_str()];
        if self.slot == 1 {
            inputs.swap(0, 1);
        }
        emit.copy(node, &inputs, output);
        Some(())
    }
}
