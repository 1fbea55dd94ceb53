//! Activations that exporters write out as several nodes: SiLU as `x * Sigmoid(x)`, HardSwish, GELU with `Erf` or
//! `Tanh`, Mish, and any other elementwise function of one tensor.
//!
//! Some functions have a gate that never exceeds a bound, at which the whole function is the identity ([`super::gate`]):
//! `x * Sigmoid(x)` at 1. `Max` with that bound on carried channels (and with the lowest value on ordinary ones, where it
//! changes nothing) lets carried values through bit for bit. Every other function passes by `Where(mask, x, f(x))`.

use std::collections::{BTreeMap, BTreeSet};

use crate::algebra::Slot;
use crate::emit::Emit;
use crate::facts::is_inactive_dropout;
use crate::graph::{NodeId, Use, ValueId};
use crate::operators::maps_entries;
use crate::options::ActivationForm;
use crate::read::{Context, Reject, RejectCode};

use super::activation::spared;
use super::gate::{Gate, gate};
use super::{Arrival, Form, Found, Operation, Reading, Step, allowed, found, untaken};

/// Most nodes of one written-out function.
const MAX_NODES: usize = 24;

/// A function of one tensor, as the nodes that compute it, in order.
struct Written {
    nodes: Vec<NodeId>,
    input: ValueId,
    /// The one that computes the result.
    last: NodeId,
    gate: Option<Gate>,
}

pub(crate) fn read(cx: Context<'_>, node: NodeId, value: ValueId) -> Found {
    if cx.view.op(node) == "Identity" {
        return None;
    }
    let mut extents = extents(cx, value);
    // What is carried has one type all the way, whatever is cast and compared between.
    let dtype = cx.facts.dtype(value);
    extents.retain(|(input, _)| dtype.is_some() && cx.facts.dtype(*input) == dtype);
    let reads = |input: ValueId, nodes: &[NodeId]| -> Vec<Use> {
        cx.view.uses(input).iter().copied().filter(|u| nodes.contains(&u.node)).collect()
    };
    // What the target runs as one stays whole, with the constants behind it, and nothing is put into it.
    let is_fused = |(input, nodes): &&(ValueId, Vec<NodeId>)| {
        nodes.iter().any(|n| cx.options.target.fuses(cx.view.op(*n))) && reads(*input, nodes).len() > 1
    };
    let fused = extents.iter().find(is_fused).map(|(input, nodes)| (*input, nodes.clone(), None));
    let gated = || {
        extents.iter().find_map(|(input, nodes)| {
            let gate = nodes.iter().find_map(|n| gate(cx, *input, nodes, *n))?;
            Some((*input, nodes.clone(), Some(gate)))
        })
    };
    let nearest = || extents.first().map(|(input, nodes)| (*input, nodes.clone(), None));
    let (input, nodes, gate) = fused.or_else(gated).or_else(nearest)?;
    let reads = reads(input, &nodes);
    // What reads its input once is a chain of operators, each of which passes by itself.
    if reads.len() < 2 {
        return None;
    }
    let written = Written { nodes: nodes.clone(), input, last: node, gate };
    found(Some(Reading { step: Step::Operation(Box::new(written)), input, reads, nodes }))
}

/// Every tensor of which `value` is an elementwise function, the nearest first, with the nodes between.
fn extents(cx: Context<'_>, value: ValueId) -> Vec<(ValueId, Vec<NodeId>)> {
    let position = |v: &ValueId| cx.view.def(*v).map(|n| cx.view.position(n));
    let mut found = Vec::new();
    let mut nodes: BTreeMap<usize, NodeId> = BTreeMap::new();
    let mut front: BTreeSet<(Option<usize>, ValueId)> = BTreeSet::from([(position(&value), value)]);
    while nodes.len() < MAX_NODES {
        // Everything in front of the latest tensor leads through it when it is the only one left.
        let Some((at, latest)) = front.pop_last() else { break };
        if front.is_empty() && latest != value {
            found.push((latest, nodes.values().copied().collect()));
        }
        let Some((at, node)) = at.zip(cx.view.def(latest)) else { break };
        let Some(inputs) = operands(cx, node) else { break };
        front.extend(inputs.into_iter().map(|v| (position(&v), v)));
        nodes.insert(at, node);
    }
    found
}

