//! Elementwise activations.
//!
//! `Relu`, `LeakyRelu`, `PRelu` and `Clip` pass unchanged where they are the identity on every carried
//! value; else by `PRelu` slopes 0 and 1, or by per-channel bounds (`Max`, `Min`), which are exact for any
//! finite value. Every other elementwise function passes by `Where(mask, x, f(x))`.

use crate::algebra::Slot;
use crate::emit::Emit;
use crate::facts::{Interval, clip_bounds, elementwise};
use crate::graph::{NodeId, ValueId};
use crate::operators::functions::Carry;
use crate::options::ActivationForm;
use crate::read::affine::per_channel;
use crate::read::{BROADCASTS_SINCE, Context, Reject, RejectCode, data_inputs};

use super::{Arrival, Form, Found, Operation, Reading, Step, allowed, found, prefers_bounds, unstacked, untaken};

enum ActivationKind {
    /// `max(x, slope * x)` with a slope for each body channel.
    Slope(Vec<f64>),
    /// `min(max(x, lo), hi)`.
    Bounds(f64, f64),
    /// A function with `f(x) - f(-x) = x`.
    Odd,
    /// Any other elementwise function.
    Other,
}

struct Activation {
    node: NodeId,
    slot: usize,
    kind: ActivationKind,
    /// True when it has no constants of a channel's own, so that it acts on any number of channels.
    uniform: bool,
}

pub(crate) fn read(cx: Context<'_>, node: NodeId, _: ValueId) -> Found {
    let op = cx.view.op(node);
    let (kind, slot) = match op {
        // Before opset 7 a slope did not broadcast.
        "PRelu" if cx.view.opset() >= BROADCASTS_SINCE => {
            let x = cx.view.input(node, 0)?;
            let slope = cx.facts.constant(cx.view.input(node, 1)?)?;
            (ActivationKind::Slope(per_channel(cx, &slope.data, x)?), 0)
        }
        "Clip" => {
            let (lo, hi) = clip_bounds(cx.view, cx.facts, node)?;
            (bounded(lo, hi)?, 0)
        }
        "Max" | "Min" => scalar_bound(cx, node, op)?,
        "Pow" if single(cx, cx.view.input(node, 1)?, cx.view.input(node, 0)?).is_some() => (ActivationKind::Other, 0),
        "Div" | "Pow" if single(cx, cx.view.input(node, 0)?, cx.view.input(node, 1)?).is_some() => {
            (ActivationKind::Other, 1)
        }
        _ => match elementwise(cx.view, node)?.carry {
            Carry::Bounds(lo, hi) => (bounded(lo, hi)?, 0),
            Carry::Slope(slope) => {
                let channels = cx.channels(cx.view.input(node, 0)?)?;
                (ActivationKind::Slope(vec![slope.of(|name| cx.view.attr_f(node, name)); channels]), 0)
            }
            Carry::Odd => (ActivationKind::Odd, 0),
            Carry::Select => (ActivationKind::Other, 0),
        },
    };
    let input = cx.view.input(node, slot)?;
    if data_inputs(cx, node) != [input] {
        return None;
    }
    found(Reading::one(
        cx,
        node,
        slot,
        Step::Operation(Box::new(Activation { node, slot, kind, uniform: op != "PRelu" })),
    ))
}

/// `max(x, slope * x)` with a slope for each channel, which `node` computes.
pub(super) fn slope(node: NodeId, slopes: Vec<f64>) -> Step {
    Step::Operation(Box::new(Activation { node, slot: 0, kind: ActivationKind::Slope(slopes), uniform: false }))
}

/// Where `Where` passes `x` on: at everything that is not the body's. Channels of zeros are among them: a function that is
/// infinite at 0 would make NaNs of the weights 0 that read them.
pub(super) fn spared(lin: &[Slot]) -> impl Iterator<Item = bool> {
    lin.iter().map(|s| s.body.is_none())
}

fn scalar_bound(cx: Context<'_>, node: NodeId, op: &str) -> Option<(ActivationKind, usize)> {
    let inputs = cx.view.inputs(node);
    if inputs.len() != 2 {
        return None;
    }
    let slot = (0..2).find(|s| cx.view.input(node, *s).is_some_and(|v| cx.facts.is_data(v)))?;
    let bound = single(cx, cx.view.input(node, 1 - slot)?, cx.view.input(node, slot)?)?;
    let kind = if op == "Max" { bounded(bound, f64::INFINITY) } else { bounded(f64::NEG_INFINITY, bound) };
    Some((kind?, slot))
}

