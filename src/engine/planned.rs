//! A plan that the user has of the joins: replayed, and made of what a rewrite did.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::graph::{self, GraphView, NodeId};
use crate::onnx::{ModelProto, NodeProto};
use crate::options::{Options, Plan, PlannedNote, PlannedSite};
use crate::read::Context;
use crate::report::{Outcome, SiteStatus};

use super::error::EngineError;
use super::round::{Refused, leave};

/// Nodes that may be joins.
pub(super) fn is_sum(view: &GraphView<'_>, node: NodeId) -> bool {
    matches!(view.op(node), "Add" | "Sum" | "Sub")
}

/// The sums of `model`, those in bodies too, by what they compute.
fn sums(model: &ModelProto) -> HashMap<&str, &NodeProto> {
    let main = model.graph.iter().flat_map(|g| &g.node);
    let all = main.flat_map(|n| std::iter::once(n).chain(graph::inner_nodes(n)));
    let sums = all.filter(|n| matches!(graph::operator(n).as_str(), "Add" | "Sum" | "Sub"));
    sums.filter_map(|n| Some((n.output.first()?.as_str(), n))).collect()
}

/// Adds to `refused` the joins of `model` that the plan leaves.
///
/// # Errors
/// When the plan names what is no join of `model`.
pub(super) fn left(model: &ModelProto, options: &Options, refused: &mut Refused) -> Result<(), EngineError> {
    let Some(plan) = &options.plan else { return Ok(()) };
    let sums = sums(model);
    for site in &plan.sites {
        let Some(node) = sums.get(site.tensor.as_str()) else {
            return Err(EngineError::Plan { tensor: site.tensor.clone() });
        };
        if !site.remove {
            leave(refused, node.name(), &site.tensor, "the plan leaves it");
        }
    }
    Ok(())
}

/// The options for the join at `join`: those of the plan where it has some.
pub(super) fn options<'o>(cx: Context<'o>, join: NodeId) -> Cow<'o, Options> {
    let site = || cx.options.plan.as_ref()?.site(cx.view.output(join).map(|v| cx.view.name(v))?);
    let Some(site) = site() else { return Cow::Borrowed(cx.options) };
    let mut options = cx.options.clone();
    options.carry = site.carry.unwrap_or(options.carry);
    options.downsample = site.downsample.unwrap_or(options.downsample);
    options.activation = site.activation.unwrap_or(options.activation);
    Cow::Owned(options)
}

/// The plan that does again what `outcome` says of `model`, as far as its joins stand in the file.
///
/// # Errors
/// When the graph is malformed.
pub fn planned(model: &ModelProto, options: &Options, outcome: &Outcome) -> Result<Plan, EngineError> {
    GraphView::new(model)?;
    let sums = sums(model);
    let mut plan = Plan::default();
    for site in outcome.sites.iter().filter(|site| site.is_residual()) {
        if !sums.contains_key(site.tensor.as_str()) || plan.site(&site.tensor).is_some() {
            continue;
        }
        let asked = options.plan.as_ref().and_then(|plan| plan.site(&site.tensor));
        let mut planned = PlannedSite { tensor: site.tensor.clone(), ..PlannedSite::default() };
        let mut note = PlannedNote { join: site.join.clone(), ..PlannedNote::default() };
        match &site.status {
            SiteStatus::Removed(change) | SiteStatus::Candidate(change) => {
                planned.remove = true;
                planned.carry = Some(asked.and_then(|a| a.carry).unwrap_or(options.carry));
                planned.downsample = Some(asked.and_then(|a| a.downsample).unwrap_or(options.downsample));
                planned.activation = Some(asked.and_then(|a| a.activation).unwrap_or(options.activation));
                note.says = change.form.clone();
                (note.macs_before, note.macs_after) = (change.macs_before, change.macs_after);
            }
            SiteStatus::Kept(reject) => note.says = format!("{}: {}", reject.code.as_str(), reject.reason),
        }
        planned.note = Some(note);
        plan.sites.push(planned);
    }
    Ok(plan)
}
