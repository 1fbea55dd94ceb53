//! Operators that only move channels: `Concat`, `Split` and `Slice` on the channel axis.

use std::ops::Range;

use crate::algebra::{Layout, Slot};
use crate::graph::{NodeId, ValueId};
use crate::residual::emit::Emit;
use crate::residual::reject::Reject;

use super::{Arrival, Context, Form, Found, Pass, Reading, Step, data_inputs, found, moved};

pub(crate) fn read(cx: Context<'_>, node: NodeId, value: ValueId) -> Found {
    match cx.view.op(node) {
        "Concat" => concat(cx, node),
        "Split" | "Slice" => {
            let range = taken(cx, node, value)?;
            found(Reading::one(cx, node, 0, Step::Pass(Box::new(Part { node, range }))))
        }
        _ => None,
    }
}

struct Joined {
    node: NodeId,
    slot: usize,
    /// Channels of each operand.
    widths: Vec<usize>,
}

fn concat(cx: Context<'_>, node: NodeId) -> Found {
    let inputs = cx.view.inputs(node);
    let first = (*inputs.first()?)?;
    if !cx.is_channel_axis(first, cx.view.attr_i(node, "axis")?) {
        return None;
    }
    let widths: Vec<usize> = inputs.iter().map(|v| cx.channels((*v)?)).collect::<Option<_>>()?;
    let readings = data_inputs(cx, node)
        .into_iter()
        .filter_map(|input| {
            let slot = inputs.iter().position(|v| *v == Some(input))?;
            Reading::one(cx, node, slot, Step::Pass(Box::new(Joined { node, slot, widths: widths.clone() })))
        })
        .collect();
    Some(Ok(readings))
}

impl Pass for Joined {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        moved(cx, self.node, arrival)
    }

    fn moves_only(&self) -> bool {
        true
    }

    fn layout(&self, lin: &[Slot]) -> Option<Layout> {
        let mut layout = Layout::new();
        let mut start = 0;
        for (slot, width) in self.widths.iter().enumerate() {
            if slot == self.slot {
                layout.extend(lin.iter().map(|s| Slot { body: s.body.map(|b| b + start), ..*s }));
            } else {
                layout.extend((start..start + *width as u32).map(Slot::body));
            }
            start += *width as u32;
        }
        Some(layout)
    }

    fn emit(&self, cx: Context<'_>, emit: &mut Emit<'_>, _: Form, input: &str, _: &[Slot], output: &str) {
        let node = cx.view.node(self.node);
        let mut inputs: Vec<&str> = node.input.iter().map(String::as_str).collect();
        inputs[self.slot] = input;
        emit.copy(node, &inputs, output);
    }
}

struct Part {
    node: NodeId,
    range: Range<u32>,
}

/// The channels of the input that `value` takes, when the node cuts the channel axis alone.
pub(crate) fn taken(cx: Context<'_>, node: NodeId, value: ValueId) -> Option<Range<u32>> {
    let input = cx.view.input(node, 0)?;
    let channels = cx.channels(input)?;
    if cx.view.op(node) == "Split" {
        if !cx.is_channel_axis(input, cx.view.attr_i(node, "axis").unwrap_or(0)) {
            return None;
        }
        let mut start = 0;
        for output in cx.view.outputs(node) {
            let output = (*output)?;
            let width = cx.channels(output)?;
            if output == value {
                return Some(start as u32..(start + width) as u32);
            }
            start += width;
        }
        return None;
    }
    let cuts = crate::facts::slices(cx.view, cx.facts, node)?;
    match cuts.as_slice() {
        [cut] if cx.is_channel_axis(input, cut.axis) && cut.step == 1 => {
            let clamp = |v: i64| (if v < 0 { v + channels as i64 } else { v }).clamp(0, channels as i64) as u32;
            Some(clamp(cut.start)..clamp(cut.end))
        }
        _ => None,
    }
}

impl Part {
    /// The columns of `lin` that stay: the body channels taken, and everything carried.
    fn columns(&self, lin: &[Slot]) -> Vec<usize> {
        let stays = |s: &Slot| s.carried.is_some() || s.body.is_some_and(|b| self.range.contains(&b));
        lin.iter().enumerate().filter(|(_, s)| stays(s)).map(|(i, _)| i).collect()
    }
}

impl Pass for Part {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        moved(cx, self.node, arrival)
    }

    fn moves_only(&self) -> bool {
        true
    }

    fn layout(&self, lin: &[Slot]) -> Option<Layout> {
        let moved =
            |s: Slot| Slot { body: s.body.filter(|b| self.range.contains(b)).map(|b| b - self.range.start), ..s };
        Some(self.columns(lin).into_iter().map(|i| moved(lin[i])).collect())
    }

    fn emit(&self, cx: Context<'_>, emit: &mut Emit<'_>, _: Form, input: &str, lin: &[Slot], output: &str) {
        let name = cx.view.node(self.node).name().to_owned();
        emit.take(&name, input, lin.len(), &self.columns(lin), Some(output));
    }
}
