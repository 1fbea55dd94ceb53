//! `Sum` of more than two tensors: several joins in one node. It is read as a sum of sums: where one pair of its inputs is a
//! branch and its shortcut, `Sum(a, b, c)` becomes `Sum(Sum(a, b), c)`, of which the inner join goes at once. A `Sum` of which
//! no pair goes is left alone.

use crate::facts::Facts;
use crate::graph::{self, EditList, GraphView, Names, NodeId};
use crate::onnx::{ModelProto, NodeProto};
use crate::options::Family;
use crate::read::{Context, Reject, RejectCode};
use crate::report::SiteStatus;
use crate::residual::find;

use super::error::EngineError;
use super::join::{Planned, plan_join};
use super::round::{Refused, Round, refused_site, report};

/// Looks for a pair that can go, `Sum` by `Sum`. Those of which none can are kept, with the reason of the pair that came
/// furthest.
pub(super) fn remove_pair(
    model: &ModelProto,
    cx: Context<'_>,
    refused: &Refused,
    round: &mut Round,
) -> Result<(), EngineError> {
    for node in cx.view.nodes() {
        let Some(summands) = find::summands(cx, node) else { continue };
        if let Some(stays) = refused_site(cx, refused, node) {
            round.kept.push(stays);
            continue;
        }
        match first_pair(model, cx, node)? {
            Ok((model, status, renamed)) => {
                round.parted = Some(model);
                round.renamed = renamed;
                round.removed.push(report(cx, Family::Residual, node, status));
                return Ok(());
            }
            Err(mut reject) => {
                reject.reason = format!("a sum of {}: {}", summands.len(), reject.reason);
                round.kept.push(report(cx, Family::Residual, node, SiteStatus::Kept((&reject).into())));
            }
        }
    }
    Ok(())
}

/// The model, what was done, and what has other names in it.
type Removed = (ModelProto, SiteStatus, Vec<(String, String)>);

fn first_pair(model: &ModelProto, cx: Context<'_>, node: NodeId) -> Result<Result<Removed, Reject>, EngineError> {
    let inputs = cx.view.inputs(node);
    let is_data = |slot: usize| inputs[slot].filter(|v| cx.facts.is_data(*v));
    let mut nearest: Option<Reject> = None;
    for first in 0..inputs.len() {
        for second in first + 1..inputs.len() {
            let (Some(a), Some(b)) = (is_data(first), is_data(second)) else { continue };
            let tried = match find::find_pair(cx, node, (a, b)) {
                // Only a model in which the pair is a node of its own can tell more.
                Ok(_) => without_pair(model, cx, node, (first, second))?,
                Err(reject) => Err(reject),
            };
            match tried {
                Ok(removed) => return Ok(Ok(removed)),
                Err(reject) if nearest.as_ref().is_none_or(|n| n.depth < reject.depth) => nearest = Some(reject),
                Err(_) => {}
            }
        }
    }
    Ok(Err(nearest.unwrap_or_else(|| Reject::at(cx.view, node, RejectCode::TwoBranches, "it has no branch"))))
}

/// The model with the join of the inputs at two slots of `node` removed.
fn without_pair(
    model: &ModelProto,
    cx: Context<'_>,
    node: NodeId,
    slots: (usize, usize),
) -> Result<Result<Removed, Reject>, EngineError> {
    let mut names = Names::new(model);
    let mut parted = model.clone();
    let (edits, pair) = part(cx, node, slots, &mut names);
    let mut touched = graph::apply(&mut parted, &[edits])?;
    let planned = {
        let view = GraphView::new(&parted)?;
        let facts = Facts::new(&view);
        let cx = Context { view: &view, facts: &facts, ..cx };
        let Some(join) = view.value(&pair).and_then(|v| view.def(v)) else { return Ok(Err(no_pair(cx, node))) };
        plan_join(cx, join, &Default::default(), &mut names, &mut Default::default())
    };
    let Planned { edits, report, .. } = match planned {
        Ok(planned) => planned,
        Err(mut reject) => {
            // No other pair came as far as to be read on both sides.
            reject.depth = usize::MAX;
            // The pair is in no file.
            if reject.tensor == pair {
                let sum = no_pair(cx, node);
                (reject.node, reject.tensor) = (sum.node, sum.tensor);
            }
            return Ok(Err(reject));
        }
    };
    let renamed = edits.renamed.clone();
    touched.extend(graph::apply(&mut parted, &[edits])?);
    graph::clean(&mut parted, &touched);
    graph::validate(&parted)?;
    Ok(Ok((parted, report.status, renamed)))
}

/// `node` as a sum of two of its inputs and a sum of that with the rest, and the name of the inner one's result.
fn part(cx: Context<'_>, node: NodeId, (first, second): (usize, usize), names: &mut Names) -> (EditList, String) {
    let sum = cx.view.node(node);
    let result = cx.view.output(node).map(|v| cx.view.name(v)).unwrap_or_default();
    let pair = names.fresh(&format!("{result}_pair"));
    let mut rest = sum.clone();
    let removed = rest.input.remove(second);
    let kept = std::mem::replace(&mut rest.input[first], pair.clone());
    let inner = NodeProto {
        name: Some(names.fresh(&format!("{}_pair", sum.name()))),
        input: vec![kept, removed],
        output: vec![pair.clone()],
        ..sum.clone()
    };
    let site = if sum.name().is_empty() { result } else { sum.name() };
    let provenance = format!("residual: {site}");
    (EditList { remove: vec![node], add_nodes: vec![inner, rest], provenance, ..EditList::default() }, pair)
}

fn no_pair(cx: Context<'_>, node: NodeId) -> Reject {
    Reject::at(cx.view, node, RejectCode::TwoBranches, "it has no branch")
}
