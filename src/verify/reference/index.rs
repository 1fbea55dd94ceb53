//! Elements picked or written by index.

use ndarray::{ArrayD, Dimension};

use super::Value;
use super::binary::{larger, smaller};
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};
use super::value::{any, both};

pub(super) const OPERATORS: Table = &[
    ("Gather", gather),
    ("GatherElements", gather_elements),
    ("GatherND", gather_nd),
    ("ScatterElements", scatter_elements),
    ("ScatterND", scatter_nd),
    ("OneHot", one_hot),
    ("NonZero", non_zero),
];

/// How floats and integers are combined with what is there.
type Reduction = (fn(f64, f64) -> f64, fn(i64, i64) -> i64);

/// `i`, counted from the end when negative, below `n`.
fn at(i: i64, n: usize) -> Outcome<usize> {
    dims::axis(i, n).map_err(|_| format!("index {i} in an axis of {n}").into())
}

fn gather(call: &mut Call) -> Outcome<Vec<Value>> {
    let x = call.value(0)?;
    let axis = dims::axis(call.int("axis", 0), x.shape().len())?;
    let (before, n, after) = dims::around(x.shape(), axis);
    let picks = call.ints(1)?.into_iter().map(|i| at(i, n)).collect::<Outcome<Vec<_>>>()?;
    let mut shape = x.shape()[..axis].to_vec();
    shape.extend(call.value(1)?.shape());
    shape.extend(&x.shape()[axis + 1..]);
    dims::count(&shape)?;
    fn picked<T: Clone>(a: &[T], picks: &[usize], (before, n, after): (usize, usize, usize)) -> Vec<T> {
        let mut values = Vec::with_capacity(before * picks.len() * after);
        for b in 0..before {
            picks.iter().for_each(|i| values.extend_from_slice(&a[(b * n + i) * after..][..after]));
        }
        values
    }
    Ok(vec![any!(x, a => dims::array(&shape, picked(dims::rows(a)?, &picks, (before, n, after)))?)])
}

/// For each element of `indices`, the offset in a tensor of `shape` that its index along `axis` means.
fn element_offsets(indices: &Value, shape: &[usize], axis: usize) -> Outcome<Vec<usize>> {
    let Value::I(indices) = indices else { return fault!("the indices are no integers") };
    let fits = |(i, (n, m)): (usize, (&usize, &usize))| i == axis || n <= m;
    if indices.ndim() != shape.len() || !indices.shape().iter().zip(shape).enumerate().all(fits) {
        return fault!("indices of shape {:?} for shape {shape:?}", indices.shape());
    }
    let strides = dims::strides(shape);
    let offset = |(place, i): (ndarray::IxDyn, &i64)| {
        let along = at(*i, shape[axis])? * strides[axis];
        let others = place.slice().iter().zip(&strides).enumerate().filter(|(a, _)| *a != axis);
        Ok(along + others.map(|(_, (p, s))| p * s).sum::<usize>())
    };
    indices.indexed_iter().map(offset).collect()
}

fn gather_elements(call: &mut Call) -> Outcome<Vec<Value>> {
    let x = call.value(0)?;
    let axis = dims::axis(call.int("axis", 0), x.shape().len())?;
    let shape = call.value(1)?.shape().to_vec();
    let offsets = element_offsets(call.value(1)?, x.shape(), axis)?;
    Ok(vec![any!(x, a => {
        let rows = dims::rows(a)?;
        dims::array(&shape, offsets.iter().map(|o| rows[*o]).collect())?
    })])
}

/// The last axis of `indices` names leading coordinates behind `batch` shared axes: the offset and the length of the
/// block that each means, and the shape of all blocks together.
fn blocks(indices: &Value, shape: &[usize], batch: usize) -> Outcome<(Vec<usize>, usize, Vec<usize>)> {
    let flat = indices.to_ints()?;
    let Some((&depth, outer)) = indices.shape().split_last() else { return fault!("the indices are a scalar") };
    if batch > outer.len() || batch + depth > shape.len() || outer[..batch] != shape[..batch] || depth == 0 {
        return fault!("indices of shape {:?} for shape {shape:?}", indices.shape());
    }
    let strides = dims::strides(shape);
    let length = shape[batch + depth..].iter().product();
    let shared: usize = shape[..batch].iter().product();
    let in_batch = dims::count(&shape[batch..])?;
    let per_batch = (flat.len() / depth).checked_div(shared).unwrap_or(0).max(1);
    let offset = |(k, index): (usize, &[i64])| {
        let base = k / per_batch * in_batch;
        index.iter().enumerate().try_fold(base, |o, (j, i)| Ok(o + at(*i, shape[batch + j])? * strides[batch + j]))
    };
    let offsets = flat.chunks(depth).enumerate().map(offset).collect::<Outcome<Vec<_>>>()?;
    let mut all = outer.to_vec();
    all.extend(&shape[batch + depth..]);
    Ok((offsets, length, all))
}

