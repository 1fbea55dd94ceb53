//! Runs the nodes of a graph in order and frees what is no longer read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::onnx::{FunctionProto, GraphProto, ModelProto, NodeProto};

use super::budget::Budget;
use super::call::{Call, Machine};
use super::error::{EvalError, Fault, Outcome};
use super::scope::{Frame, Scope, captured, subgraphs, weight};
use super::{Tap, Trace, Value, expand, registry, sequence};

/// Deepest nesting of subgraphs and functions: a function that calls itself ends here.
const MAX_DEPTH: usize = 32;

/// What runs nodes.
struct Runner<'m> {
    /// The model's local functions by domain, name and overload.
    functions: HashMap<(&'m str, &'m str, &'m str), &'m FunctionProto>,
    budget: Rc<Budget>,
}

/// See [`super::run`] and [`super::run_to`]; without `wanted` every tensor is.
pub(super) fn run(
    model: &ModelProto,
    inputs: &BTreeMap<String, Value>,
    wanted: Option<&[&str]>,
    tap: Option<&dyn Tap>,
) -> Result<Trace, EvalError> {
    run_within(model, inputs, wanted, tap, Budget::new())
}

/// [`run`] with limits of its own.
pub(super) fn run_within(
    model: &ModelProto,
    inputs: &BTreeMap<String, Value>,
    wanted: Option<&[&str]>,
    tap: Option<&dyn Tap>,
    budget: Rc<Budget>,
) -> Result<Trace, EvalError> {
    let model = &*expand::expanded(model);
    let model = &*sequence::joined(model);
    let graph = model.graph.as_ref().ok_or(EvalError::NoGraph)?;
    let machine = Runner::new(model, budget);
    let mut scope = Scope::new(None, &machine.budget).with_initializers(graph).with_tap(tap);
    let mut trace = Trace::default();
    let wanted: HashSet<&str> = match wanted {
        Some(names) => names.iter().copied().collect(),
        None => every_tensor(graph),
    };
    if let Some(name) = inputs.keys().find(|name| graph.input.iter().all(|i| i.name() != *name)) {
        return Err(EvalError::UnknownInput(name.clone()));
    }
    for input in &graph.input {
        if let Some(value) = inputs.get(input.name()) {
            let value = Arc::new(value.clone().standard());
            if wanted.contains(input.name()) {
                trace.push(input.name(), Arc::clone(&value));
            }
            scope.set(input.name(), value);
        }
    }
    let frame = Frame { opsets: &model.opset_import, attributes: HashMap::new(), depth: 0 };
    let missing = |e| match e {
        EvalError::Undefined(name) if graph.input.iter().any(|i| i.name() == name) => EvalError::MissingInput(name),
        other => other,
    };
    machine.run_nodes(&graph.node, &mut scope, &frame, &wanted, &mut trace).map_err(missing)?;
    // What no node computes: initializers, or inputs that were not given.
    let mut left: Vec<&str> = wanted.into_iter().filter(|name| trace.get(name).is_none()).collect();
    left.sort_unstable();
    for name in left {
        trace.push(name, scope.get(name).map_err(missing)?);
    }
    Ok(trace)
}

/// Inputs that are no initializers, outputs of nodes, and outputs of the graph.
fn every_tensor(graph: &GraphProto) -> HashSet<&str> {
    let initializers: HashSet<&str> = graph.initializer.iter().map(|t| t.name()).collect();
    let inputs = graph.input.iter().map(|i| i.name()).filter(|n| !initializers.contains(n));
    let computed = graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str));
    let outputs = graph.output.iter().map(|o| o.name());
    inputs.chain(computed).chain(outputs).filter(|n| !n.is_empty()).collect()
}

/// See [`super::supports`].
pub(super) fn supports(model: &ModelProto) -> Result<(), EvalError> {
    let model = &*expand::expanded(model);
    let graph = model.graph.as_ref().ok_or(EvalError::NoGraph)?;
    let machine = Runner::new(model, Budget::new());
    let functions = model.functions.iter().flat_map(|f| f.node.iter());
    graph.node.iter().chain(functions).try_for_each(|node| machine.knows(node))
}

