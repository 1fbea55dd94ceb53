//! Folding the constant expressions that exporters leave: shapes behind `Pad`, weight standardisation and weight norm,
//! quantised weights, merged initializers behind `Identity`. One file a group of operators.

mod arithmetic;
mod arrange;
mod limit;
mod normalise;
mod quantised;
mod reduce;

use std::rc::Rc;

use ndarray::{ArrayD, IxDyn};

use crate::graph::{NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;

use super::{Constant, Facts, element, tensor};

pub(super) use limit::{Limit, elements};

/// What gives an operator's first output; `None` when it is not handled.
type Evaluator = fn(&Facts<'_>, NodeId) -> Option<ArrayD<f64>>;

/// The operators of one file, by name.
type Table = &'static [(&'static str, Evaluator)];

const TABLES: &[Table] =
    &[arithmetic::OPERATORS, arrange::OPERATORS, normalise::OPERATORS, quantised::OPERATORS, reduce::OPERATORS];

/// The operators that are evaluated.
pub(super) fn operators() -> impl Iterator<Item = &'static str> {
    TABLES.iter().flat_map(|table| table.iter()).map(|(name, _)| *name)
}

/// The function that evaluates `op`.
fn evaluator(op: &str) -> Option<Evaluator> {
    TABLES.iter().flat_map(|table| table.iter()).find(|(name, _)| *name == op).map(|(_, evaluator)| *evaluator)
}

/// True for an operator that [`evaluate`] knows. The contents of a `Shape` are known without evaluating it.
pub(super) fn folds(op: &str) -> bool {
    op == "Shape" || evaluator(op).is_some()
}

/// What `value` is computed from and must be known first; nothing for what stands in the file, or is known by its sizes.
pub(super) fn sources<'a>(facts: &Facts<'a>, value: ValueId) -> impl Iterator<Item = ValueId> + use<'a> {
    let view = facts.view();
    let known = view.initializer(value).is_some() || known_sizes(facts, value).is_some();
    let node = view.def(value).filter(|_| !known);
    node.into_iter().flat_map(move |n| view.inputs(n).iter().flatten().copied())
}

fn known_sizes(facts: &Facts<'_>, value: ValueId) -> Option<Vec<i64>> {
    facts.table.sizes[value.0 as usize].as_ref()?.iter().map(super::Dim::known).collect()
}

/// The value of `value`. `None` when something in it is not handled or not a number, or when it is too large.
pub(super) fn evaluate(facts: &Facts<'_>, value: ValueId) -> Option<Constant> {
    let view = facts.view();
    if let Some(t) = view.initializer(value) {
        return Some(Constant { data: tensor::read_f64(t).ok()?, dtype: tensor::dtype(t)? });
    }
    let shape = || facts.constant_shape(value);
    if let Some(known) = known_sizes(facts, value) {
        let data = ArrayD::from_shape_vec(IxDyn(&shape()?), known.iter().map(|v| *v as f64).collect()).ok()?;
        return Some(Constant { data, dtype: facts.dtype(value)? });
    }
    let node = view.def(value)?;
    if view.op(node) == "Constant" {
        return literal(facts, node);
    }
    let (dtype, evaluator) = (facts.dtype(value)?, evaluator(view.op(node))?);
    let sources = view.inputs(node).iter().flatten().filter_map(|v| elements(&facts.constant_shape(*v)?));
    facts.limit.take(&shape()?, sources.fold(0, usize::saturating_add))?;
    Some(Constant { data: held(evaluator(facts, node)?, dtype)?, dtype })
}

/// `data` as a tensor of type `dtype` holds it: floats rounded, after each operator, as the model computes them. `None` when
/// it does not: where integers overflow, runtimes differ; and no number is no constant.
fn held(mut data: ArrayD<f64>, dtype: DataType) -> Option<ArrayD<f64>> {
    if let Some(format) = element::float(dtype) {
        data.mapv_inplace(|v| format.nearest(v));
        return data.iter().all(|v| !v.is_nan()).then_some(data);
    }
    let (least, most) = element::integer(dtype)?;
    data.iter().all(|v| (least..=most).contains(v) && v.fract() == 0.0).then_some(data)
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

fn axis(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add(rank as i64)? } else { axis };
    usize::try_from(axis).ok().filter(|a| *a < rank)
}
