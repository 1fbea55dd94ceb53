//! The extension module `onnx_rm._native`: hands calls on to the library, without the interpreter's lock, and results back. Names,
//! types and words for people are in the Python package `onnx_rm` around it.
// A fault is made once and at once an exception: its size does not matter.
#![allow(clippy::result_large_err)]

mod calls;
mod fault;
mod source;
mod watch;

use pyo3::prelude::*;

/// What the Python package `onnx_rm` calls.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::calls::{bench, check, inspect, main, prune, rewrite, verify};

    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        onnx_rm::verify::silence_caught_panics();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
