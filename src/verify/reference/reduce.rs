//! Reductions over axes.

use ndarray::ArrayD;

use super::Value;
use super::binary::{larger, smaller};
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};

pub(super) const OPERATORS: Table = &[
    ("ReduceSum", |c| numbers(c, |v| v.iter().sum(), |v| v.iter().fold(0, |a, b| a.wrapping_add(*b)))),
    ("ReduceProd", |c| numbers(c, |v| v.iter().product(), |v| v.iter().fold(1, |a, b| a.wrapping_mul(*b)))),
    ("ReduceMax", |c| {
        let most = |v: &[f64]| v.iter().copied().fold(f64::NEG_INFINITY, larger);
        numbers(c, most, |v| v.iter().copied().max().unwrap_or(i64::MIN))
    }),
    ("ReduceMin", |c| {
        let least = |v: &[f64]| v.iter().copied().fold(f64::INFINITY, smaller);
        numbers(c, least, |v| v.iter().copied().min().unwrap_or(i64::MAX))
    }),
    ("ReduceMean", |c| floats(c, |v| v.iter().sum::<f64>() / v.len() as f64)),
    ("ReduceL1", |c| floats(c, |v| v.iter().map(|x| x.abs()).sum())),
    ("ReduceL2", |c| floats(c, |v| v.iter().map(|x| x * x).sum::<f64>().sqrt())),
    ("ReduceSumSquare", |c| floats(c, |v| v.iter().map(|x| x * x).sum())),
    ("ReduceLogSum", |c| floats(c, |v| v.iter().sum::<f64>().ln())),
    ("ReduceLogSumExp", |c| floats(c, log_sum_exp)),
];

fn log_sum_exp(v: &[f64]) -> f64 {
    let most = v.iter().copied().fold(f64::NEG_INFINITY, larger);
    let shift = if most.is_finite() { most } else { 0.0 };
    v.iter().map(|x| (x - shift).exp()).sum::<f64>().ln() + shift
}

/// For operators that give integers for integers; booleans count as such (`Max` is "any", `Min` "all").
fn numbers(call: &mut Call, f: impl Fn(&[f64]) -> f64, g: impl Fn(&[i64]) -> i64) -> Outcome<Vec<Value>> {
    let plan = Plan::read(call)?;
    Ok(vec![match call.take(0)? {
        Value::F(a) => Value::F(plan.apply(a, f)?),
        Value::I(a) => Value::I(plan.apply(a, g)?),
        Value::B(a) => {
            // The limits of integers stand for an empty set.
            Value::B(plan.apply(a.mapv(i64::from), g)?.mapv(|v| v > 0))
        }
    }])
}

/// For operators whose result is computed as a float and takes the kind of the input.
fn floats(call: &mut Call, f: impl Fn(&[f64]) -> f64) -> Outcome<Vec<Value>> {
    let plan = Plan::read(call)?;
    Ok(vec![match call.take(0)? {
        Value::F(a) => Value::F(plan.apply(a, f)?),
        Value::I(a) => Value::I(plan.apply(a.mapv(|v| v as f64), f)?.mapv(|v| v as i64)),
        Value::B(_) => return fault!("booleans are no numbers"),
    }])
}

/// Which axes vanish.
struct Plan {
    axes: Vec<usize>,
    keep: bool,
    /// Nothing to reduce over, and told to return the input as it is.
    nothing: bool,
}

impl Plan {
    /// Axes are an attribute in older operator sets and an input in newer ones; none means all.
    fn read(call: &Call) -> Outcome<Self> {
        let rank = call.value(0)?.shape().len();
        let given = call.optional_ints(1)?.or_else(|| call.int_list("axes").map(<[i64]>::to_vec)).unwrap_or_default();
        let nothing = given.is_empty() && call.flag("noop_with_empty_axes", false);
        let axes = if given.is_empty() { (0..rank).collect() } else { dims::axes(&given, rank)? };
        Ok(Self { axes, keep: call.flag("keepdims", true), nothing })
    }

    fn apply<T: Clone>(&self, a: ArrayD<T>, f: impl Fn(&[T]) -> T) -> Outcome<ArrayD<T>> {
        if self.nothing {
            // Each element by itself: a sum of squares of one is still a square.
            return Ok(a.map(|v| f(std::slice::from_ref(v))));
        }
        let is_reduced = |i: &usize| self.axes.contains(i);
        let kept: Vec<usize> = (0..a.ndim()).filter(|i| !is_reduced(i)).collect();
        let outer = kept.iter().map(|i| a.shape()[*i]).product();
        let inner: usize = self.axes.iter().map(|i| a.shape()[*i]).product();
        let size = |(i, d): (usize, &usize)| match (is_reduced(&i), self.keep) {
            (false, _) => Some(*d),
            (true, keep) => keep.then_some(1),
        };
        let shape: Vec<usize> = a.shape().iter().enumerate().filter_map(size).collect();
        let order: Vec<usize> = kept.iter().chain(&self.axes).copied().collect();
        let a = a.permuted_axes(order).as_standard_layout().into_owned();
        let rows = dims::rows(&a)?;
        let values = (0..outer).map(|i: usize| f(&rows[i * inner..(i + 1) * inner])).collect();
        dims::array(&shape, values)
    }
}
