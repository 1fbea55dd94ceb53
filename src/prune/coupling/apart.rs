//! Operators that keep channels apart, with one tensor or several.

use crate::facts::{Dim, axes_of, axis_of};
use crate::graph::{NodeId, ValueId};
use crate::operators::{broadcasts, is_homogeneous, keeps_apart};

use super::{Builder, Channel};

impl Builder<'_> {
    pub(super) fn apart(&mut self, node: NodeId) -> Option<()> {
        let view = self.cx.view;
        let op = view.op(node);
        let channels = match op {
            "BatchNormalization" => self.per_channel(node, &[1, 2, 3, 4])?,
            "InstanceNormalization" => self.per_channel(node, &[1, 2])?,
            "PRelu" => self.broadcast(node)?,
            "Resize" | "Upsample" => self.resized(node)?,
            _ if op.starts_with("Reduce") => self.reduced(node)?,
            _ if broadcasts(op) => self.broadcast(node)?,
            "Cast" | "Dropout" => self.unary(node)?,
            _ if keeps_apart(op) => self.unary(node)?,
            _ => return None,
        };
        if !is_homogeneous(op) {
            self.rough.extend(&channels);
        }
        self.give(node, channels)
    }

    /// Everything but the first input is the same for all channels.
    fn unary(&mut self, node: NodeId) -> Option<Vec<Channel>> {
        let rest = self.cx.view.inputs(node).iter().skip(1).flatten();
        let alone = |v: &ValueId| !self.cx.facts.is_data(*v) && self.cx.facts.constant_shape(*v).is_some_and(small);
        let alone = rest.copied().all(|v| alone(&v));
        self.input(node, 0).filter(|_| alone)
    }

    /// Constants at `slots` have one value a channel.
    fn per_channel(&mut self, node: NodeId, slots: &[usize]) -> Option<Vec<Channel>> {
        let channels = self.input(node, 0)?;
        for slot in slots {
            let constant = self.cx.view.input(node, *slot)?;
            let fits = self.cx.facts.constant_shape(constant)? == [channels.len()];
            if !fits || !self.cx.facts.is_constant(constant) {
                return None;
            }
        }
        slots.iter().for_each(|slot| self.cut(node, *slot, 0, &channels));
        Some(channels)
    }

    /// Tensors that broadcast: of data, with the same channels or one for all; and constants.
    fn broadcast(&mut self, node: NodeId) -> Option<Vec<Channel>> {
        let (view, facts) = (self.cx.view, self.cx.facts);
        let rank = facts.rank(view.output(node)?)?;
        let width = self.cx.channels(view.output(node)?)?;
        let mut channels: Option<Vec<Channel>> = None;
        let mut single = Vec::new();
        let mut cuts = Vec::new();
        for (slot, value) in view.inputs(node).iter().enumerate() {
            let value = (*value)?;
            if facts.is_data(value) {
                let own = self.of(value).filter(|_| facts.rank(value) == Some(rank))?;
                match &channels {
                    _ if own.len() == 1 && width > 1 => single.extend(own),
                    None => channels = Some(own),
                    Some(others) if others.len() == own.len() => {
                        let pairs: Vec<_> = others.iter().copied().zip(own).collect();
                        pairs.into_iter().for_each(|(a, b)| self.unite(a, b));
                    }
                    Some(_) => return None,
                }
            } else {
                let shape = facts.constant_shape(value).filter(|s| s.len() <= rank)?;
                // The channel axis, counted from the last.
                let axis = (shape.len() + 1).checked_sub(rank);
                if let Some(axis) = axis.filter(|axis| shape.get(*axis).is_some_and(|n| *n != 1)) {
                    if shape[axis] != width || !facts.is_constant(value) {
                        return None;
                    }
                    cuts.push((slot, axis));
                }
            }
        }
        let channels = channels.filter(|c| c.len() == width)?;
        self.pinned.extend(single);
        cuts.into_iter().for_each(|(slot, axis)| self.cut(node, slot, axis, &channels));
        Some(channels)
    }

    /// A reduction along spatial axes.
    fn reduced(&mut self, node: NodeId) -> Option<Vec<Channel>> {
        let (view, facts) = (self.cx.view, self.cx.facts);
        let rank = facts.rank(view.input(node, 0)?)?;
        let axes = axes_of(facts, node).filter(|axes| !axes.is_empty())?;
        let spatial = axes.iter().all(|a| axis_of(*a, rank).is_some_and(|a| a >= 2));
        self.input(node, 0).filter(|_| spatial)
    }

    /// A `Resize` by factors, which are 1 for the channels.
    fn resized(&mut self, node: NodeId) -> Option<Vec<Channel>> {
        let (view, facts) = (self.cx.view, self.cx.facts);
        let (input, output) = (view.input(node, 0)?, view.output(node)?);
        let scaled = view.input(node, 3).is_none() && view.input(node, 1).is_none_or(|roi| !facts.is_data(roi));
        let whole = facts.shape(input)?.get(..2)? == facts.shape(output)?.get(..2)?;
        let known = matches!(facts.shape(output)?.get(1)?, Dim::Known(_));
        self.input(node, 0).filter(|_| scaled && whole && known)
    }
}

/// One value, or none.
fn small(shape: Vec<usize>) -> bool {
    shape.iter().product::<usize>() <= 1
}
