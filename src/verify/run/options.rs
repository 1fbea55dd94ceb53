//! What the caller says, and what it is told on the way.

use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::verify::Tolerance;
use crate::verify::samples::Preprocess;

/// What runs the models in their own arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// tract, which is built in.
    #[default]
    Tract,
    /// ONNX Runtime, from a library that is loaded then.
    OnnxRuntime,
    /// Each of them by itself: the models must be equal in both.
    Both,
}

/// What to verify on.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// Inputs beside the seeded ones: an .npz archive with one array a graph input, an .npy array, or a folder of ONNX test data.
    pub inputs: Option<PathBuf>,
    /// A folder of PNG and JPEG images, and what is done to each.
    pub images: Option<(PathBuf, Preprocess)>,
    /// Sizes of the first axis to try beside the usual ones, and in which images are taken together.
    pub batches: Vec<usize>,
    /// A tolerance in place of the criterion.
    pub tolerance: Option<Tolerance>,
    /// What runs the models in their own arithmetic.
    pub engine: Engine,
    /// The library of ONNX Runtime; without it `ORT_DYLIB_PATH` names it.
    pub onnxruntime: Option<PathBuf>,
    /// Where everything that was fed is written, as ONNX test data: a new or empty folder.
    pub save_inputs: Option<PathBuf>,
    /// Where what the engines gave is written, as ONNX test data: a new or empty folder.
    pub save_outputs: Option<PathBuf>,
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
pub struct VerifyProgress {
    /// What is being done.
    pub stage: &'static str,
    /// Runs made.
    pub done: usize,
    /// Runs to make in this stage.
    pub total: usize,
}

/// Is told of progress, from several threads, and says whether to go on.
pub type Observer<'a> = &'a (dyn Fn(&VerifyProgress) -> ControlFlow<()> + Sync);

/// Goes on whatever it is told.
pub(super) fn go_on(_: &VerifyProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

impl VerifyOptions {
    /// Verifies on the inputs at `path` too: an .npz archive, an .npy array, or a folder of ONNX test data.
    #[must_use]
    pub fn inputs(self, path: impl Into<PathBuf>) -> Self {
        Self { inputs: Some(path.into()), ..self }
    }

    /// Verifies on the images directly in `folder` too.
    #[must_use]
    pub fn images(self, folder: impl Into<PathBuf>, preprocess: Preprocess) -> Self {
        Self { images: Some((folder.into(), preprocess)), ..self }
    }

    /// Tries batches of `sizes` too, and takes so many images together.
    #[must_use]
    pub fn batches(self, sizes: impl Into<Vec<usize>>) -> Self {
        Self { batches: sizes.into(), ..self }
    }

    /// Judges by `tolerance` in place of the criterion.
    #[must_use]
    pub fn tolerance(self, tolerance: Tolerance) -> Self {
        Self { tolerance: Some(tolerance), ..self }
    }

    /// Runs the models in `engine`.
    #[must_use]
    pub fn engine(self, engine: Engine) -> Self {
        Self { engine, ..self }
    }

    /// Loads ONNX Runtime from the library at `path`.
    #[must_use]
    pub fn onnxruntime(self, path: impl Into<PathBuf>) -> Self {
        Self { onnxruntime: Some(path.into()), ..self }
    }

    /// Writes what was fed into `folder`.
    #[must_use]
    pub fn save_inputs(self, folder: impl Into<PathBuf>) -> Self {
        Self { save_inputs: Some(folder.into()), ..self }
    }

    /// Writes what the engines gave into `folder`.
    #[must_use]
    pub fn save_outputs(self, folder: impl Into<PathBuf>) -> Self {
        Self { save_outputs: Some(folder.into()), ..self }
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
