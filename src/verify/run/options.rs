//! What the caller says, and what it is told on the way.

use std::path::PathBuf;

/// What to verify on.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// An .npz archive with one array a graph input, verified beside the seeded inputs.
    pub inputs: Option<PathBuf>,
    /// Shapes of inputs with free dimensions, by name.
    pub shapes: Vec<(String, Vec<usize>)>,
    /// Seed of the random inputs.
    pub seed: u64,
    /// Where a small reproducer is written when the models differ: in a new folder in this one.
    pub dump: Option<PathBuf>,
}

/// How far a verification is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: &'static str,
    /// Runs made.
    pub done: usize,
    /// Runs to make in this stage.
    pub total: usize,
}

/// Is told of progress, from several threads.
pub type Observer<'a> = &'a (dyn Fn(&Progress) + Sync);
