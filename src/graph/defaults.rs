//! Initializers that are graph inputs as well: defaults that a caller may override, or constants.

use std::collections::HashSet;

use crate::onnx::{GraphProto, ModelProto};

use super::apply::allow_initializers;

/// True when nobody may override the initializers of `model`: before IR version 4 every initializer had to be listed among the
/// inputs of the graph, so exporters listed all weights, and runtimes take them as constants.
fn has_constant_initializers(model: &ModelProto) -> bool {
    model.ir_version.is_some_and(|version| version < 4)
}

/// The names of the graph inputs of `model` that have a default.
#[must_use]
pub fn defaults(model: &ModelProto) -> Vec<&str> {
    let Some(graph) = &model.graph else { return Vec::new() };
    let initializers = names(graph);
    graph.input.iter().map(|i| i.name()).filter(|name| initializers.contains(name)).collect()
}

/// `model` with its defaults taken out of the graph's inputs, so that they are constants; `None` when there are none, or when a
/// caller may override them: in IR version 4 and later, unless they are `asked` to be constants.
#[must_use]
pub fn without_defaults(model: &ModelProto, asked: bool) -> Option<ModelProto> {
    if !(asked || has_constant_initializers(model)) || defaults(model).is_empty() {
        return None;
    }
    let mut model = model.clone();
    if let Some(graph) = &mut model.graph {
        let mut inputs = std::mem::take(&mut graph.input);
        let initializers = names(graph);
        inputs.retain(|i| !initializers.contains(i.name()));
        graph.input = inputs;
    }
    allow_initializers(&mut model);
    Some(model)
}

fn names(graph: &GraphProto) -> HashSet<&str> {
    let sparse = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref());
    graph.initializer.iter().chain(sparse).map(|t| t.name()).collect()
}
