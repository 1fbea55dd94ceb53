//! Reading a model.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;

use crate::onnx::tensor_proto::DataType;
use crate::onnx::{ModelProto, TensorProto};

use super::external::{self, ExternalError};
use super::mmap;
use super::wire::{self, UnknownField, WireError};

/// How to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// Accept a file with fields that the schema does not know, and lose them.
    pub drop_unknown_fields: bool,
}

/// A model and the file it came from.
#[derive(Clone, Debug)]
pub struct Model {
    /// The model. External tensors have their content in `raw_data`.
    pub proto: ModelProto,
    /// Where it was read from.
    pub path: PathBuf,
    /// The mapped file; `raw_data` of the tensors are slices of it.
    pub source: Bytes,
    /// True once `proto` says something else than `source`.
    pub edited: bool,
}

/// Why a file is no model that can be used.
#[derive(Debug, thiserror::Error)]
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

/// Reads the model at `path`. Weights are not copied: they are slices of the memory map.
///
/// ```no_run
/// let model = onnx_rm::io::load("model.onnx".as_ref(), &onnx_rm::io::LoadOptions::default())?;
/// println!("{}", onnx_rm::graph::dump(&model.proto));
/// # Ok::<(), onnx_rm::io::LoadError>(())
/// ```
///
/// # Errors
/// [`LoadError`]: every message names the file.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Model, LoadError> {
    let name = path.display().to_string();
    let source = mmap::map(path).map_err(|source| LoadError::Io { path: name.clone(), source })?;
    if source.is_empty() {
        return Err(LoadError::Empty { path: name });
    }
    let not_onnx = |reason: String| LoadError::NotOnnx { path: name.clone(), reason };
    let unknown = wire::unknown_field(&source).map_err(|e| match e {
        WireError::Malformed(at) => not_onnx(format!("byte {at} is no protobuf field")),
        WireError::TooDeep => not_onnx("graphs are nested too deep".to_owned()),
    })?;
    let mut proto = ModelProto::decode(source.clone()).map_err(|e| not_onnx(e.to_string()))?;
    if proto.graph.is_none() || proto.ir_version.is_none() && proto.opset_import.is_empty() {
        return Err(not_onnx("it holds no graph".to_owned()));
    }
    let mut edited = false;
    if let Some(field) = unknown {
        if !options.drop_unknown_fields {
            return Err(LoadError::Unknown { path: name, field });
        }
        edited = true;
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    external::resolve(&mut proto, folder).map_err(|source| LoadError::External { path: name.clone(), source })?;
    external::each_tensor(&mut proto, &mut |tensor| {
        check(tensor).map_err(|reason| LoadError::Tensor {
            path: name.clone(),
            tensor: tensor.name().to_owned(),
            reason,
        })
    })?;
    Ok(Model { proto, path: path.to_owned(), source, edited })
}

/// The content of a tensor must fit its shape and type.
fn check(tensor: &TensorProto) -> Result<(), String> {
    let dims = &tensor.dims;
    let count = dims.iter().try_fold(1_u64, |n, d| u64::try_from(*d).ok().and_then(|d| n.checked_mul(d)));
    let Some(count) = count else { return Err(format!("shape {dims:?} is impossible")) };
    let code = tensor.data_type.unwrap_or(0);
    let Ok(dtype) = DataType::try_from(code) else { return Err(format!("element type {code} is unknown")) };
    let Some(bits) = bits(dtype) else { return Ok(()) };
    let Some(want) = count.checked_mul(bits).map(|b| b.div_ceil(8)) else {
        return Err(format!("shape {dims:?} is impossible"));
    };
    if let Some(raw) = &tensor.raw_data {
        if raw.len() as u64 != want {
            return Err(format!("shape {dims:?} of {dtype:?} asks for {want} bytes, but there are {}", raw.len()));
        }
        return Ok(());
    }
    let lengths = [
        tensor.float_data.len(),
        tensor.int32_data.len(),
        tensor.int64_data.len(),
        tensor.double_data.len(),
        tensor.uint64_data.len(),
    ];
    let have: u64 = lengths.iter().map(|n| *n as u64).sum();
    // Complex numbers take two entries, sub-byte types share one.
    let want = match dtype {
        DataType::Complex64 | DataType::Complex128 => count.saturating_mul(2),
        _ if bits < 8 => count.saturating_mul(bits).div_ceil(8),
        _ => count,
    };
    if have != want {
        return Err(format!("shape {dims:?} of {dtype:?} asks for {want} entries, but there are {have}"));
    }
    Ok(())
}

/// Bits of an element in `raw_data`; `None` for strings and the undefined type.
fn bits(dtype: DataType) -> Option<u64> {
    let name = dtype.as_str_name();
    Some(match name {
        "UNDEFINED" | "STRING" => return None,
        "COMPLEX128" => 128,
        "DOUBLE" | "INT64" | "UINT64" | "COMPLEX64" => 64,
        "FLOAT" | "INT32" | "UINT32" => 32,
        "FLOAT16" | "BFLOAT16" | "INT16" | "UINT16" => 16,
        _ if name.ends_with("INT4") || name.starts_with("FLOAT4") => 4,
        _ if name.ends_with("INT2") => 2,
        _ => 8,
    })
}
