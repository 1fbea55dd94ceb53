//! The sides of a bend: intervals of the number that it tests.

/// One side: the closed interval from `low` to `high`, in the unit of its [`Regimes`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Side {
    pub(super) name: &'static str,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// What the sides are measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// The number as it is.
    One,
    /// The root of the mean square of the tested numbers: a bend at zero has no size of its own.
    Rms,
}

/// All sides of one kind of bend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Regimes {
    pub(super) unit: Unit,
    pub(super) sides: &'static [Side],
}

/// How far behind a bend a number must lie to count: a value that just touches a bound shows nothing.
const MARGIN: f64 = 1.0 / 64.0;
/// Where a smooth function has become flat, or straight.
const FAR: f64 = 3.0;
/// Any difference at all.
const SOME: f64 = 1e-300;
const INF: f64 = f64::INFINITY;

const fn side(name: &'static str, low: f64, high: f64) -> Side {
    Side { name, low, high }
}

/// A kink at 0.
pub(super) const KINK: Regimes =
    Regimes { unit: Unit::Rms, sides: &[side("below", -INF, -MARGIN), side("above", MARGIN, INF)] };

/// A bound at 0 of numbers that may go below it.
pub(super) const FLOOR: Regimes = Regimes {
    unit: Unit::Rms,
    sides: &[side("below its minimum", -INF, -MARGIN), side("above its minimum", MARGIN, INF)],
};

/// A bound at 0 of numbers that may go above it.
pub(super) const CEILING: Regimes = Regimes {
    unit: Unit::Rms,
    sides: &[side("below its maximum", -INF, -MARGIN), side("above its maximum", MARGIN, INF)],
};

/// Bounds at 0 and 1.
pub(super) const RANGE: Regimes = Regimes {
    unit: Unit::One,
    sides: &[
        side("below its minimum", -INF, -MARGIN),
        side("between its bounds", MARGIN, 1.0 - MARGIN),
        side("above its maximum", 1.0 + MARGIN, INF),
    ],
};

/// A kink at 0, and flat far below it.
pub(super) const KNEE: Regimes = Regimes {
    unit: Unit::One,
    sides: &[side("far below", -INF, -FAR), side("below", -FAR, -MARGIN), side("above", MARGIN, INF)],
};

/// Curved around 0, flat or straight far from it.
pub(super) const CURVE: Regimes = Regimes {
    unit: Unit::One,
    sides: &[
        side("far below", -INF, -FAR),
        side("below", -FAR, -MARGIN),
        side("above", MARGIN, FAR),
        side("far above", FAR, INF),
    ],
};

/// What lies behind the point of a number that is rounded.
pub(super) const STEP: Regimes = Regimes {
    unit: Unit::One,
    sides: &[
        side("in the lower half of a step", MARGIN, 0.5 - MARGIN),
        side("in the upper half of a step", 0.5 + MARGIN, 1.0 - MARGIN),
    ],
};

/// The first operand less the second, of which the larger or smaller one is taken.
pub(super) const CHOICE: Regimes = Regimes {
    unit: Unit::Rms,
    sides: &[side("the last operand is larger", -INF, -MARGIN), side("the last operand is smaller", MARGIN, INF)],
};

/// 0 or 1.
pub(super) const TRUTH: Regimes =
    Regimes { unit: Unit::One, sides: &[side("true", 1.0, 1.0), side("false", 0.0, 0.0)] };

/// A difference that may not be negative for the answer to be yes.
pub(super) const NOT_LESS: Regimes =
    Regimes { unit: Unit::Rms, sides: &[side("true", 0.0, INF), side("false", -INF, -SOME)] };

/// A difference that must be positive for the answer to be yes.
pub(super) const MORE: Regimes =
    Regimes { unit: Unit::Rms, sides: &[side("true", SOME, INF), side("false", -INF, 0.0)] };

/// A distance that must be 0 for the answer to be yes.
pub(super) const SAME: Regimes =
    Regimes { unit: Unit::Rms, sides: &[side("true", 0.0, 0.0), side("false", SOME, INF)] };

