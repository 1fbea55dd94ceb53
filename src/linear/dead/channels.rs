//! Channels of a convolution that are provably zero wherever they are read, or that nothing reads.
//!
//! From the convolution through operators that treat channels apart (activations, BatchNormalization, per-channel
//! constants, pools, depthwise convolutions) to the convolutions that mix them: a channel goes when every one of
//! these gives it only zero weights, or reads it as zero. It goes from all of them at once.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{ArrayD, Axis};

use crate::algebra::Kernel;
use crate::facts::Interval;
use crate::facts::is_elementwise;
use crate::graph::{EditList, Names, NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::residual::Context;
use crate::residual::emit::Emit;
use crate::residual::pass::conv::branch_conv;

use super::bounds::{self, ZERO};

/// True for an operator on one tensor that treats its channels apart, and has no constants a channel.
fn keeps_apart(op: &str) -> bool {
    is_elementwise(op)
        || matches!(op, "Clip" | "Identity" | "MaxPool" | "AveragePool" | "GlobalAveragePool" | "GlobalMaxPool")
}

/// Most operators between a convolution and its readers.
const MOST_NODES: usize = 64;

/// A convolution with channels that can go.
pub struct Narrowed {
    /// The convolution.
    pub conv: NodeId,
    /// Channels that go.
    pub dead: usize,
    width: usize,
    keep: Vec<usize>,
    pass: Vec<NodeId>,
    readers: BTreeSet<NodeId>,
}

/// What reads a tensor.
enum Reader {
    /// It treats channels apart.
    Apart,
    /// A convolution with one group.
    Mixing,
}

/// Looks at the convolution `conv`. `None` when no channel is proved dead, or when something else reads them.
#[must_use]
pub fn find(cx: Context<'_>, conv: NodeId) -> Option<Narrowed> {
    let view = cx.view;
    let made = mixing(cx, conv)?;
    let width = made.outputs();
    let output = view.output(conv)?;
    let input = bounds::known(cx, view.input(conv, 0)?, made.inputs());
    let mut values = BTreeMap::from([(output, bounds::convolved(&made, &input))]);
    let mut open = vec![output];
    let (mut pass, mut readers) = (Vec::new(), BTreeSet::new());
    let mut dead = vec![true; width];
    while let Some(value) = open.pop() {
        if view.is_output(value) || view.is_captured(value) || view.uses(value).is_empty() {
            return None;
        }
        let bounds: Vec<Interval> = values.get(&value)?.clone();
        for r in view.uses(value) {
            match reader(cx, r.node, value, width)? {
                Reader::Apart => {
                    let next = view.output(r.node)?;
                    let after = match branch_conv(cx, r.node).ok().and_then(|c| c.kernel(cx.facts)) {
                        Some(depthwise) => bounds::convolved(&depthwise, &bounds),
                        None => bounds::behind(cx, r.node, next, &bounds),
                    };
                    values.insert(next, after);
                    open.push(next);
                    pass.push(r.node);
                }
                Reader::Mixing => {
                    let kernel = mixing(cx, r.node)?;
                    for (c, column) in kernel.weight.axis_iter(Axis(1)).enumerate() {
                        let unread = bounds[c] == ZERO || column.iter().all(|w| *w == 0.0);
                        dead[c] &= unread;
                    }
                    readers.insert(r.node);
                }
            }
        }
        if pass.len() > MOST_NODES {
            return None;
        }
    }
    // A convolution must have a channel.
    if dead.iter().all(|d| *d) {
        *dead.first_mut()? = false;
    }
    let keep: Vec<usize> = (0..width).filter(|c| !dead[*c]).collect();
    pass.sort_by_key(|n| view.position(*n));
    (keep.len() < width).then(|| Narrowed { conv, dead: width - keep.len(), width, keep, pass, readers })
}

/// The weights of a convolution with one group.
fn mixing(cx: Context<'_>, node: NodeId) -> Option<Kernel> {
    if cx.view.op(node) != "Conv" {
        return None;
    }
    let conv = branch_conv(cx, node).ok().filter(|c| c.group == 1)?;
    conv.kernel(cx.facts)
}

fn reader(cx: Context<'_>, node: NodeId, value: ValueId, width: usize) -> Option<Reader> {
    let view = cx.view;
    let rest = || view.inputs(node).iter().flatten().filter(|v| **v != value);
    let constant = || rest().all(|v| cx.facts.constant_shape(*v).is_some());
    let once = view.inputs(node).iter().flatten().filter(|v| **v == value).count() == 1;
    let alone = view.outputs(node).iter().flatten().count() == 1;
    if !once || !alone || !constant() {
        return None;
    }
    match view.op(node) {
        "Conv" if view.input(node, 0) == Some(value) => {
            let conv = branch_conv(cx, node).ok()?;
            let depthwise = conv.group == width && conv.channels == (width, width);
            match conv.group {
                _ if depthwise && width > 1 => Some(Reader::Apart),
                1 => Some(Reader::Mixing),
                _ => None,
            }
        }
        "PRelu" | "Mul" | "Add" | "Sub" | "Div" | "BatchNormalization" => {
            let slices =
                view.inputs(node).iter().flatten().all(|v| *v == value || sliced(cx, node, *v, width).is_some());
            slices.then_some(Reader::Apart)
        }
        op if keeps_apart(op) && view.input(node, 0) == Some(value) => Some(Reader::Apart),
        _ => None,
    }
}

/// The channel axis of the constant `value` of `node`; the inner `None` when it has one entry for all channels.
/// `None` when it varies along another axis.
fn sliced(cx: Context<'_>, node: NodeId, value: ValueId, width: usize) -> Option<Option<usize>> {
    let shape = cx.facts.constant_shape(value)?;
    if cx.view.op(node) == "BatchNormalization" {
        return (shape == [width]).then_some(Some(0));
    }
    if shape.iter().all(|n| *n == 1) {
        return Some(None);
    }
    let rank = cx.facts.rank(cx.view.output(node)?)?;
    // The channel axis counted from the last.
    let axis = (shape.len() + 1).checked_sub(rank)?;
    let only = shape.iter().enumerate().all(|(i, n)| *n == if i == axis { width } else { 1 });
    only.then_some(Some(axis))
}

impl Narrowed {
    /// Multiply-accumulates and weights change in these nodes.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::once(self.conv).chain(self.pass.iter().copied()).chain(self.readers.iter().copied())
    }

    /// Share of its weights that `node` keeps.
    #[must_use]
    pub fn share(&self) -> (usize, usize) {
        (self.keep.len(), self.width)
    }

    /// The edit. `None` when a constant could not be read after all.
    #[must_use]
    pub fn build(&self, cx: Context<'_>, names: &mut Names) -> Option<EditList> {
        let view = cx.view;
        let site = view.name(view.output(self.conv)?);
        let mut emit = Emit::new(names, DataType::Float, 0, format!("dead: {site}"));
        emit.edits.remove = self.nodes().collect();
        let mut renamed: BTreeMap<ValueId, String> = BTreeMap::new();
        for node in self.nodes() {
            let output = view.output(node)?;
            let mut inputs = Vec::new();
            for (slot, input) in view.inputs(node).iter().enumerate() {
                inputs.push(match input {
                    None => String::new(),
                    Some(v) => match (renamed.get(v), self.axis(cx, node, slot, *v)) {
                        (Some(name), _) => name.clone(),
                        (None, Some(axis)) => self.constant(cx, &mut emit, *v, axis)?,
                        (None, None) => view.name(*v).to_owned(),
                    },
                });
            }
            // A reader's output is as it was; what stands between has fewer channels, and so another name.
            let name = match self.readers.contains(&node) {
                true => view.name(output).to_owned(),
                false => emit.fresh(&format!("{}_narrow", view.name(output))),
            };
            emit.copy(view.node(node), &inputs.iter().map(String::as_str).collect::<Vec<_>>(), &name);
            let depthwise = self.pass.contains(&node) && view.op(node) == "Conv";
            if let (true, Some(last)) = (depthwise, emit.edits.add_nodes.last_mut()) {
                let group = last.attribute.iter_mut().find(|a| a.name() == "group")?;
                group.i = Some(self.keep.len() as i64);
            }
            renamed.insert(output, name);
        }
        Some(emit.edits)
    }

    /// The axis along which the constant at `slot` of `node` loses channels.
    fn axis(&self, cx: Context<'_>, node: NodeId, slot: usize, value: ValueId) -> Option<usize> {
        match cx.view.op(node) {
            "Conv" if self.readers.contains(&node) => (slot == 1).then_some(1),
            "Conv" => (slot == 1 || slot == 2).then_some(0),
            op if keeps_apart(op) => None,
            _ => sliced(cx, node, value, self.width)?,
        }
    }

    fn constant(&self, cx: Context<'_>, emit: &mut Emit<'_>, value: ValueId, axis: usize) -> Option<String> {
        let constant = cx.facts.constant(value)?;
        if constant.data.shape().get(axis) != Some(&self.width) {
            return None;
        }
        emit.dtype = constant.dtype;
        let kept: ArrayD<f64> = constant.data.select(Axis(axis), &self.keep);
        Some(emit.constant(cx.view.name(value), &kept))
    }
}
