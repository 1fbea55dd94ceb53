//! Which zone stands in which order: the fewest nodes.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{NodeId, Use, ValueId};
use crate::read::Perm;

use super::net::Net;

/// The order of each zone.
pub(super) type Orders = Vec<Perm>;

/// Of a root, which orders there must be.
pub(super) struct Needs {
    /// The one in which it is computed.
    pub made: Perm,
    /// All that are read, and of each the forms that must keep their names.
    pub orders: BTreeMap<Perm, Vec<ValueId>>,
    /// What is read by a `Shape` alone, which can as well read another order.
    shapes: Vec<Perm>,
}

impl Needs {
    /// The order that a `Shape` reads, which asks for the sizes in the order `wanted`.
    pub(super) fn measured(&self, wanted: &Perm) -> Perm {
        let there = *wanted == self.made || self.orders.contains_key(wanted);
        if there { wanted.clone() } else { self.made.clone() }
    }

    /// Nodes that it takes to have all of them.
    fn nodes(&self) -> usize {
        let put: usize = self
            .orders
            .iter()
            .map(|(order, pinned)| match *order == self.made {
                true => pinned.len().saturating_sub(1),
                false => pinned.len().max(1),
            })
            .sum();
        put + self.shapes.iter().filter(|wanted| self.measured(wanted) != **wanted).count()
    }
}

/// Orders tried for a zone: those that most of what stands around it would need no `Transpose` for.
const MAX_TRIED: usize = 6;

