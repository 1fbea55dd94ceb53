//! Reductions of constants over axes: sums, means, extremes and norms.

use std::collections::BTreeSet;

use ndarray::{ArrayD, IxDyn};

use crate::facts::{Constant, Facts, element};
use crate::graph::NodeId;

use super::{Table, axis, input, output_shape};

pub(super) const OPERATORS: Table = &[
    ("ReduceSum", reduced),
    ("ReduceMean", reduced),
    ("ReduceL1", reduced),
    ("ReduceL2", reduced),
    ("ReduceSumSquare", reduced),
    ("ReduceProd", reduced),
    ("ReduceMax", reduced),
    ("ReduceMin", reduced),
];

/// What a reduction does to the entries that it reduces, in their order, and how many they are.
type Reduction = fn(&[f64]) -> f64;

fn reduction(op: &str) -> Option<Reduction> {
    Some(match op {
        "ReduceSum" => |v| v.iter().sum(),
        "ReduceMean" => |v| v.iter().sum::<f64>() / v.len() as f64,
        "ReduceL1" => |v| v.iter().map(|x| x.abs()).sum(),
        "ReduceL2" => |v| v.iter().map(|x| x * x).sum::<f64>().sqrt(),
        "ReduceSumSquare" => |v| v.iter().map(|x| x * x).sum(),
        "ReduceProd" => |v| v.iter().product(),
        "ReduceMax" => |v| v.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "ReduceMin" => |v| v.iter().copied().fold(f64::INFINITY, f64::min),
        _ => return None,
    })
}

/// The reduction at `node`: over the axes of its attribute or its second input, or over all of them.
fn reduced(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let view = facts.view();
    let (reduction, source) = (reduction(view.op(node))?, input(facts, node, 0)?);
    let rank = source.data.ndim();
    let axes: BTreeSet<usize> = match (view.attr_ints(node, "axes"), view.input(node, 1)) {
        (Some(axes), _) => axes.iter().map(|a| axis(*a, rank)).collect::<Option<_>>()?,
        (None, Some(v)) => facts.constant(v)?.data.iter().map(|a| axis(*a as i64, rank)).collect::<Option<_>>()?,
        (None, None) if view.attr_i(node, "noop_with_empty_axes").unwrap_or(0) != 0 => return None,
        (None, None) => (0..rank).collect(),
    };
    if source.data.is_empty() || axes.is_empty() || !is_exact(&source, view.op(node)) {
        return None;
    }
    let kept = (0..rank).filter(|i| !axes.contains(i));
    let order: Vec<usize> = kept.chain(axes.iter().copied()).collect();
    let count: usize = axes.iter().map(|a| source.data.shape()[*a]).product();
    let rows = source.data.view().permuted_axes(order).as_standard_layout().into_owned();
    let values = rows.as_slice()?.chunks_exact(count).map(reduction).collect();
    ArrayD::from_shape_vec(IxDyn(&output_shape(facts, node)?), values).ok()
}

/// True for floats that are all numbers; and for integers where the result is one, and none is rounded on the way.
fn is_exact(source: &Constant, op: &str) -> bool {
    if element::float(source.dtype).is_some() {
        return source.data.iter().all(|v| !v.is_nan());
    }
    matches!(op, "ReduceSum" | "ReduceProd" | "ReduceMax" | "ReduceMin")
        && source.data.iter().map(|v| v.abs()).sum::<f64>() < element::EXACT
}
