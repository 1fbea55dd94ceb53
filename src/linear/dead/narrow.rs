//! The edit that takes dead channels away: from their producer, from all that stands between, and from their readers.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{ArrayD, Axis};

use crate::emit::Emit;
use crate::graph::{EditList, Names, NodeId, ValueId};
use crate::linear::dense;
use crate::onnx::tensor_proto::DataType;
use crate::read::Context;

use super::axis::{keeps_apart, sliced};

/// A convolution or linear layer with channels that can go. Only [`super::channels::find`] makes one.
pub struct Narrowed {
    pub(super) producer: NodeId,
    pub(super) width: usize,
    /// Channels go in so many units, equally large in every tensor.
    pub(super) units: usize,
    /// The units that stay.
    pub(super) keep: Vec<usize>,
    /// What stands between, in topological order.
    pub(super) pass: Vec<NodeId>,
    pub(super) readers: BTreeSet<NodeId>,
    /// Channels, or features, of what the producer and the nodes between compute.
    pub(super) widths: BTreeMap<ValueId, usize>,
}

impl Narrowed {
    /// Nodes in which multiply-accumulates and weights change.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::once(self.producer).chain(self.pass.iter().copied()).chain(self.readers.iter().copied())
    }

    /// Channels of the producer.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.width
    }

    /// Share of its channels that the producer keeps, and so of their weights every node.
    #[must_use]
    pub fn share(&self) -> (usize, usize) {
        (self.keep.len(), self.units)
    }

    /// The edit. `None` when a constant could not be read after all.
    #[must_use]
    pub fn build(&self, cx: Context<'_>, names: &mut Names) -> Option<EditList> {
        let view = cx.view;
        let site = view.name(view.output(self.producer)?);
        let mut emit = Emit::new(names, DataType::Float, 0, format!("dead: {site}"));
        emit.edits.remove = self.nodes().collect();
        let mut renamed: BTreeMap<ValueId, String> = BTreeMap::new();
        for node in self.nodes() {
            let output = view.output(node)?;
            let mut inputs = Vec::new();
            for (slot, input) in view.inputs(node).iter().enumerate() {
                inputs.push(match input {
                    None => String::new(),
                    Some(v) => match renamed.get(v) {
                        Some(name) => name.clone(),
                        None => self.constant(cx, &mut emit, node, slot, *v)?,
                    },
                });
            }
            // A reader's output is as it was; what stands between has fewer channels, and so another name.
            let name = match self.readers.contains(&node) {
                true => view.name(output).to_owned(),
                false => emit.fresh(&format!("{}_narrow", view.name(output))),
            };
            emit.copy(view.node(node), &inputs.iter().map(String::as_str).collect::<Vec<_>>(), &name);
            let grouped = self.pass.contains(&node) && view.op(node) == "Conv";
            if let (true, Some(last)) = (grouped, emit.edits.add_nodes.last_mut()) {
                let group = last.attribute.iter_mut().find(|a| a.name() == "group")?;
                group.i = Some(group.i? / i64::try_from(self.units).ok()? * i64::try_from(self.keep.len()).ok()?);
            }
            renamed.insert(output, name);
        }
        Some(emit.edits)
    }

    /// The name of what stands for the input `value` at `slot` of `node`, which is no tensor with dead channels.
    fn constant(
        &self,
        cx: Context<'_>,
        emit: &mut Emit<'_>,
        node: NodeId,
        slot: usize,
        value: ValueId,
    ) -> Option<String> {
        let name = cx.view.name(value);
        if cx.view.op(node) == "Reshape" {
            return self.target(cx, emit, node, value);
        }
        let Some(axis) = self.axis(cx, node, slot, value) else { return Some(name.to_owned()) };
        let constant = cx.facts.constant(value)?;
        let length = *constant.data.shape().get(axis)?;
        if !length.is_multiple_of(self.units) {
            return None;
        }
        let each = length / self.units;
        let kept: Vec<usize> = self.keep.iter().flat_map(|u| u * each..(u + 1) * each).collect();
        emit.dtype = constant.dtype;
        let kept: ArrayD<f64> = constant.data.select(Axis(axis), &kept);
        Some(emit.constant(name, &kept))
    }

    /// The axis along which the constant at `slot` of `node` loses channels.
    fn axis(&self, cx: Context<'_>, node: NodeId, slot: usize, value: ValueId) -> Option<usize> {
        let reads = self.readers.contains(&node);
        match cx.view.op(node) {
            "Conv" if reads => (slot == 1).then_some(1),
            "Conv" => (slot == 1 || slot == 2).then_some(0),
            "Gemm" | "MatMul" => {
                let layer = dense::read(cx, node)?.ok()?;
                match slot {
                    1 if reads => Some(1 - layer.output_axis()),
                    1 => Some(layer.output_axis()),
                    // One value for all stays; else the channels stand on the last axis.
                    2 if !reads => cx.facts.constant_shape(value)?.iter().rposition(|n| *n == layer.channels.1),
                    _ => None,
                }
            }
            "Flatten" | "Squeeze" => None,
            _ if keeps_apart(cx, node) => None,
            _ => {
                let input = cx.view.inputs(node).iter().flatten().find_map(|v| self.widths.get(v))?;
                sliced(cx, node, value, *input)?
            }
        }
    }

    /// The target of a `Reshape` to `[images, features]` with fewer features; `-1` stays what it is.
    fn target(&self, cx: Context<'_>, emit: &mut Emit<'_>, node: NodeId, value: ValueId) -> Option<String> {
        let features = i64::try_from(*self.widths.get(&cx.view.output(node)?)?).ok()?;
        let units = i64::try_from(self.units).ok()?;
        let fewer = features / units * i64::try_from(self.keep.len()).ok()?;
        let sizes: Vec<i64> = cx.facts.sizes(value)?.iter().map(|d| d.known()).collect::<Option<_>>()?;
        match sizes.as_slice() {
            [_, -1] => Some(cx.view.name(value).to_owned()),
            [images, n] if *n == features => Some(emit.int64s(cx.view.name(value), &[*images, fewer])),
            _ => None,
        }
    }
}
