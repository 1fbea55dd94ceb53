//! The linear operators of [`crate::read`] on a branch: convolutions are widened, per-channel maps and crops fold into the
//! convolution before them.

use crate::graph::{NodeId, ValueId};
use crate::read::{Context, affine, conv, crop};

use super::{Found, Reading, Step, found};

/// A convolution, or a pool that is one.
pub(super) fn conv(cx: Context<'_>, node: NodeId, value: ValueId) -> Found {
    let conv = conv::read(cx, node, value)?;
    Some(conv.map(|conv| Reading::one(cx, node, 0, Step::Conv(Box::new(conv))).into_iter().collect()))
}

/// A linear layer over rows of channels.
pub(super) fn layer(cx: Context<'_>, node: NodeId, _: ValueId) -> Found {
    let layer = conv::branch_layer(cx, node)?;
    found(Reading::one(cx, node, 0, Step::Conv(Box::new(layer))))
}

/// A per-channel map, or an operator that does nothing.
pub(super) fn affine(cx: Context<'_>, node: NodeId, value: ValueId) -> Found {
    let (step, input) = match affine::nothing(cx, node, value) {
        Some(input) => (Step::Nothing, input),
        None => {
            let (input, scale, shift) = affine::affine(cx, node)?;
            (Step::Affine(scale, shift), input)
        }
    };
    let slot = cx.view.inputs(node).iter().position(|v| *v == Some(input))?;
    found(Reading::one(cx, node, slot, step))
}

/// A crop of the spatial axes.
pub(super) fn crop(cx: Context<'_>, node: NodeId, _: ValueId) -> Found {
    found(Reading::one(cx, node, 0, Step::Crop(crop::cropped(cx, node)?)))
}
