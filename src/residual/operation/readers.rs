//! All readers in their order, and the refusal of what none of them knows.

use crate::facts::BatchNorm;
use crate::graph::{NodeId, ValueId};
use crate::read::{BROADCASTS_SINCE, Context, Reject, RejectCode, data_inputs};

use super::{
    Found, Reading, activation, channel_bound, channels, leak, linear, masked, norm, pad, per_pixel, positions,
    product, rows, shuffle, stack, written,
};

type Reader = fn(Context<'_>, NodeId, ValueId) -> Found;

/// In this order: an operator is read by the first that knows it. A written-out activation comes before the
/// operators it is written in, and a stack of maps before a `Concat` of channels.
const READERS: &[Reader] = &[
    linear::conv,
    linear::layer,
    leak::read,
    written::read,
    per_pixel::read,
    rows::read,
    shuffle::read,
    norm::read,
    linear::affine,
    activation::read,
    |cx, node, value| masked::read(cx, node, value, read),
    channel_bound::read,
    stack::read,
    channels::read,
    pad::read,
    linear::crop,
    positions::read,
    product::read,
];

/// Reads the node that computes `value`.
///
/// # Errors
/// A [`Reject`] that names the node when no carried channel can pass it.
pub fn read(cx: Context<'_>, value: ValueId) -> Result<Vec<Reading>, Reject> {
    let Some(node) = cx.view.def(value) else {
        return Err(Reject::tensor(
            cx.view,
            value,
            RejectCode::TwoBranches,
            "the branch starts at a graph input that is not the fork",
        ));
    };
    for reader in READERS {
        if let Some(found) = reader(cx, node, value) {
            return found;
        }
    }
    Err(refuse(cx, node))
}

const QUANTISED: &str = "it rounds to the steps of a scale, so a carried channel would be rounded as well";

/// What to do with a quantised model.
pub(crate) const FLOAT_FIRST: &str = "rewrite the float model first, and quantise the chain";

/// Longest way behind an operator that moves channels, to find why they are moved.
const MAX_BEHIND: usize = 24;

/// The operator to blame for `node`: itself, or the one for whose sake it moves the channels to another axis.
fn culprit(cx: Context<'_>, node: NodeId) -> NodeId {
    let moves = |op: &str| matches!(op, "Transpose" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze");
    if !moves(cx.view.op(node)) {
        return node;
    }
    let mut at = node;
    for _ in 0..MAX_BEHIND {
        let Some(before) = data_inputs(cx, at).first().and_then(|v| cx.view.def(*v)) else { break };
        let op = cx.view.op(before);
        if op.ends_with("Normalization") || op == "Softmax" || op == "MatMul" && data_inputs(cx, before).len() > 1 {
            return before;
        }
        at = before;
        if op == "Conv" {
            break;
        }
    }
    node
}

fn refuse(cx: Context<'_>, node: NodeId) -> Reject {
    let node = culprit(cx, node);
    let op = cx.view.op(node);
    let mut code = RejectCode::CannotPass;
    let why = match op {
        "PRelu" | "Gemm" | "Add" | "Sub" | "Mul" | "Div"
            if cx.view.opset() < BROADCASTS_SINCE && data_inputs(cx, node).len() == 1 =>
        {
            code = RejectCode::Opset;
            "before opset 7 its second input is aligned in another way, of which only a value a channel beside a sum or product is read"
        }
        _ if norm::NORMS.contains(&op) => {
            "its statistics run over channels or positions, so a carried channel would change them and be normalised"
        }
        "BatchNormalization" if BatchNorm::new(cx.view, cx.facts, node).is_some() => {
            "it acts on another axis than that of the channels"
        }
        "BatchNormalization" => "it runs in training mode or its statistics are no constants: it depends on the batch",
        "MaxPool" | "GlobalMaxPool" | "ReduceMax" => {
            "a maximum over a window is not linear, so a carried channel would be changed"
        }
        "MatMul" | "Gemm" if data_inputs(cx, node).len() == 1 => {
            "it is no layer on the axis of the channels, and mixes the entries of another one"
        }
        "Softmax" | "MatMul" | "Einsum" | "Gemm" => "it mixes positions or channels by weights that depend on the data",
        "Resize" | "Upsample" | "ConvTranspose" | "DepthToSpace" | "SpaceToDepth" => {
            "it changes the size of the map, so a carried channel would not fit the shortcut any more"
        }
        "Add" | "Sum" if data_inputs(cx, node).len() > 1 => {
            code = RejectCode::InnerJoin;
            "it is another join on the branch, which stays"
        }
        "Sub" if data_inputs(cx, node).len() > 1 => {
            code = RejectCode::InnerJoin;
            "it is the difference of two tensors of data on the branch, which stays"
        }
        "Add" | "Sub" | "Mul" | "Div" if data_inputs(cx, node).len() == 1 => {
            "its constant fits neither the channels nor the positions of one image, or the branch is subtracted from it"
        }
        "GlobalAveragePool" | "ReduceMean" | "ReduceSum" => "it reduces the carried channels to their mean",
        "AveragePool" => "it leaves padding or an overhang out of its mean, so it is no convolution at the border",
        "Dropout" => "it drops entries at random in training mode",
        "Cast" => "it rounds to another element type, or back from one, so a carried channel would be rounded as well",
        op if op.contains("QuantizeLinear") || op.contains("DequantizeLinear") => QUANTISED,
        "Transpose" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => {
            "it moves the channels to another axis, and what follows there is not known to keep them apart"
        }
        _ => "no exact way through it is known",
    };
    let reject = Reject::at(cx.view, node, code, format!("{op} on the branch: {why}"));
    match op {
        _ if why == QUANTISED => reject.hint(FLOAT_FIRST),
        _ if code == RejectCode::Opset => reject.hint("convert the model to a newer opset"),
        _ if norm::NORMS.contains(&op) && !cx.options.open_norms => {
            reject.hint("--open-norms takes the channels that it normalises out, and puts them back")
        }
        _ => reject,
    }
}
