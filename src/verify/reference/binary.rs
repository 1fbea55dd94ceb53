//! Arithmetic on two or more tensors that broadcast.

use ndarray::{ArrayD, IxDyn, Zip};

use super::Value;
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};

pub(super) const OPERATORS: Table = &[
    ("Add", |c| arithmetic(c, |a, b| a + b, i64::wrapping_add)),
    ("Sub", |c| arithmetic(c, |a, b| a - b, i64::wrapping_sub)),
    ("Mul", |c| arithmetic(c, |a, b| a * b, i64::wrapping_mul)),
    ("Div", divide),
    ("Mod", modulo),
    ("Pow", pow),
    ("Max", |c| variadic(c, larger, i64::max)),
    ("Min", |c| variadic(c, smaller, i64::min)),
    ("Sum", |c| variadic(c, |a, b| a + b, i64::wrapping_add)),
    ("Mean", mean),
];

/// The larger one; a NaN stays.
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a >= b { a } else { b }
}

/// The smaller one; a NaN stays.
pub(super) fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || a <= b { a } else { b }
}

/// `f` on each pair of elements, broadcast; in place when `a` has the shape of the result.
pub(super) fn zip<T: Copy>(mut a: ArrayD<T>, b: &ArrayD<T>, f: impl Fn(T, T) -> T) -> Outcome<ArrayD<T>> {
    let shape = dims::broadcast(a.shape(), b.shape())?;
    if a.shape() == shape {
        a.zip_mut_with(b, |a, b| *a = f(*a, *b));
        return Ok(a);
    }
    zip_to(&a, b, f)
}

/// `f` on each pair of elements, broadcast.
pub(super) fn zip_to<T: Copy, U: Copy, R>(a: &ArrayD<T>, b: &ArrayD<U>, f: impl Fn(T, U) -> R) -> Outcome<ArrayD<R>> {
    let shape = IxDyn(&dims::broadcast(a.shape(), b.shape())?);
    match (a.broadcast(shape.clone()), b.broadcast(shape)) {
        (Some(a), Some(b)) => Ok(Zip::from(&a).and(&b).map_collect(|a, b| f(*a, *b))),
        _ => fault!("shapes {:?} and {:?} do not broadcast", a.shape(), b.shape()),
    }
}

/// The two inputs, owned. Before opset 7 the second one was aligned by the attribute `axis`.
fn operands(call: &mut Call) -> Outcome<(Value, Value)> {
    let (a, mut b) = (call.take(0)?, call.take(1)?);
    if let Some(axis) = call.optional_int("axis").filter(|_| call.opset() < 7) {
        let (rank, mut shape) = (a.shape().len(), b.shape().to_vec());
        let behind = rank.checked_sub(dims::axis(axis, rank)? + shape.len());
        let Some(behind) = behind else { return fault!("shape {shape:?} at axis {axis} of rank {rank}") };
        shape.extend(vec![1; behind]);
        b = super::value::any!(b, b => dims::reshape(b, &shape)?);
    }
    Ok((a, b))
}

fn arithmetic(call: &mut Call, f: impl Fn(f64, f64) -> f64, g: impl Fn(i64, i64) -> i64) -> Outcome<Vec<Value>> {
    let (a, b) = operands(call)?;
    Ok(vec![apply(a, &b, f, g)?])
}

fn apply(a: Value, b: &Value, f: impl Fn(f64, f64) -> f64, g: impl Fn(i64, i64) -> i64) -> Outcome<Value> {
    Ok(match (a, b) {
        (Value::F(a), Value::F(b)) => Value::F(zip(a, b, f)?),
        (Value::I(a), Value::I(b)) => Value::I(zip(a, b, g)?),
        (a, b) => return fault!("{} and {} elements", a.kind(), b.kind()),
    })
}

/// Refuses integers that are divided by 0.
fn divisor(b: &Value) -> Outcome<()> {
    match b {
        Value::I(b) if b.iter().any(|v| *v == 0) => fault!("an integer is divided by 0"),
        _ => Ok(()),
    }
}

/// Integers are truncated.
fn divide(call: &mut Call) -> Outcome<Vec<Value>> {
    divisor(call.value(1)?)?;
    arithmetic(call, |a, b| a / b, i64::wrapping_div)
}

/// `fmod` takes the sign of the dividend; otherwise integers take that of the divisor.
fn modulo(call: &mut Call) -> Outcome<Vec<Value>> {
    let as_in_c = call.flag("fmod", false);
    let (a, b) = operands(call)?;
    divisor(&b)?;
    let floored = |a: i64, b: i64| {
        let r = a.wrapping_rem(b);
        if r != 0 && (r < 0) != (b < 0) { r + b } else { r }
    };
    let floored_float = |a: f64, b: f64| {
        let r = a % b;
        if r != 0.0 && (r < 0.0) != (b < 0.0) { r + b } else { r }
    };
    Ok(vec![if as_in_c {
        apply(a, &b, |a, b| a % b, i64::wrapping_rem)?
    } else {
        apply(a, &b, floored_float, floored)?
    }])
}

/// The result has the kind of the base.
fn pow(call: &mut Call) -> Outcome<Vec<Value>> {
    let (a, b) = operands(call)?;
    Ok(vec![match (a, b) {
        (Value::F(a), b) => Value::F(zip(a, &b.to_floats(), f64::powf)?),
        (Value::I(a), Value::I(b)) => Value::I(zip(a, &b, integer_power)?),
        (Value::I(a), Value::F(b)) => Value::I(zip_to(&a, &b, |a, b| (a as f64).powf(b) as i64)?),
        (a, b) => return fault!("{} to the power of {} elements", a.kind(), b.kind()),
    }])
}

fn integer_power(a: i64, b: i64) -> i64 {
    match u32::try_from(b) {
        Ok(b) => a.wrapping_pow(b),
        Err(_) => (a as f64).powf(b as f64) as i64,
    }
}

fn variadic(call: &mut Call, f: impl Fn(f64, f64) -> f64, g: impl Fn(i64, i64) -> i64) -> Outcome<Vec<Value>> {
    let mut all = call.take(0)?;
    for i in 1..call.inputs() {
        all = apply(all, call.value(i)?, &f, &g)?;
    }
    Ok(vec![all])
}

fn mean(call: &mut Call) -> Outcome<Vec<Value>> {
    let n = call.inputs() as f64;
    let sum = variadic(call, |a, b| a + b, i64::wrapping_add)?;
    sum.into_iter()
        .map(|v| if let Value::F(a) = v { Ok(Value::F(a / n)) } else { fault!("a mean of integers") })
        .collect()
}
