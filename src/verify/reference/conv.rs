//! `Conv` over one to three axes: a matrix product over gathered columns, or a direct loop when each output reads
//! one channel.
//!
//! Columns are gathered for a band of output positions at a time. Bands depend on the sizes alone, and every output is summed in
//! the order of the taps: the result does not depend on the number of threads.

use faer::{MatMut, MatRef};
use ndarray::ArrayD;

use super::Value;
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};
use super::gemm::{column_blocks, multiply, row_blocks};
use super::window::{AXES, Rounding, Window, three, windows};
use crate::tasks;

pub(super) const OPERATORS: Table = &[("Conv", conv)];

/// Elements of a matrix of gathered columns (4 MiB for each thread), unless a single column is larger.
const COLUMNS: usize = 1 << 19;

/// Output positions of a band: few enough to stay in the cache.
const BAND: usize = 512;

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

    /// Multiply-accumulates.
    fn work(&self) -> usize {
        let outputs = self.batch.saturating_mul(self.group * self.outputs).saturating_mul(self.plane_out());
        outputs.saturating_mul(self.inputs.saturating_mul(self.taps()))
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
        add_per_channel(&mut y, b)?;
    }
    Ok(vec![Value::F(y)])
}

/// Adds `b[c]` to channel `c` (axis 1) of `y`.
pub(super) fn add_per_channel(y: &mut ArrayD<f64>, b: &ArrayD<f64>) -> Outcome<()> {
    let plane: usize = y.shape().iter().skip(2).product();
    let Some(y) = y.as_slice_mut() else { return fault!("an array is not contiguous") };
    for (channel, b) in y.chunks_exact_mut(plane.max(1)).zip(b.iter().cycle()) {
        channel.iter_mut().for_each(|v| *v += b);
    }
    Ok(())
}

/// Each output channel reads one input channel: sums shifted rows, tap by tap.
fn direct(x: &ArrayD<f64>, w: &ArrayD<f64>, y: &mut ArrayD<f64>, s: &Sizes) -> Outcome<()> {
    let (x, w) = (dims::rows(x)?, dims::rows(w)?);
    let Some(y) = y.as_slice_mut() else { return fault!("an array is not contiguous") };
    let (inner, plane, taps) = (s.plane_in(), s.plane_out(), s.taps());
    let channels = s.group * s.outputs;
    let tasks = y.chunks_exact_mut(plane).enumerate();
    tasks::each(s.work(), tasks, |(): &mut (), (i, out)| {
        let (n, o) = (i / channels, i % channels);
        let from = (n * s.group + o / s.outputs) * inner;
        correlate(&x[from..from + inner], &w[o * taps..(o + 1) * taps], out, &s.axes);
    });
    Ok(())
}

/// `out += kernel * x` for one channel.
fn correlate(x: &[f64], kernel: &[f64], out: &mut [f64], axes: &[Window; AXES]) {
    let [a, b, c] = axes;
    for (line, out) in out.chunks_exact_mut(c.output).enumerate() {
        for (t, weights) in kernel.chunks_exact(c.kernel).enumerate() {
            let (i, j) = (t / b.kernel, t % b.kernel);
            let (Some(z), Some(q)) = (a.at(line / b.output, i), b.at(line % b.output, j)) else { continue };
            let x = &x[(z * b.input + q) * c.input..][..c.input];
            match *weights {
                // The middle of a row in one go: a third of the loads and stores.
                [u, v, w] if c.stride == 1 && c.dilation == 1 => three_taps(x, [u, v, w], out, c),
                _ => weights.iter().enumerate().for_each(|(k, weight)| tap(x, *weight, out, c, k, c.inside(k))),
            }
        }
    }
}

/// Adds tap `k` of a row to the outputs in `cells`, all of which it reaches.
fn tap(x: &[f64], weight: f64, out: &mut [f64], c: &Window, k: usize, cells: std::ops::Range<usize>) {
    if cells.is_empty() {
        return;
    }
    let first = cells.start * c.stride + k * c.dilation - c.begin;
    let out = &mut out[cells];
    if c.stride == 1 {
        out.iter_mut().zip(&x[first..]).for_each(|(o, v)| *o += weight * v);
    } else {
        out.iter_mut().zip(x[first..].iter().step_by(c.stride)).for_each(|(o, v)| *o += weight * v);
    }
}

