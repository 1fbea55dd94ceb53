//! Parts of a tensor: `Slice`, `Split`, `Trilu`.

use ndarray::{ArrayD, Axis, Slice};

use super::Value;
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};
use super::value::any;

pub(super) const OPERATORS: Table = &[("Slice", slice), ("Split", split), ("Trilu", trilu)];

/// Bounds are attributes before opset 10, inputs since.
fn slice(call: &mut Call) -> Outcome<Vec<Value>> {
    let list = |i: usize, name: &str| -> Outcome<Option<Vec<i64>>> {
        Ok(call.optional_ints(i)?.or_else(|| call.int_list(name).map(<[i64]>::to_vec)))
    };
    let (Some(starts), Some(ends)) = (list(1, "starts")?, list(2, "ends")?) else {
        return fault!("starts or ends are missing");
    };
    let n = starts.len();
    let axes = list(3, "axes")?.unwrap_or_else(|| (0..n as i64).collect());
    let steps = call.optional_ints(4)?.unwrap_or_else(|| vec![1; n]);
    if [ends.len(), axes.len(), steps.len()] != [n; 3] {
        return fault!("{n} starts, {} ends, {} axes, {} steps", ends.len(), axes.len(), steps.len());
    }
    let x = call.take(0)?;
    let axes = dims::axes(&axes, x.shape().len())?;
    let cuts = axes
        .iter()
        .enumerate()
        .map(|(i, a)| Ok((*a, Cut::new(x.shape()[*a], starts[i], ends[i], steps[i])?)))
        .collect::<Outcome<Vec<_>>>()?;
    Ok(vec![any!(x, a => cut(&a, &cuts))])
}

/// Elements `from..to` along an axis, every `step`-th one, perhaps from the end to the start.
struct Cut {
    from: usize,
    to: usize,
    step: usize,
    reversed: bool,
}

impl Cut {
    /// The bounds as the specification clamps them.
    fn new(size: usize, start: i64, end: i64, step: i64) -> Outcome<Self> {
        let n = size as i64;
        let from_end = |v: i64| if v < 0 { v.saturating_add(n) } else { v };
        let (start, end) = (from_end(start), from_end(end));
        if step > 0 {
            let (from, to) = (start.clamp(0, n), end.clamp(0, n));
            return Ok(Self { from: from as usize, to: to.max(from) as usize, step: step as usize, reversed: false });
        }
        if step == 0 {
            return fault!("a step of 0");
        }
        // Downward: start, start + step, ... above end. Unlike in Python, a start in front of the first element is the first.
        let (start, end) = (start.max(0).min(n - 1), end.clamp(-1, n - 1));
        if start <= end {
            return Ok(Self { from: 0, to: 0, step: 1, reversed: true });
        }
        let step = step.unsigned_abs().min(1 << 40) as i64;
        let count = (start - end + step - 1) / step;
        let lowest = start - (count - 1) * step;
        Ok(Self { from: lowest as usize, to: start as usize + 1, step: step as usize, reversed: true })
    }
}

fn cut<T: Clone>(a: &ArrayD<T>, cuts: &[(usize, Cut)]) -> ArrayD<T> {
    let mut view = a.view();
    for (axis, c) in cuts {
        let step = c.step.min(1 << 40) as isize;
        view.slice_axis_inplace(Axis(*axis), Slice::new(c.from as isize, Some(c.to as isize), step));
        if c.reversed {
            view.invert_axis(Axis(*axis));
        }
    }
    view.to_owned()
}

/// Sizes as attribute or input; else equal parts, the last one smaller when it must be.
fn split(call: &mut Call) -> Outcome<Vec<Value>> {
    let x = call.value(0)?;
    let axis = dims::axis(call.int("axis", 0), x.shape().len())?;
    let size = x.shape()[axis];
    let sizes = match call.optional_ints(1)?.or_else(|| call.int_list("split").map(<[i64]>::to_vec)) {
        Some(s) => dims::dims(&s)?,
        None => equal_parts(size, call.int("num_outputs", call.outputs() as i64))?,
    };
    if sizes.iter().try_fold(0_usize, |n, s| n.checked_add(*s)) != Some(size) {
        return fault!("parts {sizes:?} of an axis of {size}");
    }
    let mut from = 0;
    let mut parts = Vec::new();
    for n in sizes {
        let part = Cut { from, to: from + n, step: 1, reversed: false };
        parts.push(any!(x, a => cut(a, &[(axis, Cut { ..part })])));
        from += n;
    }
    Ok(parts)
}

fn equal_parts(size: usize, n: i64) -> Outcome<Vec<usize>> {
    let n = dims::dim(n)?;
    if n == 0 || n > 1 << 20 {
        return fault!("{n} parts");
    }
    let part = size.div_ceil(n);
    Ok((0..n).map(|i| part.min(size.saturating_sub(i * part))).collect())
}

/// The upper or lower triangle of each matrix, zeros elsewhere.
fn trilu(call: &mut Call) -> Outcome<Vec<Value>> {
    let upper = call.flag("upper", true);
    let k = call.optional_ints(1)?.and_then(|k| k.first().copied()).unwrap_or(0);
    let keep = |row: usize, column: usize| {
        let above = (column as i64 - row as i64).saturating_sub(k);
        if upper { above >= 0 } else { above <= 0 }
    };
    let x = call.take(0)?;
    let &[.., _, columns] = x.shape() else { return fault!("the input is no matrix") };
    let rows = x.shape()[x.shape().len() - 2];
    Ok(vec![any!(x, a => masked(a, rows, columns, keep))])
}

fn masked<T: Default>(mut a: ArrayD<T>, rows: usize, columns: usize, keep: impl Fn(usize, usize) -> bool) -> ArrayD<T> {
    for (i, v) in a.iter_mut().enumerate() {
        if !keep(i / columns % rows, i % columns) {
            *v = T::default();
        }
    }
    a
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn picked(size: i64, start: i64, end: i64, step: i64) -> Vec<i64> {
        let a = ArrayD::from_shape_vec(vec![size as usize], (0..size).collect()).unwrap();
        cut(&a, &[(0, Cut::new(size as usize, start, end, step).unwrap())]).into_iter().collect()
    }

    #[test]
    fn slices_are_those_of_python_but_for_one() {
        assert_eq!(picked(5, 1, 4, 2), [1, 3]);
        assert_eq!(picked(5, -2, i64::MAX, 1), [3, 4]);
        assert_eq!(picked(5, -1, i64::MIN, -1), [4, 3, 2, 1, 0]);
        assert_eq!(picked(5, 4, 0, -2), [4, 2]);
        assert_eq!(picked(5, 9, -9, -3), [4, 1]);
        assert!(picked(5, 3, 3, 1).is_empty());
        assert!(picked(5, 3, 1, 1).is_empty());
        assert_eq!(picked(5, -9, -9, -1), [0], "as the specification clamps it");
        assert!(picked(0, 0, 5, 1).is_empty());
        assert!(picked(0, 5, -5, -1).is_empty());
        assert!(Cut::new(5, 0, 5, 0).is_err());
    }
}
