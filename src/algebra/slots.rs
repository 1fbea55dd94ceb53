//! What each channel of a branch tensor holds.

/// One channel of a widened tensor: a channel of the body, a carried channel, both or neither.
///
/// At the fork every channel is both (the body reads it and it is what is carried); at the join every
/// channel is the sum of both; between them it is one of the two, or zero padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Channel of the original branch tensor.
    pub body: Option<u32>,
    /// Channel of the carried tensor: the fork, or its image under the shortcut.
    pub carried: Option<u32>,
}

impl Slot {
    /// A channel that is always zero.
    pub const ZERO: Self = Self { body: None, carried: None };

    /// A channel of the body.
    #[must_use]
    pub const fn body(channel: u32) -> Self {
        Self { body: Some(channel), carried: None }
    }

    /// A carried channel.
    #[must_use]
    pub const fn carried(channel: u32) -> Self {
        Self { body: None, carried: Some(channel) }
    }

    /// True when the channel holds nothing but carried data.
    #[must_use]
    pub const fn is_carried(self) -> bool {
        self.body.is_none() && self.carried.is_some()
    }
}

/// The slots of a tensor, one a channel.
pub type Layout = Vec<Slot>;

/// The layout of the fork and of the join: every channel is both.
#[must_use]
pub fn shared(channels: usize) -> Layout {
    (0..channels as u32).map(|c| Slot { body: Some(c), carried: Some(c) }).collect()
}

/// Carried channels first, then the body: the form of the paper (arXiv 2111.00687, section 3).
#[must_use]
pub fn contiguous(body: usize, carried: usize) -> Layout {
    (0..carried as u32).map(Slot::carried).chain((0..body as u32).map(Slot::body)).collect()
}

/// The two layouts around a convolution that passes carried channels in groups of its own.
///
/// The body has `group` groups of `inputs` to `outputs` channels. Each is split `replicas` ways over its
/// outputs, its inputs repeated; the `carried` channels follow in groups of the same size, as many a
/// group as fit through both sides, padded with zeros.
#[must_use]
pub fn grouped(
    group: usize,
    inputs: usize,
    outputs: usize,
    replicas: usize,
    carried: usize,
) -> Option<(Layout, Layout)> {
    if replicas == 0 || !outputs.is_multiple_of(replicas) {
        return None;
    }
    let part = outputs / replicas;
    let fit = inputs.min(part);
    if fit == 0 {
        return None;
    }
    let (mut before, mut after) = (Layout::new(), Layout::new());
    for g in 0..group {
        for r in 0..replicas {
            before.extend((g * inputs..(g + 1) * inputs).map(|c| Slot::body(c as u32)));
            let first = g * outputs + r * part;
            after.extend((first..first + part).map(|c| Slot::body(c as u32)));
        }
    }
    for first in (0..carried).step_by(fit) {
        let here = (first..carried.min(first + fit)).map(|c| Slot::carried(c as u32));
        for (side, width) in [(&mut before, inputs), (&mut after, part)] {
            let end = side.len() + width;
            side.extend(here.clone());
            side.resize(end, Slot::ZERO);
        }
    }
    Some((before, after))
}

/// Body and carried channels mixed group by group, for a grouped convolution beside the fork or the join:
/// group `g` holds `body` channels of the body and `carried` carried ones.
#[must_use]
pub fn mixed(group: usize, body: usize, carried: usize) -> Layout {
    (0..group)
        .flat_map(|g| {
            let own = (g * body..(g + 1) * body).map(|c| Slot::body(c as u32));
            own.chain((g * carried..(g + 1) * carried).map(|c| Slot::carried(c as u32)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn equal_groups_of_a_bottleneck() {
        let (before, after) = grouped(1, 2, 2, 1, 3).unwrap();
        assert_eq!(before, after);
        assert_eq!(before.len(), 6);
        assert_eq!(before[5], Slot::ZERO);
    }

    #[test]
    fn replicas_repeat_the_inputs_and_split_the_outputs() {
        let (before, after) = grouped(1, 2, 4, 2, 4).unwrap();
        assert_eq!(before.iter().filter(|s| s.body == Some(0)).count(), 2);
        assert_eq!(after.iter().filter(|s| s.body.is_some()).count(), 4);
        assert_eq!((before.len(), after.len()), (8, 8));
        assert!(grouped(1, 2, 4, 3, 4).is_none());
    }
}
