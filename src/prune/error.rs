//! Why a model was not pruned.

use crate::engine::EngineError;
use crate::graph::{ApplyError, GraphError};
#[cfg(feature = "verify")]
use crate::verify::VerifyError;
use crate::verify::reference::EvalError;

/// Why a model was not pruned. It is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PruneError {
    /// It cannot be read, or not be rewritten.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It cannot be evaluated on the calibration samples.
    #[error("the model cannot be run on the calibration samples: {0}")]
    Eval(#[from] EvalError),
    /// What should compute the same could not be compared.
    #[cfg(feature = "verify")]
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The samples do not fit.
    #[error("calibration samples: {0}")]
    Samples(String),
    /// No channel can go.
    #[error("nothing can be pruned: {0}")]
    Nothing(String),
    /// A limit that cannot be met.
    #[error("{0}")]
    Limit(String),
    /// A fault of this crate.
    #[error("{0}; nothing was pruned. This is a fault of onnx-rm: please report it")]
    Internal(String),
}

impl From<GraphError> for PruneError {
    fn from(error: GraphError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<ApplyError> for PruneError {
    fn from(error: ApplyError) -> Self {
        Self::Internal(error.to_string())
    }
}
