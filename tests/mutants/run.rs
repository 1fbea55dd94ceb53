//! Plants every kind into some models, and asks the verifier.

use std::cell::Cell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use onnx_rm::onnx::ModelProto;
use onnx_rm::verify::{Coverage, VerifyOptions, verify_models};

use prost::Message;

use crate::common::Rng;
use crate::mutants::edit::shuffled;
use crate::mutants::hosts::Host;
use crate::mutants::judge::{Judgement, judge};
use crate::mutants::mutation::Mutation;

/// What became of a plant.
pub enum Fate {
    /// The verifier says that the models differ, or that it has no evidence that they do not.
    Differs,
    /// It cannot compare them, and names what is in the way.
    Refused,
    /// It calls them equal, or refuses without naming anything that was changed.
    Survives(Survivor),
}

/// A wrong model that is called equal.
pub struct Survivor {
    /// The model, and what was planted.
    pub what: String,
    /// The input that tells the two apart after all, found without the verifier.
    pub shown: Option<String>,
    /// Why it is no wrong model: no input tells it apart, and the kind says why that may be.
    pub harmless: Option<&'static str>,
}

/// Everything about a kind.
pub struct Found {
    pub kind: &'static Mutation,
    pub differs: usize,
    pub refused: usize,
    pub survivors: Vec<Survivor>,
    pub took: Duration,
}

impl Found {
    pub fn planted(&self) -> usize {
        self.differs + self.refused + self.survivors.len()
    }

    pub fn harmless(&self) -> usize {
        self.survivors.iter().filter(|s| s.harmless.is_some()).count()
    }
}

/// Every kind planted at up to `places` places, on all cores.
pub fn all(kinds: &[&'static Mutation], hosts: &[Vec<Host>], places: usize) -> Vec<Found> {
    quiet_workers();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            let worker = std::thread::Builder::new().name("wrong rewrites".to_owned());
            let work = || {
                while let Some(kind) = kinds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let one = plant(kind, hosts, places);
                    found.lock().unwrap().push(one);
                }
            };
            worker.spawn_scoped(scope, work).unwrap();
        }
    });
    let mut found = found.into_inner().unwrap();
    let order = |f: &Found| kinds.iter().position(|k| std::ptr::eq(*k, f.kind));
    found.sort_by_key(order);
    found
}

thread_local! {
    /// True while this thread verifies.
    static VERIFIES: Cell<bool> = const { Cell::new(false) };
}

/// A verification that panics is caught, and counted: its words, also out of threads of its own, would bury the table.
fn quiet_workers() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().name().is_some() && !VERIFIES.get() {
            usual(info);
        }
    }));
}

/// One kind: a model of each origin in turn.
fn plant(kind: &'static Mutation, hosts: &[Vec<Host>], places: usize) -> Found {
    let mut rng = Rng(kind.name.bytes().fold(0, |n: u64, b| n.wrapping_mul(31).wrapping_add(b.into())));
    let mut queues: Vec<Vec<usize>> = hosts.iter().map(|group| shuffled(group.len(), &mut rng)).collect();
    let mut found = Found { kind, differs: 0, refused: 0, survivors: Vec::new(), took: Duration::ZERO };
    let start = Instant::now();
    while found.planted() < places && queues.iter().any(|q| !q.is_empty()) {
        for (group, queue) in hosts.iter().zip(&mut queues) {
            // The next of this origin that has a place.
            while let Some(index) = queue.pop().filter(|_| found.planted() < places) {
                let Some(fate) = try_on(kind, &group[index], &mut rng) else { continue };
                match fate {
                    Fate::Differs => found.differs += 1,
                    Fate::Refused => found.refused += 1,
                    Fate::Survives(survivor) => found.survivors.push(survivor),
                }
                break;
            }
        }
    }
    found.took = start.elapsed();
    found
}

fn try_on(kind: &Mutation, host: &Host, rng: &mut Rng) -> Option<Fate> {
    let mut wrong = host.start.clone();
    let words = (kind.plant)(&mut wrong, rng).filter(|_| wrong != host.start)?;
    if host.unusable().is_some() {
        return None;
    }
    let verify = || verify_models(&host.original, &wrong, &VerifyOptions::default());
    VERIFIES.set(true);
    let verdict = catch_unwind(AssertUnwindSafe(verify));
    VERIFIES.set(false);
    let verdict = match verdict {
        Ok(Ok(report)) if !report.is_equal() => return Some(Fate::Differs),
        Ok(Ok(report)) => match &report.coverage {
            Coverage::Whole => "equal".to_owned(),
            Coverage::Regions { tensors, reason } => format!("equal in the regions up to {tensors:?}, since {reason}"),
            other => format!("equal: {other:?}"),
        },
        Err(_) => "a panic".to_owned(),
        Ok(Err(error)) => {
            let said = error.to_string();
            if changed_names(&host.start, &wrong).iter().any(|name| said.contains(name.as_str())) {
                return Some(Fate::Refused);
            }
            format!("an error that names nothing: {said}")
        }
    };
    let (shown, harmless) = match judge(&host.start, &wrong) {
        Judgement::Differs(words) => (Some(words), None),
        Judgement::Rounding => (None, kind.hidden.and(Some("it lies within rounding of the model's own type"))),
        Judgement::Alike => (None, (kind.harmless)(&host.start, &wrong).or(kind.hidden)),
    };
    if let Some(folder) = std::env::var_os("ONNX_RM_DUMP").filter(|_| harmless.is_none()) {
        dump(folder.as_ref(), kind, host, &wrong);
    }
    Some(Fate::Survives(Survivor { what: format!("{}: {words}: {verdict}", host.name), shown, harmless }))
}

/// Writes a model and what survived in its place, to be looked at.
fn dump(folder: &Path, kind: &Mutation, host: &Host, wrong: &ModelProto) {
    let stem: String = format!("{}-{}", kind.name, host.name);
    let stem = stem.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    for (model, what) in [(&host.original, "original"), (wrong, "wrong")] {
        std::fs::write(folder.join(format!("{stem}.{what}.onnx")), model.encode_to_vec()).unwrap();
    }
}

/// The names and operators of nodes, and the names of constants and outputs, that are not the same in both, and of what depends
/// on them.
fn changed_names(a: &ModelProto, b: &ModelProto) -> HashSet<String> {
    let (a, b) = (a.graph.as_ref().unwrap(), b.graph.as_ref().unwrap());
    let mut names = HashSet::new();
    for node in b.node.iter().filter(|n| !a.node.contains(n)) {
        names.extend(node.output.iter().chain(&node.input).cloned());
        names.extend([node.name().to_owned(), node.op_type().to_owned()]);
    }
    names.extend(b.initializer.iter().filter(|t| !a.initializer.contains(t)).map(|t| t.name().to_owned()));
    let ports = b.output.iter().filter(|o| !a.output.contains(o));
    names.extend(ports.map(|o| o.name().to_owned()));
    // A fault may first show in whatever depends on what was changed.
    for node in &b.node {
        if node.input.iter().any(|i| names.contains(i)) {
            names.insert(node.name().to_owned());
            names.extend(node.output.iter().cloned());
        }
    }
    names.retain(|n| n.len() > 1);
    names
}
