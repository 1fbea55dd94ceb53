//! Weights in files beside the model (ONNX `TensorProto.external_data`).

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use crate::onnx::tensor_proto::DataLocation;
use crate::onnx::{AttributeProto, GraphProto, ModelProto, TensorProto};

use super::content;
use super::read::read as read_file;

/// A file beside the model that holds weights.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SideFile {
    /// Its path below the model's folder, as the tensors give it.
    pub location: String,
    /// Its path with every link resolved.
    pub path: PathBuf,
    /// Its content; `raw_data` of the tensors are slices of it.
    pub content: Bytes,
}

/// Why external data cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalError {
    /// The model was not read from a file, so there is none beside it.
    #[error("tensor '{0}' has its data in another file, and a model in memory has none beside it")]
    NoFolder(String),
    /// No `location`.
    #[error("tensor '{0}' says that its data is external but gives no location")]
    NoLocation(String),
    /// An absolute path, or one that leads out of the model's folder.
    #[error("tensor '{tensor}': external location '{location}' leads out of the model's folder")]
    Escapes {
        /// The tensor.
        tensor: String,
        /// What it says.
        location: String,
    },
    /// The side file cannot be read.
    #[error("tensor '{tensor}': external file '{location}': {source}")]
    Io {
        /// The tensor.
        tensor: String,
        /// What it says.
        location: String,
        /// Why.
        source: std::io::Error,
    },
    /// The range is not inside the file.
    #[error("tensor '{tensor}': offset {offset} and length {length} lie outside '{location}' ({size} bytes)")]
    Range {
        /// The tensor.
        tensor: String,
        /// The side file.
        location: String,
        /// Where it should start.
        offset: u64,
        /// How long it should be.
        length: u64,
        /// Size of the side file.
        size: u64,
    },
    /// An entry that is no number.
    #[error("tensor '{tensor}': external entry {key} is '{value}', which is no number")]
    Number {
        /// The tensor.
        tensor: String,
        /// `offset` or `length`.
        key: String,
        /// What it says.
        value: String,
    },
}

/// Calls `f` for every tensor of `model` that can hold data: initializers and attributes, at any depth.
pub(super) fn each_tensor<E>(
    model: &mut ModelProto,
    f: &mut dyn FnMut(&mut TensorProto) -> Result<(), E>,
) -> Result<(), E> {
    model.graph.iter_mut().try_for_each(|graph| in_graph(graph, f))?;
    for training in &mut model.training_info {
        training.initialization.iter_mut().chain(&mut training.algorithm).try_for_each(|graph| in_graph(graph, f))?;
    }
    for function in &mut model.functions {
        for node in &mut function.node {
            in_attributes(&mut node.attribute, f)?;
        }
        in_attributes(&mut function.attribute_proto, f)?;
    }
    Ok(())
}

fn in_graph<E>(graph: &mut GraphProto, f: &mut dyn FnMut(&mut TensorProto) -> Result<(), E>) -> Result<(), E> {
    graph.initializer.iter_mut().try_for_each(&mut *f)?;
    for sparse in &mut graph.sparse_initializer {
        sparse.values.iter_mut().chain(sparse.indices.iter_mut()).try_for_each(&mut *f)?;
    }
    for node in &mut graph.node {
        in_attributes(&mut node.attribute, f)?;
    }
    Ok(())
}

fn in_attributes<E>(
    attributes: &mut [AttributeProto],
    f: &mut dyn FnMut(&mut TensorProto) -> Result<(), E>,
) -> Result<(), E> {
    for a in attributes {
        a.t.iter_mut().chain(a.tensors.iter_mut()).try_for_each(&mut *f)?;
        for sparse in a.sparse_tensor.iter_mut().chain(a.sparse_tensors.iter_mut()) {
            sparse.values.iter_mut().chain(sparse.indices.iter_mut()).try_for_each(&mut *f)?;
        }
        for graph in a.g.iter_mut().chain(a.graphs.iter_mut()) {
            in_graph(graph, f)?;
        }
    }
    Ok(())
}

