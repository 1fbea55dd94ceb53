//! Operators that join, cut and rearrange.

use crate::facts::{Dim, Facts, Padding, slices};
use crate::graph::NodeId;

use super::{Shape, axis_of, broadcast};

pub(super) fn concat(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let parts: Vec<&[Dim]> = view.inputs(node).iter().map(|v| facts.shape((*v)?)).collect::<Option<_>>()?;
    let first = parts.first()?;
    let axis = axis_of(view.attr_i(node, "axis")?, first.len())?;
    let mut shape = first.to_vec();
    for part in &parts[1..] {
        if part.len() != shape.len() {
            return None;
        }
        for (i, dim) in shape.iter_mut().enumerate() {
            if i != axis && dim.known().is_none() {
                *dim = part[i].clone();
            }
        }
    }
    shape[axis] = parts.iter().try_fold(0_i64, |n, p| n.checked_add(p[axis].known()?)).map_or(Dim::Unknown, Dim::Known);
    Some(shape)
}

pub(super) fn split(facts: &Facts<'_>, node: NodeId) -> Vec<Option<Shape>> {
    let view = facts.view();
    let count = view.outputs(node).len();
    let find = || -> Option<Vec<Option<Shape>>> {
        let input = facts.shape(view.input(node, 0)?)?;
        let axis = axis_of(view.attr_i(node, "axis").unwrap_or(0), input.len())?;
        let parts: Option<Vec<i64>> = match (view.attr_ints(node, "split"), view.input(node, 1)) {
            (Some(parts), _) => Some(parts.to_vec()),
            (None, Some(v)) => facts.sizes(v).and_then(|s| s.iter().map(Dim::known).collect()),
            (None, None) => input[axis].known().map(|n| {
                let each = n.div_euclid(count as i64) + i64::from(n % count as i64 != 0);
                (0..count as i64).map(|i| each.min(n - i * each)).collect()
            }),
        };
        Some(
            (0..count)
                .map(|i| {
                    let mut shape = input.to_vec();
                    shape[axis] = parts.as_ref().and_then(|p| p.get(i)).map_or(Dim::Unknown, |n| Dim::Known(*n));
                    Some(shape)
                })
                .collect(),
        )
    };
    find().unwrap_or_default()
}

pub(super) fn slice(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let mut shape = facts.shape(view.input(node, 0)?)?.to_vec();
    let Some(cuts) = slices(view, facts, node) else { return Some(vec![Dim::Unknown; shape.len()]) };
    for cut in cuts {
        let axis = axis_of(cut.axis, shape.len())?;
        let whole = cut.start == 0 && cut.step == 1 && cut.end >= i64::from(i32::MAX);
        if !whole {
            let count = shape[axis].known().and_then(|n| cut.resolve(n));
            shape[axis] = count.map_or(Dim::Unknown, |(_, n)| Dim::Known(n));
        }
    }
    Some(shape)
}

pub(super) fn pad(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    let Some(padding) = Padding::new(view, facts, node) else { return Some(vec![Dim::Unknown; input.len()]) };
    let grown = |(dim, (begin, end)): (&Dim, &(i64, i64))| match begin.checked_add(*end)? {
        0 => Some(dim.clone()),
        more => Some(dim.known().and_then(|n| n.checked_add(more)).map_or(Dim::Unknown, Dim::Known)),
    };
    input.iter().zip(&padding.axes).map(grown).collect()
}

pub(super) fn reshape(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let target = view.input(node, 1)?;
    let Some(target) = facts.sizes(target) else {
        let rank = usize::try_from(facts.shape(target)?.first()?.known()?).ok()?;
        return (rank <= 64).then(|| vec![Dim::Unknown; rank]);
    };
    let input = view.input(node, 0).and_then(|v| facts.shape(v));
    let copies = view.attr_i(node, "allowzero").unwrap_or(0) == 0;
    let mut shape: Shape = target
        .iter()
        .enumerate()
        .map(|(i, d)| match d {
            Dim::Known(0) if copies => input.and_then(|s| s.get(i)).cloned().unwrap_or(Dim::Unknown),
            other => other.clone(),
        })
        .collect();
    if let Some(free) = shape.iter().position(|d| *d == Dim::Known(-1)) {
        shape[free] = Dim::Unknown;
        let rest: Vec<Dim> = shape.iter().enumerate().filter(|(i, _)| *i != free).map(|(_, d)| d.clone()).collect();
        if let Some(n) = input.and_then(|s| quotient(s, &rest)) {
            shape[free] = n;
        }
    }
    Some(shape)
}

