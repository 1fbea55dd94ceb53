//! Parallel linear branches: a tree of `Add`, `Sub` and `Sum` all of whose leaves are linear maps of one tensor.
//!
//! `y = sum_i A_i x` is `(sum_i A_i) x`: the kernels are embedded in the smallest window that holds all of
//! their taps and added (RepVGG, arXiv 2101.03697; ACNet, 1908.03930; DBB, 2103.13425; MobileOne, 2206.04040).
//! Padding reads 0 in each, so the sum is exact at every border as long as the outputs have the same size.

use std::collections::BTreeSet;

use crate::graph::{NodeId, ValueId};
use crate::read::{Context, Reject};

use super::op;
use super::region::{Region, Term, TermKind};

/// Most operators of a region.
const MAX_TERMS: usize = 512;

/// The factors of the inputs of `node`, when it is a sum of tensors of data.
#[must_use]
pub fn sum(cx: Context<'_>, node: NodeId) -> Option<Vec<(ValueId, f64)>> {
    let inputs: Vec<ValueId> = cx.view.inputs(node).iter().copied().collect::<Option<_>>()?;
    if inputs.len() < 2 || !inputs.iter().all(|v| cx.facts.is_data(*v)) {
        return None;
    }
    match cx.view.op(node) {
        "Add" | "Sum" => Some(inputs.into_iter().map(|v| (v, 1.0)).collect()),
        "Sub" => Some(inputs.into_iter().zip([1.0, -1.0]).collect()),
        _ => None,
    }
}

/// The region under the sum at `root`, back to the nearest tensor that all of it is a map of. `None` when the
/// leaves do not meet through operators that are linear at least inside of the image.
///
/// The inner `Err` names the operator that is linear inside of the image only.
#[must_use]
pub fn find(cx: Context<'_>, root: NodeId) -> Option<Result<Region, Reject>> {
    sum(cx, root)?;
    let rank = |v: ValueId| (cx.view.def(v).map(|n| cx.view.position(n)), v);
    let output = cx.view.output(root)?;
    let mut frontier = BTreeSet::from([rank(output)]);
    let mut terms: Vec<Term> = Vec::new();
    let mut near: Option<Reject> = None;
    // Always the tensor computed last: all that reads it stands behind it, so it is met once.
    while terms.is_empty() || frontier.len() > 1 {
        let (_, value) = frontier.pop_last()?;
        let node = cx.view.def(value)?;
        if terms.len() == MAX_TERMS {
            return None;
        }
        let kind = match sum(cx, node) {
            Some(inputs) => {
                frontier.extend(inputs.iter().map(|(v, _)| rank(*v)));
                TermKind::Sum(inputs)
            }
            None => {
                let found = op::read(cx, value)?;
                frontier.insert(rank(found.input));
                match found.op {
                    Ok(op) => TermKind::Op(found.input, Box::new(op)),
                    Err(reject) => {
                        near.get_or_insert(reject);
                        continue;
                    }
                }
            }
        };
        terms.push(Term { node, output: value, kind });
    }
    let (_, origin) = frontier.pop_first()?;
    terms.reverse();
    Some(match near {
        Some(reject) => Err(reject),
        None => Ok(Region { origin, root: output, terms }),
    })
}
