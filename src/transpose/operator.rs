//! Operators that do the same with the axes of their tensors in another order, and what they need for it.

use crate::facts::{BatchNorm, Dim, Padding, axes_of, axis_of, is_elementwise, is_inactive_dropout, slices};
use crate::graph::{NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::operators::{Shape, broadcasts, operator};
use crate::read::layer::Layer;
use crate::read::{BROADCASTS_SINCE, Context, Frame, Perm};

/// An operator that can take its tensors in another order of axes.
pub(super) struct Mover {
    /// The slots of the inputs that then stand in the other order.
    pub inputs: Vec<usize>,
    /// The slots of the outputs.
    pub outputs: Vec<usize>,
    /// Axes of all of these.
    pub rank: usize,
    /// What else changes.
    pub how: How,
    /// The nodes behind it that are part of it; the last one has the outputs.
    pub rest: Vec<NodeId>,
}

/// What changes besides the order of inputs and outputs.
pub(super) enum How {
    /// Nothing but the constants at these slots, which broadcast.
    Entries(Vec<usize>),
    /// The `axis`, and the constants at these slots, which have as many axes.
    Axis(usize, Vec<usize>),
    /// The axes of a reduction, and whether they stay with one entry each.
    Reduced(Axes, bool),
    /// The axes of a `Slice`.
    Cut(Vec<usize>),
    /// The pads of a `Pad`.
    Padded(Vec<(i64, i64)>),
    /// The axes of a `Squeeze` or `Unsqueeze`.
    Units(Axes),
    /// The sizes of a `Reshape` that only gives axes of one entry to its output. Which axes have more, and what it asks for.
    Parted(Vec<bool>, Vec<i64>),
    /// Nothing: a `Flatten` or `Reshape` of which only axes of one entry may move. Which axes have more, and which must not move.
    Joined(Vec<bool>, Vec<usize>),
    /// `BatchNormalization`, whose channels stand on axis 1: on another one it is written as `Mul` and `Add`.
    Normed(BatchNorm),
    /// `MatMul` on the last axis: on axis 1 it is a 1x1 convolution.
    Layer(Box<Layer>),
    /// Layers, and operators entry by entry, one reading the other, over rows: on axis 1 the layers are 1x1 convolutions. The `Reshape` on
    /// both sides of them go.
    Rows(Vec<(NodeId, How)>),
}

/// A list of axes.
pub(super) struct Axes {
    /// The axes, counted from the first.
    pub list: Vec<usize>,
    /// The input slot where they stand; `None` for an attribute.
    pub slot: Option<usize>,
}

impl Mover {
    /// Nodes that it takes more with its tensors in the order `perm`; `None` when it cannot.
    pub(super) fn extra(&self, perm: &Perm) -> Option<usize> {
        let can = |can: bool| can.then_some(0);
        match &self.how {
            How::Entries(_) | How::Axis(..) | How::Cut(_) | How::Padded(_) | How::Reduced(_, true) => Some(0),
            How::Reduced(axes, false) | How::Units(axes) => can(perm.keeps(|axis| !axes.list.contains(&axis))),
            How::Parted(more, asked) => {
                let copied = |axis: usize| asked.get(axis).is_some_and(|n| *n == 0);
                let fixed = (0..self.rank).all(|axis| !copied(axis) || perm.fixes(axis));
                can(fixed && perm.keeps(|axis| more.get(axis) != Some(&false)))
            }
            How::Joined(more, fixed) => {
                can(fixed.iter().all(|axis| perm.fixes(*axis)) && perm.keeps(|axis| more.get(axis) != Some(&false)))
            }
            How::Normed(_) => Some(usize::from(!perm.fixes(1))),
            How::Layer(_) | How::Rows(_) => can(perm.place(self.rank - 1) == 1),
        }
    }

    /// True when it gives the same bits: what sums may sum in another order.
    pub(super) fn keeps_bits(&self) -> bool {
        !matches!(self.how, How::Reduced(..) | How::Normed(_) | How::Layer(_) | How::Rows(_))
    }
}

/// Reads `node`; `None` when it works in the order that it was given alone.
pub(super) fn read(cx: Context<'_>, node: NodeId) -> Option<Mover> {
    let op = cx.view.op(node);
    let how = match op {
        _ if is_entry_by_entry(cx, node) => How::Entries(Vec::new()),
        op if broadcasts(op) || op == "PRelu" => return broadcasting(cx, node),
        "Concat" => return concat(cx, node),
        "Split" => How::Axis(axis(cx, node, 0)?, Vec::new()),
        "Gather" => gather(cx, node)?,
        "ArgMax" | "ArgMin" => arg(cx, node)?,
        op if op.starts_with("Reduce") => reduced(cx, node)?,
        "Slice" => cut(cx, node)?,
        "Pad" => How::Padded(Padding::new(cx.view, cx.facts, node)?.axes),
        "Squeeze" => How::Units(axes(cx, node, rank(cx, cx.view.input(node, 0))?)?),
        "Flatten" => joined(cx, node, vec![0])?,
        "Reshape" => reshape(cx, node)?,
        "Unsqueeze" => How::Units(axes(cx, node, rank(cx, cx.view.output(node))?)?),
        "BatchNormalization" => How::Normed(BatchNorm::new(cx.view, cx.facts, node)?),
        "MatMul" => layer(cx, node, cx.view.input(node, 0)?)?,
        _ => return None,
    };
    let drops = matches!(how, How::Reduced(_, false) | How::Joined(..)) || op == "Squeeze";
    let gains = matches!(how, How::Parted(..)) || op == "Unsqueeze";
    Mover::of(cx, node, if gains { Vec::new() } else { vec![0] }, !drops, how)
}

/// True where each entry of the output is made of that of the first input alone, and of constants of one entry.
pub(super) fn is_entry_by_entry(cx: Context<'_>, node: NodeId) -> bool {
    let op = cx.view.op(node);
    let known = is_elementwise(cx.view, node) || operator(op).is_some_and(|o| o.shape == Shape::Entries);
    // What drops entries draws them in order.
    known && (op != "Dropout" || is_inactive_dropout(cx.view, cx.facts, node))
}

fn rank(cx: Context<'_>, value: Option<ValueId>) -> Option<usize> {
    cx.facts.rank(value?).filter(|rank| *rank >= 2)
}

impl Mover {
    fn of(cx: Context<'_>, node: NodeId, inputs: Vec<usize>, gives: bool, how: How) -> Option<Self> {
        let outputs: Vec<usize> =
            cx.view.outputs(node).iter().enumerate().filter(|(_, v)| gives && v.is_some()).map(|(i, _)| i).collect();
        let read = inputs.iter().map(|slot| cx.view.input(node, *slot).filter(|v| cx.facts.is_data(*v)));
        let written = outputs.iter().map(|slot| cx.view.outputs(node).get(*slot).copied().flatten());
        let tensors: Vec<ValueId> = read.chain(written).collect::<Option<_>>()?;
        let rank = rank(cx, tensors.first().copied())?;
        let alike = tensors.iter().all(|v| cx.facts.rank(*v) == Some(rank));
        alike.then_some(Self { inputs, outputs, rank, how, rest: Vec::new() })
    }
}

fn axis(cx: Context<'_>, node: NodeId, default: i64) -> Option<usize> {
    axis_of(cx.view.attr_i(node, "axis").unwrap_or(default), rank(cx, cx.view.input(node, 0))?)
}

/// An operator that broadcasts: tensors of data with all axes, and constants.
fn broadcasting(cx: Context<'_>, node: NodeId) -> Option<Mover> {
    let (view, facts) = (cx.view, cx.facts);
    let rank = rank(cx, view.output(node))?;
    if ["axis", "broadcast"].iter().any(|name| view.attr(node, name).is_some()) || view.opset() < BROADCASTS_SINCE {
        return None;
    }
    let (mut inputs, mut constants) = (Vec::new(), Vec::new());
    for (slot, value) in view.inputs(node).iter().enumerate() {
        let value = (*value)?;
        if facts.shape(value)?.iter().all(|d| *d == Dim::Known(1)) && facts.rank(value)? < rank {
            continue;
        }
        if facts.is_data(value) {
            inputs.push(slot);
        } else {
            constants.push(slot);
        }
    }
    let movable = |slot: &usize| view.input(node, *slot).is_some_and(|v| is_movable(cx, v, rank));
    if inputs.is_empty() || !constants.iter().all(movable) {
        return None;
    }
    Mover::of(cx, node, inputs, true, How::Entries(constants))
}

/// True for a constant of a type that can be written in another order, with no more than so many axes.
pub(super) fn is_movable(cx: Context<'_>, value: ValueId, rank: usize) -> bool {
    let written = cx.facts.dtype(value).is_some_and(|dtype| {
        matches!(
            dtype,
            DataType::Float
                | DataType::Double
                | DataType::Float16
                | DataType::Bfloat16
                | DataType::Bool
                | DataType::Int32
                | DataType::Int64
        )
    });
    written && cx.facts.rank(value).is_some_and(|r| r <= rank) && cx.facts.is_constant(value)
}

fn concat(cx: Context<'_>, node: NodeId) -> Option<Mover> {
    let rank = rank(cx, cx.view.output(node))?;
    let axis = axis_of(cx.view.attr_i(node, "axis")?, rank)?;
    let slots = 0..cx.view.inputs(node).len();
    let is_data = |slot: &usize| cx.view.input(node, *slot).is_some_and(|v| cx.facts.is_data(v));
    let (inputs, constants): (Vec<usize>, Vec<usize>) = slots.partition(is_data);
    let movable = |slot: &usize| {
        let value = cx.view.input(node, *slot);
        value.is_some_and(|v| cx.facts.rank(v) == Some(rank) && is_movable(cx, v, rank))
    };
    if inputs.is_empty() || !constants.iter().all(movable) {
        return None;
    }
    Mover::of(cx, node, inputs, true, How::Axis(axis, constants))
}

/// A `Gather` by a list, which leaves an axis where it took entries of one.
fn gather(cx: Context<'_>, node: NodeId) -> Option<How> {
    let indices = cx.view.input(node, 1)?;
    let list = cx.facts.rank(indices) == Some(1) && !cx.facts.is_data(indices);
    list.then(|| Some(How::Axis(axis(cx, node, 0)?, Vec::new())))?
}

fn arg(cx: Context<'_>, node: NodeId) -> Option<How> {
    let axis = axis(cx, node, 0)?;
    (cx.view.attr_i(node, "keepdims").unwrap_or(1) != 0).then(|| How::Axis(axis, Vec::new()))
}

/// The axes that `node` names; an error of the file, or none named, is `None`.
fn axes(cx: Context<'_>, node: NodeId, rank: usize) -> Option<Axes> {
    let list = axes_of(cx.facts, node)?.iter().map(|a| axis_of(*a, rank)).collect::<Option<Vec<_>>>()?;
    let slot = cx.view.attr(node, "axes").is_none().then_some(1);
    Some(Axes { list, slot })
}

fn reduced(cx: Context<'_>, node: NodeId) -> Option<How> {
    let axes = axes(cx, node, rank(cx, cx.view.input(node, 0))?)?;
    // An empty list may mean all axes or none.
    let named = !axes.list.is_empty();
    named.then(|| How::Reduced(axes, cx.view.attr_i(node, "keepdims").unwrap_or(1) != 0))
}

fn cut(cx: Context<'_>, node: NodeId) -> Option<How> {
    let rank = rank(cx, cx.view.input(node, 0))?;
    // The axes are written as an int64 list, and all lists have one type.
    if cx.view.opset() >= 10 && cx.facts.dtype(cx.view.input(node, 1)?) != Some(DataType::Int64) {
        return None;
    }
    let axes = slices(cx.view, cx.facts, node)?.iter().map(|cut| axis_of(cut.axis, rank)).collect::<Option<_>>()?;
    Some(How::Cut(axes))
}

/// Which axes of `value` may have more than one entry.
fn more(cx: Context<'_>, value: ValueId) -> Option<Vec<bool>> {
    Some(cx.facts.shape(value)?.iter().map(|d| *d != Dim::Known(1)).collect())
}

/// What makes fewer axes of the entries in their order, and finds the same order where only axes of one entry moved.
fn joined(cx: Context<'_>, node: NodeId, fixed: Vec<usize>) -> Option<How> {
    let one = cx.view.op(node) == "Reshape" || cx.view.attr_i(node, "axis").unwrap_or(1) == 1;
    one.then(|| Some(How::Joined(more(cx, cx.view.input(node, 0)?)?, fixed)))?
}

fn reshape(cx: Context<'_>, node: NodeId) -> Option<How> {
    let (view, facts) = (cx.view, cx.facts);
    let (input, output) = (facts.rank(view.input(node, 0)?)?, facts.rank(view.output(node)?)?);
    let copies = view.attr_i(node, "allowzero").unwrap_or(0) == 0;
    let asked = view.input(node, 1)?;
    if input > output {
        // What is not known not to be 0 copies the size of an axis.
        let sizes = facts.sizes(asked)?;
        let copied = |(_, d): &(usize, &Dim)| copies && d.known().is_none_or(|n| n == 0);
        return joined(cx, node, sizes.iter().enumerate().filter(copied).map(|(axis, _)| axis).collect());
    }
    if input == output || !copies || !facts.is_constant(asked) {
        return None;
    }
    let asked = facts.sizes(asked)?.iter().map(Dim::known).collect::<Option<_>>()?;
    Some(How::Parted(more(cx, view.output(node)?)?, asked))
}

/// A layer on the last of three axes or more, which `input` has. Runtimes have convolutions of few types.
pub(super) fn layer(cx: Context<'_>, node: NodeId, input: ValueId) -> Option<How> {
    let dtype = cx.facts.float_type([input, cx.view.output(node)?])?;
    let layer = Layer::new(cx.within(Frame::ChannelsLast), node)?;
    let known = matches!(dtype, DataType::Float | DataType::Float16) && rank(cx, Some(input))? > 2;
    known.then(|| How::Layer(Box::new(layer)))
}
