//! What each operator does to the bounds of its inputs.

use crate::graph::{NodeId, ValueId};

use crate::operators::Function;
use crate::operators::functions::{FUNCTIONS, Image, Parameter};

use super::{Interval, POSITIVE, UNIT, ZERO};
use crate::facts::shape::{axes_of, axis_of};
use crate::facts::{
    Dim, Facts, Fill, Piece, clip_bounds, element, elements, elementwise, has_full_windows, is_inactive_dropout,
};

/// The bounds of a node's first output.
type Transfer = fn(&Facts<'_>, NodeId) -> Interval;

/// Every operator of which something is known, and what, besides elementwise functions.
const TRANSFERS: &[(&str, Transfer)] = &[
    // Every entry is one of the input's.
    ("Identity", first),
    ("Reshape", first),
    ("Flatten", first),
    ("Transpose", first),
    ("Squeeze", first),
    ("Unsqueeze", first),
    ("Slice", first),
    ("Split", first),
    ("Gather", first),
    ("Expand", first),
    ("Tile", first),
    ("DepthToSpace", first),
    ("SpaceToDepth", first),
    // ONNX says nothing of a map without entries.
    ("GlobalMaxPool", first),
    ("MaxPool", |f, n| max_pool(f, n, first(f, n))),
    ("ReduceMax", extreme),
    ("ReduceMin", extreme),
    ("SequenceAt", |f, n| Piece::new(f.view(), f, n).map_or(Interval::ANY, |p| f.interval(p.input))),
    ("Concat", |f, n| folded(f, n, Interval::hull)),
    ("Where", |f, n| of(f, n, 1).hull(of(f, n, 2))),
    ("Max", |f, n| folded(f, n, |a, b| Interval::new(a.lo.max(b.lo), a.hi.max(b.hi)))),
    ("Min", |f, n| folded(f, n, |a, b| Interval::new(a.lo.min(b.lo), a.hi.min(b.hi)))),
    ("Pad", pad),
    // What it keeps in training it makes larger.
    ("Dropout", |f, n| if is_inactive_dropout(f.view(), f, n) { first(f, n) } else { first(f, n).sign() }),
    // Activations.
    ("Clip", |f, n| clip(f, n, first(f, n))),
    ("PRelu", |f, n| if first(f, n).lo >= 0.0 { first(f, n) } else { Interval::ANY }),
    // Runtimes approximate it, and may pass 1 by a rounding.
    ("Softmax", |f, n| rounded(f, n, UNIT)),
    // Arithmetic.
    ("Add", sum),
    ("Sum", sum),
    ("Sub", |f, n| computed(f, n, first(f, n).plus(of(f, n, 1).minus()))),
    ("Mul", product),
    ("Cast", |f, n| first(f, n).cast(dtype(f, n))),
    ("CastLike", |f, n| first(f, n).cast(dtype(f, n))),
    ("GlobalAveragePool", mean),
    ("AveragePool", mean),
    ("ReduceMean", mean),
    ("Resize", resize),
    ("Upsample", resize),
];

/// The bounds of what `node` computes.
pub(super) fn bounds(facts: &Facts<'_>, node: NodeId) -> Interval {
    if let Some(function) = elementwise(facts.view(), node) {
        return image(facts, node, function, first(facts, node));
    }
    let op = facts.view().op(node);
    let found = TRANSFERS.iter().find(|(name, _)| *name == op);
    found.map_or(Interval::ANY, |(_, transfer)| transfer(facts, node))
}

/// The operators of which something is known.
pub(super) fn operators() -> impl Iterator<Item = &'static str> {
    let functions = FUNCTIONS.iter().filter(|f| f.image != Image::Any).map(|f| f.name);
    TRANSFERS.iter().map(|(name, _)| *name).chain(functions)
}

fn of(facts: &Facts<'_>, node: NodeId, slot: usize) -> Interval {
    facts.view().input(node, slot).map_or(Interval::ANY, |v| value_bounds(facts, v))
}

fn first(facts: &Facts<'_>, node: NodeId) -> Interval {
    of(facts, node, 0)
}

fn dtype(facts: &Facts<'_>, node: NodeId) -> Option<crate::onnx::tensor_proto::DataType> {
    facts.dtype(facts.view().output(node)?)
}

fn folded(facts: &Facts<'_>, node: NodeId, f: impl Fn(Interval, Interval) -> Interval) -> Interval {
    let all = facts.view().inputs(node).iter().flatten().map(|v| value_bounds(facts, *v));
    all.reduce(f).unwrap_or(Interval::ANY)
}

fn computed(facts: &Facts<'_>, node: NodeId, real: Interval) -> Interval {
    real.computed(dtype(facts, node))
}

/// For functions of floats alone.
fn rounded(facts: &Facts<'_>, node: NodeId, real: Interval) -> Interval {
    let format = dtype(facts, node).and_then(element::float);
    format.map_or(real.sign(), |format| real.rounded(format, 0.0))
}

fn sum(facts: &Facts<'_>, node: NodeId) -> Interval {
    folded(facts, node, |a, b| computed(facts, node, a.plus(b)))
}

fn product(facts: &Facts<'_>, node: NodeId) -> Interval {
    let view = facts.view();
    let (a, b) = (first(facts, node), of(facts, node, 1));
    let real = if view.input(node, 0) == view.input(node, 1) { a.size().times(a.size()) } else { a.times(b) };
    computed(facts, node, real)
}

