//! The verification itself: read, compare signatures, try inputs in several sizes, say what came out.

use std::borrow::Cow;
use std::path::Path;

use crate::graph::{in_topological_order, validate, without_defaults};
use crate::io::{self, LoadOptions, Model};
use crate::onnx::ModelProto;

use super::attempt::{self, Ready, Way};
use super::course::{self, Course, Fruitless};
use super::effort::Effort;
use super::error::VerifyError;
use super::given::Given;
use super::inputs::InputKind;
use super::job::Job;
use super::options::{Observer, VerifyOptions, VerifyProgress, go_on};
use super::pair::Side;
use super::precision::Precision;
use super::runtime::{self, Runtime};
use super::stage::{Source, Stage, Trial, overrides};
use super::support::Support;
use super::{bodies, dump, evidence, save, signature, tolerance, verdict};
use crate::verify::report::{
    Arithmetic, Coverage, OutputReport, Runner, SCHEMA_VERSION, SizeReport, Status, Verdict, VerifyReport,
};
use crate::verify::structure;

/// Compares two saved models. Both are read from disk, with their side files.
///
/// ```no_run
/// use onnx_rm::verify::{VerifyOptions, verify};
/// let report = verify("model.onnx".as_ref(), "chain.onnx".as_ref(), &VerifyOptions::default())?;
/// assert!(report.is_equal(), "{report}");
/// # Ok::<(), onnx_rm::verify::VerifyError>(())
/// ```
///
/// # Errors
/// [`VerifyError`] when the models could not be compared at all. That they differ is no error but a report.
pub fn verify(original: &Path, rewritten: &Path, options: &VerifyOptions) -> Result<VerifyReport, VerifyError> {
    verify_watched(original, rewritten, options, &go_on)
}

/// Like [`verify`], and tells `observer` of progress.
///
/// # Errors
/// As [`verify`].
pub fn verify_watched(
    original: &Path,
    rewritten: &Path,
    options: &VerifyOptions,
    observer: Observer<'_>,
) -> Result<VerifyReport, VerifyError> {
    // Fields that the schema does not know change nothing of what is computed.
    let reading = LoadOptions::default().drop_unknown_fields(true);
    let read = |path: &Path| {
        let broken = |source| VerifyError::Graph { model: path.display().to_string(), source };
        // Runtimes take nodes in any order, so the order is no finding.
        in_topological_order(io::load(path, &reading)?.into_proto()).map_err(broken)
    };
    let (a, b) = (read(original)?, read(rewritten)?);
    compare(Side::whole(&a, Some(original)), Side::whole(&b, Some(rewritten)), options, observer)
}

/// Compares two models that were read, or made, before, and tells `observer` of progress.
///
/// # Errors
/// As [`verify`].
pub fn verify_loaded(
    original: &Model,
    rewritten: &Model,
    options: &VerifyOptions,
    observer: Observer<'_>,
) -> Result<VerifyReport, VerifyError> {
    let ordered = |model: &Model, which: &str| {
        let broken = |source| VerifyError::Graph { model: which.to_owned(), source };
        in_topological_order(model.proto().clone()).map_err(broken)
    };
    let (a, b) = (ordered(original, "original")?, ordered(rewritten, "rewritten model")?);
    compare(Side::whole(&a, None), Side::whole(&b, None), options, observer)
}

/// Compares two models in memory. Tensors whose data is external must have it in `raw_data`, as [`crate::io::load`] leaves them.
///
/// # Errors
/// As [`verify`].
pub fn verify_models(
    original: &ModelProto,
    rewritten: &ModelProto,
    options: &VerifyOptions,
) -> Result<VerifyReport, VerifyError> {
    compare(Side::whole(original, None), Side::whole(rewritten, None), options, &go_on)
}

/// `side` with its defaults as constants, where nobody overrides them.
fn constant<'a>(side: Side<'a>, options: &VerifyOptions) -> Side<'a> {
    match without_defaults(&side.model, options.constant_initializers) {
        Some(model) => Side { model: Cow::Owned(model), ..side },
        None => side,
    }
}

