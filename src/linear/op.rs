//! One operator as a linear map of one tensor.

use crate::algebra::{Geometry, Kernel, compose};
use crate::facts::{Fill, Padding};
use crate::graph::{NodeId, ValueId};
use crate::read::layer::Layer;
use crate::read::step::LinearStep;
use crate::read::{Context, Reject, RejectCode, conv, step};

use super::map::Outline;
use super::{bordered, dense};

/// Where the weights come from, when they are asked for.
enum Weights {
    Nothing,
    Conv(Box<conv::BranchConv>),
    Dense(Layer),
    Affine(Vec<f64>, Vec<f64>),
    Average,
    /// Moves entries along the spatial axes only: `Pad` of zeros, every n-th entry.
    Move,
    Select(Vec<Option<usize>>),
    /// A convolution with a border of its bias around it.
    Bordered(Kernel),
}

/// A linear operator.
pub struct Op {
    /// Channels, groups, window.
    pub outline: Outline,
    weights: Weights,
}

impl Op {
    /// True for an operator that does nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        matches!(self.weights, Weights::Nothing)
    }

    /// True for an operator that sums over channels or taps with weights of its own: `Conv`, `Gemm`, `MatMul`.
    #[must_use]
    pub fn is_weighted(&self) -> bool {
        matches!(self.weights, Weights::Conv(_) | Weights::Dense(_))
    }

    /// True for a selection of channels.
    #[must_use]
    pub fn is_selection(&self) -> bool {
        matches!(self.weights, Weights::Select(_))
    }

    /// Names for an operator that takes the place of `node`, which this was read from, and for its weights.
    #[must_use]
    pub fn names(&self, cx: Context<'_>, node: NodeId) -> Option<(String, String)> {
        match &self.weights {
            Weights::Conv(conv) => Some((conv.name.clone(), conv.weight_name.clone())),
            Weights::Dense(layer) => {
                Some((cx.view.node(node).name().to_owned(), cx.view.name(layer.weight).to_owned()))
            }
            _ => None,
        }
    }

    /// True for a per-channel `scale * x + shift`.
    #[must_use]
    pub fn is_affine(&self) -> bool {
        matches!(self.weights, Weights::Affine(..))
    }

    /// True for `scale * x + shift` with the same constants on every channel: mostly a piece of an activation that is
    /// written out (`x / sqrt(2)` and `* 0.5` in a GELU, `+ 3` and `/ 6` in a HardSwish).
    #[must_use]
    pub fn is_uniform(&self) -> bool {
        let same = |v: &[f64]| v.windows(2).all(|w| w[0] == w[1]);
        matches!(&self.weights, Weights::Affine(scale, shift) if same(scale) && same(shift))
    }

    /// Its weights. `None` when they cannot be read after all.
    #[must_use]
    pub fn kernel(&self, cx: Context<'_>) -> Option<Kernel> {
        let (channels, axes) = (self.outline.inputs, self.outline.window.axes());
        match &self.weights {
            Weights::Nothing | Weights::Move => Some(Kernel::identity(channels, axes)),
            Weights::Conv(conv) => conv.kernel(cx.facts),
            Weights::Dense(layer) => layer.kernel(cx.facts, 0),
            Weights::Affine(scale, shift) => Some(Kernel::identity(channels, axes).then_affine(scale, shift)),
            Weights::Average => compose::average(channels, &self.outline.window),
            Weights::Select(from) => Kernel::selection(from, channels, axes),
            Weights::Bordered(kernel) => Some(kernel.clone()),
        }
    }
}

/// What computes a tensor, read as a linear operator.
pub struct Found {
    /// The node.
    pub node: NodeId,
    /// The tensor that it maps.
    pub input: ValueId,
    /// The map; or, for an operator that is linear inside of the image or with other constants, why it is none.
    pub op: Result<Op, Reject>,
}

/// Reads the node that computes `value`. `None` when it is not linear at all.
#[must_use]
pub fn read(cx: Context<'_>, value: ValueId) -> Option<Found> {
    let node = cx.view.def(value)?;
    let linear = step::read(cx, value).filter(|(_, step, _)| !matches!(step, LinearStep::Crop(_)));
    if let Some((node, step, input)) = linear {
        let op = op(cx, step, input, value);
        let unknown =
            || Reject::tensor(cx.view, input, RejectCode::SizeUnknown, "its rank or channel count is unknown");
        return Some(Found { node, input, op: op.ok_or_else(unknown) });
    }
    if let Some(found) = bordered::read(cx, value) {
        let input = match &found {
            Ok(map) => map.input,
            Err(_) => cx.view.input(node, 0)?,
        };
        return Some(Found { node, input, op: found.map(bordered_op) });
    }
    let input = cx.view.input(node, 0).filter(|v| cx.facts.is_data(*v))?;
    let op = match cx.view.op(node) {
        "Pad" => pad(cx, node, input),
        "Conv" => Err(conv::branch_conv(cx, node).err()?),
        "Gemm" | "MatMul" => dense::read(cx, node)?.map(dense),
        "AveragePool" => {
            let reason = "near a border the AveragePool divides by the entries inside of the image alone \
                          (count_include_pad, ceil_mode or auto_pad), so it is no convolution";
            Err(Reject::at(cx.view, node, RejectCode::Border, reason))
        }
        _ => return None,
    };
    Some(Found { node, input, op })
}

