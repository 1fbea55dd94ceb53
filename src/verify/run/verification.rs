//! The verification itself: read, compare signatures, run, judge, find where the models part.

use std::path::{Path, PathBuf};

use crate::graph::validate;
use crate::io::{self, LoadOptions};
use crate::onnx::ModelProto;

use super::attempt::{self, Job, Ran};
use super::compare::{self, Sides, Tolerance};
use super::error::VerifyError;
use super::pair::{Pair, Side, dependents};
use super::precision::Precision;
use super::session::{self, Runs};
use super::{appeal, bisect, npz, signature};
use crate::verify::report::{Arithmetic, Coverage, OutputReport, Status, VerifyReport};

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
    let (a, b) = (io::load(original, &reading)?, io::load(rewritten, &reading)?);
    compare(Side::whole(&a.proto, Some(original)), Side::whole(&b.proto, Some(rewritten)), options, observer)
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
    if let Some(difference) = signature::difference(original.graph(), rewritten.graph()) {
        return Ok(report(Status::Mismatch, difference, precision, options));
    }
    let ports = signature::inputs(original.graph());
    let given = options.inputs.as_ref().map(|path| npz::read(path, &ports)).transpose()?;
    let job = Job { original, rewritten, options, given, precision, observer };
    let ran = attempt::run(&job)?;
    Ok(judge(ran, &job))
}

/// A report of which only the verdict is known.
fn report(status: Status, message: String, precision: Precision, options: &VerifyOptions) -> VerifyReport {
    VerifyReport {
        status,
        message,
        coverage: Coverage::Whole,
        arithmetic: Arithmetic { element_type: precision.name().to_owned(), float64_because: None, unstable: false },
        outputs: Vec::new(),
        inputs: Vec::new(),
        kinds: Vec::new(),
        seed: options.seed,
        first_difference: None,
    }
}

fn judge(ran: Ran<'_>, job: &Job<'_>) -> VerifyReport {
    let Ran { pair, runs, regions_because, mut float64_because } = ran;
    let tolerance = match float64_because {
        Some(_) => Tolerance::rounding(job.precision),
        None => Tolerance::run(job.precision),
    };
    let mut outputs = runs.map_or_else(Vec::new, |runs| measure(&pair, &runs, tolerance, job.precision));
    let mut unstable = false;
    if let Some(reason) = amplifies(&outputs, tolerance)
        && let Ok(runs) = session::float64(&pair, job.observer)
    {
        outputs = measure(&pair, &runs, Tolerance::rounding(job.precision), job.precision);
        float64_because = Some(reason);
        unstable = true;
    }
    let (status, message) = verdict(&outputs);
    let mut report = report(status, message, job.precision, job.options);
    if status == Status::Mismatch {
        report.first_difference = failing_case(&outputs)
            .and_then(|case| pair.cases.get(case))
            .and_then(|case| bisect::first_difference(&pair.original, &pair.rewritten, case, job.precision));
    }
    if let Some(reason) = regions_because {
        report.coverage = Coverage::Regions { tensors: outputs.iter().map(|o| o.name.clone()).collect(), reason };
    }
    report.arithmetic.float64_because = float64_because;
    report.arithmetic.unstable = unstable;
    report.outputs = outputs;
    report.kinds = pair.cases.iter().map(|c| c.name.clone()).collect();
    report.inputs = pair.inputs;
    report
}

/// Why the models' own arithmetic shows nothing, when the original is no yardstick for any input.
fn amplifies(outputs: &[OutputReport], tolerance: Tolerance) -> Option<String> {
    let silent = outputs.iter().filter(|o| o.no_evidence.is_some());
    let measure = silent.flat_map(|o| &o.measures).find(|m| tolerance.is_chaotic(m))?;
    let away = measure.original_error;
    Some(format!("the original itself is {away:.0e} of its largest value away from float64"))
}

fn measure(pair: &Pair<'_>, runs: &Runs, tolerance: Tolerance, precision: Precision) -> Vec<OutputReport> {
    let moving = dependents(pair.original.graph(), pair.slots.iter().map(|s| s.name.as_str()));
    let mut outputs = Vec::new();
    for (index, name) in pair.original.outputs.iter().enumerate() {
        let exact: Vec<_> = runs.exact.iter().filter_map(|case| case.get(index)).collect();
        let mut measures = Vec::new();
        for (((case, exact), original), rewritten) in
            pair.cases.iter().zip(&exact).zip(&runs.original).zip(&runs.rewritten)
        {
            if let (Some(original), Some(rewritten)) = (original.get(index), rewritten.get(index)) {
                let found = compare::measure(&case.name, &Sides { exact, original, rewritten }, tolerance);
                measures.push(appeal::hear(found, pair, case, (index, exact), (precision, tolerance)));
            }
        }
        outputs.push(compare::judge(name, moving.contains(name.as_str()), measures, &exact));
    }
    outputs
}

/// The first failure, or the first output without evidence, in words.
fn verdict(outputs: &[OutputReport]) -> (Status, String) {
    let failures = outputs.iter().flat_map(|o| o.measures.iter().map(move |m| (o, m)));
    let failure = failures.filter_map(|(o, m)| Some((o, m, m.failure.as_ref()?))).next();
    if let Some((output, measure, failure)) = failure {
        return (Status::Mismatch, format!("'{}' on {} input: {failure}", output.name, measure.input));
    }
    match outputs.iter().find_map(|o| Some((o, o.no_evidence.as_ref()?))) {
        Some((output, reason)) => (Status::NoEvidence, format!("'{}': {reason}", output.name)),
        None => (Status::Equal, String::new()),
    }
}

/// The case in which some output is furthest beyond its limit.
fn failing_case(outputs: &[OutputReport]) -> Option<usize> {
    let excess = |case: usize| {
        let failed = outputs.iter().filter_map(|o| o.measures.get(case)).filter(|m| m.failure.is_some());
        failed.map(|m| m.rewritten_error / m.limit.max(f64::MIN_POSITIVE)).reduce(f64::max)
    };
    let cases = outputs.first().map_or(0, |o| o.measures.len());
    (0..cases).filter_map(|c| Some((c, excess(c)?))).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(c, _)| c)
}
