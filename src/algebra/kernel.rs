//! A convolution as a value: its weights and the window it looks through.

use ndarray::{Array2, ArrayD, ArrayView1, Axis, Dimension, Ix2, IxDyn};

/// Most entries of a kernel, 2 GiB in float64: nothing larger is ever allocated.
pub const MAX_WEIGHTS: usize = 1 << 28;

/// The number of entries of a kernel of `shape`. `None` when it is too large to be written down.
pub(super) fn entries(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d)).filter(|n| *n <= MAX_WEIGHTS)
}

/// How a convolution's window moves, one entry a spatial axis.
///
/// `out[o] = bias + sum_t W[t] . in[o * stride - pad_begin + t * dilation]` (ONNX `Conv`, all opsets).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Taps along each axis.
    pub kernel: Vec<usize>,
    /// Step between outputs.
    pub stride: Vec<usize>,
    /// Step between taps.
    pub dilation: Vec<usize>,
    /// Zeros in front.
    pub pad_begin: Vec<usize>,
    /// Zeros behind.
    pub pad_end: Vec<usize>,
}

impl Geometry {
    /// The window of a 1x1 convolution over `axes` spatial axes.
    #[must_use]
    pub fn pointwise(axes: usize) -> Self {
        Self {
            kernel: vec![1; axes],
            stride: vec![1; axes],
            dilation: vec![1; axes],
            pad_begin: vec![0; axes],
            pad_end: vec![0; axes],
        }
    }

    /// Number of spatial axes.
    #[must_use]
    pub fn axes(&self) -> usize {
        self.kernel.len()
    }

    /// `pad_begin + pad_end - dilation * (kernel - 1)` along `axis`: how much longer the output of the
    /// same convolution with stride 1 is than its input. At 0 the output has `ceil(in / stride)` entries.
    #[must_use]
    pub fn growth(&self, axis: usize) -> i64 {
        let total = self.pad_begin[axis] + self.pad_end[axis];
        total as i64 - (self.dilation[axis] * (self.kernel[axis].saturating_sub(1))) as i64
    }

    /// Output entries along `axis` for `input` entries, by the ONNX formula.
    #[must_use]
    pub fn output(&self, axis: usize, input: i64) -> i64 {
        (input + self.growth(axis) - 1).div_euclid(self.stride[axis] as i64) + 1
    }

    /// True when the output has `ceil(in / stride)` entries whatever the input size is.
    #[must_use]
    pub fn keeps_size(&self) -> bool {
        (0..self.axes()).all(|a| self.growth(a) == 0)
    }

    /// The tap that reads `in[o * stride]`, the place of a Dirac, if the window has one on every axis.
    #[must_use]
    pub fn dirac_tap(&self) -> Option<Vec<usize>> {
        (0..self.axes()).map(|a| self.tap_at(a, 0)).collect()
    }

    /// The tap on `axis` that reads `in[o * stride + offset]`.
    #[must_use]
    pub fn tap_at(&self, axis: usize, offset: i64) -> Option<usize> {
        let reach = offset + self.pad_begin[axis] as i64;
        let dilation = self.dilation[axis] as i64;
        if reach < 0 || reach % dilation != 0 {
            return None;
        }
        let tap = (reach / dilation) as usize;
        (tap < self.kernel[axis]).then_some(tap)
    }

    /// For each axis, the tap of this window under every tap of `inner`, where there is one. `None` when the strides differ.
    fn taps_under(&self, inner: &Geometry) -> Option<Vec<Vec<Option<usize>>>> {
        if inner.axes() != self.axes() || inner.stride != self.stride {
            return None;
        }
        let tap = |a: usize, u: usize| self.tap_at(a, (u * inner.dilation[a]) as i64 - inner.pad_begin[a] as i64);
        Some((0..self.axes()).map(|a| (0..inner.kernel[a]).map(|u| tap(a, u)).collect()).collect())
    }
}

/// Weights `[out, in / group, k...]` with an optional bias `[out]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// `[out, in / group, k...]`.
    pub weight: ArrayD<f64>,
    /// `[out]`, zeros when absent.
    pub bias: Option<Vec<f64>>,
    /// Number of groups.
    pub group: usize,
}