/// A row of three neighbouring taps with stride 1. Every output adds them in their order, at the ends too.
fn three_taps(x: &[f64], [u, v, w]: [f64; 3], out: &mut [f64], c: &Window) {
    let inside = [c.inside(0), c.inside(1), c.inside(2)];
    // Where all three lie in the input: the first tap begins last, the last tap ends first.
    let (start, end) = (inside[0].start, inside[2].end.max(inside[0].start));
    for (k, (weight, cells)) in [u, v, w].into_iter().zip(inside).enumerate() {
        tap(x, weight, out, c, k, cells.start..cells.end.min(start));
        tap(x, weight, out, c, k, cells.start.max(end)..cells.end);
    }
    if start < end {
        let x = &x[start - c.begin..];
        let shifted = x.iter().zip(&x[1..]).zip(&x[2..]);
        out[start..end].iter_mut().zip(shifted).for_each(|(o, ((p, q), r))| *o = *o + u * p + v * q + w * r);
    }
}

/// What one product computes: the outputs of one group of one image at a stretch of positions.
struct Band<'a> {
    weights: MatRef<'a, f64>,
    /// The input channels of the group.
    input: &'a [f64],
    out: MatMut<'a, f64>,
    /// The first position.
    start: usize,
}

/// One matrix product for each image, group and band of output positions.
fn by_columns(x: &ArrayD<f64>, w: &ArrayD<f64>, y: &mut ArrayD<f64>, s: &Sizes) -> Outcome<()> {
    let (x, w) = (dims::rows(x)?, dims::rows(w)?);
    let (plane, depth) = (s.plane_out(), s.inputs * s.taps());
    let weights = MatRef::from_row_major_slice(w, s.group * s.outputs, depth);
    let Some(y) = y.as_slice_mut() else { return fault!("an array is not contiguous") };
    let all = MatMut::from_row_major_slice_mut(y, s.batch * s.group * s.outputs, plane);
    let width = (COLUMNS / depth.max(1)).clamp(1, BAND);
    let bands = row_blocks(all, s.outputs).zip(x.chunks_exact(s.inputs * s.plane_in())).enumerate();
    let bands = bands.flat_map(|(i, (out, input))| {
        let weights = weights.subrows(i % s.group * s.outputs, s.outputs);
        let part = move |(n, out)| Band { weights, input, out, start: n * width };
        column_blocks(out, width).enumerate().map(part)
    });
    tasks::each(s.work(), bands, |space: &mut Vec<f64>, band| band.compute(s, space));
    Ok(())
}

impl Band<'_> {
    fn compute(self, s: &Sizes, space: &mut Vec<f64>) {
        let (n, depth) = (self.out.ncols(), self.weights.ncols());
        let columns = if s.is_pointwise() {
            MatRef::from_row_major_slice(self.input, depth, s.plane_out()).subcols(self.start, n)
        } else {
            if space.len() < depth * n {
                space.resize(depth * n, 0.0);
            }
            gather(self.input, s, self.start, n, space);
            MatRef::from_row_major_slice(&space[..depth * n], depth, n)
        };
        multiply(self.weights, columns, self.out);
    }
}

/// Writes the inputs that output positions `start..start + n` read, one row of `n` for each channel and tap.
fn gather(x: &[f64], s: &Sizes, start: usize, n: usize, columns: &mut [f64]) {
    let [a, b, c] = &s.axes;
    let (taps, inner) = (s.taps(), s.plane_in());
    for (r, row) in columns.chunks_exact_mut(n).take(s.inputs * taps).enumerate() {
        let (channel, t) = (r / taps, r % taps);
        let (i, j, k) = (t / (b.kernel * c.kernel), t / c.kernel % b.kernel, t % c.kernel);
        let x = &x[channel * inner..(channel + 1) * inner];
        let inside = c.inside(k);
        // Line by line of the output; the first and the last may be incomplete.
        let mut done = 0;
        while done < n {
            let (line, from) = ((start + done) / c.output, (start + done) % c.output);
            let to = c.output.min(from + n - done);
            let cells = &mut row[done..done + to - from];
            done += to - from;
            let (Some(z), Some(y)) = (a.at(line / b.output, i), b.at(line % b.output, j)) else {
                cells.fill(0.0);
                continue;
            };
            let (first, last) = (inside.start.clamp(from, to), inside.end.clamp(from, to));
            let last = last.max(first);
            cells[..first - from].fill(0.0);
            cells[last - from..].fill(0.0);
            let cells = &mut cells[first - from..last - from];
            if cells.is_empty() {
                continue;
            }
            let x = &x[(z * b.input + y) * c.input + first * c.stride + k * c.dilation - c.begin..];
            if c.stride == 1 {
                cells.copy_from_slice(&x[..last - first]);
            } else {
                cells.iter_mut().zip(x.iter().step_by(c.stride)).for_each(|(to, from)| *to = *from);
            }
        }
    }
}
