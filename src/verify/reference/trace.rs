//! The tensors that an evaluation kept.

use std::collections::HashMap;
use std::sync::Arc;

use super::Value;

/// Tensors by name, in the order in which they were computed: first the graph inputs.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    tensors: Vec<(String, Arc<Value>)>,
    index: HashMap<String, usize>,
}

impl Trace {
    /// The value of tensor `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.index.get(name).and_then(|i| self.tensors.get(*i)).map(|(_, v)| &**v)
    }

    /// All tensors in the order of evaluation.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.tensors.iter().map(|(name, value)| (name.as_str(), &**value))
    }

    pub(super) fn push(&mut self, name: &str, value: Arc<Value>) {
        if !self.index.contains_key(name) {
            self.index.insert(name.to_owned(), self.tensors.len());
            self.tensors.push((name.to_owned(), value));
        }
    }

    pub(super) fn shared(&self, name: &str) -> Option<Arc<Value>> {
        self.index.get(name).and_then(|i| self.tensors.get(*i)).map(|(_, v)| Arc::clone(v))
    }
}
