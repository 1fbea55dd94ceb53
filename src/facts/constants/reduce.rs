//! Reductions of constants over axes: sums, means, extremes and norms.

use ndarray::{ArrayD, Axis};

use crate::facts::{Facts, element};
use crate::graph::NodeId;

use super::{Table, axis, input};

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

/// What a reduction does: to each entry first, then to all of them, then to the result.
struct Reduction {
    before: fn(f64) -> f64,
    all: fn(&ArrayD<f64>, Axis) -> ArrayD<f64>,
    /// Of the result and the number of entries.
    behind: fn(f64, f64) -> f64,
}

fn reduction(op: &str) -> Option<Reduction> {
    let sum = Reduction { before: |v| v, all: |a, axis| a.sum_axis(axis), behind: |v, _| v };
    Some(match op {
        "ReduceSum" => sum,
        "ReduceMean" => Reduction { behind: |v, count| v / count, ..sum },
        "ReduceL1" => Reduction { before: f64::abs, ..sum },
        "ReduceL2" => Reduction { before: |v| v * v, behind: |v, _| v.sqrt(), ..sum },
        "ReduceSumSquare" => Reduction { before: |v| v * v, ..sum },
        "ReduceProd" => Reduction { all: |a, axis| a.product_axis(axis), ..sum },
        "ReduceMax" => Reduction { all: |a, axis| a.fold_axis(axis, f64::NEG_INFINITY, |m, v| m.max(*v)), ..sum },
        "ReduceMin" => Reduction { all: |a, axis| a.fold_axis(axis, f64::INFINITY, |m, v| m.min(*v)), ..sum },
        _ => return None,
    })
}

/// The reduction at `node`: over the axes of its attribute or its second input, or over all of them.
fn reduced(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let view = facts.view();
    let reduction = reduction(view.op(node))?;
    let source = input(facts, node, 0)?;
    let sums = source.data.iter().map(|v| v.abs()).sum::<f64>() < element::EXACT;
    match (element::float(source.dtype), view.op(node)) {
        (Some(_), _) if source.data.iter().all(|v| !v.is_nan()) => {}
        // Of integers, only what gives integers, and none that float64 would round.
        (None, "ReduceSum" | "ReduceProd" | "ReduceMax" | "ReduceMin") if sums => {}
        _ => return None,
    }
    let mut data = source.data.mapv(reduction.before);
    let rank = data.ndim();
    let axes: Vec<usize> = match (view.attr_ints(node, "axes"), view.input(node, 1)) {
        (Some(axes), _) => axes.iter().map(|a| axis(*a, rank)).collect::<Option<_>>()?,
        (None, Some(v)) => facts.constant(v)?.data.iter().map(|a| axis(*a as i64, rank)).collect::<Option<_>>()?,
        (None, None) if view.attr_i(node, "noop_with_empty_axes").unwrap_or(0) != 0 => return None,
        (None, None) => (0..rank).collect(),
    };
    if data.is_empty() || axes.is_empty() {
        return None;
    }
    let keep = view.attr_i(node, "keepdims").unwrap_or(1) != 0;
    let mut sorted = axes;
    sorted.sort_unstable();
    sorted.dedup();
    let count: usize = sorted.iter().map(|a| data.shape()[*a]).product();
    for a in sorted.into_iter().rev() {
        data = (reduction.all)(&data, Axis(a));
        if keep {
            data = data.insert_axis(Axis(a));
        }
    }
    Some(data.mapv(|v| (reduction.behind)(v, count as f64)))
}
