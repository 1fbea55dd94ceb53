//! Constants that indices pick, place or count.

use std::collections::BTreeSet;

use ndarray::{ArrayD, Axis, Dimension, IxDyn};

use crate::facts::{Facts, element};
use crate::graph::NodeId;

use super::{Table, axis, input, output_shape};

pub(super) const OPERATORS: Table =
    &[("GatherND", gathered), ("ScatterND", scattered), ("OneHot", one_hot), ("CumSum", summed)];

/// `index` of an axis of `size`, counted from either end.
fn place(index: f64, size: usize) -> Option<usize> {
    axis(index as i64, size)
}

/// The rows of the indices along their last axis, each as places along the first axes of `shape`.
fn rows(indices: &ArrayD<f64>, shape: &[usize]) -> Option<Vec<Vec<usize>>> {
    let indices = indices.as_standard_layout();
    let width = *indices.shape().last()?;
    let of = |row: &[f64]| row.iter().zip(shape).map(|(i, n)| place(*i, *n)).collect::<Option<Vec<usize>>>();
    (width > 0 && width <= shape.len()).then(|| indices.as_slice()?.chunks_exact(width).map(of).collect())?
}

/// ONNX `GatherND` without batch axes: for each row of indices, what stands there.
fn gathered(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let (source, indices) = (input(facts, node, 0)?, input(facts, node, 1)?);
    if facts.view().attr_i(node, "batch_dims").unwrap_or(0) != 0 {
        return None;
    }
    let mut values = Vec::new();
    for row in rows(&indices.data, source.data.shape())? {
        let mut part = source.data.view();
        row.iter().for_each(|at| part.index_axis_inplace(Axis(0), *at));
        values.extend(part.iter());
    }
    ArrayD::from_shape_vec(IxDyn(&output_shape(facts, node)?), values).ok()
}

/// ONNX `ScatterND` that replaces: which of two updates of one place counts is not said, so there must be none.
fn scattered(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let (source, indices, updates) = (input(facts, node, 0)?, input(facts, node, 1)?, input(facts, node, 2)?);
    if facts.view().attr_s(node, "reduction").is_some_and(|how| how != b"none") {
        return None;
    }
    let (mut out, mut taken) = (source.data.clone(), BTreeSet::new());
    let rows = rows(&indices.data, source.data.shape())?;
    let (width, inner) = (*indices.data.shape().last()?, indices.data.ndim() - 1);
    let fits = updates.data.shape() == [&indices.data.shape()[..inner], &source.data.shape()[width..]].concat();
    let updates = updates.data.as_standard_layout();
    let each: usize = source.data.shape()[width..].iter().product();
    if !fits || each == 0 {
        return None;
    }
    for (row, update) in rows.into_iter().zip(updates.as_slice()?.chunks_exact(each)) {
        let mut part = out.view_mut();
        row.iter().for_each(|at| part.index_axis_inplace(Axis(0), *at));
        part.iter_mut().zip(update).for_each(|(old, new)| *old = *new);
        if !taken.insert(row) {
            return None;
        }
    }
    Some(out)
}

/// ONNX `OneHot`: the second of two values where an index points, counted from either end, and the first elsewhere.
fn one_hot(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let (indices, values) = (input(facts, node, 0)?, input(facts, node, 2)?);
    let shape = output_shape(facts, node)?;
    let (off, on) = (*values.data.get(IxDyn(&[0]))?, *values.data.get(IxDyn(&[1]))?);
    // A fraction would have to be rounded somehow.
    if values.data.len() != 2 || indices.data.iter().any(|i| i.fract() != 0.0) {
        return None;
    }
    let along = axis(facts.view().attr_i(node, "axis").unwrap_or(-1), shape.len())?;
    let depth = shape[along];
    Some(ArrayD::from_shape_fn(IxDyn(&shape), |at| {
        let mut from = at.slice().to_vec();
        let here = from.remove(along);
        let points = indices.data.get(IxDyn(&from)).and_then(|i| place(*i, depth)) == Some(here);
        if points { on } else { off }
    }))
}

/// ONNX `CumSum`: of integers where none is rounded on the way, for the order of a sum of floats differs between runtimes.
fn summed(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let (source, along) = (input(facts, node, 0)?, input(facts, node, 1)?);
    let is_set = |name: &str| facts.view().attr_i(node, name).unwrap_or(0) != 0;
    let (exclusive, reverse) = (is_set("exclusive"), is_set("reverse"));
    let along = axis(along.data.iter().copied().next()? as i64, source.data.ndim())?;
    if source.data.iter().map(|v| v.abs()).sum::<f64>() >= element::EXACT && element::float(source.dtype).is_none() {
        return None;
    }
    let mut out = source.data.clone();
    for mut lane in out.lanes_mut(Axis(along)) {
        if reverse {
            lane.invert_axis(Axis(0));
        }
        lane.iter_mut().fold(0.0, |before, v| {
            let sum = before + *v;
            *v = if exclusive { before } else { sum };
            sum
        });
    }
    Some(out)
}
