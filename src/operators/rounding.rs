//! Digits.

/// What an operator does to the digits of what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Its results are entries of its inputs, or their opposites, or bounds; nothing is rounded.
    Moves,
    /// Rounded once, as IEEE 754 says: the same bits everywhere.
    Rounds,
    /// What it ends with differs from runtime to runtime: approximations, and sums of many.
    Approximates,
    /// It jumps where its input passes a number, and is exact elsewhere.
    Jumps,
}
