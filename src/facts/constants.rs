//! Folding the constant expressions that exporters leave: shapes behind `Pad`, weight standardisation, merged
//! initializers behind `Identity`.

use std::rc::Rc;

use ndarray::{ArrayD, Axis, IxDyn};

use crate::graph::{NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;

use super::{BatchNorm, Constant, Facts, slice::slices, tensor};

/// Most elements of a constant that is larger than what it is computed from: a few numbers in a file may ask for
/// any size.
const MOST: usize = 1 << 22;

/// Operators that are folded.
const FOLDED: &[&str] = &[
    "Identity",
    "Cast",
    "CastLike",
    "Reshape",
    "Unsqueeze",
    "Squeeze",
    "Flatten",
    "Transpose",
    "Slice",
    "Concat",
    "Gather",
    "ConstantOfShape",
    "Expand",
    "Range",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Max",
    "Min",
    "Mod",
    "Neg",
    "Sqrt",
    "Abs",
    "Exp",
    "Reciprocal",
    "Floor",
    "Ceil",
    "ReduceMean",
    "ReduceSum",
    "ReduceProd",
    "ReduceMax",
    "ReduceMin",
    "Equal",
    "Where",
    "BatchNormalization",
    "Shape",
    "Dropout",
];

/// True for an operator that [`evaluate`] knows.
pub(super) fn folds(op: &str) -> bool {
    FOLDED.contains(&op)
}

/// The value of `value`. `None` when something in it is not handled.
pub(super) fn evaluate(facts: &Facts<'_>, value: ValueId) -> Option<Constant> {
    let view = facts.view();
    if let Some(t) = view.initializer(value) {
        return Some(Constant { data: tensor::read_f64(t).ok()?, dtype: tensor::dtype(t)? });
    }
    if let Some(sizes) = &facts.table.sizes[value.0 as usize]
        && let Some(known) = sizes.iter().map(super::Dim::known).collect::<Option<Vec<i64>>>()
    {
        let shape: Vec<usize> = match facts.shape(value) {
            Some(s) => s.iter().map(|d| usize::try_from(d.known()?).ok()).collect::<Option<_>>()?,
            None => vec![known.len()],
        };
        let data = ArrayD::from_shape_vec(IxDyn(&shape), known.iter().map(|v| *v as f64).collect()).ok()?;
        return Some(Constant { data, dtype: facts.dtype(value).unwrap_or(DataType::Int64) });
    }
    let node = view.def(value)?;
    if view.op(node) == "Constant" {
        return literal(facts, node);
    }
    let dtype = facts.dtype(value)?;
    let data = operator(facts, node)?;
    let integer = !matches!(dtype, DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16);
    // Integer division and casts cut towards zero.
    let data = if integer { data.mapv(f64::trunc) } else { data };
    Some(Constant { data, dtype })
}

fn literal(facts: &Facts<'_>, node: NodeId) -> Option<Constant> {
    let view = facts.view();
    if let Some(t) = view.attr(node, "value").and_then(|a| a.t.as_ref()) {
        return Some(Constant { data: tensor::read_f64(t).ok()?, dtype: tensor::dtype(t)? });
    }
    let attribute = view.node(node).attribute.first()?;
    let (values, dtype, scalar): (Vec<f64>, _, _) = match attribute.name() {
        "value_float" => (vec![f64::from(attribute.f?)], DataType::Float, true),
        "value_int" => (vec![attribute.i? as f64], DataType::Int64, true),
        "value_floats" => (attribute.floats.iter().map(|v| f64::from(*v)).collect(), DataType::Float, false),
        "value_ints" => (attribute.ints.iter().map(|v| *v as f64).collect(), DataType::Int64, false),
        _ => return None,
    };
    let shape = if scalar { vec![] } else { vec![values.len()] };
    Some(Constant { data: ArrayD::from_shape_vec(IxDyn(&shape), values).ok()?, dtype })
}

fn operator(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let view = facts.view();
    let of = |slot: usize| -> Option<Rc<Constant>> { facts.constant(view.input(node, slot)?) };
    let data = || Some(of(0)?.data.clone());
    let shape = || -> Option<Vec<usize>> {
        facts.shape(view.output(node)?)?.iter().map(|d| usize::try_from(d.known()?).ok()).collect()
    };
    let unary = |f: fn(f64) -> f64| Some(of(0)?.data.mapv(f));
    match view.op(node) {
        "Identity" | "Dropout" | "Cast" | "CastLike" => data(),
        "Reshape" | "Unsqueeze" | "Squeeze" | "Flatten" => {
            let source = data()?;
            source.as_standard_layout().into_owned().into_shape_with_order(IxDyn(&shape()?)).ok()
        }
        "Transpose" => {
            let source = data()?;
            let perm: Vec<usize> = match view.attr_ints(node, "perm") {
                Some(p) => p.iter().map(|i| usize::try_from(*i).ok()).collect::<Option<_>>()?,
                None => (0..source.ndim()).rev().collect(),
            };
            let mut sorted = perm.clone();
            sorted.sort_unstable();
            (sorted == (0..source.ndim()).collect::<Vec<_>>())
                .then(|| source.permuted_axes(IxDyn(&perm)).as_standard_layout().into_owned())
        }
        "Slice" => {
            let mut source = data()?;
            for cut in slices(view, facts, node)? {
                let axis = axis(cut.axis, source.ndim())?;
                let (start, count) = cut.resolve(source.shape()[axis] as i64)?;
                let picks: Vec<usize> =
                    (0..count).map(|i| usize::try_from(start + i * cut.step).ok()).collect::<Option<_>>()?;
                source = source.select(Axis(axis), &picks);
            }
            Some(source)
        }
        "Concat" => {
            let parts: Vec<Rc<Constant>> = (0..view.inputs(node).len()).map(of).collect::<Option<_>>()?;
            let axis = axis(view.attr_i(node, "axis")?, parts.first()?.data.ndim())?;
            let views: Vec<_> = parts.iter().map(|p| p.data.view()).collect();
            ndarray::concatenate(Axis(axis), &views).ok()
        }
        "Gather" => {
            let (source, index) = (of(0)?, of(1)?);
            let axis = axis(view.attr_i(node, "axis").unwrap_or(0), source.data.ndim())?;
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
        "ConstantOfShape" => {
            let shape: Vec<usize> =
                of(0)?.data.iter().map(|v| usize::try_from(*v as i64).ok()).collect::<Option<_>>()?;
            within(&shape, 0)?;
            let fill = match view.attr(node, "value").and_then(|a| a.t.as_ref()) {
                Some(t) => tensor::read_f64(t).ok()?.iter().copied().next()?,
                None => 0.0,
            };
            Some(ArrayD::from_elem(IxDyn(&shape), fill))
        }
        "Expand" => {
            let shape = shape()?;
            let source = of(0)?;
            within(&shape, source.data.len())?;
            Some(source.data.broadcast(IxDyn(&shape))?.to_owned())
        }
        "Range" => {
            let scalar = |slot: usize| of(slot)?.data.iter().copied().next();
            let (start, end, step) = (scalar(0)?, scalar(1)?, scalar(2)?);
            let count = ((end - start) / step).ceil();
            if !(0.0..=MOST as f64).contains(&count) {
                return None;
            }
            Some(ArrayD::from_shape_fn(IxDyn(&[count as usize]), |i| start + i[0] as f64 * step))
        }
        "Add" => fold(facts, node, |a, b| a + b),
        "Sub" => fold(facts, node, |a, b| a - b),
        "Mul" => fold(facts, node, |a, b| a * b),
        "Div" => fold(facts, node, |a, b| a / b).filter(|d| d.iter().all(|v| !v.is_nan())),
        "Pow" => fold(facts, node, f64::powf),
        "Max" => fold(facts, node, f64::max),
        "Min" => fold(facts, node, f64::min),
        "Mod" if view.attr_i(node, "fmod").unwrap_or(0) == 0 => fold(facts, node, |a, b| a - b * (a / b).floor()),
        "Equal" => fold(facts, node, |a, b| f64::from(u8::from(a == b))),
        "Neg" => unary(|v| -v),
        "Sqrt" => unary(f64::sqrt),
        "Abs" => unary(f64::abs),
        "Exp" => unary(f64::exp),
        "Reciprocal" => unary(f64::recip),
        "Floor" => unary(f64::floor),
        "Ceil" => unary(f64::ceil),
        "Where" => {
            let (mask, a, b) = (of(0)?, of(1)?, of(2)?);
            let shape = shape()?;
            within(&shape, mask.data.len().max(a.data.len()).max(b.data.len()))?;
            let (m, a, b) = (
                mask.data.broadcast(IxDyn(&shape))?,
                a.data.broadcast(IxDyn(&shape))?,
                b.data.broadcast(IxDyn(&shape))?,
            );
            let mut out = b.to_owned();
            ndarray::Zip::from(&mut out).and(&m).and(&a).for_each(|o, m, a| {
                if *m != 0.0 {
                    *o = *a;
                }
            });
            Some(out)
        }
        op if op.starts_with("Reduce") => reduce(facts, node, op),
        "BatchNormalization" => batch_norm(facts, node),
        _ => None,
    }
}

/// Whether a constant of `shape` may be computed from constants of which the largest has `source` elements.
fn within(shape: &[usize], source: usize) -> Option<()> {
    let n = shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d))?;
    (n <= MOST.max(source)).then_some(())
}

