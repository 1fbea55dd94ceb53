//! What each channel of a branch tensor holds.

use std::num::NonZeroU32;

/// One channel of a widened tensor: a channel of the body, a carried channel, both or neither.
///
/// At the fork every channel is both (the body reads it and it is what is carried); at the join every
/// channel is the sum of both; between them it is one of the two, or zero padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// Channel of the original branch tensor.
    pub body: Option<u32>,
    /// Channel of the carried tensor: the fork, or its image under the shortcut.
    pub carried: Option<u32>,
    /// Which part of the carried channel it holds.
    pub part: Part,
    /// The inputs of its group that a partial result sums up, from and to; `None` for a channel that is whole.
    pub over: Option<(u32, NonZeroU32)>,
}

/// A carried channel stands in one slot as it is, or in two as a pair `(+x, -x)`: what an activation with
/// `f(x) - f(-x) = scale * x` lets through unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The value.
    #[default]
    Whole,
    /// The value, its negation standing in another slot.
    Plus,
    /// The negated value.
    Minus,
}

impl Slot {
    /// A channel that is always zero.
    pub const ZERO: Self = Self { body: None, carried: None, part: Part::Whole, over: None };

    /// A channel of the body.
    #[must_use]
    pub const fn body(channel: u32) -> Self {
        Self { body: Some(channel), ..Self::ZERO }
    }

    /// The part of a channel of the body that its inputs `from..to` give.
    #[must_use]
    pub const fn partial(channel: u32, from: u32, to: u32) -> Self {
        let over = match NonZeroU32::new(to) {
            Some(to) => Some((from, to)),
            None => None,
        };
        Self { over, ..Self::body(channel) }
    }

    /// A carried channel.
    #[must_use]
    pub const fn carried(channel: u32) -> Self {
        Self { carried: Some(channel), ..Self::ZERO }
    }

    /// True when the channel holds nothing but carried data.
    #[must_use]
    pub const fn is_carried(self) -> bool {
        self.body.is_none() && self.carried.is_some()
    }
}

/// The slots of a tensor, one a channel.
pub type Layout = Vec<Slot>;

/// The carried channels of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// How many.
    pub count: usize,
    /// True when each stands there as a pair.
    pub paired: bool,
}

impl Carried {
    /// Carried channels that stand there as they are.
    #[must_use]
    pub const fn whole(count: usize) -> Self {
        Self { count, paired: false }
    }

    /// Slots that one channel takes.
    pub(super) const fn width(self) -> usize {
        if self.paired { 2 } else { 1 }
    }

    /// The slots of `channels`, pairs side by side.
    pub(super) fn slots(self, channels: std::ops::Range<usize>) -> impl Iterator<Item = Slot> {
        channels.flat_map(move |c| {
            let whole = Slot::carried(c as u32);
            let parts = if self.paired { vec![Part::Plus, Part::Minus] } else { vec![Part::Whole] };
            parts.into_iter().map(move |part| Slot { part, ..whole })
        })
    }
}

/// The layout of the fork and of the join: every channel is both.
#[must_use]
pub fn shared(channels: usize) -> Layout {
    (0..channels as u32).map(|c| Slot { body: Some(c), ..Slot::carried(c) }).collect()
}

/// Carried channels first, then the body: the form of the paper (arXiv 2111.00687, section 3).
#[must_use]
pub fn contiguous(body: usize, carried: Carried) -> Layout {
    carried.slots(0..carried.count).chain((0..body as u32).map(Slot::body)).collect()
}

/// Most slots of a layout with groups: padding them with zeros may ask for any number.
pub(super) const MAX_SLOTS: usize = 1 << 21;

/// The two layouts around a convolution that passes carried channels in groups of its own.
///
/// The body has `group` groups of `inputs` to `outputs` channels. Each is split `replicas` ways over its
/// outputs, its inputs repeated; the `carried` channels follow in groups of the same size, as many a
/// group as fit through both sides, padded with zeros. `None` when nothing fits, or when there would be too many slots.
#[must_use]
pub fn grouped(
    group: usize,
    inputs: usize,
    outputs: usize,
    replicas: usize,
    carried: Carried,
) -> Option<(Layout, Layout)> {
    if replicas == 0 || !outputs.is_multiple_of(replicas) {
        return None;
    }
    let part = outputs / replicas;
    let fit = inputs.min(part) / carried.width();
    if fit == 0 {
        return None;
    }
    let groups = group.checked_mul(replicas)?.checked_add(carried.count.div_ceil(fit))?;
    groups.checked_mul(inputs.max(part)).filter(|slots| *slots <= MAX_SLOTS)?;
    let (mut before, mut after) = (Layout::new(), Layout::new());
    for g in 0..group {
        for r in 0..replicas {
            before.extend((g * inputs..(g + 1) * inputs).map(|c| Slot::body(c as u32)));
            let first = g * outputs + r * part;
            after.extend((first..first + part).map(|c| Slot::body(c as u32)));
        }
    }
    for first in (0..carried.count).step_by(fit) {
        let here = first..carried.count.min(first + fit);
        for (side, width) in [(&mut before, inputs), (&mut after, part)] {
            let end = side.len() + width;
            side.extend(carried.slots(here.clone()));
            side.resize(end, Slot::ZERO);
        }
    }
    Some((before, after))
}

