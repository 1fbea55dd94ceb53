//! Why a verification could not be made at all.

use std::path::PathBuf;

use crate::graph::GraphError;
use crate::io::LoadError;
use crate::verify::samples::SampleError;

/// Neither "equal" nor "different": the models could not be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A file cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A graph that is broken.
    #[error("{model}: {source}")]
    Graph {
        /// Which of the two.
        model: String,
        /// What is wrong.
        source: GraphError,
    },
    /// An input for which no values can be made, or given values that do not fit.
    #[error("input '{name}': {reason}")]
    Input {
        /// The graph input.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A file of inputs that cannot be used.
    #[error("{path}: {reason}", path = path.display())]
    Inputs {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A folder that cannot be written into, or holds something already.
    #[error("{path}: {reason}", path = path.display())]
    Save {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The engine that was asked for cannot be used.
    #[error("{0}")]
    Engine(String),
    /// Who was told of the progress asked to stop.
    #[error("stopped")]
    Stopped,
    /// Neither the models nor their rewritten regions can be run.
    #[error("the models cannot be run: {0}")]
    CannotRun(String),
}

impl From<SampleError> for VerifyError {
    fn from(error: SampleError) -> Self {
        Self::Inputs { path: error.path, reason: error.reason }
    }
}

impl VerifyError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Load(e) => e.hint(),
            Self::Input { .. } => Some("--input-shape name:1x3x224x224 states a shape, --inputs file.npz gives values"),
            Self::CannotRun(_) => Some("`rewrite --no-verify` writes without verification"),
            Self::Engine(_) => Some(
                "--onnxruntime PATH or ORT_DYLIB_PATH names the library; the Python package onnxruntime has it as \
                 onnxruntime/capi/libonnxruntime.so.VERSION",
            ),
            Self::Graph { .. } | Self::Inputs { .. } | Self::Save { .. } | Self::Stopped => None,
        }
    }
}
