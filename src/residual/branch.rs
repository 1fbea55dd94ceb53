//! A branch in its normal form: convolutions, and between them operators that carried channels pass.
//!
//! Affine maps fold into the convolution before them. Where an operator that computes stands before the first
//! convolution, a 1x1 identity is inserted that duplicates the fork (pre-activation); where one stands behind
//! the last convolution, or where the branch's result is read elsewhere, a 1x1 identity is inserted that merges.

use std::collections::BTreeSet;

use crate::graph::{NodeId, Use, ValueId};
use crate::read::{BranchConv, Context, Reject, RejectCode, Rows};

use super::find::{PathStep, Site};
use super::operation::{Operation, Reading, Step};

/// What one item of the branch does.
pub enum ItemKind {
    /// A convolution, which is widened.
    Conv(Box<BranchConv>),
    /// An operator that carried channels pass.
    Operation(Box<dyn Operation>),
}

/// One item of the branch.
pub struct Item {
    /// What it does.
    pub kind: ItemKind,
    /// The tensors of the original graph whose values its body channels have.
    pub values: Vec<ValueId>,
}

impl Item {
    /// The convolution, if it is one.
    #[must_use]
    pub fn conv(&self) -> Option<&BranchConv> {
        match &self.kind {
            ItemKind::Conv(conv) => Some(conv),
            ItemKind::Operation(_) => None,
        }
    }

    /// True for a convolution that stands for no node.
    fn is_inserted(&self) -> bool {
        self.conv().is_some_and(|c| c.node.is_none())
    }

    fn into_conv(self) -> Option<Box<BranchConv>> {
        match self.kind {
            ItemKind::Conv(conv) => Some(conv),
            ItemKind::Operation(_) => None,
        }
    }

    /// The operator that carried channels pass, if it is one.
    #[must_use]
    pub fn pass(&self) -> Option<&dyn Operation> {
        match &self.kind {
            ItemKind::Operation(pass) => Some(&**pass),
            ItemKind::Conv(_) => None,
        }
    }
}

/// The items of a branch from the fork to the join; the last is a convolution, where the merge happens.
pub struct Branch {
    /// The items.
    pub items: Vec<Item>,
    /// Nodes that the rewrite replaces, the join among them.
    pub removed: BTreeSet<NodeId>,
    /// Every read of a branch tensor by the branch itself.
    edges: BTreeSet<Use>,
    /// What `Pad` operators added since the last convolution.
    padding: Vec<(usize, usize)>,
}

impl Branch {
    /// Normalises the branch of `site`.
    ///
    /// # Errors
    /// A [`Reject`] when a channel count that an inserted convolution needs is unknown.
    pub fn new(cx: Context<'_>, site: Site) -> Result<(Self, super::shortcut::Shortcut), Reject> {
        let Site { join, output, fork, steps, applied, shortcut, .. } = site;
        let edges = edges(cx, join, &steps);
        let removed = removed(cx, join, &steps, &edges);
        let mut branch = Self { items: Vec::new(), removed, edges, padding: Vec::new() };
        let axes = cx
            .facts
            .rank(fork)
            .and_then(|rank| cx.frame.spatial(rank))
            .ok_or_else(|| unknown(cx, fork, "the rank of the fork is unknown, or it has no spatial axis"))?;
        for PathStep { reading, node, output } in steps {
            branch.push(cx, reading, (node, Some(output)), axes)?;
        }
        let end = branch.end(fork);
        for step in applied {
            let reading = Reading { step: step.on_branch(join), input: end, reads: Vec::new(), nodes: Vec::new() };
            branch.push(cx, reading, (join, None), axes)?;
        }
        if branch.padding.iter().any(|p| *p != (0, 0)) {
            let reason = "a Pad stands behind the last convolution of the branch";
            return Err(Reject::at(cx.view, join, RejectCode::CannotPass, reason));
        }
        let elementwise =
            |item: &Item| matches!(&item.kind, ItemKind::Operation(p) if p.is_activation() || p.rows().is_some());
        if branch.items.iter().all(|i| elementwise(i) || i.is_inserted()) {
            let reason = "it is an elementwise function of one tensor, x + f(x): there is no convolution to merge into";
            return Err(Reject::at(cx.view, join, RejectCode::TwoBranches, reason));
        }
        let merges = branch
            .items
            .last()
            .is_some_and(|last| last.conv().is_some() && !last.values.iter().any(|v| branch.is_needed(cx, *v)));
        if !merges {
            // The join may repeat the channels of the branch.
            let channels = cx.channels(output).or_else(|| cx.channels(end));
            branch.insert(cx, (end, channels), "merge", axes)?;
        }
        Ok((branch, shortcut))
    }

