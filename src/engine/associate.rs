//! Sums of three tensors and more in another order: where two of them are linear maps of one tensor, they fold first, and what is
//! left is a join with one shortcut. `(x + n(x)) + p(x)`, where `p` is linear, becomes `n(x) + (x + p(x))`: the input is carried once
//! instead of twice. As exact as any sum of floats in another order; and never dearer, for the fold decides.

use std::collections::BTreeSet;

use crate::facts::Facts;
use crate::graph::{self, EditList, GraphView, Names, NodeId, ValueId};
use crate::linear::{op, parallel};
use crate::onnx::{ModelProto, NodeProto};
use crate::options::Family;
use crate::plan::folds;
use crate::read::Context;
use crate::report::SiteStatus;

use super::error::EngineError;
use super::round::{Refused, Round, report};
use super::untaken;

/// Most tensors of a sum that are looked at in pairs.
const MAX_TERMS: usize = 16;

/// Longest chain of linear operators behind a term.
const MAX_STEPS: usize = 32;

/// Looks for a pair that folds, sum by sum.
pub(super) fn fold_pair(
    model: &ModelProto,
    cx: Context<'_>,
    refused: &Refused,
    round: &mut Round,
) -> Result<(), EngineError> {
    // Before that, sums do not broadcast as they do now.
    if cx.view.opset() < 8 {
        return Ok(());
    }
    let nodes: Vec<NodeId> = cx.view.nodes().collect();
    for root in nodes.into_iter().rev() {
        let Some(tree) = Tree::new(cx, root) else { continue };
        let tensor = cx.view.output(root).map(|v| cx.view.name(v).to_owned()).unwrap_or_default();
        if refused.contains_key(&(Family::Parallel, tensor)) {
            continue;
        }
        if let Some((parted, status)) = tree.folded(model, cx)? {
            round.parted = Some(parted);
            round.removed.push(report(cx, Family::Parallel, root, status));
            return Ok(());
        }
    }
    Ok(())
}

/// The sum at a root, of sums that nothing else reads.
struct Tree {
    root: NodeId,
    nodes: Vec<NodeId>,
    terms: Vec<ValueId>,
}

impl Tree {
    /// `None` when it is a part of a larger one, or sums fewer than three tensors.
    fn new(cx: Context<'_>, root: NodeId) -> Option<Self> {
        let inside = |value: ValueId| {
            let reader = cx.view.uses(value).first().filter(|_| cx.view.is_private(value));
            reader.is_some_and(|u| plain_sum(cx, u.node).is_some())
        };
        let mut tree = Self { root, nodes: Vec::new(), terms: Vec::new() };
        if inside(cx.view.output(root)?) {
            return None;
        }
        let mut open = vec![root];
        while let Some(node) = open.pop() {
            for value in plain_sum(cx, node)? {
                let sum = cx.view.def(value).filter(|n| cx.view.is_private(value) && plain_sum(cx, *n).is_some());
                match sum {
                    Some(inner) => open.push(inner),
                    None => tree.terms.push(value),
                }
            }
            tree.nodes.push(node);
        }
        (3..=MAX_TERMS).contains(&tree.terms.len()).then_some(tree)
    }

    /// The model in which the first pair that folds is folded.
    fn folded(&self, model: &ModelProto, cx: Context<'_>) -> Result<Option<(ModelProto, SiteStatus)>, EngineError> {
        let origins: Vec<BTreeSet<ValueId>> = self.terms.iter().map(|v| origins(cx, *v)).collect();
        for first in 0..self.terms.len() {
            for second in first + 1..self.terms.len() {
                if origins[first].is_disjoint(&origins[second]) {
                    continue;
                }
                if let Some(found) = self.with_pair(model, cx, (first, second))? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    fn with_pair(
        &self,
        model: &ModelProto,
        cx: Context<'_>,
        pair: (usize, usize),
    ) -> Result<Option<(ModelProto, SiteStatus)>, EngineError> {
        let mut names = Names::new(model);
        let mut parted = model.clone();
        let (edits, sum) = self.parted(cx, pair, &mut names);
        let mut touched = graph::apply(&mut parted, &[edits])?;
        let chosen = {
            let view = GraphView::new(&parted)?;
            let facts = Facts::new(&view);
            let cx = Context { view: &view, facts: &facts, ..cx };
            view.value(&sum).and_then(|v| view.def(v)).and_then(|node| folds::parallel_at(cx, node, &mut names))
        };
        let Some(chosen) = chosen else { return Ok(None) };
        touched.extend(graph::apply(&mut parted, &[chosen.edits])?);
        graph::clean(&mut parted, &touched);
        graph::validate(&parted)?;
        let other = untaken::grows(cx, model, &parted);
        Ok((!other).then_some((parted, SiteStatus::Removed(chosen.change))))
    }

    /// The sum of two terms first, then of the others and that; and the name of the first.
    fn parted(&self, cx: Context<'_>, (first, second): (usize, usize), names: &mut Names) -> (EditList, String) {
        let view = cx.view;
        let root = view.node(self.root);
        let result = view.output(self.root).map(|v| view.name(v)).unwrap_or_default();
        let site = if root.name().is_empty() { result } else { root.name() };
        let add = |names: &mut Names, inputs: [&str; 2], output: &str| NodeProto {
            name: Some(names.fresh(&format!("{}_pair", root.name()))),
            op_type: Some("Add".to_owned()),
            input: inputs.map(str::to_owned).to_vec(),
            output: vec![output.to_owned()],
            ..NodeProto::default()
        };
        let sum = names.fresh(&format!("{result}_pair"));
        let term = |i: usize| view.name(self.terms[i]);
        let mut nodes = vec![add(names, [term(first), term(second)], &sum)];
        let mut so_far = sum.clone();
        let rest: Vec<usize> = (0..self.terms.len()).filter(|i| *i != first && *i != second).collect();
        for (place, i) in rest.iter().enumerate() {
            let last = place + 1 == rest.len();
            let output = if last { result.to_owned() } else { names.fresh(&format!("{result}_part")) };
            let node = add(names, [term(*i), &so_far], &output);
            // The last one is the sum itself.
            nodes.push(if last { NodeProto { name: root.name.clone(), ..node } } else { node });
            so_far = output;
        }
        let provenance = format!("parallel: {site}");
        (EditList { remove: self.nodes.clone(), add_nodes: nodes, provenance, ..EditList::default() }, sum)
    }
}

/// The inputs of a sum of tensors of data.
fn plain_sum(cx: Context<'_>, node: NodeId) -> Option<Vec<ValueId>> {
    let inputs = parallel::sum(cx, node).filter(|_| cx.view.op(node) != "Sub")?;
    Some(inputs.into_iter().map(|(value, _)| value).collect())
}

/// The tensors that `value` is a linear map of, itself included.
fn origins(cx: Context<'_>, value: ValueId) -> BTreeSet<ValueId> {
    let before = |v: &ValueId| op::read(cx, *v).filter(|found| found.op.is_ok()).map(|found| found.input);
    std::iter::successors(Some(value), before).take(MAX_STEPS).collect()
}
