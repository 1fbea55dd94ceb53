//! Arithmetic on constants, element by element.

use ndarray::{ArrayD, IxDyn};

use crate::facts::Facts;
use crate::graph::NodeId;

use super::{Evaluator, input, within};

pub(super) fn evaluator(op: &str) -> Option<Evaluator> {
    Some(match op {
        "Add" | "Sum" => |facts, node| folded(facts, node, |a, b| a + b),
        "Sub" => |facts, node| folded(facts, node, |a, b| a - b),
        "Mul" => |facts, node| folded(facts, node, |a, b| a * b),
        "Div" => |facts, node| folded(facts, node, |a, b| a / b).filter(is_number),
        "Pow" => |facts, node| folded(facts, node, f64::powf).filter(is_number),
        "Max" => |facts, node| folded(facts, node, f64::max),
        "Min" => |facts, node| folded(facts, node, f64::min),
        "Mod" => modulo,
        "Equal" => |facts, node| folded(facts, node, |a, b| f64::from(u8::from(a == b))),
        "Neg" => |facts, node| mapped(facts, node, |v| -v),
        "Sqrt" => |facts, node| mapped(facts, node, f64::sqrt).filter(is_number),
        "Abs" => |facts, node| mapped(facts, node, f64::abs),
        "Exp" => |facts, node| mapped(facts, node, f64::exp),
        "Log" => |facts, node| mapped(facts, node, f64::ln).filter(is_number),
        "Reciprocal" => |facts, node| mapped(facts, node, f64::recip),
        "Floor" => |facts, node| mapped(facts, node, f64::floor),
        "Ceil" => |facts, node| mapped(facts, node, f64::ceil),
        "Relu" => |facts, node| mapped(facts, node, |v| if v < 0.0 { 0.0 } else { v }),
        "Sigmoid" => |facts, node| mapped(facts, node, |v| 1.0 / (1.0 + (-v).exp())),
        "Tanh" => |facts, node| mapped(facts, node, f64::tanh),
        "Softplus" => |facts, node| mapped(facts, node, |v| v.max(0.0) + (-v.abs()).exp().ln_1p()),
        _ => return None,
    })
}

fn is_number(found: &ArrayD<f64>) -> bool {
    found.iter().all(|v| !v.is_nan())
}

fn mapped(facts: &Facts<'_>, node: NodeId, f: fn(f64) -> f64) -> Option<ArrayD<f64>> {
    Some(input(facts, node, 0)?.data.mapv(f))
}

fn modulo(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let of_integers = facts.view().attr_i(node, "fmod").unwrap_or(0) == 0;
    of_integers.then(|| folded(facts, node, |a, b| a - b * (a / b).floor())).flatten()
}

/// All inputs, one after the other, broadcast.
fn folded(facts: &Facts<'_>, node: NodeId, f: fn(f64, f64) -> f64) -> Option<ArrayD<f64>> {
    let view = facts.view();
    let mut result: Option<ArrayD<f64>> = None;
    for value in view.inputs(node) {
        let next = facts.constant((*value)?)?;
        result = Some(match result {
            None => next.data.clone(),
            Some(so_far) => {
                let rank = so_far.ndim().max(next.data.ndim());
                let at = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
                let shape: Vec<usize> = (0..rank)
                    .map(|i| match (at(so_far.shape(), i), at(next.data.shape(), i)) {
                        (1, n) | (n, 1) => Some(n),
                        (a, b) => (a == b).then_some(a),
                    })
                    .collect::<Option<_>>()?;
                within(&shape, so_far.len().max(next.data.len()))?;
                let mut out = so_far.broadcast(IxDyn(&shape))?.to_owned();
                out.zip_mut_with(&next.data.broadcast(IxDyn(&shape))?, |a, b| *a = f(*a, *b));
                out
            }
        });
    }
    result
}
