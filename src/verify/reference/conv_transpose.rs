//! `ConvTranspose` over one to three axes: every input element adds its kernel to the output.

use ndarray::{ArrayD, ArrayView2};

use super::Value;
use super::call::Call;
use super::conv::add_per_channel;
use super::dims;
use super::error::{Outcome, fault};
use super::registry::Table;
use super::window::{AXES, Attributes};

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
        add_per_channel(&mut y, b);
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

/// Adds, image by image and group by group, `weights^T x` to the places where it belongs.
fn scatter(x: &ArrayD<f64>, w: &ArrayD<f64>, y: &mut ArrayD<f64>, group: usize, axes: &[Spread; AXES]) -> Outcome<()> {
    let size = |f: fn(&Spread) -> usize| axes.iter().map(f).product::<usize>();
    let (plane_in, plane_out, taps) = (size(|a| a.input), size(|a| a.output), size(|a| a.kernel));
    let inputs = x.shape()[1] / group;
    let outputs = w.shape()[1];
    let (x, w) = (dims::rows(x)?, dims::rows(w)?);
    let Some(y) = y.as_slice_mut() else { return fault!("an array is not contiguous") };
    let blocks = x.chunks_exact(inputs * plane_in).zip(y.chunks_exact_mut(outputs * plane_out));
    for (i, (x, y)) in blocks.enumerate() {
        let part = inputs * outputs * taps;
        let weights = &w[i % group * part..(i % group + 1) * part];
        let x = ArrayView2::from_shape((inputs, plane_in), x)?;
        let weights = ArrayView2::from_shape((inputs, outputs * taps), weights)?;
        // One output channel at a time, so that the product stays small.
        for (o, y) in y.chunks_exact_mut(plane_out).enumerate() {
            let product = weights.slice(ndarray::s![.., o * taps..(o + 1) * taps]).t().dot(&x);
            for (t, row) in product.outer_iter().enumerate() {
                let row = row.to_slice().unwrap_or_default();
                add_tap(row, t, y, axes);
            }
        }
    }
    Ok(())
}

/// Adds to `y` what tap `t` contributes, one value for each input element.
fn add_tap(values: &[f64], t: usize, y: &mut [f64], axes: &[Spread; AXES]) {
    let [a, b, c] = axes;
    let (i, j, k) = (t / (b.kernel * c.kernel), t / c.kernel % b.kernel, t % c.kernel);
    for (line, row) in values.chunks_exact(c.input).enumerate() {
        let (Some(z), Some(q)) = (a.at(line / b.input, i), b.at(line % b.input, j)) else { continue };
        let to = &mut y[(z * b.output + q) * c.output..][..c.output];
        for (p, value) in row.iter().enumerate() {
            if let Some(o) = c.at(p, k) {
                to[o] += value;
            }
        }
    }
}
