//! Differences that are none: two ways to write the same thing down.

use std::collections::BTreeMap;

use crate::onnx::NodeProto;
use crate::verify::reference::Value;

use super::attributes::setting;
use super::difference::What;

/// True when two nodes differ in an axis that is the same one, counted from the front and from the end. The rank is that of the
/// first input: a tensor has one rank, whatever is fed.
pub(super) fn same_axes(a: &NodeProto, b: &NodeProto, what: &What, feed: &BTreeMap<String, Value>) -> bool {
    let What::Attribute { name, .. } = what else { return false };
    // What stands in front has another rank than what the axis counts in.
    if !matches!(name.as_str(), "axis" | "axes") || matches!(a.op_type(), "ConcatFromSequence" | "SequenceAt") {
        return false;
    }
    let axes = |n| setting(n, name, &[], &[]).axes();
    let (Some(x), Some(y)) = (axes(a), axes(b)) else { return false };
    let Some(rank) = a.input.first().and_then(|i| feed.get(i)).map(|v| v.shape().len() as i64) else { return false };
    let rank = if a.op_type() == "Unsqueeze" { rank + x.len() as i64 } else { rank };
    x.len() == y.len() && x.iter().zip(&y).all(|(x, y)| x.rem_euclid(rank.max(1)) == y.rem_euclid(rank.max(1)))
}

/// True when a difference can only show in the shape, which is the same for all inputs: one that gives the same result once gives
/// it always.
pub(super) fn is_shape_alone(node: &NodeProto, what: &What) -> bool {
    let What::Constant { slot: Some(slot), .. } = what else { return false };
    match node.op_type() {
        "Reshape" | "Expand" | "Tile" | "Squeeze" | "Unsqueeze" | "Split" => *slot == 1,
        _ => false,
    }
}