fn op(cx: Context<'_>, step: LinearStep, input: ValueId, output: ValueId) -> Option<Op> {
    let axes = cx.facts.rank(input)?.checked_sub(2)?;
    let channels = cx.channels(input)?;
    let one = Geometry::pointwise(axes);
    let plain = |window: Geometry| Outline { window, ..Outline::identity(channels, axes) };
    Some(match step {
        LinearStep::Nothing | LinearStep::Rows => Op { outline: plain(one), weights: Weights::Nothing },
        LinearStep::Conv(conv) => {
            let bias = cx.view.def(output).and_then(|n| cx.view.input(n, 2));
            let biased = bias.is_some_and(|b| cx.facts.constant(b).is_none_or(|c| c.data.iter().any(|v| *v != 0.0)));
            let (inputs, outputs) = conv.channels;
            let outline = Outline { inputs, outputs, group: conv.group, window: conv.window.clone(), biased };
            Op { outline, weights: Weights::Conv(conv) }
        }
        LinearStep::Affine(scale, shift) => {
            if scale.len() != channels {
                return None;
            }
            let biased = shift.iter().any(|v| *v != 0.0);
            Op { outline: Outline { biased, ..plain(one) }, weights: Weights::Affine(scale, shift) }
        }
        LinearStep::Average(window) => Op { outline: plain(window), weights: Weights::Average },
        // As a window of a few taps it would be dear: no fold is made of it.
        LinearStep::Crop(_) => return None,
        LinearStep::Subsample(stride) => Op { outline: plain(Geometry { stride, ..one }), weights: Weights::Move },
        LinearStep::Select(from) => {
            let outline = Outline { outputs: from.len(), group: 1, ..plain(one) };
            Op { outline, weights: Weights::Select(from) }
        }
    })
}

/// True when `node` is `scale * x + shift` with the same constants on every channel, behind a product `x` of two tensors
/// of data: it ends an activation that is written out. It stays, for runtimes know the whole expression and fuse it.
#[must_use]
pub fn ends_activation(cx: Context<'_>, node: NodeId, x: ValueId) -> bool {
    let product = cx.view.def(x).filter(|n| cx.view.op(*n) == "Mul");
    let of_data = |n: NodeId| cx.view.inputs(n).iter().flatten().all(|v| cx.facts.is_data(*v));
    let uniform = || {
        let found = cx.view.output(node).and_then(|v| read(cx, v));
        found.is_some_and(|f| f.op.is_ok_and(|op| op.is_uniform()))
    };
    product.is_some_and(of_data) && uniform()
}

fn bordered_op(map: bordered::Bordered) -> Op {
    let (inputs, outputs, group) = (map.kernel.inputs(), map.kernel.outputs(), map.kernel.group);
    let outline = Outline { inputs, outputs, group, window: map.window, biased: map.kernel.is_biased() };
    Op { outline, weights: Weights::Bordered(map.kernel) }
}

/// A linear layer: a convolution over no spatial axis, and so without a border at which a bias would count.
fn dense(layer: Layer) -> Op {
    let (inputs, outputs) = layer.channels;
    let outline = Outline { inputs, outputs, group: 1, window: Geometry::pointwise(0), biased: true };
    Op { outline, weights: Weights::Dense(layer) }
}

/// A `Pad` along the spatial axes: a window of one entry with padding (ONNX `Pad`, all opsets).
fn pad(cx: Context<'_>, node: NodeId, input: ValueId) -> Result<Op, Reject> {
    let refuse = |code, reason: &str| Reject::at(cx.view, node, code, reason);
    let channels = cx.facts.rank(input).filter(|r| *r > 2).and_then(|_| cx.channels(input));
    let Some(channels) = channels else {
        return Err(refuse(RejectCode::SizeUnknown, "the rank or the channel count of the padded tensor is unknown"));
    };
    match Fill::new(cx.view, cx.facts, node) {
        Fill::Value(0.0) => {}
        Fill::Value(_) => {
            let reason = "the Pad fills with another value than 0: a convolution pads with zeros";
            return Err(refuse(RejectCode::Border, reason));
        }
        Fill::Repeated => {
            return Err(refuse(RejectCode::Border, "the Pad repeats the image: a convolution pads with zeros"));
        }
        Fill::Unknown => return Err(refuse(RejectCode::WeightNotConstant, "the value of the Pad is no constant")),
    }
    let Some(padding) = Padding::new(cx.view, cx.facts, node) else {
        return Err(refuse(RejectCode::WeightNotConstant, "the pads are not constants"));
    };
    if padding.axes.iter().any(|(begin, end)| *begin < 0 || *end < 0) {
        let reason =
            "the Pad crops (a negative entry): a convolution cannot, and padding behind it would see other values";
        return Err(refuse(RejectCode::Border, reason));
    }
    let (outer, spatial) = padding.axes.split_at(2);
    let large = spatial.iter().any(|(begin, end)| *begin.max(end) > MAX_PADDING);
    if large || outer.iter().any(|p| *p != (0, 0)) {
        return Err(refuse(RejectCode::CannotPass, "the Pad adds images or channels, or more than any network would"));
    }
    let (pad_begin, pad_end) = spatial.iter().map(|(begin, end)| (*begin as usize, *end as usize)).unzip();
    let window = Geometry { pad_begin, pad_end, ..Geometry::pointwise(spatial.len()) };
    let outline = Outline { window, ..Outline::identity(channels, spatial.len()) };
    Ok(Op { outline, weights: Weights::Move })
}

/// Most entries added at one side; keeps sums of them far from overflow.
const MAX_PADDING: i64 = 1 << 24;