impl Kernel {
    /// Output channels.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.weight.shape()[0]
    }

    /// Input channels over all groups.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.weight.shape()[1] * self.group
    }

    /// Input channels of one group.
    #[must_use]
    pub fn group_inputs(&self) -> usize {
        self.weight.shape()[1]
    }

    /// Output channels of one group.
    #[must_use]
    pub fn group_outputs(&self) -> usize {
        self.outputs() / self.group.max(1)
    }

    /// True when it adds something: a bias of zeros is none.
    #[must_use]
    pub fn is_biased(&self) -> bool {
        self.bias.as_ref().is_some_and(|b| b.iter().any(|v| *v != 0.0))
    }

    /// The identity on `channels` channels as a depthwise 1x1 kernel.
    #[must_use]
    pub fn identity(channels: usize, axes: usize) -> Self {
        let mut shape = vec![1; axes + 2];
        shape[0] = channels;
        Self { weight: ArrayD::ones(IxDyn(&shape)), bias: None, group: channels }
    }

    /// The depthwise kernel on `channels` channels that is 1 at `tap` of `window`, one index a spatial axis. `None` when it
    /// is too large.
    #[must_use]
    pub fn dirac(channels: usize, window: &Geometry, tap: &[usize]) -> Option<Self> {
        let mut shape = vec![channels, 1];
        shape.extend(&window.kernel);
        entries(&shape)?;
        let weight = ArrayD::from_shape_fn(IxDyn(&shape), |at| f64::from(at.slice()[2..] == *tap));
        Some(Self { weight, bias: None, group: channels })
    }

    /// The 1x1 kernel that picks channels: output `o` is channel `from[o]`, or zeros. `None` when there are not so many, or
    /// when its matrix is too large.
    #[must_use]
    pub fn selection(from: &[Option<usize>], inputs: usize, axes: usize) -> Option<Self> {
        entries(&[from.len(), inputs])?;
        let mut matrix = Array2::<f64>::zeros((from.len(), inputs));
        for (o, i) in from.iter().enumerate() {
            if let Some(i) = i {
                *matrix.get_mut((o, *i))? = 1.0;
            }
        }
        Self::pointwise(matrix, None, axes)
    }

    /// A matrix `[out, in]` and a bias as a dense 1x1 kernel.
    #[must_use]
    pub fn pointwise(matrix: Array2<f64>, bias: Option<Vec<f64>>, axes: usize) -> Option<Self> {
        let mut shape = vec![1; axes + 2];
        (shape[0], shape[1]) = matrix.dim();
        let weight = matrix.as_standard_layout().into_owned().into_shape_with_order(IxDyn(&shape)).ok()?;
        Some(Self { weight, bias, group: 1 })
    }

    /// The same map in a single group, zeros where it had none. `None` when its groups do not divide its outputs, or when
    /// it is too large.
    #[must_use]
    pub fn dense(self) -> Option<Self> {
        let (width, height) = (self.group_inputs(), self.group_outputs());
        if self.group == 1 {
            return Some(self);
        }
        if height * self.group != self.outputs() {
            return None;
        }
        let mut shape = self.weight.shape().to_vec();
        shape[1] = self.inputs();
        entries(&shape)?;
        let mut weight = ArrayD::zeros(IxDyn(&shape));
        for (o, row) in self.weight.outer_iter().enumerate() {
            let first = o / height * width;
            weight.index_axis_mut(Axis(0), o).slice_axis_mut(Axis(0), (first..first + width).into()).assign(&row);
        }
        Some(Self { weight, bias: self.bias, group: 1 })
    }

    /// The kernel followed by `y = scale * out + shift`, per output channel. Exact at borders too, for
    /// nothing stands between.
    #[must_use]
    pub fn then_affine(mut self, scale: &[f64], shift: &[f64]) -> Self {
        for (mut row, s) in self.weight.outer_iter_mut().zip(scale) {
            row.mapv_inplace(|w| w * s);
        }
        let outputs = self.outputs();
        let old = self.bias.take().unwrap_or_else(|| vec![0.0; outputs]);
        let new: Vec<f64> = old.iter().zip(scale).zip(shift).map(|((b, s), t)| b * s + t).collect();
        self.bias = new.iter().any(|b| *b != 0.0).then_some(new);
        self
    }

    /// The map of `scale * x + shift`, with one value an input: `W S x + (W t + b)`. `None` for a map with spatial axes, at
    /// whose borders the shift would be missing, or when lengths differ.
    #[must_use]
    pub fn behind_affine(self, scale: &[f64], shift: &[f64]) -> Option<Self> {
        let matrix = self.weight.into_dimensionality::<Ix2>().ok()?;
        if scale.len() != matrix.ncols() || shift.len() != matrix.ncols() {
            return None;
        }
        let shift = matrix.dot(&ArrayView1::from(shift));
        let bias = self.bias.unwrap_or_else(|| vec![0.0; shift.len()]);
        let bias: Vec<f64> = bias.iter().zip(&shift).map(|(b, t)| b + t).collect();
        let biased = bias.iter().any(|b| *b != 0.0);
        Self::pointwise(matrix * ArrayView1::from(scale), biased.then_some(bias), 0)
    }

    /// The same map written in the window `host`, with zeros at the other taps. `None` when a tap that is not 0 everywhere
    /// has no place there, when the strides differ, or when it is too large.
    ///
    /// Padding reads 0 in both, so the two agree wherever both have an output.
    #[must_use]
    pub fn placed_in(self, own: &Geometry, host: &Geometry) -> Option<Self> {
        let taps = host.taps_under(own)?;
        if own.kernel == host.kernel && own.dilation == host.dilation && own.pad_begin == host.pad_begin {
            return Some(self);
        }
        // The place in the host's window of each tap, in order.
        let places = taps.iter().zip(&host.kernel).fold(vec![Some(0)], |places, (taps, size)| {
            let inside = |place: &Option<usize>, tap: &Option<usize>| Some((*place)? * size + (*tap)?);
            places.iter().flat_map(|place| taps.iter().map(move |tap| inside(place, tap))).collect::<Vec<_>>()
        });
        let mut shape = vec![self.weight.shape()[0], self.weight.shape()[1]];
        shape.extend(&host.kernel);
        let size = host.kernel.iter().product::<usize>().max(1);
        let mut values = vec![0.0; entries(&shape)?];
        let mut own = self.weight.iter();
        for cell in values.chunks_exact_mut(size) {
            for (place, value) in places.iter().zip(&mut own) {
                match place {
                    Some(place) => cell[*place] = *value,
                    None if *value == 0.0 => {}
                    None => return None,
                }
            }
        }
        Some(Self { weight: ArrayD::from_shape_vec(IxDyn(&shape), values).ok()?, ..self })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn window(kernel: usize, stride: usize, begin: usize, end: usize) -> Geometry {
        Geometry {
            kernel: vec![kernel],
            stride: vec![stride],
            dilation: vec![1],
            pad_begin: vec![begin],
            pad_end: vec![end],
        }
    }

    #[test]
    fn dirac_tap_stands_under_the_padding() {
        assert_eq!(window(3, 2, 1, 1).dirac_tap(), Some(vec![1]));
        assert_eq!(window(3, 2, 0, 1).dirac_tap(), Some(vec![0]));
        assert_eq!(window(1, 1, 1, 1).dirac_tap(), None);
    }

    #[test]
    fn a_pointwise_kernel_is_placed_at_the_dirac_tap() {
        let k = Kernel::identity(2, 1);
        let placed = k.clone().placed_in(&window(1, 2, 0, 0), &window(3, 2, 1, 1)).unwrap();
        assert_eq!(placed.weight.iter().copied().collect::<Vec<_>>(), [0., 1., 0., 0., 1., 0.]);
        assert!(k.placed_in(&window(1, 1, 0, 0), &window(3, 2, 1, 1)).is_none());
    }

    #[test]
    fn a_dense_kernel_has_zeros_between_its_groups() {
        let weight = ArrayD::from_shape_vec(IxDyn(&[4, 2]), (1..=8).map(f64::from).collect()).unwrap();
        let dense = Kernel { weight, bias: None, group: 2 }.dense().unwrap();
        let rows: Vec<Vec<f64>> = dense.weight.outer_iter().map(|r| r.iter().copied().collect()).collect();
        assert_eq!(rows, [[1., 2., 0., 0.], [3., 4., 0., 0.], [0., 0., 5., 6.], [0., 0., 7., 8.]]);
        assert_eq!((dense.group, dense.inputs()), (1, 4));
    }

    #[test]
    fn a_union_has_the_taps_of_both_and_the_same_size() {
        let (three, five) = (window(3, 2, 1, 1), window(5, 2, 2, 2));
        assert_eq!(three.union(&five), Some(five.clone()));
        assert_eq!(five.union(&three), Some(five.clone()));
        // A valid 2x2 pool has its Dirac tap; behind a crop there is none to be had.
        let crop = window(1, 1, 0, 0);
        assert_eq!(window(2, 1, 1, 0).union(&crop), Some(window(2, 1, 1, 0)));
        let wide = Geometry { dilation: vec![2], ..window(3, 1, 2, 2) };
        assert_eq!(wide.union(&window(3, 1, 1, 1)), Some(window(5, 1, 2, 2)), "two grids lie on a finer one");
        let even = window(2, 1, 2, 0).union(&crop).unwrap();
        assert_eq!((even.kernel[0], even.pad_begin[0], even.growth(0)), (3, 2, 1));
    }

    #[test]
    fn output_follows_the_onnx_formula() {
        assert_eq!(window(3, 2, 1, 1).output(0, 7), 4);
        assert_eq!(window(2, 2, 0, 0).output(0, 7), 3);
        assert!(window(3, 2, 1, 1).keeps_size() && !window(2, 2, 0, 0).keeps_size());
    }
}
