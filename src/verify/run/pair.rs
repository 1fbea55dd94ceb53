//! One of two models, and what is compared in it.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::LazyLock;

use crate::graph::captured_names;
use crate::onnx::{GraphProto, ModelProto};

use super::inputs::Feed;
use super::runner::Source;

/// One of the two models.
#[derive(Clone)]
pub(super) struct Side<'a> {
    pub(super) model: Cow<'a, ModelProto>,
    /// Where it was saved; `None` for a model that exists in memory only.
    pub(super) file: Option<&'a Path>,
    /// The tensors to compare, in the same order on both sides.
    pub(super) outputs: Vec<String>,
}

static EMPTY: LazyLock<GraphProto> = LazyLock::new(GraphProto::default);

/// The graph of `model`; an empty one when it has none.
pub(super) fn graph_of(model: &ModelProto) -> &GraphProto {
    model.graph.as_ref().unwrap_or(&EMPTY)
}

impl<'a> Side<'a> {
    /// A whole model.
    pub(super) fn whole(model: &'a ModelProto, file: Option<&'a Path>) -> Self {
        let outputs = model.graph.iter().flat_map(|g| &g.output).map(|o| o.name().to_owned()).collect();
        Self { model: Cow::Borrowed(model), file, outputs }
    }

    /// Its graph; an empty one when it has none, which validation has refused.
    pub(super) fn graph(&self) -> &GraphProto {
        graph_of(&self.model)
    }

    /// What a message calls it.
    pub(super) fn name(&self, which: &str) -> String {
        self.file.map_or_else(|| format!("the {which}"), |f| f.display().to_string())
    }

    pub(super) fn source(&self) -> Source<'_> {
        self.file.map_or(Source::Memory(&self.model), Source::File)
    }

    pub(super) fn outputs(&self) -> Vec<&str> {
        self.outputs.iter().map(String::as_str).collect()
    }

    /// What of `values` is an input of this model.
    pub(super) fn feed(&self, values: &Feed) -> Feed {
        let inputs: HashSet<&str> = self.model.graph.iter().flat_map(|g| &g.input).map(|i| i.name()).collect();
        values.iter().filter(|(name, _)| inputs.contains(name.as_str())).map(|(n, v)| (n.clone(), v.clone())).collect()
    }
}

/// The tensors of `graph` whose values depend on those of `sources`; a shape is no value.
pub(super) fn dependents<'a>(graph: &'a GraphProto, sources: impl Iterator<Item = &'a str>) -> HashSet<&'a str> {
    let mut found: HashSet<&str> = sources.collect();
    // Nodes may stand in any order, so a single pass need not reach all.
    loop {
        let before = found.len();
        for node in graph.node.iter().filter(|n| !matches!(n.op_type(), "Shape" | "Size")) {
            let mut captured = BTreeSet::new();
            captured_names(node, &mut captured);
            if node.input.iter().chain(&captured).any(|i| found.contains(i.as_str())) {
                found.extend(node.output.iter().map(String::as_str).filter(|o| !o.is_empty()));
            }
        }
        if found.len() == before {
            return found;
        }
    }
}
