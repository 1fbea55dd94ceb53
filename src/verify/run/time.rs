//! How long two models take: both are run in turns, so that what else the machine does hits both alike.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use tract_onnx::prelude::TractError;

use crate::graph::validate;
use crate::io::{self, LoadOptions};
use crate::verify::InputReport;
use crate::verify::timing::{ModelTime, SCHEMA_VERSION, Spread, TimeReport};

use super::error::VerifyError;
use super::inputs::{self, Feed, InputKind, InputTensor};
use super::options::{Observer, VerifyProgress};
use super::pair::Side;
use super::runner::{Runner, Source};
use super::shapes::{self, Sizing};
use super::{signature, stage};

/// Runs of each model before any is timed.
const WARM_UP: usize = 2;

/// Runs the models at two paths `runs` times each, in turns, on seeded values of the shapes that `shapes` states, else the models'
/// own, and tells `observer` of progress. Both go through tract's optimised path, in one thread.
///
/// # Errors
/// [`VerifyError`] when a model cannot be read or run, or their inputs differ.
pub fn time(
    paths: [&Path; 2],
    shapes: &[(String, Vec<usize>)],
    runs: usize,
    observer: Observer<'_>,
) -> Result<TimeReport, VerifyError> {
    let reading = LoadOptions::default().drop_unknown_fields(true);
    let mut models = Vec::new();
    for path in paths {
        let model = io::load(path, &reading)?.into_proto();
        validate(&model).map_err(|source| VerifyError::Graph { model: path.display().to_string(), source })?;
        models.push(model);
    }
    let sides = [0, 1].map(|i| Side::whole(&models[i], Some(paths[i])));
    if let Some(difference) = signature::difference(sides[0].graph(), sides[1].graph()) {
        return Err(VerifyError::CannotRun(difference));
    }
    let stated: HashMap<_, _> = shapes.iter().cloned().collect();
    let mut failed = None;
    for sizing in Sizing::usual() {
        let (slots, reports) = fed(&sides[0], &stated, sizing)?;
        let feed = inputs::feed(&slots, InputKind::Normal, sides[0].graph(), 0)?;
        let measured = stage::guarded(|| measure(paths, &slots, &feed, runs.max(1), observer));
        match measured {
            Ok(Some((times, loading))) => return Ok(report(paths, times, loading, reports)),
            Ok(None) => return Err(VerifyError::Stopped),
            Err(reason) => failed = failed.or(Some(reason)),
        }
        if !reports.iter().any(|r| r.assumed) {
            break;
        }
    }
    Err(VerifyError::CannotRun(failed.unwrap_or_default()))
}

fn fed(
    side: &Side<'_>,
    stated: &HashMap<String, Vec<usize>>,
    sizing: Sizing,
) -> Result<(Vec<InputTensor>, Vec<InputReport>), VerifyError> {
    let ports = signature::inputs(side.graph());
    let reports = shapes::choose(&ports, side.graph(), stated, sizing)?;
    let slots = ports.iter().zip(&reports).map(|(p, r)| InputTensor::of(p, r)).collect::<Result<_, VerifyError>>()?;
    Ok((slots, reports))
}

/// Milliseconds of each run of both, and of loading.
type Times = ([Vec<f64>; 2], [f64; 2]);

/// `None` when `observer` asked to stop.
fn measure(
    paths: [&Path; 2],
    slots: &[InputTensor],
    feed: &Feed,
    runs: usize,
    observer: Observer<'_>,
) -> Result<Option<Times>, String> {
    let words = |path: &Path, e: &TractError| format!("{}: {}", path.display(), stage::words(e));
    let (mut runners, mut loading) = (Vec::new(), [0.0; 2]);
    for (path, loading) in paths.into_iter().zip(&mut loading) {
        let begin = Instant::now();
        runners.push(Runner::new(Source::File(path), slots).map_err(|e| words(path, &e))?);
        *loading = begin.elapsed().as_secs_f64() * 1e3;
    }
    let mut times = [Vec::new(), Vec::new()];
    for turn in 0..WARM_UP + runs {
        if observer(&VerifyProgress { stage: "running both in turns", done: turn, total: WARM_UP + runs }).is_break() {
            return Ok(None);
        }
        // Who is first changes from turn to turn.
        for i in [turn % 2, 1 - turn % 2] {
            let inputs = runners[i].prepare(feed).map_err(|e| words(paths[i], &e))?;
            let begin = Instant::now();
            runners[i].run_prepared(inputs).map_err(|e| words(paths[i], &e))?;
            if turn >= WARM_UP {
                times[i].push(begin.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    Ok(Some((times, loading)))
}

fn report(paths: [&Path; 2], times: [Vec<f64>; 2], loading: [f64; 2], inputs: Vec<InputReport>) -> TimeReport {
    let ratios = times[1].iter().zip(&times[0]).map(|(b, a)| b / a.max(f64::MIN_POSITIVE)).collect();
    let runs = times[0].len();
    let [first, second] = times;
    let model = |i: usize, times: Vec<f64>| ModelTime {
        file: paths[i].display().to_string(),
        macs: None,
        milliseconds: Spread::of(times),
        loading: loading[i],
    };
    TimeReport {
        schema_version: SCHEMA_VERSION,
        engine: "tract".to_owned(),
        threads: 1,
        runs,
        inputs,
        first: model(0, first),
        second: model(1, second),
        ratio: Spread::of(ratios),
    }
}
