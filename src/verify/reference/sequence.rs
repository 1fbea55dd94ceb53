//! Parts of a tensor that are taken out of a sequence of them.
//!
//! There are no sequences here. [`joined`] makes `SequenceAt(SplitToSequence(x, split), place)` one node that reads all
//! three; a `SequenceAt` of any other sequence is refused.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use ndarray::Slice;

use crate::onnx::{GraphProto, ModelProto, NodeProto};

use super::Value;
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};
use super::scope::captured;
use super::value::any;

pub(super) const OPERATORS: Table = &[("SequenceAt", part), ("SplitToSequence", alone)];

/// `model` with each `SequenceAt` reading the tensor that its sequence was split from.
pub(super) fn joined(model: &ModelProto) -> Cow<'_, ModelProto> {
    let Some(graph) = model.graph.as_ref() else { return Cow::Borrowed(model) };
    let is = |n: &NodeProto, op: &str| n.op_type() == op && matches!(n.domain(), "" | "ai.onnx");
    let splits: BTreeMap<&str, &NodeProto> = graph
        .node
        .iter()
        .filter(|n| is(n, "SplitToSequence"))
        .filter_map(|n| Some((n.output.first()?.as_str(), n)))
        .collect();
    if splits.is_empty() {
        return Cow::Borrowed(model);
    }
    let mut nodes = graph.node.clone();
    for node in &mut nodes {
        let split = node.input.first().and_then(|s| splits.get(s.as_str())).filter(|_| is(node, "SequenceAt"));
        if let (Some(split), [_, place]) = (split, node.input.as_slice()) {
            let sizes = split.input.get(1).cloned().unwrap_or_default();
            node.input = vec![split.input.first().cloned().unwrap_or_default(), sizes, place.clone()];
            node.attribute = split.attribute.clone();
        }
    }
    let mut read: HashSet<&str> = graph.output.iter().map(|o| o.name()).collect();
    for node in &nodes {
        read.extend(node.input.iter().map(String::as_str));
        captured(node, &mut read);
    }
    let unread = |n: &NodeProto| n.output.iter().all(|o| !read.contains(o.as_str()));
    let gone: Vec<bool> = nodes.iter().map(|n| is(n, "SplitToSequence") && unread(n)).collect();
    let mut gone = gone.into_iter();
    nodes.retain(|_| !gone.next().unwrap_or(false));
    let graph = GraphProto { node: nodes, ..graph.clone() };
    Cow::Owned(ModelProto { graph: Some(graph), ..model.clone() })
}

fn alone(_: &mut Call) -> Outcome<Vec<Value>> {
    fault!("its sequence is read by something else than SequenceAt")
}

fn part(call: &mut Call) -> Outcome<Vec<Value>> {
    if call.inputs() != 3 {
        return fault!("its sequence does not come from a SplitToSequence");
    }
    let shape = call.value(0)?.shape().to_vec();
    let axis = dims::axis(call.int("axis", 0), shape.len())?;
    let total = shape[axis];
    let sizes = match call.optional_ints(1)? {
        None => vec![1; total],
        Some(sizes) if call.value(1)?.shape().is_empty() => chunks(total, &sizes)?,
        Some(sizes) => dims::dims(&sizes)?,
    };
    if sizes.iter().try_fold(0_usize, |sum, n| sum.checked_add(*n)) != Some(total) {
        return fault!("pieces of {sizes:?} of {total} entries");
    }
    let [place] = call.ints(2)?[..] else { return fault!("more than one place") };
    let place = dims::axis(place, sizes.len())?;
    let start: usize = sizes[..place].iter().sum();
    let taken = Slice::from(start..start + sizes[place]);
    let squeezed = !call.has(1) && !call.flag("keepdims", true);
    let x = call.take(0)?;
    let x = any!(x, a => a.slice_axis(ndarray::Axis(axis), taken).to_owned());
    if !squeezed {
        return Ok(vec![x]);
    }
    let mut shape = shape;
    shape.remove(axis);
    Ok(vec![any!(x, a => dims::reshape(a.as_standard_layout().into_owned(), &shape)?)])
}

/// Sizes of `total` entries in pieces of one size, the last of which may be smaller.
fn chunks(total: usize, size: &[i64]) -> Outcome<Vec<usize>> {
    match size {
        [n] if *n > 0 => {
            let n = usize::try_from(*n).unwrap_or(usize::MAX);
            Ok((0..total).step_by(n).map(|start| n.min(total - start)).collect())
        }
        _ => fault!("pieces of {size:?} entries"),
    }
}
