//! Making edits: everything is checked on a copy of the node list before the model changes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::onnx::{ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto};

use super::edit::EditList;
use super::error::GraphError;
use super::ids::NodeId;
use super::subgraph::captured_names;

/// Metadata key of the nodes that a rewrite added.
pub const PROVENANCE_KEY: &str = "onnx_rm.rewrite";

/// Why edits were not made. The model is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// A node removed twice, or one that does not exist.
    #[error("node {0} cannot be removed: it does not exist, or another edit removes it too")]
    BadRemoval(u32),
    /// A new initializer with a name that is taken.
    #[error("new initializer '{0}' has a name that is taken")]
    InitializerTaken(String),
    /// The graph would be broken.
    #[error("the edited graph would be broken: {0}")]
    Broken(#[from] GraphError),
}

/// Makes `edits` and returns the names that removed nodes read or defined, for [`super::clean()`].
///
/// New nodes take the place of the first node of their edit; where needed, nodes are moved as little as possible to
/// stand in topological order. What is said of a tensor that is gone is dropped; a tensor that keeps its name keeps its
/// value, and what is said of it.
///
/// # Errors
/// [`ApplyError`]; the model is then unchanged.
pub fn apply(model: &mut ModelProto, edits: &[EditList]) -> Result<BTreeSet<String>, ApplyError> {
    let Some(graph) = model.graph.as_mut() else { return Err(GraphError::NoGraph.into()) };
    let mut removed: BTreeSet<NodeId> = BTreeSet::new();
    let mut inserted: BTreeMap<usize, Vec<NodeProto>> = BTreeMap::new();
    let sparse = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref());
    let mut taken: HashSet<&str> =
        graph.initializer.iter().chain(sparse).map(|t| t.name()).chain(graph.input.iter().map(|i| i.name())).collect();
    for edit in edits {
        for node in &edit.remove {
            if node.0 as usize >= graph.node.len() || !removed.insert(*node) {
                return Err(ApplyError::BadRemoval(node.0));
            }
        }
        for tensor in &edit.add_initializers {
            if !taken.insert(tensor.name()) {
                return Err(ApplyError::InitializerTaken(tensor.name().to_owned()));
            }
        }
        let place = edit.remove.iter().map(|n| n.0 as usize).min().unwrap_or(graph.node.len());
        let slot = inserted.entry(place).or_default();
        slot.extend(edit.add_nodes.iter().map(|n| with_provenance(n.clone(), &edit.provenance)));
    }
    let mut touched: BTreeSet<String> = edits.iter().flat_map(|e| e.unread.iter().cloned()).collect();
    let mut nodes = Vec::with_capacity(graph.node.len());
    for (index, node) in graph.node.iter().enumerate() {
        nodes.extend(inserted.remove(&index).unwrap_or_default());
        if removed.contains(&NodeId(index as u32)) {
            touched.extend(node.input.iter().chain(&node.output).filter(|n| !n.is_empty()).cloned());
        } else {
            nodes.push(node.clone());
        }
    }
    nodes.extend(inserted.into_values().flatten());
    let initializers: Vec<_> = edits.iter().flat_map(|e| e.add_initializers.iter().cloned()).collect();
    let fresh: HashSet<&str> = initializers.iter().map(|t| t.name()).collect();
    let defined: HashSet<&str> = taken.iter().copied().chain(fresh.iter().copied()).collect();
    let nodes = in_order(nodes, &defined, graph.output.iter().map(|o| o.name()))?;
    let made: HashSet<&str> = nodes.iter().flat_map(|n| n.output.iter().map(String::as_str)).collect();
    let lost = removed.iter().flat_map(|n| graph.node[n.0 as usize].output.iter());
    let lost = lost.filter(|name| !made.contains(name.as_str()));
    let gone: HashSet<String> = lost.chain(edits.iter().flat_map(|e| &e.changed)).cloned().collect();
    graph.node = nodes;
    let adds = !initializers.is_empty();
    graph.initializer.extend(initializers);
    graph.value_info.retain(|v| !gone.contains(v.name()));
    graph.quantization_annotation.retain(|q| !gone.contains(q.tensor_name()));
    if adds {
        allow_initializers(model);
    }
    Ok(touched)
}

