//! `Pad`: elements added or taken away at the ends of the axes.

use ndarray::ArrayD;

use super::Value;
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};

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
    let mut shape = call.value(0)?.shape().to_vec();
    let mut sources = Vec::with_capacity(axes.len());
    for (i, a) in axes.iter().enumerate() {
        let source = Source::new(shape[*a], amounts[i], amounts[axes.len() + i], mode)?;
        shape[*a] = source.len();
        // On the way too: a later axis may become small again.
        dims::count(&shape)?;
        sources.push((*a, source));
    }
    let fill = call.scalar(2)?.unwrap_or_else(|| call.float("value", 0.0));
    Ok(vec![match call.take(0)? {
        Value::F(a) => Value::F(padded(a, &sources, fill)?),
        Value::I(a) => Value::I(padded(a, &sources, fill as i64)?),
        Value::B(a) => Value::B(padded(a, &sources, fill != 0.0)?),
    }])
}

/// Where the elements of a padded axis come from.
struct Source<'m> {
    /// Elements before.
    n: i64,
    /// The first element that stays or is added, and the one behind the last, counted in the input.
    first: i64,
    last: i64,
    mode: &'m str,
}

impl<'m> Source<'m> {
    fn new(size: usize, begin: i64, end: i64, mode: &'m str) -> Outcome<Self> {
        let n = size as i64;
        let last = n.checked_add(end).unwrap_or(i64::MIN);
        let Some(first) = begin.checked_neg().filter(|f| *f <= last) else {
            return fault!("an axis of {size} padded by {begin} and {end}");
        };
        dims::count(&[dims::dim(last.saturating_sub(first))?])?;
        if !(mode == "constant" || matches!(mode, "edge" | "wrap" | "reflect") && (n > 0 || first == last)) {
            return fault!("mode '{mode}' for an axis of {size}");
        }
        Ok(Self { n, first, last, mode })
    }

    fn len(&self) -> usize {
        (self.last - self.first) as usize
    }

    /// For each element, the one that it repeats; `None` for the constant.
    fn elements(&self) -> impl Iterator<Item = Option<usize>> + '_ {
        let inside = |i: i64| (0..self.n).contains(&i).then_some(i as usize);
        (self.first..self.last).map(move |i| match self.mode {
            "edge" => inside(i.clamp(0, self.n - 1)),
            "wrap" => inside(i.rem_euclid(self.n)),
            "reflect" if self.n == 1 => Some(0),
            // There and back again without repeating the ends.
            "reflect" => {
                let i = i.rem_euclid(2 * (self.n - 1));
                inside(i.min(2 * (self.n - 1) - i))
            }
            _ => inside(i),
        })
    }
}

fn padded<T: Copy>(a: ArrayD<T>, sources: &[(usize, Source)], fill: T) -> Outcome<ArrayD<T>> {
    let mut a = a;
    for (axis, source) in sources {
        if (source.first, source.last) == (0, source.n) {
            continue;
        }
        let (before, n, after) = dims::around(a.shape(), *axis);
        let mut shape = a.shape().to_vec();
        shape[*axis] = source.len();
        let mut values = Vec::with_capacity(dims::count(&shape)?);
        let rows = dims::rows(&a)?;
        for b in 0..before {
            for element in source.elements() {
                match element {
                    Some(i) => values.extend_from_slice(&rows[(b * n + i) * after..][..after]),
                    None => values.extend(std::iter::repeat_n(fill, after)),
                }
            }
        }
        a = dims::array(&shape, values)?;
    }
    Ok(a)
}
