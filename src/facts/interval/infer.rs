//! The bounds of what a node computes, of whole tensors and of single channels.

use crate::facts::{BatchNorm, Facts, element, elementwise};
use crate::graph::{NodeId, ValueId};

use super::{Interval, transfer};

impl Interval {
    /// The operators that bound what they compute.
    pub fn operators() -> impl Iterator<Item = &'static str> {
        transfer::operators().chain(["BatchNormalization"])
    }
}

impl Facts<'_> {
    /// Bounds of what the elementwise function at `node` makes of entries within `x`; `None` for another operator.
    #[must_use]
    pub fn image(&self, node: NodeId, x: Interval) -> Option<Interval> {
        let function = elementwise(self.view(), node)?;
        Some(transfer::image(self, node, function, x).within(self.view().output(node).and_then(|v| self.dtype(v))))
    }
}

/// Computes the bounds of the outputs of `node`.
pub(in crate::facts) fn infer(facts: &mut Facts<'_>, node: NodeId) {
    let view = facts.view();
    let channels = per_channel(facts, node);
    let whole = match &channels {
        Some(all) => all.iter().copied().reduce(Interval::hull).unwrap_or(Interval::ANY),
        None => transfer::bounds(facts, node),
    };
    for (slot, value) in view.outputs(node).iter().enumerate() {
        let Some(value) = value else { continue };
        // Every output of a `Split` is a part of its input.
        let found = if slot == 0 || view.op(node) == "Split" { whole } else { Interval::ANY };
        facts.table.interval[value.0 as usize] = found.within(facts.dtype(*value));
        if slot == 0 {
            facts.table.channel_intervals[value.0 as usize].clone_from(&channels);
        }
    }
}

/// Bounds of each channel of a `BatchNormalization`, and of what keeps channels apart behind one.
fn per_channel(facts: &Facts<'_>, node: NodeId) -> Option<Vec<Interval>> {
    let view = facts.view();
    let input = view.input(node, 0)?;
    let each = |f: &dyn Fn(Interval) -> Interval| Some(facts.channel_intervals(input)?.iter().map(|i| f(*i)).collect());
    match view.op(node) {
        "BatchNormalization" => normed(facts, node, input),
        "Clip" => each(&|x| transfer::clip(facts, node, x)),
        "MaxPool" => each(&|x| transfer::max_pool(facts, node, x)),
        "Identity" => each(&|x| x),
        _ => {
            let function = elementwise(view, node)?;
            each(&|x| transfer::image(facts, node, function, x))
        }
    }
}

/// `scale * x + shift` in several steps, of which each rounds and none may overflow.
fn normed(facts: &Facts<'_>, node: NodeId, input: ValueId) -> Option<Vec<Interval>> {
    let channels = facts.channels(input)?;
    let norm = BatchNorm::new(facts.view(), facts, node).filter(|n| n.scale.len() == channels)?;
    let format = facts.dtype(input).and_then(element::float)?;
    let bounds =
        facts.channel_intervals(input).map_or_else(|| vec![facts.interval(input); channels], <[Interval]>::to_vec);
    let all = (0..channels).map(|c| {
        let (scale, shift, mean) = (norm.scale[c], norm.shift[c], norm.mean[c]);
        let at = |end: f64| if scale == 0.0 { shift } else { end * scale + shift };
        let steps = |end: f64| [end * scale, end.abs() + mean.abs()];
        let finite = [bounds[c].lo, bounds[c].hi].into_iter().filter(|end| end.is_finite());
        let largest =
            finite.flat_map(steps).chain([scale, shift, mean, mean * scale]).fold(0.0, |m: f64, v| m.max(v.abs()));
        if largest > format.largest() / 4.0 || (scale != 0.0 && scale.abs() < format.smallest()) {
            return Interval::ANY;
        }
        let slack = 4.0 * format.error() * (1.0 + shift.abs() + (mean * scale).abs());
        let (a, b) = (at(bounds[c].lo), at(bounds[c].hi));
        let wide = Interval::new(a.min(b) - slack, a.max(b) + slack).rounded(format, 0.0);
        // Several roundings do not keep the sign of the real result, but they keep that of the widened bounds.
        if wide.lo.is_nan() || wide.hi.is_nan() { Interval::ANY } else { wide }
    });
    Some(all.collect())
}
