//! How much one evaluation may compute and hold: the one place that bounds what a few numbers in a file can ask for.
//!
//! A tensor is bounded before it is allocated ([`MAX_ELEMENTS`], checked by `dims::count`), all tensors that are alive
//! together after each node, and the work by node executions and elements, not by time: the same file always gives the same answer.

use std::cell::Cell;
use std::rc::Rc;

use super::error::Fault;

/// Most elements of one tensor (2 GiB of float64).
pub(super) const MAX_ELEMENTS: usize = 1 << 28;

/// Most elements of all tensors that are alive at once (8 GiB of float64).
const MAX_ALIVE: u64 = 1 << 30;

/// Most executions of nodes in subgraphs and functions; those that a run leaves out count too, for it looks at them. A recurrent
/// network takes some hundred thousand.
const MAX_STEPS: u64 = 1 << 20;

/// Most elements that all executions together produce. The largest networks take some ten thousand million.
const MAX_PRODUCED: u64 = 1 << 36;

/// What an evaluation has used so far.
pub(super) struct Budget {
    limits: Limits,
    steps: Cell<u64>,
    produced: Cell<u64>,
    alive: Cell<u64>,
}

/// What it may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    alive: u64,
    steps: u64,
    produced: u64,
}

const LIMITS: Limits = Limits { alive: MAX_ALIVE, steps: MAX_STEPS, produced: MAX_PRODUCED };

impl Budget {
    pub(super) fn new() -> Rc<Self> {
        Self::with(LIMITS)
    }

    fn with(limits: Limits) -> Rc<Self> {
        Rc::new(Self { limits, steps: Cell::new(0), produced: Cell::new(0), alive: Cell::new(0) })
    }

    /// Counts the nodes of a subgraph or function that is run once more.
    pub(super) fn step(&self, nodes: usize) -> Result<(), Fault> {
        self.steps.set(self.steps.get().saturating_add(nodes as u64));
        check(self.steps.get(), self.limits.steps, "node executions in subgraphs and functions")
    }

    /// Counts what a node has computed.
    pub(super) fn produce(&self, elements: usize) -> Result<(), Fault> {
        self.produced.set(self.produced.get().saturating_add(elements as u64));
        check(self.produced.get(), self.limits.produced, "elements to compute")
    }

    /// Counts `elements` as alive until the result is dropped.
    pub(super) fn hold(self: &Rc<Self>, elements: usize) -> Held {
        self.alive.set(self.alive.get().saturating_add(elements as u64));
        Held { budget: Rc::clone(self), elements: elements as u64 }
    }

    /// Whether all that is alive fits.
    pub(super) fn fits(&self) -> Result<(), Fault> {
        check(self.alive.get(), self.limits.alive, "elements in memory at once")
    }
}

fn check(used: u64, limit: u64, what: &str) -> Result<(), Fault> {
    if used <= limit { Ok(()) } else { Err(Fault::Spent(format!("the evaluation needs more than {limit} {what}"))) }
}

/// Elements that count as alive.
pub(super) struct Held {
    budget: Rc<Budget>,
    elements: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.alive.set(self.budget.alive.get().saturating_sub(self.elements));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn small() -> Rc<Budget> {
        Budget::with(Limits { alive: 10, steps: 3, produced: 20 })
    }

    #[test]
    fn what_is_dropped_is_free_again() {
        let budget = small();
        let first = budget.hold(6);
        {
            let _second = budget.hold(5);
            assert!(budget.fits().is_err());
        }
        budget.fits().unwrap();
        drop(first);
        let _all = budget.hold(10);
        budget.fits().unwrap();
    }

    /// Ones of so many elements, one after the other, summed up in the end or at once.
    #[test]
    fn only_what_is_still_to_be_read_is_alive() {
        use crate::onnx::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
        let node = |op: &str, inputs: &[&str], output: &str| NodeProto {
            op_type: Some(op.into()),
            name: Some(format!("{output}_node")),
            input: inputs.iter().map(|s| (*s).into()).collect(),
            output: vec![output.into()],
            ..NodeProto::default()
        };
        let input = ValueInfoProto { name: Some("x".into()), ..ValueInfoProto::default() };
        let evaluate = |nodes: Vec<NodeProto>, alive, produced| {
            let graph = GraphProto { node: nodes, input: vec![input.clone()], ..GraphProto::default() };
            let model = ModelProto { graph: Some(graph), ..ModelProto::default() };
            let x = super::super::Value::F(ndarray::ArrayD::ones(ndarray::IxDyn(&[4])));
            let feed = std::collections::BTreeMap::from([("x".to_owned(), x)]);
            let limits = Budget::with(Limits { alive, produced, steps: 0 });
            super::super::exec::run_within(&model, &feed, Some(&["z"]), None, limits)
                .map(|_| ())
                .map_err(|e| e.to_string())
        };
        let one_by_one = vec![node("Neg", &["x"], "a"), node("Neg", &["a"], "b"), node("Neg", &["b"], "z")];
        let at_once = vec![node("Neg", &["x"], "a"), node("Neg", &["x"], "b"), node("Sum", &["x", "a", "b"], "z")];
        assert_eq!(evaluate(one_by_one.clone(), 4, 12), Ok(()));
        let said = evaluate(one_by_one, 4, 11).unwrap_err();
        assert_eq!(said, "node 'z_node' (Neg): the evaluation needs more than 11 elements to compute");
        assert_eq!(evaluate(at_once.clone(), 12, 12), Ok(()));
        let said = evaluate(at_once, 11, 12).unwrap_err();
        assert_eq!(said, "node 'b_node' (Neg): the evaluation needs more than 11 elements in memory at once");
    }

    #[test]
    fn work_is_never_given_back() {
        let budget = small();
        (0..3).for_each(|_| budget.step(1).unwrap());
        let said = budget.step(1).unwrap_err().to_string();
        assert_eq!(said, "the evaluation needs more than 3 node executions in subgraphs and functions");
        budget.produce(20).unwrap();
        assert!(budget.produce(1).is_err());
        assert!(budget.produce(usize::MAX).is_err());
    }
}
