//! `Pad`: elements added or taken away at the ends of the axes.

use ndarray::ArrayD;

use super::Value;
use super::call::Call;
use super::dims;
use super::error::{Outcome, fault};
use super::registry::Table;

pub(super) const OPERATORS: Table = &[("Pad", pad)];

/// Amounts and value are attributes before opset 11, inputs since.
fn pad(call: &mut Call) -> Outcome<Vec<Value>> {
    let rank = call.value(0)?.shape().len();
    let amounts = match call.optional_ints(1)? {
        Some(p) => p,
        None => call.int_list("pads").or(call.int_list("paddings")).unwrap_or_default().to_vec(),
    };
    let axes = match call.optional_ints(3)? {
        Some(a) => dims::axes(&a, rank)?,
        None => (0..rank).collect(),
    };
    if amounts.len() != 2 * axes.len() {
        return fault!("{} amounts for {} axes", amounts.len(), axes.len());
    }
    let mode = call.string("mode", "constant")?;
    let shape = call.value(0)?.shape();
    let sources = axes
        .iter()
        .enumerate()
        .map(|(i, a)| Ok((*a, sources(shape[*a], amounts[i], amounts[axes.len() + i], mode)?)))
        .collect::<Outcome<Vec<_>>>()?;
    let fill = call.scalar(2)?.unwrap_or_else(|| call.float("value", 0.0));
    Ok(vec![match call.take(0)? {
        Value::F(a) => Value::F(padded(a, &sources, fill)?),
        Value::I(a) => Value::I(padded(a, &sources, fill as i64)?),
        Value::B(a) => Value::B(padded(a, &sources, fill != 0.0)?),
    }])
}

/// For each element of a padded axis, the element that it repeats; `None` for the constant.
fn sources(size: usize, begin: i64, end: i64, mode: &str) -> Outcome<Vec<Option<usize>>> {
    let n = size as i64;
    let last = n.checked_add(end).unwrap_or(i64::MIN);
    let Some(first) = begin.checked_neg().filter(|f| *f <= last) else {
        return fault!("an axis of {size} padded by {begin} and {end}");
    };
    let inside = |i: i64| (0..n).contains(&i).then_some(i as usize);
    dims::count(&[dims::dim(last.saturating_sub(first))?])?;
    let source = |i: i64| match mode {
        "constant" => Ok(inside(i)),
        "edge" if n > 0 => Ok(inside(i.clamp(0, n - 1))),
        "wrap" if n > 0 => Ok(inside(i.rem_euclid(n))),
        // There and back again without repeating the ends.
        "reflect" if n == 1 => Ok(Some(0)),
        "reflect" if n > 1 => {
            let i = i.rem_euclid(2 * (n - 1));
            Ok(inside(i.min(2 * (n - 1) - i)))
        }
        "edge" | "wrap" | "reflect" if last == first => Ok(None),
        _ => fault!("mode '{mode}' for an axis of {size}"),
    };
    (first..last).map(source).collect()
}

fn padded<T: Copy>(a: ArrayD<T>, sources: &[(usize, Vec<Option<usize>>)], fill: T) -> Outcome<ArrayD<T>> {
    let mut a = a;
    for (axis, sources) in sources {
        let (before, n, after) = dims::around(a.shape(), *axis);
        let mut shape = a.shape().to_vec();
        shape[*axis] = sources.len();
        let mut values = Vec::with_capacity(dims::count(&shape)?);
        let rows = dims::rows(&a)?;
        for b in 0..before {
            for source in sources {
                match source {
                    Some(i) => values.extend_from_slice(&rows[(b * n + i) * after..][..after]),
                    None => values.extend(std::iter::repeat_n(fill, after)),
                }
            }
        }
        a = dims::array(&shape, values)?;
    }
    Ok(a)
}