impl<'m> Runner<'m> {
    fn new(model: &'m ModelProto, budget: Rc<Budget>) -> Self {
        let key = |f: &'m FunctionProto| (f.domain(), f.name(), f.overload());
        Self { functions: model.functions.iter().map(|f| (key(f), f)).collect(), budget }
    }

    fn function(&self, node: &NodeProto) -> Option<&'m FunctionProto> {
        self.functions.get(&(node.domain(), node.op_type(), node.overload())).copied()
    }

    fn knows(&self, node: &NodeProto) -> Result<(), EvalError> {
        if self.function(node).is_none() && registry::find(node.domain(), node.op_type()).is_none() {
            return Err(unknown(node));
        }
        subgraphs(node).flat_map(|g| g.node.iter()).try_for_each(|inner| self.knows(inner))
    }

    /// Runs those of `nodes` that the `wanted` tensors need, and adds these to `trace`.
    fn run_nodes(
        &self,
        nodes: &'m [NodeProto],
        scope: &mut Scope<'_, 'm>,
        frame: &Frame<'m>,
        wanted: &HashSet<&str>,
        trace: &mut Trace,
    ) -> Result<(), EvalError> {
        for Scheduled { node, inputs_last, captured_last } in schedule(nodes, wanted) {
            let mut inputs = Vec::with_capacity(node.input.len());
            for name in &node.input {
                inputs.push(scope.input(name)?);
            }
            scope.show_read(node, &inputs);
            // Freed before the call, so that an operator which holds the last reference may work in place.
            inputs_last.iter().for_each(|name| scope.free(name));
            let mut outputs = self.call(node, inputs, scope, frame)?;
            scope.show(node, &mut outputs);
            captured_last.iter().for_each(|name| scope.free(name));
            for (name, value) in node.output.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
                if wanted.contains(name.as_str()) {
                    trace.push(name, Arc::clone(&value));
                }
                scope.set(name, value);
            }
            self.budget.fits().map_err(|fault| blame(node, fault))?;
        }
        Ok(())
    }

    fn call(
        &self,
        node: &'m NodeProto,
        inputs: Vec<Option<Arc<Value>>>,
        scope: &Scope<'_, 'm>,
        frame: &Frame<'m>,
    ) -> Result<Vec<Arc<Value>>, EvalError> {
        if frame.depth > MAX_DEPTH {
            return Err(EvalError::TooDeep(label(node)));
        }
        let values = if let Some(function) = self.function(node) {
            self.call_function(function, node, inputs, frame)
        } else {
            let op = registry::find(node.domain(), node.op_type()).ok_or_else(|| unknown(node))?;
            let mut call = Call::new(self, node, inputs, scope, frame);
            op(&mut call).map(|values| values.into_iter().map(|v| Arc::new(v.standard())).collect())
        };
        let produced = |values: Vec<Arc<Value>>| {
            self.budget.produce(values.iter().map(|v| v.len()).sum())?;
            Ok(values)
        };
        let values = values.and_then(produced).map_err(|fault| blame(node, fault))?;
        match node.output.get(values.len()..).and_then(|rest| rest.iter().find(|o| !o.is_empty())) {
            Some(extra) => Err(blame(node, format!("it has no output for '{extra}'").into())),
            None => Ok(values),
        }
    }

    fn call_function(
        &self,
        function: &'m FunctionProto,
        node: &'m NodeProto,
        inputs: Vec<Option<Arc<Value>>>,
        frame: &Frame<'m>,
    ) -> Outcome<Vec<Arc<Value>>> {
        let mut attributes: HashMap<&str, _> = function.attribute_proto.iter().map(|a| (a.name(), a)).collect();
        for a in &node.attribute {
            if let Some(a_here) = frame.attribute(node, a.name()) {
                attributes.insert(a.name(), a_here);
            }
        }
        let inner = Frame { opsets: &function.opset_import, attributes, depth: frame.depth + 1 };
        let mut scope = Scope::new(None, &self.budget);
        for (name, value) in function.input.iter().zip(inputs) {
            if let Some(value) = value {
                scope.set(name, value);
            }
        }
        let absent = function.input.iter().skip(node.input.len());
        let unset = node.input.iter().zip(&function.input).filter(|(given, _)| given.is_empty()).map(|(_, f)| f);
        let names: Vec<&str> = function.output.iter().map(String::as_str).collect();
        scope.leave_out(absent.chain(unset).map(String::as_str));
        self.body(&function.node, scope, &inner, &names)
    }

    fn body(
        &self,
        nodes: &'m [NodeProto],
        mut scope: Scope<'_, 'm>,
        frame: &Frame<'m>,
        outputs: &[&str],
    ) -> Outcome<Vec<Arc<Value>>> {
        self.budget.step(1 + weight(nodes))?;
        let mut trace = Trace::default();
        let wanted: HashSet<&str> = outputs.iter().copied().collect();
        self.run_nodes(nodes, &mut scope, frame, &wanted, &mut trace)?;
        let value = |name: &&str| trace.shared(name).map_or_else(|| scope.get(name).map_err(Fault::from), Ok);
        outputs.iter().map(value).collect()
    }
}

