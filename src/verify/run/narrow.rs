//! From whole models to their rewritten regions, with values for the tensors at which these begin.

use std::collections::{HashMap, HashSet};

use crate::onnx::tensor_proto::DataType;
use crate::onnx::{GraphProto, ValueInfoProto};
use crate::verify::reference::{self, Value};

use crate::verify::structure::types;

use super::inputs::{Feed, InputKind, InputTensor};
use super::job::Job;
use super::pair::dependents;
use super::precision::Precision;
use super::regions::{self, Barrier};
use super::shapes::{self, Sizing};
use super::signature::Port;
use super::stage::{Begins, Stage, Trial};

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
    let given: HashSet<&str> = stage.inputs.iter().map(|s| s.name.as_str()).collect();
    let (kept, begins): (Vec<&str>, Vec<&str>) =
        regions.inputs.iter().map(String::as_str).partition(|n| given.contains(n));
    let kept: HashSet<&str> = kept.into_iter().collect();
    let mut slots: Vec<InputTensor> = stage.inputs.iter().filter(|s| kept.contains(s.name.as_str())).cloned().collect();
    let mut reports: Vec<_> = stage.reports.iter().filter(|i| kept.contains(i.name.as_str())).cloned().collect();

    let base = stage.feed(&Trial::of(InputKind::Normal))?;
    let (computed, random) = computable(stage, job, &stage.original.feed(&base), &begins);
    let infos = infos(stage.original.graph());
    let types = types(&stage.original.model);
    let float =
        |name: &str| types.of(name).filter(|t| Precision::of(*t).is_some()).unwrap_or(job.precision.data_type());
    for (name, value) in &computed {
        let usual = match value {
            Value::F(_) => float(name),
            Value::I(_) => DataType::Int64,
            Value::B(_) => DataType::Bool,
        };
        let dtype = declared(&infos, name).dtype.unwrap_or(usual);
        slots.push(InputTensor { name: name.clone(), dtype, shape: value.shape().to_vec() });
    }
    let ports: Vec<_> = random.iter().map(|name| declared(&infos, name)).collect();
    let stated = job.options.shapes.iter().filter(|(n, _)| random.iter().any(|r| r == n));
    let stated: HashMap<_, _> = stated.cloned().collect();
    let chosen = shapes::choose(&ports, stage.original.graph(), &stated, sizing).map_err(|e| e.to_string())?;
    let made = |(port, input): (&Port, &crate::verify::report::InputReport)| {
        let dtype = port.dtype.unwrap_or(float(&port.name));
        InputTensor { name: port.name.clone(), dtype, shape: input.shape.clone() }
    };
    let random: Vec<InputTensor> = ports.iter().zip(&chosen).map(made).collect();
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
fn computable(stage: &Stage<'_>, job: &Job<'_>, feed: &Feed, names: &[&str]) -> (Vec<(String, Value)>, Vec<String>) {
    // What stands behind an operator that the evaluator lacks need not be tried.
    let graph = stage.original.graph();
    let unknown = graph.node.iter().filter(|n| job.support.is_unknown(n)).flat_map(|n| &n.output);
    let lost = dependents(graph, unknown.map(String::as_str).filter(|o| !o.is_empty()));
    let (lost, tried): (Vec<&str>, Vec<&str>) = names.iter().partition(|n| lost.contains(**n));
    let (computed, failed) = divided(&tried, &|wanted| {
        let trace = reference::run_to(&stage.original.model, feed, wanted).ok()?;
        wanted.iter().map(|n| Some(((*n).to_owned(), trace.get(n)?.clone()))).collect()
    });
    let others: HashSet<&str> = lost.into_iter().chain(failed).collect();
    (computed, names.iter().filter(|n| others.contains(**n)).map(|n| (*n).to_owned()).collect())
}

/// What `compute` gives for `names`, and those for which it gives nothing. All are tried together, and halves of them where that fails:
/// a few failures among many take few runs.
fn divided<'n, T>(names: &[&'n str], compute: &dyn Fn(&[&str]) -> Option<Vec<T>>) -> (Vec<T>, Vec<&'n str>) {
    let (mut computed, mut failed) = (Vec::new(), Vec::new());
    let mut open = vec![names];
    while let Some(names) = open.pop() {
        match (compute(names), names) {
            (Some(values), _) => computed.extend(values),
            (None, []) => {}
            (None, [one]) => failed.push(*one),
            (None, names) => {
                let (first, second) = names.split_at(names.len() / 2);
                open.extend([second, first]);
            }
        }
    }
    (computed, failed)
}

/// What the graph says of its tensors.
fn infos(graph: &GraphProto) -> HashMap<&str, &ValueInfoProto> {
    // The first of two that name the same tensor counts.
    graph.value_info.iter().chain(&graph.output).rev().map(|v| (v.name(), v)).collect()
}

/// The type of a tensor of which only the value is known.
fn declared(infos: &HashMap<&str, &ValueInfoProto>, name: &str) -> Port {
    let unknown = || Port { name: name.to_owned(), dtype: None, dims: None };
    infos.get(name).map_or_else(unknown, |info| Port::new(info))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::divided;

    #[test]
    fn a_few_failures_among_many_take_few_runs() {
        let names: Vec<String> = (0..1000).map(|i| i.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let runs = Cell::new(0);
        let compute = |wanted: &[&str]| {
            runs.set(runs.get() + 1);
            let fails = wanted.contains(&"3") || wanted.contains(&"700");
            (!fails).then(|| wanted.iter().map(|n| (*n).to_owned()).collect())
        };
        let (computed, failed) = divided(&names, &compute);
        assert_eq!(failed, ["3", "700"]);
        assert_eq!(computed.len(), 998);
        assert!(runs.get() < 50, "{} runs", runs.get());
        runs.set(0);
        assert_eq!(divided(&names[10..600], &compute).0, names[10..600], "in their order");
        assert_eq!(runs.get(), 1);
        assert!(divided(&[], &compute).0.is_empty());
    }
}
