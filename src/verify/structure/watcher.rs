//! Which differences had no effect on anything that was fed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::graph::{GraphError, captured_names, reads};
use crate::onnx::tensor_shape_proto::dimension;
use crate::onnx::{FunctionProto, GraphProto, ModelProto, NodeProto, ValueInfoProto, type_proto};
use crate::verify::reference::{self, EvalError, Value};

use super::constants::{Constants, shell};
use super::content;
use super::difference::{Difference, Patch};
use super::find::called;
use super::settle;

/// Counts, case by case, which differences inputs have told apart.
///
/// For each difference the node of the original is evaluated twice in float64 on the values that it had: as it is, and with this
/// one difference. Where both give the same, nobody could have seen the difference.
pub struct Watcher<'a> {
    differences: &'a [Difference],
    original: Constants<'a>,
    rewritten: Constants<'a>,
    /// The nodes at which each difference can show, by number.
    places: Vec<Vec<usize>>,
    reached: Vec<bool>,
    /// Tensors that a node reads or the graph gives out.
    read: HashSet<&'a str>,
    /// True when every tensor has one shape, whatever is fed.
    one_shape: bool,
}

impl<'a> Watcher<'a> {
    /// For what [`super::differences`] has found between the same two models.
    ///
    /// # Errors
    /// [`GraphError`] when one of the graphs is broken.
    pub fn new(
        differences: &'a [Difference],
        original: &'a ModelProto,
        rewritten: &'a ModelProto,
    ) -> Result<Self, GraphError> {
        let (original, rewritten) = (Constants::new(original)?, Constants::new(rewritten)?);
        let graph = original.view.graph();
        let mut callers: HashMap<usize, Vec<usize>> = HashMap::new();
        if differences.iter().any(|d| matches!(d.patch, Patch::Function { .. })) {
            for (index, node) in graph.node.iter().enumerate() {
                let functions = called(original.view.model(), std::iter::once(node));
                functions.into_iter().for_each(|f| callers.entry(f).or_default().push(index));
            }
        }
        let places = |d: &Difference| match &d.patch {
            Patch::Node { index, .. } | Patch::Constant { index, .. } => vec![*index],
            Patch::Function { index, .. } => callers.get(index).cloned().unwrap_or_default(),
        };
        let mut read: HashSet<&str> = graph.output.iter().map(|o| o.name()).collect();
        for node in &graph.node {
            read.extend(node.input.iter().map(String::as_str));
            let mut names = BTreeSet::new();
            captured_names(node, &mut names);
            read.extend(names.iter().filter_map(|n| original.view.value(n)).map(|v| original.view.name(v)));
        }
        Ok(Self {
            places: differences.iter().map(places).collect(),
            reached: vec![false; differences.len()],
            one_shape: has_one_shape(original.view.model()),
            differences,
            original,
            rewritten,
            read,
        })
    }

    /// The tensors whose values [`Self::see`] asks for: those that the nodes with differences read and that are no constants, and
    /// overridable defaults. Names of the original's main graph, sorted.
    #[must_use]
    pub fn wanted(&self) -> Vec<&str> {
        let open = self.places.iter().zip(&self.reached).filter(|(_, reached)| !**reached).flat_map(|(p, _)| p);
        let names: BTreeSet<String> = open.filter_map(|i| self.node(*i)).flat_map(reads).collect();
        let fed = |n: &String| !self.original.has(n) || self.original.is_default(n);
        let own = |n: &String| Some(self.original.view.name(self.original.view.value(n)?));
        names.iter().filter(|n| fed(n)).filter_map(own).collect()
    }

