//! Folding the constant expressions that exporters leave: shapes behind `Pad`, weight standardisation and weight norm,
//! quantised weights, merged initializers behind `Identity`. One file a group of operators.

mod arithmetic;
mod arrange;
mod normalise;
mod quantised;
mod reduce;

use std::rc::Rc;

use ndarray::{ArrayD, IxDyn};

use crate::graph::{NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;

use super::{Constant, Facts, tensor};

/// Most elements of a constant that is larger than what it is computed from: a few numbers in a file may ask for
/// any size.
const MOST: usize = 1 << 22;

/// What gives an operator's first output; `None` when it is not handled.
type Evaluator = fn(&Facts<'_>, NodeId) -> Option<ArrayD<f64>>;

/// The function that evaluates `op`.
fn evaluator(op: &str) -> Option<Evaluator> {
    arrange::evaluator(op)
        .or_else(|| arithmetic::evaluator(op))
        .or_else(|| normalise::evaluator(op))
        .or_else(|| (op == "DequantizeLinear").then_some(quantised::dequantised as Evaluator))
        .or_else(|| reduce::is_reduction(op).then_some(reduce::reduced as Evaluator))
}

/// True for an operator that [`evaluate`] knows. The contents of a `Shape` are known without evaluating it.
pub(super) fn folds(op: &str) -> bool {
    op == "Shape" || evaluator(op).is_some()
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
    let data = evaluator(view.op(node))?(facts, node)?;
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

/// The constant that `node` reads at `slot`.
fn input(facts: &Facts<'_>, node: NodeId, slot: usize) -> Option<Rc<Constant>> {
    facts.constant(facts.view().input(node, slot)?)
}

/// The shape of what `node` computes.
fn output_shape(facts: &Facts<'_>, node: NodeId) -> Option<Vec<usize>> {
    facts.shape(facts.view().output(node)?)?.iter().map(|d| usize::try_from(d.known()?).ok()).collect()
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
