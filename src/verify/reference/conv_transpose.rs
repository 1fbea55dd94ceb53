//! `ConvTranspose` over one to three axes: every input element adds its kernel to the output.

use faer::{MatMut, MatRef};
use ndarray::ArrayD;

use super::Value;
use super::call::{Call, Table};
use super::conv::add_per_channel;
use super::dims;
use super::error::{Outcome, fault};
use super::gemm::multiply;
use super::window::{AXES, Attributes};
use crate::tasks;

pub(super) const OPERATORS: Table = &[("ConvTranspose", conv_transpose)];

/// One axis: input element `i` adds tap `k` to output `i * stride + k * dilation - begin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spread {
    input: usize,
    output: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    /// What is cut off in front; negative when room is added instead.
    begin: i64,
}

const ONE: Spread = Spread { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, begin: 0 };

impl Spread {
    fn at(&self, i: usize, k: usize) -> Option<usize> {
        let o = (i * self.stride + k * self.dilation) as i64 - self.begin;
        usize::try_from(o).ok().filter(|o| *o < self.output)
    }
}

fn conv_transpose(call: &mut Call) -> Outcome<Vec<Value>> {
    let (x, w) = (call.floats(0)?, call.floats(1)?);
    let (&[batch, channels, ref spatial @ ..], &[inputs, per_group, ref kernel @ ..]) = (x.shape(), w.shape()) else {
        return fault!("an input of shape {:?} and weights of shape {:?}", x.shape(), w.shape());
    };
    let group = dims::dim(call.int("group", 1))?;
    if group == 0 || inputs != channels || channels % group != 0 {
        return fault!("weights of shape {:?} in {group} groups do not fit {channels} channels", w.shape());
    }
    let axes = spreads(call, spatial, kernel)?;
    let Some(outputs) = per_group.checked_mul(group) else { return fault!("too many output channels") };
    let mut shape = vec![batch, outputs];
    shape.extend(axes.iter().map(|a| a.output));
    let mut y = dims::filled(&shape, 0.0)?;
    let bias = call.optional_floats(2)?;
    if let Some(b) = bias.filter(|b| b.shape() != [outputs]) {
        return fault!("a bias of shape {:?} for {outputs} channels", b.shape());
    }
    if !x.is_empty() && !w.is_empty() && !y.is_empty() {
        let mut three = [ONE; AXES];
        three.iter_mut().rev().zip(axes.iter().rev()).for_each(|(to, from)| *to = *from);
        scatter(x, w, &mut y, group, &three)?;
    }
    if let Some(b) = bias {
        add_per_channel(&mut y, b)?;
    }
    Ok(vec![Value::F(y)])
}

/// Geometry of each spatial axis.
fn spreads(call: &Call, spatial: &[usize], kernel: &[usize]) -> Outcome<Vec<Spread>> {
    let n = spatial.len();
    if n == 0 || n > AXES || kernel.len() != n || kernel.iter().any(|k| *k == 0 || *k >= 1 << 31) {
        return fault!("a kernel {kernel:?} over spatial axes {spatial:?}");
    }
    let a = Attributes::read(call, n)?;
    let auto_pad = call.string("auto_pad", "NOTSET")?;
    let list = |name: &str| match call.int_list(name).filter(|l| !l.is_empty()) {
        None => Ok(None),
        // A shape may name batch and channels too.
        Some(l) if l.len() >= n && l.iter().all(|v| (0..1 << 31).contains(v)) => {
            dims::dims(&l[l.len() - n..]).map(Some)
        }
        Some(l) => fault!("{name} {l:?} does not fit {n} axes"),
    };
    let (extra, wanted) = (list("output_padding")?.unwrap_or_else(|| vec![0; n]), list("output_shape")?);
    (0..n)
        .map(|i| {
            let (stride, dilation) = (a.strides[i], a.dilations[i]);
            let reach = stride as i64 * (spatial[i] as i64 - 1).max(0) + (kernel[i] - 1) as i64 * dilation as i64 + 1;
            let full = reach + extra[i] as i64;
            let same = matches!(auto_pad, "SAME_UPPER" | "SAME_LOWER").then(|| spatial[i] * stride);
            let (output, begin) = match wanted.as_ref().map(|w| w[i]).or(same) {
                None => (full - a.pads[i] as i64 - a.pads[n + i] as i64, a.pads[i] as i64),
                Some(output) => {
                    let total = full - output as i64;
                    let half = total.div_euclid(2);
                    (output as i64, if auto_pad == "SAME_UPPER" { half } else { total - half })
                }
            };
            Ok(Spread { input: spatial[i], output: dims::dim(output)?, kernel: kernel[i], stride, dilation, begin })
        })
        .collect()
}

