//! Peak memory of activations: what is alive at once when the nodes run in their order.
//!
//! A tensor of data is alive from the node that computes it to the last one that reads it; the graph's inputs from the start, its
//! outputs to the end. Weights are not counted, nor what a kernel takes for itself. Views take nothing, and what writes
//! over an operand (`operators::Storage`) does so where that is of the same size and nothing reads it later, as runtimes' planners do.

use crate::facts::{Dim, Facts};
use crate::graph::{GraphView, NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::operators::{Storage, broadcasts, storage};

/// The most that is alive at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peak {
    /// Bytes of all tensors of data that are alive.
    pub bytes: u64,
    /// The node at which that is; `None` for a graph without nodes.
    pub node: Option<NodeId>,
}

/// Where one or more tensors are kept, one after the other.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// The first of them.
    pub value: ValueId,
    /// What it takes.
    pub bytes: u64,
    /// Position of the node from which on it is alive: 0 for the graph's inputs.
    pub first: usize,
    /// Position of the last node that reads any of them; `usize::MAX` for an output.
    pub last: usize,
    /// Kept by the caller, or for it: nothing may be written over it.
    is_given: bool,
}

/// The peak of `view`; `None` when the size of any tensor of data is not known. A free first axis of an input counts as 1.
#[must_use]
pub fn peak(view: &GraphView<'_>, facts: &Facts<'_>) -> Option<Peak> {
    let buffers = buffers(view, facts)?;
    let nodes: Vec<NodeId> = view.nodes().collect();
    let mut begins = vec![0_u64; nodes.len().max(1)];
    let mut ends = vec![0_u64; nodes.len().max(1)];
    for b in &buffers {
        let begin = begins.get_mut(b.first)?;
        *begin = begin.checked_add(b.bytes)?;
        if let Some(end) = ends.get_mut(b.last) {
            *end = end.checked_add(b.bytes)?;
        }
    }
    let (mut alive, mut most) = (0_u64, Peak { bytes: begins[0], node: None });
    for (node, (begin, end)) in nodes.into_iter().zip(begins.into_iter().zip(ends)) {
        alive = alive.checked_add(begin)?;
        if alive > most.bytes || most.node.is_none() {
            most = Peak { bytes: alive, node: Some(node) };
        }
        alive -= end;
    }
    Some(most)
}

/// All that takes memory when the nodes of `view` run in their order; `None` when the size of any tensor of data is not known.
#[must_use]
pub fn buffers(view: &GraphView<'_>, facts: &Facts<'_>) -> Option<Vec<Buffer>> {
    let mut buffers: Vec<Buffer> = Vec::new();
    let mut home: Vec<Option<usize>> = vec![None; view.values().count()];
    for value in view.values().filter(|v| view.is_input(*v) && !view.is_overridable(*v)) {
        home[value.0 as usize] = Some(buffers.len());
        let (bytes, last) = (bytes(facts, value)?, last_read(view, value));
        buffers.push(Buffer { value, bytes, first: 0, last, is_given: true });
    }
    for node in view.nodes() {
        let position = view.position(node);
        if view.node(node).attribute.iter().any(|a| a.g.is_some() || !a.graphs.is_empty()) {
            return None;
        }
        for value in view.outputs(node).iter().flatten().copied().filter(|v| facts.is_data(*v)) {
            let (size, last) = (bytes(facts, value)?, last_read(view, value).max(position));
            let is_given = view.is_output(value);
            let at = match reused(view, &buffers, &home, node, size) {
                Some(at) => {
                    let buffer = &mut buffers[at];
                    (buffer.last, buffer.is_given) = (buffer.last.max(last), buffer.is_given || is_given);
                    at
                }
                None => {
                    buffers.push(Buffer { value, bytes: size, first: position, last, is_given });
                    buffers.len() - 1
                }
            };
            home[value.0 as usize] = Some(at);
        }
    }
    Some(buffers)
}

/// Position of the last node that reads `value`; the end of time for an output.
fn last_read(view: &GraphView<'_>, value: ValueId) -> usize {
    if view.is_output(value) || view.is_captured(value) {
        return usize::MAX;
    }
    view.uses(value).iter().map(|u| view.position(u.node)).max().unwrap_or(0)
}

/// The buffer of an operand in which `node` may leave its result of `size` bytes.
fn reused(view: &GraphView<'_>, buffers: &[Buffer], home: &[Option<usize>], node: NodeId, size: u64) -> Option<usize> {
    let op = view.op(node);
    let of = |slot: usize| home[view.input(node, slot)?.0 as usize];
    let operands = match storage(op) {
        Storage::View => return of(0).filter(|at| buffers[*at].bytes == size),
        Storage::New => return None,
        Storage::Over if broadcasts(op) => view.inputs(node).len(),
        Storage::Over => 1,
    };
    let fits = |b: &Buffer| b.bytes == size && b.last == view.position(node) && !b.is_given;
    (0..operands).filter_map(of).find(|at| fits(&buffers[*at]))
}

