//! Two linear maps one after the other, as one.

use ndarray::{Array3, ArrayD, IxDyn, s};

use super::kernel::{Geometry, Kernel, entries};
use super::sum::common_group;

/// `first` in the window `own`, then `second` in the window `next`, as one kernel in `window`, which is
/// [`Geometry::then`] of the two: that decides whether the result is exact at the borders.
///
/// The result has as many groups as both allow. `None` when channel counts or windows do not fit, or when it is too large.
#[must_use]
pub fn compose(first: &Kernel, own: &Geometry, second: &Kernel, next: &Geometry, window: &Geometry) -> Option<Kernel> {
    if second.inputs() != first.outputs() {
        return None;
    }
    let group = common_group([first.group, second.group]);
    let (inputs, outputs) = (first.inputs() / group, second.outputs() / group);
    let (a, b) = (flat(first)?, flat(second)?);
    let place = places(own, next, window)?;
    entries(&[second.outputs(), inputs, window.taps()])?;
    let mut weight = Array3::<f64>::zeros((second.outputs(), inputs, window.taps()));
    for (i, j, middle) in overlaps(first, second) {
        let rows = j * second.group_outputs()..(j + 1) * second.group_outputs();
        let start = i * first.group_inputs() - rows.start / outputs * inputs;
        let columns = start..start + first.group_inputs();
        let from = middle.start - j * second.group_inputs();
        for u in 0..b.dim().2 {
            let left = b.slice(s![rows.clone(), from..from + middle.len(), u]);
            for t in 0..a.dim().2 {
                let right = a.slice(s![middle.clone(), .., t]);
                let mut target = weight.slice_mut(s![rows.clone(), columns.clone(), place(t, u)?]);
                target += &left.dot(&right);
            }
        }
    }
    let mut shape = vec![second.outputs(), inputs];
    shape.extend(&window.kernel);
    let weight: ArrayD<f64> = weight.into_shape_with_order(IxDyn(&shape)).ok()?;
    Some(Kernel { weight, bias: bias(first, second, &b), group })
}

fn flat(kernel: &Kernel) -> Option<Array3<f64>> {
    let (outputs, inputs) = (kernel.outputs(), kernel.group_inputs());
    let taps = kernel.weight.shape().get(2..)?.iter().product();
    kernel.weight.to_shape((outputs, inputs, taps)).ok().map(ndarray::CowArray::into_owned)
}

/// Each group of `first` and each of `second` that share channels, with the channels.
fn overlaps<'k>(
    first: &'k Kernel,
    second: &'k Kernel,
) -> impl Iterator<Item = (usize, usize, std::ops::Range<usize>)> + 'k {
    let (made, read) = (first.group_outputs().max(1), second.group_inputs().max(1));
    (0..second.group).flat_map(move |j| {
        let (start, end) = (j * read, (j + 1) * read);
        (start / made..end.div_ceil(made)).map(move |i| (i, j, start.max(i * made)..end.min((i + 1) * made)))
    })
}

/// Where tap `t` of `own` under tap `u` of `next` stands in `window`; taps are counted in row-major order.
fn places<'g>(
    own: &'g Geometry,
    next: &'g Geometry,
    window: &'g Geometry,
) -> Option<impl Fn(usize, usize) -> Option<usize> + 'g> {
    let fits = own.axes() == window.axes() && next.axes() == window.axes() && window.dilation.iter().all(|d| *d > 0);
    fits.then_some(move |mut t: usize, mut u: usize| {
        let (mut at, mut row) = (0, 1);
        for axis in (0..window.axes()).rev() {
            let (own_tap, next_tap) = (t % own.kernel[axis], u % next.kernel[axis]);
            (t, u) = (t / own.kernel[axis], u / next.kernel[axis]);
            let offset = next_tap * next.dilation[axis] * own.stride[axis] + own_tap * own.dilation[axis];
            let tap = offset / window.dilation[axis];
            if !offset.is_multiple_of(window.dilation[axis]) || tap >= window.kernel[axis] {
                return None;
            }
            at += tap * row;
            row *= window.kernel[axis];
        }
        Some(at)
    })
}