/// Elements of a product before it is added where it belongs (4 MiB for each thread), unless one input position gives more.
const PRODUCT: usize = 1 << 19;

/// Input positions that are multiplied at once.
const BAND: usize = 512;

/// Adds, image by image and group by group, `weights^T x` to the places where it belongs.
fn scatter(x: &ArrayD<f64>, w: &ArrayD<f64>, y: &mut ArrayD<f64>, group: usize, axes: &[Spread; AXES]) -> Outcome<()> {
    let size = |f: fn(&Spread) -> usize| axes.iter().map(f).product::<usize>();
    let (plane_in, plane_out, taps) = (size(|a| a.input), size(|a| a.output), size(|a| a.kernel));
    let (inputs, outputs) = (x.shape()[1] / group, w.shape()[1]);
    let work = x.len().saturating_mul(outputs * taps);
    let (x, w) = (dims::rows(x)?, dims::rows(w)?);
    let x = MatRef::from_row_major_slice(x, x.len() / plane_in, plane_in);
    let w = MatRef::from_row_major_slice(w, group * inputs, outputs * taps);
    let Some(y) = y.as_slice_mut() else { return fault!("an array is not contiguous") };
    // So many output channels at a time that the product stays small.
    let most = (PRODUCT / (taps * BAND.min(plane_in))).clamp(1, outputs);
    let blocks = y
        .chunks_exact_mut(outputs * plane_out)
        .enumerate()
        .flat_map(|(i, y)| y.chunks_mut(most * plane_out).enumerate().map(move |(part, y)| (i, part * most, y)));
    tasks::each(work, blocks, |space: &mut Vec<f64>, (i, first, y)| {
        let channels = y.len() / plane_out;
        let x = x.subrows(i * inputs, inputs);
        let from = i % group * inputs;
        let weights = w.subrows(from, inputs).subcols(first * taps, channels * taps);
        let rows = channels * taps;
        let band = (PRODUCT / rows).clamp(1, BAND);
        for start in (0..plane_in).step_by(band) {
            let n = band.min(plane_in - start);
            space.resize(rows * n, 0.0);
            let product = MatMut::from_row_major_slice_mut(space.as_mut_slice(), rows, n);
            multiply(weights.transpose(), x.subcols(start, n), product);
            for (row, values) in space.chunks_exact(n).enumerate() {
                let y = &mut y[row / taps * plane_out..][..plane_out];
                add_tap(values, start, row % taps, y, axes);
            }
        }
    });
    Ok(())
}

/// Adds to `y` what tap `t` contributes, one value for each input element from `start` on.
fn add_tap(values: &[f64], start: usize, t: usize, y: &mut [f64], axes: &[Spread; AXES]) {
    let [a, b, c] = axes;
    let (i, j, k) = (t / (b.kernel * c.kernel), t / c.kernel % b.kernel, t % c.kernel);
    let mut done = 0;
    while done < values.len() {
        let (line, from) = ((start + done) / c.input, (start + done) % c.input);
        let row = &values[done..values.len().min(done + c.input - from)];
        done += row.len();
        let (Some(z), Some(q)) = (a.at(line / b.input, i), b.at(line % b.input, j)) else { continue };
        let to = &mut y[(z * b.output + q) * c.output..][..c.output];
        for (p, value) in row.iter().enumerate() {
            if let Some(o) = c.at(from + p, k) {
                to[o] += value;
            }
        }
    }
}
