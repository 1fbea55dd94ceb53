//! Operators that rank or accumulate along an axis.

use std::cmp::Ordering;

use ndarray::{ArrayD, Axis};

use super::Value;
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};

pub(super) const OPERATORS: Table = &[
    ("ArgMax", |c| arg(c, Ordering::Greater)),
    ("ArgMin", |c| arg(c, Ordering::Less)),
    ("TopK", top_k),
    ("CumSum", |c| cumulative(c, |a, b| a + b, i64::wrapping_add, 0)),
    ("CumProd", |c| cumulative(c, |a, b| a * b, i64::wrapping_mul, 1)),
];

fn arg(call: &mut Call, wanted: Ordering) -> Outcome<Vec<Value>> {
    let x = call.value(0)?.to_floats();
    let axis = dims::axis(call.int("axis", 0), x.ndim())?;
    let last = call.flag("select_last_index", false);
    if x.shape()[axis] == 0 {
        return fault!("axis {axis} is empty");
    }
    let best = x.map_axis(Axis(axis), |lane| {
        let mut best = 0;
        for (i, v) in lane.iter().enumerate() {
            match v.partial_cmp(&lane[best]) {
                Some(o) if o == wanted || last && o == Ordering::Equal => best = i,
                _ => {}
            }
        }
        best as i64
    });
    Ok(vec![Value::I(if call.flag("keepdims", true) { best.insert_axis(Axis(axis)) } else { best })])
}

fn top_k(call: &mut Call) -> Outcome<Vec<Value>> {
    // An attribute before opset 10.
    let k = call.optional_ints(1)?.and_then(|k| k.first().copied()).or(call.optional_int("k"));
    let Some(k) = k else { return fault!("k is missing") };
    let k = dims::dim(k)?;
    let largest = call.flag("largest", true);
    let x = call.value(0)?.to_floats();
    let axis = dims::axis(call.int("axis", -1), x.ndim())?;
    if k > x.shape()[axis] {
        return fault!("k is {k} but axis {axis} has {} elements", x.shape()[axis]);
    }
    let mut shape = x.shape().to_vec();
    shape[axis] = k;
    let (mut values, mut indices) = (dims::filled(&shape, 0.0)?, dims::filled(&shape, 0_i64)?);
    let outputs = values.lanes_mut(Axis(axis)).into_iter().zip(indices.lanes_mut(Axis(axis)));
    for (lane, (mut to, mut at)) in x.lanes(Axis(axis)).into_iter().zip(outputs) {
        let mut order: Vec<usize> = (0..lane.len()).collect();
        // Stable: of equal elements the first one wins.
        order.sort_by(|a, b| if largest { lane[*b].total_cmp(&lane[*a]) } else { lane[*a].total_cmp(&lane[*b]) });
        for ((to, at), i) in to.iter_mut().zip(at.iter_mut()).zip(order) {
            (*to, *at) = (lane[i], i as i64);
        }
    }
    let is_integer = matches!(call.value(0)?, Value::I(_));
    let values = if is_integer { Value::I(values.mapv(|v| v as i64)) } else { Value::F(values) };
    Ok(vec![values, Value::I(indices)])
}

fn cumulative(
    call: &mut Call,
    f: impl Fn(f64, f64) -> f64,
    g: impl Fn(i64, i64) -> i64,
    start: i64,
) -> Outcome<Vec<Value>> {
    let rank = call.value(0)?.shape().len();
    let Some(axis) = call.ints(1)?.first().copied() else { return fault!("the axis is missing") };
    let axis = dims::axis(axis, rank)?;
    let (exclusive, reverse) = (call.flag("exclusive", false), call.flag("reverse", false));
    Ok(vec![match call.take(0)? {
        Value::F(a) => Value::F(accumulated(a, axis, start as f64, exclusive, reverse, f)),
        Value::I(a) => Value::I(accumulated(a, axis, start, exclusive, reverse, g)),
        Value::B(_) => return fault!("booleans are no numbers"),
    }])
}

fn accumulated<T: Copy>(
    mut a: ArrayD<T>,
    axis: usize,
    start: T,
    exclusive: bool,
    reverse: bool,
    f: impl Fn(T, T) -> T,
) -> ArrayD<T> {
    for mut lane in a.lanes_mut(Axis(axis)) {
        if reverse {
            lane.invert_axis(Axis(0));
        }
        let mut sum = start;
        for v in &mut lane {
            let next = f(sum, *v);
            *v = if exclusive { sum } else { next };
            sum = next;
        }
    }
    a
}
