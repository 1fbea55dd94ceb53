//! Two models made ready for one assignment of sizes: what is fed, and what evaluates them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread;

use crate::onnx::GraphProto;
use crate::verify::reference::{self, Tap, Value};
use crate::verify::report::InputReport;
use crate::verify::samples::Samples;

use super::error::VerifyError;
use super::inputs::{self, Feed, InputKind, InputTensor};
use super::noise::{Moved, Nearest, Rounded};
use super::pair::Side;
use super::precision::Precision;
use super::random::Random;

/// Where the values of a trial come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Seeded values of a kind.
    InputKind(InputKind),
    /// What the user gave: one set of many, read when it is fed.
    Sample(Arc<Samples>, usize),
    /// Found by a search; for the inputs of the stage, whatever these are.
    Found(Feed),
    /// Seeded values, with other ones in place of the defaults that a caller may override.
    Overridden(Feed),
}

/// One set of inputs.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    /// The kind of values, for people.
    pub(super) name: String,
    pub(super) source: Source,
}

impl Trial {
    pub(super) fn of(kind: InputKind) -> Self {
        Self { name: kind.name().to_owned(), source: Source::InputKind(kind) }
    }

    /// The kind of what has to be made up.
    fn kind(&self) -> InputKind {
        match self.source {
            Source::InputKind(kind) => kind,
            _ => InputKind::Normal,
        }
    }
}

/// How the inputs of cut-out regions are made.
pub(super) struct Begins {
    /// Graph inputs that a region reads itself.
    pub(super) kept: Vec<String>,
    /// Tensors that the whole original computes.
    pub(super) computed: Vec<String>,
    /// Tensors that nobody can compute: values of the trial's kind.
    pub(super) random: Vec<InputTensor>,
}

/// Both models, or regions of them, with sizes for every input.
pub(super) struct Stage<'a> {
    pub(super) original: Side<'a>,
    pub(super) rewritten: Side<'a>,
    /// The original as it stands in its file.
    pub(super) whole: Side<'a>,
    /// Graph inputs of the whole original.
    pub(super) inputs: Vec<InputTensor>,
    /// Inputs of what is evaluated.
    pub(super) slots: Vec<InputTensor>,
    /// Set when regions are evaluated.
    pub(super) begins: Option<Begins>,
    /// What is fed and not computed, for the report.
    pub(super) reports: Vec<InputReport>,
    pub(super) seed: u64,
}

impl<'a> Stage<'a> {
    /// Both models from inputs to outputs.
    pub(super) fn whole(
        original: &Side<'a>,
        rewritten: &Side<'a>,
        slots: Vec<InputTensor>,
        reports: Vec<InputReport>,
        seed: u64,
    ) -> Self {
        Self {
            original: original.clone(),
            rewritten: rewritten.clone(),
            whole: original.clone(),
            inputs: slots.clone(),
            slots,
            begins: None,
            reports,
            seed,
        }
    }

    /// The values of `trial` for every input.
    ///
    /// # Errors
    /// In words.
    pub(super) fn feed(&self, trial: &Trial) -> Result<Feed, String> {
        let words = |e: VerifyError| e.to_string();
        let graph = self.whole.graph();
        let base = match &trial.source {
            Source::Found(feed) => return Ok(feed.clone()),
            Source::Sample(samples, index) => samples.read(*index).map_err(|e| e.to_string())?.inputs,
            Source::InputKind(_) => inputs::feed(&self.inputs, trial.kind(), graph, self.seed).map_err(words)?,
            Source::Overridden(others) => {
                let mut feed = inputs::feed(&self.inputs, trial.kind(), graph, self.seed).map_err(words)?;
                feed.extend(others.clone());
                feed
            }
        };
        let Some(begins) = &self.begins else { return Ok(base) };
        let mut feed: Feed = begins.kept.iter().filter_map(|n| Some((n.clone(), base.get(n)?.clone()))).collect();
        feed.extend(self.computed(&base, begins)?);
        for slot in &begins.random {
            feed.insert(slot.name.clone(), trial.kind().values(slot, graph, self.seed).map_err(words)?);
        }
        Ok(feed)
    }

    /// What should come out of `trial`, where that is known.
    pub(super) fn expected(trial: &Trial) -> Feed {
        match &trial.source {
            Source::Sample(samples, index) => samples.read(*index).map(|s| s.expected).unwrap_or_default(),
            _ => Feed::new(),
        }
    }

