//! Windows of convolutions that follow each other, or that stand side by side.

use super::kernel::Geometry;

/// Largest stride, dilation or pad that a composed window may have; keeps sums of them far from overflow.
const MAX_SIZE: usize = 1 << 24;

/// Most taps along an axis of a window that is enlarged: no real network needs more.
const MAX_TAPS: usize = 64;

/// Why two windows, one after the other, are not one window at the border of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// The second pads with zeros where the first, continued outside, would give its bias.
    Bias {
        /// The spatial axis.
        axis: usize,
    },
    /// In front of the image the second pads with zeros where the first, continued, would still see the image.
    Front {
        /// The spatial axis.
        axis: usize,
    },
    /// The same behind the image.
    Behind {
        /// The spatial axis.
        axis: usize,
    },
    /// The composed window is too large to be written down.
    TooLarge,
}

impl std::fmt::Display for Border {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bias { axis } => write!(
                f,
                "along spatial axis {axis} the second window pads with zeros, where the first would give its bias"
            ),
            Self::Front { axis } => write!(
                f,
                "in front of spatial axis {axis} the second window pads with zeros, where the first would still see the image"
            ),
            Self::Behind { axis } => write!(
                f,
                "behind spatial axis {axis} the second window pads with zeros, where the first would still see the image"
            ),
            Self::TooLarge => f.write_str("the composed window is too large"),
        }
    }
}

impl Geometry {
    /// Number of taps.
    #[must_use]
    pub fn taps(&self) -> usize {
        self.kernel.iter().fold(1, |n: usize, k| n.saturating_mul(*k))
    }

    /// True when the window is one entry, wherever it stands.
    #[must_use]
    pub fn is_pointwise(&self) -> bool {
        self.kernel.iter().all(|k| *k == 1)
    }

