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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_broadcast() {
        let named = |name: &str| Dim::Symbol(name.to_owned());
        assert_eq!(broadcast(&Dim::Known(1), &named("n")), named("n"));
        assert_eq!(broadcast(&named("n"), &Dim::Known(4)), Dim::Known(4), "the other is 4 or 1");
        assert_eq!(broadcast(&named("n"), &named("n")), named("n"));
        assert_eq!(broadcast(&named("n"), &named("m")), Dim::Unknown, "one of them may be 1");
    }

    #[test]
    fn an_axis_counts_from_either_end() {
        assert_eq!((axis_of(-1, 4), axis_of(3, 4), axis_of(-4, 4)), (Some(3), Some(3), Some(0)));
        assert_eq!((axis_of(4, 4), axis_of(-5, 4), axis_of(i64::MIN, 4), axis_of(0, 0)), (None, None, None, None));
    }
}
