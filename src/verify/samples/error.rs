//! Why inputs cannot be used.

use std::fmt;
use std::path::{Path, PathBuf};

/// A file or folder of inputs that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SampleError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it: which array or tensor, and the condition.
    pub reason: String,
}

impl SampleError {
    pub(super) fn new(path: &Path, reason: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), reason: reason.to_string() }
    }
}

impl fmt::Display for SampleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for SampleError {}
