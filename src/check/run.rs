//! All models, several at once.

use std::collections::{BTreeSet, HashSet};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use super::accepts::used;
use super::error::CheckError;
use super::one::{Bench, broken, look};
use super::options::{CheckObserver, CheckOptions, CheckProgress};
use super::paths::{relative, whole};
use super::policy::{Applied, Policy};
use super::report::{CheckReport, FileReport, Finding, Level};
use crate::io::{self, Found};

/// Bytes of models that are in work at once; one that is larger is in work alone.
const MAX_BYTES: u64 = 1 << 30;

/// Stack of a thread that looks at models.
const STACK: usize = 16 << 20;

impl Policy {
    /// Reads the policy at `path`. Its patterns and paths are relative to the folder in which it stands.
    ///
    /// # Errors
    /// [`CheckError`] when it cannot be read, or is none: then with the line.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, CheckError> {
        let path = path.as_ref();
        let text = io::read_text(path).map_err(|e| CheckError::io(path, e))?;
        let root = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Self::parse(&text, path.display().to_string(), root)?)
    }

    /// Whether the model at `path` is looked at with long skips.
    #[cfg(feature = "cli")]
    pub(crate) fn long_skips(&self, path: &Path) -> bool {
        self.applied(&relative(path, self.root())).long_skips
    }
}

/// Whether the models that `paths` mean are what the policy says. A path is a file, a folder with all `.onnx` files below it, or a
/// pattern (`models/**/*.onnx`); without any, the files that the sections of the policy mean are checked.
///
/// ```
/// use onnx_rm::{CheckOptions, check};
/// let report = check(&["models/digits_resnet.onnx"], &CheckOptions::default())?;
/// assert_eq!(report.status.as_str(), "failed");
/// assert!(report.to_string().contains("5 joins that rewrite would remove, where 0 are allowed"));
/// # Ok::<(), onnx_rm::CheckError>(())
/// ```
///
/// # Errors
/// [`CheckError`]. What is wrong with a model, or that a file is none, is a finding.
pub fn check<P: AsRef<Path>>(paths: &[P], options: &CheckOptions) -> Result<CheckReport, CheckError> {
    check_watched(paths, options, &|_| ControlFlow::Continue(()))
}

/// [`check`], and tells `watch` of progress, from several threads and several times a model; where that says
/// [`ControlFlow::Break`], it stops.
///
/// # Errors
/// As [`check`]; [`CheckError::Stopped`].
pub fn check_watched<P: AsRef<Path>>(
    paths: &[P],
    options: &CheckOptions,
    watch: CheckObserver<'_>,
) -> Result<CheckReport, CheckError> {
    let policy = &options.policy;
    let paths: Vec<&Path> = paths.iter().map(AsRef::as_ref).collect();
    let mut findings = Vec::new();
    let files = if paths.is_empty() { meant(policy)? } else { named(&paths, options.allow_unmatched, &mut findings)? };
    let jobs: Vec<Job> = files.into_iter().map(|path| Job::new(path, policy)).collect();
    let reports = work(&jobs, options, watch)?;
    if !options.allow_unmatched {
        findings.extend(dead_sections(policy, &jobs)?);
        if jobs.is_empty() && findings.is_empty() {
            findings.push(Finding::new("unmatched", Level::Failure, "no model was checked"));
        }
    }
    findings.extend(unused_accepts(&jobs, &reports));
    let mut report = CheckReport::new(policy.name().map(str::to_owned), reports, findings);
    if let Some(baseline) = &options.baseline {
        baseline.mark(&mut report);
    }
    Ok(report)
}

/// One model to be checked.
struct Job {
    path: PathBuf,
    /// As reports write it.
    file: String,
    /// As the policy's patterns mean it.
    below: String,
    applied: Applied,
}

impl Job {
    fn new(path: PathBuf, policy: &Policy) -> Self {
        let below = relative(&path, policy.root());
        Self { file: relative(&path, Path::new(".")), applied: policy.applied(&below), below, path }
    }
}

/// The files that sections of `policy` mean; all below its folder when it has none.
fn meant(policy: &Policy) -> Result<Vec<PathBuf>, CheckError> {
    if policy.name().is_none() {
        return Err(CheckError::Nothing);
    }
    let mut files = walk(policy.root())?;
    let sections = policy.sections();
    files.retain(|f| sections.is_empty() || sections.iter().any(|s| s.means(&relative(f, policy.root()))));
    Ok(files)
}

/// The files that `paths` mean, each once.
fn named(paths: &[&Path], allow_unmatched: bool, findings: &mut Vec<Finding>) -> Result<Vec<PathBuf>, CheckError> {
    let mut files = Vec::new();
    for path in paths {
        match io::find(path).map_err(|e| CheckError::io(path, e))? {
            Found::Files(found) if found.is_empty() && !allow_unmatched => {
                let message = format!("'{}' means no model", path.display());
                findings.push(Finding::new("unmatched", Level::Failure, message));
            }
            Found::Files(found) => files.extend(found),
            // Its report says that it cannot be read.
            Found::Missing => files.push((*path).to_owned()),
        }
    }
    let mut seen = HashSet::new();
    files.retain(|f| seen.insert(whole(f)));
    Ok(files)
}

