//! Which linear folds are worth making: those that do not cost more multiply-accumulates than what they replace.

use std::collections::BTreeSet;

use crate::algebra::Geometry;
use crate::graph::{EditList, Names, NodeId};
use crate::linear::{Fold, Region, flatten, fold, head, parallel, rows, sequence, transposed, transposed_sum};
use crate::read::{Context, Reject, RejectCode};

use super::change::{Change, Exactness};
use super::cost;
use crate::options::{Family, FusePointwise};

/// A fold that was chosen.
pub struct Chosen {
    /// Which mechanism.
    pub family: Family,
    /// The node that computed the folded tensor.
    pub site: NodeId,
    /// What to do.
    pub edits: EditList,
    /// What it changes.
    pub change: Change,
}

/// A place where something could fold, but does not.
pub struct Kept {
    /// Which mechanism.
    pub family: Family,
    /// The node that computes the tensor.
    pub site: NodeId,
    /// Why not.
    pub reject: Reject,
}

/// What was found in one round.
#[derive(Default)]
pub struct Folds {
    /// Folds that do not touch each other.
    pub chosen: Vec<Chosen>,
    /// Sites that stay.
    pub kept: Vec<Kept>,
    claimed: BTreeSet<NodeId>,
}

/// Plans the folds of the families that the options ask for. Sums first: what leads into a sum folds with it.
#[must_use]
pub fn plan(cx: Context<'_>, names: &mut Names) -> Folds {
    let mut folds = Folds::default();
    let families = cx.options.families;
    if families.has(Family::Parallel) {
        // From the last: the outermost sum is tried first.
        let nodes: Vec<NodeId> = cx.view.nodes().collect();
        for node in nodes.into_iter().rev() {
            folds.parallel(cx, node, names);
            folds.summed(cx, node, names);
        }
    }
    if families.has(Family::Sequence) {
        // Across a Flatten first: what stands on both sides of it then folds at once.
        for node in cx.view.nodes() {
            folds.flattened(cx, node, names);
        }
        if cx.options.fold_head {
            cx.view.nodes().for_each(|node| folds.head(cx, node, names));
        }
        for node in cx.view.nodes() {
            folds.in_rows(cx, node, names);
        }
        for node in cx.view.nodes() {
            folds.sequence(cx, node, names);
            folds.transposed(cx, node, names);
        }
    }
    folds
}

/// The fold of the sum at `node` alone, when it is worth making.
#[must_use]
pub fn parallel_at(cx: Context<'_>, node: NodeId, names: &mut Names) -> Option<Chosen> {
    let mut folds = Folds::default();
    folds.parallel(cx, node, names);
    folds.summed(cx, node, names);
    folds.chosen.pop()
}

impl Folds {
    fn keep(&mut self, family: Family, site: NodeId, reject: Reject) {
        self.kept.push(Kept { family, site, reject });
    }

    fn parallel(&mut self, cx: Context<'_>, node: NodeId, names: &mut Names) {
        if self.claimed.contains(&node) {
            return;
        }
        let Some(found) = parallel::find(cx, node) else { return };
        let worth =
            found.and_then(|region| fold::prove(cx, region)).and_then(|fold| Ok((affordable(cx, &fold)?, fold)));
        match worth {
            Ok((price, fold)) => self.choose(cx, Family::Parallel, node, &fold, price, names),
            Err(reject) => self.keep(Family::Parallel, node, reject),
        }
    }

    fn summed(&mut self, cx: Context<'_>, node: NodeId, names: &mut Names) {
        let Some(found) = transposed_sum::find(cx, node) else { return };
        let built = found.and_then(|found| {
            let edits = found.build(cx, names).ok_or_else(|| unreadable(cx, node))?;
            Ok((found, edits))
        });
        match built {
            Ok((found, edits)) if edits.remove.iter().all(|n| !self.claimed.contains(n)) => {
                self.claimed.extend(&edits.remove);
                let [first, second, _] = found.nodes;
                let (before, after) = found.weights;
                let both = [first, second].into_iter().map(|n| cost::macs(cx.view, cx.facts, n)).sum::<Option<u64>>();
                let change = Change {
                    form: format!("2 transposed convolutions in a sum, one of {}", size(&found.window)),
                    exactness: Exactness::Reordered,
                    macs_before: both,
                    macs_after: both.map(|macs| macs / (before as u64).max(1) * after as u64),
                    params_before: before as u64,
                    params_after: after as u64,
                    channels: Vec::new(),
                };
                self.chosen.push(Chosen { family: Family::Parallel, site: node, edits, change });
            }
            Ok(_) => {}
            Err(reject) => self.keep(Family::Parallel, node, reject),
        }
    }