/// Raises an IR version in which an initializer had to be a graph input as well (ONNX IR, before version 4). Before version
/// 3 the operator set was not named; it was the first.
pub(super) fn allow_initializers(model: &mut ModelProto) {
    if model.ir_version.is_some_and(|version| version < 4) {
        model.ir_version = Some(4);
        if model.opset_import.is_empty() {
            model.opset_import.push(OperatorSetIdProto { domain: None, version: Some(1) });
        }
    }
}

/// `model` with its nodes in topological order, each moved back only as far as it must.
///
/// # Errors
/// As [`apply`]: for a graph with a cycle, or that reads what nothing defines.
pub fn in_topological_order(mut model: ModelProto) -> Result<ModelProto, GraphError> {
    let Some(graph) = model.graph.as_mut() else { return Err(GraphError::NoGraph) };
    let sparse = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref());
    let tensors = graph.initializer.iter().chain(sparse).map(|t| t.name());
    let defined: HashSet<&str> = tensors.chain(graph.input.iter().map(|i| i.name())).collect();
    graph.node = in_order(std::mem::take(&mut graph.node), &defined, graph.output.iter().map(|o| o.name()))?;
    Ok(model)
}

pub(super) fn with_provenance(mut node: NodeProto, provenance: &str) -> NodeProto {
    node.metadata_props.retain(|p| p.key() != PROVENANCE_KEY);
    node.metadata_props
        .push(StringStringEntryProto { key: Some(PROVENANCE_KEY.to_owned()), value: Some(provenance.to_owned()) });
    node
}

/// Sorts `nodes` so that every one stands behind what it reads, moving a node back only as far as it must.
fn in_order<'a>(
    nodes: Vec<NodeProto>,
    defined: &HashSet<&str>,
    outputs: impl Iterator<Item = &'a str>,
) -> Result<Vec<NodeProto>, GraphError> {
    let mut def: HashMap<&str, usize> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for name in node.output.iter().filter(|n| !n.is_empty()) {
            if defined.contains(name.as_str()) || def.insert(name, index).is_some() {
                return Err(GraphError::Duplicate { tensor: name.clone(), by: format!("node '{}'", node.name()) });
            }
        }
    }
    for name in outputs {
        if !def.contains_key(name) && !defined.contains(name) {
            return Err(GraphError::UndefinedOutput { tensor: name.to_owned() });
        }
    }
    let mut sources: Vec<Vec<usize>> = Vec::with_capacity(nodes.len());
    for node in &nodes {
        let mut from = Vec::new();
        for name in node.input.iter().filter(|n| !n.is_empty()) {
            match def.get(name.as_str()) {
                Some(source) => from.push(*source),
                None if defined.contains(name.as_str()) => {}
                None => {
                    return Err(GraphError::Undefined {
                        node: node.name().to_owned(),
                        op: node.op_type().to_owned(),
                        tensor: name.clone(),
                    });
                }
            }
        }
        let mut captured = BTreeSet::new();
        captured_names(node, &mut captured);
        from.extend(captured.iter().filter_map(|n| def.get(n.as_str())));
        sources.push(from);
    }
    let order = depth_first(&sources).map_err(|i| GraphError::Cycle { node: nodes[i].name().to_owned() })?;
    let mut slots: Vec<Option<NodeProto>> = nodes.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|i| slots[i].take()).collect())
}