/// Of a mean of many floats only the sign is sure; of integers, not even that.
fn mean(facts: &Facts<'_>, node: NodeId) -> Interval {
    let float = dtype(facts, node).is_some_and(|t| element::float(t).is_some());
    if float { first(facts, node).sign() } else { Interval::ANY }
}

/// What an elementwise function makes of entries within `x`.
pub(super) fn image(facts: &Facts<'_>, node: NodeId, function: &Function, x: Interval) -> Interval {
    let of = |parameter: Parameter| parameter.of(|name| facts.view().attr_f(node, name));
    match function.image {
        Image::Any => Interval::ANY,
        Image::Clipped(lo, hi) => x.clip(lo, hi),
        Image::Within(lo, hi) => Interval { lo, hi },
        Image::Near(lo, hi) => rounded(facts, node, Interval { lo, hi }),
        Image::Size => computed(facts, node, x.size()),
        Image::Opposite => computed(facts, node, x.minus()),
        Image::Leaky(_) if x.lo >= 0.0 => x,
        Image::Leaky(slope) if of(slope) >= 0.0 => Interval { lo: f64::NEG_INFINITY, hi: x.hi.max(0.0) },
        Image::Leaky(_) => Interval::ANY,
        Image::Valley(depth, scale) => match of(scale) {
            scale if scale > 0.0 => rounded(facts, node, Interval { lo: depth / scale, ..POSITIVE }),
            _ => Interval::ANY,
        },
        Image::OrZero => x.hull(ZERO),
    }
}

pub(super) fn clip(facts: &Facts<'_>, node: NodeId, x: Interval) -> Interval {
    clip_bounds(facts.view(), facts, node).map_or(Interval::ANY, |(lo, hi)| x.clip(lo, hi))
}

fn pad(facts: &Facts<'_>, node: NodeId) -> Interval {
    let x = first(facts, node);
    match Fill::new(facts.view(), facts, node) {
        Fill::Value(fill) => x.hull(Interval::new(fill, fill)),
        Fill::Unknown => Interval::ANY,
        Fill::Repeated => x,
    }
}

/// The largest entry of each window. One that has none gives the lowest number there is.
pub(super) fn max_pool(facts: &Facts<'_>, node: NodeId, x: Interval) -> Interval {
    if has_full_windows(facts.view(), node) { x } else { Interval { lo: f64::NEG_INFINITY, ..x } }
}

/// The largest or smallest of the entries along some axes, which must not be empty.
fn extreme(facts: &Facts<'_>, node: NodeId) -> Interval {
    let view = facts.view();
    let Some(shape) = view.input(node, 0).and_then(|v| facts.shape(v)) else { return Interval::ANY };
    let some = |dim: &Dim| dim.known().is_some_and(|n| n > 0);
    let axes =
        axes_of(facts, node).and_then(|a| a.iter().map(|a| axis_of(*a, shape.len())).collect::<Option<Vec<_>>>());
    let all = match axes.filter(|axes| !axes.is_empty()) {
        Some(axes) => axes.iter().all(|axis| some(&shape[*axis])),
        None => shape.iter().all(some),
    };
    if all { first(facts, node) } else { Interval::ANY }
}

/// Entries, or means of neighbours with weights that sum to one. Cubic interpolation leaves their range.
fn resize(facts: &Facts<'_>, node: NodeId) -> Interval {
    let view = facts.view();
    let x = first(facts, node);
    let between = match view.attr_s(node, "mode") {
        None | Some(b"nearest") => x,
        Some(b"linear") if view.attr_i(node, "antialias").unwrap_or(0) == 0 => {
            let size = x.size().hi;
            let format = dtype(facts, node).and_then(element::float);
            format.map_or(x.hull(ZERO), |format| x.rounded(format, size))
        }
        _ => Interval::ANY,
    };
    if view.attr_s(node, "coordinate_transformation_mode") != Some(b"tf_crop_and_resize") {
        return between;
    }
    // What lies outside of the region has a value of its own.
    let outside = f64::from(view.attr_f(node, "extrapolation_value").unwrap_or(0.0));
    let outside = Interval::new(outside, outside).cast(dtype(facts, node));
    between.hull(outside)
}

/// Bounds of a tensor, a constant's included.
fn value_bounds(facts: &Facts<'_>, value: ValueId) -> Interval {
    let small = facts.constant_shape(value).and_then(|s| elements(&s)).is_some_and(|n| n <= 1 << 16);
    match small.then(|| facts.constant(value)).flatten() {
        Some(c) if !c.data.is_empty() && c.data.iter().all(|v| v.is_finite()) => {
            let lo = c.data.iter().copied().fold(f64::INFINITY, f64::min);
            let hi = c.data.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            // Runtimes sum in another order, and have an `Exp` of their own.
            let is_given = facts.view().def(value).is_none_or(|node| facts.view().op(node) == "Constant");
            match element::float(c.dtype).filter(|_| !is_given) {
                Some(format) => Interval::new(lo, hi).rounded(format, 0.0),
                None => Interval::new(lo, hi).within(Some(c.dtype)),
            }
        }
        _ => facts.interval(value),
    }
}