fn walk(folder: &Path) -> Result<Vec<PathBuf>, CheckError> {
    io::walk(folder).map_err(|e| CheckError::io(folder, e))
}

/// Sections that mean none of the models, nor any other below the policy's folder: most likely a pattern is wrong.
fn dead_sections(policy: &Policy, jobs: &[Job]) -> Result<Vec<Finding>, CheckError> {
    let mut dead: Vec<_> = policy.sections().iter().filter(|s| !jobs.iter().any(|job| s.means(&job.below))).collect();
    if !dead.is_empty() {
        let others: Vec<String> = walk(policy.root())?.iter().map(|f| relative(f, policy.root())).collect();
        dead.retain(|s| !others.iter().any(|f| s.means(f)));
    }
    let finding = |s: &&super::policy::Section| {
        let patterns: Vec<&str> = s.files.iter().map(glob::Pattern::as_str).collect();
        let message = format!("a section of the policy means no model: {}", patterns.join(", "));
        Finding { line: Some(s.line), ..Finding::new("unmatched", Level::Failure, message) }
    };
    Ok(dead.iter().map(finding).collect())
}

/// Accepts that were asked of some model, and needed by none.
fn unused_accepts(jobs: &[Job], reports: &[FileReport]) -> Vec<Finding> {
    let needed = used(reports.iter().flat_map(|r| &r.accepted));
    let asked: BTreeSet<(usize, &str)> =
        jobs.iter().flat_map(|job| &job.applied.accepts).map(|a| (a.line, a.code.as_str())).collect();
    let unused = asked.into_iter().filter(|(line, _)| !needed.contains(line));
    unused
        .map(|(line, code)| {
            let message = format!("no join of any checked model needs this accept of '{code}'");
            Finding { line: Some(line), ..Finding::new("unused-accept", Level::Warning, message) }
        })
        .collect()
}

/// Lets no more bytes in than there is room for, but one model always.
struct Gate {
    taken: Mutex<u64>,
    freed: Condvar,
}

impl Gate {
    fn enter(&self, bytes: u64) -> Pass<'_> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken > 0 && taken.saturating_add(bytes) > MAX_BYTES {
            taken = self.freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken = taken.saturating_add(bytes);
        Pass { gate: self, bytes }
    }
}

/// Bytes that a model takes; given back when it is dropped.
struct Pass<'g> {
    gate: &'g Gate,
    bytes: u64,
}

impl Pass<'_> {
    /// Takes more without waiting, which two that wait for each other would do for ever.
    fn grow(&mut self, bytes: u64) {
        *self.gate.taken.lock().unwrap_or_else(PoisonError::into_inner) += bytes;
        self.bytes += bytes;
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        *self.gate.taken.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.gate.freed.notify_all();
    }
}

/// The reports of `jobs`, in their order.
fn work(jobs: &[Job], options: &CheckOptions, watch: CheckObserver<'_>) -> Result<Vec<FileReport>, CheckError> {
    let threads = options.jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let (next, done, stopped) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let gate = Gate { taken: Mutex::new(0), freed: Condvar::new() };
    let turn = Mutex::new(());
    let reports: Vec<Mutex<Option<FileReport>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let run = || {
        while let Some((at, job)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, jobs.get(at)?)))
        {
            // Asked again at every step of a model, for one may take long.
            let stop = || {
                let done = done.load(Ordering::Relaxed);
                let progress = CheckProgress { done, total: jobs.len(), file: job.file.clone() };
                if stopped.load(Ordering::Relaxed) || watch(&progress).is_break() {
                    stopped.store(true, Ordering::Relaxed);
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            };
            if stop().is_break() {
                return;
            }
            let root = options.policy.root();
            let bench = Bench { root, today: options.today, load: &options.load, turn: &turn, stop: &stop };
            let report = one(job, options, &gate, &bench);
            done.fetch_add(1, Ordering::Relaxed);
            *reports[at].lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
        }
    };
    thread::scope(|scope| {
        let spawned = (0..threads.min(jobs.len()))
            .map(|_| thread::Builder::new().name("check".to_owned()).stack_size(STACK).spawn_scoped(scope, run))
            .filter(Result::is_ok)
            .count();
        // Where the system gives no thread, this one does it.
        if spawned == 0 {
            run();
        }
    });
    if stopped.into_inner() {
        return Err(CheckError::Stopped);
    }
    Ok(reports.into_iter().filter_map(|r| r.into_inner().unwrap_or_else(PoisonError::into_inner)).collect())
}

fn one(job: &Job, options: &CheckOptions, gate: &Gate, bench: &Bench<'_>) -> FileReport {
    let mut pass = gate.enter(io::size(&job.path));
    match io::load(&job.path, &options.load) {
        Ok(model) => {
            pass.grow(model.side_files().iter().map(|f| f.content.len() as u64).sum());
            look(&job.file, &job.path, &model, &job.applied, bench)
        }
        Err(error) => broken(&job.file, error.to_string()),
    }
}
