//! How much the constants that are computed may hold: a few numbers in a file may ask for any size.

use std::cell::Cell;

use crate::graph::GraphView;

/// Most elements of one constant that is larger than all that it is computed from.
const MAX_ELEMENTS: usize = 1 << 22;

/// Most elements of all computed constants together, besides what the file pays for.
const MAX_TOGETHER: usize = 1 << 24;

/// Elements for each byte of the file's weights: several steps of a chain behind each weight.
const EACH: usize = 4;

/// What is left of it.
pub(in crate::facts) struct Limit {
    left: Cell<usize>,
}

impl Limit {
    /// For the constants of `view`.
    pub(in crate::facts) fn new(view: &GraphView<'_>) -> Self {
        let bytes = view.values().filter_map(|v| view.initializer(v)).map(|t| {
            let listed = t.float_data.len() + t.double_data.len() + t.int32_data.len() + t.int64_data.len();
            t.raw_data.as_ref().map_or(0, |raw| raw.len()) + 8 * listed
        });
        Self { left: Cell::new(bytes.sum::<usize>().saturating_mul(EACH).saturating_add(MAX_TOGETHER)) }
    }

    /// Takes `shape` from what is left, for a constant made of `sources` elements. `None`, and nothing taken, when it is too
    /// large. To be asked before anything of that size is allocated.
    pub(super) fn take(&self, shape: &[usize], sources: usize) -> Option<()> {
        let n = elements(shape)?;
        let left = self.left.get().checked_sub(n).filter(|_| n <= MAX_ELEMENTS.max(sources))?;
        self.left.set(left);
        Some(())
    }
}

/// Elements of `shape`, where a size of 0 counts as 1: it does not make the others harmless, for a loop runs over them.
pub(in crate::facts) fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |n, d| n.checked_mul((*d).max(1))).filter(|n| isize::try_from(*n).is_ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes_are_bounded_alone_and_together() {
        let limit = Limit { left: Cell::new(3 * MAX_ELEMENTS) };
        assert!(limit.take(&[MAX_ELEMENTS + 1], 8).is_none());
        assert!(limit.take(&[0, usize::MAX, 2], 8).is_none());
        assert!(limit.take(&[2, MAX_ELEMENTS], 2 * MAX_ELEMENTS).is_some(), "no more than what it is made of");
        assert!(limit.take(&[MAX_ELEMENTS], 8).is_some());
        assert!(limit.take(&[1], 8).is_none(), "all is taken");
    }
}
