//! A node as its operator sees it: inputs, attributes, subgraphs.

use std::rc::Rc;
use std::sync::Arc;

use ndarray::ArrayD;

use crate::onnx::{AttributeProto, GraphProto, NodeProto, SparseTensorProto, TensorProto};

use super::Value;
use super::budget::{Budget, Held};
use super::error::{Outcome, fault};
use super::scope::{Frame, Scope};

/// An operator: its outputs in order; optional ones that it cannot give may be missing at the end.
pub(super) type Op = fn(&mut Call) -> Outcome<Vec<Value>>;

/// The operators of one file, by name.
pub(super) type Table = &'static [(&'static str, Op)];

/// What an operator may ask of what runs it.
pub(super) trait Machine<'m> {
    /// What is left of memory and work.
    fn budget(&self) -> &Rc<Budget>;

    /// Runs `graph`, which stands in an attribute of a node, with its inputs bound in order.
    fn run_graph(
        &self,
        graph: &'m GraphProto,
        inputs: Vec<Arc<Value>>,
        outer: &Scope<'_, 'm>,
        frame: &Frame<'m>,
    ) -> Outcome<Vec<Arc<Value>>>;
}

/// One evaluation of one node.
pub(super) struct Call<'c, 'm> {
    machine: &'c dyn Machine<'m>,
    node: &'m NodeProto,
    inputs: Vec<Option<Arc<Value>>>,
    scope: &'c Scope<'c, 'm>,
    frame: &'c Frame<'m>,
}

impl<'c, 'm> Call<'c, 'm> {
    pub(super) fn new(
        machine: &'c dyn Machine<'m>,
        node: &'m NodeProto,
        inputs: Vec<Option<Arc<Value>>>,
        scope: &'c Scope<'c, 'm>,
        frame: &'c Frame<'m>,
    ) -> Self {
        Self { machine, node, inputs, scope, frame }
    }

    /// Version of the operator set that the node belongs to.
    pub(super) fn opset(&self) -> i64 {
        self.frame.opset(self.node.domain())
    }

    /// Number of inputs that the node names, absent ones in between included.
    pub(super) fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// Number of outputs that the node names.
    pub(super) fn outputs(&self) -> usize {
        self.node.output.len()
    }

    // Inputs.

    pub(super) fn has(&self, i: usize) -> bool {
        self.inputs.get(i).is_some_and(Option::is_some)
    }

    /// Input `i`, which may be absent.
    pub(super) fn optional(&self, i: usize) -> Option<&Value> {
        self.inputs.get(i).and_then(|v| v.as_deref())
    }

    /// Input `i`.
    pub(super) fn value(&self, i: usize) -> Outcome<&Value> {
        self.optional(i).map_or_else(|| fault!("input {i} is missing"), Ok)
    }

    /// Input `i`, owned: not copied when nothing else needs it. It is gone afterwards.
    pub(super) fn take(&mut self, i: usize) -> Outcome<Value> {
        match self.inputs.get_mut(i).and_then(Option::take) {
            Some(value) => Ok(Arc::unwrap_or_clone(value)),
            None => fault!("input {i} is missing"),
        }
    }

    /// Puts another value in the place of input `i`, for the operator that this one is made of.
    pub(super) fn put(&mut self, i: usize, value: Arc<Value>) {
        if let Some(input) = self.inputs.get_mut(i) {
            *input = Some(value);
        }
    }

    /// Input `i` as it is shared with others.
    pub(super) fn shared(&self, i: usize) -> Option<Arc<Value>> {
        self.inputs.get(i).and_then(Clone::clone)
    }

    /// Input `i`, which must hold floats.
    pub(super) fn floats(&self, i: usize) -> Outcome<&ArrayD<f64>> {
        match self.value(i)? {
            Value::F(a) => Ok(a),
            other => fault!("input {i} holds {} elements, not floats", other.kind()),
        }
    }

    /// Like [`Self::floats`], for an optional input.
    pub(super) fn optional_floats(&self, i: usize) -> Outcome<Option<&ArrayD<f64>>> {
        if self.has(i) { self.floats(i).map(Some) } else { Ok(None) }
    }

