//! Shapes and element types.

mod infer;
mod rearrange;
mod sizes;
mod window;

use super::Dim;

pub(super) use infer::{dtype, infer};
pub(crate) use rearrange::axes_of;
pub(super) use sizes::sizes;

type Shape = Vec<Dim>;

/// `axis` counted from the first, when a tensor of so many axes has it.
pub(crate) fn axis_of(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add(rank as i64)? } else { axis };
    usize::try_from(axis).ok().filter(|a| *a < rank)
}

fn broadcast(a: &Dim, b: &Dim) -> Dim {
    match (a, b) {
        (Dim::Known(1), other) | (other, Dim::Known(1)) => other.clone(),
        (Dim::Known(n), _) | (_, Dim::Known(n)) => Dim::Known(*n),
        (a, b) if a == b => a.clone(),
        _ => Dim::Unknown,
    }
}
