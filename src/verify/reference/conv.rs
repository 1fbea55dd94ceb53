//! `Conv` over one to three axes: a matrix product over gathered columns, or a direct loop when each output reads
//! one channel.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayD, ArrayView2, ArrayViewMut2, Axis};

use super::Value;
use super::call::Call;
use super::dims;
use super::error::{Outcome, fault};
use super::parallel;
use super::registry::Table;
use super::window::{AXES, Rounding, Window, three, windows};

pub(super) const OPERATORS: Table = &[("Conv", conv)];

/// Most elements of a matrix of gathered columns (8 MiB).
const COLUMNS: usize = 1 << 20;

/// Sizes of a convolution.
struct Sizes {
    batch: usize,
    group: usize,
    /// Input channels of a group.
    inputs: usize,
    /// Output channels of a group.
    outputs: usize,
    axes: [Window; AXES],
}

impl Sizes {
    /// Elements of an input channel.
    fn plane_in(&self) -> usize {
        self.axes.iter().map(|w| w.input).product()
    }

    /// Elements of an output channel.
    fn plane_out(&self) -> usize {
        self.axes.iter().map(|w| w.output).product()
    }

    /// Taps of a kernel.
    fn taps(&self) -> usize {
        self.axes.iter().map(|w| w.kernel).product()
    }

    /// True when the gathered columns are the input itself.
    fn is_pointwise(&self) -> bool {
        self.axes.iter().all(|w| w.kernel == 1 && w.stride == 1 && w.begin == 0 && w.input == w.output)
    }
}

fn conv(call: &mut Call) -> Outcome<Vec<Value>> {
    let (x, w) = (call.floats(0)?, call.floats(1)?);
    let (&[batch, channels, ref spatial @ ..], &[outputs, inputs, ref kernel @ ..]) = (x.shape(), w.shape()) else {
        return fault!("an input of shape {:?} and weights of shape {:?}", x.shape(), w.shape());
    };
    let group = dims::dim(call.int("group", 1))?;
    if group == 0 || outputs % group != 0 || inputs.checked_mul(group) != Some(channels) {
        return fault!("weights of shape {:?} in {group} groups do not fit {channels} channels", w.shape());
    }
    if call.int_list("kernel_shape").is_some_and(|k| dims::dims(k).as_deref() != Ok(kernel)) {
        return fault!("kernel_shape is not that of the weights, {kernel:?}");
    }
    let axes = windows(call, spatial, kernel, Rounding::Floor)?;
    let mut shape = vec![batch, outputs];
    shape.extend(axes.iter().map(|w| w.output));
    let mut y = dims::filled(&shape, 0.0)?;
    let bias = call.optional_floats(2)?;
    if let Some(b) = bias.filter(|b| b.shape() != [outputs]) {
        return fault!("a bias of shape {:?} for {outputs} channels", b.shape());
    }
    let sizes = Sizes { batch, group, inputs, outputs: outputs / group, axes: three(&axes) };
    if !y.is_empty() && !x.is_empty() && !w.is_empty() {
        if inputs == 1 { direct(x, w, &mut y, &sizes)? } else { by_columns(x, w, &mut y, &sizes)? }
    }
    if let Some(b) = bias {
        add_per_channel(&mut y, b);
    }
    Ok(vec![Value::F(y)])
}

/// Adds `b[c]` to channel `c` (axis 1) of `y`.
pub(super) fn add_per_channel(y: &mut ArrayD<f64>, b: &ArrayD<f64>) {
    for (mut channel, b) in y.axis_iter_mut(Axis(1)).zip(b) {
        channel.mapv_inplace(|v| v + b);
    }
}

/// Each output channel reads one input channel: sums shifted rows, tap by tap.
fn direct(x: &ArrayD<f64>, w: &ArrayD<f64>, y: &mut ArrayD<f64>, s: &Sizes) -> Outcome<()> {
    let (x, w) = (dims::rows(x)?, dims::rows(w)?);
    let Some(y) = y.as_slice_mut() else { return fault!("an array is not contiguous") };
    let (inner, plane, taps) = (s.plane_in(), s.plane_out(), s.taps());
    let channels = s.group * s.outputs;
    let tasks: Vec<(usize, &mut [f64])> = y.chunks_exact_mut(plane).enumerate().collect();
    parallel::each(tasks, |(i, out)| {
        let (n, o) = (i / channels, i % channels);
        let from = (n * s.group + o / s.outputs) * inner;
        correlate(&x[from..from + inner], &w[o * taps..(o + 1) * taps], out, &s.axes);
    });
    Ok(())
}