impl Net<'_> {
    /// Everything as it is.
    pub(super) fn as_it_is(&self) -> Orders {
        self.zones.iter().map(|zone| Perm::identity(zone.rank)).collect()
    }

    /// The order in which `node` works, when that is another one than it is written in.
    pub(super) fn works<'o>(&self, orders: &'o Orders, node: NodeId) -> Option<&'o Perm> {
        let order = orders.get(self.zone(node)?).filter(|order| !order.is_identity())?;
        self.mover(node)?.extra(order).map(|_| order)
    }

    /// The order of a root that is read by `at` as a form in the order `form`.
    pub(super) fn taken(&self, orders: &Orders, form: &Perm, at: Use) -> Perm {
        let moves = self.mover(at.node).is_some_and(|mover| mover.inputs.contains(&at.slot));
        match self.works(orders, at.node).filter(|_| moves) {
            Some(order) => form.then(order),
            None => form.clone(),
        }
    }

    /// The order in which the node that computes a root gives it.
    fn made(&self, orders: &Orders, root: usize) -> Perm {
        let root = &self.roots[root];
        let made = || {
            let value = root.forms.first()?;
            let node = self.cx.view.def(*value)?;
            let slot = self.cx.view.outputs(node).iter().position(|v| v == &Some(*value))?;
            let head = self.head(node);
            self.works(orders, head).filter(|_| self.mover(head).is_some_and(|m| m.outputs.contains(&slot)))
        };
        made().cloned().unwrap_or_else(|| Perm::identity(root.rank))
    }

    /// Which orders of `root` there must be.
    pub(super) fn needs(&self, orders: &Orders, root: usize) -> Needs {
        let mut needs = Needs { made: self.made(orders, root), orders: BTreeMap::new(), shapes: Vec::new() };
        for value in &self.roots[root].forms {
            let Some((_, form)) = self.form(*value) else { continue };
            for at in self.readers(*value) {
                if self.measures(at.node) {
                    needs.shapes.push(form.clone());
                } else {
                    needs.orders.entry(self.taken(orders, form, at)).or_default();
                }
            }
            if self.is_pinned(*value) {
                needs.orders.entry(form.clone()).or_default().push(*value);
            }
        }
        needs
    }

    /// True for a `Shape` of all axes.
    pub(super) fn measures(&self, node: NodeId) -> bool {
        let view = self.cx.view;
        view.op(node) == "Shape" && ["start", "end"].iter().all(|name| view.attr(node, name).is_none())
    }

    /// Nodes that depend on the order of `zone`.
    fn cost(&self, orders: &Orders, zone: usize) -> usize {
        let zone = &self.zones[zone];
        let put: usize = zone.roots.iter().map(|root| self.needs(orders, *root).nodes()).sum();
        let extra = |node: &NodeId| self.mover(*node)?.extra(self.works(orders, *node)?);
        put + zone.nodes.iter().filter_map(extra).sum::<usize>()
    }

    /// Orders of `zone` in which something around it needs no `Transpose`, those that fit the most first.
    fn tried(&self, orders: &Orders, zone: usize) -> Vec<Perm> {
        let mut fits: BTreeMap<Perm, usize> = BTreeMap::new();
        for index in &self.zones[zone].roots {
            let root = &self.roots[*index];
            let inside = |value: ValueId| self.readers(value).any(|u| self.zone(u.node) == Some(zone));
            // What is read or given elsewhere, in the order it is read or given there.
            let mut around: BTreeSet<Perm> = BTreeSet::new();
            let head = root.forms.first().and_then(|v| self.cx.view.def(*v)).map(|node| self.head(node));
            let is_own = head.is_some_and(|node| self.zone(node) == Some(zone));
            if !is_own {
                around.insert(self.made(orders, *index));
            }
            for value in &root.forms {
                let Some((_, form)) = self.form(*value) else { continue };
                let others = self.readers(*value).filter(|u| self.zone(u.node) != Some(zone));
                around.extend(others.map(|u| self.taken(orders, form, u)));
                around.extend(self.is_pinned(*value).then(|| form.clone()));
            }
            // The forms that the zone has of it.
            let own = root.forms.iter().copied().filter(|v| inside(*v)).filter_map(|v| self.form(v));
            let mut own: Vec<Perm> = own.map(|(_, form)| form.clone()).collect();
            own.extend(is_own.then(|| Perm::identity(root.rank)));
            for form in own {
                for other in &around {
                    *fits.entry(form.inverse().then(other)).or_default() += 1;
                }
            }
        }
        let mut tried: Vec<(Perm, usize)> = fits.into_iter().collect();
        tried.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        tried.truncate(MAX_TRIED);
        let as_it_is = Perm::identity(self.zones[zone].rank);
        if !tried.iter().any(|(order, _)| *order == as_it_is) {
            tried.push((as_it_is, 0));
        }
        tried.into_iter().map(|(order, _)| order).filter(|order| *order != orders[zone]).collect()
    }

    /// What changes in the number of nodes when `zone` stands in the order `order`.
    fn change(&self, orders: &mut Orders, zone: usize, order: &Perm) -> isize {
        let before = self.cost(orders, zone);
        let last = std::mem::replace(&mut orders[zone], order.clone());
        let after = self.cost(orders, zone);
        orders[zone] = last;
        after as isize - before as isize
    }

    /// The order of each zone that needs the fewest nodes, zone by zone, until no zone alone needs fewer in another.
    pub(super) fn fewest(&self) -> Orders {
        let mut orders = self.as_it_is();
        loop {
            let mut moved = false;
            for zone in 0..self.zones.len() {
                let tried = self.tried(&orders, zone);
                let best = tried.into_iter().map(|order| (self.change(&mut orders, zone, &order), order)).min();
                if let Some((_, order)) = best.filter(|(change, _)| *change < 0) {
                    orders[zone] = order;
                    moved = true;
                }
            }
            if !moved {
                return orders;
            }
        }
    }

    /// The zone by a tensor of it, and its order.
    pub(super) fn key(&self, zone: usize, orders: &Orders) -> String {
        let first = self.zones[zone].roots.iter().find_map(|root| self.roots[*root].forms.first());
        let name = first.map_or("", |value| self.cx.view.name(*value));
        format!("{name} {:?}", orders[zone])
    }

    /// Other orders of one zone each that need at most `more` nodes more than `orders`, with the zone; those that need the fewest
    /// first.
    pub(super) fn others(&self, orders: &Orders, more: isize) -> Vec<(usize, Orders)> {
        let mut orders = orders.clone();
        let mut found = Vec::new();
        for zone in 0..self.zones.len() {
            for order in self.tried(&orders, zone) {
                let change = self.change(&mut orders, zone, &order);
                if (0..=more).contains(&change) {
                    let mut other = orders.clone();
                    other[zone] = order;
                    found.push((change, (zone, other)));
                }
            }
        }
        found.sort_by_key(|(change, _)| *change);
        found.into_iter().map(|(_, other)| other).collect()
    }
}
