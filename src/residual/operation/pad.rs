//! `Pad` on the spatial axes in front of a convolution, and of the channels by a constant. Carried channels pass it
//! whatever it pads with: it only moves them. Behind spatial ones the Dirac tap of the convolution stands on the entries
//! between; channels that are added are further ones of the body.

use crate::algebra::{Layout, Slot};
use crate::emit::Emit;
use crate::facts::{Fill, Padding};
use crate::graph::{NodeId, ValueId};
use crate::read::{Context, MAX_CHANNELS, Reject};

use super::{Arrival, Form, Found, Operation, Reading, Step, found, moved};

pub(crate) fn read(cx: Context<'_>, node: NodeId, _: ValueId) -> Found {
    if cx.view.op(node) != "Pad" {
        return None;
    }
    let input = cx.view.input(node, 0)?;
    let (at, before) = (cx.axis(input)?, u32::try_from(cx.channels(input)?).ok()?);
    let padding = Padding::new(cx.view, cx.facts, node)?;
    let count = |n: i64| usize::try_from(n).ok().filter(|n| *n <= MAX_CHANNELS);
    let mut added: Vec<(usize, usize)> =
        padding.axes.iter().map(|(a, b)| Some((count(*a)?, count(*b)?))).collect::<Option<_>>()?;
    let spatial = added.split_off(at + 1);
    let (front, back) = added.pop()?;
    // Entries of the tensor itself, repeated across channels, would be carried ones.
    let repeated = padding.fill == Fill::Repeated && (front, back) != (0, 0);
    if repeated || added.iter().any(|p| *p != (0, 0)) {
        return None;
    }
    let channels = (front as u32, before, back as u32);
    found(Reading::one(cx, node, 0, Step::Operation(Box::new(Padded { node, channels, spatial }))))
}

struct Padded {
    node: NodeId,
    /// Channels added in front, those that were there, and channels added behind.
    channels: (u32, u32, u32),
    /// Entries added at the begin and the end of each spatial axis.
    spatial: Vec<(usize, usize)>,
}

impl Operation for Padded {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        moved(cx, self.node, arrival)
    }

    fn moves_only(&self) -> bool {
        true
    }

    fn padding(&self) -> &[(usize, usize)] {
        &self.spatial
    }

    fn keeps_layout(&self) -> bool {
        let (front, _, back) = self.channels;
        (front, back) == (0, 0)
    }

    fn layout(&self, lin: &[Slot]) -> Option<Layout> {
        let (front, before, back) = self.channels;
        let behind = front.checked_add(before)?;
        let moved = lin.iter().map(|s| Slot { body: s.body.map(|b| b + front), ..*s });
        let added = |channels: std::ops::Range<u32>| channels.map(Slot::body);
        Some(added(0..front).chain(moved).chain(added(behind..behind.checked_add(back)?)).collect())
    }

    fn emit(&self, cx: Context<'_>, emit: &mut Emit<'_>, _: Form, input: &str, _: &[Slot], output: &str) -> Option<()> {
        emit.reread(cx.view.node(self.node), 0, input, output)
    }
}
