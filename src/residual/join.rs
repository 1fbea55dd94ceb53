//! What a join is, and what it does itself to the two tensors that it sums: a `Sub` negates the second, and one that has a
//! single channel is repeated for every channel of the other, as `Add` broadcasts.

use crate::facts::Dim;
use crate::graph::{NodeId, ValueId};
use crate::read::Context;
use crate::read::step::LinearStep;

use super::operation::{Step, repeated};

/// The two data inputs of `node` when it is a join: an `Add`, a `Sum` of two, or a `Sub` that does not broadcast, as one of
/// a mean does.
#[must_use]
pub fn join_inputs(cx: Context<'_>, node: NodeId) -> Option<(ValueId, ValueId)> {
    let (a, b) = match cx.view.inputs(node) {
        [Some(a), Some(b)] if cx.facts.is_data(*a) && cx.facts.is_data(*b) => (*a, *b),
        _ => return None,
    };
    match cx.view.op(node) {
        "Add" | "Sum" => Some((a, b)),
        "Sub" => (!broadcasts(cx, a, b)).then_some((a, b)),
        _ => None,
    }
}

/// True when it is known that one of two tensors is repeated to the size of the other.
fn broadcasts(cx: Context<'_>, a: ValueId, b: ValueId) -> bool {
    let (Some(a), Some(b)) = (cx.facts.shape(a), cx.facts.shape(b)) else { return false };
    let one = |d: &Dim| *d == Dim::Known(1);
    a.len() != b.len() || a.iter().zip(b).any(|(a, b)| one(a) != one(b))
}

/// What a join does to one of its inputs before it adds.
pub enum Applied {
    /// It has so many channels, which are negated.
    Negated(usize),
    /// It has one channel, which is repeated so many times.
    Repeated(usize),
}

impl Applied {
    /// As a step of the shortcut.
    pub(super) fn beside(self) -> LinearStep {
        match self {
            Self::Negated(channels) => LinearStep::Affine(vec![-1.0; channels], vec![0.0; channels]),
            Self::Repeated(channels) => LinearStep::Select(vec![Some(0); channels]),
        }
    }

    /// As a step of the branch of `join`.
    pub(super) fn on_branch(self, join: NodeId) -> Step {
        match self {
            Self::Negated(channels) => Step::Affine(vec![-1.0; channels], vec![0.0; channels]),
            Self::Repeated(channels) => Step::Operation(repeated(join, channels)),
        }
    }
}

/// What `join` does to its input `side` before it adds it to `other`. `None` when the channels of `side` are not known.
pub(super) fn applied(cx: Context<'_>, join: NodeId, side: ValueId, other: ValueId) -> Option<Vec<Applied>> {
    let channels = cx.channels(side)?;
    let negated = cx.view.op(join) == "Sub" && cx.view.input(join, 1) == Some(side);
    let wide = cx.channels(other).filter(|wide| channels == 1 && *wide > 1);
    Some(negated.then_some(Applied::Negated(channels)).into_iter().chain(wide.map(Applied::Repeated)).collect())
}