/// `product(all) / product(part)`, names cancelled against each other.
fn quotient(all: &[Dim], part: &[Dim]) -> Option<Dim> {
    let (mut above, mut below) = (1_i64, 1_i64);
    let mut names: Vec<&str> = Vec::new();
    for dim in all {
        match dim {
            Dim::Known(n) => above = above.checked_mul(*n)?,
            Dim::Symbol(s) => names.push(s),
            Dim::Unknown => return None,
        }
    }
    for dim in part {
        match dim {
            Dim::Known(n) => below = below.checked_mul(*n)?,
            Dim::Symbol(s) => {
                let at = names.iter().position(|n| n == s)?;
                names.swap_remove(at);
            }
            Dim::Unknown => return None,
        }
    }
    if below == 0 || above % below != 0 {
        return None;
    }
    match (names.as_slice(), above / below) {
        ([], n) => Some(Dim::Known(n)),
        ([name], 1) => Some(Dim::Symbol((*name).to_owned())),
        _ => None,
    }
}

pub(super) fn flatten(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    let axis = view.attr_i(node, "axis").unwrap_or(1);
    let axis = if axis == input.len() as i64 { input.len() } else { axis_of(axis, input.len())? };
    let product = |dims: &[Dim]| quotient(dims, &[]).unwrap_or(Dim::Unknown);
    Some(vec![product(&input[..axis]), product(&input[axis..])])
}

pub(super) fn transpose(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    match view.attr_ints(node, "perm") {
        Some(perm) if perm.len() == input.len() => {
            perm.iter().map(|p| input.get(usize::try_from(*p).ok()?).cloned()).collect()
        }
        Some(_) => None,
        None => Some(input.iter().rev().cloned().collect()),
    }
}

/// The axes that a reduction, `Squeeze` or `Unsqueeze` names, as an attribute or as an input. `None` when they are not known.
pub(crate) fn axes_of(facts: &Facts<'_>, node: NodeId) -> Option<Vec<i64>> {
    let view = facts.view();
    match (view.attr_ints(node, "axes"), view.input(node, 1)) {
        (Some(axes), _) => Some(axes.to_vec()),
        (None, Some(v)) => facts.sizes(v)?.iter().map(Dim::known).collect(),
        (None, None) => None,
    }
}

pub(super) fn squeeze(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    let axes = axes_of(facts, node);
    if view.op(node) == "Squeeze" {
        let axes: Vec<usize> = match axes {
            Some(axes) => axes.iter().map(|a| axis_of(*a, input.len())).collect::<Option<_>>()?,
            None if input.iter().all(|d| d.known().is_some()) => {
                (0..input.len()).filter(|i| input[*i] == Dim::Known(1)).collect()
            }
            None => return None,
        };
        return Some(input.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, d)| d.clone()).collect());
    }
    let axes = axes?;
    let rank = input.len() + axes.len();
    let axes: Vec<usize> = axes.iter().map(|a| axis_of(*a, rank)).collect::<Option<_>>()?;
    let mut rest = input.iter();
    (0..rank).map(|i| if axes.contains(&i) { Some(Dim::Known(1)) } else { rest.next().cloned() }).collect()
}

pub(super) fn gather(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let data = facts.shape(view.input(node, 0)?)?;
    let index = facts.shape(view.input(node, 1)?)?;
    let axis = axis_of(view.attr_i(node, "axis").unwrap_or(0), data.len())?;
    Some([&data[..axis], index, &data[axis + 1..]].concat())
}

/// All but the last axis of the indices, then what of the data these do not point into; axes of the batch come first in both.
pub(super) fn gather_nd(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let data = facts.shape(view.input(node, 0)?)?;
    let (width, rows) = facts.shape(view.input(node, 1)?)?.split_last()?;
    let batch = usize::try_from(view.attr_i(node, "batch_dims").unwrap_or(0)).ok()?;
    let inner = batch.checked_add(usize::try_from(width.known()?).ok()?)?;
    Some([rows, data.get(inner..)?].concat())
}

/// The indices, with an axis more that is as long as the second input says.
pub(super) fn one_hot(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let mut shape = facts.shape(view.input(node, 0)?)?.to_vec();
    let [depth] = facts.sizes(view.input(node, 1)?)?.try_into().ok()?;
    let axis = axis_of(view.attr_i(node, "axis").unwrap_or(-1), shape.len() + 1)?;
    shape.insert(axis, depth);
    Some(shape)
}

pub(super) fn expand(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    let target = facts.sizes(view.input(node, 1)?)?;
    let rank = input.len().max(target.len());
    let at = |s: &[Dim], i: usize| (i + s.len()).checked_sub(rank).map_or(Dim::Known(1), |i| s[i].clone());
    Some((0..rank).map(|i| broadcast(&at(input, i), &at(&target, i))).collect())
}

/// Since opset 6; before, it repeated one axis.
pub(super) fn tile(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    let Some(repeats) = facts.sizes(view.input(node, 1)?) else { return Some(vec![Dim::Unknown; input.len()]) };
    let times = |(size, times): (&Dim, &Dim)| match (size.known(), times.known()) {
        (_, Some(1)) => size.clone(),
        (Some(size), Some(times)) => size.checked_mul(times).map_or(Dim::Unknown, Dim::Known),
        _ => Dim::Unknown,
    };
    (view.opset() >= 6 && repeats.len() == input.len()).then(|| input.iter().zip(&repeats).map(times).collect())
}
