//! Orders of axes.

use super::Context;
use crate::graph::NodeId;

/// An order of axes, as `Transpose` takes it: axis `i` in this order is axis `perm[i]` of what is put in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Perm(Vec<usize>);

/// Most axes that are looked at: no runtime has more, and a file may claim any number.
const MAX_RANK: usize = 16;

impl Perm {
    /// The order as it is.
    pub(crate) fn identity(rank: usize) -> Self {
        Self((0..rank).collect())
    }

    /// The order that lists `axes`. `None` when they are not each axis once.
    pub(crate) fn new(axes: &[i64]) -> Option<Self> {
        let list: Vec<usize> = axes.iter().map(|a| usize::try_from(*a).ok()).collect::<Option<_>>()?;
        let mut sorted = list.clone();
        sorted.sort_unstable();
        (list.len() <= MAX_RANK && sorted.into_iter().eq(0..list.len())).then_some(Self(list))
    }

    /// What the node does to its input when it is a `Transpose` (ONNX, all opsets: without a `perm` it turns the axes round).
    pub(crate) fn of(cx: Context<'_>, node: NodeId) -> Option<Self> {
        let input = cx.view.input(node, 0).filter(|_| cx.view.op(node) == "Transpose")?;
        let rank = cx.facts.rank(input);
        match cx.view.attr_ints(node, "perm") {
            Some(perm) => Self::new(perm).filter(|perm| rank.is_none_or(|rank| rank == perm.rank())),
            None => Self::new(&(0..rank? as i64).rev().collect::<Vec<_>>()),
        }
    }

    /// Number of axes.
    pub(crate) fn rank(&self) -> usize {
        self.0.len()
    }

    /// True when it changes nothing.
    pub(crate) fn is_identity(&self) -> bool {
        self.0.iter().enumerate().all(|(i, axis)| i == *axis)
    }

    /// The order that takes it back.
    pub(crate) fn inverse(&self) -> Self {
        Self((0..self.rank()).map(|axis| self.place(axis)).collect())
    }

    /// This order, and then `next` of what it gives: both have as many axes.
    pub(crate) fn then(&self, next: &Self) -> Self {
        Self(next.0.iter().filter_map(|axis| self.0.get(*axis).copied()).collect())
    }

    /// Where `axis` stands in it.
    pub(crate) fn place(&self, axis: usize) -> usize {
        self.0.iter().position(|a| *a == axis).unwrap_or(axis)
    }

    /// `list`, which has an entry for each axis, in this order.
    pub(crate) fn of_list<T: Clone>(&self, list: &[T]) -> Vec<T> {
        self.0.iter().filter_map(|axis| list.get(*axis).cloned()).collect()
    }

    /// True when the axes for which `counts` holds stand one behind the other as before.
    pub(crate) fn keeps(&self, counts: impl Fn(usize) -> bool) -> bool {
        let left: Vec<usize> = self.0.iter().copied().filter(|axis| counts(*axis)).collect();
        left.is_sorted()
    }

    /// True when `axis` stands where it stood.
    pub(crate) fn fixes(&self, axis: usize) -> bool {
        self.0.get(axis) == Some(&axis)
    }

    /// As `Transpose` takes it.
    pub(crate) fn axes(&self) -> Vec<i64> {
        self.0.iter().map(|axis| *axis as i64).collect()
    }

    /// As array libraries take it.
    pub(crate) fn as_slice(&self) -> &[usize] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn orders_compose_and_undo_each_other() {
        let first = Perm::new(&[0, 3, 1, 2]).unwrap();
        let last = Perm::new(&[0, 2, 3, 1]).unwrap();
        assert_eq!(first.of_list(&["n", "h", "w", "c"]), ["n", "c", "h", "w"]);
        assert_eq!((first.inverse(), first.place(3), last.place(1)), (last.clone(), 1, 3));
        assert!(first.then(&last).is_identity() && !first.then(&first).is_identity());
        let other = Perm::new(&[2, 0, 1, 3]).unwrap();
        let list = ["n", "h", "w", "c"];
        assert_eq!(first.then(&other).of_list(&list), other.of_list(&first.of_list(&list)));
        assert!(first.keeps(|axis| axis != 3) && !first.keeps(|_| true) && first.fixes(0));
    }

    #[test]
    fn what_is_no_permutation_is_none() {
        for axes in [&[0, 0][..], &[1, 2], &[-1, 0], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]] {
            assert_eq!(Perm::new(axes), None, "{axes:?}");
        }
    }
}