/// The first bias seen through the second map, and the second's own.
fn bias(first: &Kernel, second: &Kernel, weight: &Array3<f64>) -> Option<Vec<f64>> {
    let Some(inner) = &first.bias else { return second.bias.clone() };
    let bias = (0..second.outputs())
        .map(|o| {
            let start = o / second.group_outputs().max(1) * second.group_inputs();
            let through: f64 =
                weight.slice(s![o, .., ..]).outer_iter().zip(&inner[start..]).map(|(w, b)| w.sum() * b).sum();
            through + second.bias.as_ref().map_or(0.0, |v| v[o])
        })
        .collect();
    Some(bias)
}

/// The average over a window as a depthwise kernel on `channels` channels. Exact only where the pool
/// divides by the full window everywhere (`count_include_pad`, or no padding and no ceil overhang). `None` when it is
/// too large.
#[must_use]
pub fn average(channels: usize, window: &Geometry) -> Option<Kernel> {
    let taps = window.taps();
    entries(&[channels, taps])?;
    let mut shape = vec![channels, 1];
    shape.extend(&window.kernel);
    Some(Kernel { weight: ArrayD::from_elem(IxDyn(&shape), 1.0 / taps as f64), bias: None, group: channels })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn kernel(shape: &[usize], values: &[f64], bias: Option<Vec<f64>>, group: usize) -> Kernel {
        Kernel { weight: ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).unwrap(), bias, group }
    }

    fn window(kernel: usize, stride: usize, dilation: usize, pad: usize) -> Geometry {
        let pads = vec![pad];
        Geometry {
            kernel: vec![kernel],
            stride: vec![stride],
            dilation: vec![dilation],
            pad_begin: pads.clone(),
            pad_end: pads,
        }
    }

    /// The definition, entry by entry.
    fn run(kernel: &Kernel, w: &Geometry, input: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let n = w.output(0, input[0].len() as i64);
        let value = |o: usize, at: i64| {
            let start = o / kernel.group_outputs() * kernel.group_inputs();
            let mut sum = kernel.bias.as_ref().map_or(0.0, |b| b[o]);
            for i in 0..kernel.group_inputs() {
                for t in 0..w.kernel[0] {
                    let x = at * w.stride[0] as i64 - w.pad_begin[0] as i64 + (t * w.dilation[0]) as i64;
                    let x = usize::try_from(x).ok().and_then(|x| input[start + i].get(x)).unwrap_or(&0.0);
                    sum += kernel.weight[[o, i, t]] * x;
                }
            }
            sum
        };
        (0..kernel.outputs()).map(|o| (0..n).map(|at| value(o, at)).collect()).collect()
    }

    fn values(n: usize) -> Vec<f64> {
        (0..n).map(|i| (i * 7 % 11) as f64 - 5.0).collect()
    }

    #[test]
    fn the_composed_kernel_computes_what_both_compute() {
        let input: Vec<Vec<f64>> = values(4 * 13).chunks(13).map(<[f64]>::to_vec).collect();
        for (ga, gb, a, b) in [
            (1, 1, window(3, 1, 1, 1), window(1, 1, 1, 0)),
            (1, 2, window(3, 2, 1, 1), window(3, 2, 1, 0)),
            (4, 2, window(1, 2, 1, 0), window(3, 1, 2, 0)),
            (4, 4, window(2, 3, 3, 1), window(2, 1, 1, 0)),
            (2, 4, window(1, 1, 1, 2), window(3, 1, 1, 0)),
        ] {
            let first = kernel(&[4, 4 / ga, a.kernel[0]], &values(16 / ga * a.kernel[0]), Some(values(4)), ga);
            let second = kernel(&[8, 4 / gb, b.kernel[0]], &values(32 / gb * b.kernel[0]), Some(values(8)), gb);
            let whole = a.then(&b, true, &[None]).unwrap();
            let composed = compose(&first, &a, &second, &b, &whole).unwrap();
            assert_eq!(run(&composed, &whole, &input), run(&second, &b, &run(&first, &a, &input)), "{a:?} {b:?}");
            assert_eq!(composed.group, common_group([ga, gb]));
        }
    }

    #[test]
    fn channel_counts_must_fit() {
        let a = kernel(&[2, 1, 1], &[1., 2.], None, 1);
        let one = Geometry::pointwise(1);
        assert!(compose(&a, &one, &a, &one, &one).is_none());
    }

    #[test]
    fn an_average_is_a_depthwise_kernel() {
        let g = Geometry { kernel: vec![2], ..Geometry::pointwise(1) };
        let k = average(2, &g).unwrap();
        assert_eq!(k.weight.iter().copied().collect::<Vec<_>>(), [0.5; 4]);
        assert_eq!(k.group, 2);
    }
}
