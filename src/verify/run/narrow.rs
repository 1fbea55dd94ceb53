//! From whole models to their rewritten regions, with values for the tensors at which these begin.

use std::collections::HashMap;

use crate::onnx::tensor_proto::DataType;
use crate::onnx::{GraphProto, ModelProto};
use crate::verify::reference::{self, Value};

use super::attempt::Job;
use super::inputs::{Feed, Kind, Slot};
use super::regions::{self, Barrier};
use super::shapes::{self, Sizing};
use super::signature::Port;
use super::stage::{Begins, Stage, Trial};
use super::widths::Widths;

/// Cuts the models of `stage` at the nodes for which `barrier` holds. A region is fed what the original computes in float64 where it
/// begins, rounded; where that cannot be computed, random values of the trial's kind. `None` when no node differs.
///
/// # Errors
/// In words.
pub(super) fn narrow<'a>(
    stage: &Stage<'a>,
    barrier: Barrier<'_>,
    job: &Job<'a>,
    sizing: Sizing,
) -> Result<Option<Stage<'a>>, String> {
    let Some(mut regions) = regions::cut(&stage.original.model, &stage.rewritten.model, barrier)? else {
        return Ok(None);
    };
    let (kept, begins): (Vec<&str>, Vec<&str>) =
        regions.inputs.iter().map(String::as_str).partition(|n| stage.inputs.iter().any(|s| s.name == *n));
    let mut slots: Vec<Slot> = stage.inputs.iter().filter(|s| kept.contains(&s.name.as_str())).cloned().collect();
    let mut reports: Vec<_> = stage.reports.iter().filter(|i| kept.contains(&i.name.as_str())).cloned().collect();

    let base = stage.feed(&Trial::of(Kind::Normal))?;
    let (computed, random) = computable(&stage.original.model, &stage.original.feed(&base), &begins);
    let graph = stage.original.graph();
    let widths = Widths::new(&stage.original.model);
    let float = |name: &str| widths.of(name).data_type();
    for (name, value) in &computed {
        let usual = match value {
            Value::F(_) => float(name),
            Value::I(_) => DataType::Int64,
            Value::B(_) => DataType::Bool,
        };
        let dtype = declared(graph, name).dtype.unwrap_or(usual);
        slots.push(Slot { name: name.clone(), dtype, shape: value.shape().to_vec() });
    }
    let ports: Vec<_> = random.iter().map(|name| declared(graph, name)).collect();
    let stated = job.options.shapes.iter().filter(|(n, _)| random.iter().any(|r| r == n));
    let stated: HashMap<_, _> = stated.cloned().collect();
    let chosen = shapes::choose(&ports, graph, &stated, sizing).map_err(|e| e.to_string())?;
    let made = |(port, input): (&Port, &crate::verify::report::InputReport)| {
        let dtype = port.dtype.unwrap_or(float(&port.name));
        Slot { name: port.name.clone(), dtype, shape: input.shape.clone() }
    };
    let random: Vec<Slot> = ports.iter().zip(&chosen).map(made).collect();
    slots.extend(random.iter().cloned());
    let begins = Begins {
        kept: kept.into_iter().map(str::to_owned).collect(),
        computed: computed.into_iter().map(|(name, _)| name).collect(),
        random,
    };
    reports.extend(chosen);
    regions.declare(&slots);
    Ok(Some(Stage {
        original: regions.original,
        rewritten: regions.rewritten,
        whole: stage.whole.clone(),
        inputs: stage.inputs.clone(),
        slots,
        begins: Some(begins),
        reports,
        seed: stage.seed,
    }))
}

/// Those of the tensors `names` that the float64 evaluator can compute, with their values, and the others.
fn computable(model: &ModelProto, feed: &Feed, names: &[&str]) -> (Vec<(String, Value)>, Vec<String>) {
    let values = |wanted: &[&str]| {
        let trace = reference::run_to(model, feed, wanted).ok()?;
        wanted.iter().map(|n| Some(((*n).to_owned(), trace.get(n)?.clone()))).collect::<Option<Vec<_>>>()
    };
    if let Some(all) = values(names) {
        return (all, Vec::new());
    }
    let (mut computed, mut random) = (Vec::new(), Vec::new());
    for name in names {
        match values(&[*name]) {
            Some(value) => computed.extend(value),
            None => random.push((*name).to_owned()),
        }
    }
    (computed, random)
}

/// The type of a tensor of which only the value is known.
fn declared(graph: &GraphProto, name: &str) -> Port {
    let mut infos = graph.value_info.iter().chain(&graph.output);
    infos.find(|v| v.name() == name).map_or_else(|| Port { name: name.to_owned(), dtype: None, dims: None }, Port::new)
}
