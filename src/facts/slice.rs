//! `Slice` in both of its forms: attributes (opset 1) and inputs (opset 10 and later).

use crate::graph::{GraphView, NodeId};

use super::Facts;

/// What a `Slice` takes along one axis, as written: ends and starts may be negative or beyond the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The axis, possibly negative.
    pub axis: i64,
    /// First entry.
    pub start: i64,
    /// Behind the last entry.
    pub end: i64,
    /// Step.
    pub step: i64,
}

impl Cut {
    /// First entry and count along an axis of `size` entries (ONNX `Slice`); the step may be negative.
    #[must_use]
    pub fn resolve(&self, size: i64) -> Option<(i64, i64)> {
        if self.step == 0 || size < 0 {
            return None;
        }
        let clamp = |v: i64, low: i64, high: i64| (if v < 0 { v.saturating_add(size) } else { v }).max(low).min(high);
        let (start, span) = if self.step > 0 {
            let start = clamp(self.start, 0, size);
            (start, clamp(self.end, 0, size) - start)
        } else {
            let start = clamp(self.start, 0, size - 1);
            (start, start - clamp(self.end, -1, size - 1))
        };
        // `i64::MIN` has no absolute value; any step beyond the size takes one entry.
        let step = self.step.unsigned_abs().min(size.unsigned_abs() + 1) as i64;
        Some((start, (span.max(0) + step - 1) / step))
    }
}

/// The cuts of the `Slice` at `node`; `None` when they are not constant.
#[must_use]
pub fn slices(view: &GraphView<'_>, facts: &Facts<'_>, node: NodeId) -> Option<Vec<Cut>> {
    let (starts, ends, axes, steps) = if view.opset() < 10 {
        (
            view.attr_ints(node, "starts")?.to_vec(),
            view.attr_ints(node, "ends")?.to_vec(),
            view.attr_ints(node, "axes").map(<[i64]>::to_vec),
            None,
        )
    } else {
        let known = |slot: usize| -> Option<Option<Vec<i64>>> {
            match view.input(node, slot) {
                None => Some(None),
                Some(v) => Some(Some(facts.sizes(v)?.iter().map(super::Dim::known).collect::<Option<_>>()?)),
            }
        };
        (known(1)??, known(2)??, known(3)?, known(4)?)
    };
    let n = starts.len();
    let axes = axes.unwrap_or_else(|| (0..n as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; n]);
    if ends.len() != n || axes.len() != n || steps.len() != n {
        return None;
    }
    Some((0..n).map(|i| Cut { axis: axes[i], start: starts[i], end: ends[i], step: steps[i] }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_clamped() {
        let cut = |start, end, step| Cut { axis: 0, start, end, step }.resolve(7);
        assert_eq!(cut(0, i64::MAX, 2), Some((0, 4)));
        assert_eq!(cut(-3, i64::MAX, 1), Some((4, 3)));
        assert_eq!(cut(5, 2, 1), Some((5, 0)));
        assert_eq!(cut(0, -1, 1), Some((0, 6)));
        assert_eq!(cut(-1, i64::MIN + 1, -1), Some((6, 7)), "the legacy exporter turns pads around that way");
        assert_eq!(cut(5, 1, -2), Some((5, 2)));
        assert_eq!(cut(1, 5, -1), Some((1, 0)));
        assert_eq!(cut(0, 7, 0), None);
        assert_eq!(Cut { axis: 0, start: -1, end: i64::MIN, step: i64::MIN }.resolve(0), Some((-1, 0)));
    }
}
