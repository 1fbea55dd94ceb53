//! How two models are run: whole when that is possible, else their rewritten regions; in their own arithmetic when
//! that is possible, else in float64.

use std::collections::{HashMap, HashSet};

use crate::onnx::tensor_proto::DataType;
use crate::onnx::{GraphProto, NodeProto};

use super::error::VerifyError;
use super::inputs::{self, Case, Feed, Kind, Slot};
use super::pair::{Pair, Side, dependents};
use super::precision::Precision;
use super::session::{self, Runs, Trouble};
use super::shapes;
use super::signature::{self, Port};
use super::support::Support;
use super::verification::{Observer, VerifyOptions};
use super::{narrow, regions, work};
use crate::verify::report::InputReport;

/// What is to be verified.
pub(super) struct Job<'a> {
    pub(super) original: Side<'a>,
    pub(super) rewritten: Side<'a>,
    pub(super) options: &'a VerifyOptions,
    /// Values that the user gave.
    pub(super) given: Option<Feed>,
    pub(super) precision: Precision,
    pub(super) observer: Observer<'a>,
}

/// What was run, and what came out.
pub(super) struct Ran<'a> {
    pub(super) pair: Pair<'a>,
    /// `None` when no node differs, so that nothing had to be run.
    pub(super) runs: Option<Runs>,
    /// Why only regions were run.
    pub(super) regions_because: Option<String>,
    /// Why float64 was used in place of the models' own type.
    pub(super) float64_because: Option<String>,
}

/// Runs the models of `job`, trying sizes for what is free until one fits.
///
/// # Errors
/// [`VerifyError`] when there is no way; of several sizes, what the first one met.
pub(super) fn run<'a>(job: &Job<'a>) -> Result<Ran<'a>, VerifyError> {
    let mut first = None;
    for side in shapes::SIDES {
        let pair = whole(job, *side)?;
        let is_free = pair.inputs.iter().any(|i| i.assumed);
        match run_pair(job, pair, *side) {
            Ok(ran) => return Ok(ran),
            Err(error) => first = first.or(Some(error)),
        }
        if !is_free {
            break;
        }
    }
    Err(VerifyError::CannotRun(first.unwrap_or_default()))
}

/// Both models from inputs to outputs.
fn whole<'a>(job: &Job<'a>, side: usize) -> Result<Pair<'a>, VerifyError> {
    let graph = job.original.graph();
    let ports = signature::inputs(graph);
    let given = job.given.iter().flatten().map(|(name, value)| (name.clone(), value.shape().to_vec()));
    let stated: HashMap<_, _> = given.chain(job.options.shapes.iter().cloned()).collect();
    let inputs = shapes::choose(&ports, graph, &stated, side)?;
    let slots = ports.iter().zip(&inputs).map(|(p, i)| slot(p, i)).collect::<Result<Vec<_>, _>>()?;
    let mut cases = inputs::cases(&slots, graph, job.options.seed)?;
    if let Some(feed) = &job.given {
        cases.push(Case { name: "given".to_owned(), kind: Kind::Normal, feed: feed.clone() });
    }
    Ok(Pair { original: job.original.clone(), rewritten: job.rewritten.clone(), slots, cases, inputs })
}

fn slot(port: &Port, input: &InputReport) -> Result<Slot, VerifyError> {
    let untyped =
        || VerifyError::Input { name: port.name.clone(), reason: "it is no tensor of a known type".to_owned() };
    Ok(Slot { name: port.name.clone(), dtype: port.dtype.ok_or_else(untyped)?, shape: input.shape.clone() })
}

