//! Taking away what edits left without a reader.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::onnx::ModelProto;

use super::subgraph::reads;

/// Removes the nodes and initializers that nothing reads any more, starting from the names that edits touched.
/// What was dead before stays, and so does every graph input.
pub fn clean(model: &mut ModelProto, touched: &BTreeSet<String>) {
    let Some(graph) = model.graph.as_mut() else { return };
    let mut readers: HashMap<String, usize> = HashMap::new();
    let mut def: HashMap<String, usize> = HashMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        for name in reads(node) {
            *readers.entry(name).or_default() += 1;
        }
        for name in &node.output {
            def.insert(name.clone(), index);
        }
    }
    for output in &graph.output {
        *readers.entry(output.name().to_owned()).or_default() += 1;
    }
    let mut dead: HashSet<usize> = HashSet::new();
    let mut unread: HashSet<String> = HashSet::new();
    let mut work: Vec<String> = touched.iter().cloned().collect();
    while let Some(name) = work.pop() {
        if readers.get(&name).copied().unwrap_or(0) > 0 {
            continue;
        }
        let Some(&index) = def.get(&name) else {
            unread.insert(name);
            continue;
        };
        let node = &graph.node[index];
        let live = node.output.iter().any(|o| readers.get(o).copied().unwrap_or(0) > 0);
        if live || !dead.insert(index) {
            continue;
        }
        for name in reads(node) {
            if let Some(count) = readers.get_mut(&name) {
                *count -= 1;
            }
            work.push(name);
        }
    }
    let gone: HashSet<String> = dead.iter().flat_map(|i| graph.node[*i].output.iter().cloned()).collect();
    let mut index = 0;
    graph.node.retain(|_| {
        index += 1;
        !dead.contains(&(index - 1))
    });
    let inputs: HashSet<&str> = graph.input.iter().map(|i| i.name()).collect();
    graph.initializer.retain(|t| !unread.contains(t.name()) || inputs.contains(t.name()));
    graph.value_info.retain(|v| !gone.contains(v.name()));
    graph.quantization_annotation.retain(|q| !gone.contains(q.tensor_name()) && !unread.contains(q.tensor_name()));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{model, node};
    use super::*;

    #[test]
    fn only_what_was_touched_goes() {
        let mut m = model(
            vec![
                node("a", "Relu", &["x"], &["m"]),
                node("b", "Relu", &["m"], &["n"]),
                node("old", "Abs", &["x"], &["unused"]),
                node("c", "Neg", &["x"], &["y"]),
            ],
            &["y"],
        );
        let touched = BTreeSet::from(["n".to_owned()]);
        clean(&mut m, &touched);
        let names: Vec<String> = m.graph.unwrap().node.iter().map(|n| n.name().to_owned()).collect();
        assert_eq!(names, ["old", "c"], "dead before the edit: it stays");
    }
}
