//! Test data as ONNX model zoos have it: folders `test_data_set_N` of `input_K.pb`, one tensor each, and of `output_K.pb`, what is
//! expected.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prost::Message;

use super::error::SampleError;
use super::fit::fit;
use crate::onnx::TensorProto;
use crate::verify::reference::Value;
use crate::verify::signature::Port;

const FOLDER: &str = "test_data_set_";

/// The folders of test data that `folder` means, in the order of their numbers: itself, or those in it.
///
/// # Errors
/// [`SampleError`] when it holds none.
pub(super) fn folders(folder: &Path) -> Result<Vec<PathBuf>, SampleError> {
    let entries = crate::io::entries(folder).map_err(|e| SampleError::new(folder, e))?;
    if numbered(&entries, "input_", ".pb").next().is_some() {
        return Ok(vec![folder.to_owned()]);
    }
    let mut found: Vec<(u64, PathBuf)> = numbered(&entries, FOLDER, "").filter(|(_, path)| path.is_dir()).collect();
    found.sort();
    if found.is_empty() {
        return Err(SampleError::new(folder, format!("neither input_0.pb nor a folder {FOLDER}0 is in it")));
    }
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Entries called `prefix`, a number and `suffix`.
fn numbered<'e>(entries: &'e [PathBuf], prefix: &'e str, suffix: &'e str) -> impl Iterator<Item = (u64, PathBuf)> + 'e {
    entries.iter().filter_map(move |path| {
        let name = path.file_name()?.to_str()?;
        let number = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
        Some((number.parse().ok()?, path.clone()))
    })
}

/// Values by tensor name.
type Tensors = BTreeMap<String, Value>;

/// Reads one folder: all inputs, and the expected outputs that are there.
///
/// # Errors
/// [`SampleError`] names the file.
pub(super) fn read(folder: &Path, ports: &[Port], outputs: &[Port]) -> Result<(Tensors, Tensors), SampleError> {
    let entries = crate::io::entries(folder).map_err(|e| SampleError::new(folder, e))?;
    let inputs = tensors(&entries, "input_", ports)?;
    if let Some(missing) = ports.iter().find(|p| !inputs.contains_key(&p.name)) {
        return Err(SampleError::new(folder, format!("there is no tensor for input {missing}")));
    }
    Ok((inputs, tensors(&entries, "output_", outputs)?))
}

fn tensors(entries: &[PathBuf], prefix: &str, ports: &[Port]) -> Result<Tensors, SampleError> {
    let mut files: Vec<(u64, PathBuf)> = numbered(entries, prefix, ".pb").collect();
    files.sort();
    let mut found = Tensors::new();
    for (number, path) in files {
        let fail = |reason: String| SampleError::new(&path, reason);
        let content = crate::io::contents(&path).map_err(|e| fail(e.to_string()))?;
        let tensor = TensorProto::decode(content).map_err(|e| fail(format!("no tensor: {e}")))?;
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        // A tensor that is called like no input is meant by its number.
        let port = ports.iter().find(|p| !p.name.is_empty() && p.name == tensor.name()).or_else(|| ports.get(number));
        let Some(port) = port else {
            let count = ports.len();
            return Err(fail(format!("tensor '{}' is number {number} of {count} that the model has", tensor.name())));
        };
        let named = |reason: String| fail(format!("tensor '{}': {reason}", tensor.name()));
        if !tensor.external_data.is_empty() {
            return Err(named("its content stands in another file, which is not looked at".to_owned()));
        }
        let value = Value::try_from(&tensor).map_err(|e| named(e.to_string()))?;
        let value = fit(value, port).map_err(named)?;
        if found.insert(port.name.clone(), value).is_some() {
            return Err(fail(format!("a second tensor for {port}")));
        }
    }
    Ok(found)
}
