//! Whether a file is a library of ONNX Runtime that can be used: asked here, for the crate that uses it does not come back from one
//! that is none.
//!
//! Loading a library and calling what it exports is unsafe, so this file is.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::path::Path;

use libloading::{Library, Symbol};
use ort::sys::{ORT_API_VERSION, OrtApiBase};

/// What the library exports to be asked for everything else.
const ENTRY: &str = "OrtGetApiBase";

/// Loads the library, which stays loaded, and returns its version.
///
/// # Errors
/// In words: it is no library, not this one, or of an older version.
pub(super) fn load(path: &Path) -> Result<String, String> {
    // SAFETY: what a library does when it is loaded is its own affair; the user named it.
    let library = unsafe { Library::new(path) }.map_err(|e| format!("it cannot be loaded: {e}"))?;
    // SAFETY: libraries of ONNX Runtime export this function with this signature; another one of that name cannot be told apart.
    let entry: Result<Symbol<'_, unsafe extern "C" fn() -> *const OrtApiBase>, _> = unsafe { library.get(ENTRY) };
    let entry = entry.map_err(|_| format!("it is no library of ONNX Runtime: it exports no {ENTRY}"))?;
    // SAFETY: as above. What it points to lives as long as the library.
    let Some(base) = (unsafe { entry().as_ref() }) else { return Err(format!("its {ENTRY} gives nothing")) };
    // SAFETY: both are functions of ONNX Runtime; the version is a C string that lives as long as the library.
    let (version, has_api) = unsafe {
        let version = (base.GetVersionString)();
        if version.is_null() {
            return Err("it has no version".to_owned());
        }
        let version = CStr::from_ptr(version).to_string_lossy().into_owned();
        // It complains on stderr when it is asked for more than it has.
        let has_api = minor(&version) >= ORT_API_VERSION && !(base.GetApi)(ORT_API_VERSION).is_null();
        (version, has_api)
    };
    if !has_api {
        return Err(format!("it is ONNX Runtime {version}, and 1.{ORT_API_VERSION} or newer is needed"));
    }
    std::mem::forget(library);
    Ok(version)
}

/// The second number of a version.
fn minor(version: &str) -> u32 {
    version.split('.').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_read() {
        assert_eq!((super::minor("1.22.0"), super::minor("1.32.0-rc1"), super::minor("none")), (22, 32, 0));
    }
}