    /// Distance between the first and the last tap along `axis`.
    fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis]
    }

    /// The window of this convolution followed by `next`.
    ///
    /// Tap `t` of this one under tap `u` of the next reads `in[o * s * s' - p' * s - p + u * d' * s + t * d]`.
    /// `size` is the input's, axis by axis, as far as it is known; `biased` tells whether this map adds a bias.
    ///
    /// # Errors
    /// [`Border`] where `next` pads and this map, continued outside of its output, is not proved to be zero.
    pub fn then(&self, next: &Self, biased: bool, size: &[Option<i64>]) -> Result<Self, Border> {
        let mut out = Self::pointwise(self.axes());
        for axis in 0..self.axes() {
            self.zero_outside(next, axis, biased, size.get(axis).copied().flatten())?;
            let (stride, dilation) = (self.stride[axis], self.dilation[axis]);
            let far = next.dilation[axis] * stride;
            let step = match (self.kernel[axis], next.kernel[axis]) {
                (1, 1) => 1,
                (_, 1) => dilation,
                (1, _) => far,
                _ => gcd(dilation, far),
            };
            out.dilation[axis] = step;
            out.kernel[axis] = (self.reach(axis) + next.reach(axis) * stride) / step + 1;
            out.stride[axis] = stride * next.stride[axis];
            out.pad_begin[axis] = next.pad_begin[axis] * stride + self.pad_begin[axis];
            out.pad_end[axis] = next.pad_end[axis] * stride + self.pad_end[axis];
        }
        let all = [&out.kernel, &out.stride, &out.dilation, &out.pad_begin, &out.pad_end];
        if all.iter().any(|list| list.iter().any(|n| *n > MAX_SIZE)) { Err(Border::TooLarge) } else { Ok(out) }
    }

    /// Entry `-1` of this output reads `-s - p + t * d`; entry `n` reads `n * s - p + t * d`. Zero needs that
    /// all of these lie outside of the image.
    fn zero_outside(&self, next: &Self, axis: usize, biased: bool, size: Option<i64>) -> Result<(), Border> {
        let (front, behind) = (next.pad_begin[axis] > 0, next.pad_end[axis] > 0);
        if biased && (front || behind) {
            return Err(Border::Bias { axis });
        }
        if front && self.reach(axis) >= self.stride[axis] + self.pad_begin[axis] {
            return Err(Border::Front { axis });
        }
        // Without a size: `n * s >= in + p + p_end - reach`, whatever is rounded down.
        let far = match size {
            Some(n) => self.output(axis, n) * self.stride[axis] as i64 - self.pad_begin[axis] as i64 >= n,
            None => self.pad_end[axis] >= self.reach(axis),
        };
        if behind && !far { Err(Border::Behind { axis }) } else { Ok(()) }
    }

    /// The smallest window that holds every one of `windows`, with the output size of the first.
    ///
    /// Returns `None` when there is none, when their strides differ, or when it would be too large.
    #[must_use]
    pub fn union_of(windows: &[&Self]) -> Option<Self> {
        let first = *windows.first()?;
        let mut out = first.clone();
        for axis in 0..first.axes() {
            let low = |w: &Self| -(w.pad_begin[axis] as i64);
            let high = |w: &Self| low(w) + w.reach(axis) as i64;
            if windows.iter().any(|w| w.axes() != first.axes() || w.stride[axis] != first.stride[axis]) {
                return None;
            }
            let lo = windows.iter().map(|w| low(w)).min()?;
            let hi = windows.iter().map(|w| high(w)).max()?;
            let step = windows.iter().fold(0, |g, w| {
                let own = if w.kernel[axis] > 1 { w.dilation[axis] } else { 0 };
                gcd(gcd(g, own), (low(w) - lo) as usize)
            });
            let step = step.max(1);
            let reach = usize::try_from(hi - lo).ok()?;
            out.dilation[axis] = step;
            out.kernel[axis] = reach / step + 1;
            out.pad_begin[axis] = usize::try_from(-lo).ok()?;
            out.pad_end[axis] = usize::try_from(first.growth(axis) + hi).ok()?;
            if out.kernel[axis] > MAX_TAPS {
                return None;
            }
        }
        Some(out)
    }

    /// [`Geometry::union_of`] this one and `other`.
    #[must_use]
    pub fn union(&self, other: &Self) -> Option<Self> {
        Self::union_of(&[self, other])
    }

    /// The same with as many zeros behind every axis as in front of it: `size` says how many entries the input has, as far as that is
    /// known. Where the output has as many entries either way, zeros go or come behind; elsewhere the window grows, so that taps
    /// of zero see the zeros that come. `None` when it would be too large.
    #[must_use]
    pub fn symmetric(&self, size: &[Option<i64>]) -> Option<Self> {
        let mut out = self.clone();
        for axis in 0..self.axes() {
            let (begin, end) = (self.pad_begin[axis], self.pad_end[axis]);
            out.pad_end[axis] = begin;
            if begin == end
                || size.get(axis).copied().flatten().is_some_and(|n| out.output(axis, n) == self.output(axis, n))
            {
                continue;
            }
            let (reach, more) = (self.reach(axis), begin.abs_diff(end));
            let step = if reach == 0 { more } else { gcd(self.dilation[axis], more) };
            out.dilation[axis] = step;
            out.kernel[axis] = (reach + more) / step + 1;
            (out.pad_begin[axis], out.pad_end[axis]) = (begin.max(end), begin.max(end));
            if out.kernel[axis] > MAX_TAPS {
                return None;
            }
        }
        Some(out)
    }

    /// True when both give outputs of the same size: for every input, or for inputs of the known `size`.
    #[must_use]
    pub fn agrees(&self, other: &Self, axis: usize, size: Option<i64>) -> bool {
        let alike = self.stride[axis] == other.stride[axis] && self.growth(axis) == other.growth(axis);
        alike || size.is_some_and(|n| self.output(axis, n) == other.output(axis, n))
    }
}