    fn sequence(&mut self, cx: Context<'_>, node: NodeId, names: &mut Names) {
        if self.claimed.contains(&node) {
            return;
        }
        let site = sequence::find(cx, node);
        let mut best: Option<(Fold, FoldCost)> = None;
        let mut reject: Option<(NodeId, Reject)> = None;
        // What a removal left in front of grouped convolutions: that it does not fold into dense ones is no news.
        let selects = site.regions.iter().any(Region::selects);
        for region in site.regions {
            let Some(last) = cx.view.def(region.root) else { continue };
            match fold::prove(cx, region).and_then(|f| Ok((pointwise(cx, &f)?, f))) {
                Ok((price, fold)) => {
                    // The longest of the cheapest.
                    if best.as_ref().is_none_or(|(_, b)| price.saved() >= b.saved()) {
                        best = Some((fold, price));
                    }
                }
                Err(r) => {
                    reject.get_or_insert((last, r));
                }
            }
        }
        match (best, reject) {
            (Some((fold, price)), _) => {
                if fold.removed().is_disjoint(&self.claimed) {
                    self.choose(cx, Family::Sequence, node, &fold, price, names);
                }
            }
            (None, Some(_)) if selects => {}
            (None, Some((last, reject))) => self.keep(Family::Sequence, last, reject),
            (None, None) => {
                if let Some(reject) = site.end {
                    self.keep(Family::Sequence, node, reject);
                }
            }
        }
    }

    fn flattened(&mut self, cx: Context<'_>, node: NodeId, names: &mut Names) {
        let Some(found) = flatten::find(cx, node) else { return };
        let built = found.and_then(|found| {
            let edits = found.build(cx, names).ok_or_else(|| unreadable(cx, node))?;
            let operators = found.affine.iter().rev().chain([&node]).map(|n| cx.view.op(*n));
            Ok((operators.collect::<Vec<_>>().join(" + "), node, edits))
        });
        self.scaled(cx, node, built);
    }

    fn in_rows(&mut self, cx: Context<'_>, node: NodeId, names: &mut Names) {
        let Some(found) = rows::find(cx, node) else { return };
        let built = found.and_then(|found| {
            let edits = found.build(cx, names).ok_or_else(|| unreadable(cx, node))?;
            let operators = [node].iter().chain(&found.affine).map(|n| cx.view.op(*n)).collect::<Vec<_>>();
            Ok((operators.join(" + "), found.affine.last().copied().unwrap_or(node), edits))
        });
        self.scaled(cx, node, built);
    }

    fn transposed(&mut self, cx: Context<'_>, node: NodeId, names: &mut Names) {
        let Some(found) = transposed::find(cx, node) else { return };
        let built = found.and_then(|found| {
            let edits = found.build(cx, names).ok_or_else(|| unreadable(cx, node))?;
            let (first, last) = if found.before { (found.affine, node) } else { (node, found.affine) };
            Ok((format!("{} + {}", cx.view.op(first), cx.view.op(last)), last, edits))
        });
        self.scaled(cx, node, built);
    }

    fn head(&mut self, cx: Context<'_>, node: NodeId, names: &mut Names) {
        let free = |edits: &EditList, claimed: &BTreeSet<NodeId>| edits.remove.iter().all(|n| !claimed.contains(n));
        let mut change = Change {
            form: "Reshape as Flatten".to_owned(),
            exactness: Exactness::Bitwise,
            macs_before: Some(0),
            macs_after: Some(0),
            params_before: 0,
            params_after: 0,
            channels: Vec::new(),
        };
        let edits = match head::find(cx, node) {
            None => head::flattened(cx, node, names),
            Some(Err(reject)) => return self.keep(Family::Sequence, node, reject),
            Some(Ok(head)) => {
                let (before, after) = head.weights();
                change.form = format!("{} + {} as one convolution", cx.view.op(head.pool), cx.view.op(node));
                change.exactness = Exactness::Reordered;
                (change.params_before, change.params_after) = (before as u64, after as u64);
                (change.macs_before, change.macs_after) = (Some(before as u64), Some(after as u64));
                match head.build(cx, names) {
                    Some(edits) => Some(edits),
                    None => return self.keep(Family::Sequence, node, unreadable(cx, node)),
                }
            }
        };
        if let Some(edits) = edits.filter(|edits| free(edits, &self.claimed)) {
            self.claimed.extend(&edits.remove);
            self.chosen.push(Chosen { family: Family::Sequence, site: node, edits, change });
        }
    }

    /// The fold of per-channel constants into `map`, whose cost stays: its form, its site and what to do.
    fn scaled(&mut self, cx: Context<'_>, map: NodeId, built: Result<(String, NodeId, EditList), Reject>) {
        match built {
            Ok((form, site, edits)) if edits.remove.iter().all(|n| !self.claimed.contains(n)) => {
                self.claimed.extend(&edits.remove);
                let macs = cost::macs(cx.view, cx.facts, map);
                let params = cost::params(cx.view, cx.facts, map);
                let change = Change {
                    form,
                    exactness: Exactness::Reordered,
                    macs_before: macs,
                    macs_after: macs,
                    params_before: params,
                    params_after: params,
                    channels: Vec::new(),
                };
                self.chosen.push(Chosen { family: Family::Sequence, site, edits, change });
            }
            Ok(_) => {}
            Err(reject) => self.keep(Family::Sequence, map, reject),
        }
    }

