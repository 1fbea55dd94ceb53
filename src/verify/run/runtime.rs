//! Both models in a runtime.

use super::inputs::Feed;
use super::pair::Side;
use super::runner::Runner;
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

/// A model that one of them has loaded.
enum Loaded {
    Tract(Runner),
    #[cfg(feature = "onnxruntime")]
    OnnxRuntime(onnxruntime::Session),
}

impl Loaded {
    fn new(runtime: Runtime, side: &Side<'_>, stage: &Stage<'_>) -> Result<Self, String> {
        match runtime {
            Runtime::Tract => Runner::new(side.source(), &stage.slots).map(Self::Tract).map_err(|e| words(&e)),
            #[cfg(feature = "onnxruntime")]
            Runtime::OnnxRuntime => onnxruntime::Session::new(side.source(), &stage.slots).map(Self::OnnxRuntime),
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
            Loaded::new(runtime, side, stage).map_err(|reason| format!("{which}: {reason}"))
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
