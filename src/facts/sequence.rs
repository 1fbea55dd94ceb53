//! `SequenceAt` of a `SplitToSequence`: `torch.split` and `torch.chunk` as PyTorch's exporter writes them without its
//! optimiser. Together they are one output of a `Split`.

use crate::graph::{GraphView, NodeId, ValueId};

use super::{Dim, Facts};

/// The entries of a tensor along one axis that a `SequenceAt` takes out of its split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The tensor that is split.
    pub input: ValueId,
    /// The `SplitToSequence`.
    pub split: NodeId,
    /// The axis along which it is split.
    pub axis: usize,
    /// First entry.
    pub start: i64,
    /// Number of entries.
    pub size: i64,
}

impl Piece {
    /// Reads the `SequenceAt` at `node`. `None` when the split, the place in the sequence or a size is not known, or when the
    /// pieces lose the axis.
    #[must_use]
    pub fn new(view: &GraphView<'_>, facts: &Facts<'_>, node: NodeId) -> Option<Self> {
        if view.op(node) != "SequenceAt" {
            return None;
        }
        let split = view.def(view.input(node, 0)?).filter(|n| view.op(*n) == "SplitToSequence")?;
        let input = view.input(split, 0)?;
        let shape = facts.shape(input)?;
        let axis = view.attr_i(split, "axis").unwrap_or(0);
        let axis = usize::try_from(if axis < 0 { axis.checked_add(shape.len() as i64)? } else { axis }).ok()?;
        let total = shape.get(axis)?.known()?;
        let sizes = sizes(facts, view.input(split, 1)?, total)?;
        let [place] = facts.sizes(view.input(node, 1)?)?.try_into().ok()?;
        let place = place.known()?;
        let place = usize::try_from(if place < 0 { place.checked_add(sizes.len() as i64)? } else { place }).ok()?;
        let size = *sizes.get(place)?;
        Some(Self { input, split, axis, start: sizes[..place].iter().sum(), size })
    }

    /// The shape of the piece.
    #[must_use]
    pub fn shape(&self, facts: &Facts<'_>) -> Option<Vec<Dim>> {
        let mut shape = facts.shape(self.input)?.to_vec();
        *shape.get_mut(self.axis)? = Dim::Known(self.size);
        Some(shape)
    }
}

/// The sizes of the pieces of `total` entries. `split` is a list of them, or a scalar: the size of all but the last.
fn sizes(facts: &Facts<'_>, split: ValueId, total: i64) -> Option<Vec<i64>> {
    let given: Vec<i64> = facts.sizes(split)?.iter().map(Dim::known).collect::<Option<_>>()?;
    if facts.rank(split)? > 0 {
        let sum = given.iter().try_fold(0_i64, |sum, n| sum.checked_add(*n).filter(|_| *n >= 0))?;
        return (sum == total).then_some(given);
    }
    let [each] = given.try_into().ok()?;
    // A tensor has no more channels than that.
    if each < 1 || !(1..=1 << 20).contains(&total) {
        return None;
    }
    Some((0..total).step_by(usize::try_from(each).ok()?).map(|start| each.min(total - start)).collect())
}
