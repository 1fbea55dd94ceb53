//! From a pair of models to a pair of their rewritten regions, with values for the tensors at which these begin.

use std::collections::HashMap;

use crate::onnx::tensor_proto::DataType;

use super::attempt::{Job, declared, float_type};
use super::inputs::{Case, Feed, Slot};
use super::pair::Pair;
use super::precision::Precision;
use super::regions::{self, Barrier};
use super::shapes;
use crate::verify::reference::{self, Value};

/// Cuts `pair` at the nodes for which `barrier` holds. A region is fed what the original computes in float64 at its begin, rounded;
/// where that cannot be computed, random values of the case's kind. `None` when no node differs.
///
/// # Errors
/// In words.
pub(super) fn narrow<'a>(
    pair: &Pair<'a>,
    barrier: Barrier<'_>,
    job: &Job<'a>,
    side: usize,
) -> Result<Option<Pair<'a>>, String> {
    let Some(mut regions) = regions::cut(&pair.original.model, &pair.rewritten.model, barrier)? else {
        return Ok(None);
    };
    let (kept, begins): (Vec<&str>, Vec<&str>) =
        regions.inputs.iter().map(String::as_str).partition(|n| pair.slots.iter().any(|s| s.name == *n));
    let mut slots: Vec<Slot> = pair.slots.iter().filter(|s| kept.contains(&s.name.as_str())).cloned().collect();
    let mut inputs: Vec<_> = pair.inputs.iter().filter(|i| kept.contains(&i.name.as_str())).cloned().collect();
    let mut cases: Vec<Case> = pair.cases.iter().map(|c| c.keep(&kept)).collect();

    let (computed, random) = computable(pair, &begins)?;
    let graph = pair.original.graph();
    for (case, from) in cases.iter_mut().zip(&pair.cases) {
        case.feed.extend(values(pair, from, &computed, job.precision)?);
    }
    for name in computed {
        let value = cases.first().and_then(|c| c.feed.get(name)).ok_or("a region has no input")?;
        let dtype = declared(graph, name).dtype.unwrap_or(element_type(value, job.precision));
        slots.push(Slot { name: name.to_owned(), dtype, shape: value.shape().to_vec() });
    }
    let ports: Vec<_> = random.iter().map(|name| declared(graph, name)).collect();
    let stated = job.options.shapes.iter().filter(|(n, _)| random.contains(&n.as_str()));
    let stated: HashMap<_, _> = stated.cloned().collect();
    let chosen = shapes::choose(&ports, graph, &stated, side).map_err(|e| e.to_string())?;
    for (port, input) in ports.iter().zip(&chosen) {
        let dtype = port.dtype.unwrap_or(float_type(job.precision));
        let slot = Slot { name: port.name.clone(), dtype, shape: input.shape.clone() };
        for case in &mut cases {
            let value = case.kind.values(&slot, graph, job.options.seed).map_err(|e| e.to_string())?;
            case.feed.insert(slot.name.clone(), value);
        }
        slots.push(slot);
    }
    inputs.extend(chosen);
    regions.declare(&slots);
    Ok(Some(Pair { original: regions.original, rewritten: regions.rewritten, slots, cases, inputs }))
}

/// Which of the tensors the float64 evaluator can compute from the inputs of the original.
fn computable<'n>(pair: &Pair<'_>, names: &[&'n str]) -> Result<(Vec<&'n str>, Vec<&'n str>), String> {
    let case = pair.cases.first().ok_or("there are no inputs")?;
    let feed = pair.original.feed(&case.feed);
    let can = |wanted: &[&str]| reference::run_to(&pair.original.model, &feed, wanted).is_ok();
    if can(names) {
        return Ok((names.to_vec(), Vec::new()));
    }
    Ok(names.iter().partition(|n| can(&[**n])))
}

fn values(pair: &Pair<'_>, case: &Case, names: &[&str], precision: Precision) -> Result<Feed, String> {
    if names.is_empty() {
        return Ok(Feed::new());
    }
    let feed = pair.original.feed(&case.feed);
    let trace = reference::run_to(&pair.original.model, &feed, names).map_err(|e| e.to_string())?;
    let rounded = |value: &Value| match value {
        Value::F(a) => Value::F(a.mapv(|v| precision.round(v))),
        other => other.clone(),
    };
    Ok(names.iter().filter_map(|n| Some(((*n).to_owned(), rounded(trace.get(n)?)))).collect())
}

fn element_type(value: &Value, precision: Precision) -> DataType {
    match value {
        Value::F(_) => float_type(precision),
        Value::I(_) => DataType::Int64,
        Value::B(_) => DataType::Bool,
    }
}
