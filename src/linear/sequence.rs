//! Linear operators one after the other, with nothing between: `Conv` + `BatchNormalization`, `Pad` + `Conv`,
//! `BatchNormalization` + `Conv`, `Conv` + `Conv`, and longer chains of them; the same with `Gemm` and `MatMul` on vectors.
//!
//! Inside of the image two windows always compose. At the border the second may pad with zeros, and that is exact
//! only where the first, continued outside, would give zero: no bias, and no tap that still sees the image.

use crate::graph::{NodeId, ValueId};
use crate::read::{Context, Reject, RejectCode};

use super::op::{self, Found};
use super::region::{Region, Term, TermKind};

/// Longest chain that is looked at.
const MAX_TERMS: usize = 32;

/// A place where folding may start.
pub struct Site {
    /// The chains that start here, each one operator longer than the one before.
    pub regions: Vec<Region>,
    /// Why the chain ends where something that looks like more of it follows.
    pub end: Option<Reject>,
}

/// The chains that start with the node at `head`; the shortest has two operators, one of them with weights.
#[must_use]
pub fn find(cx: Context<'_>, head: NodeId) -> Site {
    let mut site = Site { regions: Vec::new(), end: None };
    let Some(first) = only_output(cx, head).and_then(|v| link(cx, v)) else { return site };
    if matches!(&first.1.op, Ok(op) if op.is_nothing()) || op::ends_activation(cx, head, first.1.input) {
        return site;
    }
    let mut chain = vec![first];
    while chain.len() < MAX_TERMS {
        let Some((value, _)) = chain.last() else { break };
        match next(cx, *value) {
            Ok(Some(found)) => chain.push(found),
            Ok(None) => break,
            Err(reject) => {
                let weighted = chain.iter().any(|(_, f)| matches!(&f.op, Ok(op) if op.is_weighted()));
                site.end = weighted.then_some(reject);
                break;
            }
        }
    }
    for length in 2..=chain.len() {
        match region(cx, &chain[..length]) {
            Some(Ok(region)) => site.regions.push(region),
            Some(Err(reject)) => {
                site.end = Some(reject);
                break;
            }
            None => {}
        }
    }
    site
}

type Link = (ValueId, Found);

fn link(cx: Context<'_>, value: ValueId) -> Option<Link> {
    Some((value, op::read(cx, value)?))
}

/// The output of a node that has just one.
fn only_output(cx: Context<'_>, node: NodeId) -> Option<ValueId> {
    let mut outputs = cx.view.outputs(node).iter().flatten();
    let first = outputs.next().copied();
    first.filter(|_| outputs.next().is_none())
}

/// The linear operator behind `value`. An error when one would be there, but the value is needed elsewhere.
fn next(cx: Context<'_>, value: ValueId) -> Result<Option<Link>, Reject> {
    let view = cx.view;
    let follow = |reader: NodeId| {
        only_output(cx, reader).and_then(|output| link(cx, output)).filter(|(_, found)| found.input == value)
    };
    if view.is_private(value) {
        return Ok(view.uses(value).first().and_then(|u| follow(u.node)));
    }
    let affine = view.uses(value).iter().find(|u| {
        follow(u.node).is_some_and(|(_, found)| matches!(found.op, Ok(op) if op.is_affine() && !op.is_uniform()))
    });
    let Some(reader) = affine else { return Ok(None) };
    let why = if view.is_output(value) {
        "it is an output of the graph"
    } else if view.is_captured(value) {
        "a subgraph reads it"
    } else {
        "other operators read it"
    };
    let reason =
        format!("'{}' cannot fold into what computes '{}': {why}", view.node(reader.node).name(), view.name(value));
    Err(Reject::tensor(view, value, RejectCode::ReadElsewhere, reason))
}

/// `chain` as a region; `None` when it has fewer than two operators, none with weights, or ends with one that does nothing.
fn region(cx: Context<'_>, chain: &[Link]) -> Option<Result<Region, Reject>> {
    let nothing = |found: &Found| matches!(&found.op, Ok(op) if op.is_nothing());
    let weighted = |found: &Found| match &found.op {
        Ok(op) => op.is_weighted(),
        Err(_) => matches!(cx.view.op(found.node), "Conv" | "Gemm" | "MatMul"),
    };
    let (root, last) = chain.last()?;
    let origin = chain.first()?.1.input;
    let working = chain.iter().filter(|(_, f)| !nothing(f)).count();
    if working < 2 || nothing(last) || !chain.iter().any(|(_, f)| weighted(f)) {
        return None;
    }
    let mut terms = Vec::new();
    for (output, _) in chain {
        // Read again: an operator is not copied, and reading is cheap beside folding.
        let found = op::read(cx, *output)?;
        match found.op {
            Ok(op) => {
                terms.push(Term { node: found.node, output: *output, kind: TermKind::Op(found.input, Box::new(op)) })
            }
            Err(reject) => return Some(Err(reject)),
        }
    }
    Some(Ok(Region { origin, root: *root, terms }))
}