impl<'m> Machine<'m> for Runner<'m> {
    fn budget(&self) -> &Rc<Budget> {
        &self.budget
    }

    fn run_graph(
        &self,
        graph: &'m GraphProto,
        inputs: Vec<Arc<Value>>,
        outer: &Scope<'_, 'm>,
        frame: &Frame<'m>,
    ) -> Outcome<Vec<Arc<Value>>> {
        let named = graph.initializer.len() + graph.sparse_initializer.len() + graph.input.len() + graph.output.len();
        self.budget.step(named)?;
        let mut scope = Scope::new(Some(outer), &self.budget).with_initializers(graph);
        for (info, value) in graph.input.iter().zip(inputs) {
            scope.set(info.name(), value);
        }
        let inner = Frame { depth: frame.depth + 1, ..frame.clone() };
        let names: Vec<&str> = graph.output.iter().map(|o| o.name()).collect();
        self.body(&graph.node, scope, &inner, &names)
    }
}

/// A node to run, and the tensors that nothing reads after it.
struct Scheduled<'m> {
    node: &'m NodeProto,
    inputs_last: Vec<&'m str>,
    captured_last: Vec<&'m str>,
}

/// The nodes that `wanted` needs, in order.
fn schedule<'m>(nodes: &'m [NodeProto], wanted: &HashSet<&str>) -> Vec<Scheduled<'m>> {
    let mut read_later: HashSet<&'m str> = HashSet::new();
    let mut steps = Vec::new();
    for node in nodes.iter().rev() {
        let needed = |o: &String| !o.is_empty() && (wanted.contains(o.as_str()) || read_later.contains(o.as_str()));
        if !node.output.iter().any(needed) {
            continue;
        }
        let mut inside = HashSet::new();
        captured(node, &mut inside);
        let inputs: HashSet<&str> = node.input.iter().map(String::as_str).collect();
        let last = |name: &&&'m str| !wanted.contains(**name) && !read_later.contains(**name);
        let inputs_last = inputs.iter().filter(last).filter(|n| !inside.contains(**n)).copied().collect();
        let captured_last = inside.iter().filter(last).copied().collect();
        read_later.extend(inputs);
        read_later.extend(inside);
        steps.push(Scheduled { node, inputs_last, captured_last });
    }
    steps.reverse();
    steps
}

/// The name of `node`, or what stands for it in a message.
fn label(node: &NodeProto) -> String {
    let output = node.output.first().map_or("", String::as_str);
    if node.name().is_empty() { output.to_owned() } else { node.name().to_owned() }
}

fn unknown(node: &NodeProto) -> EvalError {
    EvalError::UnknownOperator { node: label(node), op: node.op_type().to_owned(), domain: node.domain().to_owned() }
}

fn blame(node: &NodeProto, fault: Fault) -> EvalError {
    match fault {
        Fault::Spent(limit) | Fault::Inside(EvalError::Spent { limit, .. }) => {
            EvalError::Spent { node: label(node), op: node.op_type().to_owned(), limit }
        }
        Fault::Inside(error) => error,
        Fault::Condition(condition) => EvalError::Node {
            node: label(node),
            op: node.op_type().to_owned(),
            tensor: node.output.first().cloned().unwrap_or_default(),
            condition,
        },
    }
}
