//! A 1x1 convolution whose result is surrounded by its own bias, in front of a window: `W2 (border(W1 x + b1)) + b2`, where the border
//! holds `b1`. That is what the 1x1 convolution itself gives of zeros, so it is that convolution of
//! the input padded with zeros, and folds with the window behind it (DBB, arXiv 2103.13425; ECBSR, with fixed Sobel and Laplacian windows too).
//!
//! Exporters write the border as a `Pad` and a `ScatterND` for each side. Where sizes are known, what becomes of every entry is
//! followed through the operators; else planes are counted from the ends (`planes`). The entries around must be constants that equal the bias
//! of their channel, up to rounding.

use ndarray::{ArrayD, Axis, Dimension, IxDyn};

use crate::algebra::{Geometry, Kernel};
use crate::facts::{BatchNorm, Dim, Fill, Padding, tensor};
use crate::graph::{NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::read::step::{self, LinearStep};
use crate::read::{Context, Perm, Reject, RejectCode};

use super::planes;

/// A tensor with a border as a map of what stands in front.
pub struct Bordered {
    /// The input of the 1x1 convolution.
    pub input: ValueId,
    /// Its weights and bias.
    pub kernel: Kernel,
    /// One entry, and the border as padding.
    pub window: Geometry,
}

/// Most operators that make a border.
const MAX_NODES: usize = 32;

/// Most entries of a tensor that are followed.
const MAX_ENTRIES: usize = 1 << 22;

/// By how many roundings the border may differ from the bias.
const MAX_ROUNDINGS: f64 = 16.0;

/// Reads `value`. `None` when it is no convolution of single positions with constants around it.
///
/// # Errors
/// Why the constants are not what the convolution gives of zeros.
pub fn read(cx: Context<'_>, value: ValueId) -> Option<Result<Bordered, Reject>> {
    let border = Border::new(cx, value)?;
    let (input, kernel, size) = border.inside(cx)?;
    let refuse = |reason| Reject::tensor(cx.view, value, RejectCode::Border, reason);
    let dtype = cx.facts.float_type([input, value])?;
    let held = border.holds_bias(&kernel, &size, dtype).map_err(refuse);
    Some(held.map(|()| {
        let (pad_begin, pad_end) = border.pads.iter().copied().unzip();
        let window = Geometry { pad_begin, pad_end, ..Geometry::pointwise(border.pads.len()) };
        Bordered { input, kernel, window }
    }))
}

/// An entry of a tensor, by what it was.
#[derive(Clone, Copy, PartialEq)]
enum Entry {
    /// The entry of the tensor inside of the border, counted in order.
    Inner(u32),
    /// A constant.
    Is(f64),
}

/// A tensor, and constants around it.
struct Border {
    inner: ValueId,
    /// Entries added at the begin and the end of each spatial axis.
    pads: Vec<(usize, usize)>,
    /// What stands there, a channel.
    values: Vec<f64>,
}

impl Border {
    fn new(cx: Context<'_>, value: ValueId) -> Option<Self> {
        let view = cx.view;
        let (mut nodes, mut at) = (Vec::new(), value);
        let pad = loop {
            let node = view.def(at).filter(|_| nodes.len() < MAX_NODES)?;
            match view.op(node) {
                "Pad" => break node,
                "ScatterND" | "Transpose" | "Identity" => nodes.push(node),
                _ => return None,
            }
            at = view.input(node, 0)?;
        };
        if !nodes.iter().any(|n| view.op(*n) == "ScatterND") {
            return None;
        }
        let inner = view.input(pad, 0)?;
        let padding = Padding::new(view, cx.facts, pad)?;
        let Fill::Value(fill) = padding.fill else { return None };
        let count = |n: i64| usize::try_from(n).ok().filter(|n| *n <= MAX_ENTRIES);
        let pads: Vec<(usize, usize)> =
            padding.axes.iter().map(|(a, b)| Some((count(*a)?, count(*b)?))).collect::<Option<_>>()?;
        if pads.len() < 3 || pads[..2] != [(0, 0); 2] || pads.iter().all(|p| *p == (0, 0)) {
            return None;
        }
        nodes.reverse();
        let sizes: Option<Vec<usize>> =
            cx.facts.shape(inner)?.iter().map(Dim::known).map(|n| usize::try_from(n?).ok()).collect();
        let by_entries = sizes.and_then(|sizes| followed_by_entries(cx, &nodes, &sizes, &pads, fill));
        let values = by_entries.or_else(|| planes::values(cx, &nodes, &pads))?;
        Some(Self { inner, pads: pads[2..].to_vec(), values })
    }

    /// The convolution that computes what is inside: its input and its kernel; and for each channel how large the numbers are of
    /// which its bias is a difference.
    fn inside(&self, cx: Context<'_>) -> Option<(ValueId, Kernel, Vec<f64>)> {
        let (mut maps, mut at, mut size) = (Vec::new(), self.inner, None);
        while maps.len() < MAX_NODES {
            let (node, step, input) = step::read(cx, at)?;
            match step {
                LinearStep::Nothing => {}
                LinearStep::Affine(scale, shift) => {
                    // A BatchNormalization subtracts numbers that may be larger than what is left.
                    let norm = BatchNorm::new(cx.view, cx.facts, node);
                    let terms = norm.map(|n| n.mean.iter().zip(&n.scale).map(|(m, s)| (m * s).abs()).collect());
                    size = size.or(Some(terms.unwrap_or_else(|| vec![0.0; shift.len()])));
                    maps.push((scale, shift));
                }
                LinearStep::Conv(conv) if conv.window == Geometry::pointwise(self.pads.len()) => {
                    let kernel = conv.kernel(cx.facts)?;
                    let outputs = kernel.outputs();
                    if maps.iter().any(|(scale, shift)| scale.len() != outputs || shift.len() != outputs) {
                        return None;
                    }
                    let kernel = maps.iter().rev().fold(kernel, |k, (scale, shift)| k.then_affine(scale, shift));
                    return Some((input, kernel, size.unwrap_or_else(|| vec![0.0; outputs])));
                }
                _ => return None,
            }
            at = input;
        }
        None
    }

    /// Proves that what stands around is what `kernel` gives of zeros, but for the rounding of either.
    fn holds_bias(&self, kernel: &Kernel, size: &[f64], dtype: DataType) -> Result<(), String> {
        let zeros = vec![0.0; kernel.outputs()];
        let bias = kernel.bias.as_ref().unwrap_or(&zeros);
        if bias.len() != self.values.len() || size.len() != bias.len() {
            return Err("the border has other channels than what is inside".to_owned());
        }
        // Where a normalisation was folded before, the largest says of numbers of which size the others are differences.
        let largest = self.values.iter().chain(bias).fold(0.0_f64, |most, v| most.max(v.abs()));
        for (channel, ((value, bias), size)) in self.values.iter().zip(bias).zip(size).enumerate() {
            let size = largest + size;
            if !value.is_finite() || (value - bias).abs() > MAX_ROUNDINGS * tensor::unit_roundoff(dtype) * size {
                return Err(format!(
                    "its border is {value} in channel {channel}, where what is inside has a bias of {bias}"
                ));
            }
        }
        Ok(())
    }
}

/// What stands around a tensor of `sizes` that `fill` pads, a value a channel, when the nodes behind the `Pad` leave the tensor itself
/// where it was and put one constant a channel everywhere else.
fn followed_by_entries(
    cx: Context<'_>,
    nodes: &[NodeId],
    sizes: &[usize],
    pads: &[(usize, usize)],
    fill: f64,
) -> Option<Vec<f64>> {
    let outer: Vec<usize> = sizes.iter().zip(pads).map(|(n, (a, b))| n + a + b).collect();
    outer.iter().try_fold(1_usize, |n, d| n.checked_mul(*d)).filter(|n| *n <= MAX_ENTRIES)?;
    let place = |index: &[usize]| {
        let inside = index.iter().zip(pads).zip(sizes).map(|((i, (a, _)), n)| i.checked_sub(*a).filter(|i| i < n));
        let inside = inside.collect::<Option<Vec<usize>>>()?;
        Some(inside.iter().zip(sizes).fold(0, |at, (i, n)| at * n + i) as u32)
    };
    let padded =
        ArrayD::from_shape_fn(IxDyn(&outer), |index| place(index.slice()).map_or(Entry::Is(fill), Entry::Inner));
    let entries = nodes.iter().try_fold(padded, |entries, node| followed(cx, *node, entries))?;
    if entries.shape() != outer {
        return None;
    }
    let mut values: Vec<Option<f64>> = vec![None; sizes[1]];
    for (index, entry) in entries.indexed_iter() {
        match (place(index.slice()), entry) {
            (Some(place), Entry::Inner(is)) if place == *is => {}
            (None, Entry::Is(v)) => {
                let value = values.get_mut(index.slice()[1])?;
                if value.replace(*v).is_some_and(|other| other != *v) {
                    return None;
                }
            }
            _ => return None,
        }
    }
    values.into_iter().collect()
}

/// What `node` makes of `entries`; `None` when that is not known.
fn followed(cx: Context<'_>, node: NodeId, entries: ArrayD<Entry>) -> Option<ArrayD<Entry>> {
    match cx.view.op(node) {
        "Identity" => Some(entries),
        "Transpose" => {
            let perm = Perm::of(cx, node).filter(|perm| perm.rank() == entries.ndim())?;
            Some(entries.permuted_axes(IxDyn(perm.as_slice())))
        }
        _ => scattered(cx, node, entries),
    }
}

/// `ScatterND` of constants (ONNX, opsets 11 to 18): each row of indices names a part that is replaced.
fn scattered(cx: Context<'_>, node: NodeId, mut entries: ArrayD<Entry>) -> Option<ArrayD<Entry>> {
    let view = cx.view;
    let constant = |slot: usize| cx.facts.constant(view.input(node, slot)?);
    if !matches!(view.attr_s(node, "reduction"), None | Some(b"none")) {
        return None;
    }
    let (indices, updates) = (constant(1)?, constant(2)?);
    let (depth, front) = indices.data.shape().split_last()?;
    let part = entries.shape().get(*depth..)?;
    if *depth == 0 || updates.data.shape() != [front, part].concat() {
        return None;
    }
    let (rows, values) = (indices.data.as_standard_layout(), updates.data.as_standard_layout());
    let each: usize = part.iter().product();
    for (i, row) in rows.as_slice()?.chunks_exact(*depth).enumerate() {
        let mut view = entries.view_mut();
        for index in row {
            let size = view.shape().first().copied()? as i64;
            let index = if *index < 0.0 { *index as i64 + size } else { *index as i64 };
            let index = usize::try_from(index).ok().filter(|i| (*i as i64) < size)?;
            view = view.index_axis_move(Axis(0), index);
        }
        let new = values.as_slice()?.get(i * each..(i + 1) * each)?;
        view.iter_mut().zip(new).for_each(|(entry, v)| *entry = Entry::Is(*v));
    }
    Some(entries)
}
