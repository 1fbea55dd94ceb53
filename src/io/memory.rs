//! Models from and to memory.

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;

use crate::onnx::ModelProto;

use super::external::embed;
use super::load::{self, LoadError, LoadOptions, MAX_BYTES, load};
use super::model::Model;
use super::save::SaveError;

impl Model {
    /// Reads the model at `path`, with its external data: [`load`](crate::load).
    ///
    /// # Errors
    /// [`LoadError`]: every message names the file.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        load(path.as_ref(), &LoadOptions::default())
    }

    /// Reads a model whose file is in memory. Its weights are slices of `bytes`. Weights in other files are an error.
    ///
    /// ```
    /// let bytes = std::fs::read("models/digits_resnet.onnx")?;
    /// let model = onnx_rm::Model::from_bytes(bytes.clone())?;
    /// assert_eq!(model.to_bytes()?, bytes);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, LoadError> {
        Self::from_bytes_with(bytes, &LoadOptions::default())
    }

    /// [`Model::from_bytes`] with options.
    ///
    /// # Errors
    /// As [`Model::from_bytes`].
    pub fn from_bytes_with(bytes: impl Into<Bytes>, options: &LoadOptions) -> Result<Self, LoadError> {
        load::decode(bytes.into(), None, options)
    }

    /// A model that is in no file yet. It is taken as it is: what is wrong with its graph is said by whoever works on it. A tensor
    /// whose data is external must have it in `raw_data` too, as [`Model::proto`] has it.
    #[must_use]
    pub fn from_proto(mut proto: ModelProto) -> Self {
        embed(&mut proto);
        Self { proto, path: PathBuf::new(), source: Bytes::new(), side_files: Vec::new(), edited: true }
    }

    /// The model as one file without side files: the bytes that were read, where it was not edited and had none.
    ///
    /// # Errors
    /// [`SaveError`] when that is larger than a protobuf message can be (2 GiB).
    pub fn to_bytes(&self) -> Result<Bytes, SaveError> {
        if !self.edited && self.side_files.is_empty() {
            return Ok(self.source.clone());
        }
        let mut proto = self.proto.clone();
        embed(&mut proto);
        if proto.encoded_len() > MAX_BYTES {
            let reason = "with all its weights it is larger than a protobuf message can be (2 GiB)";
            let source = Error::new(ErrorKind::FileTooLarge, reason);
            return Err(SaveError { path: "the model".to_owned(), source });
        }
        Ok(proto.encode_to_vec().into())
    }
}