    /// Like [`Self::take`], for floats.
    pub(super) fn take_floats(&mut self, i: usize) -> Outcome<ArrayD<f64>> {
        match self.take(i)? {
            Value::F(a) => Ok(a),
            other => fault!("input {i} holds {} elements, not floats", other.kind()),
        }
    }

    /// The integers of input `i` in row order; `None` when it is absent.
    pub(super) fn optional_ints(&self, i: usize) -> Outcome<Option<Vec<i64>>> {
        self.optional(i).map(Value::to_ints).transpose()
    }

    /// The integers of input `i` in row order.
    pub(super) fn ints(&self, i: usize) -> Outcome<Vec<i64>> {
        self.value(i)?.to_ints()
    }

    /// The only element of optional input `i`, as a float.
    pub(super) fn scalar(&self, i: usize) -> Outcome<Option<f64>> {
        let Some(value) = self.optional(i) else { return Ok(None) };
        match value.to_floats().iter().collect::<Vec<_>>().as_slice() {
            [one] => Ok(Some(**one)),
            other => fault!("input {i} should have one element, not {}", other.len()),
        }
    }

    // Attributes.

    pub(super) fn attribute(&self, name: &str) -> Option<&'m AttributeProto> {
        self.frame.attribute(self.node, name)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.optional_int(name).unwrap_or(default)
    }

    pub(super) fn optional_int(&self, name: &str) -> Option<i64> {
        self.attribute(name).and_then(|a| a.i)
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> bool {
        self.int(name, i64::from(default)) != 0
    }

    /// A float attribute. It has float32 precision in the file, and so has its default in the specification.
    pub(super) fn float(&self, name: &str, default: f32) -> f64 {
        f64::from(self.optional_float(name).unwrap_or(default))
    }

    pub(super) fn optional_float(&self, name: &str) -> Option<f32> {
        self.attribute(name).and_then(|a| a.f)
    }

    pub(super) fn int_list(&self, name: &str) -> Option<&'m [i64]> {
        self.attribute(name).map(|a| a.ints.as_slice())
    }

    pub(super) fn float_list(&self, name: &str) -> Option<&'m [f32]> {
        self.attribute(name).map(|a| a.floats.as_slice())
    }

    pub(super) fn string(&self, name: &str, default: &'m str) -> Outcome<&'m str> {
        let Some(bytes) = self.attribute(name).and_then(|a| a.s.as_deref()) else { return Ok(default) };
        std::str::from_utf8(bytes).map_err(|_| format!("attribute {name} is no text").into())
    }

    pub(super) fn tensor(&self, name: &str) -> Option<&'m TensorProto> {
        self.attribute(name).and_then(|a| a.t.as_ref())
    }

    pub(super) fn sparse_tensor(&self, name: &str) -> Option<&'m SparseTensorProto> {
        self.attribute(name).and_then(|a| a.sparse_tensor.as_ref())
    }

    // Subgraphs.

    pub(super) fn graph(&self, name: &str) -> Outcome<&'m GraphProto> {
        self.attribute(name).and_then(|a| a.g.as_ref()).map_or_else(|| fault!("it has no graph {name}"), Ok)
    }

    /// Counts `elements` that the operator keeps from turn to turn as alive.
    pub(super) fn hold(&self, elements: usize) -> Outcome<Held> {
        let budget = self.machine.budget();
        let held = budget.hold(elements);
        budget.fits().map(|()| held)
    }

    /// Runs `graph` with its inputs bound in order; it sees the tensors around the node.
    pub(super) fn run_graph(&self, graph: &'m GraphProto, inputs: Vec<Arc<Value>>) -> Outcome<Vec<Value>> {
        self.scope.show_entry(self.node, graph);
        let outputs = self.machine.run_graph(graph, inputs, self.scope, self.frame)?;
        Ok(outputs.into_iter().map(Arc::unwrap_or_clone).collect())
    }
}
