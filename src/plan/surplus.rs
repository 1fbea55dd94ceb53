//! Dead weight to take away: channels first, then initializers, for narrowing leaves some of these behind.

use std::collections::BTreeSet;

use crate::graph::{EditList, Names, NodeId};
use crate::linear::dead::{channels, initializers, narrow};
use crate::read::Context;

use super::change::{Change, Exactness};
use super::cost;

/// Something that goes.
pub struct Dropped {
    /// The node that computes it; `None` for an initializer.
    pub node: Option<NodeId>,
    /// Name of the tensor.
    pub tensor: String,
    /// What it changes.
    pub change: Change,
}

/// What goes in one round.
#[derive(Default)]
pub struct Surplus {
    /// Edits that do not touch each other.
    pub edits: Vec<EditList>,
    /// What they take away.
    pub dropped: Vec<Dropped>,
}

/// Plans one round.
#[must_use]
pub fn plan(cx: Context<'_>, names: &mut Names) -> Surplus {
    let mut surplus = Surplus::default();
    let mut claimed: BTreeSet<NodeId> = BTreeSet::new();
    for node in cx.view.nodes().filter(|n| is_weighted(cx, *n)) {
        let Some(found) = channels::find(cx, node) else { continue };
        if found.nodes().any(|n| claimed.contains(&n)) {
            continue;
        }
        let Some(edits) = found.build(cx, names) else { continue };
        claimed.extend(found.nodes());
        surplus.edits.push(edits);
        let tensor = cx.view.output(node).map(|v| cx.view.name(v).to_owned()).unwrap_or_default();
        surplus.dropped.push(Dropped { node: Some(node), tensor, change: narrowing(cx, &found) });
    }
    if surplus.edits.is_empty() {
        initializers(cx, &mut surplus);
    }
    surplus
}

fn is_weighted(cx: Context<'_>, node: NodeId) -> bool {
    matches!(cx.view.op(node), "Conv" | "Gemm" | "MatMul")
}

fn narrowing(cx: Context<'_>, found: &narrow::Narrowed) -> Change {
    let macs = found.nodes().try_fold(0_u64, |n, node| Some(n.saturating_add(cost::macs(cx.view, cx.facts, node)?)));
    let convs = || found.nodes().filter(|n| is_weighted(cx, *n));
    let params = convs().map(|n| cost::params(cx.view, cx.facts, n)).fold(0, u64::saturating_add);
    let (kept, units) = found.share();
    let (width, gone) = (found.channels(), found.channels() / units.max(1) * (units - kept));
    let less = |n: u64| (u128::from(n) * kept as u128 / (units as u128).max(1)) as u64;
    Change {
        form: format!("{gone} of {width} channels that are zero or never read"),
        exactness: Exactness::Reordered,
        macs_before: macs,
        macs_after: macs.map(less),
        params_before: params,
        params_after: less(params),
        channels: Vec::new(),
    }
}

fn initializers(cx: Context<'_>, surplus: &mut Surplus) {
    let found = initializers::find(cx.view);
    if found.is_empty() {
        return;
    }
    let size = |v| {
        let dims = cx.view.initializer(v).map(|t| t.dims.as_slice()).unwrap_or_default();
        dims.iter().fold(1_u64, |n, d| n.saturating_mul(u64::try_from(*d).unwrap_or(0)))
    };
    let change = |form: &str, value| Change {
        form: form.to_owned(),
        exactness: Exactness::Bitwise,
        macs_before: Some(0),
        macs_after: Some(0),
        params_before: size(value),
        params_after: 0,
        channels: Vec::new(),
    };
    let unused = found.unused.iter().map(|v| (*v, "initializer that nothing reads"));
    let copies = found.copies.iter().map(|(v, _)| (*v, "initializer that stands twice"));
    for (value, form) in unused.chain(copies) {
        let tensor = cx.view.name(value).to_owned();
        surplus.dropped.push(Dropped { node: None, tensor, change: change(form, value) });
    }
    surplus.edits.push(found.edits(cx.view));
}
