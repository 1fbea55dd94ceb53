//! Initializers that are graph inputs as well. A caller may override them, so nothing is proved with their values, unless nobody
//! can: before IR version 4, or because the user says so.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph;
use crate::onnx::ModelProto;
use crate::options::{Family, Options};
use crate::read::RejectCode;
use crate::report::{Outcome, RejectReport, SiteReport, SiteStatus};

/// What is rewritten in place of `model`: the same, with its defaults as constants where they are that.
pub(super) fn as_constants(model: &ModelProto, options: &Options) -> ModelProto {
    graph::without_defaults(model, options.constant_initializers).unwrap_or_else(|| model.clone())
}

/// Gives every site of `model` that stays the reason that it would have if all defaults were constants, for which `constant` was
/// found: that they are not, where it would go then. Folds that only constants show are listed as well.
pub(super) fn explain(model: &ModelProto, constant: &Outcome, outcome: &mut Outcome) {
    let key = |site: &SiteReport| (site.kind, site.tensor.clone());
    let would: BTreeMap<(Family, String), &SiteReport> = constant.sites.iter().rev().map(|s| (key(s), s)).collect();
    let listed: BTreeSet<(Family, String)> = outcome.sites.iter().map(key).collect();
    // Their sizes are known whoever overrides them; only then are they weights.
    outcome.before.macs = outcome.before.macs.or(constant.before.macs);
    if outcome.removed().next().is_none() {
        outcome.after = outcome.before.clone();
    }
    for site in outcome.sites.iter_mut().filter(|s| matches!(s.status, SiteStatus::Kept(_))) {
        match would.get(&key(site)).map(|s| &s.status) {
            Some(SiteStatus::Kept(reject)) => site.status = SiteStatus::Kept(reject.clone()),
            Some(_) => site.status = SiteStatus::Kept(overridable(model, site)),
            None => {}
        }
    }
    let computed: BTreeSet<&str> =
        model.graph.iter().flat_map(|g| &g.node).flat_map(|n| &n.output).map(String::as_str).collect();
    let only_then = constant.removed().map(|(site, _)| site).filter(|site| !listed.contains(&key(site)));
    for site in only_then.filter(|site| computed.contains(site.tensor.as_str())) {
        outcome.sites.push(SiteReport { status: SiteStatus::Kept(overridable(model, site)), ..site.clone() });
    }
}

fn overridable(model: &ModelProto, site: &SiteReport) -> RejectReport {
    let named = nearest(model, &site.tensor).map(|name| format!(", as '{name}'")).unwrap_or_default();
    let reason = format!("its weights are graph inputs as well{named}, so a caller may override them");
    RejectReport {
        node: site.join.clone(),
        tensor: site.tensor.clone(),
        hint: "--constant-initializers takes them as constants, and out of the inputs".to_owned(),
        ..RejectReport::new(RejectCode::WeightNotConstant, reason)
    }
}

/// The default that the fewest operators stand between it and `tensor`.
fn nearest<'m>(model: &'m ModelProto, tensor: &str) -> Option<&'m str> {
    let graph = model.graph.as_ref()?;
    let defaults: BTreeSet<&str> = graph::defaults(model).into_iter().collect();
    let by: BTreeMap<&str, &[String]> =
        graph.node.iter().flat_map(|n| n.output.iter().map(|o| (o.as_str(), n.input.as_slice()))).collect();
    let (name, _) = by.get_key_value(tensor)?;
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut open: std::collections::VecDeque<&str> = [*name].into();
    while let Some(at) = open.pop_front() {
        for input in by.get(at).copied().unwrap_or_default() {
            if let Some(default) = defaults.get(input.as_str()) {
                return Some(default);
            }
            if seen.insert(input) {
                open.push_back(input);
            }
        }
    }
    None
}
