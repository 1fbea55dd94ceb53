//! The sum, or difference, of two `ConvTranspose` of one tensor.
//!
//! Entry `o` of the output gets tap `t` of entry `i` of the input where `o = i * stride + t * dilation - pad_begin` (ONNX
//! `ConvTranspose`, opsets 1 to 22). So the kernels are embedded in the smallest window that holds the taps of both and added, as
//! those of convolutions are; nothing is padded, and what a crop takes away is the same for both when their outputs have the same size.

use crate::algebra::{Geometry, Kernel, sum};
use crate::emit::{Emit, int, ints};
use crate::facts::tensor;
use crate::graph::{EditList, Names, NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::read::{Context, Reject, RejectCode};

use super::parallel;

/// Two `ConvTranspose` in a sum. Only [`find`] makes one.
pub struct Summed {
    /// The nodes that go: both, and the sum.
    pub nodes: [NodeId; 3],
    /// Weights of both, and of the one that they become.
    pub weights: (usize, usize),
    /// The window of that one.
    pub window: Geometry,
    input: ValueId,
    parts: [Summand; 2],
    dtype: DataType,
}

/// One of the two.
struct Summand {
    node: NodeId,
    weight: ValueId,
    bias: Option<ValueId>,
    factor: f64,
    shape: Vec<usize>,
    window: Geometry,
    group: usize,
    output_padding: Vec<i64>,
}

/// Reads the sum at `node`. `None` when it is none of two `ConvTranspose` of one tensor.
///
/// # Errors
/// Why they are not one.
#[must_use]
pub fn find(cx: Context<'_>, node: NodeId) -> Option<Result<Summed, Reject>> {
    let [(a, f), (b, g)] = parallel::sum(cx, node)?.try_into().ok()?;
    let map = |v: ValueId| cx.view.def(v).filter(|n| cx.view.op(*n) == "ConvTranspose");
    let (first, second) = (map(a)?, map(b)?);
    let input = cx.view.input(first, 0)?;
    (first != second && cx.view.input(second, 0) == Some(input)).then(|| {
        for value in [a, b] {
            if !cx.view.is_private(value) {
                let reason = "it is an output of the graph, or something else reads it";
                return Err(Reject::tensor(cx.view, value, RejectCode::ReadElsewhere, reason));
            }
        }
        let parts = [Summand::new(cx, first, f)?, Summand::new(cx, second, g)?];
        summed(cx, node, input, parts)
    })
}

fn summed(cx: Context<'_>, node: NodeId, input: ValueId, parts: [Summand; 2]) -> Result<Summed, Reject> {
    let refuse = |code, reason: String| Err(Reject::at(cx.view, node, code, reason));
    let [a, b] = &parts;
    let alike = a.shape[..2] == b.shape[..2] && a.group == b.group && a.output_padding == b.output_padding;
    let axes = a.window.axes();
    if !alike || b.window.axes() != axes || a.window.stride != b.window.stride {
        let reason = "its transposed convolutions differ in channels, groups, strides or output padding";
        return refuse(RejectCode::BadConvolution, reason.to_owned());
    }
    if let Some(axis) = (0..axes).find(|axis| a.window.growth(*axis) != b.window.growth(*axis)) {
        let reason = format!("its transposed convolutions do not give the same size along spatial axis {axis}");
        return refuse(RejectCode::SizeUnknown, reason);
    }
    let Some(window) = a.window.union(&b.window) else {
        return refuse(RejectCode::Border, "no window of a transposed convolution holds the taps of both".to_owned());
    };
    let before = a.entries().saturating_add(b.entries());
    let after = (a.shape[0] * a.shape[1]).saturating_mul(window.taps());
    if after > before {
        let reason = format!("one transposed convolution needs {after} products an entry, what it replaces {before}");
        return refuse(RejectCode::Dearer, reason);
    }
    let output = cx.view.output(node);
    let Some(dtype) = cx.facts.float_type([Some(input), output].into_iter().flatten()) else {
        return refuse(RejectCode::SizeUnknown, "its element type is unknown, or no float type".to_owned());
    };
    let nodes = [a.node, b.node, node];
    Ok(Summed { nodes, weights: (before, after), window, input, parts, dtype })
}

impl Summand {
    fn new(cx: Context<'_>, node: NodeId, factor: f64) -> Result<Self, Reject> {
        let view = cx.view;
        let refuse = |code, reason: &str| Reject::at(view, node, code, reason);
        let constant = |slot: usize| view.input(node, slot).is_none_or(|v| cx.facts.is_constant(v));
        if !constant(1) || !constant(2) {
            let reason = "its weight is not a constant, or a caller may override it";
            return Err(refuse(RejectCode::WeightNotConstant, reason));
        }
        let auto = view.attr_s(node, "auto_pad").is_some_and(|a| a != b"NOTSET");
        if auto || view.attr(node, "output_shape").is_some() {
            return Err(refuse(RejectCode::Border, "its pads depend on the size of the image"));
        }
        let read = || {
            let weight = view.input(node, 1)?;
            let shape = cx.facts.constant_shape(weight).filter(|s| s.len() > 2 && !s.contains(&0))?;
            let axes = shape.len() - 2;
            let list = |name: &str, default: usize, length: usize| match view.attr_ints(node, name) {
                Some(v) if v.len() == length => {
                    v.iter().map(|n| usize::try_from(*n).ok().filter(|n| *n <= MAX_SIZE)).collect()
                }
                Some(_) => None,
                None => Some(vec![default; length]),
            };
            let pads = list("pads", 0, 2 * axes)?;
            let window = Geometry {
                kernel: shape[2..].to_vec(),
                stride: list("strides", 1, axes)?,
                dilation: list("dilations", 1, axes)?,
                pad_begin: pads[..axes].to_vec(),
                pad_end: pads[axes..].to_vec(),
            };
            let steps = window.stride.iter().chain(&window.dilation).all(|n| *n > 0);
            let output_padding = view.attr_ints(node, "output_padding").map_or_else(|| vec![0; axes], <[i64]>::to_vec);
            let group = usize::try_from(view.attr_i(node, "group").unwrap_or(1)).ok().filter(|g| *g > 0)?;
            let bias = view.input(node, 2);
            let fits = shape[0].is_multiple_of(group)
                && bias.is_none_or(|b| cx.facts.constant_shape(b).is_some_and(|s| s == [shape[1] * group]));
            (steps && fits).then_some(Self { node, weight, bias, factor, shape, window, group, output_padding })
        };
        read().ok_or_else(|| refuse(RejectCode::BadConvolution, "its weights or its attributes do not fit each other"))
    }

    fn entries(&self) -> usize {
        self.shape.iter().fold(1, |n: usize, d| n.saturating_mul(*d))
    }

    fn kernel(&self, cx: Context<'_>) -> Option<Kernel> {
        let weight = cx.facts.constant(self.weight)?.data.clone();
        let bias = match self.bias {
            Some(bias) => Some(cx.facts.constant(bias)?.data.iter().copied().collect()),
            None => None,
        };
        Some(Kernel { weight, bias, group: self.group }.times(self.factor))
    }
}

/// Largest attribute that is taken seriously; keeps sums of them far from overflow.
const MAX_SIZE: usize = 1 << 24;

impl Summed {
    /// The edit. `None` when a weight could not be read, or becomes too large for its type.
    #[must_use]
    pub fn build(&self, cx: Context<'_>, names: &mut Names) -> Option<EditList> {
        let view = cx.view;
        let [a, b] = &self.parts;
        let (first, second) = (a.kernel(cx)?, b.kernel(cx)?);
        let kernel = sum::sum(&[(&first, &a.window), (&second, &b.window)], &self.window)?;
        if !tensor::fits(self.dtype, kernel.weight.iter().chain(kernel.bias.iter().flatten())) {
            return None;
        }
        let [_, _, sum] = self.nodes;
        let (name, weight) = (view.node(a.node).name(), view.name(a.weight));
        let mut emit = Emit::new(names, self.dtype, self.window.axes(), format!("parallel: {}", view.node(sum).name()));
        emit.edits.remove = self.nodes.to_vec();
        let w = emit.constant(weight, &kernel.weight);
        let bias = kernel.bias.map(ndarray::Array1::from);
        let bias = bias.map(|bias| emit.constant(&format!("{weight}_bias"), &bias.into_dyn()));
        let inputs: Vec<&str> = [view.name(self.input), &w].into_iter().chain(bias.as_deref()).collect();
        let list = |v: &[usize]| v.iter().map(|x| *x as i64).collect::<Vec<_>>();
        let window = &self.window;
        let attributes = vec![
            ints("dilations", list(&window.dilation)),
            int("group", kernel.group as i64),
            ints("kernel_shape", list(&window.kernel)),
            ints("output_padding", a.output_padding.clone()),
            ints("pads", [list(&window.pad_begin), list(&window.pad_end)].concat()),
            ints("strides", list(&window.stride)),
        ];
        emit.node("ConvTranspose", name, &inputs, view.name(view.output(sum)?), attributes);
        Some(emit.edits)
    }
}