/// Each index behind its sources, else in the order given. An index on a cycle is the error.
fn depth_first(sources: &[Vec<usize>]) -> Result<Vec<usize>, usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; sources.len()];
    let mut order = Vec::with_capacity(sources.len());
    for start in 0..sources.len() {
        let mut stack = vec![(start, 0)];
        while let Some((at, next)) = stack.pop() {
            if marks[at] == Mark::Done {
                continue;
            }
            marks[at] = Mark::Open;
            match sources[at].get(next) {
                Some(&source) => {
                    stack.push((at, next + 1));
                    match marks[source] {
                        Mark::New => stack.push((source, 0)),
                        Mark::Open => return Err(source),
                        Mark::Done => {}
                    }
                }
                None => {
                    marks[at] = Mark::Done;
                    order.push(at);
                }
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{model, node};
    use super::*;
    use crate::onnx::TensorProto;

    fn chain() -> ModelProto {
        model(vec![node("a", "Relu", &["x"], &["m"]), node("b", "Relu", &["m"], &["y"])], &["y"])
    }

    #[test]
    fn a_replacement_keeps_the_name_of_the_tensor() {
        let mut m = chain();
        let edit = EditList {
            remove: vec![NodeId(1)],
            add_nodes: vec![node("c", "Abs", &["m"], &["w"]), node("d", "Neg", &["w"], &["y"])],
            provenance: "test".into(),
            ..EditList::default()
        };
        let touched = apply(&mut m, &[edit]).unwrap();
        assert!(touched.contains("m") && touched.contains("y"));
        let graph = m.graph.unwrap();
        let ops: Vec<&str> = graph.node.iter().map(|n| n.op_type()).collect();
        assert_eq!(ops, ["Relu", "Abs", "Neg"]);
        assert_eq!(graph.node[1].metadata_props[0].value(), "test");
        assert!(graph.node[0].metadata_props.is_empty());
    }

    #[test]
    fn an_old_model_that_gets_initializers_gets_a_version_that_allows_them() {
        let tensor = TensorProto { name: Some("w".into()), ..TensorProto::default() };
        let edit = EditList { add_initializers: vec![tensor], ..EditList::default() };
        for (before, after, imports) in
            [(Some(2), Some(4), 1), (Some(3), Some(4), 1), (Some(8), Some(8), 0), (None, None, 0)]
        {
            let mut m = ModelProto { ir_version: before, opset_import: vec![], ..chain() };
            apply(&mut m, std::slice::from_ref(&edit)).unwrap();
            assert_eq!((m.ir_version, m.opset_import.len()), (after, imports));
        }
        let mut m = ModelProto { ir_version: Some(3), ..chain() };
        apply(&mut m, &[EditList::default()]).unwrap();
        assert_eq!(m.ir_version, Some(3), "nothing was added");
    }

    #[test]
    fn what_would_break_the_graph_changes_nothing() {
        let before = chain();
        let bad = [
            EditList { remove: vec![NodeId(0)], ..EditList::default() },
            EditList { remove: vec![NodeId(7)], ..EditList::default() },
            EditList { remove: vec![NodeId(1), NodeId(1)], ..EditList::default() },
            EditList { add_nodes: vec![node("c", "Abs", &["m"], &["y"])], ..EditList::default() },
            EditList {
                remove: vec![NodeId(0)],
                add_nodes: vec![node("c", "Abs", &["y"], &["m"])],
                ..EditList::default()
            },
        ];
        for edit in bad {
            let mut m = before.clone();
            assert!(apply(&mut m, std::slice::from_ref(&edit)).is_err(), "{edit:?}");
            assert_eq!(m, before);
        }
    }

    #[test]
    fn nodes_move_only_as_far_as_they_must() {
        let mut m = chain();
        let edit = EditList { add_nodes: vec![node("c", "Abs", &["y"], &["z"])], ..EditList::default() };
        apply(&mut m, &[edit]).unwrap();
        let names: Vec<String> = m.graph.unwrap().node.iter().map(|n| n.name().to_owned()).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }
}
