//! Who is told of progress, and may stop it.

use std::ops::ControlFlow;

/// What the engine is doing, for a progress bar.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// The round, from 1.
    pub round: usize,
    /// Joins looked at in this round.
    pub done: usize,
    /// Joins in this round.
    pub total: usize,
    /// The join in hand.
    pub message: String,
}

/// Is told of progress, and says whether to go on.
pub type Watch<'w> = &'w mut dyn FnMut(&Progress) -> ControlFlow<()>;

/// Goes on whatever it is told.
pub fn go_on(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
