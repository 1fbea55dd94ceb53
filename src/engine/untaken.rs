//! A net behind every choice: what an edit would write and the target does not take. What stood there before is not judged.

use std::collections::BTreeMap;

use crate::graph::{self, EditList, NodeId};
use crate::onnx::{ModelProto, NodeProto};
use crate::options::Groups;
use crate::read::{Context, Reject, RejectCode};

use super::round::Round;

/// An operator; a convolution with the groups that it has.
type Written = (String, Groups);

/// Refuses `edits` for `site` when they write an operator more often than they take it away, and the target takes none.
pub(super) fn check(cx: Context<'_>, site: NodeId, edits: &EditList) -> Result<(), Reject> {
    let target = &cx.options.target;
    let mut before: BTreeMap<Written, usize> = BTreeMap::new();
    for node in &edits.remove {
        *before.entry(kind(cx, edits, cx.view.node(*node))).or_default() += 1;
    }
    for node in &edits.add_nodes {
        let kind = kind(cx, edits, node);
        if let Some(left) = before.get_mut(&kind).filter(|left| **left > 0) {
            *left -= 1;
            continue;
        }
        let (op, groups) = kind;
        let what = match (target.takes(&op), groups) {
            (false, _) => format!("no {op}"),
            (true, groups) if op == "Conv" && groups > target.groups() => "no Conv in such groups".to_owned(),
            _ => continue,
        };
        let reason = format!("{} takes {what}, which would have to be written", target.name());
        return Err(Reject::at(cx.view, site, RejectCode::Target, reason).hint("another --target, or none, takes it"));
    }
    Ok(())
}

/// Takes the edits that the target does not take out of `round`, each of which does what one site says.
pub(super) fn keep(cx: Context<'_>, round: &mut Round) {
    let edits = std::mem::take(&mut round.edits);
    let removed = std::mem::take(&mut round.removed);
    for (edits, mut site) in edits.into_iter().zip(removed) {
        let node = cx.view.value(&site.tensor).and_then(|v| cx.view.def(v)).or(edits.remove.first().copied());
        match node.map_or(Ok(()), |node| check(cx, node, &edits)) {
            Ok(()) => {
                round.edits.push(edits);
                round.removed.push(site);
            }
            Err(reject) => {
                site.status = crate::report::SiteStatus::Kept((&reject).into());
                round.kept.push(site);
            }
        }
    }
}

/// True when `after` has more of an operator than `before`, and the target takes none.
pub(super) fn grows(cx: Context<'_>, before: &ModelProto, after: &ModelProto) -> bool {
    let count = |model: &ModelProto| {
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        let nodes = model.graph.iter().flat_map(|g| &g.node);
        nodes.for_each(|node| *found.entry(graph::operator(node)).or_default() += 1);
        found
    };
    let before = count(before);
    let is_more =
        |(op, count): (String, usize)| count > before.get(&op).copied().unwrap_or(0) && !cx.options.target.takes(&op);
    count(after).into_iter().any(is_more)
}

fn kind(cx: Context<'_>, edits: &EditList, node: &NodeProto) -> Written {
    let op = graph::operator(node);
    if op != "Conv" {
        return (op, Groups::None);
    }
    let group = node.attribute.iter().find(|a| a.name() == "group").map_or(1, |a| a.i());
    let weight = node.input.get(1).map_or("", String::as_str);
    let added = edits.add_initializers.iter().find(|t| t.name() == weight).map(|t| t.dims.get(1).copied());
    let of_group = added.flatten().or_else(|| {
        let shape = cx.facts.constant_shape(cx.view.value(weight)?)?;
        i64::try_from(*shape.get(1)?).ok()
    });
    let size = |n: i64| usize::try_from(n).unwrap_or(0);
    (op, Groups::of(size(group), size(group.saturating_mul(of_group.unwrap_or(0)))))
}
