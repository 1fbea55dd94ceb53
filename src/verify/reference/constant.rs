//! Tensors that come from attributes, and ranges.

use super::Value;
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};
use super::tensor;

pub(super) const OPERATORS: Table =
    &[("Constant", constant), ("ConstantOfShape", constant_of_shape), ("Range", range), ("EyeLike", eye_like)];

fn constant(call: &mut Call) -> Outcome<Vec<Value>> {
    let value = if let Some(t) = call.tensor("value") {
        tensor::read(t)?
    } else if let Some(t) = call.sparse_tensor("sparse_value") {
        tensor::read_sparse(t)?
    } else if let Some(v) = call.optional_float("value_float") {
        Value::F(dims::filled(&[], f64::from(v))?)
    } else if let Some(v) = call.float_list("value_floats") {
        Value::F(dims::array(&[v.len()], v.iter().map(|v| f64::from(*v)).collect())?)
    } else if let Some(v) = call.optional_int("value_int") {
        Value::I(dims::filled(&[], v)?)
    } else if let Some(v) = call.int_list("value_ints") {
        Value::I(dims::array(&[v.len()], v.to_vec())?)
    } else {
        return fault!("it has no value that is a number");
    };
    Ok(vec![value])
}

fn constant_of_shape(call: &mut Call) -> Outcome<Vec<Value>> {
    let shape = dims::dims(&call.ints(0)?)?;
    let value = call.tensor("value").map_or_else(|| Ok(Value::F(dims::filled(&[1], 0.0)?)), tensor::read)?;
    Ok(vec![super::value::any!(value, v => match v.first() {
        Some(v) => dims::filled(&shape, *v)?,
        None => return fault!("its value is empty"),
    })])
}

/// `start`, `start + delta`, ... before `limit`.
fn range(call: &mut Call) -> Outcome<Vec<Value>> {
    if let Value::I(_) = call.value(0)? {
        let at = |i| call.ints(i)?.first().copied().map_or_else(|| fault!("input {i} is empty"), Ok);
        let (start, limit, delta) = (at(0)?, at(1)?, at(2)?);
        let n = length((limit as f64 - start as f64) / delta as f64)?;
        let values = (0..n as i64).map(|i| start.wrapping_add(i.wrapping_mul(delta))).collect();
        return Ok(vec![Value::I(dims::array(&[n], values)?)]);
    }
    let at = |i| call.scalar(i)?.map_or_else(|| fault!("input {i} is missing"), Ok);
    let (start, limit, delta) = (at(0)?, at(1)?, at(2)?);
    let n = length((limit - start) / delta)?;
    Ok(vec![Value::F(dims::array(&[n], (0..n).map(|i| start + i as f64 * delta).collect())?)])
}

/// Number of steps that begin before the limit.
fn length(steps: f64) -> Outcome<usize> {
    if !steps.is_finite() {
        return fault!("a range of {steps} steps");
    }
    let n = steps.ceil().max(0.0) as usize;
    dims::count(&[n])?;
    Ok(n)
}

/// Ones on a diagonal. The type is that of the input, or what `dtype` says.
fn eye_like(call: &mut Call) -> Outcome<Vec<Value>> {
    let &[rows, columns] = call.value(0)?.shape() else { return fault!("the input is no matrix") };
    let k = call.int("k", 0);
    let mut eye = dims::filled(&[rows, columns], 0.0)?;
    for i in 0..rows {
        let column = (i as i64).checked_add(k).and_then(|c| usize::try_from(c).ok());
        if let Some(v) = column.and_then(|c| eye.get_mut([i, c].as_slice())) {
            *v = 1.0;
        }
    }
    let integers = match call.optional_int("dtype") {
        Some(t) => !matches!(t, 1 | 10 | 11 | 16),
        None => !matches!(call.value(0)?, Value::F(_)),
    };
    Ok(vec![if integers { Value::I(eye.mapv(|v| v as i64)) } else { Value::F(eye) }])
}
