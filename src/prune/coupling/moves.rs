//! Operators that put channels in other places: `Concat`, `Split`, `Slice`, `Gather`, `Pad`.

use crate::facts::{Fill, Padding, slices};
use crate::graph::NodeId;
use crate::read::channels;

use super::{Builder, Channel, Count};

impl Builder<'_> {
    pub(super) fn concat(&mut self, node: NodeId) -> Option<()> {
        let view = self.cx.view;
        let axis = view.attr_i(node, "axis").unwrap_or(1);
        let mut channels = Vec::new();
        for value in view.inputs(node) {
            let own = self.of((*value)?).filter(|_| value.is_some_and(|v| self.cx.is_channel_axis(v, axis)))?;
            channels.extend(own);
        }
        self.give(node, channels)
    }

    pub(super) fn split(&mut self, node: NodeId) -> Option<()> {
        let view = self.cx.view;
        let of = self.input(node, 0)?;
        let sizes = view.input(node, 1);
        if sizes.is_some_and(|v| !self.cx.facts.is_constant(v)) {
            return None;
        }
        let mut pieces = Vec::new();
        for output in view.outputs(node) {
            let places = channels::taken(self.cx, node, (*output)?)?;
            pieces.push(((*output)?, picked(&of, &places)?));
        }
        self.counts.insert(node, Count::Pieces(pieces.iter().map(|(_, c)| c.clone()).collect()));
        self.tensors.extend(pieces);
        Some(())
    }

    /// `Slice` and `Gather`, of channels or of something else.
    pub(super) fn taken(&mut self, node: NodeId) -> Option<()> {
        let (view, facts) = (self.cx.view, self.cx.facts);
        let input = view.input(node, 0)?;
        let of = self.of(input)?;
        if view.op(node) == "Slice" {
            let cuts = slices(view, facts, node)?;
            if !cuts.iter().any(|c| self.cx.is_channel_axis(input, c.axis)) {
                return self.give(node, of);
            }
        }
        let places = channels::taken(self.cx, node, view.output(node)?)?;
        let mut given = picked(&of, &places)?;
        // What is taken more than once is copied.
        let often = |place: u32| places.iter().filter(|p| **p == place).count() > 1;
        let copied: Vec<usize> = (0..places.len()).filter(|i| often(places[*i])).collect();
        for (entry, copy) in copied.iter().zip(self.fresh(copied.len())) {
            self.grids.copy(given[*entry], copy);
            given[*entry] = copy;
        }
        self.give(node, given.clone())?;
        let places = places.into_iter().map(|p| p as usize).collect();
        self.counts.insert(node, Count::Taken { of, places, given });
        Some(())
    }

    /// A `Pad` along spatial axes, or one that adds channels of one value.
    pub(super) fn pad(&mut self, node: NodeId) -> Option<()> {
        let of = self.input(node, 0)?;
        let padding = Padding::new(self.cx.view, self.cx.facts, node)?;
        // One value that is not zero does not scale.
        if padding.fill != Fill::Value(0.0) && padding.fill != Fill::Repeated {
            self.rough.extend(&of);
        }
        let (front, back) = *padding.axes.get(1)?;
        if (front, back) == (0, 0) {
            return self.give(node, of);
        }
        if padding.fill == Fill::Repeated || self.cx.view.opset() < 2 {
            return None;
        }
        let (front, back) = (usize::try_from(front).ok()?, usize::try_from(back).ok()?);
        let added = self.fresh(front + back);
        let (front, back) = added.split_at(front);
        self.give(node, [front, &of, back].concat())?;
        self.counts.insert(node, Count::Padding { front: front.to_vec(), back: back.to_vec() });
        Some(())
    }
}

fn picked(of: &[Channel], places: &[u32]) -> Option<Vec<Channel>> {
    places.iter().map(|p| of.get(*p as usize).copied()).collect()
}