    /// What the original computes in float64 where regions begin, as numbers of the tensors' types.
    fn computed(&self, base: &Feed, begins: &Begins) -> Result<Feed, String> {
        if begins.computed.is_empty() {
            return Ok(Feed::new());
        }
        let names: Vec<&str> = begins.computed.iter().map(String::as_str).collect();
        let trace = reference::run_to(&self.whole.model, &self.whole.feed(base), &names).map_err(|e| e.to_string())?;
        let slots: HashMap<&str, &InputTensor> = self.slots.iter().map(|s| (s.name.as_str(), s)).collect();
        let rounded = |name: &&str| {
            let value = trace.get(name)?.clone();
            let precision = slots.get(name).and_then(|s| Precision::of(s.dtype));
            Some((
                (*name).to_owned(),
                match (value, precision) {
                    (Value::F(a), Some(p)) => Value::F(a.mapv_into(|v| p.round(v))),
                    (other, _) => other,
                },
            ))
        };
        Ok(names.iter().filter_map(rounded).collect())
    }
}

/// The compared tensors of one side in float64, shown to `tap` on the way.
///
/// # Errors
/// What the evaluator says.
pub(super) fn evaluate(side: &Side<'_>, feed: &Feed, tap: &dyn Tap) -> Result<Vec<Value>, String> {
    let outputs = side.outputs();
    let trace = reference::run_tapped(&side.model, &side.feed(feed), &outputs, tap).map_err(|e| e.to_string())?;
    outputs.iter().map(|name| trace.get(name).cloned().ok_or_else(|| format!("no tensor '{name}'"))).collect()
}

/// The compared tensors of `side` with everything moved by rounding, for one of many draws.
///
/// # Errors
/// What the evaluator says.
pub(super) fn moved(side: &Side<'_>, feed: &Feed, of: &Rounded, draw: u64) -> Result<Vec<Value>, String> {
    evaluate(side, feed, &Moved { of, seed: draw })
}

/// The compared tensors of `side` with every result rounded to its type.
///
/// # Errors
/// What the evaluator says.
pub(super) fn rounded(side: &Side<'_>, feed: &Feed, of: &Rounded) -> Result<Vec<Value>, String> {
    evaluate(side, feed, &Nearest(of))
}

/// Outputs of the original and of the rewritten model, in their own arithmetic.
pub(super) type Own = (Vec<Value>, Vec<Value>);

/// Name of the threads in which a runtime works: a panic of theirs is an error like any other.
const RUNTIME: &str = "runtime";

/// Stack of a thread: tract and nested subgraphs recurse deeper than the default of a thread allows.
const STACK: usize = 32 << 20;

/// A thread for a runtime.
pub(super) fn thread() -> thread::Builder {
    thread::Builder::new().name(RUNTIME.to_owned()).stack_size(STACK)
}

/// From now on nothing is printed of a panic inside of the runtime: it is caught, and becomes an error that says what is known of it.
pub fn silence_caught_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if thread::current().name() != Some(RUNTIME) {
            usual(panic);
        }
    }));
}

/// Runs `f` in a thread with a large stack. A panic in it is an error like any other.
///
/// # Errors
/// Those of `f`, a panic, and a thread that cannot be started.
pub(super) fn guarded<T: Send>(f: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    thread::scope(|scope| match thread().spawn_scoped(scope, f) {
        Ok(thread) => thread.join().unwrap_or_else(|_| Err("it panicked".to_owned())),
        Err(e) => Err(format!("no thread could be started: {e}")),
    })
}

/// The chain of causes in one line: the first says where, the last why.
pub(super) fn words(error: &tract_onnx::prelude::TractError) -> String {
    format!("{error:#}").replace('\n', " ")
}

/// Other values for the defaults of `graph` that a caller may override: floats only, for integers are sizes and axes.
pub(super) fn overrides(graph: &GraphProto, seed: u64) -> Feed {
    let inputs: HashSet<&str> = graph.input.iter().map(|i| i.name()).collect();
    let defaults = graph.initializer.iter().filter(|t| inputs.contains(t.name()));
    defaults
        .filter_map(|t| {
            let precision = Precision::of(t.data_type().try_into().ok()?)?;
            let Ok(Value::F(values)) = Value::try_from(t) else { return None };
            let mut random = Random::new(seed, t.name());
            let other = values.mapv(|v| precision.round(v * (1.0 + 0.25 * random.normal())));
            Some((t.name().to_owned(), Value::F(other)))
        })
        .collect()
}
