//! Operators that only move channels: `Concat`, `Split`, also by way of a sequence, `Slice`, `Gather`, `Tile` and `Expand` on
//! the channel axis. Carried channels stand beside the body's, so each goes on with those that are taken, and what is taken twice stands there twice.

use crate::algebra::{Layout, Slot};
use crate::emit::Emit;
use crate::graph::{NodeId, Use, ValueId};
use crate::read::channels::{piece, taken};
use crate::read::{Context, Reject, data_inputs};

use super::shuffle::Shuffle;
use super::{Arrival, Form, Found, Operation, Reading, Step, found, moved};

pub(crate) fn read(cx: Context<'_>, node: NodeId, value: ValueId) -> Found {
    match cx.view.op(node) {
        "Concat" => concat(cx, node),
        "Split" | "Slice" | "Gather" | "Tile" | "Expand" => {
            let from = taken(cx, node, value)?;
            let channels = cx.channels(cx.view.input(node, 0)?)?;
            found(Reading::one(cx, node, 0, Step::Operation(part(node, from, channels))))
        }
        "SequenceAt" => {
            let (piece, from) = piece(cx, node)?;
            let channels = cx.channels(piece.input)?;
            found(Some(Reading {
                step: Step::Operation(part(node, from, channels)),
                input: piece.input,
                reads: vec![Use { node: piece.split, slot: 0 }],
                nodes: vec![piece.split, node],
            }))
        }
        _ => None,
    }
}

/// One channel, repeated so many times at `node`.
pub(crate) fn repeated(node: NodeId, channels: usize) -> Box<dyn Operation> {
    part(node, vec![0; channels], 1)
}

fn part(node: NodeId, from: Vec<u32>, channels: usize) -> Box<dyn Operation> {
    let part = Chosen::new(node, &from, channels);
    if part.permutes() { Box::new(Shuffle { node, from }) } else { Box::new(part) }
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
            Reading::one(cx, node, slot, Step::Operation(Box::new(Joined { node, slot, widths: widths.clone() })))
        })
        .collect();
    Some(Ok(readings))
}

impl Operation for Joined {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        moved(cx, self.node, arrival)
    }

    fn moves_only(&self) -> bool {
        true
    }

    fn keeps_layout(&self) -> bool {
        false
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

    fn emit(&self, cx: Context<'_>, emit: &mut Emit<'_>, _: Form, input: &str, _: &[Slot], output: &str) -> Option<()> {
        emit.reread(cx.view.node(self.node), self.slot, input, output)
    }
}

struct Chosen {
    node: NodeId,
    /// Where each channel of the input goes: nowhere, to one place or to several.
    to: Vec<Vec<u32>>,
}

impl Chosen {
    fn new(node: NodeId, from: &[u32], channels: usize) -> Self {
        let mut to = vec![Vec::new(); channels];
        for (place, channel) in from.iter().enumerate() {
            if let Some(places) = to.get_mut(*channel as usize) {
                places.push(place as u32);
            }
        }
        Self { node, to }
    }

    /// True when every channel goes to one place, and not each to its own.
    fn permutes(&self) -> bool {
        let moves = self.to.iter().enumerate().any(|(channel, places)| *places != [channel as u32]);
        moves && self.to.iter().all(|places| places.len() == 1)
    }

    /// The columns of `lin` that are taken, with what each holds behind the node: the body's channels, each as often
    /// as it is taken, and everything carried once.
    fn columns(&self, lin: &[Slot]) -> Vec<(usize, Slot)> {
        let mut columns = Vec::new();
        for (column, slot) in lin.iter().enumerate() {
            let places = slot.body.and_then(|b| self.to.get(b as usize)).map_or(&[][..], Vec::as_slice);
            let first = places.first().copied();
            if first.is_some() || slot.carried.is_some() {
                columns.push((column, Slot { body: first, ..*slot }));
            }
            columns.extend(places.iter().skip(1).map(|place| (column, Slot::body(*place))));
        }
        columns
    }
}

impl Operation for Chosen {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        moved(cx, self.node, arrival)
    }

    fn moves_only(&self) -> bool {
        true
    }

    fn keeps_layout(&self) -> bool {
        false
    }

    fn layout(&self, lin: &[Slot]) -> Option<Layout> {
        Some(self.columns(lin).into_iter().map(|(_, slot)| slot).collect())
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
        let name = cx.view.node(self.node).name().to_owned();
        let columns: Vec<usize> = self.columns(lin).into_iter().map(|(column, _)| column).collect();
        emit.take(&name, input, lin.len(), &columns, Some(output));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_of_the_body_keeps_everything_that_is_carried() {
        let chosen = Chosen::new(NodeId(0), &[2, 0, 2], 3);
        let lin = [Slot::body(0), Slot::body(1), Slot::body(2), Slot::carried(0)];
        let columns = chosen.columns(&lin);
        let taken = [(0, Slot::body(1)), (2, Slot::body(0)), (2, Slot::body(2)), (3, Slot::carried(0))];
        assert_eq!(columns, taken);
        assert!(!chosen.permutes(), "one channel goes, one comes twice");
        assert!(Chosen::new(NodeId(0), &[1, 0], 2).permutes());
        assert!(!Chosen::new(NodeId(0), &[0, 1], 2).permutes(), "each stays where it is");
    }

    #[test]
    fn a_channel_that_is_both_is_carried_on_though_its_body_is_not_taken() {
        let chosen = Chosen::new(NodeId(0), &[0], 2);
        let both = |c: u32| Slot { body: Some(c), carried: Some(c), ..Slot::default() };
        let taken = [(0, both(0)), (1, Slot { body: None, ..both(1) })];
        assert_eq!(chosen.columns(&[both(0), both(1)]), taken);
    }
}
