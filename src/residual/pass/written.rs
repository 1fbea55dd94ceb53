//! Activations that exporters write out as several nodes: SiLU as `x * Sigmoid(x)`, HardSwish, GELU with `Erf` or
//! `Tanh`, Mish, and any other elementwise function of one tensor.
//!
//! A self-gated function `x * g(x)` has somewhere a node that never exceeds a bound, at which the whole function is
//! the identity: `Sigmoid` at 1, `Erf` at 1. `Max` with that bound on carried channels (and with the lowest value on
//! ordinary ones, where it changes nothing) lets carried values through bit for bit. Every other function passes by
//! `Where(mask, x, f(x))`.

use std::collections::{BTreeMap, BTreeSet};

use crate::algebra::Slot;
use crate::facts::{clip_bounds, is_elementwise, tensor::largest};
use crate::graph::{NodeId, Use, ValueId};
use crate::plan::options::ActivationForm;
use crate::residual::emit::Emit;
use crate::residual::reject::{Reject, RejectCode};

use super::{Arrival, Context, Form, Found, Pass, Reading, Step, activation::spared, allowed, found};

/// Most nodes of one written-out function.
const MOST: usize = 24;

/// A function of one tensor, as the nodes that compute it, in order.
struct Written {
    nodes: Vec<NodeId>,
    input: ValueId,
    floor: Option<Floor>,
    scale: Option<f64>,
}

/// The node whose upper bound makes the function the identity.
struct Floor {
    node: NodeId,
    bounds: (f64, f64),
}

pub(crate) fn read(cx: Context<'_>, node: NodeId, value: ValueId) -> Found {
    if cx.view.op(node) == "Identity" {
        return None;
    }
    let extents = extents(cx, value);
    let gated = extents.iter().find_map(|(input, nodes)| {
        let floor = nodes.iter().find_map(|n| floor(cx, *input, nodes, *n))?;
        Some((*input, nodes.clone(), Some(floor)))
    });
    let (input, nodes, floor) = gated.or_else(|| extents.into_iter().next().map(|(i, n)| (i, n, None)))?;
    let reads: Vec<Use> = cx.view.uses(input).iter().copied().filter(|u| nodes.contains(&u.node)).collect();
    // What reads its input once is a chain of operators, each of which passes by itself.
    if reads.len() < 2 {
        return None;
    }
    let scale = pair_scale(cx, input, &nodes);
    let written = Written { nodes: nodes.clone(), input, floor, scale };
    found(Some(Reading { step: Step::Pass(Box::new(written)), input, reads, nodes }))
}

