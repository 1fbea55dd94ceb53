//! The graph with its zones in other orders, as edits: what stays as it is stays untouched.

use std::collections::{BTreeMap, BTreeSet};

use crate::emit::{Emit, int, ints};
use crate::graph::{EditList, Names, NodeId, Use, ValueId};
use crate::onnx::{NodeProto, tensor_proto::DataType};
use crate::read::Perm;

use super::choose::{Needs, Orders};
use super::net::Net;
use super::operator::{How, Mover};
use super::write::{Turned, write};

/// A part of the graph that no other depends on, in other orders.
pub struct Moved {
    /// What to do.
    pub edits: EditList,
    /// The first `Transpose` that goes.
    pub site: NodeId,
    /// How many `Transpose` nodes there were, and how many there are.
    pub transposes: (usize, usize),
    /// True when every value keeps its bits.
    pub keeps_bits: bool,
    /// True when a linear layer becomes a convolution.
    pub has_layers: bool,
    /// Nodes that go, less nodes that come; the `Reshape` around layers over rows are not counted.
    pub fewer: isize,
    /// The zones that stand in another order.
    zones: BTreeSet<usize>,
}

impl Moved {
    /// True when `zone` is part of it.
    pub(super) fn holds(&self, zone: usize) -> bool {
        self.zones.contains(&zone)
    }
}

/// A node that puts a root in another order, or gives it a second name.
struct Put {
    root: usize,
    perm: Perm,
    input: String,
    output: String,
    /// The `Transpose` that gave the tensor of that name.
    given: Option<NodeId>,
    /// True when that one stays as it is.
    stays: bool,
}

/// Which tensor holds which order of each root.
struct Plan<'n, 'a> {
    net: &'n Net<'a>,
    orders: &'n Orders,
    needs: Vec<Needs>,
    names: BTreeMap<(usize, Perm), String>,
    puts: Vec<Put>,
    /// Which roots are read in another order, or under another name, than before.
    changed: Vec<bool>,
}

/// The parts of `net` with its zones in `orders`, but for those of which a constant could not be read.
pub(super) fn build(net: &Net<'_>, orders: &Orders, names: &mut Names) -> Vec<Moved> {
    let plan = Plan::new(net, orders, names);
    plan.parts().values().filter_map(|part| plan.build(part, names)).collect()
}

/// Nodes and roots that change together.
#[derive(Default)]
struct Component {
    nodes: Vec<NodeId>,
    roots: BTreeSet<usize>,
    zones: BTreeSet<usize>,
}

impl<'n, 'a> Plan<'n, 'a> {
    fn new(net: &'n Net<'a>, orders: &'n Orders, names: &mut Names) -> Self {
        let needs = (0..net.roots.len()).map(|root| net.needs(orders, root)).collect();
        let changed = vec![false; net.roots.len()];
        let mut plan = Self { net, orders, needs, names: BTreeMap::new(), puts: Vec::new(), changed };
        for root in 0..net.roots.len() {
            plan.name(root, names);
        }
        plan.keep();
        plan
    }

    /// Names every order of `root` that there must be, and lists the nodes that it takes.
    fn name(&mut self, root: usize, names: &mut Names) {
        let (net, needs) = (self.net, &self.needs[root]);
        let (view, forms) = (net.cx.view, &net.roots[root].forms);
        let Some(head) = forms.first() else { return };
        let in_order = |order: &Perm| {
            let same = |v: &&ValueId| net.form(**v).is_some_and(|(_, form)| form == order);
            let outside = |v: &&ValueId| net.readers(**v).any(|u| net.works(self.orders, u.node).is_none());
            let first = forms.iter().filter(same).find(outside).or_else(|| forms.iter().find(same));
            first.map(|v| view.name(*v).to_owned())
        };
        let pinned_first = |order: &Perm| {
            let pinned = needs.orders.get(order).and_then(|pinned| pinned.first());
            pinned.map(|v| view.name(*v).to_owned()).or_else(|| in_order(order))
        };
        let made = match needs.made.is_identity() {
            true => view.name(*head).to_owned(),
            false => pinned_first(&needs.made).unwrap_or_else(|| names.fresh(view.name(*head))),
        };
        self.names.insert((root, needs.made.clone()), made.clone());
        for (order, pinned) in &needs.orders {
            let mut also: Vec<String> = pinned.iter().map(|v| view.name(*v).to_owned()).collect();
            let perm = needs.made.inverse().then(order);
            if *order == needs.made {
                also.retain(|name| *name != made);
            } else {
                let first = pinned_first(order).unwrap_or_else(|| names.fresh(view.name(*head)));
                also.retain(|name| *name != first);
                also.insert(0, first.clone());
                self.names.insert((root, order.clone()), first);
            }
            for output in also {
                let given = view.value(&output).filter(|v| v != head).and_then(|v| view.def(v));
                let perm = perm.clone();
                self.puts.push(Put { root, perm, input: made.clone(), output, given, stays: false });
            }
        }
    }

