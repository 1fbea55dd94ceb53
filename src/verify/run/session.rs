//! Runs all sides on all cases, each side in a thread of its own.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::inputs::{Case, Feed};
use super::pair::{Pair, Side};
use super::runner::Runner;
use super::verification::{Observer, Progress};
use crate::verify::reference::{self, Value};

/// The compared tensors, by case.
pub(super) type Values = Vec<Vec<Value>>;

/// What each side gave.
pub(super) struct Runs {
    pub(super) exact: Values,
    pub(super) original: Values,
    pub(super) rewritten: Values,
}

/// Which way of running failed, and why.
pub(super) enum Trouble {
    Float64(String),
    Tract(String),
}

/// What a side says that did not fail by itself.
const STOPPED: &str = "stopped, because another side failed";

/// Stack of a thread: tract and nested subgraphs recurse deeper than the default of a thread allows.
const STACK: usize = 32 << 20;

/// Runs both models through tract, and the original in float64.
///
/// # Errors
/// Which side failed, and why.
pub(super) fn own(pair: &Pair<'_>, observer: Observer<'_>) -> Result<Runs, Trouble> {
    let board = Board::new(pair, "running both models and float64", 3, observer);
    let [exact, original, rewritten] = all([
        &|| exact(&pair.original, pair, &board).map_err(Trouble::Float64),
        &|| tract(&pair.original, pair, &board).map_err(|e| Trouble::Tract(format!("original: {e}"))),
        &|| tract(&pair.rewritten, pair, &board).map_err(|e| Trouble::Tract(format!("rewritten: {e}"))),
    ])?;
    Ok(Runs { exact, original, rewritten })
}

/// Evaluates both models in float64.
///
/// # Errors
/// Which side failed, and why.
pub(super) fn float64(pair: &Pair<'_>, observer: Observer<'_>) -> Result<Runs, String> {
    let board = Board::new(pair, "evaluating both models in float64", 2, observer);
    let original = exact(&pair.original, pair, &board).map_err(|e| format!("float64, original: {e}"))?;
    let rewritten = exact(&pair.rewritten, pair, &board).map_err(|e| format!("float64, rewritten: {e}"))?;
    Ok(Runs { exact: original.clone(), original, rewritten })
}

/// Counts runs, and tells the others when one side has failed.
struct Board<'a> {
    stage: &'static str,
    total: usize,
    done: AtomicUsize,
    failed: AtomicBool,
    observer: Observer<'a>,
}

impl<'a> Board<'a> {
    fn new(pair: &Pair<'_>, stage: &'static str, sides: usize, observer: Observer<'a>) -> Self {
        let total = sides * pair.cases.len();
        observer(&Progress { stage, done: 0, total });
        Self { stage, total, done: AtomicUsize::new(0), failed: AtomicBool::new(false), observer }
    }

    /// Runs `f` on every case, until a side fails.
    fn each(&self, cases: &[Case], f: impl Fn(&Case) -> Result<Vec<Value>, String>) -> Result<Values, String> {
        let mut values = Vec::with_capacity(cases.len());
        for case in cases {
            if self.failed.load(Ordering::Relaxed) {
                return Err(STOPPED.to_owned());
            }
            values.push(f(case).inspect_err(|_| self.failed.store(true, Ordering::Relaxed))?);
            let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
            (self.observer)(&Progress { stage: self.stage, done, total: self.total });
        }
        Ok(values)
    }
}

fn exact(side: &Side<'_>, pair: &Pair<'_>, board: &Board<'_>) -> Result<Values, String> {
    board.each(&pair.cases, |case| evaluate(side, &case.feed))
}

/// The compared tensors of one side in float64.
///
/// # Errors
/// What the evaluator says.
pub(super) fn evaluate(side: &Side<'_>, feed: &Feed) -> Result<Vec<Value>, String> {
    let outputs = side.outputs();
    let trace = reference::run_to(&side.model, &side.feed(feed), &outputs).map_err(|e| e.to_string())?;
    outputs.iter().map(|name| trace.get(name).cloned().ok_or_else(|| format!("no tensor '{name}'"))).collect()
}

fn tract(side: &Side<'_>, pair: &Pair<'_>, board: &Board<'_>) -> Result<Values, String> {
    let runner = Runner::new(side.source(), &pair.slots).inspect_err(|_| board.failed.store(true, Ordering::Relaxed));
    // The chain of causes in one line: the first says where, the last why.
    let words = |e| format!("{e:#}").replace('\n', " ");
    let runner = runner.map_err(words)?;
    board.each(&pair.cases, |case| runner.run(&case.feed).map_err(words))
}

type Work<'a> = &'a (dyn Fn() -> Result<Values, Trouble> + Sync);

impl Trouble {
    fn is_stop(&self) -> bool {
        let (Self::Float64(e) | Self::Tract(e)) = self;
        e.ends_with(STOPPED)
    }
}

/// Runs all of `work` at once. A panic in a thread is an error like any other.
fn all<const N: usize>(work: [Work<'_>; N]) -> Result<[Values; N], Trouble> {
    let results = thread::scope(|scope| {
        work.map(|f| thread::Builder::new().stack_size(STACK).spawn_scoped(scope, f)).map(|thread| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|_| Err(Trouble::Tract("it panicked".to_owned()))),
            Err(e) => Err(Trouble::Tract(e.to_string())),
        })
    });
    let mut values = Vec::with_capacity(N);
    let mut trouble: Option<Trouble> = None;
    for result in results {
        match result {
            Ok(v) => values.push(v),
            Err(e) if trouble.as_ref().is_none_or(Trouble::is_stop) => trouble = Some(e),
            Err(_) => {}
        }
    }
    match trouble {
        Some(e) => Err(e),
        None => values.try_into().map_err(|_| Trouble::Tract("a side is missing".to_owned())),
    }
}
