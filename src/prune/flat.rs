//! Where the function behind a layer is flat: what arrives there is of no account.
//!
//! Behind a `Relu` all values below zero give the same. A layer that should give one of them may give any other, so least squares
//! for the sum itself is more than is asked for. [`Flat::target`] is what has to be hit instead, given what is hit now: its
//! squared error bounds the true loss from above and touches it there, so solving for it, again and again, never makes it worse.

use crate::facts::{Facts, clip_bounds};
use crate::graph::{GraphView, NodeId};

/// Below `low`, and above `high`, all values give the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flat {
    low: f64,
    high: f64,
}

impl Flat {
    /// What should be given where the original gives `want` and the model now gives `given`.
    pub(super) fn target(self, want: f64, given: f64) -> f64 {
        if want <= self.low {
            given.min(self.low)
        } else if want >= self.high {
            given.max(self.high)
        } else {
            want
        }
    }
}

/// What stands behind `node`, or `in_sum` behind the sum that it goes into, and is all that reads it.
pub(super) fn behind(view: &GraphView<'_>, facts: &Facts<'_>, node: NodeId, in_sum: bool) -> Option<Flat> {
    let reader = |node: NodeId| {
        let output = view.output(node).filter(|v| view.is_private(*v))?;
        Some(view.uses(output).first()?.node)
    };
    let mut next = reader(node)?;
    if in_sum {
        next = reader(next)?;
    }
    match view.op(next) {
        "Relu" => Some(Flat { low: 0.0, high: f64::INFINITY }),
        "Clip" => clip_bounds(view, facts, next).map(|(low, high)| Flat { low, high }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_bound_the_error_behind_the_bend_and_touch_it() {
        let flat = Flat { low: 0.0, high: 6.0 };
        let bent = |v: f64| v.clamp(0.0, 6.0);
        let values: Vec<f64> = (-8..=32).map(|i| f64::from(i) / 2.0).collect();
        for want in &values {
            for given in &values {
                let target = flat.target(*want, *given);
                // Where both are beyond the same bend nothing is wrong, and nothing counts.
                if bent(*want) == bent(*given) && *want != bent(*want) {
                    assert_eq!(target, *given);
                }
                for other in &values {
                    assert!((other - target).powi(2) >= (bent(*other) - bent(*want)).powi(2), "{want} {given} {other}");
                }
            }
        }
        assert_eq!((flat.target(-3.0, -1.0), flat.target(-3.0, 2.0), flat.target(2.0, -1.0)), (-1.0, 0.0, 2.0));
    }
}
