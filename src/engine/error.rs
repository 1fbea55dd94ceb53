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
    /// An edit would have broken it, which is a fault of this crate. The model is as it was.
    #[error("{0}; nothing was rewritten. This is a fault of onnx-rm: please report it")]
    Apply(#[from] graph::ApplyError),
}