/// The data inputs of an elementwise node whose other inputs are single constants.
fn operands(cx: Context<'_>, node: NodeId) -> Option<Vec<ValueId>> {
    let view = cx.view;
    let op = view.op(node);
    let random = op == "Dropout" && !is_inactive_dropout(view, cx.facts, node);
    // What is thrown away is computed all the same: integers that are divided by a carried zero end a run.
    let partial = matches!(op, "Div" | "Mod") && cx.facts.float_type([view.output(node)?]).is_none();
    if !maps_entries(op) || random || partial || view.outputs(node).len() != 1 {
        return None;
    }
    let mut data = Vec::new();
    let rank = cx.facts.rank(view.output(node)?)?;
    for value in view.inputs(node).iter().flatten() {
        if cx.facts.is_data(*value) {
            if cx.facts.rank(*value)? != rank {
                return None;
            }
            data.push(*value);
        } else {
            let shape = cx.facts.constant_shape(*value)?;
            if shape.iter().product::<usize>() != 1 || shape.len() > rank {
                return None;
            }
        }
    }
    Some(data)
}

impl Operation for Written {
    fn form(&self, cx: Context<'_>, _: Arrival) -> Result<Form, Reject> {
        let asked = cx.options.activation;
        let asked = if asked == ActivationForm::Pair { ActivationForm::Auto } else { asked };
        if self.gate.is_some() && cx.view.opset() >= 8 && allowed(cx.options, asked, ActivationForm::Minmax) {
            return Ok(Form::Floor);
        }
        if cx.view.opset() < 9 {
            let reason = "passing an activation that is written out needs opset 9 (Where)";
            return Err(
                Reject::at(cx.view, self.last, RejectCode::Opset, reason).hint("convert the model to a newer opset")
            );
        }
        if !cx.options.target.takes("Where") {
            return Err(untaken(cx, self.last, if self.gate.is_some() { "Max or Where" } else { "Where" }));
        }
        Ok(Form::Select)
    }

    fn is_activation(&self) -> bool {
        true
    }

    fn emit(
        &self,
        cx: Context<'_>,
        emit: &mut Emit<'_>,
        form: Form,
        input: &str,
        lin: &[Slot],
        output: &str,
    ) -> Option<()> {
        let mut names: BTreeMap<ValueId, String> = BTreeMap::from([(self.input, input.to_owned())]);
        for node in &self.nodes {
            let proto = cx.view.node(*node);
            let inputs: Vec<String> = proto
                .input
                .iter()
                .map(|name| cx.view.value(name).and_then(|v| names.get(&v)).unwrap_or(name).clone())
                .collect();
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            let direct = *node == self.last && form != Form::Select;
            let value = cx.view.output(*node)?;
            let mut name =
                if direct { output.to_owned() } else { emit.fresh(&format!("{}_wide", cx.view.name(value))) };
            emit.copy(proto, &inputs, &name);
            emit.edits.renamed.push((cx.view.name(value).to_owned(), name.clone()));
            if let (Form::Floor, Some(gate)) = (form, self.gate.as_ref().filter(|g| g.node == *node)) {
                name = floored(emit, proto.name(), &name, gate.bounds, lin);
            }
            names.insert(value, name);
        }
        if form == Form::Select {
            let value = cx.view.output(self.last)?;
            let site = cx.view.name(value).to_owned();
            let mask = emit.mask(&format!("{site}_mask"), spared(lin));
            let computed = names.get(&value)?;
            emit.node("Where", &format!("{site}_select"), &[&mask, input, computed], output, Vec::new());
        }
        Some(())
    }
}

/// `Max` with the upper bound on all that is not the body's, and with what changes nothing on that.
fn floored(emit: &mut Emit<'_>, name: &str, input: &str, (lo, hi): (f64, f64), lin: &[Slot]) -> String {
    let values = lin.iter().map(|s| if s.body.is_none() { hi } else { lo }).collect();
    let floor = emit.per_channel(&format!("{name}_floor"), values);
    let output = emit.fresh(&format!("{name}_floored"));
    emit.node("Max", &format!("{name}_max"), &[input, &floor], &output, Vec::new());
    output
}
