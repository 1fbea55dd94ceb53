//! The bodies of `If`, `Loop` and `Scan`, each rewritten as a model of its own.
//!
//! What a body reads from around is an input of that model, or an initializer where it is a constant. Of an input only that is known
//! which is proved outside, or which the operator says: what a body declares of its inputs is not believed, for runtimes do not check it.
//! Nothing around a body changes; what only it read, and reads no more, goes.

use std::collections::BTreeSet;

use crate::facts::{Dim, Facts, tensor};
use crate::graph::{self, GraphView, NodeId, Place, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::onnx::tensor_shape_proto::{Dimension, dimension};
use crate::onnx::{GraphProto, ModelProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto};
use crate::report::{Outcome, SiteStatus, StopReason};

use super::budget::Rewritten;
use super::error::EngineError;

/// A body as a model of its own.
pub(super) struct Opened {
    place: Place,
    pub(super) model: ModelProto,
    /// Constants of the graph around that it reads.
    lent: Vec<TensorProto>,
    /// What the body itself declares.
    input: Vec<ValueInfoProto>,
}

/// Rewrites every body of `model` with `run`, which does the same with those inside of it, and adds what it found to `outcome`.
/// `true` when that changed the model.
pub(super) fn rewrite(
    model: &mut ModelProto,
    outcome: &mut Outcome,
    run: &mut dyn FnMut(&ModelProto) -> Result<Rewritten, EngineError>,
) -> Result<bool, EngineError> {
    let (bodies, hidden) = {
        let view = GraphView::new(model)?;
        open(&view, &Facts::new(&view))
    };
    outcome.not_inspected.in_subgraphs = hidden;
    let mut taken = BTreeSet::new();
    let before = model.clone();
    let mut changed = false;
    for body in bodies {
        let mut found = match run(&body.model) {
            // Only what changes needs names that nothing else in the whole model has.
            Ok((_, found)) if found.removed().next().is_some() => {
                if taken.is_empty() {
                    model.graph.iter().for_each(|g| graph::all_names(g, &mut taken));
                }
                run(&beside(&body.model, &taken))
            }
            other => other,
        };
        if let Ok((rewritten, inside)) = &mut found
            && inside.removed().next().is_some()
        {
            match body.closed(std::mem::take(rewritten)) {
                Some(closed) => {
                    let imports = closed.opset_import.into_iter().filter(|o| !model.opset_import.contains(o));
                    model.opset_import.extend(imports.collect::<Vec<_>>());
                    model.ir_version = closed.ir_version;
                    let graph = closed.graph.unwrap_or_default();
                    graph::all_names(&graph, &mut taken);
                    graph::replace(model, &body.place, graph);
                    changed = true;
                }
                // Nothing of it can be kept, so it was not looked into.
                None => found = Err(EngineError::Graph(graph::GraphError::NoGraph)),
            }
        }
        match found {
            Ok((_, inside)) => absorb(outcome, inside),
            Err(EngineError::Stopped) => return Err(EngineError::Stopped),
            Err(_) => outcome.not_inspected.in_subgraphs += body.model.graph.iter().map(graph::sums_in).sum::<usize>(),
        }
    }
    if changed {
        graph::forget_functions(&before, model);
        graph::validate(model)?;
        if outcome.stop == StopReason::NothingToDo {
            outcome.stop = StopReason::FixedPoint;
        }
    }
    outcome.not_inspected.in_functions = graph::sums_in_functions(model);
    Ok(changed)
}

/// The sites of a body are sites of the model: those that went before those that stay.
fn absorb(outcome: &mut Outcome, inside: Outcome) {
    outcome.sites.extend(inside.sites);
    outcome.sites.sort_by_key(|site| matches!(site.status, SiteStatus::Kept(_)));
    outcome.not_inspected.in_subgraphs += inside.not_inspected.in_subgraphs;
    if inside.stop == StopReason::RoundLimit {
        outcome.stop = StopReason::RoundLimit;
    }
}

/// The bodies of `view`'s graph, and how many sums stand in subgraphs that cannot be opened.
pub(super) fn open(view: &GraphView<'_>, facts: &Facts<'_>) -> (Vec<Opened>, usize) {
    let places = graph::places(view);
    let holders: BTreeSet<NodeId> = places.iter().map(|(node, _)| *node).collect();
    let others = view.nodes().filter(|n| !holders.contains(n)).flat_map(|n| graph::graphs(view.node(n)));
    let mut hidden = others.map(graph::sums_in).sum();
    let mut opened = Vec::new();
    for (node, place) in places {
        let body = view.attr(node, &place.attribute).and_then(|a| a.g.as_ref());
        match body.and_then(|body| open_one(view, facts, (node, &place), body)) {
            Some(body) => opened.push(body),
            None => hidden += body.map_or(0, graph::sums_in),
        }
    }
    (opened, hidden)
}

/// `None` for a body that reads what nothing defines.
fn open_one(
    view: &GraphView<'_>,
    facts: &Facts<'_>,
    (node, place): (NodeId, &Place),
    body: &GraphProto,
) -> Option<Opened> {
    let mut graph = body.clone();
    for (slot, input) in graph.input.iter_mut().enumerate() {
        let (dtype, shape) = given(view, facts, node, slot);
        *input = info(input.name(), dtype, shape.as_deref());
    }
    let mut lent = Vec::new();
    for name in graph::read_from_around(body) {
        let value = view.value(&name)?;
        match constant(view, facts, value) {
            Some(tensor) => lent.push(tensor),
            None => graph.input.push(info(&name, facts.dtype(value), facts.shape(value))),
        }
    }
    graph.initializer.extend(lent.iter().cloned());
    let whole = view.model();
    let model = ModelProto {
        ir_version: whole.ir_version,
        opset_import: whole.opset_import.clone(),
        functions: whole.functions.clone(),
        graph: Some(graph),
        ..ModelProto::default()
    };
    Some(Opened { place: place.clone(), model, lent, input: body.input.clone() })
}

/// The initializer that `value` is, or may as well be.
fn constant(view: &GraphView<'_>, facts: &Facts<'_>, value: ValueId) -> Option<TensorProto> {
    if let Some(tensor) = view.initializer(value) {
        return (!view.is_overridable(value)).then(|| tensor.clone());
    }
    facts.constant_shape(value)?;
    let constant = facts.constant(value).filter(|c| c.exact)?;
    tensor::write_back(view.name(value), &constant.data, constant.dtype)
}

/// Element type and shape of input `slot` of the body of `node`, as far as the operator says them. What a `Loop` hands from turn to
/// turn keeps its type, but may change its shape; `Scan` had a batch axis of its own before opset 9.
fn given(view: &GraphView<'_>, facts: &Facts<'_>, node: NodeId, slot: usize) -> (Option<DataType>, Option<Vec<Dim>>) {
    let of = |slot: usize| view.input(node, slot).and_then(|v| facts.dtype(v));
    match (view.op(node), slot) {
        ("Loop", 0) => (Some(DataType::Int64), None),
        ("Loop", 1) => (Some(DataType::Bool), None),
        ("Loop", _) => (of(slot), None),
        ("Scan", _) if view.opset() >= 9 => {
            let scanned = view.attr_i(node, "num_scan_inputs").and_then(|n| usize::try_from(n).ok());
            let states = scanned.and_then(|n| view.inputs(node).len().checked_sub(n));
            let row = states.and_then(|n| slot.checked_sub(n)).and_then(|k| row(view, facts, node, (slot, k)));
            (of(slot), row)
        }
        _ => (None, None),
    }
}

/// The shape of what `Scan` takes of its input at `slot`, the scanned one of number `k`, each turn.
fn row(view: &GraphView<'_>, facts: &Facts<'_>, node: NodeId, (slot, k): (usize, usize)) -> Option<Vec<Dim>> {
    let mut shape = facts.shape(view.input(node, slot)?)?.to_vec();
    let axes = view.attr_ints(node, "scan_input_axes");
    let axis = axes.map_or(Some(0), |axes| axes.get(k).copied())?;
    let axis = if axis < 0 { axis.checked_add(shape.len() as i64)? } else { axis };
    let axis = usize::try_from(axis).ok().filter(|axis| *axis < shape.len())?;
    shape.remove(axis);
    Some(shape)
}

/// An input of which so much is known; a size that is not is free.
fn info(name: &str, dtype: Option<DataType>, shape: Option<&[Dim]>) -> ValueInfoProto {
    let dim = |d: &Dim| Dimension { value: d.known().map(dimension::Value::DimValue), ..Dimension::default() };
    let shape = shape.map(|dims| TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor = type_proto::Tensor { elem_type: dtype.map(|t| t as i32), shape };
    let known = tensor.elem_type.is_some() || tensor.shape.is_some();
    let r#type =
        known.then(|| TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() });
    ValueInfoProto { name: Some(name.to_owned()), r#type, ..ValueInfoProto::default() }
}

/// `body` with all that is `taken` elsewhere said of tensors that it does not have, so that no new name of it is one of these.
fn beside(body: &ModelProto, taken: &BTreeSet<String>) -> ModelProto {
    let mut body = body.clone();
    if let Some(graph) = &mut body.graph {
        let mut own = BTreeSet::new();
        graph::all_names(graph, &mut own);
        graph.value_info.extend(taken.difference(&own).map(|name| info(name, None, None)));
    }
    body
}

impl Opened {
    /// What became of it, without what it was lent. `None` when that is not what it was.
    fn closed(&self, mut rewritten: ModelProto) -> Option<ModelProto> {
        let graph = rewritten.graph.as_mut()?;
        let own = self.model.graph.as_ref()?;
        let lent = |t: &TensorProto| self.lent.iter().find(|l| l.name() == t.name()).cloned();
        if graph.initializer.iter().any(|t| lent(t).is_some_and(|l| l != *t)) || graph.input != own.input {
            return None;
        }
        graph.initializer.retain(|t| lent(t).is_none());
        let said: BTreeSet<&str> = own.value_info.iter().map(|v| v.name()).collect();
        graph.value_info.retain(|v| said.contains(v.name()));
        graph.input.clone_from(&self.input);
        Some(rewritten)
    }
}
