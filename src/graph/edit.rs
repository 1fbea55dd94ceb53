//! A change, described before it is made.

use std::collections::{BTreeSet, HashMap};

use crate::onnx::{ModelProto, NodeProto, TensorProto};

use super::ids::NodeId;
use super::subgraph::all_names;

/// Nodes and initializers to add, nodes to take away. An added node may define what a removed one defined: that is
/// how a tensor keeps its name.
#[derive(Clone, Debug, Default)]
pub struct EditList {
    /// Nodes that go.
    pub remove: Vec<NodeId>,
    /// Nodes that come, in topological order among themselves.
    pub add_nodes: Vec<NodeProto>,
    /// Initializers that come.
    pub add_initializers: Vec<TensorProto>,
    /// Initializers that nothing reads; they go.
    pub unread: Vec<String>,
    /// Tensors that keep their name, but not their shape: what is said of them goes.
    pub changed: Vec<String>,
    /// Tensors, each with the one that stands in its place: under the new name it is the same to the user.
    pub renamed: Vec<(String, String)>,
    /// Written into the metadata of every new node.
    pub provenance: String,
}

/// Hands out names that nothing in the model has.
pub struct Names {
    taken: BTreeSet<String>,
    /// The last number that each hint was given: all below are taken, and stay so.
    last: HashMap<String, usize>,
    /// How many nodes of the main graph have each name.
    nodes: HashMap<String, usize>,
}

impl Names {
    /// Collects every name in `model`.
    #[must_use]
    pub fn new(model: &ModelProto) -> Self {
        let mut taken = BTreeSet::new();
        let mut nodes: HashMap<String, usize> = HashMap::new();
        if let Some(graph) = &model.graph {
            all_names(graph, &mut taken);
            graph.node.iter().for_each(|node| *nodes.entry(node.name().to_owned()).or_default() += 1);
        }
        Self { taken, last: HashMap::new(), nodes }
    }

    /// How many nodes of the model's main graph are called `name`.
    #[must_use]
    pub fn nodes_called(&self, name: &str) -> usize {
        self.nodes.get(name).copied().unwrap_or(0)
    }

    /// `hint` when it is free, else `hint_1`, `hint_2` and so on. The same calls give the same names.
    pub fn fresh(&mut self, hint: &str) -> String {
        let hint = if hint.is_empty() { "onnx_rm" } else { hint };
        if self.taken.insert(hint.to_owned()) {
            return hint.to_owned();
        }
        // Where the count stopped last time: a model of many blocks asks for the same name once a block.
        let last = self.last.entry(hint.to_owned()).or_default();
        loop {
            *last += 1;
            let name = format!("{hint}_{last}");
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{model, node};
    use super::*;

    #[test]
    fn names_never_collide() {
        let m = model(vec![node("a", "Relu", &["x"], &["y"])], &["y"]);
        let mut names = Names::new(&m);
        assert_eq!(names.fresh("x"), "x_1");
        assert_eq!(names.fresh("x"), "x_2");
        assert_eq!(names.fresh("a"), "a_1");
        assert_eq!(names.fresh("new"), "new");
        assert_eq!(names.fresh(""), "onnx_rm");
    }
}
