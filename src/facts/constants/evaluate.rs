//! The value of a constant expression, evaluated when it is asked for.

use std::rc::Rc;

use ndarray::{ArrayD, IxDyn};

use crate::facts::{Constant, Dim, Facts, element, tensor};
use crate::graph::{NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::operators::{function, functions::FUNCTIONS};

use super::exact::{Effect, effect};
use super::{Evaluator, Table, arithmetic, arrange, elements, indexed, normalise, product, quantised, reduce};

impl Constant {
    /// The operators through which constants are followed.
    pub fn operators() -> impl Iterator<Item = &'static str> {
        operators().chain(["Constant", "Shape", "Split"])
    }
}

/// Most elements of an initializer that is kept in float64 once it was read.
const MAX_KEPT: usize = 1 << 12;

impl Facts<'_> {
    /// The value of a constant: an initializer that nobody can override, a `Constant`, or what is computed from such.
    #[must_use]
    pub fn constant(&self, value: ValueId) -> Option<Rc<Constant>> {
        if !*self.table.folds.get(value.0 as usize)? {
            return None;
        }
        // First what it is computed from, so that no evaluation reaches deeper than one operator.
        let mut open = vec![value];
        while let Some(last) = open.last().copied() {
            if self.constants.borrow().contains_key(&last) {
                open.pop();
                continue;
            }
            let waits = open.len();
            open.extend(sources(self, last).filter(|v| self.is_open(*v)));
            if open.len() == waits {
                open.pop();
                let found = self.checked(last);
                // The weights of a whole model in float64 are twice the model: what is read from the file is read again.
                let large =
                    self.view.initializer(last).is_some() && found.as_ref().is_some_and(|c| c.data.len() > MAX_KEPT);
                if !large {
                    self.constants.borrow_mut().insert(last, found.clone());
                }
                if open.is_empty() {
                    return found;
                }
            }
        }
        self.constants.borrow().get(&value).cloned().flatten()
    }

    /// True when [`Facts::constant`] gives a value; a weight of the file is not read to find out.
    #[must_use]
    pub fn is_constant(&self, value: ValueId) -> bool {
        self.table.folds[value.0 as usize]
            && match self.view.initializer(value) {
                Some(tensor) => tensor::is_readable(tensor),
                None => self.constant(value).is_some(),
            }
    }

    /// True for a constant that has to be computed first.
    fn is_open(&self, value: ValueId) -> bool {
        let known = self.view.initializer(value).is_some() || self.constants.borrow().contains_key(&value);
        self.table.folds[value.0 as usize] && !known
    }

    fn checked(&self, value: ValueId) -> Option<Rc<Constant>> {
        let found = evaluate(self, value)?;
        // What shape inference says of an odd operator must be what evaluating it gave.
        let alike = self.shape(value).is_none_or(|shape| {
            let sizes = shape.iter().map(|d| d.known().and_then(|n| usize::try_from(n).ok()));
            sizes.eq(found.data.shape().iter().map(|n| Some(*n)))
        });
        debug_assert!(alike, "{} has shape {:?}", self.view.name(value), found.data.shape());
        alike.then(|| Rc::new(found))
    }
}

const TABLES: &[Table] = &[
    arithmetic::OPERATORS,
    arrange::OPERATORS,
    indexed::OPERATORS,
    normalise::OPERATORS,
    product::OPERATORS,
    quantised::OPERATORS,
    reduce::OPERATORS,
];

/// The operators that are evaluated.
fn operators() -> impl Iterator<Item = &'static str> {
    let functions = FUNCTIONS.iter().filter(|f| f.value.is_some()).map(|f| f.name);
    TABLES.iter().flat_map(|table| table.iter()).map(|(name, _)| *name).chain(functions)
}

/// The function that evaluates `op`.
fn evaluator(op: &str) -> Option<Evaluator> {
    let listed = TABLES.iter().flat_map(|table| table.iter()).find(|(name, _)| *name == op);
    let is_function = || function(op).is_some_and(|f| f.value.is_some());
    listed.map(|(_, evaluator)| *evaluator).or_else(|| is_function().then_some(arithmetic::mapped as Evaluator))
}

/// True for an operator of which [`evaluate`] knows the output at `slot`. The contents of a `Shape` are known without
/// evaluating it.
pub(in crate::facts) fn folds(op: &str, slot: usize) -> bool {
    match op {
        "Split" => true,
        _ => slot == 0 && (op == "Shape" || evaluator(op).is_some()),
    }
}

/// What `value` is computed from and must be known first; nothing for what stands in the file, or is known by its sizes.
fn sources<'a>(facts: &Facts<'a>, value: ValueId) -> impl Iterator<Item = ValueId> + use<'a> {
    let view = facts.view();
    let known = view.initializer(value).is_some() || known_sizes(facts, value).is_some();
    let node = view.def(value).filter(|_| !known);
    node.into_iter().flat_map(move |n| view.inputs(n).iter().flatten().copied())
}

fn known_sizes(facts: &Facts<'_>, value: ValueId) -> Option<Vec<i64>> {
    facts.table.sizes[value.0 as usize].as_ref()?.iter().map(Dim::known).collect()
}

/// The value of `value`. `None` when something in it is not handled or not a number, or when it is too large.
fn evaluate(facts: &Facts<'_>, value: ValueId) -> Option<Constant> {
    let view = facts.view();
    if let Some(t) = view.initializer(value) {
        return Some(Constant { data: tensor::read_f64(t).ok()?, dtype: tensor::dtype(t)?, exact: true });
    }
    let shape = || facts.constant_shape(value);
    if let Some(known) = known_sizes(facts, value) {
        let data = ArrayD::from_shape_vec(IxDyn(&shape()?), known.iter().map(|v| *v as f64).collect()).ok()?;
        return Some(Constant { data, dtype: facts.dtype(value)?, exact: true });
    }
    let node = view.def(value)?;
    if view.op(node) == "Constant" {
        return literal(facts, node);
    }
    let dtype = facts.dtype(value)?;
    let sources = view.inputs(node).iter().flatten().filter_map(|v| elements(&facts.constant_shape(*v)?));
    facts.limit.take(&shape()?, sources.fold(0, usize::saturating_add))?;
    let exact = match effect(facts, node) {
        Effect::Jumps(false) => return None,
        Effect::Keeps(exact) | Effect::Jumps(exact) => exact,
    };
    let data = match view.op(node) {
        "Split" => arrange::part(facts, node, value)?,
        op => evaluator(op)?(facts, node)?,
    };
    Some(Constant { data: held(data, dtype)?, dtype, exact })
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
        return Some(Constant { data: tensor::read_f64(t).ok()?, dtype: tensor::dtype(t)?, exact: true });
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
    Some(Constant { data: ArrayD::from_shape_vec(IxDyn(&shape), values).ok()?, dtype, exact: true })
}