/// Bytes of `value`, of which a free first axis of an input counts as 1.
fn bytes(facts: &Facts<'_>, value: ValueId) -> Option<u64> {
    let one = |d: &Dim| match d {
        Dim::Known(n) => u64::try_from(*n).ok(),
        Dim::Symbol(name) if name.ends_with(".0") => Some(1),
        _ => None,
    };
    let bits = facts.shape(value)?.iter().try_fold(bits(facts.dtype(value)?)?, |n, d| n.checked_mul(one(d)?))?;
    Some(bits.div_ceil(8))
}

fn bits(dtype: DataType) -> Option<u64> {
    Some(match dtype {
        DataType::Undefined | DataType::String => return None,
        DataType::Complex128 => 128,
        DataType::Double | DataType::Int64 | DataType::Uint64 | DataType::Complex64 => 64,
        DataType::Float | DataType::Int32 | DataType::Uint32 => 32,
        DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16 => 16,
        DataType::Int4 | DataType::Uint4 | DataType::Float4e2m1 => 4,
        DataType::Int2 | DataType::Uint2 => 2,
        _ => 8,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::graph::testing::{model, node};
    use crate::onnx::{ModelProto, NodeProto, TensorShapeProto, TypeProto, tensor_shape_proto, type_proto};

    /// Of nodes that all compute 1000 floats from `x` of 1000 floats.
    fn measured(nodes: Vec<NodeProto>, outputs: &[&str], dims: &[i64]) -> Option<(u64, String)> {
        let mut m: ModelProto = model(nodes, outputs);
        let dim = |n: &i64| tensor_shape_proto::Dimension {
            value: (*n > 0).then_some(tensor_shape_proto::dimension::Value::DimValue(*n)),
            ..Default::default()
        };
        let shape = TensorShapeProto { dim: dims.iter().map(dim).collect() };
        let tensor = type_proto::Tensor { elem_type: Some(1), shape: Some(shape) };
        m.graph.as_mut().unwrap().input[0].r#type =
            Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() });
        let view = GraphView::new(&m).unwrap();
        let peak = peak(&view, &Facts::new(&view))?;
        Some((peak.bytes, peak.node.map_or(String::new(), |n| view.node(n).name().to_owned())))
    }

    fn softmax(name: &str, from: &str, to: &str) -> NodeProto {
        node(name, "Softmax", &[from], &[to])
    }

    #[test]
    fn a_chain_holds_two_tensors_and_a_skip_three() {
        let dims = [1, 1000];
        let chain = vec![softmax("a", "x", "p"), softmax("b", "p", "q"), softmax("c", "q", "y")];
        assert_eq!(measured(chain.clone(), &["y"], &dims), Some((8000, "a".into())));
        let mut skip = chain;
        skip[2] = softmax("c", "q", "r");
        skip.push(node("d", "Add", &["r", "p"], &["y"]));
        assert_eq!(measured(skip, &["y"], &dims), Some((12000, "c".into())), "p is alive beside q and r");
    }

    #[test]
    fn what_is_written_over_takes_nothing() {
        let dims = [1, 1000];
        let relu = |name: &str, from: &str, to: &str| node(name, "Relu", &[from], &[to]);
        let over = vec![softmax("a", "x", "p"), relu("b", "p", "q"), relu("c", "q", "y")];
        assert_eq!(measured(over, &["y"], &dims).unwrap().0, 8000);
        let given = vec![relu("a", "x", "y")];
        assert_eq!(measured(given, &["y"], &dims).unwrap().0, 8000, "the caller's input stays");
        let read_later = vec![softmax("a", "x", "p"), relu("b", "p", "q"), node("c", "Mul", &["p", "q"], &["y"])];
        assert_eq!(measured(read_later, &["y"], &dims).unwrap().0, 8000, "x is dead when q is made, y goes over p");
        let output = vec![softmax("a", "x", "p"), relu("b", "p", "q")];
        assert_eq!(measured(output, &["p", "q"], &dims).unwrap().0, 8000);
        let alias = vec![node("a", "Identity", &["x"], &["p"]), relu("b", "p", "y")];
        assert_eq!(measured(alias, &["y"], &dims).unwrap().0, 8000, "a view of the caller's input is the caller's");
    }

    #[test]
    fn what_is_not_known_is_not_zero() {
        let chain = || vec![softmax("a", "x", "y")];
        assert_eq!(measured(chain(), &["y"], &[-1, 1000]).unwrap().0, 8000, "one image");
        assert_eq!(measured(chain(), &["y"], &[1, -1]), None);
        assert_eq!(measured(vec![node("a", "NoSuchOperator", &["x"], &["y"])], &["y"], &[1, 10]), None);
        assert_eq!(measured(chain(), &["y"], &[i64::from(i32::MAX); 4]), None, "more than there is");
    }
}
