//! Where two models part: the first tensor of both whose float64 values differ.

use std::collections::HashSet;

use super::compare::{distance, floats};
use super::inputs::Case;
use super::pair::Side;
use super::precision::Precision;
use crate::verify::reference;
use crate::verify::report::FirstDifference;

/// Differences up to this many epsilons are the rounding of new weights. Above the widest seen in a right rewrite, and far
/// below what a wrong weight does to the tensor behind it.
const ROUNDING_ULPS: f64 = 32.0;

/// Evaluates both models on `case` and returns the first tensor, in the order of the original, that has the same name in both
/// and other values. `None` when float64 shows no difference, or a model cannot be evaluated.
pub(super) fn first_difference(
    original: &Side<'_>,
    rewritten: &Side<'_>,
    case: &Case,
    precision: Precision,
) -> Option<FirstDifference> {
    let defined = |side: &Side<'_>| -> HashSet<String> {
        side.model
            .graph
            .iter()
            .flat_map(|g| &g.node)
            .flat_map(|n| &n.output)
            .filter(|o| !o.is_empty())
            .cloned()
            .collect()
    };
    let (a, b) = (defined(original), defined(rewritten));
    let common: Vec<&str> = a.intersection(&b).map(String::as_str).collect();
    let exact = reference::run_to(&original.model, &original.feed(&case.feed), &common).ok()?;
    let after = reference::run_to(&rewritten.model, &rewritten.feed(&case.feed), &common).ok()?;
    let limit = ROUNDING_ULPS * precision.epsilon();
    for (tensor, value) in exact.tensors() {
        let (x, y) = (floats(value), floats(after.get(tensor)?));
        let largest = x.iter().fold(0.0_f64, |max, v| v.abs().max(max));
        if !x.iter().all(|v| v.is_finite()) {
            continue;
        }
        let difference = match x.shape() == y.shape() {
            true if x == y => 0.0,
            true => distance(&x, &y) / largest.max(f64::MIN_POSITIVE),
            false => f64::INFINITY,
        };
        if difference > limit {
            let node =
                original.model.graph.iter().flat_map(|g| &g.node).find(|n| n.output.iter().any(|o| o == tensor))?;
            return Some(FirstDifference {
                tensor: tensor.to_owned(),
                node: node.name().to_owned(),
                op: node.op_type().to_owned(),
                difference,
                input: case.name.clone(),
            });
        }
    }
    None
}
