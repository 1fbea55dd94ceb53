//! Normalisations.

use ndarray::{ArrayD, Axis, IxDyn};

use super::Value;
use super::binary::zip;
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};

pub(super) const OPERATORS: Table = &[
    ("BatchNormalization", batch_normalization),
    ("InstanceNormalization", instance_normalization),
    ("GroupNormalization", group_normalization),
    ("LayerNormalization", layer_normalization),
    ("RMSNormalization", rms_normalization),
    ("MeanVarianceNormalization", mean_variance),
    ("LpNormalization", lp_normalization),
    ("LRN", lrn),
];

/// Input `i`, one value for each of `n` channels.
fn per_channel(call: &Call, i: usize, n: usize) -> Outcome<Vec<f64>> {
    let a = call.floats(i)?;
    if a.len() == n {
        Ok(a.iter().copied().collect())
    } else {
        fault!("input {i} has {} values for {n} channels", a.len())
    }
}

/// Channels: axis 1, or the only one of a vector.
fn channels(x: &ArrayD<f64>) -> Outcome<usize> {
    x.shape().get(1).copied().map_or_else(|| fault!("an input of shape {:?} has no channels", x.shape()), Ok)
}

fn batch_normalization(call: &mut Call) -> Outcome<Vec<Value>> {
    let epsilon = call.float("epsilon", 1e-5);
    let momentum = call.float("momentum", 0.9);
    let n = channels(call.floats(0)?)?;
    let (scale, shift) = (per_channel(call, 1, n)?, per_channel(call, 2, n)?);
    let (mut mean, mut var) = (per_channel(call, 3, n)?, per_channel(call, 4, n)?);
    let training =
        if call.opset() < 14 { call.opset() >= 7 && call.outputs() > 3 } else { call.flag("training_mode", false) };
    // Before opset 7 an attribute said so.
    let training = training || call.opset() < 7 && !call.flag("is_test", false) && call.outputs() > 1;
    let mut x = call.take_floats(0)?;
    let mut running = Vec::new();
    if training {
        let (now_mean, now_var) = statistics(&x);
        let mix =
            |old: &[f64], now: &[f64]| old.iter().zip(now).map(|(o, n)| o * momentum + n * (1.0 - momentum)).collect();
        let mixed: [Vec<f64>; 2] = [mix(&mean, &now_mean), mix(&var, &now_var)];
        for values in mixed {
            running.push(Value::F(dims::array(&[n], values)?));
        }
        (mean, var) = (now_mean, now_var);
    }
    for (c, mut channel) in x.axis_iter_mut(Axis(1)).enumerate() {
        let factor = scale[c] / (var[c] + epsilon).sqrt();
        channel.mapv_inplace(|v| (v - mean[c]) * factor + shift[c]);
    }
    let mut outputs = vec![Value::F(x)];
    outputs.extend(running);
    Ok(outputs)
}

/// Mean and variance of each channel over the batch.
fn statistics(x: &ArrayD<f64>) -> (Vec<f64>, Vec<f64>) {
    x.axis_iter(Axis(1)).map(|c| moments(c.iter().copied())).unzip()
}

/// Mean and population variance.
fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    (mean, values.map(|v| (v - mean) * (v - mean)).sum::<f64>() / n)
}

/// Makes each block of `size` elements have mean 0 and variance 1.
fn standardize(x: &mut ArrayD<f64>, size: usize, epsilon: f64) -> Outcome<()> {
    let Some(values) = x.as_slice_mut() else { return fault!("an array is not contiguous") };
    for block in values.chunks_exact_mut(size.max(1)) {
        let (mean, var) = moments(block.iter().copied());
        let factor = 1.0 / (var + epsilon).sqrt();
        block.iter_mut().for_each(|v| *v = (*v - mean) * factor);
    }
    Ok(())
}

fn scale_channels(x: &mut ArrayD<f64>, scale: &[f64], shift: &[f64]) {
    for ((mut channel, scale), shift) in x.axis_iter_mut(Axis(1)).zip(scale).zip(shift) {
        channel.mapv_inplace(|v| v * scale + shift);
    }
}

fn instance_normalization(call: &mut Call) -> Outcome<Vec<Value>> {
    let epsilon = call.float("epsilon", 1e-5);
    let n = channels(call.floats(0)?)?;
    let (scale, shift) = (per_channel(call, 1, n)?, per_channel(call, 2, n)?);
    let mut x = call.take_floats(0)?;
    let plane = x.shape().iter().skip(2).product();
    standardize(&mut x, plane, epsilon)?;
    scale_channels(&mut x, &scale, &shift);
    Ok(vec![Value::F(x)])
}

/// Scale and shift are one a channel since opset 21, one a group before.
fn group_normalization(call: &mut Call) -> Outcome<Vec<Value>> {
    let epsilon = call.float("epsilon", 1e-5);
    let n = channels(call.floats(0)?)?;
    let groups = dims::dim(call.int("num_groups", 0))?;
    if groups == 0 || n % groups != 0 {
        return fault!("{groups} groups of {n} channels");
    }
    let spread = |i: usize| -> Outcome<Vec<f64>> {
        if call.floats(i)?.len() == n {
            return per_channel(call, i, n);
        }
        let of_group = per_channel(call, i, groups)?;
        Ok((0..n).map(|c| of_group[c / (n / groups)]).collect())
    };
    let (scale, shift) = (spread(1)?, spread(2)?);
    let mut x = call.take_floats(0)?;
    let plane: usize = x.shape().iter().skip(2).product();
    standardize(&mut x, plane * (n / groups), epsilon)?;
    scale_channels(&mut x, &scale, &shift);
    Ok(vec![Value::F(x)])
}

