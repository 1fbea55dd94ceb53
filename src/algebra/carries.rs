//! Does a convolution carry channels? Read off its weights: what passes a convolution unchanged shows in them.

use super::kernel::Kernel;

impl Kernel {
    /// True when some channels pass the map unchanged, or negated, beside others that it computes: a row that reads one entry
    /// of one channel by 1, or a column that is read so by one row alone, beside rows or columns that are none. That is
    /// what widening makes ([`super::widen`]), and what no training does.
    #[must_use]
    pub fn carries(&self) -> bool {
        let biased = |o: usize| self.bias.as_ref().is_some_and(|b| b.get(o).is_some_and(|b| *b != 0.0));
        let mut rows = vec![Content::Nothing; self.outputs()];
        let mut columns = vec![Content::Nothing; self.inputs()];
        let height = self.group_outputs().max(1);
        for (o, row) in self.weight.outer_iter().enumerate() {
            for (i, taps) in row.outer_iter().enumerate() {
                let Some(column) = columns.get_mut(o / height * self.group_inputs() + i) else { return false };
                for w in taps.iter().filter(|w| **w != 0.0) {
                    rows[o] = rows[o].and(*w);
                    *column = column.and(*w);
                }
            }
            if biased(o) {
                rows[o] = Content::More;
            }
        }
        let mixed = |all: &[Content]| all.contains(&Content::One) && all.contains(&Content::More);
        mixed(&rows) || mixed(&columns)
    }
}

/// The weights of a row or a column.
#[derive(Clone, Copy, PartialEq)]
enum Content {
    /// All are 0.
    Nothing,
    /// One is 1 or -1, the others are 0.
    One,
    /// Anything else.
    More,
}

impl Content {
    fn and(self, weight: f64) -> Self {
        if self == Self::Nothing && weight.abs() == 1.0 { Self::One } else { Self::More }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ndarray::{ArrayD, IxDyn};

    use super::*;
    use crate::algebra::slots::{Carried, contiguous, shared};
    use crate::algebra::{Carry, widen::widen};

    fn kernel(outputs: usize, inputs: usize) -> Kernel {
        let values = (0..outputs * inputs * 3).map(|i| (i * 7 % 11) as f64 - 4.5).collect();
        Kernel { weight: ArrayD::from_shape_vec(IxDyn(&[outputs, inputs, 3]), values).unwrap(), bias: None, group: 1 }
    }

    #[test]
    fn what_widening_makes_carries_and_nothing_else() {
        let layout = contiguous(3, Carried::whole(2));
        let first = widen(&kernel(3, 2), &Carry::Dirac(vec![1]), &shared(2), &layout, 1.0).unwrap();
        let last = widen(&kernel(2, 3), &Carry::Dirac(vec![1]), &layout, &shared(2), 1.0).unwrap();
        assert!(first.carries() && last.carries());
        let scaled = last.then_affine(&[2.0, 0.5], &[1.0, 0.0]);
        assert!(!scaled.carries() && first.then_affine(&[1.0; 5], &[0.0; 5]).carries());
        assert!(!kernel(3, 2).carries());
        assert!(!Kernel::identity(4, 2).carries(), "it computes nothing");
    }
}