    fn push(
        &mut self,
        cx: Context<'_>,
        reading: Reading,
        (node, output): (NodeId, Option<ValueId>),
        axes: usize,
    ) -> Result<(), Reject> {
        let values: Vec<ValueId> = output.into_iter().collect();
        match reading.step {
            Step::Nothing => {
                if let Some(last) = self.items.last_mut() {
                    last.values.extend(values);
                }
            }
            Step::Conv(mut conv) => {
                conv.push_padding(&std::mem::take(&mut self.padding));
                // Rows have no border: what was inserted for a per-channel map goes into the layer behind it.
                let goes = !cx.is_channels_first() && self.last_is_free(cx);
                if let Some(scale) = self.items.pop_if(|i| goes && i.is_inserted()).and_then(Item::into_conv) {
                    conv.compose_with(*scale);
                }
                self.items.push(Item { kind: ItemKind::Conv(conv), values });
            }
            Step::Crop(crop) => {
                let cropped = self.foldable(cx).is_some_and(|conv| conv.crop(&crop));
                if !cropped {
                    let reason = "it drops entries that no padding of a convolution right before it put there";
                    return Err(Reject::at(cx.view, node, RejectCode::CannotPass, reason));
                }
                self.replace_values(values);
            }
            Step::Rows(rows) => self.push_rows(cx, rows, values),
            Step::Affine(scale, shift) => {
                if self.foldable(cx).is_none() {
                    self.insert(cx, (reading.input, cx.channels(reading.input)), "scale", axes)?;
                }
                if let Some(conv) = self.foldable(cx) {
                    if scale.len() != conv.channels.1 || shift.len() != conv.channels.1 {
                        let reason = "its constants do not have one value a channel";
                        return Err(Reject::at(cx.view, node, RejectCode::BadConvolution, reason));
                    }
                    conv.push_affine(scale, shift);
                }
                self.replace_values(values);
            }
            Step::Operation(pass) => {
                let any_conv = self.items.iter().any(|i| i.conv().is_some());
                if !any_conv && !pass.moves_only() {
                    self.insert(cx, (reading.input, cx.channels(reading.input)), "duplicate", axes)?;
                }
                add(&mut self.padding, pass.padding());
                self.items.push(Item { kind: ItemKind::Operation(pass), values });
            }
        }
        Ok(())
    }

    /// Numbers the rows in another way: in front of a linear layer that nothing else reads, so that what folds into the
    /// layer still stands right behind it, and together with the numbering there.
    fn push_rows(&mut self, cx: Context<'_>, rows: Rows, output: Vec<ValueId>) {
        let layer = if self.foldable(cx).is_some() { self.items.pop() } else { None };
        let values = if layer.is_some() { Vec::new() } else { output.clone() };
        let before = self.items.last().filter(|_| self.last_is_free(cx)).and_then(|item| item.pass()?.rows());
        // In front of the branch there is no item that could give out what has the fork's numbering again.
        let keeps = self.items.len() == 1 && values.iter().any(|v| self.is_needed(cx, *v));
        let both = match before.map(|before| before.then(&rows)) {
            Some(both) if both.is_some() || !keeps => {
                self.items.pop();
                both
            }
            _ => Some(rows),
        };
        match (both, self.items.last_mut()) {
            (Some(rows), _) => self.items.push(Item { kind: ItemKind::Operation(Box::new(rows)), values }),
            (None, Some(last)) => last.values.extend(values),
            (None, None) => {}
        }
        self.items.extend(layer.map(|layer| Item { values: output, ..layer }));
    }

    /// True when nothing else needs what the last item computes.
    fn last_is_free(&self, cx: Context<'_>) -> bool {
        self.items.last().is_some_and(|last| !last.values.iter().any(|v| self.is_needed(cx, *v)))
    }

    /// The convolution that comes last, when nothing else needs what it computes.
    fn foldable(&mut self, cx: Context<'_>) -> Option<&mut BranchConv> {
        let free = self.last_is_free(cx);
        match self.items.last_mut().map(|last| &mut last.kind) {
            Some(ItemKind::Conv(conv)) if free => Some(conv),
            _ => None,
        }
    }

    /// The last item now computes `values` alone.
    fn replace_values(&mut self, values: Vec<ValueId>) {
        if let Some(last) = self.items.last_mut() {
            last.values = values;
        }
    }

