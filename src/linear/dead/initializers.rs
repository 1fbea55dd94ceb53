//! Initializers that nothing reads, and initializers that stand twice.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::graph::{EditList, GraphView, NodeId, ValueId};

/// What goes, and how.
#[derive(Default)]
pub struct Surplus {
    /// Initializers that nothing reads.
    pub unused: Vec<ValueId>,
    /// Copies, each with the initializer that takes its place.
    pub copies: Vec<(ValueId, ValueId)>,
}

/// Finds what is surplus. An initializer that is also a graph input or output, or that a subgraph reads, is not.
#[must_use]
pub fn find(view: &GraphView<'_>) -> Surplus {
    let mut surplus = Surplus::default();
    let mut seen: HashMap<(i32, &[i64], &[u8]), ValueId> = HashMap::new();
    for tensor in &view.graph().initializer {
        let Some(value) = view.value(tensor.name()) else { continue };
        if view.is_input(value) || view.is_output(value) || view.is_captured(value) {
            continue;
        }
        if view.uses(value).is_empty() {
            surplus.unused.push(value);
            continue;
        }
        let Some(raw) = tensor.raw_data.as_ref().filter(|r| !r.is_empty()) else { continue };
        match seen.entry((tensor.data_type.unwrap_or(0), &tensor.dims, raw)) {
            std::collections::hash_map::Entry::Occupied(first) => surplus.copies.push((value, *first.get())),
            std::collections::hash_map::Entry::Vacant(place) => _ = place.insert(value),
        }
    }
    surplus
}

impl Surplus {
    /// True when nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unused.is_empty() && self.copies.is_empty()
    }

    /// Lets every reader of a copy read the first instead, and takes away what is then unread.
    #[must_use]
    pub fn edits(&self, view: &GraphView<'_>) -> EditList {
        let first: BTreeMap<ValueId, ValueId> = self.copies.iter().copied().collect();
        let readers: BTreeSet<NodeId> = first.keys().flat_map(|v| view.uses(*v)).map(|u| u.node).collect();
        let mut edits = EditList { provenance: "dead: duplicated initializers".to_owned(), ..EditList::default() };
        for node in view.nodes().filter(|n| readers.contains(n)) {
            let mut copy = view.node(node).clone();
            for (name, value) in copy.input.iter_mut().zip(view.inputs(node)) {
                if let Some(other) = value.and_then(|v| first.get(&v)) {
                    view.name(*other).clone_into(name);
                }
            }
            edits.remove.push(node);
            edits.add_nodes.push(copy);
        }
        edits.unread = self.unused.iter().map(|v| view.name(*v).to_owned()).collect();
        edits
    }
}
