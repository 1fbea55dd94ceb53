//! Reading a model.

use std::path::Path;

use bytes::Bytes;
use prost::Message;

use crate::onnx::ModelProto;

use super::content;
use super::external::{self, ExternalError};
use super::model::Model;
use super::read::read;
use super::wire::{self, UnknownField, WireError};

/// Most bytes of a protobuf message: its readers keep lengths as signed 32-bit numbers. A model that is larger has its
/// weights in side files.
pub(super) const MAX_BYTES: usize = i32::MAX as usize;

/// How to read.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Accept a file with fields that the schema does not know, and lose them.
    pub drop_unknown_fields: bool,
}

impl LoadOptions {
    /// Sets whether fields that the schema does not know are dropped.
    #[must_use]
    pub fn drop_unknown_fields(self, drop_unknown_fields: bool) -> Self {
        Self { drop_unknown_fields, ..self }
    }
}

/// Why a file is no model that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It cannot be opened.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Nothing in it.
    #[error("{path}: the file is empty")]
    Empty {
        /// The file.
        path: String,
    },
    /// More than a protobuf message can hold.
    #[error("{path}: {bytes} bytes are more than a protobuf message can hold (2 GiB)")]
    TooLarge {
        /// The file.
        path: String,
        /// Its size.
        bytes: usize,
    },
    /// Not an ONNX file, or a part of one.
    #[error("{path}: not an ONNX model, or cut off: {reason}")]
    NotOnnx {
        /// The file.
        path: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// Fields of a newer ONNX.
    #[error("{path}: {field}; saving would lose it")]
    Unknown {
        /// The file.
        path: String,
        /// The first of them.
        field: UnknownField,
    },
    /// A tensor whose content does not fit its shape.
    #[error("{path}: tensor '{tensor}': {reason}")]
    Tensor {
        /// The file.
        path: String,
        /// The tensor.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
    /// External data.
    #[error("{path}: {source}")]
    External {
        /// The file.
        path: String,
        /// What is wrong.
        source: ExternalError,
    },
}

impl LoadError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unknown { .. } => Some("--drop-unknown-fields reads it and drops such fields"),
            Self::NotOnnx { .. } => Some("is this the .onnx file itself, completely downloaded?"),
            _ => None,
        }
    }
}

/// Reads the model at `path`. Weights are not copied again: they are slices of the bytes read.
///
/// ```no_run
/// let model = onnx_rm::io::load("model.onnx".as_ref(), &onnx_rm::io::LoadOptions::default())?;
/// println!("{}", onnx_rm::graph::dump(model.proto()));
/// # Ok::<(), onnx_rm::io::LoadError>(())
/// ```
///
/// # Errors
/// [`LoadError`]: every message names the file.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Model, LoadError> {
    let name = path.display().to_string();
    let source = read(path).map_err(|source| LoadError::Io { path: name.clone(), source })?;
    decode(source, Some(path), options)
}

/// Reads the model in `source`, the content of the file at `path`; without one there are no files beside it.
pub(super) fn decode(source: Bytes, path: Option<&Path>, options: &LoadOptions) -> Result<Model, LoadError> {
    let name = path.map_or_else(|| "the model".to_owned(), |path| path.display().to_string());
    if source.is_empty() {
        return Err(LoadError::Empty { path: name });
    }
    if source.len() > MAX_BYTES {
        return Err(LoadError::TooLarge { path: name, bytes: source.len() });
    }
    let not_onnx = |reason: String| LoadError::NotOnnx { path: name.clone(), reason };
    let unknown = wire::unknown_field(&source).map_err(|e| match e {
        WireError::Malformed(at) => not_onnx(format!("byte {at} is no protobuf field")),
        WireError::TooDeep => not_onnx("graphs are nested too deep".to_owned()),
    })?;
    let mut proto = ModelProto::decode(source.clone()).map_err(|e| not_onnx(e.to_string()))?;
    if proto.graph.is_none() {
        return Err(not_onnx("it holds no graph".to_owned()));
    }
    // Before IR version 3 there was but one operator set, and it was not named.
    if proto.opset_import.is_empty() && proto.ir_version.is_none_or(|version| version >= 3) {
        return Err(not_onnx("it names no operator set".to_owned()));
    }
    let mut edited = false;
    if let Some(field) = unknown {
        if !options.drop_unknown_fields {
            return Err(LoadError::Unknown { path: name, field });
        }
        edited = true;
    }
    let failed = |source| LoadError::External { path: name.clone(), source };
    let side_files = external::resolve(&mut proto, path.map(super::parent)).map_err(failed)?;
    external::each_tensor(&mut proto, &mut |tensor| {
        let tensor_error = |reason| LoadError::Tensor { path: name.clone(), tensor: tensor.name().to_owned(), reason };
        content::check(tensor).map_err(tensor_error)
    })?;
    Ok(Model { proto, path: path.unwrap_or(Path::new("")).to_owned(), source, side_files, edited })
}