fn gather_nd(call: &mut Call) -> Outcome<Vec<Value>> {
    let x = call.value(0)?;
    let batch = dims::dim(call.int("batch_dims", 0))?;
    let (offsets, length, shape) = blocks(call.value(1)?, x.shape(), batch)?;
    dims::count(&shape)?;
    Ok(vec![any!(x, a => {
        let rows = dims::rows(a)?;
        dims::array(&shape, offsets.iter().flat_map(|o| rows[*o..*o + length].iter().copied()).collect())?
    })])
}

/// Writes `updates` to `offsets` of `x`, as `reduction` says.
fn write(call: &Call, x: Value, updates: &Value, offsets: &[usize]) -> Outcome<Value> {
    fn each<T: Copy>(mut x: ArrayD<T>, u: &ArrayD<T>, offsets: &[usize], f: impl Fn(T, T) -> T) -> Outcome<ArrayD<T>> {
        let Some(rows) = x.as_slice_mut().filter(|_| u.len() == offsets.len()) else {
            return fault!("{} updates for {} places", u.len(), offsets.len());
        };
        offsets.iter().zip(u).for_each(|(o, u)| rows[*o] = f(rows[*o], *u));
        Ok(x)
    }
    let reduction = call.string("reduction", "none")?;
    if reduction == "none" {
        return Ok(both!(x, updates, x, u => each(x, u, offsets, |_, u| u)?));
    }
    let (f, g): Reduction = match reduction {
        "add" => (|a, b| a + b, i64::wrapping_add),
        "mul" => (|a, b| a * b, i64::wrapping_mul),
        "max" => (larger, i64::max),
        "min" => (smaller, i64::min),
        other => return fault!("reduction '{other}' is not known"),
    };
    Ok(match (x, updates) {
        (Value::F(x), Value::F(u)) => Value::F(each(x, u, offsets, f)?),
        (Value::I(x), Value::I(u)) => Value::I(each(x, u, offsets, g)?),
        _ => return fault!("the inputs have different kinds of elements"),
    })
}

fn scatter_elements(call: &mut Call) -> Outcome<Vec<Value>> {
    let x = call.take(0)?;
    let axis = dims::axis(call.int("axis", 0), x.shape().len())?;
    let offsets = element_offsets(call.value(1)?, x.shape(), axis)?;
    let updates = call.take(2)?;
    Ok(vec![write(call, x, &updates, &offsets)?])
}

fn scatter_nd(call: &mut Call) -> Outcome<Vec<Value>> {
    let x = call.take(0)?;
    let (starts, length, _) = blocks(call.value(1)?, x.shape(), 0)?;
    dims::count(&[starts.len(), length])?;
    let offsets: Vec<usize> = starts.iter().flat_map(|s| *s..*s + length).collect();
    let updates = call.take(2)?;
    Ok(vec![write(call, x, &updates, &offsets)?])
}

/// The second value where the index is, the first elsewhere; nowhere for an index outside.
fn one_hot(call: &mut Call) -> Outcome<Vec<Value>> {
    let indices = call.value(0)?.to_floats();
    let Some(depth) = call.scalar(1)? else { return fault!("the depth is missing") };
    let depth = depth as i64;
    let mut shape = indices.shape().to_vec();
    let axis = dims::axis(call.int("axis", -1), shape.len() + 1)?;
    shape.insert(axis, dims::dim(depth)?);
    dims::count(&shape)?;
    let (_, n, after) = dims::around(&shape, axis);
    let hot: Vec<i64> =
        indices.iter().map(|i| *i as i64).map(|i| if i < 0 { i.saturating_add(depth) } else { i }).collect();
    let is_hot = |k: usize| hot[k / (n * after) * after + k % after] == (k / after % n) as i64;
    Ok(vec![any!(call.value(2)?, v => match dims::rows(v)? {
        &[off, on] => dims::array(&shape, (0..shape.iter().product()).map(|k| if is_hot(k) { on } else { off }).collect())?,
        other => return fault!("{} values instead of two", other.len()),
    })])
}

/// Coordinates of all elements that are not zero, one row an axis.
fn non_zero(call: &mut Call) -> Outcome<Vec<Value>> {
    let x = call.value(0)?.to_floats();
    let places: Vec<usize> = x.iter().enumerate().filter(|(_, v)| **v != 0.0).map(|(i, _)| i).collect();
    dims::count(&[x.ndim(), places.len()])?;
    let axes = dims::strides(x.shape()).into_iter().zip(x.shape());
    let values = axes.flat_map(|(stride, n)| places.iter().map(move |p| (p / stride % n) as i64)).collect();
    Ok(vec![Value::I(dims::array(&[x.ndim(), places.len()], values)?)])
}