fn compare(
    original: Side<'_>,
    rewritten: Side<'_>,
    options: &VerifyOptions,
    observer: Observer<'_>,
) -> Result<VerifyReport, VerifyError> {
    for (side, which) in [(&original, "original"), (&rewritten, "rewritten model")] {
        let broken = |source| VerifyError::Graph { model: side.name(which), source };
        validate(&side.model).map_err(broken)?;
    }
    let (original, rewritten) = (constant(original, options), constant(rewritten, options));
    let precision = Precision::of_model(&original.model);
    let (runtimes, version) = runtime::of(options.engine, options.onnxruntime.as_deref())?;
    save::check(options)?;
    let mut report = blank(precision, options);
    let signature = signature::difference(original.graph(), rewritten.graph());
    if let Some(difference) = signature.or_else(|| evidence::type_difference(&original.model, &rewritten.model)) {
        (report.status, report.message) = (Status::Mismatch, difference);
        (report.tolerance, report.beyond_tolerance) = (options.tolerance, true);
        tolerance::conclude(&mut report);
        return Ok(report);
    }
    let support = Support::new(&original.model, &rewritten.model);
    let ports = support.inputs(original.graph());
    let outputs: Vec<_> = original.graph().output.iter().map(signature::Port::new).collect();
    let given = Given::new(options, &ports, &outputs)?;
    let mut job = Job { original, rewritten, options, given, runtime: Runtime::Tract, precision, observer, support };
    let mut found: Option<VerifyReport> = None;
    for runtime in runtimes {
        job.runtime = runtime;
        let mut report = report.clone();
        report.arithmetic.engine = runtime.reported();
        once(&job, found.is_none(), &mut report)?;
        let version = version.clone().filter(|_| runtime == Runtime::OnnxRuntime);
        report.engines = vec![tolerance::engine(&report, version)];
        match &mut found {
            Some(first) => tolerance::join(first, report),
            None => found = Some(report),
        }
    }
    let mut report = found.unwrap_or(report);
    if matches!(report.coverage, Coverage::Regions { .. })
        && let Some(said) = signature::strict_difference(job.original.graph(), job.rewritten.graph())
    {
        // Nobody has seen the outputs whole.
        (report.status, report.message) = (Status::Mismatch, said);
    }
    tolerance::conclude(&mut report);
    Ok(report)
}

/// Compares both models in the runtime of `job`, the first of them or not.
fn once(job: &Job<'_>, is_first: bool, report: &mut VerifyReport) -> Result<(), VerifyError> {
    report.notes.extend(job.given.notes.iter().cloned());
    match attempt::first(job)? {
        Way::Same(reason) => {
            report.coverage = Coverage::Regions { tensors: Vec::new(), reason: reason.to_string() };
            unreached(job, None, &[], report);
        }
        Way::Ready(ready) => all_sizes(job, *ready, is_first, report)?,
    }
    Ok(())
}

/// A report that has found nothing yet.
fn blank(precision: Precision, options: &VerifyOptions) -> VerifyReport {
    VerifyReport {
        schema_version: SCHEMA_VERSION,
        status: Status::Equal,
        verdict: Verdict::Equal,
        tolerance: None,
        message: String::new(),
        beyond_tolerance: false,
        coverage: Coverage::Whole,
        arithmetic: Arithmetic {
            element_type: precision.name().to_owned(),
            engine: Runner::Tract,
            rounded_because: None,
            unstable: false,
        },
        engines: Vec::new(),
        outputs: Vec::new(),
        inputs: Vec::new(),
        kinds: Vec::new(),
        sizes: Vec::new(),
        notes: Vec::new(),
        bends: None,
        unreached: Vec::new(),
        idle: Vec::new(),
        seed: options.seed,
        first_difference: None,
        reproducer: None,
        labels: None,
        saved: Vec::new(),
    }
}

/// Sets of inputs that are tried together with the seeded ones, and after these at once: what was tried is kept until all of its
/// course is judged, so a course is no longer than that.
const TOGETHER: (usize, usize) = (8, 32);

