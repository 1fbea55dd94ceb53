//! A single array in an .npy file, for models with one input.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::SampleError;
use super::fit::fit;
use super::npy;
use crate::verify::reference::Value;
use crate::verify::signature::Port;

/// The only one of `ports`.
///
/// # Errors
/// [`SampleError`] when there are others, whose values `path` does not have.
pub(super) fn only<'p>(path: &Path, what: &str, ports: &'p [Port]) -> Result<&'p Port, SampleError> {
    match ports {
        [port] => Ok(port),
        [] => Err(SampleError::new(path, "the model has no input")),
        [..] => {
            let names: Vec<&str> = ports.iter().map(|p| p.name.as_str()).collect();
            Err(SampleError::new(path, format!("{what} is for one input, and the model has {}", names.join(", "))))
        }
    }
}

/// Reads `path`.
///
/// # Errors
/// [`SampleError`].
pub(super) fn read(path: &Path, ports: &[Port]) -> Result<BTreeMap<String, Value>, SampleError> {
    let port = only(path, "an .npy file", ports)?;
    let content = crate::io::contents(path).map_err(|e| SampleError::new(path, e))?;
    let value = npy::read(&mut &*content).and_then(|value| fit(value, port)).map_err(|e| SampleError::new(path, e))?;
    Ok(BTreeMap::from([(port.name.clone(), value)]))
}