fn axis(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add(rank as i64)? } else { axis };
    usize::try_from(axis).ok().filter(|a| *a < rank)
}

fn fold(facts: &Facts<'_>, node: NodeId, f: fn(f64, f64) -> f64) -> Option<ArrayD<f64>> {
    let view = facts.view();
    let mut result: Option<ArrayD<f64>> = None;
    for value in view.inputs(node) {
        let next = facts.constant((*value)?)?;
        result = Some(match result {
            None => next.data.clone(),
            Some(so_far) => {
                let rank = so_far.ndim().max(next.data.ndim());
                let at = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
                let shape: Vec<usize> = (0..rank)
                    .map(|i| match (at(so_far.shape(), i), at(next.data.shape(), i)) {
                        (1, n) | (n, 1) => Some(n),
                        (a, b) => (a == b).then_some(a),
                    })
                    .collect::<Option<_>>()?;
                within(&shape, so_far.len().max(next.data.len()))?;
                let mut out = so_far.broadcast(IxDyn(&shape))?.to_owned();
                out.zip_mut_with(&next.data.broadcast(IxDyn(&shape))?, |a, b| *a = f(*a, *b));
                out
            }
        });
    }
    result
}

fn reduce(facts: &Facts<'_>, node: NodeId, op: &str) -> Option<ArrayD<f64>> {
    let view = facts.view();
    let mut data = facts.constant(view.input(node, 0)?)?.data.clone();
    let axes: Vec<usize> = match (view.attr_ints(node, "axes"), view.input(node, 1)) {
        (Some(axes), _) => axes.iter().map(|a| axis(*a, data.ndim())).collect::<Option<_>>()?,
        (None, Some(v)) => {
            facts.constant(v)?.data.iter().map(|a| axis(*a as i64, data.ndim())).collect::<Option<_>>()?
        }
        (None, None) => (0..data.ndim()).collect(),
    };
    if data.is_empty() || axes.is_empty() {
        return None;
    }
    let keep = view.attr_i(node, "keepdims").unwrap_or(1) != 0;
    let mut sorted = axes;
    sorted.sort_unstable();
    sorted.dedup();
    for a in sorted.into_iter().rev() {
        let n = data.shape()[a] as f64;
        data = match op {
            "ReduceMean" => data.sum_axis(Axis(a)) / n,
            "ReduceSum" => data.sum_axis(Axis(a)),
            "ReduceProd" => data.product_axis(Axis(a)),
            "ReduceMax" => data.fold_axis(Axis(a), f64::NEG_INFINITY, |m, v| m.max(*v)),
            "ReduceMin" => data.fold_axis(Axis(a), f64::INFINITY, |m, v| m.min(*v)),
            _ => return None,
        };
        if keep {
            data = data.insert_axis(Axis(a));
        }
    }
    Some(data)
}