/// Greatest common divisor; `gcd(0, n)` is `n`.
pub(super) fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn window(kernel: usize, stride: usize, dilation: usize, begin: usize, end: usize) -> Geometry {
        Geometry {
            kernel: vec![kernel],
            stride: vec![stride],
            dilation: vec![dilation],
            pad_begin: vec![begin],
            pad_end: vec![end],
        }
    }

    #[test]
    fn pads_become_symmetric_without_another_output() {
        let symmetric = |w: Geometry, size: Option<i64>| w.symmetric(&[size]).unwrap();
        // The first convolution of MLPerf Tiny's ResNet-8: a zero tap in front.
        assert_eq!(symmetric(window(3, 2, 1, 0, 1), None), window(4, 2, 1, 1, 1));
        assert_eq!(symmetric(window(3, 1, 1, 2, 0), None), window(5, 1, 1, 2, 2));
        assert_eq!(symmetric(window(3, 1, 2, 0, 2), None), window(4, 1, 2, 2, 2));
        assert_eq!(symmetric(window(3, 1, 2, 0, 1), None), window(6, 1, 1, 1, 1));
        assert_eq!(symmetric(window(1, 1, 3, 0, 2), None), window(2, 1, 2, 2, 2));
        assert_eq!(symmetric(window(3, 1, 1, 1, 1), None), window(3, 1, 1, 1, 1));
        // A stride that leaves entries over needs no tap, where the size is known.
        assert_eq!(symmetric(window(3, 2, 1, 1, 0), Some(32)), window(3, 2, 1, 1, 1));
        assert_eq!(symmetric(window(3, 2, 1, 1, 0), Some(33)), window(4, 2, 1, 1, 1));
        assert!(window(3, 1, 1, 0, 70).symmetric(&[None]).is_none());
        for n in 5..40 {
            for w in [window(3, 2, 1, 0, 1), window(3, 3, 2, 4, 1), window(2, 1, 3, 0, 5), window(1, 2, 1, 3, 0)] {
                for size in [None, Some(n)] {
                    let other = symmetric(w.clone(), size);
                    assert_eq!((other.output(0, n), &other.pad_begin), (w.output(0, n), &other.pad_end), "{w:?} {n}");
                }
            }
        }
    }

    #[test]
    fn two_windows_make_one() {
        let (a, b) = (window(3, 2, 1, 1, 1), window(3, 1, 1, 0, 0));
        assert_eq!(a.then(&b, true, &[None]), Ok(window(7, 2, 1, 1, 1)));
        let pad = window(1, 1, 1, 2, 1);
        assert_eq!(pad.then(&window(3, 1, 2, 1, 1), false, &[None]), Ok(window(3, 1, 2, 3, 2)));
        assert_eq!(window(1, 2, 1, 0, 0).then(&window(3, 1, 1, 1, 1), false, &[None]), Ok(window(3, 2, 2, 2, 2)));
    }

    #[test]
    fn what_padding_would_hide_is_refused() {
        let padded = window(3, 1, 1, 1, 1);
        assert_eq!(window(1, 1, 1, 0, 0).then(&padded, true, &[None]), Err(Border::Bias { axis: 0 }));
        assert_eq!(padded.then(&padded, false, &[None]), Err(Border::Front { axis: 0 }));
        assert_eq!(window(3, 1, 1, 0, 0).then(&padded, false, &[None]), Err(Border::Front { axis: 0 }));
        assert_eq!(padded.then(&window(3, 1, 1, 0, 1), false, &[None]), Err(Border::Behind { axis: 0 }));
        // Padded by its whole reach, the first is zero outside of its output.
        assert!(window(3, 1, 1, 2, 2).then(&padded, false, &[None]).is_ok());
    }

    #[test]
    fn the_size_decides_where_a_stride_leaves_a_rest() {
        // 2 taps, stride 2: with 8 entries the output ends with the image, with 9 one entry is left over.
        let (a, b) = (window(2, 2, 1, 0, 0), window(3, 1, 1, 1, 1));
        assert!(a.then(&b, false, &[Some(8)]).is_ok());
        assert_eq!(a.then(&b, false, &[Some(9)]), Err(Border::Behind { axis: 0 }));
        assert_eq!(a.then(&b, false, &[None]), Err(Border::Behind { axis: 0 }));
    }

    #[test]
    fn a_union_holds_every_tap() {
        let (a, b) = (window(3, 1, 2, 2, 2), window(1, 1, 1, 0, 0));
        assert_eq!(Geometry::union_of(&[&a, &b]), Some(a.clone()));
        assert_eq!(Geometry::union_of(&[&b, &window(2, 1, 1, 0, 1)]), Some(window(2, 1, 1, 0, 1)));
        assert_eq!(Geometry::union_of(&[&a, &window(3, 1, 1, 1, 1)]), Some(window(5, 1, 1, 2, 2)));
        assert_eq!(Geometry::union_of(&[&a, &window(3, 2, 1, 1, 1)]), None);
    }

    #[test]
    fn sizes_agree_always_or_for_one_size() {
        let (a, b) = (window(2, 2, 1, 0, 0), window(1, 2, 1, 0, 0));
        assert!(!a.agrees(&b, 0, None));
        assert!(a.agrees(&b, 0, Some(8)) && !a.agrees(&b, 0, Some(7)));
        assert!(b.agrees(&window(3, 2, 1, 1, 1), 0, None));
    }
}
