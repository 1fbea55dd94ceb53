//! Archives: one array a graph input in an .npz file.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use zip::ZipArchive;

use super::error::SampleError;
use super::fit::fit;
use super::npy;
use crate::verify::reference::Value;
use crate::verify::signature::Port;

/// Reads `path`: every port must have an array that it can hold, and nothing else may be there.
///
/// # Errors
/// [`SampleError`] names the file and the array.
pub(super) fn read(path: &Path, ports: &[Port]) -> Result<BTreeMap<String, Value>, SampleError> {
    let fail = |reason: String| SampleError::new(path, reason);
    let content = crate::io::contents(path).map_err(|e| fail(e.to_string()))?;
    let mut archive = ZipArchive::new(Cursor::new(content)).map_err(|e| fail(format!("no .npz archive: {e}")))?;
    let mut found = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|e| fail(e.to_string()))?;
        let name = entry.name().strip_suffix(".npy").unwrap_or(entry.name()).to_owned();
        let Some(port) = ports.iter().find(|p| p.name == name) else {
            let known: Vec<&str> = ports.iter().map(|p| p.name.as_str()).collect();
            return Err(fail(format!("array '{name}' is no input of the model; its inputs are {}", known.join(", "))));
        };
        let named = |reason: String| fail(format!("array '{name}': {reason}"));
        let value = npy::read(&mut entry).and_then(|value| fit(value, port)).map_err(named)?;
        if found.insert(name.clone(), value).is_some() {
            return Err(fail(format!("array '{name}' stands there twice")));
        }
    }
    match ports.iter().find(|p| !found.contains_key(&p.name)) {
        Some(missing) => Err(fail(format!("there is no array for input {missing}"))),
        None => Ok(found),
    }
}
