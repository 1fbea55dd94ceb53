//! Errors of the library as exceptions of the Python package, with file, node, tensor and condition apart.

use std::path::Path;

use onnx_rm::{CheckError, EngineError, ExternalError, GraphError, LoadError, PruneError, SaveError, VerifyError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// An exception to be.
#[derive(Debug, Default)]
pub(crate) struct Fault {
    /// Its class in `onnx_rm`.
    class: &'static str,
    message: String,
    file: Option<String>,
    node: Option<String>,
    tensor: Option<String>,
    hint: Option<String>,
    errno: Option<i32>,
}

impl Fault {
    fn new(class: &'static str, message: impl ToString) -> Self {
        Self { class, message: message.to_string(), ..Self::default() }
    }

    /// An option that is not understood.
    pub(crate) fn option(message: String) -> Self {
        Self::new("OptionError", message)
    }

    /// What must not happen.
    pub(crate) fn internal(message: &str) -> Self {
        Self::new("InternalError", message)
    }

    pub(crate) fn panicked(message: &str) -> Self {
        Self::internal(&format!("{message}. This is a fault of onnx-rm: please report it"))
    }

    /// An error of work on the model at `path`, or in memory.
    pub(crate) fn engine(error: EngineError, path: Option<&Path>) -> Self {
        let mut fault = Self::from(error);
        if let Some(path) = path {
            fault.message = format!("{}: {}", path.display(), fault.message);
            fault.file = Some(path.display().to_string());
        }
        fault
    }

    /// An error of pruning the model at `path`, or in memory.
    pub(crate) fn prune(error: PruneError, path: Option<&Path>) -> Self {
        let class = match &error {
            PruneError::Samples(_) => "OptionError",
            PruneError::Internal(_) => "InternalError",
            _ => "OnnxRmError",
        };
        match error {
            PruneError::Engine(error) => Self::engine(error, path),
            error => Self::new(class, error),
        }
    }

    /// The exception. What is wrong, without the name of the file, is its condition.
    pub(crate) fn raise(self, py: Python<'_>) -> PyErr {
        // Behind the file stands a colon, and in front of what is wrong with a policy its line.
        let bare = self.file.as_ref().and_then(|file| self.message.strip_prefix(file)?.strip_prefix(':'));
        let condition = bare.map_or(self.message.as_str(), str::trim_start).to_owned();
        let make = || -> PyResult<PyErr> {
            let class = py.import("onnx_rm._errors")?.getattr(self.class)?;
            let words = PyDict::new(py);
            for (name, value) in
                [("file", self.file), ("node", self.node), ("tensor", self.tensor), ("hint", self.hint)]
            {
                words.set_item(name, value)?;
            }
            words.set_item("condition", condition)?;
            if let Some(errno) = self.errno {
                words.set_item("errno", errno)?;
            }
            Ok(PyErr::from_value(class.call((self.message,), Some(&words))?))
        };
        make().unwrap_or_else(|error| error)
    }
}

/// What a model in memory is called in messages: no file.
const NO_FILE: [&str; 3] = ["the model", "original", "rewritten model"];

fn file(path: String) -> Option<String> {
    (!NO_FILE.contains(&path.as_str())).then_some(path)
}

impl From<LoadError> for Fault {
    fn from(error: LoadError) -> Self {
        let hint = error.hint().map(str::to_owned);
        let fault = Self { hint, ..Self::new("LoadError", &error) };
        match error {
            LoadError::Io { path, source } => {
                Self { class: "FileError", file: file(path), errno: source.raw_os_error(), ..fault }
            }
            LoadError::Empty { path }
            | LoadError::TooLarge { path, .. }
            | LoadError::NotOnnx { path, .. }
            | LoadError::Unknown { path, .. } => Self { file: file(path), ..fault },
            LoadError::Tensor { path, tensor, .. } => Self { file: file(path), tensor: Some(tensor), ..fault },
            LoadError::External { path, source } => Self { file: file(path), tensor: external(source), ..fault },
            _ => fault,
        }
    }
}

/// The tensor whose content is not where it says.
fn external(error: ExternalError) -> Option<String> {
    match error {
        ExternalError::NoFolder(tensor)
        | ExternalError::NoLocation(tensor)
        | ExternalError::Escapes { tensor, .. }
        | ExternalError::Io { tensor, .. }
        | ExternalError::Range { tensor, .. }
        | ExternalError::Number { tensor, .. } => Some(tensor),
        _ => None,
    }
}

impl From<GraphError> for Fault {
    fn from(error: GraphError) -> Self {
        let fault = Self::new("GraphError", &error);
        match error {
            GraphError::Duplicate { tensor, .. } | GraphError::UndefinedOutput { tensor } => {
                Self { tensor: Some(tensor), ..fault }
            }
            GraphError::Undefined { node, tensor, .. } | GraphError::Order { node, tensor, .. } => {
                Self { node: Some(node), tensor: Some(tensor), ..fault }
            }
            GraphError::Cycle { node } | GraphError::Attribute { node, .. } | GraphError::Version { node, .. } => {
                Self { node: Some(node), ..fault }
            }
            _ => fault,
        }
    }
}

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Graph(error) => error.into(),
            EngineError::Limit { .. } => Self::new("LimitError", error),
            EngineError::Plan { .. } => Self::new("OptionError", error),
            EngineError::Apply(_) => Self::new("InternalError", error),
            _ => Self::new("OnnxRmError", error),
        }
    }
}

impl From<SaveError> for Fault {
    fn from(error: SaveError) -> Self {
        let system = std::error::Error::source(&error).and_then(|e| e.downcast_ref::<std::io::Error>());
        let errno = system.and_then(std::io::Error::raw_os_error);
        Self { file: file(error.path().to_owned()), errno, ..Self::new("FileError", &error) }
    }
}

impl From<CheckError> for Fault {
    fn from(error: CheckError) -> Self {
        let fault = Self::new("OptionError", &error);
        match error {
            CheckError::Policy(error) => Self { file: Some(error.policy), ..fault },
            CheckError::Baseline { path, .. } => Self { file: Some(path), ..fault },
            CheckError::Io { path, source } => {
                Self { class: "FileError", file: Some(path), errno: source.raw_os_error(), ..fault }
            }
            CheckError::Nothing => fault,
            _ => Self { class: "OnnxRmError", ..fault },
        }
    }
}

impl From<VerifyError> for Fault {
    fn from(error: VerifyError) -> Self {
        let hint = error.hint().map(str::to_owned);
        let (message, fault) = (error.to_string(), Self { hint, ..Self::new("VerifyError", &error) });
        match error {
            VerifyError::Load(error) => error.into(),
            VerifyError::Graph { model, source } => Self { message, file: file(model), ..source.into() },
            VerifyError::Input { name, .. } => Self { tensor: Some(name), ..fault },
            VerifyError::Inputs { path, .. } | VerifyError::Save { path, .. } => {
                Self { file: Some(path.display().to_string()), ..fault }
            }
            _ => fault,
        }
    }
}
