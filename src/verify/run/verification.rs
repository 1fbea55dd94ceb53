//! The verification itself: read, compare signatures, try inputs in several sizes, say what came out.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::graph::{in_topological_order, validate};
use crate::io::{self, LoadOptions};
use crate::onnx::ModelProto;

use super::attempt::{self, Job, Ready, Way};
use super::course::{self, Course};
use super::effort::Effort;
use super::error::VerifyError;
use super::inputs::Kind;
use super::pair::{Side, dependents};
use super::precision::Precision;
use super::stage::{Source, Stage, Trial, overrides};
use super::support::Support;
use super::{bisect, evidence, npz, regions, signature};
use crate::verify::report::{
    Arithmetic, Coverage, Measure, OutputReport, SCHEMA_VERSION, SizeReport, Status, VerifyReport,
};
use crate::verify::structure;

/// What to verify on.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// An .npz archive with one array a graph input, verified beside the seeded inputs.
    pub inputs: Option<PathBuf>,
    /// Shapes of inputs with free dimensions, by name.
    pub shapes: Vec<(String, Vec<usize>)>,
    /// Seed of the random inputs.
    pub seed: u64,
}

/// How far a verification is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: &'static str,
    /// Runs made.
    pub done: usize,
    /// Runs to make in this stage.
    pub total: usize,
}

/// Is told of progress, from several threads.
pub type Observer<'a> = &'a (dyn Fn(&Progress) + Sync);

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
    verify_watched(original, rewritten, options, &|_| {})
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
    let reading = LoadOptions { drop_unknown_fields: true };
    let read = |path: &Path| {
        let broken = |source| VerifyError::Graph { model: path.display().to_string(), source };
        // Runtimes take nodes in any order, so the order is no finding.
        in_topological_order(io::load(path, &reading)?.proto).map_err(broken)
    };
    let (a, b) = (read(original)?, read(rewritten)?);
    compare(Side::whole(&a, Some(original)), Side::whole(&b, Some(rewritten)), options, observer)
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
    compare(Side::whole(original, None), Side::whole(rewritten, None), options, &|_| {})
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
    let precision = Precision::of_model(&original.model);
    let mut report = blank(precision, options);
    let signature = signature::difference(original.graph(), rewritten.graph());
    if let Some(difference) = signature.or_else(|| evidence::type_difference(&original.model, &rewritten.model)) {
        (report.status, report.message) = (Status::Mismatch, difference);
        return Ok(report);
    }
    let ports = signature::inputs(original.graph());
    let given = options.inputs.as_ref().map(|path| npz::read(path, &ports)).transpose()?;
    let support = Support::new(&original.model, &rewritten.model);
    let job = Job { original, rewritten, options, given, precision, observer, support };
    match attempt::first(&job)? {
        Way::Same(reason) => {
            report.coverage = Coverage::Regions { tensors: Vec::new(), reason };
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
            engine: "tract".to_owned(),
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
    }
}

/// Tries the models in the first sizes with everything, and in the others with what shows whether they compute the same.
fn all_sizes(job: &Job<'_>, mut first: Ready<'_>, report: &mut VerifyReport) -> Result<(), VerifyError> {
    let words = VerifyError::CannotRun;
    let mut everything = trials(job, &first);
    (job.observer)(&Progress { stage: "searching inputs that reach every bound", done: 0, total: 1 });
    let found = evidence::search(&first, &everything, job.options.seed);
    let parts = found.map_or_else(Vec::new, |found| {
        everything.extend(found.trials);
        report.bends = Some(found.bends);
        found.parts
    });
    let mut courses = vec![course::run(&mut first, everything, job.observer).map_err(words)?];
    let mut readies = vec![first];
    for mut ready in attempt::others(job, &readies[0].bench.stage.reports) {
        let few = [Kind::Normal, Kind::Uniform].map(Trial::of).to_vec();
        if let Ok(course) = course::run(&mut ready, few, job.observer) {
            courses.push(course);
            readies.push(ready);
        }
    }
    let first = &readies[0];
    if let Some(reason) = &first.regions_because {
        let tensors = first.bench.stage.original.outputs.clone();
        report.coverage = Coverage::Regions { tensors, reason: reason.clone() };
    }
    if let Some(reason) = &first.rounded_because {
        report.arithmetic.engine = "float64, rounded".to_owned();
        report.arithmetic.rounded_because = Some(reason.clone());
    }
    report.inputs = first.bench.stage.reports.clone();
    report.sizes = readies.iter().zip(&courses).map(|(ready, course)| sizes(ready, course)).collect();
    report.kinds = report.sizes.first().map(|s| s.kinds.clone()).unwrap_or_default();
    report.outputs = outputs(first, &courses);
    let mut inside = report.outputs.split_off(first.outputs.min(report.outputs.len()));
    inside.extend(parts.into_iter().filter_map(|part| compare_part(part, job)));
    conclude(&readies, &courses, &inside, report);
    if report.status == Status::Equal {
        let (stage, trials) = (&readies[0].bench.stage, courses[0].trials.clone());
        unreached(job, Some(stage), &trials, report);
    }
    Ok(())
}