    /// The tensor that the branch computes so far, or the fork.
    fn end(&self, fork: ValueId) -> ValueId {
        self.items.last().and_then(|i| i.values.last()).copied().unwrap_or(fork)
    }

    /// Inserts an identity on so many channels behind the tensor `at`.
    fn insert(
        &mut self,
        cx: Context<'_>,
        (at, channels): (ValueId, Option<usize>),
        what: &str,
        axes: usize,
    ) -> Result<(), Reject> {
        let channels = channels.ok_or_else(|| unknown(cx, at, "its channel count is unknown"))?;
        let name = format!("{}_{what}", cx.view.name(at));
        let conv = BranchConv::inserted(&name, channels, axes);
        self.items.push(Item { kind: ItemKind::Conv(Box::new(conv)), values: Vec::new() });
        Ok(())
    }

    /// True when something besides the branch itself reads `value`, and the node that computes it is replaced: the
    /// rewritten graph must then compute it anew.
    #[must_use]
    pub fn is_needed(&self, cx: Context<'_>, value: ValueId) -> bool {
        let view = cx.view;
        let replaced = view.def(value).is_some_and(|node| self.removed.contains(&node));
        replaced
            && (view.is_output(value)
                || view.is_captured(value)
                || view.uses(value).iter().any(|u| !self.removed.contains(&u.node) || !self.edges.contains(u)))
    }

    /// True unless it is proved that no operator repeats entries to the size of another operand.
    #[must_use]
    pub fn repeats(&self, cx: Context<'_>) -> bool {
        self.items.iter().any(|item| item.pass().is_some_and(|pass| pass.repeats(cx)))
    }

    /// The convolutions with their places among the items.
    pub fn convs(&self) -> impl Iterator<Item = (usize, &BranchConv)> + '_ {
        self.items.iter().enumerate().filter_map(|(i, item)| Some((i, item.conv()?)))
    }
}

fn unknown(cx: Context<'_>, value: ValueId, reason: &str) -> Reject {
    Reject::tensor(cx.view, value, RejectCode::SizeUnknown, reason).hint("give the inputs of the model fixed sizes")
}

fn add(so_far: &mut Vec<(usize, usize)>, more: &[(usize, usize)]) {
    if so_far.len() < more.len() {
        so_far.resize(more.len(), (0, 0));
    }
    for (total, added) in so_far.iter_mut().zip(more) {
        *total = (total.0 + added.0, total.1 + added.1);
    }
}

/// The join, and every node of the branch that computes nothing which is read elsewhere. A tensor between two
/// operators may be read elsewhere: the rewritten graph has it under its own name.
fn removed(cx: Context<'_>, join: NodeId, steps: &[PathStep], edges: &BTreeSet<Use>) -> BTreeSet<NodeId> {
    let on_path: BTreeSet<ValueId> = steps.iter().map(|s| s.output).collect();
    // What does nothing in front of the branch only gives the fork a second name, which others may read.
    let mut removed: BTreeSet<NodeId> = steps
        .iter()
        .skip_while(|s| matches!(s.reading.step, Step::Nothing))
        .flat_map(|s| s.reading.nodes.iter().copied())
        .collect();
    removed.insert(join);
    let part = |node: NodeId| steps.iter().position(|s| s.reading.nodes.contains(&node));
    loop {
        // A removed node comes back widened, and reads what it read beside the branch: a gate, or another part of a `Split`.
        let own = |value: ValueId, u: &Use| {
            let inside = || cx.view.def(value).and_then(part).is_some_and(|p| part(u.node) == Some(p));
            removed.contains(&u.node) && (edges.contains(u) || inside())
        };
        let read_elsewhere = |value: &ValueId| {
            cx.view.is_output(*value)
                || cx.view.is_captured(*value)
                || cx.view.uses(*value).iter().any(|u| !own(*value, u))
        };
        let stays = |node: &NodeId| {
            *node != join && cx.view.outputs(*node).iter().flatten().any(|v| !on_path.contains(v) && read_elsewhere(v))
        };
        let Some(node) = removed.iter().copied().find(stays) else { break };
        removed.remove(&node);
    }
    removed
}

/// The reads by which the branch reads its own tensors, the join's included.
fn edges(cx: Context<'_>, join: NodeId, steps: &[PathStep]) -> BTreeSet<Use> {
    let mut edges: BTreeSet<Use> = steps.iter().flat_map(|s| s.reading.reads.iter().copied()).collect();
    let slot = steps.last().and_then(|s| cx.view.inputs(join).iter().position(|v| *v == Some(s.output)));
    edges.extend(slot.map(|slot| Use { node: join, slot }));
    edges
}
