//! A model and the file it came from.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::onnx::ModelProto;

use super::external::SideFile;

/// A model and what it was read from.
#[derive(Clone, Debug)]
pub struct Model {
    /// External tensors have their content in `raw_data`.
    pub(super) proto: ModelProto,
    /// Where it was read from; empty for one that was not read from a file.
    pub(super) path: PathBuf,
    /// Its content; `raw_data` of the tensors are slices of it.
    pub(super) source: Bytes,
    /// The files beside it that hold weights.
    pub(super) side_files: Vec<SideFile>,
    /// True once `proto` says something else than `source`.
    pub(super) edited: bool,
}

impl Model {
    /// The model as protobuf has it. Tensors whose data is external have it in `raw_data` too.
    #[must_use]
    pub fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// The same, owned.
    #[must_use]
    pub fn into_proto(self) -> ModelProto {
        self.proto
    }

    /// Where it was read from; empty for one that was not read from a file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes that were read, of which weights are slices; empty for a model that is in no file yet.
    #[must_use]
    pub fn source(&self) -> &Bytes {
        &self.source
    }

    /// The files beside it that hold weights.
    #[must_use]
    pub fn side_files(&self) -> &[SideFile] {
        &self.side_files
    }

    /// True for a model that is no longer what was read: saving encodes it anew.
    #[must_use]
    pub fn is_edited(&self) -> bool {
        self.edited
    }

    /// Puts an edited model in the place of this one.
    pub(crate) fn replace(&mut self, proto: ModelProto) {
        self.proto = proto;
        self.edited = true;
    }
}
