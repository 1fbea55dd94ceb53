//! A shortcut that drops entries at the borders, beside convolutions that do not pad: what `x[:, :, 2:-2, 2:-2]` is
//! to two 3x3 convolutions (fast style transfer, waifu2x). Each convolution drops its share, through the tap that
//! stands as far inside of its window.

use crate::algebra::{Geometry, Kernel, compose};

/// A map of single positions, of all but some at the borders.
#[derive(Clone)]
pub(super) struct Crop {
    /// Entries that are dropped at the begin and the end of each spatial axis.
    pub(super) entries: Vec<(usize, usize)>,
    /// What is done to each position that is left: a 1x1 kernel.
    pub(super) kernel: Kernel,
}

impl Crop {
    /// Nothing but the crop.
    pub(super) fn new(entries: Vec<(usize, usize)>, channels: usize) -> Self {
        let kernel = Kernel::identity(channels, entries.len());
        Self { entries, kernel }
    }

    /// This, and then a crop of so many entries more.
    pub(super) fn and(mut self, more: &[(usize, usize)]) -> Self {
        for ((begin, end), (b, e)) in self.entries.iter_mut().zip(more) {
            *begin += b;
            *end += e;
        }
        self
    }

    /// This, and then `scale * y + shift`.
    pub(super) fn then_affine(self, scale: &[f64], shift: &[f64]) -> Self {
        Self { kernel: self.kernel.then_affine(scale, shift), ..self }
    }

    /// This, and then another. `None` when channel counts do not fit.
    pub(super) fn then(self, next: &Self) -> Option<Self> {
        let one = Geometry::pointwise(self.entries.len());
        let kernel = compose::compose(&self.kernel, &one, &next.kernel, &one, &one)?;
        Some(Self { kernel, ..self.and(&next.entries) })
    }

    /// The window that ends with as many entries.
    pub(super) fn window(&self) -> Geometry {
        let kernel = self.entries.iter().map(|(begin, end)| begin.saturating_add(*end).saturating_add(1)).collect();
        Geometry { kernel, ..Geometry::pointwise(self.entries.len()) }
    }

    /// The tap of that window which reads what is left.
    pub(super) fn begins(&self) -> Vec<usize> {
        self.entries.iter().map(|(begin, _)| *begin).collect()
    }

    /// What is done to each position, by the tap given of `window`. `None` when it is too large.
    pub(super) fn applied_in(&self, window: &Geometry, tap: &[usize]) -> Option<Kernel> {
        let reads = Kernel::dirac(self.kernel.inputs(), window, tap)?;
        compose::compose(&reads, window, &self.kernel, &Geometry::pointwise(window.axes()), window)
    }
}

/// The share of every convolution, a kernel in its window: `None` for one that keeps the size and passes what is carried
/// unchanged. What is done to each position is the last one's.
///
/// `windows` are those of the branch.
/// A convolution makes the map smaller by `r` entries. It lets the carried channels begin `b <= r` entries later, so
/// that all that it reads is there, whatever the size. The shares of `r` and of `b` sum up to those of the shortcut, so
/// both sides end with the same entries. `None` when there is no such tap, or a convolution pads more or steps.
pub(super) fn divide(crop: &Crop, windows: &[&Geometry]) -> Option<Vec<Option<Kernel>>> {
    let begins: Vec<Vec<usize>> =
        crop.entries.iter().enumerate().map(|(axis, crop)| shares(axis, *crop, windows)).collect::<Option<_>>()?;
    let last = windows.iter().rposition(|window| !window.keeps_size())?;
    let part = |(i, window): (usize, &&Geometry)| {
        if window.keeps_size() {
            return Some(None);
        }
        let tap = (0..window.axes()).map(|axis| window.tap_at(axis, *begins.get(axis)?.get(i)? as i64));
        let tap = tap.collect::<Option<Vec<_>>>()?;
        let whole = || crop.applied_in(window, &tap);
        if i == last { whole() } else { Kernel::dirac(crop.kernel.inputs(), window, &tap) }.map(Some)
    };
    windows.iter().enumerate().map(part).collect()
}

/// By how much each convolution lets the carried channels begin later along `axis`: in proportion to what it drops.
fn shares(axis: usize, (begin, end): (usize, usize), windows: &[&Geometry]) -> Option<Vec<usize>> {
    let drops = |w: &&Geometry| usize::try_from(-w.growth(axis)).ok().filter(|_| w.stride[axis] == 1);
    let dropped: Vec<usize> = windows.iter().map(drops).collect::<Option<_>>()?;
    let total = begin + end;
    if dropped.iter().try_fold(0_usize, |sum, n| sum.checked_add(*n))? != total {
        return None;
    }
    let share = |n: &usize| match total {
        0 => Some(0),
        _ => (n * begin).is_multiple_of(total).then(|| n * begin / total),
    };
    dropped.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn window(kernel: usize, dilation: usize, pad: usize) -> Geometry {
        Geometry {
            kernel: vec![kernel],
            dilation: vec![dilation],
            pad_begin: vec![pad],
            pad_end: vec![pad],
            ..Geometry::pointwise(1)
        }
    }

    /// The tap of each convolution that takes part.
    fn taps(crop: (usize, usize), windows: &[Geometry]) -> Option<Vec<Option<usize>>> {
        let parts = divide(&Crop::new(vec![crop], 1), &windows.iter().collect::<Vec<_>>())?;
        let tap = |kernel: Kernel| kernel.weight.iter().position(|w| *w == 1.0).unwrap();
        Some(parts.into_iter().map(|part| part.map(tap)).collect())
    }

    #[test]
    fn each_takes_as_much_as_it_drops() {
        let (valid, same, one) = (window(3, 1, 0), window(3, 1, 1), window(1, 1, 0));
        assert_eq!(taps((2, 2), &[valid.clone(), one.clone(), valid.clone()]), Some(vec![Some(1), None, Some(1)]));
        assert_eq!(taps((4, 0), &[valid.clone(), valid.clone()]), Some(vec![Some(2), Some(2)]));
        assert_eq!(taps((3, 3), &[window(3, 2, 0), same, valid.clone()]), Some(vec![Some(1), None, Some(1)]));
        assert_eq!(taps((1, 1), &[window(5, 1, 1)]), Some(vec![Some(2)]), "the window's own padding is not read");
        assert_eq!(taps((1, 1), &[valid.clone(), valid.clone()]), None, "both drop more");
        assert_eq!(taps((3, 1), &[window(3, 2, 0)]), None, "no tap stands three entries inside");
        assert_eq!(taps((1, 3), &[valid.clone(), one, valid.clone()]), None, "half an entry each");
        assert_eq!(taps((1, 1), &[Geometry { stride: vec![2], ..valid }]), None, "it steps");
    }
}
