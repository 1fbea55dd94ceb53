//! Whether every runtime computes the same constant, bit by bit.
//!
//! What stands in the file is the same everywhere, and so is what moves it or is rounded correctly by IEEE 754: sums, differences,
//! products, quotients and roots of two numbers, and conversions. Functions such as `Exp`, and sums of many, end a few units
//! in the last place apart. That does no harm to a weight; but an operator that jumps (`Floor`, a comparison, an integer of a float)
//! would make another number of it, a size even. It is evaluated of exact constants only.

use crate::facts::{Facts, element};
use crate::graph::NodeId;
use crate::onnx::tensor_proto::DataType;
use crate::operators::{Rounding, rounding};

use super::input;

/// What an operator makes of the exactness of its inputs.
pub(super) enum Effect {
    /// Its result is exact, or near.
    Keeps(bool),
    /// It jumps, and so may only be evaluated where its inputs are exact.
    Jumps(bool),
}

/// Of the operator at `node`, whose inputs are constants.
pub(super) fn effect(facts: &Facts<'_>, node: NodeId) -> Effect {
    let view = facts.view();
    let op = view.op(node);
    let constants = (0..view.inputs(node).len()).filter(|slot| op != "CastLike" || *slot == 0);
    let constants: Vec<_> = constants.filter_map(|slot| input(facts, node, slot)).collect();
    let exact = constants.iter().all(|c| c.exact);
    let to = view.output(node).and_then(|v| facts.dtype(v));
    let from_float = constants.first().is_some_and(|c| element::float(c.dtype).is_some());
    let to_float = to.is_some_and(|to| element::float(to).is_some());
    // Near 1 a logarithm makes much of little.
    let steep = op == "Log" && !exact && constants.iter().any(|c| c.data.iter().any(|x| (x - 1.0).abs() < 0.1));
    let rounding = rounding(op);
    if rounding == Some(Rounding::Jumps) || steep || from_float && !to_float {
        return Effect::Jumps(exact);
    }
    // Of half precision runtimes keep more digits between two operators.
    let wide = matches!(to, Some(DataType::Float | DataType::Double));
    // A sum of three depends on the order.
    let many = op == "Sum" && view.inputs(node).len() > 2;
    let rounds =
        to_float && (rounding == Some(Rounding::Approximates) || many || !wide && rounding != Some(Rounding::Moves));
    Effect::Keeps(exact && !rounds)
}
