//! The graph without its `Transpose` nodes: what each of them gives is its input in another order.

use crate::graph::{NodeId, Use, ValueId};
use crate::read::{Context, Perm};

use super::operator::{self, Mover};
use super::rows;

/// A tensor that no `Transpose` gives, with all that do nothing but put it in another order.
pub(super) struct Root {
    /// The tensor, and the `Transpose` outputs that are made of it, in topological order.
    pub forms: Vec<ValueId>,
    /// Its axes.
    pub rank: usize,
    /// The zones that it has a part in.
    pub zones: Vec<usize>,
}

/// Tensors that stand in the same order, since the operators between them take any.
#[derive(Default)]
pub(super) struct Zone {
    /// Axes of its tensors.
    pub rank: usize,
    /// The operators.
    pub nodes: Vec<NodeId>,
    /// The roots of its tensors, as places in [`Net::roots`].
    pub roots: Vec<usize>,
}

/// What may be put in another order.
pub(super) struct Net<'a> {
    pub cx: Context<'a>,
    /// By node.
    movers: Vec<Option<Mover>>,
    /// By node: the mover that it is a part of, where it is not the first node of that.
    heads: Vec<Option<NodeId>>,
    /// By value: the root that it is a form of, as a place in `roots`, and its order there.
    forms: Vec<Option<(usize, Perm)>>,
    /// By value.
    zones_of: Vec<Option<usize>>,
    pub roots: Vec<Root>,
    pub zones: Vec<Zone>,
}

impl<'a> Net<'a> {
    /// Reads the graph of `cx`. `None` when no `Transpose` is in it that anything reads.
    pub(super) fn new(cx: Context<'a>) -> Option<Self> {
        let values = cx.view.values().count();
        let count = cx.view.graph().node.len();
        let mut net = Self {
            cx,
            movers: (0..count).map(|_| None).collect(),
            heads: vec![None; count],
            forms: vec![None; values],
            zones_of: vec![None; values],
            roots: Vec::new(),
            zones: Vec::new(),
        };
        net.read_forms()?;
        let others: Vec<NodeId> = cx.view.nodes().filter(|n| net.transpose(*n).is_none()).collect();
        for node in others {
            if net.heads[node.0 as usize].is_some() {
                continue;
            }
            let mover = rows::read(cx, node).or_else(|| operator::read(cx, node));
            for part in mover.iter().flat_map(|mover| &mover.rest) {
                net.heads[part.0 as usize] = Some(node);
            }
            net.movers[node.0 as usize] = mover;
        }
        net.make_zones();
        Some(net)
    }

    fn read_forms(&mut self) -> Option<()> {
        let view = self.cx.view;
        let mut any = false;
        for node in view.nodes() {
            let Some((input, output)) = view.input(node, 0).zip(view.output(node)) else { continue };
            // What nothing reads stays as it is.
            let read = !view.uses(output).is_empty() || view.is_output(output) || view.is_captured(output);
            let Some(perm) = Perm::of(self.cx, node).filter(|_| read && self.cx.facts.is_data(input)) else { continue };
            any = true;
            let rank = perm.rank();
            let (root, before) = match &self.forms[input.0 as usize] {
                Some((root, before)) => (*root, before.clone()),
                None => (self.push_root(input, rank), Perm::identity(rank)),
            };
            self.roots[root].forms.push(output);
            self.forms[output.0 as usize] = Some((root, before.then(&perm)));
        }
        any.then_some(())
    }

    fn push_root(&mut self, value: ValueId, rank: usize) -> usize {
        let root = self.roots.len();
        self.roots.push(Root { forms: vec![value], rank, zones: Vec::new() });
        self.forms[value.0 as usize] = Some((root, Perm::identity(rank)));
        root
    }