impl Regimes {
    /// For each side, then group, how far from it the nearest of the tested `numbers` lies, in units; 0 when one lies on it,
    /// infinite when there is none at all. `group` gives the group of each number, if it has one.
    pub(super) fn gaps(&self, numbers: &[f64], group: &dyn Fn(usize) -> Option<usize>, groups: usize) -> Vec<f64> {
        let units = match self.unit {
            Unit::One => vec![1.0; groups],
            Unit::Rms => rms(numbers, group, groups),
        };
        let mut gaps = vec![INF; self.sides.len() * groups];
        for (at, number) in numbers.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            let Some(g) = group(at).filter(|g| *g < groups) else { continue };
            let x = number / units[g];
            for (s, side) in self.sides.iter().enumerate() {
                let gap = (side.low - x).max(x - side.high).max(0.0);
                let least = &mut gaps[s * groups + g];
                *least = least.min(gap);
            }
        }
        gaps
    }
}

/// The root of the mean square by group; 1 where all are 0.
fn rms(numbers: &[f64], group: &dyn Fn(usize) -> Option<usize>, groups: usize) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); groups];
    for (at, number) in numbers.iter().enumerate().filter(|(_, v)| v.is_finite()) {
        if let Some(sum) = group(at).and_then(|g| sums.get_mut(g)) {
            *sum = (sum.0 + number * number, sum.1 + 1.0);
        }
    }
    let root = |(squares, n): (f64, f64)| if squares > 0.0 && squares.is_finite() { (squares / n).sqrt() } else { 1.0 };
    sums.into_iter().map(root).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(regimes: Regimes, numbers: &[f64]) -> Vec<&'static str> {
        let gaps = regimes.gaps(numbers, &|_| Some(0), 1);
        regimes.sides.iter().zip(gaps).filter(|(_, g)| *g == 0.0).map(|(s, _)| s.name).collect()
    }

    #[test]
    fn what_touches_a_bend_is_on_no_side() {
        assert_eq!(reached(KINK, &[0.0, 1e-9, -1e-9, 5.0]), ["above"]);
        assert_eq!(reached(KINK, &[0.0]), Vec::<&str>::new());
        assert_eq!(reached(KINK, &[-1e-9]), ["below"], "a kink at 0 has no size of its own");
        assert_eq!(reached(RANGE, &[0.0, 1.0]), Vec::<&str>::new());
        assert_eq!(reached(RANGE, &[-0.1, 0.5, 1.1]).len(), 3);
        assert_eq!(reached(RANGE, &[1.001]), Vec::<&str>::new());
    }

    #[test]
    fn every_answer_is_told_from_the_other() {
        assert_eq!(reached(NOT_LESS, &[0.0]), ["true"]);
        assert_eq!(reached(MORE, &[0.0]), ["false"]);
        assert_eq!(reached(SAME, &[0.0]), ["true"]);
        assert_eq!(reached(SAME, &[0.0, 1e-12]), ["true", "false"]);
        assert_eq!(reached(TRUTH, &[1.0]), ["true"]);
        assert_eq!(reached(MORE, &[1e-12]), ["true"]);
    }

    #[test]
    fn smooth_functions_have_far_sides() {
        assert_eq!(reached(CURVE, &[-1.0, 1.0]), ["below", "above"]);
        assert_eq!(reached(CURVE, &[-4.0, 4.0]), ["far below", "far above"]);
        assert_eq!(reached(KNEE, &[-4.0, 4.0]), ["far below", "above"]);
        assert_eq!(reached(STEP, &[0.25]), ["in the lower half of a step"]);
    }

    #[test]
    fn what_is_no_number_reaches_nothing() {
        assert_eq!(reached(KINK, &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]), Vec::<&str>::new());
        assert!(KINK.gaps(&[], &|_| Some(0), 1).iter().all(|g| g.is_infinite()));
    }

    #[test]
    fn groups_are_apart_and_gaps_are_distances() {
        let gaps = RANGE.gaps(&[0.5, -1.0], &|at| Some(at), 2);
        let zero: Vec<bool> = gaps.iter().map(|g| *g == 0.0).collect();
        assert_eq!(zero, [false, true, true, false, false, false]);
        assert_eq!(gaps[4], 0.5 + MARGIN);
        assert_eq!(gaps[5], 2.0 + MARGIN);
    }
}
