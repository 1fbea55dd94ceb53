//! What is known of an operator wherever it stands, of its name and attributes alone: one row an operator, read by all that ask.
//!
//! [`functions`] has the elementwise functions of one tensor, activations above all; `others` what is not one. A new
//! activation is a row there, with every column, and a function of the float64 evaluator (`verify/reference`), which
//! stays apart: it judges what follows from these rows. Since which operator set there is an operator, and of which types, says
//! `graph/operators.txt`.

pub mod functions;
mod others;
mod rounding;

pub use functions::{Function, function};
pub use others::{Operator, Shape, Storage, operator, operators};
pub use rounding::Rounding;

/// What `op` does to the digits of what it reads; `None` where the tables do not have it.
#[must_use]
pub fn rounding(op: &str) -> Option<Rounding> {
    function(op).map(|f| f.rounding).or_else(|| operator(op).map(|o| o.rounding))
}

/// True for an operator whose results are values of its inputs, or stand for no rounding.
#[must_use]
pub fn is_exact(op: &str) -> bool {
    matches!(rounding(op), Some(Rounding::Moves | Rounding::Jumps))
}

/// True for an operator whose results jump where its input passes a number.
#[must_use]
pub fn jumps(op: &str) -> bool {
    rounding(op) == Some(Rounding::Jumps)
}

/// True for an operator that makes zeros of zeros.
#[must_use]
pub fn keeps_zero(op: &str) -> bool {
    function(op).is_some_and(|f| f.zero) || operator(op).is_some_and(|o| o.zero)
}

/// True for an operator that gives `k` times as much for `k x` as for `x`, for every `k > 0`.
#[must_use]
pub fn is_homogeneous(op: &str) -> bool {
    function(op).is_some_and(|f| f.homogeneous) || operator(op).is_some_and(|o| o.homogeneous)
}

/// True for an operator on one tensor of data that treats its channels apart, whatever its parameters.
#[must_use]
pub fn keeps_apart(op: &str) -> bool {
    function(op).is_some() || operator(op).is_some_and(|o| o.apart)
}

/// Where runtimes leave what `op` gives: an elementwise function over its input.
#[must_use]
pub fn storage(op: &str) -> Storage {
    match operator(op) {
        Some(o) => o.storage,
        None if function(op).is_some() => Storage::Over,
        None => Storage::New,
    }
}

/// True for an operator whose every entry comes of the entries in its place, if of several tensors, of those that broadcast there.
#[must_use]
pub fn maps_entries(op: &str) -> bool {
    function(op).is_some() || operator(op).is_some_and(|o| matches!(o.shape, Shape::Entries | Shape::Broadcast))
}

/// True for an operator that maps entries of several tensors, which all broadcast, by the same function everywhere.
#[must_use]
pub fn broadcasts(op: &str) -> bool {
    operator(op).is_some_and(|o| o.shape == Shape::Broadcast)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_has_one_row() {
        let mut names: Vec<_> =
            functions::FUNCTIONS.iter().map(|f| f.name).chain(operators().map(|o| o.name)).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