    /// Looks at one case: `value` gives the tensors of the original's main graph by name, as they were for that case. A node with a
    /// tensor that it does not give is passed over.
    pub fn see<'v>(&mut self, value: &dyn Fn(&str) -> Option<&'v Value>) {
        for k in 0..self.differences.len() {
            if !self.reached[k] && self.shows(k, value) {
                self.reached[k] = true;
            }
        }
    }

    /// The differences that no case has told apart, in the order in which they were given: nothing fed says anything of them.
    #[must_use]
    pub fn unreached(&self) -> Vec<&'a Difference> {
        self.differences.iter().zip(&self.reached).filter(|(_, reached)| !**reached).map(|(d, _)| d).collect()
    }

    fn node(&self, index: usize) -> Option<&'a NodeProto> {
        self.original.view.graph().node.get(index)
    }

    /// True when difference `k` shows, or is seen to be none.
    fn shows<'v>(&self, k: usize, value: &dyn Fn(&str) -> Option<&'v Value>) -> bool {
        let difference = &self.differences[k];
        self.places[k].iter().filter_map(|i| self.node(*i)).any(|node| {
            let Some(feed) = self.feed(node, &difference.patch, value) else { return false };
            let Some(want) = self.outputs(node, &[], &feed) else { return false };
            let have = match &difference.patch {
                Patch::Node { node: patched, .. } => {
                    if settle::same_axes(node, patched, &difference.what, &feed) {
                        return true;
                    }
                    self.evaluate(patched, &[], &feed)
                }
                Patch::Constant { slot, original, rewritten, .. } => {
                    let Some(constant) = self.rewritten.value(rewritten) else { return false };
                    let (patched, feed) = with_constant(node, *slot, original, constant, feed);
                    self.evaluate(&patched, &[], &feed)
                }
                Patch::Function { index, function } => self.evaluate(node, &[(*index, function.as_deref())], &feed),
            };
            let same = match have {
                Ok(have) => want.iter().zip(&have).all(|(x, y)| content::is_same(x, y)),
                // What the evaluator does not know shows nothing; what breaks does.
                Err(EvalError::UnknownOperator { .. }) => {
                    !matches!(difference.patch, Patch::Function { function: None, .. })
                }
                Err(_) => false,
            };
            !same || self.one_shape && settle::is_shape_alone(node, &difference.what)
        })
    }

    fn outputs(
        &self,
        node: &NodeProto,
        functions: &[(usize, Option<&FunctionProto>)],
        feed: &BTreeMap<String, Value>,
    ) -> Option<Vec<Value>> {
        self.evaluate(node, functions, feed).ok()
    }

    /// The values of what `node` reads; `None` when the case says nothing of it.
    fn feed<'v>(
        &self,
        node: &NodeProto,
        patch: &Patch,
        value: &dyn Fn(&str) -> Option<&'v Value>,
    ) -> Option<BTreeMap<String, Value>> {
        let mut feed = BTreeMap::new();
        for name in reads(node) {
            let given = value(&name).filter(|_| !self.original.has(&name) || self.original.is_default(&name));
            let fed = match given {
                Some(given) => given.clone(),
                None => self.original.value(&name)?,
            };
            // Where the caller has replaced a default, it had no effect.
            if let Patch::Constant { original, .. } = patch
                && *original == name
                && self.original.is_default(&name)
                && self.original.value(&name).is_none_or(|own| !content::is_same(&own, &fed))
            {
                return None;
            }
            feed.insert(name, fed);
        }
        Some(feed)
    }

    /// The outputs of `node` alone that something reads, with some functions of the model replaced, or taken away.
    fn evaluate(
        &self,
        node: &NodeProto,
        replaced: &[(usize, Option<&FunctionProto>)],
        feed: &BTreeMap<String, Value>,
    ) -> Result<Vec<Value>, EvalError> {
        let model = self.original.view.model();
        let named = |n: &str| ValueInfoProto { name: Some(n.to_owned()), ..ValueInfoProto::default() };
        let wanted: Vec<&str> =
            node.output.iter().map(String::as_str).filter(|o| !o.is_empty() && self.read.contains(o)).collect();
        let graph = GraphProto {
            node: vec![node.clone()],
            input: feed.keys().map(|n| named(n)).collect(),
            output: wanted.iter().map(|n| named(n)).collect(),
            ..GraphProto::default()
        };
        let needed = called(model, std::iter::once(node));
        let function = |(i, f): (usize, &FunctionProto)| match replaced.iter().find(|(k, _)| *k == i) {
            Some((_, other)) => other.cloned(),
            None => needed.contains(&i).then(|| f.clone()),
        };
        let functions = model.functions.iter().enumerate().filter_map(function).collect();
        let alone = ModelProto { graph: Some(graph), functions, ..shell(model) };
        let trace = reference::run_to(&alone, feed, &wanted)?;
        Ok(wanted.iter().filter_map(|name| trace.get(name).cloned()).collect())
    }
}

/// `node` with `constant` at input `slot`, or as the tensor `name` that its subgraphs read.
fn with_constant(
    node: &NodeProto,
    slot: Option<usize>,
    name: &str,
    constant: Value,
    mut feed: BTreeMap<String, Value>,
) -> (NodeProto, BTreeMap<String, Value>) {
    let mut patched = node.clone();
    let mut fresh = name.to_owned();
    if let Some(input) = slot.and_then(|slot| patched.input.get_mut(slot)) {
        while feed.contains_key(&fresh) {
            fresh.push('\'');
        }
        input.clone_from(&fresh);
    }
    feed.insert(fresh, constant);
    (patched, feed)
}

/// True when all graph inputs have fixed sizes and no operator gives a tensor whose size depends on values.
fn has_one_shape(model: &ModelProto) -> bool {
    const BY_VALUE: [&str; 9] =
        ["NonZero", "NonMaxSuppression", "Unique", "Compress", "Loop", "If", "Scan", "Range", "StringSplit"];
    let fixed = |info: &ValueInfoProto| {
        let Some(type_proto::Value::TensorType(t)) = info.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
            return false;
        };
        let size = |v: &Option<dimension::Value>| matches!(v, Some(dimension::Value::DimValue(1..)));
        t.shape.as_ref().is_some_and(|s| s.dim.iter().all(|d| size(&d.value)))
    };
    let mut nodes = model.graph.iter().flat_map(|g| &g.node).chain(model.functions.iter().flat_map(|f| &f.node));
    model.graph.iter().flat_map(|g| &g.input).all(fixed) && nodes.all(|n| !BY_VALUE.contains(&n.op_type()))
}
