//! How long models take: all are run in turns, so that what else the machine does hits all alike.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use crate::graph::validate;
use crate::io::{self, LoadOptions};
use crate::onnx::ModelProto;
use crate::verify::InputReport;
use crate::verify::timing::{EngineTime, ModelTime, SCHEMA_VERSION, Spread, TimeReport};

use super::error::VerifyError;
use super::inputs::{self, Feed, InputKind, InputTensor};
use super::options::{Engine, Observer, VerifyProgress};
use super::pair::Side;
use super::runner::Source;
use super::runtime::{self, Loaded, Runtime};
use super::shapes::{self, Sizing};
use super::{signature, stage};

/// Runs of each model before any is timed.
const WARM_UP: usize = 2;

/// Runs the models at two paths `runs` times each, in turns, on seeded values of the shapes that `shapes` states, else the models'
/// own, and tells `observer` of progress. Both go through the optimised path of each engine, in one thread; the library of ONNX Runtime
/// is the one at the path beside it, or where the environment says.
///
/// # Errors
/// [`VerifyError`] when a model cannot be read or run, or their inputs differ.
pub fn time(
    paths: [&Path; 2],
    shapes: &[(String, Vec<usize>)],
    runs: usize,
    (engine, library): (Engine, Option<&Path>),
    observer: Observer<'_>,
) -> Result<TimeReport, VerifyError> {
    let (runtimes, version) = runtime::of(engine, library)?;
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
        let measured = stage::guarded(|| measure(paths, &runtimes, (&slots, &feed), runs.max(1), observer));
        match measured {
            Ok(Some(times)) => {
                let report = report(paths, (&runtimes, version), times, reports);
                return report.ok_or_else(|| VerifyError::CannotRun(String::new()));
            }
            Ok(None) => return Err(VerifyError::Stopped),
            Err(reason) => failed = failed.or(Some(reason)),
        }
        if !reports.iter().any(|r| r.assumed) {
            break;
        }
    }
    Err(VerifyError::CannotRun(failed.unwrap_or_default()))
}

/// Nanoseconds of a run of each of `models`, the lower quartile of `rounds` in which all take turns, in `engine`, with the version of ONNX
/// Runtime where it is that. A short run is repeated within a turn.
///
/// # Errors
/// [`VerifyError`] when a model cannot be run; [`VerifyError::Stopped`].
pub fn clock(
    models: &[ModelProto],
    rounds: usize,
    (engine, library): (Engine, Option<&Path>),
    observer: Observer<'_>,
) -> Result<(Vec<f64>, Option<String>), VerifyError> {
    let (runtimes, version) = runtime::of(engine, library)?;
    let (Some(runtime), Some(sizing)) = (runtimes.first(), Sizing::usual().next()) else {
        return Ok((Vec::new(), version));
    };
    let mut clocked = Vec::new();
    for model in models {
        let side = Side::whole(model, None);
        let (slots, _) = fed(&side, &HashMap::new(), sizing)?;
        let feed = inputs::feed(&slots, InputKind::Normal, side.graph(), 0)?;
        let loaded = stage::guarded(|| Loaded::new(*runtime, Source::Memory(model), &slots));
        clocked.push((loaded.map_err(VerifyError::CannotRun)?, feed, Vec::new()));
    }
    for turn in 0..WARM_UP + rounds {
        if observer(&VerifyProgress { stage: "running in turns", done: turn, total: WARM_UP + rounds }).is_break() {
            return Err(VerifyError::Stopped);
        }
        for (loaded, feed, times) in &mut clocked {
            let turned = stage::guarded(|| turn_of(loaded, feed)).map_err(VerifyError::CannotRun)?;
            if turn >= WARM_UP {
                times.push(turned);
            }
        }
    }
    Ok((clocked.into_iter().map(|(_, _, times)| Spread::of(times).lower).collect(), version))
}

/// Least time of a turn, and most runs in one.
const TURN: f64 = 1e6;
const MOST: usize = 64;

/// Nanoseconds of a run, on average over a turn.
fn turn_of(loaded: &Loaded, feed: &Feed) -> Result<f64, String> {
    let (mut sum, mut runs) = (0.0, 0);
    while sum < TURN && runs < MOST {
        sum += loaded.timed(feed)?.as_secs_f64() * 1e9;
        runs += 1;
    }
    Ok(sum / runs.max(1) as f64)
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

/// Milliseconds of each run of both in one engine, and of loading.
type Times = ([Vec<f64>; 2], [f64; 2]);

/// The times of each engine. `None` when `observer` asked to stop.
fn measure(
    paths: [&Path; 2],
    runtimes: &[Runtime],
    (slots, feed): (&[InputTensor], &Feed),
    runs: usize,
    observer: Observer<'_>,
) -> Result<Option<Vec<Times>>, String> {
    let words = |i: usize, e: String| format!("{}: {e}", paths[i].display());
    let mut engines = Vec::new();
    for runtime in runtimes {
        let (mut loaded, mut loading) = (Vec::new(), [0.0; 2]);
        for (i, loading) in loading.iter_mut().enumerate() {
            let begin = Instant::now();
            loaded.push(Loaded::new(*runtime, Source::File(paths[i]), slots).map_err(|e| words(i, e))?);
            *loading = begin.elapsed().as_secs_f64() * 1e3;
        }
        engines.push((loaded, ([Vec::new(), Vec::new()], loading)));
    }
    for turn in 0..WARM_UP + runs {
        if observer(&VerifyProgress { stage: "running both in turns", done: turn, total: WARM_UP + runs }).is_break() {
            return Ok(None);
        }
        for (loaded, (times, _)) in &mut engines {
            // Who is first changes from turn to turn.
            for i in [turn % 2, 1 - turn % 2] {
                let taken = loaded[i].timed(feed).map_err(|e| words(i, e))?;
                if turn >= WARM_UP {
                    times[i].push(taken.as_secs_f64() * 1e3);
                }
            }
        }
    }
    Ok(Some(engines.into_iter().map(|(_, times)| times).collect()))
}

fn report(
    paths: [&Path; 2],
    (runtimes, version): (&[Runtime], Option<String>),
    times: Vec<Times>,
    inputs: Vec<InputReport>,
) -> Option<TimeReport> {
    let runs = times.first().map_or(0, |(times, _)| times[0].len());
    let engine = |(runtime, (times, loading)): (&Runtime, Times)| {
        let ratios = times[1].iter().zip(&times[0]).map(|(b, a)| b / a.max(f64::MIN_POSITIVE)).collect();
        let [first, second] = times;
        let model = |i: usize, times: Vec<f64>| ModelTime {
            file: paths[i].display().to_string(),
            macs: None,
            milliseconds: Spread::of(times),
            loading: loading[i],
        };
        EngineTime {
            engine: runtime.name().to_owned(),
            version: version.clone().filter(|_| *runtime == Runtime::OnnxRuntime),
            first: model(0, first),
            second: model(1, second),
            ratio: Spread::of(ratios),
        }
    };
    let engines = runtimes.iter().zip(times).map(engine).collect();
    TimeReport::new(SCHEMA_VERSION, runs, inputs, engines)
}
