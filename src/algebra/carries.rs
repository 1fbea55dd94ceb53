//! Does a convolution carry channels? Read off its weights: what passes a convolution unchanged shows in them.

use super::kernel::Kernel;

impl Kernel {
    /// True when some channels pass the map unchanged, or negated, beside others that it computes: a row that reads one entry
    /// of one channel by 1, or a column that is read so by one row alone, beside rows or columns that are none. That is
    /// what widening makes ([`super::widen`]), and what no training does.
    ///
    /// Rows and columns are looked at until they are known to be none, so that of trained weights hardly any are.
    #[must_use]
    pub fn carries(&self) -> bool {
        let weight = self.weight.as_standard_layout();
        let Some(weight) = weight.as_slice() else { return false };
        let (height, width) = (self.group_outputs().max(1), self.group_inputs());
        let taps = self.weight.shape().iter().skip(2).product::<usize>();
        let cell = |o: usize, i: usize| {
            let at = (o * width + i) * taps;
            weight[at..at + taps].iter()
        };
        let biased = |o: usize| self.bias.as_ref().is_some_and(|b| b.get(o).is_some_and(|b| *b != 0.0));
        let row = |o: usize| match biased(o) {
            true => Content::More,
            false => Content::of((0..width).flat_map(|i| cell(o, i))),
        };
        let column = |i: usize| {
            let first = i / width.max(1) * height;
            Content::of((first..first + height).flat_map(|o| cell(o, i % width.max(1))))
        };
        mixed((0..self.outputs()).map(row)) || mixed((0..self.outputs() / height * width).map(column))
    }
}

/// True when some are one, and others are more.
fn mixed(all: impl Iterator<Item = Content>) -> bool {
    let (mut one, mut more) = (false, false);
    all.into_iter().any(|content| {
        one |= content == Content::One;
        more |= content == Content::More;
        one && more
    })
}

/// The weights of a row or a column.
#[derive(PartialEq)]
enum Content {
    /// All are 0.
    Nothing,
    /// One is 1 or -1, the others are 0.
    One,
    /// Anything else.
    More,
}

impl Content {
    fn of<'w>(weights: impl Iterator<Item = &'w f64>) -> Self {
        let mut others = weights.filter(|w| **w != 0.0);
        match (others.next(), others.next()) {
            (None, _) => Self::Nothing,
            (Some(weight), None) if weight.abs() == 1.0 => Self::One,
            _ => Self::More,
        }
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
