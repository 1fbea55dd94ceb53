//! Both models in a runtime.

use std::path::Path;
use std::time::{Duration, Instant};

use super::error::VerifyError;
use super::inputs::{Feed, InputTensor};
use super::options::Engine;
use super::pair::Side;
use super::runner::{Runner, Source};
use super::stage::{Own, Stage, words};
use crate::verify::reference::Value;
use crate::verify::report;

#[cfg(feature = "onnxruntime")]
use super::onnxruntime;

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runtime {
    Tract,
    OnnxRuntime,
}

impl Runtime {
    /// Its word in reports.
    pub(super) fn reported(self) -> report::Runner {
        match self {
            Self::Tract => report::Runner::Tract,
            Self::OnnxRuntime => report::Runner::OnnxRuntime,
        }
    }

    /// The same.
    pub(super) fn name(self) -> &'static str {
        self.reported().as_str()
    }
}

/// What runs the models, and the version of ONNX Runtime when it is among them: its library, at `path` or where the environment says,
/// is loaded before anything else is done.
pub(super) fn of(engine: Engine, path: Option<&Path>) -> Result<(Vec<Runtime>, Option<String>), VerifyError> {
    let runtimes = match engine {
        Engine::Tract => vec![Runtime::Tract],
        Engine::OnnxRuntime => vec![Runtime::OnnxRuntime],
        Engine::Both => vec![Runtime::Tract, Runtime::OnnxRuntime],
    };
    if !runtimes.contains(&Runtime::OnnxRuntime) {
        return Ok((runtimes, None));
    }
    let version = library(path).map_err(VerifyError::Engine)?;
    Ok((runtimes, Some(version)))
}

#[cfg(feature = "onnxruntime")]
fn library(path: Option<&Path>) -> Result<String, String> {
    onnxruntime::load(path)
}

#[cfg(not(feature = "onnxruntime"))]
fn library(_: Option<&Path>) -> Result<String, String> {
    Err("this build was made without the feature 'onnxruntime'".to_owned())
}

/// A model that one of them has loaded.
pub(super) enum Loaded {
    Tract(Runner),
    #[cfg(feature = "onnxruntime")]
    OnnxRuntime(onnxruntime::Session),
}

impl Loaded {
    /// Loads and optimises the model of `source` for inputs of the shapes of `slots`.
    ///
    /// # Errors
    /// What the runtime says when it cannot.
    pub(super) fn new(runtime: Runtime, source: Source<'_>, slots: &[InputTensor]) -> Result<Self, String> {
        match runtime {
            Runtime::Tract => Runner::new(source, slots).map(Self::Tract).map_err(|e| words(&e)),
            #[cfg(feature = "onnxruntime")]
            Runtime::OnnxRuntime => onnxruntime::Session::new(source, slots).map(Self::OnnxRuntime),
            #[cfg(not(feature = "onnxruntime"))]
            Runtime::OnnxRuntime => Err("it is not in this build".to_owned()),
        }
    }

    fn run(&self, feed: &Feed) -> Result<Vec<Value>, String> {
        match self {
            Self::Tract(runner) => runner.run(feed).map_err(|e| words(&e)),
            #[cfg(feature = "onnxruntime")]
            Self::OnnxRuntime(session) => session.run(feed),
        }
    }

    /// How long a run takes, once the inputs are as the runtime takes them.
    ///
    /// # Errors
    /// What the runtime says when it cannot.
    pub(super) fn timed(&self, feed: &Feed) -> Result<Duration, String> {
        match self {
            Self::Tract(runner) => {
                let inputs = runner.prepare(feed).map_err(|e| words(&e))?;
                let begin = Instant::now();
                runner.run_prepared(inputs).map_err(|e| words(&e))?;
                Ok(begin.elapsed())
            }
            #[cfg(feature = "onnxruntime")]
            Self::OnnxRuntime(session) => session.timed(feed),
        }
    }
}

/// Both models.
pub(super) struct Runners {
    pub(super) runtime: Runtime,
    original: Loaded,
    rewritten: Loaded,
}

impl Runners {
    /// Prepares both models of `stage`.
    ///
    /// # Errors
    /// Which of the two cannot be run, and why.
    pub(super) fn new(runtime: Runtime, stage: &Stage<'_>) -> Result<Self, String> {
        let load = |side: &Side<'_>, which: &str| {
            Loaded::new(runtime, side.source(), &stage.slots).map_err(|reason| format!("{which}: {reason}"))
        };
        let (original, rewritten) = (load(&stage.original, "original")?, load(&stage.rewritten, "rewritten")?);
        Ok(Self { runtime, original, rewritten })
    }

    /// Runs both.
    ///
    /// # Errors
    /// Which of the two cannot be run, and why.
    pub(super) fn run(&self, feed: &Feed) -> Result<Own, String> {
        let original = self.original.run(feed).map_err(|reason| format!("original: {reason}"))?;
        let rewritten = self.rewritten.run(feed).map_err(|reason| format!("rewritten: {reason}"))?;
        Ok((original, rewritten))
    }
}