/// `out += kernel * x` for one channel.
fn correlate(x: &[f64], kernel: &[f64], out: &mut [f64], axes: &[Window; AXES]) {
    let [a, b, c] = axes;
    for (t, weight) in kernel.iter().enumerate() {
        let (i, j, k) = (t / (b.kernel * c.kernel), t / c.kernel % b.kernel, t % c.kernel);
        for p in a.inside(i) {
            let z = p * a.stride + i * a.dilation - a.begin;
            for q in b.inside(j) {
                let row = (z * b.input + q * b.stride + j * b.dilation - b.begin) * c.input;
                let cells = c.inside(k);
                if cells.is_empty() {
                    continue;
                }
                let first = row + cells.start * c.stride + k * c.dilation - c.begin;
                let to = (p * b.output + q) * c.output;
                let out = &mut out[to + cells.start..to + cells.end];
                out.iter_mut().zip(x[first..].iter().step_by(c.stride)).for_each(|(o, v)| *o += weight * v);
            }
        }
    }
}

/// One matrix product for each image, group and stretch of output positions.
fn by_columns(x: &ArrayD<f64>, w: &ArrayD<f64>, y: &mut ArrayD<f64>, s: &Sizes) -> Outcome<()> {
    let (x, w) = (dims::rows(x)?, dims::rows(w)?);
    let (plane, depth) = (s.plane_out(), s.inputs * s.taps());
    let (x_block, w_block, y_block) = (s.inputs * s.plane_in(), s.outputs * depth, s.outputs * plane);
    let stretch = stretch(plane, depth, s.batch * s.group);
    let Some(y) = y.as_slice_mut() else { return fault!("an array is not contiguous") };
    let mut tasks = Vec::new();
    for (i, block) in y.chunks_exact_mut(y_block).enumerate() {
        let g = i % s.group;
        let weights = ArrayView2::from_shape((s.outputs, depth), &w[g * w_block..(g + 1) * w_block])?;
        let input = &x[i * x_block..(i + 1) * x_block];
        let mut rest = ArrayViewMut2::from_shape((s.outputs, plane), block)?;
        let mut start = 0;
        while start < plane {
            let (head, tail) = rest.split_at(Axis(1), stretch.min(plane - start));
            tasks.push((weights, input, head, start));
            rest = tail;
            start += stretch;
        }
    }
    parallel::each(tasks, |(weights, input, mut out, start)| {
        let n = out.ncols();
        if s.is_pointwise() {
            let all = ArrayView2::from_shape((s.inputs, plane), input);
            if let Ok(all) = all {
                let part = all.split_at(Axis(1), start).1;
                general_mat_mul(1.0, &weights, &part.split_at(Axis(1), n).0, 0.0, &mut out);
            }
        } else {
            general_mat_mul(1.0, &weights, &columns(input, s, start, n), 0.0, &mut out);
        }
    });
    Ok(())
}

/// Output positions of one product: few enough for the memory, and enough products for all threads.
fn stretch(plane: usize, depth: usize, blocks: usize) -> usize {
    let by_memory = (COLUMNS / depth.max(1)).max(1);
    let by_threads = plane.div_ceil(parallel::threads().div_ceil(blocks.max(1)));
    by_memory.min(by_threads).clamp(1, plane.max(1))
}

/// The inputs that output positions `start..start + n` read, one row for each channel and tap.
fn columns(x: &[f64], s: &Sizes, start: usize, n: usize) -> Array2<f64> {
    let [a, b, c] = &s.axes;
    let (taps, inner) = (s.taps(), s.plane_in());
    let mut all = Array2::zeros((s.inputs * taps, n));
    for (r, mut row) in all.outer_iter_mut().enumerate() {
        let Some(row) = row.as_slice_mut() else { continue };
        let (channel, t) = (r / taps, r % taps);
        let (i, j, k) = (t / (b.kernel * c.kernel), t / c.kernel % b.kernel, t % c.kernel);
        let x = &x[channel * inner..(channel + 1) * inner];
        let inside = c.inside(k);
        // Line by line of the output; the first and the last may be incomplete.
        for line in start / c.output..(start + n).div_ceil(c.output) {
            let (Some(z), Some(y)) = (a.at(line / b.output, i), b.at(line % b.output, j)) else { continue };
            let from = inside.start.max(start.saturating_sub(line * c.output));
            let to = inside.end.min(start + n - line * c.output);
            if from < to {
                let first = (z * b.input + y) * c.input + from * c.stride + k * c.dilation - c.begin;
                let row = &mut row[line * c.output + from - start..line * c.output + to - start];
                row.iter_mut().zip(x[first..].iter().step_by(c.stride)).for_each(|(to, from)| *to = *from);
            }
        }
    }
    all
}
