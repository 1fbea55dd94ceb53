//! Operators that cut, join, repeat and rearrange constants.

use std::rc::Rc;

use ndarray::{ArrayD, Axis, Dimension, IxDyn};

use crate::facts::{Constant, Dim, Facts, Fill, Padding, element, is_inactive_dropout, slice::slices, tensor};
use crate::graph::{NodeId, ValueId};

use super::{Table, axis, input, output_shape};

pub(super) const OPERATORS: Table = &[
    ("Identity", |facts, node| Some(input(facts, node, 0)?.data.clone())),
    ("Dropout", dropped),
    ("Cast", cast),
    ("CastLike", cast),
    ("Reshape", reshaped),
    ("Unsqueeze", reshaped),
    ("Squeeze", reshaped),
    ("Flatten", reshaped),
    ("Transpose", transposed),
    ("Slice", sliced),
    ("Concat", joined),
    ("Gather", gathered),
    ("ConstantOfShape", filled),
    ("Expand", expanded),
    ("Range", range),
    ("Where", selected),
    ("Tile", tiled),
    ("Pad", padded),
];

fn dropped(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    is_inactive_dropout(facts.view(), facts, node).then(|| Some(input(facts, node, 0)?.data.clone())).flatten()
}

/// Each value as [`element::cast`] converts it. Types of one byte have an attribute for what they have no room for.
fn cast(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let (source, to) = (input(facts, node, 0)?, facts.dtype(facts.view().output(node)?)?);
    let values = source.data.iter().map(|v| element::cast(*v, source.dtype, to)).collect::<Option<Vec<f64>>>()?;
    ArrayD::from_shape_vec(source.data.raw_dim(), values).ok()
}

fn reshaped(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let source = input(facts, node, 0)?;
    let shape = output_shape(facts, node)?;
    source.data.as_standard_layout().into_owned().into_shape_with_order(IxDyn(&shape)).ok()
}

fn transposed(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let source = input(facts, node, 0)?.data.clone();
    let perm: Vec<usize> = match facts.view().attr_ints(node, "perm") {
        Some(p) => p.iter().map(|i| usize::try_from(*i).ok()).collect::<Option<_>>()?,
        None => (0..source.ndim()).rev().collect(),
    };
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    (sorted == (0..source.ndim()).collect::<Vec<_>>())
        .then(|| source.permuted_axes(IxDyn(&perm)).as_standard_layout().into_owned())
}

fn sliced(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let mut source = input(facts, node, 0)?.data.clone();
    for cut in slices(facts.view(), facts, node)? {
        let axis = axis(cut.axis, source.ndim())?;
        let (start, count) = cut.resolve(source.shape()[axis] as i64)?;
        let picks: Vec<usize> =
            (0..count).map(|i| usize::try_from(start + i * cut.step).ok()).collect::<Option<_>>()?;
        source = source.select(Axis(axis), &picks);
    }
    Some(source)
}

fn joined(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let view = facts.view();
    let parts: Vec<Rc<Constant>> =
        (0..view.inputs(node).len()).map(|slot| input(facts, node, slot)).collect::<Option<_>>()?;
    let axis = axis(view.attr_i(node, "axis")?, parts.first()?.data.ndim())?;
    let views: Vec<_> = parts.iter().map(|p| p.data.view()).collect();
    ndarray::concatenate(Axis(axis), &views).ok()
}

fn gathered(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let (source, index) = (input(facts, node, 0)?, input(facts, node, 1)?);
    let axis = axis(facts.view().attr_i(node, "axis").unwrap_or(0), source.data.ndim())?;
    let size = source.data.shape()[axis] as i64;
    let picks: Vec<usize> = index
        .data
        .iter()
        .map(|i| {
            let i = *i as i64;
            usize::try_from(if i < 0 { i + size } else { i }).ok().filter(|i| (*i as i64) < size)
        })
        .collect::<Option<_>>()?;
    let old = source.data.shape();
    let new = [&old[..axis], index.data.shape(), &old[axis + 1..]].concat();
    let picked = source.data.select(Axis(axis), &picks);
    picked.as_standard_layout().into_owned().into_shape_with_order(IxDyn(&new)).ok()
}

fn filled(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let shape = output_shape(facts, node)?;
    let fill = match facts.view().attr(node, "value").and_then(|a| a.t.as_ref()) {
        Some(t) => tensor::read_f64(t).ok()?.iter().copied().next()?,
        None => 0.0,
    };
    Some(ArrayD::from_elem(IxDyn(&shape), fill))
}

fn expanded(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let (source, shape) = (input(facts, node, 0)?, output_shape(facts, node)?);
    Some(source.data.broadcast(IxDyn(&shape))?.to_owned())
}

/// Of integers only: of floats, rounding decides how many there are.
fn range(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let scalar = |slot: usize| input(facts, node, slot)?.data.iter().copied().next();
    let (start, step) = (scalar(0)?, scalar(2)?);
    let shape = output_shape(facts, node)?;
    Some(ArrayD::from_shape_fn(IxDyn(&shape), |i| start + i[0] as f64 * step))
}

fn selected(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let (mask, a, b) = (input(facts, node, 0)?, input(facts, node, 1)?, input(facts, node, 2)?);
    let shape = output_shape(facts, node)?;
    let (mask, a) = (mask.data.broadcast(IxDyn(&shape))?, a.data.broadcast(IxDyn(&shape))?);
    let mut out = b.data.broadcast(IxDyn(&shape))?.to_owned();
    ndarray::Zip::from(&mut out).and(&mask).and(&a).for_each(|o, m, a| {
        if *m != 0.0 {
            *o = *a;
        }
    });
    Some(out)
}

/// The input several times along each axis (ONNX `Tile`, since opset 6).
fn tiled(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let (source, shape) = (input(facts, node, 0)?, output_shape(facts, node)?);
    let own = source.data.shape();
    if own.len() != shape.len() || facts.view().opset() < 6 {
        return None;
    }
    Some(ArrayD::from_shape_fn(IxDyn(&shape), |at| {
        let from: Vec<usize> = at.slice().iter().zip(own).map(|(i, n)| i % n).collect();
        source.data[IxDyn(&from)]
    }))
}

/// With one value around, or without entries at the borders.
fn padded(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let (source, shape) = (input(facts, node, 0)?, output_shape(facts, node)?);
    let padding = Padding::new(facts.view(), facts, node)?;
    let Fill::Value(fill) = padding.fill else { return None };
    Some(ArrayD::from_shape_fn(IxDyn(&shape), |at| {
        let from = at.slice().iter().zip(&padding.axes).map(|(i, (begin, _))| usize::try_from(*i as i64 - begin).ok());
        let from = from.collect::<Option<Vec<usize>>>();
        from.and_then(|from| source.data.get(IxDyn(&from))).copied().unwrap_or(fill)
    }))
}

/// The output `value` of a `Split`.
pub(super) fn part(facts: &Facts<'_>, node: NodeId, value: ValueId) -> Option<ArrayD<f64>> {
    let view = facts.view();
    let source = input(facts, node, 0)?;
    let axis = axis(view.attr_i(node, "axis").unwrap_or(0), source.data.ndim())?;
    let mut start = 0;
    for output in view.outputs(node) {
        let output = (*output)?;
        let size = facts.shape(output)?.get(axis).and_then(Dim::known).and_then(|n| usize::try_from(n).ok())?;
        let end = start + size;
        if end > source.data.shape()[axis] {
            return None;
        }
        if output == value {
            return Some(source.data.slice_axis(Axis(axis), (start..end).into()).to_owned());
        }
        start = end;
    }
    None
}
