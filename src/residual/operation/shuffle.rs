//! Channel shuffle: `Reshape` to `[N, groups, C / groups, ...]`, `Transpose` of the two, `Reshape` back; or any other
//! order, by `Gather`. Carried channels stay where they are; the body's are picked in their new order.

use crate::algebra::Slot;
use crate::emit::Emit;
use crate::facts::Dim;
use crate::graph::{NodeId, Use, ValueId};
use crate::read::{Context, Reject};

use super::{Arrival, Form, Found, Operation, Reading, Step, found, moved};

pub(super) struct Shuffle {
    pub(super) node: NodeId,
    /// `from[c]` is the channel of the input that stands at `c` behind it.
    pub(super) from: Vec<u32>,
}

pub(crate) fn read(cx: Context<'_>, node: NodeId, value: ValueId) -> Found {
    let view = cx.view;
    let before = |value: Option<ValueId>, op: &str| view.def(value?).filter(|n| view.op(*n) == op);
    if !cx.is_channels_first() || view.op(node) != "Reshape" {
        return None;
    }
    let transpose = before(view.input(node, 0), "Transpose")?;
    let part = before(view.input(transpose, 0), "Reshape")?;
    let input = view.input(part, 0)?;
    let (from, to) = (cx.facts.shape(input)?, cx.facts.shape(view.output(part)?)?);
    let [batch, channels, spatial @ ..] = from else { return None };
    let [first, groups, each, behind @ ..] = to else { return None };
    let known = |d: &Dim| d.known().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    let (channels, groups, each) = (known(channels)?, known(groups)?, known(each)?);
    let same = |a: &[Dim], b: &[Dim]| a == b && !a.contains(&Dim::Unknown);
    let swaps = view.attr_ints(transpose, "perm")?.iter().copied().eq([0, 2, 1].into_iter().chain(3..to.len() as i64));
    let parts = channels.checked_div(groups) == Some(each) && channels % groups == 0;
    if !swaps || !parts || batch != first || !same(spatial, behind) || !same(from, cx.facts.shape(value)?) {
        return None;
    }
    let from = (0..channels).map(|c| (c % groups) * each + c / groups).collect();
    let shuffle = Shuffle { node, from };
    let reads = vec![Use { node: part, slot: 0 }];
    let nodes = vec![part, transpose, node];
    found(Some(Reading { step: Step::Operation(Box::new(shuffle)), input, reads, nodes }))
}

impl Operation for Shuffle {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        moved(cx, self.node, arrival)
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
        let place = |channel: u32| lin.iter().position(|s| s.body == Some(channel));
        let columns: Vec<usize> = lin
            .iter()
            .enumerate()
            .map(|(at, slot)| slot.body.and_then(|c| place(*self.from.get(c as usize)?)).unwrap_or(at))
            .collect();
        emit.take(cx.view.node(self.node).name(), input, lin.len(), &columns, Some(output));
        Some(())
    }
}
