//! `Max(x, slope * x)` with slopes between 0 and 1: a leaky ReLU written out, with one slope or one a channel. An earlier
//! rewrite writes it too, for runtimes on which `PRelu` is slow.

use crate::graph::{NodeId, Use, ValueId};
use crate::read::affine::per_channel;
use crate::read::{Context, data_inputs};

use super::{Found, Reading, activation, found};

pub(crate) fn read(cx: Context<'_>, node: NodeId, _: ValueId) -> Found {
    let [Some(a), Some(b)] = *cx.view.inputs(node) else { return None };
    if cx.view.op(node) != "Max" || cx.view.opset() < 8 {
        return None;
    }
    [(a, b, 0), (b, a, 1)].into_iter().find_map(|(x, scaled, slot)| {
        let (scale, slopes) = slopes(cx, x, scaled)?;
        let scaled_by = (0..2).find(|s| cx.view.input(scale, *s) == Some(x))?;
        found(Some(Reading {
            step: activation::slope(node, slopes),
            input: x,
            reads: vec![Use { node, slot }, Use { node: scale, slot: scaled_by }],
            nodes: vec![scale, node],
        }))
    })
}

/// The `Mul` that makes `scaled` of `x`, and its factors.
fn slopes(cx: Context<'_>, x: ValueId, scaled: ValueId) -> Option<(NodeId, Vec<f64>)> {
    let scale = cx.view.def(scaled).filter(|n| cx.view.op(*n) == "Mul")?;
    if data_inputs(cx, scale) != [x] {
        return None;
    }
    let factor = cx.view.inputs(scale).iter().flatten().find(|v| **v != x)?;
    let slopes = per_channel(cx, &cx.facts.constant(*factor)?.data, x)?;
    slopes.iter().all(|s| (0.0..=1.0).contains(s)).then_some((scale, slopes))
}
