//! Why a model could not be rewritten at all.

use crate::graph;

/// Why a model could not be rewritten at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The graph itself is broken.
    #[error(transparent)]
    Graph(#[from] graph::GraphError),
    /// Who was told of the progress asked to stop. The model is as it was.
    #[error("stopped")]
    Stopped,
    /// The limits are kept by no rewrite, not even by one that removes no join. The model is as it was.
    #[error("the limits cannot be kept: without removing any join the model takes {reason}")]
    Limit {
        /// What is beyond which limit.
        reason: String,
    },
    /// The plan names what is no join. The model is as it was.
    #[error("the plan names tensor '{tensor}', which no sum of the model computes")]
    Plan {
        /// The tensor.
        tensor: String,
    },
    /// An edit would have broken it, which is a fault of this crate. The model is as it was.
    #[error("{0}; nothing was rewritten. This is a fault of onnx-rm: please report it")]
    Apply(#[from] graph::ApplyError),
}
