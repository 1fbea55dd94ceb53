//! Long work beside the interpreter: in a thread of its own, while the caller's thread waits for signals and tells of progress.

use std::any::Any;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;

use crate::fault::Fault;

/// How long Ctrl-C may wait to be seen.
const PATIENCE: Duration = Duration::from_millis(50);

/// Stack of the thread that works; only what is touched of it takes memory.
const STACK: usize = 64 << 20;

/// What is being done, and how much of it is done.
struct Step {
    stage: String,
    message: String,
    done: usize,
    total: usize,
}

/// Takes word of progress from the work, in any thread, and says whether to go on.
pub(crate) struct Teller<'a> {
    /// Where somebody listens.
    steps: Option<Sender<Step>>,
    stop: &'a AtomicBool,
}

impl Teller<'_> {
    pub(crate) fn tell(&self, stage: impl Into<String>, message: &str, done: usize, total: usize) -> ControlFlow<()> {
        if let Some(steps) = &self.steps {
            let _ = steps.send(Step { stage: stage.into(), message: message.to_owned(), done, total });
        }
        if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Runs `work` without the interpreter's lock. `progress` is called in this thread; what it raises, as Ctrl-C, stops the work at the
/// next step and is what this raises.
pub(crate) fn watched<T: Send>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&Teller<'_>) -> Result<T, Fault> + Send,
) -> PyResult<T> {
    let stop = AtomicBool::new(false);
    let (steps, mut told) = mpsc::channel();
    // All senders are gone when the work is done, and only then, whether or not anybody listens.
    let (end, listens) = (steps.clone(), progress.is_some());
    thread::scope(|scope| {
        let teller = Teller { steps: listens.then_some(steps), stop: &stop };
        let work = move || {
            let result = work(&teller);
            drop(end);
            result
        };
        let worker = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work)?;
        let mut raised = None;
        loop {
            let (back, step) = py.detach(move || {
                let step = told.recv_timeout(PATIENCE);
                (told, step)
            });
            told = back;
            let seen = match (step, progress) {
                (Err(RecvTimeoutError::Disconnected), _) => break,
                _ if raised.is_some() => continue,
                (Ok(step), Some(progress)) => {
                    progress.call1((step.stage, step.message, step.done, step.total)).map(|_| ())
                }
                _ => Ok(()),
            };
            if let Err(error) = seen.and_then(|()| py.check_signals()) {
                stop.store(true, Ordering::Relaxed);
                raised = Some(error);
            }
        }
        let result = py.detach(|| worker.join());
        match (raised, result) {
            (Some(error), _) => Err(error),
            (None, Ok(result)) => result.map_err(|fault| fault.raise(py)),
            (None, Err(panic)) => Err(Fault::panicked(&words(&*panic)).raise(py)),
        }
    })
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no reason given").to_owned()
}
