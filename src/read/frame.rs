//! Where the channels of the tensors on a branch stand.
//!
//! Convolutions have them on axis 1, in front of the spatial axes. Linear layers have them on the last axis: a tensor is
//! rows of channels, however many axes number the rows (`[N, C]`, `[N, tokens, C]`), and a layer is a convolution without
//! spatial axes. Each tensor of a branch has its channels in the same frame.

use std::ops::Range;

/// The place of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Frame {
    /// On axis 1, spatial axes behind: `[N, C, ...]`.
    ChannelsFirst,
    /// On the last axis, rows in front: `[..., C]`.
    ChannelsLast,
}

impl Frame {
    /// The frames in which a tensor of so many axes can be read, the likelier one first.
    #[must_use]
    pub fn of(rank: Option<usize>) -> &'static [Self] {
        match rank {
            Some(2) => &[Self::ChannelsLast],
            Some(_) => &[Self::ChannelsFirst, Self::ChannelsLast],
            None => &[Self::ChannelsFirst],
        }
    }

    /// Spatial axes of a tensor of so many axes: those behind the channels.
    #[must_use]
    pub fn spatial(self, rank: usize) -> Option<usize> {
        match self {
            Self::ChannelsFirst => rank.checked_sub(2).filter(|axes| *axes > 0),
            Self::ChannelsLast => (rank >= 2).then_some(0),
        }
    }

    /// The axes along which there is one entry for each position of an image.
    #[must_use]
    pub fn positions(self, rank: usize) -> Range<usize> {
        let (first, end) = match self {
            Self::ChannelsFirst => (2, rank),
            Self::ChannelsLast => (1, rank.saturating_sub(1)),
        };
        first.min(end)..end
    }
}

/// Most channels of a tensor that are kept track of: no real network has more, and a file may claim any number.
pub(crate) const MAX_CHANNELS: usize = 1 << 20;
