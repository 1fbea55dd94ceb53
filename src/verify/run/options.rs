//! What the caller says, and what it is told on the way.

use std::ops::ControlFlow;
use std::path::PathBuf;

/// What to verify on.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// An .npz archive with one array a graph input, verified beside the seeded inputs.
    pub inputs: Option<PathBuf>,
    /// Shapes of inputs with free dimensions, by name.
    pub shapes: Vec<(String, Vec<usize>)>,
    /// Seed of the random inputs.
    pub seed: u64,
    /// Where a small reproducer is written when the models differ: in a new folder in this one.
    pub dump: Option<PathBuf>,
    /// Whether initializers that are graph inputs as well are constants, and no inputs: nobody overrides them.
    pub constant_initializers: bool,
}

/// How far a verification is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done.
    pub stage: &'static str,
    /// Runs made.
    pub done: usize,
    /// Runs to make in this stage.
    pub total: usize,
}

/// Is told of progress, from several threads, and says whether to go on.
pub type Observer<'a> = &'a (dyn Fn(&Progress) -> ControlFlow<()> + Sync);

/// Goes on whatever it is told.
pub(super) fn go_on(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

impl VerifyOptions {
    /// Verifies on the arrays of an .npz archive too, one a graph input.
    #[must_use]
    pub fn inputs(self, path: impl Into<PathBuf>) -> Self {
        Self { inputs: Some(path.into()), ..self }
    }

    /// Gives the input `name` this shape.
    #[must_use]
    pub fn shape(mut self, name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        self.shapes.push((name.into(), shape.into()));
        self
    }

    /// Sets the seed of the random inputs.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Writes a small reproducer into a new folder in `folder` when the models differ.
    #[must_use]
    pub fn dump(self, folder: impl Into<PathBuf>) -> Self {
        Self { dump: Some(folder.into()), ..self }
    }

    /// Sets whether initializers that are graph inputs as well are constants.
    #[must_use]
    pub fn constant_initializers(self, constant_initializers: bool) -> Self {
        Self { constant_initializers, ..self }
    }
}
