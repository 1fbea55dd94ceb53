//! Checked arithmetic on shapes and axes. Everything that could overflow or run out of bounds is refused here.

use ndarray::{ArrayD, IxDyn};

use super::budget::MAX_ELEMENTS;
use super::error::{Outcome, fault};

/// Number of elements of `shape`, when one tensor may have so many: a made-up shape is an error and not an abort.
pub(super) fn count(shape: &[usize]) -> Outcome<usize> {
    // Zero dimensions hide the others, which ndarray counts nevertheless.
    let bound = shape.iter().try_fold(1_usize, |n, d| n.checked_mul((*d).max(1))).filter(|n| *n <= MAX_ELEMENTS);
    match bound {
        Some(_) => Ok(shape.iter().product()),
        None => fault!("shape {shape:?} is too large"),
    }
}

/// An array of one value.
pub(super) fn filled<T: Clone>(shape: &[usize], value: T) -> Outcome<ArrayD<T>> {
    count(shape)?;
    Ok(ArrayD::from_elem(IxDyn(shape), value))
}

/// An array of the `values` in row order.
pub(super) fn array<T>(shape: &[usize], values: Vec<T>) -> Outcome<ArrayD<T>> {
    count(shape)?;
    Ok(ArrayD::from_shape_vec(IxDyn(shape), values)?)
}

/// The elements in row order of an array whose rows are contiguous, as all here are.
pub(super) fn rows<T>(a: &ArrayD<T>) -> Outcome<&[T]> {
    match a.as_slice() {
        Some(s) => Ok(s),
        None => fault!("an array is not contiguous"),
    }
}

/// `a` in row order with another shape of as many elements.
pub(super) fn reshape<T: Clone>(a: ArrayD<T>, shape: &[usize]) -> Outcome<ArrayD<T>> {
    if count(shape)? != a.len() {
        return fault!("{:?} cannot become {shape:?}", a.shape());
    }
    let a = if a.is_standard_layout() { a } else { a.as_standard_layout().into_owned() };
    Ok(a.into_shape_with_order(IxDyn(shape))?)
}

/// A dimension from the file.
pub(super) fn dim(d: i64) -> Outcome<usize> {
    usize::try_from(d).map_err(|_| format!("{d} is no dimension").into())
}

/// Dimensions from the file.
pub(super) fn dims(d: &[i64]) -> Outcome<Vec<usize>> {
    d.iter().map(|d| dim(*d)).collect()
}

/// `axis` of a tensor of `rank`, counted from the end when negative.
pub(super) fn axis(axis: i64, rank: usize) -> Outcome<usize> {
    let n = rank as i64;
    match if axis < 0 { axis.checked_add(n) } else { Some(axis) } {
        Some(a) if (0..n).contains(&a) => Ok(a as usize),
        _ => fault!("axis {axis} does not exist in rank {rank}"),
    }
}

/// Distinct axes, in the order given.
pub(super) fn axes(list: &[i64], rank: usize) -> Outcome<Vec<usize>> {
    let found = list.iter().map(|a| axis(*a, rank)).collect::<Outcome<Vec<_>>>()?;
    let mut sorted = found.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() == found.len() { Ok(found) } else { fault!("axes {list:?} repeat") }
}

/// The shape that `a` and `b` broadcast to (ONNX multidirectional broadcasting).
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Outcome<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).and_then(|k| s.get(k).copied()).unwrap_or(1);
    let shape = (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => fault!("shapes {a:?} and {b:?} do not broadcast"),
        })
        .collect::<Outcome<Vec<_>>>()?;
    count(&shape)?;
    Ok(shape)
}

/// `a` repeated to `shape`, as a new array.
pub(super) fn expand<T: Clone>(a: &ArrayD<T>, shape: &[usize]) -> Outcome<ArrayD<T>> {
    count(shape)?;
    match a.broadcast(IxDyn(shape)) {
        Some(view) => Ok(view.as_standard_layout().into_owned()),
        None => fault!("shape {:?} does not broadcast to {shape:?}", a.shape()),
    }
}

/// Elements before, at and after `axis`: a tensor seen as three axes.
pub(super) fn around(shape: &[usize], axis: usize) -> (usize, usize, usize) {
    let before = shape.iter().take(axis).product();
    let after = shape.iter().skip(axis + 1).product();
    (before, shape.get(axis).copied().unwrap_or(1), after)
}

/// Row-major distance between neighbours along each axis.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i].max(1);
    }
    strides
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn shapes_broadcast_from_the_right() {
        assert_eq!(broadcast(&[2, 1, 4], &[3, 1]).unwrap(), [2, 3, 4]);
        assert_eq!(broadcast(&[], &[5]).unwrap(), [5]);
        assert_eq!(broadcast(&[1], &[0]).unwrap(), [0]);
        assert!(broadcast(&[2], &[3]).is_err());
        assert!(broadcast(&[0], &[3]).is_err());
    }

    #[test]
    fn absurd_shapes_are_errors() {
        assert!(count(&[usize::MAX, 2]).is_err());
        assert!(count(&[0, usize::MAX]).is_err());
        assert_eq!(count(&[0, 7]).unwrap(), 0);
        assert_eq!(count(&[]).unwrap(), 1);
        assert!(filled(&[1 << 20, 1 << 20], 0.0).is_err());
    }

    #[test]
    fn axes_are_checked() {
        assert_eq!(axes(&[-1, 0], 3).unwrap(), [2, 0]);
        assert!(axes(&[0, -3], 3).is_err());
        assert!(axis(3, 3).is_err());
        assert!(axis(i64::MIN, 3).is_err());
    }
}
