//! Operators that move elements or say how many there are, and change none.

use ndarray::ArrayD;

use super::Value;
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};
use super::value::any;

pub(super) const OPERATORS: Table = &[
    ("Identity", |c| Ok(vec![c.take(0)?])),
    ("Dropout", dropout),
    ("Reshape", reshape),
    ("Flatten", flatten),
    ("Squeeze", squeeze),
    ("Unsqueeze", unsqueeze),
    ("Transpose", transpose),
    ("Shape", shape),
    ("Size", size),
    ("DepthToSpace", depth_to_space),
    ("SpaceToDepth", space_to_depth),
];

fn reshaped(value: Value, shape: &[usize]) -> Outcome<Value> {
    Ok(any!(value, a => dims::reshape(a, shape)?))
}

/// The identity, with a mask of ones. Dropping at random is no function to evaluate.
fn dropout(call: &mut Call) -> Outcome<Vec<Value>> {
    let training = match call.optional(2) {
        Some(Value::B(t)) => t.iter().any(|t| *t),
        _ => false,
    };
    let ratio = call.scalar(1)?.unwrap_or_else(|| call.float("ratio", 0.5));
    if training && ratio != 0.0 {
        return fault!("training mode with ratio {ratio} is random");
    }
    let x = call.take(0)?;
    let mask = dims::filled(x.shape(), true)?;
    Ok(vec![x, Value::B(mask)])
}

/// 0 copies a dimension unless `allowzero`; one -1 is what is left.
fn reshape(call: &mut Call) -> Outcome<Vec<Value>> {
    let wanted = match call.int_list("shape") {
        Some(s) if !call.has(1) => s.to_vec(),
        _ => call.ints(1)?,
    };
    let copy_zero = !call.flag("allowzero", false);
    let x = call.take(0)?;
    let mut shape = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (i, d) in wanted.iter().enumerate() {
        shape.push(match d {
            0 if copy_zero => match x.shape().get(i) {
                Some(d) => *d,
                None => return fault!("shape {wanted:?} copies a dimension that {:?} lacks", x.shape()),
            },
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            d => dims::dim(*d)?,
        });
    }
    if let Some(i) = open {
        let (have, rest) = (dims::count(x.shape())?, dims::count(&shape)?);
        if rest == 0 || have % rest != 0 {
            return fault!("{:?} cannot become {wanted:?}", x.shape());
        }
        shape[i] = have / rest;
    }
    Ok(vec![reshaped(x, &shape)?])
}

fn flatten(call: &mut Call) -> Outcome<Vec<Value>> {
    let axis = call.int("axis", 1);
    let x = call.take(0)?;
    let rank = x.shape().len();
    let axis = if axis == rank as i64 { rank } else { dims::axis(axis, rank)? };
    let (rows, columns) = x.shape().split_at(axis);
    let shape = [rows.iter().product(), columns.iter().product()];
    Ok(vec![reshaped(x, &shape)?])
}

/// Axes are an attribute before opset 13, an input since.
fn axes(call: &Call) -> Outcome<Option<Vec<i64>>> {
    Ok(call.optional_ints(1)?.or_else(|| call.int_list("axes").map(<[i64]>::to_vec)))
}

fn squeeze(call: &mut Call) -> Outcome<Vec<Value>> {
    let axes = axes(call)?;
    let x = call.take(0)?;
    let drop = match axes {
        Some(a) => dims::axes(&a, x.shape().len())?,
        None => (0..x.shape().len()).filter(|i| x.shape()[*i] == 1).collect(),
    };
    if let Some(i) = drop.iter().find(|i| x.shape()[**i] != 1) {
        return fault!("axis {i} of {:?} is not 1", x.shape());
    }
    let shape: Vec<usize> = (0..x.shape().len()).filter(|i| !drop.contains(i)).map(|i| x.shape()[i]).collect();
    Ok(vec![reshaped(x, &shape)?])
}

