//! Operators that give a tensor another shape, and what reads a shape.

use crate::graph::{NodeId, ValueId};

use super::{Builder, Channel, Count};

impl Builder<'_> {
    /// Between maps and features: `Flatten`, `Reshape`, `Squeeze`, `Unsqueeze`; and a `Reshape` that begins a channel shuffle.
    pub(super) fn reshape(&mut self, node: NodeId) -> Option<()> {
        let (view, facts) = (self.cx.view, self.cx.facts);
        let (input, output) = (view.input(node, 0)?, view.output(node)?);
        let of = self.of(input)?;
        if facts.rank(output) > facts.rank(input) && facts.rank(output) > Some(3) && self.shuffle(node, &of).is_some() {
            return Some(());
        }
        // As many entries an image as before: so there are as many images too.
        let (own, given) = (self.entries(input, 1)?, self.entries(output, 1)?);
        if own != given {
            return None;
        }
        let each = if facts.rank(output) == Some(2) {
            own / of.len()
        } else if self.entries(input, 2) == Some(1) && self.entries(output, 2) == Some(1) {
            1
        } else {
            return None;
        };
        let channels: Vec<Channel> = of.iter().flat_map(|c| std::iter::repeat_n(*c, each)).collect();
        self.target(node, 1, &channels)?;
        self.give(node, channels)
    }

    /// Entries of `value` from `axis` on, when all are known.
    fn entries(&self, value: ValueId, axis: usize) -> Option<usize> {
        let dims = self.cx.facts.shape(value)?.get(axis..)?;
        dims.iter().try_fold(1_usize, |n, d| n.checked_mul(usize::try_from(d.known()?).ok().filter(|d| *d > 0)?))
    }

    /// Notes that entry `entry` of the target of a `Reshape` says how many `channels` there are.
    fn target(&mut self, node: NodeId, entry: usize, channels: &[Channel]) -> Option<()> {
        let (view, facts) = (self.cx.view, self.cx.facts);
        if view.op(node) != "Reshape" {
            return Some(());
        }
        let target = view.input(node, 1)?;
        match facts.sizes(target)?.get(entry)?.known()? {
            // What is left over, or as many as before.
            -1 => Some(()),
            0 if view.attr_i(node, "allowzero").unwrap_or(0) == 0 && entry == 1 => Some(()),
            n if n == channels.len() as i64 && facts.is_constant(target) => {
                self.counts.insert(node, Count::Target { entry, channels: channels.to_vec() });
                Some(())
            }
            _ => None,
        }
    }

    /// A channel shuffle: `[N, g, c, ...]`, its axes 1 and 2 exchanged, and `[N, c * g, ...]` again. Its groups stay equally large.
    fn shuffle(&mut self, node: NodeId, of: &[Channel]) -> Option<()> {
        let (view, facts) = (self.cx.view, self.cx.facts);
        let parted = view.output(node)?;
        let only = |value: ValueId, op: &str| {
            let next = view.uses(value).first().filter(|_| view.is_private(value))?.node;
            (view.op(next) == op).then_some(next)
        };
        let exchange = only(parted, "Transpose")?;
        let perm = view.attr_ints(exchange, "perm")?;
        let swapped: Vec<i64> = (0..perm.len() as i64).map(|a| if a == 1 || a == 2 { 3 - a } else { a }).collect();
        let moved = view.output(exchange)?;
        let join = only(moved, "Reshape").filter(|_| perm == swapped)?;
        let joined = view.output(join)?;
        let (a, b, c) = (facts.shape(parted)?, facts.shape(joined)?, facts.shape(view.input(node, 0)?)?);
        let (groups, each) = (usize::try_from(a.get(1)?.known()?).ok()?, usize::try_from(a.get(2)?.known()?).ok()?);
        let whole = a.get(3..)? == c.get(2..)? && b.get(2..)? == c.get(2..)? && b.len() == c.len();
        let spatial = c.get(2..)?.iter().all(|d| d.known().is_some());
        if view.op(node) != "Reshape" || !whole || !spatial || groups * each != of.len() || groups == 0 {
            return None;
        }
        let first = of[..each].to_vec();
        self.target(node, 2, &first)?;
        let given: Vec<Channel> = (0..of.len()).map(|o| of[o % groups * each + o / groups]).collect();
        if self.target(join, 1, &given).is_none() {
            self.counts.remove(&node);
            return None;
        }
        for (i, channel) in of.iter().enumerate().skip(each) {
            self.unite(*channel, first[i % each]);
        }
        self.inner.extend([(parted, of.to_vec()), (moved, of.to_vec())]);
        self.done.extend([exchange, join]);
        self.tensors.insert(joined, given);
        Some(())
    }

    /// True for a `Shape` of which nothing reads how many channels there are.
    pub(super) fn sizes_only(&self, node: NodeId) -> bool {
        let (view, facts) = (self.cx.view, self.cx.facts);
        let Some(shape) = view.output(node) else { return false };
        let rank = view.input(node, 0).and_then(|v| facts.rank(v));
        let other = |user: NodeId| {
            let indices = view.input(user, 1).and_then(|v| facts.constant(v));
            let apart = |i: f64| i != 1.0 && rank.is_some_and(|r| i != 1.0 - r as f64);
            view.op(user) == "Gather" && indices.is_some_and(|c| c.data.iter().all(|i| apart(*i)))
        };
        let plain = view.attr(node, "start").is_none() && view.attr(node, "end").is_none();
        plain && !view.is_output(shape) && !view.is_captured(shape) && view.uses(shape).iter().all(|u| other(u.node))
    }
}
