//! Calls of local functions and fused operators. They are looked at as what they stand for, and written out where that removes a
//! join or folds something; every other call stays as it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::graph;
use crate::onnx::{ModelProto, NodeProto};
use crate::options::{Family, Options};
use crate::plan::change::Price;
use crate::report::{Outcome, SiteStatus};

use super::budget::Rewritten;
use super::error::EngineError;
use super::price::priced;

/// Rewrites `model` with `run`, first with all calls written out, then with those that something of is gone.
pub(super) fn rewrite(
    model: &ModelProto,
    options: &Options,
    run: &mut dyn FnMut(&ModelProto) -> Result<Rewritten, EngineError>,
) -> Result<Rewritten, EngineError> {
    let calls = graph::calls(model, !options.keep_functions);
    if calls.is_empty() {
        return run(model);
    }
    let (whole, outcome) = run(&graph::written_out(model, &calls, &|_| true))?;
    let before = priced(model)?;
    // What is counted inside of calls is known of the model without any; what the file holds is that of the file.
    let finish = |rewritten: ModelProto, outcome: Outcome, after: Price| {
        let told = |file: &Price, all: &Price| Price { macs: all.macs, joins: all.joins, ..file.clone() };
        let (before, after) = (told(&before, &outcome.before), told(&after, &outcome.after));
        let mut outcome = Outcome { before, after, ..outcome };
        blame_calls(model, &calls, &mut outcome);
        (rewritten, outcome)
    };
    if outcome.removed().next().is_none() {
        return Ok(finish(model.clone(), outcome, before.clone()));
    }
    let left = nodes(&whole);
    let is_left = |part: &NodeProto| part.output.first().and_then(|o| left.get(o.as_str())).is_some_and(|n| *n == part);
    let gone: BTreeSet<usize> =
        calls.iter().filter(|(_, parts)| !parts.iter().all(is_left)).map(|(index, _)| *index).collect();
    let (rewritten, again) = run(&graph::written_out(model, &calls, &|index| gone.contains(&index)))?;
    let removed = |outcome: &Outcome| -> BTreeMap<(Family, String), usize> {
        let mut count = BTreeMap::new();
        outcome.removed().for_each(|(s, _)| *count.entry((s.kind, s.tensor.clone())).or_default() += 1);
        count
    };
    // What a call hides may be what a proof rests on: then all of them are written out.
    let enough = removed(&again) == removed(&outcome);
    let (rewritten, after) = if enough { (rewritten, again.after) } else { (whole, outcome.after.clone()) };
    Ok(finish(rewritten, outcome, after))
}

/// What stays is blamed on nodes and tensors that the file has: those of the call that hides it.
fn blame_calls(model: &ModelProto, calls: &graph::Calls, outcome: &mut Outcome) {
    let Some(graph) = &model.graph else { return };
    let mut named: HashMap<&str, &str> = HashMap::new();
    for (node, parts) in calls.iter().filter_map(|(index, parts)| Some((graph.node.get(*index)?, parts))) {
        let inner = parts.iter().flat_map(|p| &p.output).filter(|o| !o.is_empty() && !node.output.contains(o));
        named.extend(inner.map(|o| (o.as_str(), node.output.first().map_or("", String::as_str))));
        named.extend(parts.iter().map(|p| (p.name(), node.name())).filter(|(part, _)| !part.is_empty()));
    }
    let rename = |name: &mut String| {
        if let Some(known) = named.get(name.as_str()) {
            (*known).clone_into(name);
        }
    };
    for site in &mut outcome.sites {
        if let SiteStatus::Kept(reject) = &mut site.status {
            [&mut site.join, &mut site.tensor, &mut reject.node, &mut reject.tensor].into_iter().for_each(rename);
        }
    }
}

/// The nodes of the main graph by their first output.
fn nodes(model: &ModelProto) -> HashMap<&str, &NodeProto> {
    let all = model.graph.iter().flat_map(|g| &g.node);
    all.filter_map(|n| Some((n.output.first()?.as_str(), n))).collect()
}
