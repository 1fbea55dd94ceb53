//! Operators that cut, join, repeat and rearrange constants.

use std::rc::Rc;

use ndarray::{ArrayD, Axis, IxDyn};

use crate::facts::{Constant, Facts, slice::slices, tensor};
use crate::graph::NodeId;

use super::{Evaluator, MOST, axis, input, output_shape, within};

pub(super) fn evaluator(op: &str) -> Option<Evaluator> {
    Some(match op {
        "Identity" | "Dropout" | "Cast" | "CastLike" => |facts, node| Some(input(facts, node, 0)?.data.clone()),
        "Reshape" | "Unsqueeze" | "Squeeze" | "Flatten" => reshaped,
        "Transpose" => transposed,
        "Slice" => sliced,
        "Concat" => joined,
        "Gather" => gathered,
        "ConstantOfShape" => filled,
        "Expand" => expanded,
        "Range" => range,
        "Where" => selected,
        _ => return None,
    })
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
    within(&new, source.data.len())?;
    let picked = source.data.select(Axis(axis), &picks);
    picked.as_standard_layout().into_owned().into_shape_with_order(IxDyn(&new)).ok()
}

fn filled(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let sizes = input(facts, node, 0)?;
    let shape: Vec<usize> = sizes.data.iter().map(|v| usize::try_from(*v as i64).ok()).collect::<Option<_>>()?;
    within(&shape, 0)?;
    let fill = match facts.view().attr(node, "value").and_then(|a| a.t.as_ref()) {
        Some(t) => tensor::read_f64(t).ok()?.iter().copied().next()?,
        None => 0.0,
    };
    Some(ArrayD::from_elem(IxDyn(&shape), fill))
}

fn expanded(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let (source, shape) = (input(facts, node, 0)?, output_shape(facts, node)?);
    within(&shape, source.data.len())?;
    Some(source.data.broadcast(IxDyn(&shape))?.to_owned())
}

fn range(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let scalar = |slot: usize| input(facts, node, slot)?.data.iter().copied().next();
    let (start, end, step) = (scalar(0)?, scalar(1)?, scalar(2)?);
    let count = ((end - start) / step).ceil();
    if !(0.0..=MOST as f64).contains(&count) {
        return None;
    }
    Some(ArrayD::from_shape_fn(IxDyn(&[count as usize]), |i| start + i[0] as f64 * step))
}

fn selected(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let (mask, a, b) = (input(facts, node, 0)?, input(facts, node, 1)?, input(facts, node, 2)?);
    let shape = output_shape(facts, node)?;
    within(&shape, mask.data.len().max(a.data.len()).max(b.data.len()))?;
    let (mask, a) = (mask.data.broadcast(IxDyn(&shape))?, a.data.broadcast(IxDyn(&shape))?);
    let mut out = b.data.broadcast(IxDyn(&shape))?.to_owned();
    ndarray::Zip::from(&mut out).and(&mask).and(&a).for_each(|o, m, a| {
        if *m != 0.0 {
            *o = *a;
        }
    });
    Some(out)
}
