//! Why a check could not be made at all.

use super::policy::PolicyError;

/// Why a check could not be made at all. What is wrong with a model is a finding, not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The policy is none.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The baseline is no report of a check.
    #[error("{path}: no report of a check, as `onnx-rm check --json` writes it: {reason}")]
    Baseline {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A file or folder that cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Nothing was named to check, and the policy names nothing either.
    #[error("nothing to check: no model is named, and no policy names any")]
    Nothing,
    /// Who was told of the progress asked to stop.
    #[error("stopped")]
    Stopped,
}

impl CheckError {
    pub(super) fn io(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::Io { path: path.display().to_string(), source }
    }
}