fn unsqueeze(call: &mut Call) -> Outcome<Vec<Value>> {
    let Some(axes) = axes(call)? else { return fault!("the axes are missing") };
    let x = call.take(0)?;
    let rank = x.shape().len() + axes.len();
    let new = dims::axes(&axes, rank)?;
    let mut old = x.shape().iter();
    let shape: Vec<usize> =
        (0..rank).map(|i| if new.contains(&i) { 1 } else { old.next().copied().unwrap_or(1) }).collect();
    Ok(vec![reshaped(x, &shape)?])
}

fn transpose(call: &mut Call) -> Outcome<Vec<Value>> {
    let rank = call.value(0)?.shape().len();
    let order = match call.int_list("perm").filter(|p| !p.is_empty()) {
        Some(p) if p.len() == rank => dims::axes(p, rank)?,
        Some(p) => return fault!("perm {p:?} for rank {rank}"),
        None => (0..rank).rev().collect(),
    };
    Ok(vec![any!(call.take(0)?, a => a.permuted_axes(order))])
}

fn shape(call: &mut Call) -> Outcome<Vec<Value>> {
    let shape = call.value(0)?.shape();
    let n = shape.len() as i64;
    let bound = |at: i64| (if at < 0 { at.saturating_add(n) } else { at }).clamp(0, n) as usize;
    let (start, end) = (bound(call.int("start", 0)), bound(call.int("end", n)));
    let part: Vec<i64> = shape.get(start..end).unwrap_or_default().iter().map(|d| *d as i64).collect();
    Ok(vec![Value::I(dims::array(&[part.len()], part)?)])
}

fn size(call: &mut Call) -> Outcome<Vec<Value>> {
    let n = dims::count(call.value(0)?.shape())?;
    Ok(vec![Value::I(dims::filled(&[], n as i64)?)])
}

/// Batch, channels, height, width, and the block size.
fn blocks(call: &Call) -> Outcome<([usize; 4], usize)> {
    let block = dims::dim(call.int("blocksize", 0))?;
    match call.value(0)?.shape() {
        &[n, c, h, w] if block > 0 && block < 1 << 16 => Ok(([n, c, h, w], block)),
        shape => fault!("blocks of size {block} in shape {shape:?}"),
    }
}

/// Splits axes, permutes them and joins them again.
fn rearranged<T: Clone>(a: ArrayD<T>, split: &[usize], order: &[usize], joined: &[usize]) -> Outcome<ArrayD<T>> {
    let a = dims::reshape(a, split)?.permuted_axes(order.to_vec());
    dims::reshape(a, joined)
}

fn depth_to_space(call: &mut Call) -> Outcome<Vec<Value>> {
    let ([n, c, h, w], b) = blocks(call)?;
    if c % (b * b) != 0 {
        return fault!("{c} channels in blocks of {b} by {b}");
    }
    let (depth, joined) = (c / (b * b), [n, c / (b * b), h * b, w * b]);
    let (split, order) = match call.string("mode", "DCR")? {
        "DCR" => ([n, b, b, depth, h, w], [0, 3, 4, 1, 5, 2]),
        "CRD" => ([n, depth, b, b, h, w], [0, 1, 4, 2, 5, 3]),
        other => return fault!("mode '{other}' is not known"),
    };
    Ok(vec![any!(call.take(0)?, a => rearranged(a, &split, &order, &joined)?)])
}

fn space_to_depth(call: &mut Call) -> Outcome<Vec<Value>> {
    let ([n, c, h, w], b) = blocks(call)?;
    if h % b != 0 || w % b != 0 {
        return fault!("{h} by {w} elements in blocks of {b} by {b}");
    }
    let split = [n, c, h / b, b, w / b, b];
    let order = match call.string("mode", "DCR")? {
        "DCR" => [0, 3, 5, 1, 2, 4],
        "CRD" => [0, 1, 3, 5, 2, 4],
        other => return fault!("mode '{other}' is not known"),
    };
    Ok(vec![any!(call.take(0)?, a => rearranged(a, &split, &order, &[n, c * b * b, h / b, w / b])?)])
}
