//! `Reshape` and `Flatten` that leave the last axis whole: they number the rows of channels in another way, `[N, T, C]`
//! as `[N * T, C]`. A linear layer does not see it, so that they stand in front of one as well as behind, where a
//! per-channel map folds into it; and two that undo each other are none.

use crate::facts::Dim;
use crate::graph::{NodeId, ValueId};

use super::context::Context;

/// Another numbering of the rows: the axes in front of the channels.
#[derive(Clone)]
pub struct Rows {
    /// The `Reshape` or `Flatten`.
    pub(crate) node: NodeId,
    from: Vec<Dim>,
    /// Sizes of the axes in front of the channels behind it.
    pub(crate) to: Vec<Dim>,
}

impl Rows {
    /// The numbering that `node` changes. `None` when it does anything else.
    pub(crate) fn new(cx: Context<'_>, node: NodeId, input: ValueId, value: ValueId) -> Option<Self> {
        if cx.is_channels_first() || !matches!(cx.view.op(node), "Reshape" | "Flatten") {
            return None;
        }
        let known = |v: ValueId| cx.channels(v).filter(|c| *c > 0);
        let front = |v: ValueId| Some(cx.facts.shape(v)?.split_last()?.1.to_vec());
        (known(input)? == known(value)?).then_some(Self { node, from: front(input)?, to: front(value)? })
    }

    /// This numbering, then `next`; `None` when that is the one in front again.
    #[must_use]
    pub fn then(&self, next: &Self) -> Option<Self> {
        let both = Self { node: next.node, from: self.from.clone(), to: next.to.clone() };
        (!same_rows(&both.from, &both.to)).then_some(both)
    }

    /// The sizes to ask a `Reshape` for: a 0 copies, and one -1 is what is left. `None` when two are unknown.
    pub(crate) fn target(&self) -> Option<Vec<i64>> {
        let copied = |i: usize, d: &Dim| *d != Dim::Unknown && self.from.get(i) == Some(d);
        let mut free = 1;
        let sizes = self.to.iter().enumerate().map(|(i, d)| match d.known().filter(|n| *n > 0) {
            Some(n) => Some(n),
            None if copied(i, d) => Some(0),
            None => (std::mem::take(&mut free) > 0).then_some(-1),
        });
        sizes.collect()
    }
}

/// True when as many rows are numbered alike: all sizes are the same but one at most, which follows from the others.
#[must_use]
pub(crate) fn same_rows(a: &[Dim], b: &[Dim]) -> bool {
    let same = |a: &Dim, b: &Dim| a == b && *a != Dim::Unknown;
    a.len() == b.len() && a.iter().zip(b).filter(|(a, b)| !same(a, b)).count() <= 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rows(from: &[Dim], to: &[Dim]) -> Rows {
        Rows { node: NodeId(0), from: from.to_vec(), to: to.to_vec() }
    }

    #[test]
    fn what_flattens_and_parts_again_is_nothing() {
        let (n, t) = (Dim::Symbol("batch".into()), Dim::Known(64));
        let flat = rows(&[n.clone(), t.clone()], &[Dim::Unknown]);
        assert!(flat.then(&rows(&[Dim::Unknown], &[Dim::Unknown, t.clone()])).is_none());
        let other = flat.then(&rows(&[Dim::Unknown], &[n.clone(), Dim::Known(32), Dim::Known(2)])).unwrap();
        assert_eq!(other.target(), Some(vec![0, 32, 2]));
        assert!(!same_rows(&[n.clone(), t.clone()], &[t.clone(), n.clone()]), "two sizes that differ");
        assert!(!same_rows(&[Dim::Unknown, Dim::Unknown], &[n, t]));
    }

    #[test]
    fn two_unknown_sizes_cannot_be_asked_for() {
        let n = Dim::Symbol("n".into());
        assert_eq!(rows(&[Dim::Unknown], &[Dim::Unknown, n.clone()]).target(), None);
        assert_eq!(rows(&[n.clone(), Dim::Unknown], &[n, Dim::Unknown]).target(), Some(vec![0, -1]));
    }
}
