//! A model as Python hands it over.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use onnx_rm::{LoadError, LoadOptions, Model, load_with};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

/// A file, or its content.
#[derive(FromPyObject)]
pub(crate) enum Source {
    Path(PathBuf),
    Bytes(PyBackedBytes),
}

impl Source {
    /// Reads the model. Bytes are not copied: its weights are slices of Python's object, which lives as long as they do.
    pub(crate) fn load(self, options: LoadOptions) -> Result<Model, LoadError> {
        match self {
            Self::Path(path) => load_with(path, &options),
            Self::Bytes(bytes) => Model::from_bytes_with(Bytes::from_owner(bytes), &options),
        }
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::Bytes(_) => None,
        }
    }

    /// What a report calls it.
    pub(crate) fn name(&self) -> String {
        self.path().map_or_else(|| "<bytes>".to_owned(), |path| path.display().to_string())
    }
}
