//! Comparisons, boolean operators, and the choice between two tensors.

use super::Value;
use super::binary::zip_to;
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};
use super::value::both;

pub(super) const OPERATORS: Table = &[
    ("Equal", equal),
    ("Less", |c| compare(c, |a, b| a < b, |a, b| a < b)),
    ("LessOrEqual", |c| compare(c, |a, b| a <= b, |a, b| a <= b)),
    ("Greater", |c| compare(c, |a, b| a > b, |a, b| a > b)),
    ("GreaterOrEqual", |c| compare(c, |a, b| a >= b, |a, b| a >= b)),
    ("And", |c| logical(c, |a, b| a && b)),
    ("Or", |c| logical(c, |a, b| a || b)),
    ("Xor", |c| logical(c, |a, b| a != b)),
    ("Where", choose),
];

fn compare(call: &mut Call, f: impl Fn(f64, f64) -> bool, g: impl Fn(i64, i64) -> bool) -> Outcome<Vec<Value>> {
    Ok(vec![Value::B(match (call.value(0)?, call.value(1)?) {
        (Value::F(a), Value::F(b)) => zip_to(a, b, f)?,
        (Value::I(a), Value::I(b)) => zip_to(a, b, g)?,
        (a, b) => return fault!("{} and {} elements", a.kind(), b.kind()),
    })])
}

fn equal(call: &mut Call) -> Outcome<Vec<Value>> {
    if let (Value::B(a), Value::B(b)) = (call.value(0)?, call.value(1)?) {
        return Ok(vec![Value::B(zip_to(a, b, |a, b| a == b)?)]);
    }
    compare(call, |a, b| a == b, |a, b| a == b)
}

fn logical(call: &mut Call, f: impl Fn(bool, bool) -> bool) -> Outcome<Vec<Value>> {
    match (call.value(0)?, call.value(1)?) {
        (Value::B(a), Value::B(b)) => Ok(vec![Value::B(zip_to(a, b, f)?)]),
        (a, b) => fault!("{} and {} elements are no booleans", a.kind(), b.kind()),
    }
}

fn choose(call: &mut Call) -> Outcome<Vec<Value>> {
    let Value::B(condition) = call.value(0)? else { return fault!("the condition is no boolean") };
    let pairs = both!(call.value(1)?, call.value(2)?, a, b => {
        let pairs = zip_to(a, b, |a, b| (a, b))?;
        let shape = dims::broadcast(condition.shape(), pairs.shape())?;
        // Both operands broadcast with each other before they meet the condition.
        zip_to(&dims::expand(condition, &shape)?, &pairs, |c, (a, b)| if c { a } else { b })?
    });
    Ok(vec![pairs])
}