/// Body and carried channels mixed group by group, for a grouped convolution beside the fork or the join:
/// each of `group` groups holds as many of the body and as many carried ones. `None` when they do not divide.
#[must_use]
pub fn mixed(group: usize, body: usize, carried: Carried) -> Option<Layout> {
    if group == 0 || !body.is_multiple_of(group) || !carried.count.is_multiple_of(group) {
        return None;
    }
    let (own, more) = (body / group, carried.count / group);
    let slots = (0..group).flat_map(|g| {
        let own = (g * own..(g + 1) * own).map(|c| Slot::body(c as u32));
        own.chain(carried.slots(g * more..(g + 1) * more))
    });
    Some(slots.collect())
}

/// The layout in front of a convolution that has groups of `inputs` to `outputs` channels and writes `after`: every
/// group of `after` gets what it reads. `None` when a group would read more than fits, or when there would be too many
/// slots.
#[must_use]
pub fn before(after: &[Slot], inputs: usize, outputs: usize) -> Option<Layout> {
    if outputs == 0 || !after.len().is_multiple_of(outputs) {
        return None;
    }
    (after.len() / outputs).checked_mul(inputs).filter(|slots| *slots <= MAX_SLOTS)?;
    let mut layout = Layout::new();
    for rows in after.chunks(outputs) {
        let end = layout.len() + inputs;
        let mut groups: Vec<u32> = rows.iter().filter_map(|s| Some(s.body? / outputs as u32)).collect();
        groups.dedup();
        if groups.len() > 1 {
            return None;
        }
        for g in groups {
            layout.extend((g * inputs as u32..(g + 1) * inputs as u32).map(Slot::body));
        }
        layout.extend(rows.iter().copied().filter(|s| s.is_carried()));
        if layout.len() > end {
            return None;
        }
        layout.resize(end, Slot::ZERO);
    }
    Some(layout)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn equal_groups_of_a_bottleneck() {
        let (before, after) = grouped(1, 2, 2, 1, Carried::whole(3)).unwrap();
        assert_eq!(before, after);
        assert_eq!(before.len(), 6);
        assert_eq!(before[5], Slot::ZERO);
    }

    #[test]
    fn replicas_repeat_the_inputs_and_split_the_outputs() {
        let (before, after) = grouped(1, 2, 4, 2, Carried::whole(4)).unwrap();
        assert_eq!(before.iter().filter(|s| s.body == Some(0)).count(), 2);
        assert_eq!(after.iter().filter(|s| s.body.is_some()).count(), 4);
        assert_eq!((before.len(), after.len()), (8, 8));
        assert!(grouped(1, 2, 4, 3, Carried::whole(4)).is_none());
    }

    #[test]
    fn a_pair_is_never_parted() {
        let (before, _) = grouped(1, 3, 3, 1, Carried { count: 2, paired: true }).unwrap();
        let parts: Vec<Part> = before.iter().filter(|s| s.is_carried()).map(|s| s.part).collect();
        assert_eq!(parts, [Part::Plus, Part::Minus, Part::Plus, Part::Minus]);
        assert_eq!(before.len(), 9, "one pair in each group of three");
        assert!(grouped(3, 1, 1, 1, Carried { count: 3, paired: true }).is_none());
        assert_eq!(mixed(3, 3, Carried { count: 3, paired: true }).unwrap().len(), 9);
    }

    #[test]
    fn what_a_convolution_reads_stands_before_it() {
        let after: Layout = [Slot::body(0), Slot::body(1), Slot::carried(0), Slot::ZERO, Slot::body(2), Slot::body(3)]
            .into_iter()
            .collect();
        let lin = before(&after, 1, 2).unwrap();
        assert_eq!(lin, [Slot::body(0), Slot::carried(0), Slot::body(1)]);
        assert!(before(&after, 1, 3).is_none());
    }
}
