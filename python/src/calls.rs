//! The functions of the program, for Python. Options come as the words of the command line and are read by it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Display;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use onnx_rm::cli::{self, Checking, Inspecting, Pruning, Rewriting, Timing};
use onnx_rm::deliver::{Delivery, Goal, deliver};
use onnx_rm::report::Action;
use onnx_rm::{
    CheckProgress, Model, Report, VerifyOptions, VerifyReport, check_watched, load, prune_watched, rewrite_watched,
};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde::Serialize;

use crate::fault::Fault;
use crate::source::Source;
use crate::watch::{Teller, watched};

type Progress<'py> = Option<Bound<'py, PyAny>>;

/// Runs the program on `words`, its name first, and returns its exit code.
#[pyfunction]
pub(crate) fn main(py: Python<'_>, words: Vec<OsString>) -> u8 {
    py.detach(|| cli::run_words(words))
}

/// A report as JSON and as text for people.
type Told = (String, String);

/// Returns the report, the bytes of the model where no `output` is given, and why nothing was given out, if so.
#[pyfunction]
pub(crate) fn rewrite<'py>(
    py: Python<'py>,
    model: Source,
    output: Option<PathBuf>,
    words: Vec<String>,
    progress: Progress<'py>,
) -> PyResult<(Told, Option<Bound<'py, PyBytes>>, Option<String>)> {
    let (report, delivery) = watched(py, progress.as_ref(), |teller| {
        let asked: Rewriting = cli::read(words).map_err(Fault::option)?;
        let (report, delivery) = rewritten(model, output.as_deref(), &asked, teller)?;
        Ok((told(&report)?, delivery))
    })?;
    let bytes = delivery.bytes.map(|bytes| PyBytes::new(py, &bytes));
    Ok((report, bytes, delivery.finding))
}

fn rewritten(
    source: Source,
    output: Option<&Path>,
    asked: &Rewriting,
    teller: &Teller<'_>,
) -> Result<(Report, Delivery), Fault> {
    let (name, path) = (source.name(), source.path().map(Path::to_owned));
    let original = source.load(asked.reading.options())?;
    let (options, feed) = (asked.options(), asked.comparing().options());
    let mut model = original.clone();
    let outcome = rewrite_watched(&mut model, &options, &mut |p| planning(teller, p))
        .map_err(|e| Fault::engine(e, path.as_deref()))?;
    let mut report = Report::new(Action::Rewrite, name, options, outcome);
    let mut models = |rewritten: &Model| compared(&original, rewritten, &feed, teller);
    let mut files = |staged: &Path| match &path {
        Some(path) => compared_files(path, staged, &feed, teller),
        None => compared(&original, &load(staged)?, &feed, teller),
    };
    let goal = match output {
        Some(path) => Goal::File(path, if asked.no_verify { None } else { Some(&mut files) }),
        None => Goal::Bytes(if asked.no_verify { None } else { Some(&mut models) }),
    };
    let delivery = deliver(&original, model, &mut report, &asked.terms(), goal)?;
    Ok((report, delivery))
}

/// Returns the report.
#[pyfunction]
pub(crate) fn inspect(py: Python<'_>, model: Source, words: Vec<String>, progress: Progress<'_>) -> PyResult<Told> {
    watched(py, progress.as_ref(), |teller| {
        let asked: Inspecting = cli::read(words).map_err(Fault::option)?;
        let (name, path) = (model.name(), model.path().map(Path::to_owned));
        let model = model.load(asked.reading.options())?;
        let report = asked.report(&model, name, &mut |p| planning(teller, p));
        told(&report.map_err(|e| Fault::engine(e, path.as_deref()))?)
    })
}

/// The same report in the forms that other programs read, by their names.
type Forms = BTreeMap<&'static str, String>;

/// Returns the report. All its forms are made at once, so that what Python holds are texts alone, which it can copy and send on.
#[pyfunction]
pub(crate) fn check(
    py: Python<'_>,
    models: Vec<PathBuf>,
    words: Vec<String>,
    progress: Progress<'_>,
) -> PyResult<(Told, Forms)> {
    watched(py, progress.as_ref(), |teller| {
        let asked: Checking = cli::read(words).map_err(Fault::option)?;
        let watch = |p: &CheckProgress| teller.tell("check", &p.file, p.done, p.total);
        let report = check_watched(&models, &asked.options()?, &watch)?;
        let forms = [
            ("json", report.to_json()),
            ("sarif", report.to_sarif()),
            ("junit", report.to_junit()),
            ("markdown", report.to_markdown()),
            ("github", report.to_github()),
        ];
        Ok((told(&report)?, Forms::from(forms)))
    })
}

