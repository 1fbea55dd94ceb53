//! Softmax and its kin.

use ndarray::{ArrayD, Axis};

use super::Value;
use super::binary::larger;
use super::call::{Call, Table};
use super::dims;
use super::error::Outcome;

pub(super) const OPERATORS: Table = &[
    ("Softmax", |c| along(c, softmax)),
    ("LogSoftmax", |c| along(c, log_softmax)),
    ("Hardmax", |c| along(c, hardmax)),
];

/// Applies `f` to each vector along the axis. Before opset 13 the axes from `axis` on were one.
fn along(call: &mut Call, f: impl Fn(&mut [f64])) -> Outcome<Vec<Value>> {
    let flattened = call.opset() < 13;
    let axis = call.int("axis", if flattened { 1 } else { -1 });
    let mut x = call.take_floats(0)?;
    let shape = x.shape().to_vec();
    if flattened {
        // The axis may be the rank: then each element stands alone.
        let axis = if axis == shape.len() as i64 { shape.len() } else { dims::axis(axis, shape.len())? };
        let (rows, columns) = shape.split_at(axis);
        x = dims::reshape(x, &[rows.iter().product(), columns.iter().product()])?;
        lanes(&mut x, 1, f);
        return Ok(vec![Value::F(dims::reshape(x, &shape)?)]);
    }
    let axis = dims::axis(axis, shape.len())?;
    lanes(&mut x, axis, f);
    Ok(vec![Value::F(x)])
}

fn lanes(x: &mut ArrayD<f64>, axis: usize, f: impl Fn(&mut [f64])) {
    for mut lane in x.lanes_mut(Axis(axis)) {
        let mut values = lane.to_vec();
        f(&mut values);
        lane.iter_mut().zip(values).for_each(|(to, from)| *to = from);
    }
}

fn largest(v: &[f64]) -> f64 {
    v.iter().copied().fold(f64::NEG_INFINITY, larger)
}

fn softmax(v: &mut [f64]) {
    let most = largest(v);
    v.iter_mut().for_each(|x| *x = (*x - most).exp());
    let sum: f64 = v.iter().sum();
    v.iter_mut().for_each(|x| *x /= sum);
}

fn log_softmax(v: &mut [f64]) {
    let most = largest(v);
    let sum: f64 = v.iter().map(|x| (x - most).exp()).sum();
    v.iter_mut().for_each(|x| *x = *x - most - sum.ln());
}

/// One at the first of the largest elements, zero elsewhere.
fn hardmax(v: &mut [f64]) {
    let most = largest(v);
    let first = v.iter().position(|x| *x == most);
    v.iter_mut().enumerate().for_each(|(i, x)| *x = f64::from(u8::from(Some(i) == first)));
}
