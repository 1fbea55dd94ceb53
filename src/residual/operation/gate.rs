//! The gate of a function that is written out: a node that never exceeds a bound, at which the whole function is the
//! identity.
//!
//! Proved by the structure alone. With the gate at its bound every value on the way to the result is either a constant or the
//! input itself, untouched: constants are only combined where that needs no rounding in the tensor's own type, and the input
//! is only multiplied or divided by exactly 1. So no value overflows, or loses a bit, on the way.

use std::collections::BTreeMap;

use half::{bf16, f16};

use crate::facts::{clip_bounds, elementwise};
use crate::graph::{NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::operators::functions::{Numbers, Parameter};
use crate::read::{Context, data_inputs};

/// The node whose upper bound makes the function the identity.
pub(super) struct Gate {
    /// The node.
    pub node: NodeId,
    /// The least and the largest value that it gives.
    pub bounds: (f64, f64),
}

/// `node` as the gate of the function of `input` that `nodes` compute, in order.
pub(super) fn gate(cx: Context<'_>, input: ValueId, nodes: &[NodeId], node: NodeId) -> Option<Gate> {
    let dtype = cx.facts.dtype(input)?;
    let bounds = match cx.view.op(node) {
        "Clip" => clip_bounds(cx.view, cx.facts, node).filter(|(lo, hi)| lo < hi)?,
        _ => elementwise(cx.view, node)?.gate?,
    };
    let exact = holds(dtype, bounds.0) && holds(dtype, bounds.1);
    let proved = exact && is_number(cx, input, nodes, node) && is_identity(cx, (input, dtype), nodes, (node, bounds.1));
    proved.then_some(Gate { node, bounds })
}

/// What is known of a value where the gate stands at its bound.
#[derive(Clone, Copy, PartialEq)]
enum Known {
    /// The input, bit for bit.
    Input,
    /// A constant.
    Constant(f64),
    /// Nothing.
    Nothing,
}

/// True when the function is the identity wherever the gate is `held` at the value given.
fn is_identity(
    cx: Context<'_>,
    (input, dtype): (ValueId, DataType),
    nodes: &[NodeId],
    (gate, held): (NodeId, f64),
) -> bool {
    let mut known: BTreeMap<ValueId, Known> = BTreeMap::from([(input, Known::Input)]);
    let mut last = Known::Nothing;
    for node in nodes {
        let of = |slot: usize| match cx.view.input(*node, slot) {
            Some(v) => known.get(&v).copied().unwrap_or_else(|| constant(cx, v, dtype)),
            None => Known::Nothing,
        };
        last = if *node == gate { Known::Constant(held) } else { combined(cx.view.op(*node), of(0), of(1), dtype) };
        let Some(output) = cx.view.output(*node) else { return false };
        known.insert(output, last);
    }
    last == Known::Input
}

/// The one entry of a constant of the tensor's own type.
fn constant(cx: Context<'_>, value: ValueId, dtype: DataType) -> Known {
    let constant = cx.facts.constant(value).filter(|c| c.dtype == dtype && c.data.len() == 1);
    constant.and_then(|c| c.data.iter().copied().next()).map_or(Known::Nothing, Known::Constant)
}

fn combined(op: &str, a: Known, b: Known, dtype: DataType) -> Known {
    use Known::{Constant, Input, Nothing};
    let found = match (op, a, b) {
        ("Identity", a, _) => return a,
        ("Mul", Input, Constant(1.0)) | ("Mul", Constant(1.0), Input) | ("Div", Input, Constant(1.0)) => return Input,
        // A fused multiply-add shows what was rounded away.
        ("Mul", Constant(a), Constant(b)) => Some(a * b).filter(|c| a.mul_add(b, -c) == 0.0),
        ("Div", Constant(a), Constant(b)) => Some(a / b).filter(|c| c.mul_add(b, -a) == 0.0),
        ("Add", Constant(a), Constant(b)) => sum(a, b),
        ("Sub", Constant(a), Constant(b)) => sum(a, -b),
        _ => None,
    };
    found.filter(|c| holds(dtype, *c)).map_or(Nothing, Constant)
}

/// `a + b` when nothing of it is rounded away.
fn sum(a: f64, b: f64) -> Option<f64> {
    let sum = a + b;
    (sum - a == b && sum - b == a).then_some(sum)
}

/// True when `value` is a finite number of the type.
fn holds(dtype: DataType, value: f64) -> bool {
    let rounded = match dtype {
        DataType::Float => f64::from(value as f32),
        DataType::Float16 => f16::from_f64(value).to_f64(),
        DataType::Bfloat16 => bf16::from_f64(value).to_f64(),
        DataType::Double => value,
        _ => return false,
    };
    value.is_finite() && rounded == value
}

/// True when `gate` gives a number, never NaN, for every finite value of `input`. All that stands between reads one tensor and
/// is a number even where it overflows.
fn is_number(cx: Context<'_>, input: ValueId, nodes: &[NodeId], gate: NodeId) -> bool {
    let mut at = gate;
    for _ in 0..nodes.len() {
        let &[value] = data_inputs(cx, at).as_slice() else { return false };
        let once = cx.view.inputs(at).iter().filter(|v| **v == Some(value)).count() == 1;
        if !once || !gives_numbers(cx, at) {
            return false;
        }
        if value == input {
            return true;
        }
        match cx.view.def(value).filter(|n| nodes.contains(n)) {
            Some(node) => at = node,
            None => return false,
        }
    }
    false
}

/// True for an operator on one tensor of data that makes a NaN of no number, the infinite ones included.
fn gives_numbers(cx: Context<'_>, node: NodeId) -> bool {
    let view = cx.view;
    let single = |slot: usize| {
        let constant = cx.facts.constant(view.input(node, slot)?)?;
        constant.data.iter().copied().next().filter(|_| constant.data.len() == 1)
    };
    let constants =
        || (0..view.inputs(node).len()).filter(|s| view.input(node, *s).is_some_and(|v| !cx.facts.is_data(v)));
    let all = |holds: fn(f64) -> bool| constants().all(|slot| single(slot).is_some_and(holds));
    if let Some(function) = elementwise(view, node) {
        let of = |parameter: Parameter| parameter.of(|name| view.attr_f(node, name));
        return match function.numbers {
            Numbers::Always => true,
            Numbers::Affine(scale, shift) => of(scale) != 0.0 && of(scale).is_finite() && of(shift).is_finite(),
            Numbers::Unknown => false,
        };
    }
    match view.op(node) {
        "Identity" => true,
        "Clip" => clip_bounds(view, cx.facts, node).is_some(),
        "Max" | "Min" => view.inputs(node).len() == 2 && all(|c| !c.is_nan()),
        "Add" | "Sub" => all(f64::is_finite),
        "Mul" => all(|c| c.is_finite() && c != 0.0),
        "Div" => view.input(node, 0).is_some_and(|v| cx.facts.is_data(v)) && all(|c| c.is_finite() && c != 0.0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_combined_only_where_nothing_is_rounded() {
        use Known::{Constant, Input, Nothing};
        let float = |op, a, b| combined(op, a, b, DataType::Float);
        assert!(float("Div", Constant(6.0), Constant(6.0)) == Constant(1.0));
        assert!(
            float("Mul", Constant(6.0), Constant(f64::from(1.0_f32 / 6.0))) == Nothing,
            "rounds to 1, and is not 1"
        );
        assert!(float("Add", Constant(1.0), Constant(1.0)) == Constant(2.0));
        assert!(float("Add", Constant(1.0), Constant(1e-9)) == Nothing);
        assert!(float("Mul", Input, Constant(1.0)) == Input && float("Div", Constant(1.0), Input) == Nothing);
        assert!(
            float("Mul", Input, Constant(2.0)) == Nothing,
            "the largest value overflows, halved again the least is lost"
        );
        assert!(float("Add", Input, Constant(0.0)) == Nothing, "-0 + 0 is 0");
        assert!(combined("Mul", Constant(300.0), Constant(300.0), DataType::Float16) == Nothing, "overflows");
        assert!(combined("Div", Constant(1.0), Constant(3.0), DataType::Double) == Nothing);
        assert!(!holds(DataType::Float16, 2049.0) && holds(DataType::Float, 2049.0) && !holds(DataType::Float, 1e39));
    }
}
