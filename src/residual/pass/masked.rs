//! `Where(mask, x, f(x))` with a constant mask of one value a channel: what an earlier rewrite makes of an activation
//! that carried channels could not pass otherwise. The mask is true on carried channels too.

use crate::algebra::Slot;
use crate::facts::Interval;
use crate::graph::{NodeId, Use, ValueId};
use crate::residual::emit::Emit;
use crate::residual::reject::Reject;

use super::{Arrival, Context, Form, Found, Pass, Reading, Step, affine::per_channel, found, unstacked};

struct Masked {
    node: NodeId,
    /// True where a channel is passed on as it is.
    mask: Vec<bool>,
    function: Box<dyn Pass>,
    /// How the function acts on more channels than it has.
    form: Form,
}

pub(crate) fn read(cx: Context<'_>, node: NodeId, _: ValueId) -> Found {
    if cx.view.op(node) != "Where" {
        return None;
    }
    let (x, computed) = (cx.view.input(node, 1)?, cx.view.input(node, 2)?);
    let mask = cx.facts.constant(cx.view.input(node, 0)?)?;
    let mask = per_channel(cx, &mask.data, x)?.into_iter().map(|m| m != 0.0).collect();
    let inner = super::read(cx, computed).ok()?.into_iter().find(|r| r.input == x)?;
    let Step::Pass(function) = inner.step else { return None };
    if !function.is_activation() {
        return None;
    }
    // What it does to carried channels is overruled by the mask: only the number of channels matters.
    let anything =
        Arrival { carried: Interval::new(0.0, f64::INFINITY), axis: cx.axis(x)?, stacked: false, alone: false };
    let form = match function.form(cx, anything) {
        Ok(form @ (Form::Prelu | Form::Bounds)) => form,
        _ => Form::Unchanged,
    };
    let reads = [&inner.reads[..], &[Use { node, slot: 1 }]].concat();
    let nodes = [&inner.nodes[..], &[node]].concat();
    found(Some(Reading { step: Step::Pass(Box::new(Masked { node, mask, function, form })), input: x, reads, nodes }))
}

impl Pass for Masked {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        unstacked(cx, self.node, arrival, "its mask").map(|()| Form::Select)
    }

    fn is_activation(&self) -> bool {
        true
    }

    fn emit(&self, cx: Context<'_>, emit: &mut Emit<'_>, _: Form, input: &str, lin: &[Slot], output: &str) {
        let name = cx.view.node(self.node).name();
        let computed = emit.fresh(&format!("{name}_computed"));
        self.function.emit(cx, emit, self.form, input, lin, &computed);
        let mask = emit.mask(&format!("{name}_mask"), lin.iter().map(|s| s.body.is_none_or(|b| self.mask[b as usize])));
        emit.node("Where", name, &[&mask, input, &computed], output, Vec::new());
    }
}
