//! `Where(mask, x, f(x))` with a constant mask of one value a channel: what an earlier rewrite makes of an activation
//! that carried channels could not pass otherwise. The mask is true on carried channels too. Several masks around one
//! function are one: a channel that any of them passes on is passed on.

use crate::algebra::Slot;
use crate::emit::Emit;
use crate::facts::Interval;
use crate::graph::{NodeId, Use, ValueId};
use crate::read::affine::per_channel;
use crate::read::{Context, Reject};

use super::{Arrival, Form, Found, Operation, Reading, Step, found, unstacked};

struct Masked {
    node: NodeId,
    /// True where a channel is passed on as it is.
    mask: Vec<bool>,
    function: Box<dyn Operation>,
    /// How the function acts on more channels than it has.
    form: Form,
}

/// Most masks around one function.
const MAX_MASKS: usize = 16;

/// What reads the node that computes a tensor, whatever it is.
type Inner = fn(Context<'_>, ValueId) -> Result<Vec<Reading>, Reject>;

pub(crate) fn read(cx: Context<'_>, node: NodeId, _: ValueId, inner: Inner) -> Found {
    if cx.view.op(node) != "Where" {
        return None;
    }
    let x = cx.view.input(node, 1)?;
    let mut mask = vec![false; cx.channels(x)?];
    // The masks, the outermost first.
    let mut around = vec![node];
    let computed = loop {
        let at = *around.last()?;
        let own = cx.facts.constant(cx.view.input(at, 0)?)?;
        mask.iter_mut().zip(per_channel(cx, &own.data, x)?).for_each(|(m, own)| *m |= own != 0.0);
        let computed = cx.view.input(at, 2)?;
        match cx.view.def(computed).filter(|n| cx.view.op(*n) == "Where") {
            None => break computed,
            Some(_) if around.len() == MAX_MASKS => return None,
            Some(inner) if cx.view.input(inner, 1) != Some(x) => return None,
            Some(inner) => around.push(inner),
        }
    };
    // No mask stands there, so this reads no other one.
    let inner = inner(cx, computed).ok()?.into_iter().find(|r| r.input == x)?;
    let Step::Operation(function) = inner.step else { return None };
    if !function.is_activation() {
        return None;
    }
    // What it does to carried channels is overruled by the mask: only the number of channels matters.
    let carried = Interval::new(0.0, f64::INFINITY);
    let anything = Arrival { carried, channels: 0, axis: cx.axis(x)?, stacked: false, alone: false };
    let form = match function.form(cx, anything) {
        Ok(form @ (Form::Prelu | Form::Bounds)) => form,
        _ => Form::Unchanged,
    };
    let reads = inner.reads.into_iter().chain(around.iter().map(|node| Use { node: *node, slot: 1 })).collect();
    let nodes = inner.nodes.into_iter().chain(around.into_iter().rev()).collect();
    found(Some(Reading {
        step: Step::Operation(Box::new(Masked { node, mask, function, form })),
        input: x,
        reads,
        nodes,
    }))
}

impl Operation for Masked {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        unstacked(cx, self.node, arrival, "its mask").map(|()| Form::Select)
    }

    fn is_activation(&self) -> bool {
        true
    }

    fn emit(
        &self,
        cx: Context<'_>,
        emit: &mut Emit<'_>,
        _: Form,
        input: &str,
        lin: &[Slot],
        output: &str,
    ) -> Option<()> {
        let name = cx.view.node(self.node).name();
        let computed = emit.fresh(&format!("{name}_computed"));
        self.function.emit(cx, emit, self.form, input, lin, &computed)?;
        let passed = |s: &Slot| s.body.map_or(Some(true), |b| self.mask.get(b as usize).copied());
        let passed: Vec<bool> = lin.iter().map(passed).collect::<Option<_>>()?;
        let mask = emit.mask(&format!("{name}_mask"), passed.into_iter());
        emit.node("Where", name, &[&mask, input, &computed], output, Vec::new());
        Some(())
    }
}