    /// Finds the `Transpose` nodes that stay as they are, and the roots of which others go.
    fn keep(&mut self) {
        let view = self.net.cx.view;
        let mut kept: BTreeSet<NodeId> = BTreeSet::new();
        for put in &mut self.puts {
            let Some(node) = put.given else { continue };
            let there = |v: &ValueId| {
                let (root, form) = self.net.form(*v)?;
                self.names.get(&(*root, form.clone())).filter(|name| *name == view.name(*v))
            };
            put.stays = view.input(node, 0).as_ref().and_then(there).is_some();
            if put.stays {
                kept.insert(node);
            }
        }
        for put in &self.puts {
            self.changed[put.root] |= !put.stays;
        }
        for (root, changed) in self.changed.iter_mut().enumerate() {
            let forms = self.net.roots[root].forms.iter().skip(1).filter_map(|v| view.def(*v));
            *changed |= !self.needs[root].made.is_identity() || forms.into_iter().any(|node| !kept.contains(&node));
        }
    }

    /// The name under which `at` reads `value`, and the root that it reads.
    fn read(&self, value: ValueId, at: Use) -> (Option<usize>, String) {
        let name = || self.net.cx.view.name(value).to_owned();
        let Some((root, form)) = self.net.form(value) else { return (None, name()) };
        let order = match self.net.measures(at.node) {
            true => self.needs[*root].measured(form),
            false => self.net.taken(self.orders, form, at),
        };
        (Some(*root), self.names.get(&(*root, order)).cloned().unwrap_or_else(name))
    }

    /// `node` under its new names.
    fn renamed(&self, node: NodeId) -> NodeProto {
        let view = self.net.cx.view;
        let mut copy = view.node(node).clone();
        for (slot, value) in view.inputs(node).iter().enumerate() {
            if let (Some(value), Some(input)) = (value, copy.input.get_mut(slot)) {
                *input = self.read(*value, Use { node, slot }).1;
            }
        }
        for (value, output) in view.outputs(node).iter().zip(&mut copy.output) {
            let Some((root, _)) = value.and_then(|v| self.net.form(v)) else { continue };
            if let Some(name) = self.names.get(&(*root, self.needs[*root].made.clone())) {
                output.clone_from(name);
            }
        }
        copy
    }

    /// True for a `Shape` that reads its sizes in another order.
    fn measures_other(&self, node: NodeId) -> Option<(Perm, Perm)> {
        let input = self.net.cx.view.input(node, 0).filter(|_| self.net.measures(node))?;
        let (root, form) = self.net.form(input)?;
        let order = self.needs[*root].measured(form);
        (order != *form).then(|| (order, form.clone()))
    }

    fn is_changed(&self, node: NodeId) -> bool {
        let renamed = || self.renamed(node) != *self.net.cx.view.node(node);
        self.net.works(self.orders, node).is_some() || self.measures_other(node).is_some() || renamed()
    }

    /// What `node` is, where it works in another order.
    fn working(&self, node: NodeId) -> Option<(&'n Perm, &'n Mover)> {
        self.net.works(self.orders, node).zip(self.net.mover(node))
    }