    /// Unites the tensors that one operator takes and gives.
    fn make_zones(&mut self) {
        let view = self.cx.view;
        let mut parents: Vec<usize> = view.values().map(|v| v.0 as usize).collect();
        for node in view.nodes() {
            let mut ports = self.ports(node).map(|v| v.0 as usize);
            let Some(first) = ports.next() else { continue };
            for port in ports.collect::<Vec<_>>() {
                let (a, b) = (find(&mut parents, first), find(&mut parents, port));
                parents[a.max(b)] = a.min(b);
            }
        }
        let mut numbers: Vec<Option<usize>> = vec![None; parents.len()];
        for node in view.nodes() {
            let Some(first) = self.ports(node).next() else { continue };
            let head = find(&mut parents, first.0 as usize);
            let zone = *numbers[head].get_or_insert(self.zones.len());
            if zone == self.zones.len() {
                let rank = self.mover(node).map_or(0, |m| m.rank);
                self.zones.push(Zone { rank, ..Zone::default() });
            }
            self.zones[zone].nodes.push(node);
            for value in self.ports(node).collect::<Vec<_>>() {
                if self.zones_of[value.0 as usize].replace(zone).is_none() {
                    let root = match &self.forms[value.0 as usize] {
                        Some((root, _)) => *root,
                        None => self.push_root(value, self.zones[zone].rank),
                    };
                    if !self.roots[root].zones.contains(&zone) {
                        self.roots[root].zones.push(zone);
                        self.zones[zone].roots.push(root);
                    }
                }
            }
        }
    }

    /// The tensors of `node` that may stand in another order.
    pub(super) fn ports(&self, node: NodeId) -> impl Iterator<Item = ValueId> + use<'a, '_> {
        let view = self.cx.view;
        self.mover(node).into_iter().flat_map(move |mover| {
            let last = mover.rest.last().copied().unwrap_or(node);
            let read = mover.inputs.iter().filter_map(move |slot| view.input(node, *slot));
            read.chain(mover.outputs.iter().filter_map(move |slot| view.outputs(last).get(*slot).copied().flatten()))
        })
    }

    /// The first node of the mover that `node` is a part of.
    pub(super) fn head(&self, node: NodeId) -> NodeId {
        self.heads[node.0 as usize].unwrap_or(node)
    }

    /// What `node` does to the order of what it reads, when it is a `Transpose` that is seen through.
    pub(super) fn transpose(&self, node: NodeId) -> Option<Perm> {
        let output = self.cx.view.output(node).filter(|_| self.cx.view.op(node) == "Transpose")?;
        let (root, _) = self.form(output)?;
        (self.roots[*root].forms.first() != Some(&output)).then(|| Perm::of(self.cx, node))?
    }

    /// How `node` takes another order, if it does.
    pub(super) fn mover(&self, node: NodeId) -> Option<&Mover> {
        self.movers[node.0 as usize].as_ref()
    }

    /// The zone of `node`.
    pub(super) fn zone(&self, node: NodeId) -> Option<usize> {
        self.zones_of[self.ports(node).next()?.0 as usize]
    }

    /// The root that `value` is a form of, and its order there.
    pub(super) fn form(&self, value: ValueId) -> Option<&(usize, Perm)> {
        self.forms[value.0 as usize].as_ref()
    }

    /// Who reads `value`, but for those that put it in another order.
    pub(super) fn readers(&self, value: ValueId) -> impl Iterator<Item = Use> + use<'a, '_> {
        self.cx.view.uses(value).iter().copied().filter(|u| self.transpose(u.node).is_none())
    }

    /// True when `value` must keep its name, for something outside of the graph's nodes knows it by that.
    pub(super) fn is_pinned(&self, value: ValueId) -> bool {
        self.cx.view.is_output(value) || self.cx.view.is_captured(value)
    }
}

fn find(parents: &mut [usize], at: usize) -> usize {
    let mut head = at;
    while parents[head] != head {
        head = parents[head];
    }
    let mut next = at;
    while parents[next] != head {
        next = std::mem::replace(&mut parents[next], head);
    }
    head
}