/// True for a tensor whose data is in another file.
pub(super) fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(DataLocation::External as i32)
}

/// Says of every tensor of `model` that its data is inside, where it is.
pub(super) fn embed(model: &mut ModelProto) {
    let _: Result<(), std::convert::Infallible> = each_tensor(model, &mut |tensor| {
        if is_external(tensor) && tensor.raw_data.is_some() {
            (tensor.data_location, tensor.external_data) = (None, Vec::new());
        }
        Ok(())
    });
}

/// Reads the side files of `model` and gives every external tensor its content as `raw_data`. The tensors keep
/// their entries, by which [`super::save`] knows them.
pub(super) fn resolve(model: &mut ModelProto, folder: Option<&Path>) -> Result<Vec<SideFile>, ExternalError> {
    let mut files: HashMap<String, SideFile> = HashMap::new();
    each_tensor(model, &mut |tensor| {
        if is_external(tensor) {
            let folder = folder.ok_or_else(|| ExternalError::NoFolder(tensor.name().to_owned()))?;
            let content = read(tensor, folder, &mut files)?;
            tensor.raw_data = Some(content);
        }
        Ok(())
    })?;
    let mut files: Vec<SideFile> = files.into_values().collect();
    files.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(files)
}

/// The content of `tensor`, a slice of its side file.
fn read(tensor: &TensorProto, folder: &Path, files: &mut HashMap<String, SideFile>) -> Result<Bytes, ExternalError> {
    let name = || tensor.name().to_owned();
    let entry = |key: &str| tensor.external_data.iter().find(|e| e.key() == key).map(|e| e.value().to_owned());
    let location = entry("location").filter(|l| !l.is_empty()).ok_or_else(|| ExternalError::NoLocation(name()))?;
    if !files.contains_key(&location) {
        let file = open(folder, &location).map_err(|problem| match problem {
            Some(source) => ExternalError::Io { tensor: name(), location: location.clone(), source },
            None => ExternalError::Escapes { tensor: name(), location: location.clone() },
        })?;
        files.insert(location.clone(), file);
    }
    let file = files.get(&location).map_or_else(Bytes::new, |file| file.content.clone());
    let number = |key: &str| match entry(key).map(|value| value.parse::<u64>().map_err(|_| value)).transpose() {
        Ok(number) => Ok(number),
        Err(value) => Err(ExternalError::Number { tensor: name(), key: key.to_owned(), value }),
    };
    let size = file.len() as u64;
    let offset = number("offset")?.unwrap_or(0);
    let rest = size.saturating_sub(offset);
    // Without a length it is as long as its shape says, as in ONNX Runtime.
    let length = number("length")?.unwrap_or_else(|| content::bytes(tensor).unwrap_or(rest));
    match offset.checked_add(length).filter(|end| *end <= size) {
        Some(end) => Ok(file.slice(offset as usize..end as usize)),
        None => Err(ExternalError::Range { tensor: name(), location, offset, length, size }),
    }
}

/// Reads the file at `location` below `folder`. The error is `None` when it is not below that folder.
fn open(folder: &Path, location: &str) -> Result<SideFile, Option<std::io::Error>> {
    let path = inside(folder, location).ok_or(None)?;
    // A link may lead anywhere, whatever the path looks like.
    let real = path.canonicalize().map_err(Some)?;
    let home = folder.canonicalize().map_err(Some)?;
    if !real.starts_with(&home) {
        return Err(None);
    }
    let content = read_file(&real).map_err(Some)?;
    Ok(SideFile { location: location.to_owned(), path: real, content })
}

/// `location` below `folder`; `None` for anything but plain names.
pub(super) fn inside(folder: &Path, location: &str) -> Option<PathBuf> {
    let relative = Path::new(location);
    let plain = relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    (plain && !location.contains('\\')).then(|| folder.join(relative))
}
