//! The proof that a region is one convolution or one linear layer, and the edit that makes it one.

use std::collections::BTreeSet;

use crate::emit::Emit;
use crate::facts::tensor;
use crate::graph::{EditList, Names, NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::read::{Context, Frame, Reject, RejectCode};

use super::map::{Map, Outline};
use super::op::Op;
use super::region::{Region, Term};

/// A convolution or a linear layer that stands in a region.
#[derive(Clone, Copy, Debug)]
pub struct FoldedLayer {
    /// Its node.
    pub node: NodeId,
    /// Its weights.
    pub weights: usize,
    /// Product of the strides from the origin to its output.
    pub stride: usize,
    /// True when the window is one entry.
    pub is_pointwise: bool,
}

/// A region that is one convolution. Only [`prove`] makes one.
pub struct Fold {
    region: Region,
    outline: Outline,
    parts: Vec<FoldedLayer>,
    removed: BTreeSet<NodeId>,
    dtype: DataType,
}

/// Proves that `region` is one convolution.
///
/// # Errors
/// A [`Reject`] that names the operator, the tensor, and the border, axis or type.
pub fn prove(cx: Context<'_>, region: Region) -> Result<Fold, Reject> {
    let (Map { outline, .. }, strides) = region.map(cx, false)?;
    let dtype = cx.facts.float_type([region.origin].into_iter().chain(region.terms.iter().map(|t| t.output)));
    let dtype = dtype.ok_or_else(|| {
        Reject::tensor(cx.view, region.origin, RejectCode::SizeUnknown, "its element type is unknown, or no float type")
    })?;
    let part = |(i, term, op): (usize, &Term, &Op)| {
        let stride = strides.get(i).copied();
        Some(FoldedLayer {
            node: term.node,
            weights: op.outline.weights(),
            stride: stride?,
            is_pointwise: op.outline.window.is_pointwise(),
        })
    };
    let parts: Option<Vec<FoldedLayer>> = region.ops().filter(|(_, _, op)| op.is_weighted()).map(part).collect();
    let parts = parts.ok_or_else(|| Reject::broken(cx.view, region.root, "an operator that no map was made of"))?;
    let removed = region.removable(cx);
    Ok(Fold { region, outline, parts, removed, dtype })
}

impl Fold {
    /// What the region computes.
    #[must_use]
    pub fn root(&self) -> ValueId {
        self.region.root
    }

    /// The convolution that it folds into.
    #[must_use]
    pub fn outline(&self) -> &Outline {
        &self.outline
    }

    /// The convolutions that it holds.
    #[must_use]
    pub fn parts(&self) -> &[FoldedLayer] {
        &self.parts
    }

    /// The nodes that go. A node whose tensor is read elsewhere stays.
    #[must_use]
    pub fn removed(&self) -> &BTreeSet<NodeId> {
        &self.removed
    }

    /// A tensor inside of the region that keeps its operators alive, if there is one.
    #[must_use]
    pub fn read_elsewhere(&self) -> Option<ValueId> {
        self.region.terms.iter().rev().find(|t| !self.removed.contains(&t.node)).map(|t| t.output)
    }

    /// Operators from the origin to the root.
    #[must_use]
    pub fn operators(&self, cx: Context<'_>) -> Vec<String> {
        self.region.terms.iter().map(|t| cx.view.op(t.node).to_owned()).collect()
    }

    /// The edit. `None` when a weight could not be read, or when a folded one is too large for the element type.
    #[must_use]
    pub fn build(&self, cx: Context<'_>, family: &str, names: &mut Names) -> Option<EditList> {
        let view = cx.view;
        let map = self.region.map(cx, true).ok()?.0;
        let mut kernel = map.kernel?;
        if !kernel.is_biased() {
            kernel.bias = None;
        }
        if !tensor::fits(self.dtype, kernel.weight.iter().chain(kernel.bias.iter().flatten())) {
            return None;
        }
        let root = view.def(self.region.root)?;
        let weighted = self.region.ops().filter(|(_, _, op)| op.is_weighted());
        // The first of equals gives its name.
        let biggest = weighted.max_by_key(|(_, t, op)| (op.outline.weights(), std::cmp::Reverse(t.node)));
        let (name, weight) = biggest
            .and_then(|(_, t, op)| op.names(cx, t.node))
            .unwrap_or_else(|| (view.node(root).name().to_owned(), format!("{}_weight", view.name(self.region.root))));
        let site = if view.node(root).name().is_empty() { view.name(self.region.root) } else { view.node(root).name() };
        let axes = map.outline.window.axes();
        let mut emit = Emit::new(names, self.dtype, axes, format!("{family}: {site}"));
        emit.edits.remove = self.removed.iter().copied().collect();
        let (input, output) = (view.name(self.region.origin), view.name(self.region.root));
        if axes == 0 {
            emit.frame = Frame::ChannelsLast;
            kernel = kernel.dense()?;
        }
        emit.conv(&name, &weight, &kernel, &map.outline.window, input, output);
        Some(emit.edits)
    }
}