/// The entry of a constant that has only one, and broadcasts against `data` without giving it more axes.
fn single(cx: Context<'_>, constant: ValueId, data: ValueId) -> Option<f64> {
    let constant = cx.facts.constant(constant)?;
    let fits = constant.data.len() == 1 && constant.data.ndim() <= cx.facts.rank(data)?;
    fits.then(|| constant.data.iter().copied().next()).flatten()
}

/// Bounds that leave something between them.
fn bounded(lo: f64, hi: f64) -> Option<ActivationKind> {
    (lo <= hi && lo < f64::INFINITY && hi > f64::NEG_INFINITY).then_some(ActivationKind::Bounds(lo, hi))
}

impl Activation {
    /// How signed carried channels pass, where the user asks for `asked`.
    fn signed(&self, cx: Context<'_>, asked: ActivationForm) -> Option<Form> {
        let opset = cx.view.opset();
        let may = |form| allowed(cx.options, asked, form);
        let relu = match &self.kind {
            ActivationKind::Slope(_) => true,
            ActivationKind::Bounds(lo, hi) => *lo == 0.0 && *hi == f64::INFINITY,
            ActivationKind::Odd | ActivationKind::Other => false,
        };
        let steep = matches!(&self.kind, ActivationKind::Slope(s) if s.iter().any(|s| !(0.0..=1.0).contains(s)));
        let bounds = !matches!(self.kind, ActivationKind::Odd | ActivationKind::Other)
            && !steep
            && opset >= 8
            && may(ActivationForm::Minmax);
        if relu && opset >= 7 && may(ActivationForm::Prelu) && !(bounds && prefers_bounds(cx.options, asked)) {
            Some(Form::Prelu)
        } else if bounds {
            Some(Form::Bounds)
        } else if !self.uniform {
            // A `PRelu` with a slope a channel needs more slopes in any case.
            Some(Form::Prelu)
        } else {
            (opset >= 9 && cx.options.target.takes("Where")).then_some(Form::Select)
        }
    }

    /// The operators that could let signed channels through, in words.
    fn operators(&self) -> &'static str {
        match &self.kind {
            ActivationKind::Slope(_) => "PRelu, Max or Where",
            ActivationKind::Bounds(lo, hi) if *lo == 0.0 && *hi == f64::INFINITY => "PRelu, Max or Where",
            ActivationKind::Bounds(..) => "Max and Min, or Where",
            ActivationKind::Odd | ActivationKind::Other => "Where",
        }
    }
}