/// Tries the models in the first sizes with everything, and in the others with what shows whether they compute the same.
fn all_sizes(
    job: &Job<'_>,
    mut first: Ready<'_>,
    is_first: bool,
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    let mut given = job.given.groups.first().map(|g| job.given.trials(g)).unwrap_or_default();
    let rest = given.split_off(given.len().min(TOGETHER.0));
    let mut everything = trials(job, &first, given);
    if (job.observer)(&VerifyProgress { stage: "searching inputs that reach every bound", done: 0, total: 1 })
        .is_break()
    {
        return Err(VerifyError::Stopped);
    }
    let found = evidence::search(&first, &everything, job.options.seed);
    let parts = found.map_or_else(Vec::new, |found| {
        everything.extend(found.trials);
        report.bends = Some(found.bends);
        found.parts
    });
    let mut course = course::run(&mut first, everything, job.observer).map_err(Fruitless::error)?;
    more(&mut first, &mut course, rest, job)?;
    let mut courses = vec![course];
    let mut readies = vec![first];
    let few = || [InputKind::Normal, InputKind::Uniform].map(Trial::of).to_vec();
    let others = attempt::others(job, &readies[0].bench.stage.reports);
    let mut further: Vec<(Ready<'_>, Vec<Trial>)> = others.into_iter().map(|ready| (ready, few())).collect();
    for batch in &job.options.batches {
        match attempt::batch(job, &readies[0], *batch) {
            Ok(ready) => further.push((ready, few())),
            Err(reason) => report.notes.push(format!("a batch of {batch} was not tried: {reason}")),
        }
    }
    for group in job.given.groups.iter().skip(1) {
        let trials = job.given.trials(group);
        match attempt::group(job, readies[0].sizing, group) {
            Ok(ready) => further.push((ready, trials)),
            Err(reason) => {
                let names: Vec<&str> = trials.iter().map(|t| t.name.as_str()).collect();
                report.notes.push(format!("not compared: {} input: {reason}", names.join(", ")));
            }
        }
    }
    for (mut ready, mut trials) in further {
        let rest = trials.split_off(trials.len().min(TOGETHER.1));
        if let Some(mut course) = course::useful(course::run(&mut ready, trials, job.observer))? {
            more(&mut ready, &mut course, rest, job)?;
            courses.push(course);
            readies.push(ready);
        }
    }
    let first = &readies[0];
    if let Some(reason) = &first.regions_because {
        let tensors = first.bench.stage.original.outputs.clone();
        report.coverage = Coverage::Regions { tensors, reason: reason.to_string() };
    }
    if let Some(reason) = &first.rounded_because {
        report.arithmetic.engine = Runner::Rounded;
        report.arithmetic.rounded_because = Some(reason.to_string());
    }
    report.inputs = first.bench.stage.reports.clone();
    report.sizes = readies.iter().zip(&courses).map(|(ready, course)| sizes(ready, course)).collect();
    report.kinds = report.sizes.first().map(|s| s.kinds.clone()).unwrap_or_default();
    report.outputs = verdict::outputs(&readies, &courses);
    let mut inside = report.outputs.split_off(first.outputs.min(report.outputs.len()));
    let parts: Vec<OwnPart<'_>> = parts.into_iter().filter_map(|part| compare_part(part, job)).collect();
    inside.extend(parts.iter().map(|part| part.output.clone()));
    let idle = bodies::idle(&readies[0].bench.stage, &courses[0].trials);
    let (idle, forced) = bodies::compare(&readies[0], idle, &courses[0].trials, job.observer)?;
    report.notes.extend(forced.iter().map(|(place, _)| bodies::note(place)));
    inside.extend(forced.into_iter().flat_map(|(_, outputs)| outputs));
    let shown = verdict::conclude(&readies, &courses, &inside, report);
    report.beyond_tolerance = courses.iter().any(|c| c.is_broken);
    tolerance::judge(report, job.options.tolerance);
    if let (Some(folder), Some(first)) = (&job.options.dump, &report.first_difference) {
        let shown = shown.or_else(|| parts.iter().find(|p| p.output.name == first.tensor).and_then(OwnPart::shown));
        if let Some((stage, trial)) = shown {
            match dump::write(folder, stage, trial, &first.tensor) {
                Ok(folder) => report.reproducer = Some(folder.display().to_string()),
                Err(reason) => report.notes.push(format!("no reproducer was written: {reason}")),
            }
        }
    }
    if report.status == Status::Equal {
        let (stage, trials) = (&readies[0].bench.stage, courses[0].trials.clone());
        unreached(job, Some(stage), &trials, report);
        bodies::blame(&idle, report);
    }
    report.saved = save::write(&readies, &courses, job.options, is_first)?;
    Ok(())
}

/// Tries `trials` too, some at a time.
fn more(ready: &mut Ready<'_>, course: &mut Course, trials: Vec<Trial>, job: &Job<'_>) -> Result<(), VerifyError> {
    for some in trials.chunks(TOGETHER.1) {
        match course::run(ready, some.to_vec(), job.observer) {
            Ok(others) => course.absorb(others),
            Err(Fruitless::Nothing(reason)) => course.skipped.push(reason),
            Err(stopped) => return Err(stopped.error()),
        }
    }
    Ok(())
}

/// A part of both models that was fed inputs of its own.
struct OwnPart<'a> {
    output: OutputReport,
    /// What shows that it differs, when it does.
    differs: Option<(Stage<'a>, Trial)>,
}

impl<'a> OwnPart<'a> {
    fn shown(&self) -> Option<(&Stage<'a>, &Trial)> {
        self.differs.as_ref().map(|(stage, trial)| (stage, trial))
    }
}

/// Compares a part of both models on inputs of its own.
fn compare_part<'a>(mut part: Ready<'a>, job: &Job<'a>) -> Option<OwnPart<'a>> {
    let trials = std::mem::take(&mut part.own_trials);
    let course = course::run(&mut part, trials, job.observer).ok()?;
    let name = part.bench.stage.original.outputs.first().cloned().unwrap_or_default();
    let measures = course.measures.into_iter().next()?;
    let output = OutputReport { name, no_evidence: None, measures, comparisons: Vec::new() };
    let failed = output.measures.iter().find(|m| m.failure.is_some());
    let trial = failed.and_then(|m| course.trials.iter().find(|t| t.name == m.input)).cloned();
    Some(OwnPart { output, differs: trial.map(|trial| (part.bench.stage, trial)) })
}

/// Says which differences between the models no input reached: then nothing is known of them.
fn unreached(job: &Job<'_>, stage: Option<&Stage<'_>>, trials: &[Trial], report: &mut VerifyReport) {
    let (a, b) = (&*job.original.model, &*job.rewritten.model);
    let Ok(mut differences) = structure::differences(a, b) else { return };
    // A rewritten body computes the same; whether it ran is asked for itself.
    differences.retain(|d| !d.is_rewritten_body());
    report.unreached = evidence::unreached((a, b), &differences, stage, trials);
    if let Some(first) = report.unreached.first() {
        report.status = Status::NoEvidence;
        let others = report.unreached.len() - 1;
        let more = if others == 0 { String::new() } else { format!(" (and {others} more)") };
        report.message = format!("no input reached what differs: {first}{more}");
    }
}

/// What is fed in the first sizes, `given` being what the user has.
fn trials(job: &Job<'_>, ready: &Ready<'_>, given: Vec<Trial>) -> Vec<Trial> {
    let kinds = Effort::of(ready.work.macs).kinds;
    let mut trials: Vec<Trial> = InputKind::ALL.into_iter().take(kinds).map(Trial::of).collect();
    trials.extend(given);
    let defaults = overrides(ready.bench.stage.original.graph(), job.options.seed);
    if !defaults.is_empty() {
        trials.push(Trial { name: "overridden defaults".to_owned(), source: Source::Overridden(defaults) });
    }
    trials
}

fn sizes(ready: &Ready<'_>, course: &Course) -> SizeReport {
    SizeReport {
        inputs: ready.bench.stage.reports.clone(),
        kinds: course.trials.iter().map(|t| t.name.clone()).collect(),
        skipped: course.skipped.clone(),
    }
}
