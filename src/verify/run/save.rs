//! What was fed and what came out, as ONNX test data: folders `test_data_set_N` with one tensor a file, which `--inputs` reads again.

use std::path::{Path, PathBuf};

use half::{bf16, f16};
use prost::Message;

use crate::io;
use crate::onnx::TensorProto;
use crate::onnx::tensor_proto::DataType;
use crate::verify::reference::Value;

use super::attempt::Ready;
use super::course::Course;
use super::error::VerifyError;
use super::options::VerifyOptions;
use super::stage::Trial;
use super::trial::Arithmetic;

/// Makes sure that what will be written stands beside nothing else.
///
/// # Errors
/// [`VerifyError::Save`] for a folder that holds something, or cannot be one.
pub(super) fn check(options: &VerifyOptions) -> Result<(), VerifyError> {
    for path in options.save_inputs.iter().chain(&options.save_outputs) {
        let fail = |reason: String| VerifyError::Save { path: path.clone(), reason };
        if !path.exists() {
            continue;
        }
        match io::entries(path) {
            Ok(entries) if entries.is_empty() => {}
            Ok(_) => {
                return Err(fail(
                    "it holds something already: what is saved goes into a new or empty folder".to_owned(),
                ));
            }
            Err(e) => return Err(fail(e.to_string())),
        }
    }
    if options.save_inputs.is_some() && options.save_inputs == options.save_outputs {
        let path = options.save_inputs.clone().unwrap_or_default();
        return Err(VerifyError::Save {
            path,
            reason: "inputs and outputs are saved into different folders".to_owned(),
        });
    }
    Ok(())
}

/// Writes the inputs of all trials when `inputs` says so, and what the engine gives for them, and returns what each number stands for.
/// The models are run once more for it: values are not kept.
///
/// # Errors
/// [`VerifyError::Save`] names the folder.
pub(super) fn write(
    readies: &[Ready<'_>],
    courses: &[Course],
    options: &VerifyOptions,
    inputs: bool,
) -> Result<Vec<String>, VerifyError> {
    let mut saved = Vec::new();
    if options.save_inputs.is_none() && options.save_outputs.is_none() {
        return Ok(saved);
    }
    for (size, (ready, course)) in readies.iter().zip(courses).enumerate() {
        for trial in &course.trials {
            let folder = format!("test_data_set_{}", saved.len());
            if let Some(parent) = options.save_inputs.as_ref().filter(|_| inputs) {
                let files = fed(ready, trial).map_err(|reason| VerifyError::Save { path: parent.clone(), reason })?;
                put(parent, &folder, &files)?;
            }
            if let Some(parent) = &options.save_outputs {
                save_outputs(ready, trial, parent, &folder)?;
            }
            saved.push(format!("{}, size {size}", trial.name));
        }
    }
    Ok(saved)
}

type Files = Vec<(String, Vec<u8>)>;

fn fed(ready: &Ready<'_>, trial: &Trial) -> Result<Files, String> {
    let feed = ready.bench.stage.feed(trial)?;
    let slots = ready.bench.stage.slots.iter().filter_map(|slot| Some((slot, feed.get(&slot.name)?)));
    slots.enumerate().map(|(k, (slot, value))| file("input", k, &slot.name, value, slot.dtype)).collect()
}

/// What both models give, in the folder of the engine.
fn save_outputs(ready: &Ready<'_>, trial: &Trial, parent: &Path, folder: &str) -> Result<(), VerifyError> {
    let bench = &ready.bench;
    let (engine, outputs) = match &bench.arithmetic {
        Arithmetic::Runtime(runners) => (runners.runtime.name(), bench.in_runtime(trial)),
        Arithmetic::Rounded | Arithmetic::None => ("float64", bench.in_float64(trial)),
    };
    let fail = |reason: String| VerifyError::Save { path: parent.to_owned(), reason };
    let (original, rewritten) = outputs.map_err(&fail)?;
    for (model, side, values) in
        [("original", &bench.stage.original, original), ("rewritten", &bench.stage.rewritten, rewritten)]
    {
        let named = side.outputs.iter().take(ready.outputs).zip(&values).enumerate();
        let files = named.map(|(k, (name, value))| {
            let dtype = match value {
                Value::F(_) => bench.rounding.0.width(name).data_type(),
                Value::I(_) => DataType::Int64,
                Value::B(_) => DataType::Bool,
            };
            file("output", k, name, value, dtype)
        });
        let files = files.collect::<Result<Files, _>>().map_err(&fail)?;
        put(&parent.join(engine).join(model), folder, &files)?;
    }
    Ok(())
}

fn put(parent: &Path, folder: &str, files: &Files) -> Result<(), VerifyError> {
    let path: PathBuf = parent.join(folder);
    io::write_files(&path, files).map_err(|e| VerifyError::Save { path, reason: e.to_string() })
}

/// One tensor as a file.
fn file(what: &str, number: usize, name: &str, value: &Value, dtype: DataType) -> Result<(String, Vec<u8>), String> {
    let raw = bytes(value, dtype)
        .ok_or_else(|| format!("'{name}' is of type {}, which is not saved", dtype.as_str_name()))?;
    let tensor = TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(dtype as i32),
        dims: value.shape().iter().map(|d| *d as i64).collect(),
        raw_data: Some(raw.into()),
        ..TensorProto::default()
    };
    Ok((format!("{what}_{number}.pb"), tensor.encode_to_vec()))
}

/// The elements as a tensor has them, little-endian.
fn bytes(value: &Value, dtype: DataType) -> Option<Vec<u8>> {
    Some(match (value, dtype) {
        (Value::F(a), DataType::Float) => a.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect(),
        (Value::F(a), DataType::Double) => a.iter().flat_map(|v| v.to_le_bytes()).collect(),
        (Value::F(a), DataType::Float16) => a.iter().flat_map(|v| f16::from_f64(*v).to_le_bytes()).collect(),
        (Value::F(a), DataType::Bfloat16) => a.iter().flat_map(|v| bf16::from_f64(*v).to_le_bytes()).collect(),
        (Value::I(a), DataType::Int64 | DataType::Uint64) => a.iter().flat_map(|v| v.to_le_bytes()).collect(),
        (Value::I(a), DataType::Int32 | DataType::Uint32) => a.iter().flat_map(|v| (*v as i32).to_le_bytes()).collect(),
        (Value::I(a), DataType::Int16 | DataType::Uint16) => a.iter().flat_map(|v| (*v as i16).to_le_bytes()).collect(),
        (Value::I(a), DataType::Int8 | DataType::Uint8) => a.iter().map(|v| *v as u8).collect(),
        (Value::B(a), DataType::Bool) => a.iter().map(|v| u8::from(*v)).collect(),
        _ => return None,
    })
}
