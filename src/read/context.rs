//! What every reader looks at: the graph, what is known of it, and where the channels stand.

use crate::algebra::MAX_WEIGHTS;
use crate::facts::{Dim, Facts};
use crate::graph::{GraphView, NodeId, ValueId};
use crate::options::Options;

use super::frame::{Frame, MAX_CHANNELS};

/// What a reader looks at.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The graph.
    pub view: &'a GraphView<'a>,
    /// What is known of its tensors.
    pub facts: &'a Facts<'a>,
    /// What the user asked for.
    pub options: &'a Options,
    /// True when the joins that are left stay, so that a branch may lead through one.
    pub through_joins: bool,
    /// Where the channels stand.
    pub frame: Frame,
    /// Most entries of a weight that a rewrite may make.
    pub most_weights: usize,
}

/// By how many times a rewritten weight may be larger than all weights of the model together, ...
const MAX_GROWTH: usize = 64;

/// ... and what any model may have: 16 MiB of float32.
const SMALL: usize = 1 << 22;

impl<'a> Context<'a> {
    /// The context of a whole graph, whose maps have their channels on axis 1.
    #[must_use]
    pub fn new(view: &'a GraphView<'a>, facts: &'a Facts<'a>, options: &'a Options) -> Self {
        let entries =
            |dims: &[i64]| dims.iter().fold(1_usize, |n, d| n.saturating_mul(usize::try_from(*d).unwrap_or(0)));
        let all = view.graph().initializer.iter().map(|t| entries(&t.dims)).fold(0, usize::saturating_add);
        let most_weights = all.saturating_mul(MAX_GROWTH).clamp(SMALL, MAX_WEIGHTS);
        Self { view, facts, options, through_joins: false, frame: Frame::ChannelsFirst, most_weights }
    }

    /// Why something would be too large, which as a weight has so many entries.
    pub(crate) fn too_large(self, what: &str, entries: usize) -> String {
        let most = self.most_weights;
        format!(
            "{what} would have {entries} weights, and none may have more than {most}: {MAX_GROWTH} times as many as the whole \
             model, at least {SMALL} and at most {MAX_WEIGHTS}"
        )
    }
}

impl Context<'_> {
    /// The same, for tensors of `frame`.
    #[must_use]
    pub fn within(self, frame: Frame) -> Self {
        Self { frame, ..self }
    }

    /// True when the channels stand on axis 1, in front of spatial axes.
    #[must_use]
    pub fn is_channels_first(self) -> bool {
        self.frame == Frame::ChannelsFirst
    }

    /// The axis of the channels of `value`.
    #[must_use]
    pub fn axis(self, value: ValueId) -> Option<usize> {
        let rank = self.facts.rank(value)?;
        match self.frame {
            Frame::ChannelsFirst => (rank >= 2).then_some(1),
            Frame::ChannelsLast => rank.checked_sub(1).filter(|axis| *axis > 0),
        }
    }

    /// The channels of `value`, when they are known and not more than `MAX_CHANNELS`.
    #[must_use]
    pub fn channels(self, value: ValueId) -> Option<usize> {
        let channels = usize::try_from(self.facts.shape(value)?.get(self.axis(value)?)?.known()?).ok()?;
        (channels <= MAX_CHANNELS).then_some(channels)
    }

    /// True when `axis`, which counts from the end where it is negative, is the one of the channels of `value`.
    #[must_use]
    pub fn is_channel_axis(self, value: ValueId, axis: i64) -> bool {
        let from_front = |rank: usize| if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
        let axis = self.facts.rank(value).and_then(|rank| usize::try_from(from_front(rank)).ok());
        axis.is_some() && axis == self.axis(value)
    }
}

/// The sizes of a tensor along its spatial axes, as far as they are known.
pub(crate) fn spatial(cx: Context<'_>, value: ValueId) -> Vec<Option<i64>> {
    cx.facts.shape(value).and_then(|s| s.get(2..)).unwrap_or_default().iter().map(Dim::known).collect()
}

/// The data inputs of a node, each once.
pub(crate) fn data_inputs(cx: Context<'_>, node: NodeId) -> Vec<ValueId> {
    let mut inputs: Vec<ValueId> = cx.view.inputs(node).iter().flatten().copied().collect();
    inputs.retain(|v| cx.facts.is_data(*v));
    let mut seen = std::collections::BTreeSet::new();
    inputs.retain(|v| seen.insert(*v));
    inputs
}
