//! A part of a model between two tensors.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::graph::{self, reads};
use crate::onnx::{ModelProto, NodeProto, TensorProto};

/// A model, indexed.
pub(super) struct Whole<'m> {
    pub(super) model: &'m ModelProto,
    pub(super) nodes: &'m [NodeProto],
    /// The node that computes a tensor.
    makers: HashMap<&'m str, usize>,
    constants: HashMap<&'m str, &'m TensorProto>,
}

impl<'m> Whole<'m> {
    /// `None` for a model without a graph.
    pub(super) fn new(model: &'m ModelProto) -> Option<Self> {
        let graph = model.graph.as_ref()?;
        let made = graph.node.iter().enumerate().flat_map(|(i, n)| n.output.iter().map(move |o| (o.as_str(), i)));
        let makers = made.filter(|(name, _)| !name.is_empty()).collect();
        let constants = graph.initializer.iter().map(|t| (t.name(), t)).collect();
        Some(Self { model, nodes: &graph.node, makers, constants })
    }

    /// The place of the node that computes `name`.
    pub(super) fn maker(&self, name: &str) -> Option<usize> {
        self.makers.get(name).copied()
    }

    /// The nodes that depend on `name`, and the one that computes it, in order.
    pub(super) fn behind(&self, name: &str) -> Vec<usize> {
        let Some(first) = self.maker(name) else { return Vec::new() };
        let mut found: HashSet<&str> = self.nodes[first].output.iter().map(String::as_str).collect();
        let mut behind = vec![first];
        for index in first + 1..self.nodes.len() {
            if reads(&self.nodes[index]).iter().any(|r| found.contains(r.as_str())) {
                found.extend(self.nodes[index].output.iter().map(String::as_str));
                behind.push(index);
            }
        }
        behind
    }

    /// The nodes from `begin` to `end`: `None` unless `end` depends on `begin` and on nothing else that is fed.
    pub(super) fn between(&self, begin: &str, end: &str) -> Option<BTreeSet<usize>> {
        let mut kept = BTreeSet::new();
        let mut open = vec![end.to_owned()];
        let mut is_fed = false;
        while let Some(name) = open.pop() {
            if name == begin {
                is_fed = true;
            } else if let Some(index) = self.maker(&name) {
                if kept.insert(index) {
                    open.extend(reads(&self.nodes[index]));
                }
            } else if !self.constants.contains_key(name.as_str()) {
                return None;
            }
        }
        (is_fed && !kept.is_empty()).then_some(kept)
    }

    /// A model of `nodes`, which reads `begin` and gives `end`.
    pub(super) fn part(&self, nodes: &BTreeSet<usize>, begin: &str, end: &str) -> ModelProto {
        let nodes = nodes.iter().map(|i| self.nodes[*i].clone()).collect();
        graph::part(self.model, nodes, &[end], &|n| self.constants.get(n).copied().filter(|_| n != begin))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::graph::testing::{model, node};

    /// `x -> a -> b`, and `c` reads `b` and `x` again.
    fn around() -> ModelProto {
        let nodes = vec![
            node("a", "Relu", &["x"], &["a"]),
            node("b", "Neg", &["a"], &["b"]),
            node("c", "Add", &["b", "x"], &["c"]),
        ];
        model(nodes, &["c"])
    }

    #[test]
    fn a_part_begins_at_one_tensor_only() {
        let m = around();
        let whole = Whole::new(&m).unwrap();
        assert_eq!(whole.between("a", "b").unwrap(), BTreeSet::from([1]));
        assert_eq!(whole.between("x", "c").unwrap(), BTreeSet::from([0, 1, 2]));
        assert!(whole.between("a", "c").is_none(), "c reads x as well");
        assert!(whole.between("b", "a").is_none(), "a does not depend on b");
        assert!(whole.between("b", "b").is_none(), "no node in between");
        assert_eq!(whole.behind("a"), [0, 1, 2]);
        assert_eq!(whole.behind("b"), [1, 2]);
        assert_eq!(whole.behind("x"), Vec::<usize>::new());
    }

    #[test]
    fn a_part_is_a_model_of_its_own() {
        let m = around();
        let whole = Whole::new(&m).unwrap();
        let part = whole.part(&whole.between("a", "b").unwrap(), "a", "b");
        let graph = part.graph.unwrap();
        assert_eq!((graph.node.len(), graph.input[0].name(), graph.output[0].name()), (1, "a", "b"));
    }
}