/// Every tensor of which `value` is an elementwise function, the nearest first, with the nodes between.
fn extents(cx: Context<'_>, value: ValueId) -> Vec<(ValueId, Vec<NodeId>)> {
    let position = |v: &ValueId| cx.view.def(*v).map(|n| cx.view.position(n));
    let mut found = Vec::new();
    let mut nodes: BTreeMap<usize, NodeId> = BTreeMap::new();
    let mut front: BTreeSet<(Option<usize>, ValueId)> = BTreeSet::from([(position(&value), value)]);
    while nodes.len() < MOST {
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
    let known =
        is_elementwise(op) || matches!(op, "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Max" | "Min" | "Clip" | "Identity");
    if !known || view.outputs(node).len() != 1 {
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

/// Evaluates the nodes at one point, `fixed` taking the place of what its node computes.
fn at(cx: Context<'_>, input: ValueId, nodes: &[NodeId], x: f64, fixed: Option<(NodeId, f64)>) -> Option<f64> {
    let mut values: BTreeMap<ValueId, f64> = BTreeMap::from([(input, x)]);
    let mut last = x;
    for node in nodes {
        last = match fixed {
            Some((at, value)) if at == *node => value,
            _ => {
                let of = |slot: usize| -> Option<f64> {
                    let value = cx.view.input(*node, slot)?;
                    match values.get(&value) {
                        Some(v) => Some(*v),
                        None => cx.facts.constant(value)?.data.iter().copied().next(),
                    }
                };
                scalar(cx, *node, of)?
            }
        };
        // Rounded as a float network would, so that only what is exact there counts as exact.
        last = f64::from(last as f32);
        values.insert(cx.view.output(*node)?, last);
    }
    Some(last)
}

fn scalar(cx: Context<'_>, node: NodeId, of: impl Fn(usize) -> Option<f64>) -> Option<f64> {
    let x = of(0)?;
    // `Max` and `Min` take any number of inputs.
    if cx.view.inputs(node).len() > 2 && cx.view.op(node) != "Clip" {
        return None;
    }
    let attribute = |name: &str, default: f64| cx.view.attr_f(node, name).map_or(default, f64::from);
    Some(match cx.view.op(node) {
        "Add" => x + of(1)?,
        "Sub" => x - of(1)?,
        "Mul" => x * of(1)?,
        "Div" => x / of(1)?,
        "Max" => x.max(of(1)?),
        "Min" => x.min(of(1)?),
        "Identity" => x,
        "Neg" => -x,
        "Abs" => x.abs(),
        "Relu" => x.max(0.0),
        "Sigmoid" => 1.0 / (1.0 + (-x).exp()),
        "HardSigmoid" => (attribute("alpha", 0.2) * x + attribute("beta", 0.5)).clamp(0.0, 1.0),
        "Tanh" => x.tanh(),
        "Erf" => erf(x),
        "Softplus" => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        "Exp" => x.exp(),
        "Log" => x.ln(),
        "Clip" => {
            let (lo, hi) = clip_bounds(cx.view, cx.facts, node)?;
            x.max(lo).min(hi)
        }
        "Pow" => x.powf(of(1)?),
        _ => return None,
    })
}

/// The error function to 1.5e-7 (Abramowitz and Stegun, 7.1.26): enough to recognise a GELU.
fn erf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let series = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let sum = series.iter().fold(0.0, |sum, c| sum * t + c) * t;
    (1.0 - sum * (-x * x).exp()).copysign(x)
}

/// Points at which a function is tried: of every sign and size, none of them special.
const POINTS: [f64; 10] = [-731.3, -17.77, -3.3, -1.0, -0.0123, 0.0317, 1.0, 2.6, 19.31, 997.7];

/// `node` as the place of a floor: the whole is the identity when it stands at its upper bound.
fn floor(cx: Context<'_>, input: ValueId, nodes: &[NodeId], node: NodeId) -> Option<Floor> {
    let bounds = match cx.view.op(node) {
        "Sigmoid" | "HardSigmoid" => (0.0, 1.0),
        "Tanh" | "Erf" => (-1.0, 1.0),
        "Clip" => {
            clip_bounds(cx.view, cx.facts, node).filter(|(lo, hi)| lo < hi && lo.is_finite() && hi.is_finite())?
        }
        _ => return None,
    };
    let up_to = nodes.iter().position(|n| *n == node)? + 1;
    let identity = POINTS.iter().all(|x| {
        let x = f64::from(*x as f32);
        // A gate that is no number there would spoil what it should let through.
        at(cx, input, &nodes[..up_to], x, None).is_some_and(|gate| !gate.is_nan())
            && at(cx, input, nodes, x, Some((node, bounds.1))) == Some(x)
    });
    identity.then_some(Floor { node, bounds })
}

/// `s` when `f(x) - f(-x) = s * x` everywhere.
fn pair_scale(cx: Context<'_>, input: ValueId, nodes: &[NodeId]) -> Option<f64> {
    let odd = |x: f64| Some(at(cx, input, nodes, x, None)? - at(cx, input, nodes, -x, None)?);
    let close = |x: f64| odd(x).is_some_and(|d| (d - x).abs() <= 1e-6 * x.abs().max(1.0));
    POINTS.iter().all(|x| close(*x)).then_some(1.0)
}

impl Pass for Written {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        let asked = cx.options.activation;
        if arrival.alone && asked == ActivationForm::Pair && self.scale.is_some() {
            return Ok(Form::Pair);
        }
        if self.floor.is_some()
            && cx.view.opset() >= 8
            && (asked == ActivationForm::Pair || allowed(cx.options, ActivationForm::Minmax))
        {
            return Ok(Form::Floor);
        }
        if cx.view.opset() < 9 {
            let reason = "passing an activation that is written out needs opset 9 (Where)";
            let node = self.nodes.last().copied().unwrap_or(NodeId(0));
            return Err(Reject::at(cx.view, node, RejectCode::Opset, reason).hint("convert the model to a newer opset"));
        }
        Ok(Form::Select)
    }

    fn is_activation(&self) -> bool {
        true
    }

    fn pair_scale(&self) -> Option<f64> {
        self.scale
    }

    fn emit(&self, cx: Context<'_>, emit: &mut Emit<'_>, form: Form, input: &str, lin: &[Slot], output: &str) {
        let mut names: BTreeMap<ValueId, String> = BTreeMap::from([(self.input, input.to_owned())]);
        let last = self.nodes.last().copied();
        for node in &self.nodes {
            let proto = cx.view.node(*node);
            let inputs: Vec<String> = proto
                .input
                .iter()
                .map(|name| cx.view.value(name).and_then(|v| names.get(&v)).unwrap_or(name).clone())
                .collect();
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            let direct = Some(*node) == last && form != Form::Select;
            let Some(value) = cx.view.output(*node) else { continue };
            let mut name =
                if direct { output.to_owned() } else { emit.fresh(&format!("{}_wide", cx.view.name(value))) };
            emit.copy(proto, &inputs, &name);
            if let (Form::Floor, Some(floor)) = (form, self.floor.as_ref().filter(|f| f.node == *node)) {
                name = floored(emit, proto.name(), &name, floor.bounds, lin);
            }
            names.insert(value, name);
        }
        if let (Form::Select, Some(value)) = (form, last.and_then(|n| cx.view.output(n))) {
            let site = cx.view.name(value).to_owned();
            let mask = emit.mask(&format!("{site}_mask"), spared(lin));
            let computed = names.get(&value).cloned().unwrap_or_default();
            emit.node("Where", &format!("{site}_select"), &[&mask, input, &computed], output, Vec::new());
        }
    }
}

/// `Max` with the upper bound on carried channels, and with what changes nothing on the others.
fn floored(emit: &mut Emit<'_>, name: &str, input: &str, (lo, hi): (f64, f64), lin: &[Slot]) -> String {
    let lo = lo.max(-largest(emit.dtype));
    let values = lin.iter().map(|s| if s.is_carried() { hi } else { lo }).collect();
    let floor = emit.per_channel(&format!("{name}_floor"), values);
    let output = emit.fresh(&format!("{name}_floored"));
    emit.node("Max", &format!("{name}_max"), &[input, &floor], &output, Vec::new());
    output
}
