//! A small reproducer of a difference: the part of both models in which it arises, and what to feed it.
//!
//! `original.onnx` and `rewritten.onnx` end at the first tensor that differs and begin at what the same nodes compute in both models;
//! `inputs.npz` has the values of these in the trial that shows it. `onnx-rm verify` with `--inputs` shows it again.

use std::path::{Path, PathBuf};

use prost::Message;

use crate::io;
use crate::onnx::tensor_proto::DataType;
use crate::verify::reference::{self, Value};
use crate::verify::structure::types;

use super::inputs::{Feed, InputTensor};
use super::pair::dependents;
use super::precision::Precision;
use super::stage::{Stage, Trial};
use super::{archive, regions};

/// Writes what shows that `tensor` differs into a new folder in `parent`, and returns that folder.
///
/// # Errors
/// In words.
pub(super) fn write(parent: &Path, stage: &Stage<'_>, trial: &Trial, tensor: &str) -> Result<PathBuf, String> {
    let (original, rewritten) = (&stage.original, &stage.rewritten);
    let data = dependents(original.graph(), stage.slots.iter().map(|s| s.name.as_str()));
    let mut part = regions::around(&original.model, &rewritten.model, tensor, &|name| data.contains(name))?;
    let fed = stage.feed(trial)?;
    let names: Vec<&str> = part.inputs.iter().map(String::as_str).chain([tensor]).collect();
    let trace = reference::run_to(&original.model, &original.feed(&fed), &names).map_err(|e| e.to_string())?;
    let types = types(&original.model);
    let mut feed = Feed::new();
    let mut slots = Vec::new();
    for name in names {
        let known = stage.slots.iter().find(|s| s.name == name).map(|s| s.dtype).or_else(|| types.of(name));
        let value = fed.get(name).or_else(|| trace.get(name)).ok_or_else(|| format!("no tensor '{name}'"))?.clone();
        let (dtype, value) = match value {
            Value::F(a) => {
                let dtype = known.filter(|t| Precision::of(*t).is_some()).unwrap_or(DataType::Float);
                let precision = Precision::of(dtype).unwrap_or(Precision::Float32);
                (dtype, Value::F(a.mapv_into(|v| precision.round(v))))
            }
            Value::I(_) => (known.unwrap_or(DataType::Int64), value),
            Value::B(_) => (DataType::Bool, value),
        };
        slots.push(InputTensor { name: name.to_owned(), dtype, shape: value.shape().to_vec() });
        if name != tensor {
            feed.insert(name.to_owned(), value);
        }
    }
    part.declare(&slots);
    let files = [
        ("original.onnx", part.original.model.encode_to_vec()),
        ("rewritten.onnx", part.rewritten.model.encode_to_vec()),
        ("inputs.npz", archive::write(&feed)?),
    ];
    io::write_folder(parent, &files).map_err(|e| format!("{}: {e}", parent.display()))
}
