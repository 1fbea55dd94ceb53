//! A change, described before it is made.

use std::collections::BTreeSet;

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
    /// Written into the metadata of every new node.
    pub provenance: String,
}

/// Hands out names that nothing in the model has.
pub struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// Collects every name in `model`.
    #[must_use]
    pub fn new(model: &ModelProto) -> Self {
        let mut taken = BTreeSet::new();
        if let Some(graph) = &model.graph {
            all_names(graph, &mut taken);
        }
        Self { taken }
    }

    /// `hint` when it is free, else `hint_1`, `hint_2` and so on. The same calls give the same names.
    pub fn fresh(&mut self, hint: &str) -> String {
        let hint = if hint.is_empty() { "onnx_rm" } else { hint };
        let mut name = hint.to_owned();
        let mut n = 0_usize;
        while !self.taken.insert(name.clone()) {
            n += 1;
            name = format!("{hint}_{n}");
        }
        name
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