/// `BatchNormalization` of a weight (inference), and in training mode too: weight standardisation normalises each
/// filter over its own entries, `[1, filters, entries]`, which depends on the weight alone.
fn batch_norm(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let view = facts.view();
    let x = facts.constant(view.input(node, 0)?)?;
    let channels = *x.data.shape().get(1)?;
    let mut out = x.data.clone();
    let maps: Vec<(f64, f64)> = match BatchNorm::new(view, facts, node) {
        Some(norm) => norm.scale.into_iter().zip(norm.shift).collect(),
        None if view.attr_i(node, "training_mode").unwrap_or(0) != 0 => standardised(facts, node, &x.data)?,
        None => return None,
    };
    if maps.len() != channels {
        return None;
    }
    for (mut plane, (scale, shift)) in out.axis_iter_mut(Axis(1)).zip(maps) {
        plane.mapv_inplace(|x| x * scale + shift);
    }
    Some(out)
}

/// The affine map of each channel of `x` by its own mean and variance.
fn standardised(facts: &Facts<'_>, node: NodeId, x: &ArrayD<f64>) -> Option<Vec<(f64, f64)>> {
    let view = facts.view();
    let (gamma, beta) = (facts.constant(view.input(node, 1)?)?, facts.constant(view.input(node, 2)?)?);
    let epsilon = f64::from(view.attr_f(node, "epsilon").unwrap_or(1e-5));
    let map = |((plane, gamma), beta): ((ndarray::ArrayViewD<'_, f64>, &f64), &f64)| {
        let n = plane.len().max(1) as f64;
        let mean = plane.sum() / n;
        let variance = plane.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
        let scale = gamma / (variance + epsilon).sqrt();
        (scale, beta - mean * scale)
    };
    Some(x.axis_iter(Axis(1)).zip(&gamma.data).zip(&beta.data).map(map).collect())
}