/// Compares a part of both models on inputs of its own.
fn compare_part(mut part: Ready<'_>, job: &Job<'_>) -> Option<OutputReport> {
    let trials = std::mem::take(&mut part.own_trials);
    let course = course::run(&mut part, trials, job.observer).ok()?;
    let name = part.bench.stage.original.outputs.first().cloned().unwrap_or_default();
    Some(OutputReport { name, no_evidence: None, measures: course.measures.into_iter().next()? })
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

/// Each output with its measures in all sizes.
fn outputs(ready: &Ready<'_>, courses: &[Course]) -> Vec<OutputReport> {
    let stage = &ready.bench.stage;
    let moving = dependents(stage.original.graph(), stage.slots.iter().map(|s| s.name.as_str()));
    let report = |(index, name): (usize, &String)| {
        let mut measures = Vec::new();
        for (size, course) in courses.iter().enumerate() {
            let found = course.measures.get(index).into_iter().flatten();
            measures.extend(found.map(|m| Measure { size, ..m.clone() }));
        }
        let varies = courses.iter().any(|c| c.varies.get(index) == Some(&true));
        let no_evidence = silence(moving.contains(name.as_str()), varies, &measures);
        OutputReport { name: name.clone(), no_evidence, measures }
    };
    stage.original.outputs.iter().enumerate().map(report).collect()
}

/// Why an output says nothing. `depends`: some input reaches it, so it must show that it varies.
fn silence(depends: bool, varies: bool, measures: &[Measure]) -> Option<String> {
    let speaks = measures.iter().any(|m| m.no_evidence.is_none());
    if !depends || speaks && varies {
        return None;
    }
    if speaks {
        return Some("it is the same for every input".to_owned());
    }
    if let Some(most) = measures.iter().filter(|m| m.unstable).map(|m| m.rounding).reduce(f64::max) {
        return Some(format!("rounding alone may move it by {most:.0e} of its largest value"));
    }
    let reason = |m: &Measure| format!("{} ({})", m.no_evidence.as_deref().unwrap_or(""), m.input);
    let first = measures.iter().filter(|m| m.size == 0).map(reason).collect::<Vec<_>>();
    Some(format!("it is {}", first.join(", ")))
}

/// The verdict, and where the models part. `inside` are the tensors inside of both models that were compared too.
fn conclude(readies: &[Ready<'_>], courses: &[Course], inside: &[OutputReport], report: &mut VerifyReport) {
    let failed = |outputs: &[OutputReport]| {
        let mut all = outputs.iter().flat_map(|o| o.measures.iter().map(move |m| (o, m)));
        all.find_map(|(o, m)| Some((o.name.clone(), m.clone(), m.failure.clone()?)))
    };
    let outside = failed(&report.outputs);
    let is_outside = outside.is_some();
    if let Some((name, measure, failure)) = outside.or_else(|| failed(inside)) {
        let shape = match measure.size {
            0 => String::new(),
            size => format!(" in size {}", shapes_of(&report.sizes[size])),
        };
        report.message = format!("'{name}' on {} input{shape}: {failure}", measure.input);
        report.status = Status::Mismatch;
        let unstable = report.outputs.iter().flat_map(|o| &o.measures).any(|m| m.unstable);
        if !is_outside && unstable {
            report.message += "; it stands inside of both models, before rounding decides the rest";
        } else if !is_outside {
            report.status = Status::NoEvidence;
            report.message += "; it stands inside of both models, and no input carried that to an output";
        }
        let trial = courses.get(measure.size).and_then(|c| c.trials.iter().find(|t| t.name == measure.input));
        report.first_difference = readies
            .get(measure.size)
            .zip(trial)
            .and_then(|(ready, trial)| bisect::first_difference(&ready.bench, trial));
        return;
    }
    notes(report);
    let stage = &readies[0].bench.stage;
    let untouched = untouched(&stage.original.model, &stage.rewritten.model);
    let speaks = report.outputs.iter().any(|o| o.no_evidence.is_none());
    let mut unstable = None;
    for (index, output) in report.outputs.iter().enumerate() {
        let Some(reason) = &output.no_evidence else { continue };
        let words = format!("'{}': {reason}", output.name);
        if output.measures.iter().any(|m| m.unstable) {
            unstable.get_or_insert(words);
        } else if speaks && (untouched.contains(&output.name) || courses[0].discrete.get(index) == Some(&true)) {
            report.notes.push(words);
        } else {
            (report.status, report.message) = (Status::NoEvidence, words);
            return;
        }
    }
    let Some(words) = unstable else { return };
    // Rounding hides what happens at the output; tensors before it may show more.
    let part = courses[0].trials.iter().take(2).find_map(|t| bisect::first_difference(&readies[0].bench, t));
    report.arithmetic.unstable = true;
    (report.status, report.message) = match &part {
        Some(d) => (Status::Mismatch, format!("{words}; but '{}' differs before rounding decides", d.tensor)),
        None => (Status::Unstable, words),
    };
    report.first_difference = part;
}

fn shapes_of(size: &SizeReport) -> String {
    size.inputs.iter().map(|i| format!("{:?}", i.shape)).collect::<Vec<_>>().join(", ")
}

/// What was noticed of single measures, each once.
fn notes(report: &mut VerifyReport) {
    if let Some(bends) = report.bends.as_ref().filter(|b| !b.missed.is_empty()) {
        report.notes.push(evidence::words(&bends.missed, bends.total));
    }
    let mut seen = HashSet::new();
    let mut notes = Vec::new();
    for (output, m) in report.outputs.iter().flat_map(|o| o.measures.iter().map(move |m| (o, m))) {
        let ties = (m.ties > 0).then(|| format!("{} answers tie within rounding", m.ties));
        for note in m.note.iter().cloned().chain(ties) {
            if seen.insert((output.name.clone(), note.clone())) {
                notes.push(format!("'{}' on {} input: {note}", output.name, m.input));
            }
        }
    }
    report.notes.extend(notes);
}

/// The outputs of `original` that both models compute by the same nodes from the same constants.
fn untouched(original: &ModelProto, rewritten: &ModelProto) -> HashSet<String> {
    let Ok(same) = regions::unchanged(original, rewritten) else { return HashSet::new() };
    let Some(graph) = &original.graph else { return HashSet::new() };
    let makers: HashMap<&str, _> =
        graph.node.iter().flat_map(|n| n.output.iter().map(move |o| (o.as_str(), n))).collect();
    let is_untouched = |output: &str| {
        let (mut open, mut seen) = (vec![output.to_owned()], HashSet::new());
        while let Some(name) = open.pop() {
            let Some(node) = makers.get(name.as_str()) else { continue };
            if !same.contains(&name) {
                return false;
            }
            if seen.insert(name) {
                open.extend(regions::reads(node));
            }
        }
        true
    };
    graph.output.iter().map(|o| o.name().to_owned()).filter(|o| is_untouched(o)).collect()
}
