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
use super::inputs::Kind;
use super::job::Job;
use super::options::{Observer, Progress, VerifyOptions, go_on};
use super::pair::Side;
use super::precision::Precision;
use super::stage::{Source, Stage, Trial, overrides};
use super::support::Support;
use super::{dump, evidence, npz, signature, verdict};
use crate::verify::report::{
    Arithmetic, Coverage, OutputReport, Runner, SCHEMA_VERSION, SizeReport, Status, VerifyReport,
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
    let mut report = blank(precision, options);
    let signature = signature::difference(original.graph(), rewritten.graph());
    if let Some(difference) = signature.or_else(|| evidence::type_difference(&original.model, &rewritten.model)) {
        (report.status, report.message) = (Status::Mismatch, difference);
        return Ok(report);
    }
    let support = Support::new(&original.model, &rewritten.model);
    let ports = support.inputs(original.graph());
    let given = options.inputs.as_ref().map(|path| npz::read(path, &ports)).transpose()?;
    let job = Job { original, rewritten, options, given, precision, observer, support };
    match attempt::first(&job)? {
        Way::Same(reason) => {
            report.coverage = Coverage::Regions { tensors: Vec::new(), reason: reason.to_string() };
            unreached(&job, None, &[], &mut report);
        }
        Way::Ready(ready) => all_sizes(&job, *ready, &mut report)?,
    }
    Ok(report)
}

/// A report that has found nothing yet.
fn blank(precision: Precision, options: &VerifyOptions) -> VerifyReport {
    VerifyReport {
        schema_version: SCHEMA_VERSION,
        status: Status::Equal,
        message: String::new(),
        coverage: Coverage::Whole,
        arithmetic: Arithmetic {
            element_type: precision.name().to_owned(),
            engine: Runner::Tract,
            rounded_because: None,
            unstable: false,
        },
        outputs: Vec::new(),
        inputs: Vec::new(),
        kinds: Vec::new(),
        sizes: Vec::new(),
        notes: Vec::new(),
        bends: None,
        unreached: Vec::new(),
        seed: options.seed,
        first_difference: None,
        reproducer: None,
    }
}

/// Tries the models in the first sizes with everything, and in the others with what shows whether they compute the same.
fn all_sizes(job: &Job<'_>, mut first: Ready<'_>, report: &mut VerifyReport) -> Result<(), VerifyError> {
    let mut everything = trials(job, &first);
    if (job.observer)(&Progress { stage: "searching inputs that reach every bound", done: 0, total: 1 }).is_break() {
        return Err(VerifyError::Stopped);
    }
    let found = evidence::search(&first, &everything, job.options.seed);
    let parts = found.map_or_else(Vec::new, |found| {
        everything.extend(found.trials);
        report.bends = Some(found.bends);
        found.parts
    });
    let mut courses = vec![course::run(&mut first, everything, job.observer).map_err(Fruitless::error)?];
    let mut readies = vec![first];
    for mut ready in attempt::others(job, &readies[0].bench.stage.reports) {
        let few = [Kind::Normal, Kind::Uniform].map(Trial::of).to_vec();
        if let Some(course) = course::useful(course::run(&mut ready, few, job.observer))? {
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
    let parts: Vec<Part<'_>> = parts.into_iter().filter_map(|part| compare_part(part, job)).collect();
    inside.extend(parts.iter().map(|part| part.output.clone()));
    let shown = verdict::conclude(&readies, &courses, &inside, report);
    if let (Some(folder), Some(first)) = (&job.options.dump, &report.first_difference) {
        let shown = shown.or_else(|| parts.iter().find(|p| p.output.name == first.tensor).and_then(Part::shown));
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
    }
    Ok(())
}

/// A part of both models that was fed inputs of its own.
struct Part<'a> {
    output: OutputReport,
    /// What shows that it differs, when it does.
    differs: Option<(Stage<'a>, Trial)>,
}

impl<'a> Part<'a> {
    fn shown(&self) -> Option<(&Stage<'a>, &Trial)> {
        self.differs.as_ref().map(|(stage, trial)| (stage, trial))
    }
}

/// Compares a part of both models on inputs of its own.
fn compare_part<'a>(mut part: Ready<'a>, job: &Job<'a>) -> Option<Part<'a>> {
    let trials = std::mem::take(&mut part.own_trials);
    let course = course::run(&mut part, trials, job.observer).ok()?;
    let name = part.bench.stage.original.outputs.first().cloned().unwrap_or_default();
    let output = OutputReport { name, no_evidence: None, measures: course.measures.into_iter().next()? };
    let failed = output.measures.iter().find(|m| m.failure.is_some());
    let trial = failed.and_then(|m| course.trials.iter().find(|t| t.name == m.input)).cloned();
    Some(Part { output, differs: trial.map(|trial| (part.bench.stage, trial)) })
}

/// Says which differences between the models no input reached: then nothing is known of them.
fn unreached(job: &Job<'_>, stage: Option<&Stage<'_>>, trials: &[Trial], report: &mut VerifyReport) {
    let (a, b) = (&*job.original.model, &*job.rewritten.model);
    let Ok(differences) = structure::differences(a, b) else { return };
    report.unreached = evidence::unreached((a, b), &differences, stage, trials);
    if let Some(first) = report.unreached.first() {
        report.status = Status::NoEvidence;
        let others = report.unreached.len() - 1;
        let more = if others == 0 { String::new() } else { format!(" (and {others} more)") };
        report.message = format!("no input reached what differs: {first}{more}");
    }
}

/// What is fed in the first sizes.
fn trials(job: &Job<'_>, ready: &Ready<'_>) -> Vec<Trial> {
    let kinds = Effort::of(ready.work.macs).kinds;
    let mut trials: Vec<Trial> = Kind::ALL.into_iter().take(kinds).map(Trial::of).collect();
    if let Some(feed) = &job.given {
        trials.push(Trial { name: "given".to_owned(), source: Source::Given(feed.clone()) });
    }
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