    fn choose(
        &mut self,
        cx: Context<'_>,
        family: Family,
        node: NodeId,
        fold: &Fold,
        price: FoldCost,
        names: &mut Names,
    ) {
        let Some(edits) = fold.build(cx, family.as_str(), names) else {
            let reason = "a weight could not be read, or a folded one is too large for the element type";
            self.keep(family, node, Reject::at(cx.view, node, RejectCode::WeightNotConstant, reason));
            return;
        };
        self.claimed.extend(fold.removed());
        let params_before = fold.parts().iter().filter(|p| fold.removed().contains(&p.node)).map(|p| p.weights as u64);
        let change = Change {
            form: form(cx, family, fold),
            exactness: Exactness::Reordered,
            macs_before: price.exact.map(|e| e.0),
            macs_after: price.exact.map(|e| e.1),
            params_before: params_before.fold(0, u64::saturating_add),
            params_after: fold.outline().weights() as u64,
            channels: Vec::new(),
        };
        let site = cx.view.def(fold.root()).unwrap_or(node);
        self.chosen.push(Chosen { family, site, edits, change });
    }
}

fn unreadable(cx: Context<'_>, node: NodeId) -> Reject {
    let reason = "its weights do not have one value a channel, or become too large for their type";
    Reject::at(cx.view, node, RejectCode::WeightNotConstant, reason)
}

fn form(cx: Context<'_>, family: Family, fold: &Fold) -> String {
    let operators = fold.operators(cx);
    if family == Family::Sequence {
        return operators.join(" + ");
    }
    if fold.outline().window.axes() == 0 {
        return format!("{} operators around a sum, one linear layer", operators.len());
    }
    let window = size(&fold.outline().window);
    let group = if fold.outline().group > 1 { ", grouped" } else { "" };
    format!("{} operators around a sum, one {window} convolution{group}", operators.len())
}

fn size(window: &Geometry) -> String {
    window.kernel.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

/// Multiply-accumulates before and after.
#[derive(Clone, Copy)]
struct FoldCost {
    /// For one position of the origin, where sizes are not known; then only their relation counts.
    before: f64,
    after: f64,
    exact: Option<(u64, u64)>,
}

impl FoldCost {
    fn saved(&self) -> f64 {
        self.before - self.after
    }
}

fn price(cx: Context<'_>, fold: &Fold) -> FoldCost {
    let gone = || fold.parts().iter().filter(|p| fold.removed().contains(&p.node));
    let exact = || {
        let before = gone().try_fold(0_u64, |n, p| Some(n.saturating_add(cost::macs(cx.view, cx.facts, p.node)?)))?;
        Some((before, cost::conv_macs(cx.facts, fold.outline().weights(), fold.root())?))
    };
    if let Some((before, after)) = exact() {
        return FoldCost { before: before as f64, after: after as f64, exact: Some((before, after)) };
    }
    let stride: f64 = fold.outline().window.stride.iter().map(|s| *s as f64).product();
    let before = gone().map(|p| p.weights as f64 / p.stride as f64).sum();
    FoldCost { before, after: fold.outline().weights() as f64 / stride, exact: None }
}

/// The price, when it is no dearer than before.
fn affordable(cx: Context<'_>, fold: &Fold) -> Result<FoldCost, Reject> {
    let price = price(cx, fold);
    if price.after <= price.before {
        return Ok(price);
    }
    let unit = if price.exact.is_some() { "MACs" } else { "MACs a position" };
    let map = if fold.outline().window.axes() == 0 { "linear layer" } else { "convolution" };
    let mut reason = format!("one {map} needs {} {unit}, what it replaces {}", price.after, price.before);
    if let Some(value) = fold.read_elsewhere() {
        reason.push_str(&format!("; what computes '{}' stays, for it is read elsewhere", cx.view.name(value)));
    }
    let root = Reject::tensor(cx.view, fold.root(), RejectCode::Dearer, reason);
    Err(if is_pointwise_pair(fold) { root.hint("--fuse-pointwise always folds it all the same") } else { root })
}

/// [`affordable`], with the user's word on pairs of 1x1 convolutions.
fn pointwise(cx: Context<'_>, fold: &Fold) -> Result<FoldCost, Reject> {
    match cx.options.fuse_pointwise {
        _ if !is_pointwise_pair(fold) => affordable(cx, fold),
        FusePointwise::Auto => affordable(cx, fold),
        FusePointwise::Always => Ok(price(cx, fold)),
        FusePointwise::Never => {
            let reason = "two 1x1 convolutions, or linear layers, with nothing between stay by --fuse-pointwise never";
            Err(Reject::tensor(cx.view, fold.root(), RejectCode::Dearer, reason))
        }
    }
}

/// True when all convolutions are 1x1, or all of them are linear layers, and there are two or more.
fn is_pointwise_pair(fold: &Fold) -> bool {
    fold.parts().len() > 1 && fold.parts().iter().all(|p| p.is_pointwise)
}