/// Runs what can be run of `pair`, `side` being the size of free dimensions.
///
/// # Errors
/// In words.
fn run_pair<'a>(job: &Job<'a>, pair: Pair<'a>, side: usize) -> Result<Ran<'a>, String> {
    let support = Support::new(&pair.original.model, &pair.rewritten.model, job.precision);
    let mut pair = pair;
    let mut regions_because = None;
    if let Some(reason) = support.first_unknown() {
        match narrow::narrow(&pair, &|n| support.is_unknown(n), job, side) {
            Ok(Some(regions)) => pair = regions,
            Ok(None) => return Ok(Ran { pair, runs: None, regions_because: Some(reason), float64_because: None }),
            // Regions that tract cannot run, but float64 can.
            Err(_) if support.float64_knows_all() => return in_float64(job, pair, None, reason),
            Err(e) => return Err(format!("{reason}; {e}")),
        }
        regions_because = Some(reason);
    }
    // Cheap, and a size that does not fit is found before anything is optimised.
    if pair.inputs.iter().any(|i| i.assumed) {
        pair.cases.first().map_or(Ok(vec![]), |case| session::evaluate(&pair.original, &case.feed))?;
    }
    if job.precision == Precision::BFloat16 {
        return in_float64(job, pair, regions_because, "tract has no bfloat16".to_owned());
    }
    if job.precision == Precision::Float16 && is_long(&pair) {
        return in_float64(job, pair, regions_because, "tract emulates float16, which would take too long".to_owned());
    }
    let trouble = match session::own(&pair, job.observer) {
        Ok(runs) => return Ok(Ran { pair, runs: Some(runs), regions_because, float64_because: None }),
        Err(Trouble::Float64(e)) => return Err(format!("float64: {e}")),
        Err(Trouble::Tract(e)) => format!("tract cannot run the model: {e}"),
    };
    if let Ok(Some(small)) = smallest(job, &pair, side)
        && let Ok(runs) = session::own(&small, job.observer)
    {
        return Ok(Ran { pair: small, runs: Some(runs), regions_because: Some(trouble), float64_because: None });
    }
    in_float64(job, pair, regions_because, trouble)
}

/// True when tract would run the rewritten model, the larger one, too long in float16.
fn is_long(pair: &Pair<'_>) -> bool {
    let work = pair.cases.first().and_then(|case| work::multiplications(&pair.rewritten, case));
    work.is_some_and(|work| work > work::MOST_IN_FLOAT16)
}

fn in_float64<'a>(
    job: &Job<'a>,
    pair: Pair<'a>,
    regions_because: Option<String>,
    reason: String,
) -> Result<Ran<'a>, String> {
    let runs = session::float64(&pair, job.observer).map_err(|e| format!("{reason}; float64: {e}"))?;
    Ok(Ran { pair, runs: Some(runs), regions_because, float64_because: Some(reason) })
}

/// The changed nodes alone, and what computes their constants: for a model that tract refuses for a reason of its own.
fn smallest<'a>(job: &Job<'a>, pair: &Pair<'a>, side: usize) -> Result<Option<Pair<'a>>, String> {
    let same = regions::unchanged(&pair.original.model, &pair.rewritten.model)?;
    let graph = pair.original.graph();
    let data: HashSet<&str> = dependents(graph, pair.slots.iter().map(|s| s.name.as_str()));
    let is_barrier = |n: &NodeProto| n.output.iter().any(|o| same.contains(o) && data.contains(o.as_str()));
    narrow::narrow(pair, &is_barrier, job, side)
}

/// The type of a tensor of which only the value is known.
pub(super) fn declared(graph: &GraphProto, name: &str) -> Port {
    let infos = graph.value_info.iter().chain(&graph.output);
    infos
        .clone()
        .find(|v| v.name() == name)
        .map_or_else(|| Port { name: name.to_owned(), dtype: None, dims: None }, Port::new)
}

/// The element type of floats that nothing declares.
pub(super) fn float_type(precision: Precision) -> DataType {
    match precision {
        Precision::BFloat16 => DataType::Bfloat16,
        Precision::Float16 => DataType::Float16,
        Precision::Float32 => DataType::Float,
        Precision::Float64 => DataType::Double,
    }
}
