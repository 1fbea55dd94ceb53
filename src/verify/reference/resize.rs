//! `Resize` and `Upsample`, axis by axis: every mode is a product of one-dimensional ones.

use ndarray::ArrayD;

use super::Value;
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};
use super::interpolate::{Axis, Method, Sample};

pub(super) const OPERATORS: Table = &[("Resize", resize), ("Upsample", upsample)];

fn resize(call: &mut Call) -> Outcome<Vec<Value>> {
    if call.opset() < 11 {
        let scales = floats(call, 1)?.unwrap_or_default();
        return old(call, &scales);
    }
    let shape = call.value(0)?.shape().to_vec();
    let which = match call.int_list("axes") {
        Some(a) => dims::axes(a, shape.len())?,
        None => (0..shape.len()).collect(),
    };
    let scales = floats(call, 2)?.filter(|s| !s.is_empty());
    let sizes = call.optional_ints(3)?.filter(|s| !s.is_empty());
    let mut axes = match (scales, sizes) {
        (Some(s), None) if s.len() == which.len() => by_scales(&shape, &which, &s)?,
        (None, Some(s)) if s.len() == which.len() => {
            by_sizes(&shape, &which, &dims::dims(&s)?, call.string("keep_aspect_ratio_policy", "stretch")?)?
        }
        _ => return fault!("it needs either scales or sizes, one for each of {} axes", which.len()),
    };
    let method = Method {
        mode: call.string("mode", "nearest")?,
        coordinates: call.string("coordinate_transformation_mode", "half_pixel")?,
        nearest: call.string("nearest_mode", "round_prefer_floor")?,
        cubic: call.float("cubic_coeff_a", -0.75),
        antialias: call.flag("antialias", false),
        exclude_outside: call.flag("exclude_outside", false),
    };
    if method.coordinates == "tf_crop_and_resize" {
        let roi = floats(call, 1)?.unwrap_or_default();
        if roi.len() != 2 * axes.len() {
            return fault!("a region of {} numbers for {} axes", roi.len(), axes.len());
        }
        let n = axes.len();
        axes.iter_mut().enumerate().for_each(|(i, (_, a))| a.region = (roi[i], roi[n + i]));
    }
    let outside = call.float("extrapolation_value", 0.0);
    finish(call, &axes, &method, outside)
}

/// Scales as input, as attribute, or as two attributes, by version.
fn upsample(call: &mut Call) -> Outcome<Vec<Value>> {
    let attribute = || call.float_list("scales").map(|s| s.iter().map(|v| f64::from(*v)).collect());
    let two = || vec![1.0, 1.0, call.float("height_scale", 1.0), call.float("width_scale", 1.0)];
    let scales = floats(call, 1)?.or_else(attribute).unwrap_or_else(two);
    old(call, &scales)
}

/// `Upsample`, and `Resize` before opset 11: coordinates are divided by the scale, nearest rounds down.
fn old(call: &mut Call, scales: &[f64]) -> Outcome<Vec<Value>> {
    let shape = call.value(0)?.shape().to_vec();
    if scales.len() != shape.len() {
        return fault!("{} scales for shape {shape:?}", scales.len());
    }
    let which: Vec<usize> = (0..shape.len()).collect();
    let mode = match call.string("mode", "nearest")? {
        "bilinear" => "linear",
        other => other,
    };
    let (cubic, antialias, exclude_outside) = (-0.75, false, false);
    let method = Method { mode, coordinates: "asymmetric", nearest: "floor", cubic, antialias, exclude_outside };
    finish(call, &by_scales(&shape, &which, scales)?, &method, 0.0)
}

fn floats(call: &Call, i: usize) -> Outcome<Option<Vec<f64>>> {
    Ok(call.optional_floats(i)?.map(|a| a.iter().copied().collect()))
}

/// Sizes are rounded down after a product in float32, as runtimes compute it: 10 * 0.7 is 7.
fn by_scales(shape: &[usize], which: &[usize], scales: &[f64]) -> Outcome<Vec<(usize, Axis)>> {
    let axis = |(a, scale): (&usize, &f64)| {
        let input = shape[*a];
        let output = (input as f32 * *scale as f32).floor();
        if !(*scale > 0.0 && output < 1e9) {
            return fault!("a scale of {scale}");
        }
        Ok((*a, Axis { input, output: output as usize, steps: *scale, per: 1.0, region: (0.0, 1.0) }))
    };
    which.iter().zip(scales).map(axis).collect()
}

fn by_sizes(shape: &[usize], which: &[usize], sizes: &[usize], policy: &str) -> Outcome<Vec<(usize, Axis)>> {
    let ratios = || which.iter().zip(sizes).map(|(a, s)| *s as f64 / shape[*a] as f64);
    let common = match policy {
        "stretch" => None,
        "not_larger" => Some(ratios().fold(f64::INFINITY, f64::min)),
        "not_smaller" => Some(ratios().fold(0.0, f64::max)),
        other => return fault!("keep_aspect_ratio_policy '{other}' is not known"),
    };
    let axis = |(a, size): (&usize, &usize)| {
        let input = shape[*a];
        let (output, steps, per) = match common {
            None => (*size, *size as f64, input as f64),
            Some(scale) => ((scale * input as f64).round() as usize, scale, 1.0),
        };
        (*a, Axis { input, output, steps, per, region: (0.0, 1.0) })
    };
    Ok(which.iter().zip(sizes).map(axis).collect())
}

fn finish(call: &mut Call, axes: &[(usize, Axis)], method: &Method, outside: f64) -> Outcome<Vec<Value>> {
    if axes.iter().any(|(_, a)| a.input == 0 && a.output > 0) {
        return fault!("an empty axis cannot be resized");
    }
    let mut shape = call.value(0)?.shape().to_vec();
    for (axis, a) in axes {
        shape[*axis] = a.output;
        // On the way too: a later axis may become small again.
        dims::count(&shape)?;
    }
    let value = call.take(0)?;
    let is_integer = matches!(value, Value::I(_));
    let mut x = value.to_floats();
    for (axis, a) in axes {
        // A crop may move an axis that keeps its size.
        if a.input != a.output || a.steps != a.per || method.coordinates == "tf_crop_and_resize" {
            x = along(&x, *axis, a, method, outside)?;
        }
    }
    Ok(vec![if is_integer { Value::I(x.mapv(|v| v as i64)) } else { Value::F(x) }])
}

fn along(x: &ArrayD<f64>, axis: usize, a: &Axis, method: &Method, outside: f64) -> Outcome<ArrayD<f64>> {
    let (before, n, after) = dims::around(x.shape(), axis);
    let mut shape = x.shape().to_vec();
    shape[axis] = a.output;
    let mut y = dims::filled(&shape, outside)?;
    let x = dims::rows(x)?;
    let Some(out) = y.as_slice_mut() else { return fault!("an array is not contiguous") };
    if out.is_empty() {
        return Ok(y);
    }
    for o in 0..a.output {
        let Sample::Taps(taps) = a.sample(o, method)? else { continue };
        for b in 0..before {
            let row = &mut out[(b * a.output + o) * after..][..after];
            row.fill(0.0);
            for (tap, weight) in &taps {
                let from = &x[(b * n + tap) * after..][..after];
                row.iter_mut().zip(from).for_each(|(r, v)| *r += weight * v);
            }
        }
    }
    Ok(y)
}