/// Shape of a statistic over the axes from `axis` on, and the number of elements that each covers.
fn trailing(shape: &[usize], axis: usize) -> (Vec<usize>, usize) {
    let kept = shape.iter().enumerate().map(|(i, d)| if i < axis { *d } else { 1 }).collect();
    (kept, shape.iter().skip(axis).product())
}

fn layer_normalization(call: &mut Call) -> Outcome<Vec<Value>> {
    let epsilon = call.float("epsilon", 1e-5);
    let mut x = call.take_floats(0)?;
    let axis = dims::axis(call.int("axis", -1), x.ndim())?;
    let (kept, size) = trailing(x.shape(), axis);
    let blocks = dims::rows(&x)?.chunks_exact(size.max(1));
    let (means, spreads): (Vec<f64>, Vec<f64>) =
        blocks.map(|b| moments(b.iter().copied())).map(|(m, v)| (m, 1.0 / (v + epsilon).sqrt())).unzip();
    standardize(&mut x, size, epsilon)?;
    let mut y = zip(x, call.floats(1)?, |x, s| x * s)?;
    if let Some(shift) = call.optional_floats(2)? {
        y = zip(y, shift, |x, s| x + s)?;
    }
    Ok(vec![Value::F(y), Value::F(dims::array(&kept, means)?), Value::F(dims::array(&kept, spreads)?)])
}

fn rms_normalization(call: &mut Call) -> Outcome<Vec<Value>> {
    let epsilon = call.float("epsilon", 1e-5);
    let mut x = call.take_floats(0)?;
    let axis = dims::axis(call.int("axis", -1), x.ndim())?;
    let (_, size) = trailing(x.shape(), axis);
    let Some(values) = x.as_slice_mut() else { return fault!("an array is not contiguous") };
    for block in values.chunks_exact_mut(size.max(1)) {
        let mean = block.iter().map(|v| v * v).sum::<f64>() / size as f64;
        let factor = 1.0 / (mean + epsilon).sqrt();
        block.iter_mut().for_each(|v| *v *= factor);
    }
    Ok(vec![Value::F(zip(x, call.floats(1)?, |x, s| x * s)?)])
}

fn mean_variance(call: &mut Call) -> Outcome<Vec<Value>> {
    let axes = call.int_list("axes").unwrap_or(&[0, 2, 3]);
    let x = call.take_floats(0)?;
    let axes = dims::axes(axes, x.ndim())?;
    let mean = |x: &ArrayD<f64>| {
        axes.iter().fold(x.clone(), |x, a| {
            let n = x.shape()[*a] as f64;
            (x.sum_axis(Axis(*a)) / n).insert_axis(Axis(*a))
        })
    };
    let (average, squares) = (mean(&x), mean(&x.mapv(|v| v * v)));
    let deviation = zip(squares, &average, |s, m| (s - m * m).sqrt())?;
    let y = zip(zip(x, &average, |x, m| x - m)?, &deviation, |x, d| x / (d + 1e-9))?;
    Ok(vec![Value::F(y)])
}

fn lp_normalization(call: &mut Call) -> Outcome<Vec<Value>> {
    let p = call.int("p", 2);
    let mut x = call.take_floats(0)?;
    let axis = dims::axis(call.int("axis", -1), x.ndim())?;
    for mut lane in x.lanes_mut(Axis(axis)) {
        let norm = match p {
            1 => lane.iter().map(|v| v.abs()).sum::<f64>(),
            2 => lane.iter().map(|v| v * v).sum::<f64>().sqrt(),
            _ => return fault!("p is {p}, not 1 or 2"),
        };
        // A vector of zeros stays one.
        if norm != 0.0 {
            lane.mapv_inplace(|v| v / norm);
        }
    }
    Ok(vec![Value::F(x)])
}

/// Local response normalisation over neighbouring channels.
fn lrn(call: &mut Call) -> Outcome<Vec<Value>> {
    let (alpha, beta, bias) = (call.float("alpha", 1e-4), call.float("beta", 0.75), call.float("bias", 1.0));
    let size = dims::dim(call.int("size", 0))?;
    if size == 0 {
        return fault!("size is 0");
    }
    let x = call.floats(0)?;
    let n = channels(x)?;
    let squares = x.mapv(|v| v * v);
    let mut y = x.clone();
    for c in 0..n {
        let (from, to) = (c.saturating_sub((size - 1) / 2), (c + size / 2).min(n - 1));
        let mut sum = ArrayD::zeros(IxDyn(x.index_axis(Axis(1), c).shape()));
        (from..=to).for_each(|i| sum += &squares.index_axis(Axis(1), i));
        let factor = sum.mapv(|s: f64| (bias + alpha / size as f64 * s).powf(-beta));
        let mut channel = y.index_axis_mut(Axis(1), c);
        channel *= &factor;
    }
    Ok(vec![Value::F(y)])
}