impl Operation for Activation {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        if matches!(self.kind, ActivationKind::Slope(_)) {
            unstacked(cx, self.node, arrival, "its slopes")?;
        }
        let Arrival { carried, stacked, alone, .. } = arrival;
        // Maps that are stacked hold zeros beside what one of them carries.
        let carried = if stacked { carried.hull(Interval::new(0.0, 0.0)) } else { carried };
        let identity = match &self.kind {
            ActivationKind::Slope(_) => carried.lo >= 0.0,
            ActivationKind::Bounds(lo, hi) => carried.lo >= *lo && carried.hi <= *hi,
            ActivationKind::Odd | ActivationKind::Other => false,
        };
        // Slopes of a channel's own need new ones for the carried channels.
        if identity && self.uniform {
            return Ok(Form::Unchanged);
        }
        if alone && cx.options.activation == ActivationForm::Pair && self.pair_scale().is_some() {
            return Ok(Form::Pair);
        }
        // What the user asked for, and what the target takes of all forms where that does not fit it.
        let takes = cx.options.target.takes("Where");
        let any = || if takes { None } else { self.signed(cx, ActivationForm::Auto) };
        let form = self.signed(cx, cx.options.activation).or_else(any);
        form.ok_or_else(|| match takes {
            true => Reject::at(
                cx.view,
                self.node,
                RejectCode::Opset,
                "passing a signed carried channel needs opset 9 (Where)",
            )
            .hint("convert the model to a newer opset"),
            false => untaken(cx, self.node, self.operators()),
        })
    }

    fn is_activation(&self) -> bool {
        true
    }

    fn pair_scale(&self) -> Option<f64> {
        match &self.kind {
            ActivationKind::Bounds(lo, hi) if *lo == 0.0 && *hi == f64::INFINITY => Some(1.0),
            // max(x, a x) - max(-x, -a x) = (1 + a) x. A half is never larger than the value, nor weighted by more than 1: so
            // neither overflows.
            ActivationKind::Slope(slopes) => {
                let slope = slopes.first().copied().filter(|s| (0.0..=1.0).contains(s))?;
                (self.uniform && slopes.iter().all(|s| *s == slope)).then_some(1.0 + slope)
            }
            ActivationKind::Odd => Some(1.0),
            _ => None,
        }
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
        let node = cx.view.node(self.node);
        let name = node.name().to_owned();
        match (form, &self.kind) {
            (Form::Prelu, ActivationKind::Slope(slopes)) => sloped(emit, &name, slopes, input, lin, output)?,
            (Form::Prelu, _) => {
                let values = lin.iter().map(|s| f64::from(u8::from(s.is_carried()))).collect();
                let slope = emit.per_channel(&format!("{name}_slope"), values);
                emit.node("PRelu", &name, &[input, &slope], output, Vec::new());
            }
            (Form::Bounds, ActivationKind::Slope(slopes)) => {
                let slope = emit.per_channel(&format!("{name}_slope"), per_slot(slopes, lin, 1.0)?);
                let scaled = emit.fresh(&format!("{name}_scaled"));
                emit.node("Mul", &format!("{name}_scale"), &[input, &slope], &scaled, Vec::new());
                emit.node("Max", &name, &[input, &scaled], output, Vec::new());
            }
            (Form::Bounds, ActivationKind::Bounds(lo, hi)) => bounds(emit, &name, (*lo, *hi), input, lin, output),
            (Form::Select, _) => {
                let computed = emit.fresh(&format!("{name}_computed"));
                match &self.kind {
                    ActivationKind::Slope(slopes) if !self.uniform => {
                        sloped(emit, &name, slopes, input, lin, &computed)?
                    }
                    _ => emit.reread(node, self.slot, input, &computed)?,
                }
                let mask = emit.mask(&format!("{name}_mask"), spared(lin));
                emit.node("Where", &format!("{name}_select"), &[&mask, input, &computed], output, Vec::new());
            }
            _ => emit.reread(node, self.slot, input, output)?,
        }
        Some(())
    }
}

/// `PRelu` with the body's own slopes, and 1 on carried channels.
fn sloped(emit: &mut Emit<'_>, name: &str, slopes: &[f64], input: &str, lin: &[Slot], output: &str) -> Option<()> {
    let slope = emit.per_channel(&format!("{name}_slope"), per_slot(slopes, lin, 1.0)?);
    emit.node("PRelu", name, &[input, &slope], output, Vec::new());
    Some(())
}

/// The body's own value for each of its channels, and `neutral` for all others.
pub(super) fn per_slot(values: &[f64], lin: &[Slot], neutral: f64) -> Option<Vec<f64>> {
    lin.iter().map(|s| s.body.map_or(Some(neutral), |b| values.get(b as usize).copied())).collect()
}

/// `Max` with the lower bounds, then `Min` with the upper ones; carried channels get the extreme finite values.
fn bounds(emit: &mut Emit<'_>, name: &str, (lo, hi): (f64, f64), input: &str, lin: &[Slot], output: &str) {
    let limit = crate::facts::tensor::largest(emit.dtype);
    let values = |bound: f64, neutral: f64| lin.iter().map(|s| if s.is_carried() { neutral } else { bound }).collect();
    let both = lo.is_finite() && hi.is_finite();
    let middle = if both { emit.fresh(&format!("{name}_floored")) } else { output.to_owned() };
    let mut current = input.to_owned();
    if lo.is_finite() {
        let floor = emit.per_channel(&format!("{name}_min"), values(lo, -limit));
        emit.node("Max", &format!("{name}_max"), &[&current, &floor], &middle, Vec::new());
        current = middle;
    }
    if hi.is_finite() {
        let ceiling = emit.per_channel(&format!("{name}_max"), values(hi, limit));
        emit.node("Min", &format!("{name}_min"), &[&current, &ceiling], output, Vec::new());
    }
}
