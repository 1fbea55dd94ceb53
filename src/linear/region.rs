//! Operators between one tensor and another that make the second a linear map of the first.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{NodeId, ValueId};
use crate::read::{Context, Reject, RejectCode, spatial};

use super::map::{Map, Misfit};
use super::op::Op;

/// What a node of a region does.
pub enum TermKind {
    /// A linear operator.
    Op(ValueId, Box<Op>),
    /// The sum of tensors, each times a factor.
    Sum(Vec<(ValueId, f64)>),
}

/// A node of a region.
pub struct Term {
    /// The node.
    pub node: NodeId,
    /// The tensor that it gives to the region.
    pub output: ValueId,
    /// What it does.
    pub kind: TermKind,
}

/// The operators, in topological order; the last computes the root.
pub struct Region {
    /// The tensor that everything is a map of.
    pub origin: ValueId,
    /// What the region computes.
    pub root: ValueId,
    /// Its nodes.
    pub terms: Vec<Term>,
}

impl Region {
    /// The root as one map of the origin, with its weights when `weights` is set. Also, for each term, the
    /// product of the strides between the origin and what the term computes.
    ///
    /// # Errors
    /// A [`Reject`] that names the operator, the tensor and the border or axis.
    pub fn map(&self, cx: Context<'_>, weights: bool) -> Result<(Map, Vec<usize>), Reject> {
        let unknown = |why: &str| Reject::tensor(cx.view, self.origin, RejectCode::SizeUnknown, why);
        let axes = cx.facts.rank(self.origin).and_then(|r| r.checked_sub(2));
        let channels = cx.channels(self.origin);
        // What is not known of the origin, its first reader may say.
        let (channels, axes) = channels
            .zip(axes)
            .or_else(|| self.read_as())
            .ok_or_else(|| unknown("its rank or its channel count is unknown, or it has no channels"))?;
        let size = spatial(cx, self.origin);
        let mut maps = BTreeMap::from([(self.origin, Map::identity(channels, axes, weights))]);
        let mut strides = Vec::new();
        for term in &self.terms {
            let map = match &term.kind {
                TermKind::Op(_, op) if op.outline.weights() > cx.most_weights => {
                    Err(Misfit::TooLarge(op.outline.weights()))
                }
                TermKind::Op(input, op) => {
                    let kernel = if weights { Some(op.kernel(cx).ok_or(Misfit::Weights)) } else { None };
                    let kernel = kernel.transpose();
                    let first = maps.get(input).ok_or(Misfit::Channels);
                    first.and_then(|m| m.then(&op.outline, kernel?, &size))
                }
                TermKind::Sum(inputs) => {
                    let parts: Result<Vec<_>, _> =
                        inputs.iter().map(|(v, f)| Ok((maps.get(v).ok_or(Misfit::Channels)?, *f))).collect();
                    parts.and_then(|p| Map::sum(&p, &size))
                }
            };
            let fits = |map: Map| match map.outline.weights() {
                entries if entries > cx.most_weights => Err(Misfit::TooLarge(entries)),
                _ => Ok(map),
            };
            let map = map.and_then(fits).map_err(|misfit| refuse(cx, term, misfit))?;
            strides.push(map.outline.window.stride.iter().fold(1, |n: usize, s| n.saturating_mul(*s)));
            maps.insert(term.output, map);
        }
        let root = maps.remove(&self.root).ok_or_else(|| unknown("no operator of the region computes its root"))?;
        Ok((root, strides))
    }

    /// Channels and spatial axes of the origin, by an operator that reads it.
    fn read_as(&self) -> Option<(usize, usize)> {
        let reader = |(_, term, op): (usize, &Term, &Op)| match term.kind {
            TermKind::Op(input, _) if input == self.origin => Some((op.outline.inputs, op.outline.window.axes())),
            _ => None,
        };
        self.ops().find_map(reader)
    }

    /// The nodes that nothing needs any more once the root is computed in another way.
    #[must_use]
    pub fn removable(&self, cx: Context<'_>) -> BTreeSet<NodeId> {
        let view = cx.view;
        let mut gone = BTreeSet::new();
        for term in self.terms.iter().rev() {
            let unread = |v: &ValueId| {
                *v == self.root
                    || !view.is_output(*v)
                        && !view.is_captured(*v)
                        && view.uses(*v).iter().all(|u| gone.contains(&u.node))
            };
            if view.outputs(term.node).iter().flatten().all(unread) {
                gone.insert(term.node);
            }
        }
        gone
    }

    /// True when it selects channels.
    #[must_use]
    pub fn selects(&self) -> bool {
        self.ops().any(|(_, _, op)| op.is_selection())
    }

    /// The linear operators, with the place of each among the terms.
    pub fn ops(&self) -> impl Iterator<Item = (usize, &Term, &Op)> + '_ {
        self.terms.iter().enumerate().filter_map(|(i, term)| match &term.kind {
            TermKind::Op(_, op) => Some((i, term, &**op)),
            TermKind::Sum(_) => None,
        })
    }
}

fn refuse(cx: Context<'_>, term: &Term, misfit: Misfit) -> Reject {
    let (code, reason) = match misfit {
        Misfit::Border(border) => (RejectCode::Border, border.to_string()),
        Misfit::Channels => (RejectCode::BadConvolution, "channel counts or spatial axes do not fit".to_owned()),
        Misfit::Size(axis) => (
            RejectCode::SizeUnknown,
            format!("its inputs are not proved to have the same size along spatial axis {axis}"),
        ),
        Misfit::TooLarge(entries) => (RejectCode::TooLarge, cx.too_large("folded, it", entries)),
        Misfit::TooDear(products) => {
            (RejectCode::TooLarge, format!("to multiply the weights out would take {products} products"))
        }
        Misfit::Weights => (RejectCode::WeightNotConstant, "its weight could not be read".to_owned()),
    };
    Reject::at(cx.view, term.node, code, reason)
}