    /// The nodes that go with `node`, where it works in another order as one with them.
    fn rest(&self, node: NodeId) -> &'n [NodeId] {
        self.working(node).map_or(&[], |(_, mover)| &mover.rest)
    }

    /// What changes together.
    fn parts(&self) -> BTreeMap<usize, Component> {
        let view = self.net.cx.view;
        let count = self.net.roots.len();
        let mut groups: Vec<usize> = (0..count + self.net.zones.len()).collect();
        let mut touched: Vec<(NodeId, Vec<usize>)> = Vec::new();
        for node in view.nodes().filter(|n| self.net.transpose(*n).is_none()) {
            if self.rest(self.net.head(node)).contains(&node) {
                continue;
            }
            let tensors = view.inputs(node).iter().chain(view.outputs(node)).flatten().copied();
            let roots = tensors.chain(self.net.ports(node)).filter_map(|v| self.net.form(v)).map(|(root, _)| *root);
            let mut near: Vec<usize> = roots.filter(|root| self.changed[*root]).collect();
            let zone = self.net.works(self.orders, node).and_then(|_| self.net.zone(node));
            near.extend(zone.map(|zone| count + zone));
            if near.is_empty() || !self.is_changed(node) {
                continue;
            }
            for pair in near.windows(2) {
                let (a, b) = (head(&groups, pair[0]), head(&groups, pair[1]));
                groups[a.max(b)] = a.min(b);
            }
            touched.push((node, near));
        }
        let mut parts: BTreeMap<usize, Component> = BTreeMap::new();
        for (node, near) in touched {
            for at in near.iter().copied() {
                let part = parts.entry(head(&groups, at)).or_default();
                match at.checked_sub(count) {
                    Some(zone) => part.zones.insert(zone),
                    None => part.roots.insert(at),
                };
            }
            if let Some(at) = near.first() {
                parts.entry(head(&groups, *at)).or_default().nodes.push(node);
            }
        }
        for root in (0..count).filter(|root| self.changed[*root]) {
            parts.entry(head(&groups, root)).or_default().roots.insert(root);
        }
        parts
    }

    /// The edit of one part.
    fn build(&self, part: &Component, names: &mut Names) -> Option<Moved> {
        let (net, view) = (self.net, self.net.cx.view);
        let forms = part.roots.iter().flat_map(|root| net.roots[*root].forms.iter().skip(1));
        let transposes: Vec<NodeId> = forms.filter_map(|v| view.def(*v)).collect();
        let puts: Vec<&Put> = self.puts.iter().filter(|put| part.roots.contains(&put.root)).collect();
        let stays = |node: &NodeId| puts.iter().any(|put| put.stays && put.given == Some(*node));
        let gone = transposes.iter().copied().filter(|node| !stays(node));
        let site = gone.clone().chain(part.nodes.iter().copied()).min_by_key(|node| view.position(*node))?;
        let mut emit = Emit::new(names, DataType::Float, 0, format!("transpose: {}", view.node(site).name()));
        let rest: Vec<NodeId> = part.nodes.iter().flat_map(|node| self.rest(*node)).copied().collect();
        emit.edits.remove = gone.chain(part.nodes.iter().copied()).chain(rest.iter().copied()).collect();
        let mut turned = Turned::new();
        for node in &part.nodes {
            self.write(&mut emit, &mut turned, *node)?;
        }
        let mut count = 0;
        for put in puts {
            if !put.stays {
                self.put(&mut emit, put);
            }
            count += usize::from(!put.perm.is_identity());
        }
        let bits = |node: &NodeId| self.working(*node).is_none_or(|(_, mover)| mover.keeps_bits());
        let is = |node: &NodeId, kind: fn(&How) -> bool| self.working(*node).is_some_and(|(_, mover)| kind(&mover.how));
        let layer = |node: &NodeId| is(node, |how| matches!(how, How::Layer(_) | How::Rows(_)));
        // Were the `Reshape` around layers over rows counted, all such layers would become convolutions.
        let uncounted = 2 * part.nodes.iter().filter(|node| is(node, |how| matches!(how, How::Rows(_)))).count();
        Some(Moved {
            site,
            has_layers: part.nodes.iter().any(layer),
            transposes: (transposes.len(), count),
            keeps_bits: part.nodes.iter().all(bits),
            fewer: emit.edits.remove.len() as isize - emit.edits.add_nodes.len() as isize - uncounted as isize,
            edits: emit.edits,
            zones: part.zones.clone(),
        })
    }

    fn write(&self, emit: &mut Emit<'_>, turned: &mut Turned, node: NodeId) -> Option<()> {
        let mut copy = self.renamed(node);
        let last = self.rest(node).last().copied().unwrap_or(node);
        copy.output = self.renamed(last).output;
        let outputs = self.net.cx.view.node(last).output.iter().cloned().zip(copy.output.iter().cloned());
        emit.edits.renamed.extend(outputs.filter(|(old, new)| old != new));
        if let Some((order, mover)) = self.working(node) {
            return write(self.net.cx, emit, turned, (node, &mover.how, mover.rank), copy, order);
        }
        if let Some((order, wanted)) = self.measures_other(node) {
            // The sizes in the order that is read, put in the order that was asked for.
            let sizes = emit.fresh(&format!("{}_sizes", copy.name()));
            let output = copy.output.first().cloned()?;
            copy.output = vec![sizes.clone()];
            let name = copy.name().to_owned();
            emit.edits.add_nodes.push(copy);
            let index = emit.int64s(&format!("{name}_order"), &order.inverse().then(&wanted).axes());
            emit.node("Gather", &format!("{name}_order"), &[&sizes, &index], &output, vec![int("axis", 0)]);
            return Some(());
        }
        emit.edits.add_nodes.push(copy);
        Some(())
    }

    fn put(&self, emit: &mut Emit<'_>, put: &Put) {
        let attributes = if put.perm.is_identity() { Vec::new() } else { vec![ints("perm", put.perm.axes())] };
        let op = if put.perm.is_identity() { "Identity" } else { "Transpose" };
        match put.given.map(|node| self.net.cx.view.node(node)).filter(|_| !put.perm.is_identity()) {
            Some(given) => {
                let mut copy = given.clone();
                copy.input = vec![put.input.clone()];
                copy.attribute = attributes;
                emit.edits.add_nodes.push(copy);
            }
            None => emit.node(op, &format!("{}_order", put.output), &[&put.input], &put.output, attributes),
        }
    }
}

fn head(groups: &[usize], mut at: usize) -> usize {
    while groups[at] != at {
        at = groups[at];
    }
    at
}
