//! Arithmetic on constants, element by element.

use std::rc::Rc;

use ndarray::{ArrayD, IxDyn};

use crate::facts::{Constant, Facts, clip_bounds, element, elementwise};
use crate::graph::NodeId;

use super::{Table, input};

pub(super) const OPERATORS: Table = &[
    ("Add", |facts, node| folded(facts, node, Pair(|a, b| a + b, i64::checked_add))),
    ("Sum", |facts, node| folded(facts, node, Pair(|a, b| a + b, i64::checked_add))),
    ("Sub", |facts, node| folded(facts, node, Pair(|a, b| a - b, i64::checked_sub))),
    ("Mul", |facts, node| folded(facts, node, Pair(|a, b| a * b, i64::checked_mul))),
    ("Div", |facts, node| folded(facts, node, Pair(|a, b| a / b, i64::checked_div))),
    ("Pow", |facts, node| folded(facts, node, Pair(f64::powf, power))),
    ("Max", |facts, node| folded(facts, node, Pair(f64::max, |a, b| Some(a.max(b))))),
    ("Min", |facts, node| folded(facts, node, Pair(f64::min, |a, b| Some(a.min(b))))),
    ("Mod", modulo),
    ("Mean", mean),
    ("Equal", |facts, node| folded(facts, node, Pair(|a, b| truth(a == b), |a, b| Some(i64::from(a == b))))),
    ("Less", |facts, node| folded(facts, node, Pair(|a, b| truth(a < b), |a, b| Some(i64::from(a < b))))),
    ("LessOrEqual", |facts, node| folded(facts, node, Pair(|a, b| truth(a <= b), |a, b| Some(i64::from(a <= b))))),
    ("Greater", |facts, node| folded(facts, node, Pair(|a, b| truth(a > b), |a, b| Some(i64::from(a > b))))),
    ("GreaterOrEqual", |facts, node| folded(facts, node, Pair(|a, b| truth(a >= b), |a, b| Some(i64::from(a >= b))))),
    ("And", |facts, node| folded(facts, node, Pair(|_, _| f64::NAN, |a, b| Some(a & b)))),
    ("Or", |facts, node| folded(facts, node, Pair(|_, _| f64::NAN, |a, b| Some(a | b)))),
    ("Xor", |facts, node| folded(facts, node, Pair(|_, _| f64::NAN, |a, b| Some(a ^ b)))),
    ("Not", not),
    ("Clip", clipped),
];

/// An operator on two numbers: on floats, and on integers, where it may have no result.
#[derive(Clone, Copy)]
struct Pair(fn(f64, f64) -> f64, fn(i64, i64) -> Option<i64>);

fn truth(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn power(a: i64, b: i64) -> Option<i64> {
    a.checked_pow(u32::try_from(b).ok()?)
}

/// An integer of a constant; `None` for one that float64 may have rounded.
fn whole(value: f64) -> Option<i64> {
    (value.abs() < element::EXACT).then_some(value as i64)
}

/// The elementwise function that `node` is, of its only tensor.
pub(super) fn mapped(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let value = elementwise(facts.view(), node)?.value?;
    let x = input(facts, node, 0)?;
    if element::float(x.dtype).is_some() {
        return Some(x.data.mapv(value.float));
    }
    let integer = value.integer?;
    collected(&x.data, x.data.iter().map(|v| Some(integer(whole(*v)?)? as f64)))
}

/// The opposite of truth values.
fn not(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    Some(input(facts, node, 0)?.data.mapv(|v| 1.0 - v))
}

/// `values` in the shape of `like`; `None` when one of them is not there.
fn collected(like: &ArrayD<f64>, values: impl Iterator<Item = Option<f64>>) -> Option<ArrayD<f64>> {
    ArrayD::from_shape_vec(like.raw_dim(), values.collect::<Option<Vec<f64>>>()?).ok()
}

/// `Clip` to bounds of either kind; one that is no number is up to the runtime.
fn clipped(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let x = input(facts, node, 0)?;
    let (lo, hi) = clip_bounds(facts.view(), facts, node)?;
    let numbers = x.data.iter().all(|v| !v.is_nan());
    numbers.then(|| x.data.mapv(|v| v.max(lo).min(hi)))
}

/// The mean of all inputs, which are floats.
fn mean(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    element::float(input(facts, node, 0)?.dtype)?;
    let count = facts.view().inputs(node).len() as f64;
    Some(folded(facts, node, Pair(|a, b| a + b, i64::checked_add))? / count)
}

/// The remainder with the sign of the divisor, of integers.
fn modulo(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let floored = |a: i64, b: i64| {
        let r = a.checked_rem(b)?;
        Some(if r != 0 && (r < 0) != (b < 0) { r + b } else { r })
    };
    let plain =
        facts.view().attr_i(node, "fmod").unwrap_or(0) == 0 && element::float(input(facts, node, 0)?.dtype).is_none();
    plain.then(|| folded(facts, node, Pair(|_, _| f64::NAN, floored))).flatten()
}

/// All inputs, one after the other, broadcast.
fn folded(facts: &Facts<'_>, node: NodeId, pair: Pair) -> Option<ArrayD<f64>> {
    let view = facts.view();
    // Before opset 7 an attribute said where the second input stands.
    if view.attr(node, "axis").is_some() {
        return None;
    }
    let inputs: Vec<Rc<Constant>> =
        (0..view.inputs(node).len()).map(|slot| input(facts, node, slot)).collect::<Option<_>>()?;
    // What `Max` and `Min` make of no number is up to the runtime.
    if inputs.iter().any(|c| c.data.iter().any(|v| v.is_nan())) {
        return None;
    }
    let (first, rest) = inputs.split_first()?;
    let float = element::float(first.dtype).is_some();
    rest.iter().try_fold(first.data.clone(), |so_far, next| {
        let shape = IxDyn(&broadcast(so_far.shape(), next.data.shape())?);
        let (a, b) = (so_far.broadcast(shape.clone())?, next.data.broadcast(shape)?);
        if float {
            return Some(ndarray::Zip::from(&a).and(&b).map_collect(|a, b| pair.0(*a, *b)));
        }
        // An integer to the power of a float, say.
        if element::float(next.dtype).is_some() {
            return None;
        }
        let values = a.iter().zip(&b).map(|(a, b)| Some(pair.1(whole(*a)?, whole(*b)?)? as f64));
        ArrayD::from_shape_vec(a.raw_dim(), values.collect::<Option<Vec<f64>>>()?).ok()
    })
}

fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    let one = |i: usize| match (at(a, i), at(b, i)) {
        (1, n) | (n, 1) => Some(n),
        (a, b) => (a == b).then_some(a),
    };
    (0..rank).map(one).collect()
}