/// Returns the report, and the bytes of the model where no `output` is given; nothing is given out where the report has a finding.
#[pyfunction]
pub(crate) fn prune<'py>(
    py: Python<'py>,
    model: Source,
    output: Option<PathBuf>,
    words: Vec<String>,
    progress: Progress<'py>,
) -> PyResult<(Told, Option<Bound<'py, PyBytes>>)> {
    let (report, bytes) = watched(py, progress.as_ref(), |teller| {
        let asked: Pruning = cli::read(words).map_err(Fault::option)?;
        let path = model.path().map(Path::to_owned);
        let original = model.load(asked.reading.options())?;
        let fault = |error| Fault::prune(error, path.as_deref());
        let samples = asked.samples(&original).map_err(fault)?;
        let mut tell = |stage: &str, done: usize, total: usize| teller.tell("prune", stage, done, total);
        let pruned = prune_watched(&original, samples.as_ref(), &asked.options(), &mut tell).map_err(fault)?;
        let bytes = match (&output, &pruned.report.finding) {
            (_, Some(_)) => None,
            (Some(path), None) => {
                onnx_rm::save(&pruned.model, path)?;
                None
            }
            (None, None) => Some(pruned.model.to_bytes()?),
        };
        Ok((told(&pruned.report)?, bytes))
    })?;
    Ok((report, bytes.map(|bytes| PyBytes::new(py, &bytes))))
}

/// Returns the report.
#[pyfunction]
pub(crate) fn verify(
    py: Python<'_>,
    original: Source,
    rewritten: Source,
    words: Vec<String>,
    progress: Progress<'_>,
) -> PyResult<Told> {
    watched(py, progress.as_ref(), |teller| {
        let asked = cli::read::<cli::Comparing>(words).map_err(Fault::option)?;
        let feed = asked.options();
        // Fields that the schema does not know change nothing of what is computed.
        let reading = onnx_rm::LoadOptions::default().drop_unknown_fields(true);
        let files = original.path().map(Path::to_owned).zip(rewritten.path().map(Path::to_owned));
        let models = match files {
            Some(_) if !asked.is_labelled() => None,
            _ => Some((original.load(reading)?, rewritten.load(reading)?)),
        };
        // First, for it says what is wrong with the labels.
        let labels = match &models {
            Some((a, b)) => asked.answers(a, b).map_err(|e| Fault::prune(e, None))?,
            None => None,
        };
        let mut report = match (&files, &models) {
            (Some((a, b)), _) => compared_files(a, b, &feed, teller)?,
            (None, Some((a, b))) => compared(a, b, &feed, teller)?,
            (None, None) => return Err(Fault::internal("no models")),
        };
        report.labels = labels;
        let (json, text) = told(&report)?;
        Ok((json, format!("{text}\n{}", report.details()).trim_end().to_owned()))
    })
}

/// Returns the report.
#[pyfunction]
pub(crate) fn bench(
    py: Python<'_>,
    first: PathBuf,
    second: PathBuf,
    words: Vec<String>,
    progress: Progress<'_>,
) -> PyResult<Told> {
    watched(py, progress.as_ref(), |teller| {
        let asked: Timing = cli::read(words).map_err(Fault::option)?;
        let watch = |p: &onnx_rm::VerifyProgress| teller.tell("bench", p.stage, p.done, p.total);
        told(&asked.time::<Fault>([&first, &second], &watch)?)
    })
}

fn told(report: &(impl Serialize + Display)) -> Result<Told, Fault> {
    let json = serde_json::to_string(report).map_err(|e| Fault::internal(&e.to_string()))?;
    Ok((json, report.to_string().trim_end().to_owned()))
}

fn planning(teller: &Teller<'_>, p: &onnx_rm::Progress) -> ControlFlow<()> {
    teller.tell(format!("round {}", p.round), &p.message, p.done, p.total)
}

fn compared(a: &Model, b: &Model, feed: &VerifyOptions, teller: &Teller<'_>) -> Result<VerifyReport, Fault> {
    Ok(onnx_rm::verify_watched(a, b, feed, &|p| teller.tell("verify", p.stage, p.done, p.total))?)
}

fn compared_files(a: &Path, b: &Path, feed: &VerifyOptions, teller: &Teller<'_>) -> Result<VerifyReport, Fault> {
    let watch = |p: &onnx_rm::VerifyProgress| teller.tell("verify", p.stage, p.done, p.total);
    Ok(onnx_rm::verify::verify_watched(a, b, feed, &watch)?)
}
