//! Per-channel constants before a linear layer, with a `Flatten`, `Reshape`, `Squeeze` or `GlobalAveragePool` between:
//! `W flatten(s * x + t) + b` is `(W S) flatten(x) + W T + b`, where `S` and `T` hold the constants once for each entry of a
//! channel. Exact everywhere: nothing is padded, and the mean of `s * x + t` is `s` times the mean of `x`, plus `t`.

use crate::algebra::{Geometry, Kernel};
use crate::emit::Emit;
use crate::facts::tensor;
use crate::graph::{EditList, Names, NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::read::layer::Layer;
use crate::read::{Context, Frame, Reject, RejectCode, affine};

use super::{dense, op};

/// A linear layer with per-channel constants before it.
pub struct Flattened {
    /// The linear layer.
    pub layer: NodeId,
    /// The affine operators, the last first.
    pub affine: Vec<NodeId>,
    /// What stands between and stays, the last first.
    between: Vec<NodeId>,
    input: ValueId,
    dense: Layer,
    scale: Vec<f64>,
    shift: Vec<f64>,
    dtype: DataType,
}

/// Most operators that are walked through.
const MAX_NODES: usize = 16;

/// The constants that can fold into the linear layer `layer` across an operator that rearranges.
///
/// # Errors
/// Why they cannot, when there are some.
#[must_use]
pub fn find(cx: Context<'_>, layer: NodeId) -> Option<Result<Flattened, Reject>> {
    let view = cx.view;
    let dense = dense::read(cx, layer)?.ok()?;
    let mut found = Flattened {
        layer,
        affine: Vec::new(),
        between: Vec::new(),
        input: view.input(layer, 0)?,
        scale: vec![1.0; dense.channels.0],
        shift: vec![0.0; dense.channels.0],
        dtype: cx.facts.float_type([view.output(layer)?, view.input(layer, 0)?])?,
        dense,
    };
    let mut needed: Option<ValueId> = None;
    let (mut at, mut passed) = (found.input, Vec::new());
    for _ in 0..MAX_NODES {
        let Some(node) = view.def(at) else { break };
        needed = needed.or((!view.is_private(at)).then_some(at));
        if let Some((input, scale, shift)) = affine::affine(cx, node) {
            let odd = cx.facts.channels(input).is_some_and(|n| n != scale.len());
            if odd || op::ends_activation(cx, node, input) || found.is_sequence(&passed) && needed.is_some() {
                break;
            }
            if let Some(value) = needed {
                let reason = "it is an output of the graph, or something else reads it";
                let reject = Reject::tensor(view, value, RejectCode::ReadElsewhere, reason);
                return found.between.is_empty().then_some(Err(reject)).or(Some(Ok(found)));
            }
            if !found.push_before(&scale, &shift) {
                break;
            }
            found.affine.push(node);
            found.between.append(&mut passed);
            (found.input, at) = (input, input);
        } else if let Some(input) = carried(cx, node, at, found.dense.channels.0) {
            passed.push(node);
            at = input;
        } else {
            break;
        }
    }
    (!found.between.is_empty()).then_some(Ok(found))
}

/// The input of `node`, when it hands on the entries of each channel, or their mean, in the order in which a layer of so
/// many `features` reads them.
pub(super) fn carried(cx: Context<'_>, node: NodeId, output: ValueId, features: usize) -> Option<ValueId> {
    let view = cx.view;
    let input = view.input(node, 0).filter(|_| view.output(node) == Some(output))?;
    let fits = match view.op(node) {
        "Identity" | "Dropout" => affine::nothing(cx, node, output).is_some(),
        // One entry a channel is left, so before it there must be as many channels as features.
        "GlobalAveragePool" => true,
        // Its rows are images, whatever their size is.
        "Flatten" => view.attr_i(node, "axis").unwrap_or(1) == 1,
        "Reshape" | "Squeeze" => [input, output].iter().all(|v| entries(cx, *v) == Some(features)),
        _ => false,
    };
    fits.then_some(input)
}

/// How many entries an image of `value` has, where that is known: a product over all axes but the first.
pub(super) fn entries(cx: Context<'_>, value: ValueId) -> Option<usize> {
    let dims = cx.facts.shape(value)?.get(1..)?;
    dims.iter().try_fold(1_usize, |n, d| n.checked_mul(usize::try_from(d.known()?).ok()?))
}

impl Flattened {
    /// Counts in `scale * x + shift` before everything so far. `false` when the channels do not divide the features.
    fn push_before(&mut self, scale: &[f64], shift: &[f64]) -> bool {
        let (features, channels) = (self.dense.channels.0, scale.len());
        if channels == 0 || features % channels != 0 || shift.len() != channels {
            return false;
        }
        let each = features / channels;
        for (i, (s, t)) in self.scale.iter_mut().zip(&mut self.shift).enumerate() {
            *t += *s * shift[i / each];
            *s *= scale[i / each];
        }
        true
    }

    /// True when nothing stands between the layer and the constants in front of `passed`: a plain sequence of them.
    fn is_sequence(&self, passed: &[NodeId]) -> bool {
        self.between.is_empty() && passed.is_empty()
    }

    /// The edit. `None` when a constant could not be read, or a folded one is too large.
    #[must_use]
    pub fn build(&self, cx: Context<'_>, names: &mut Names) -> Option<EditList> {
        let view = cx.view;
        let kernel = self.kernel(cx)?;
        if !tensor::fits(self.dtype, kernel.weight.iter().chain(kernel.bias.iter().flatten())) {
            return None;
        }
        let node = view.node(self.layer);
        let mut emit = Emit::new(names, self.dtype, 0, format!("sequence: {}", node.name()));
        emit.frame = Frame::ChannelsLast;
        emit.edits.remove = self.nodes().collect();
        // What stays reads something else now, so its result needs another name.
        let mut input = view.name(self.input).to_owned();
        for between in self.between.iter().rev() {
            let mut inputs: Vec<&str> = view.inputs(*between).iter().map(|v| v.map_or("", |v| view.name(v))).collect();
            *inputs.first_mut()? = &input;
            let output = emit.fresh(view.name(view.output(*between)?));
            emit.copy(view.node(*between), &inputs, &output);
            input = output;
        }
        let (weight, output) = (view.name(self.dense.weight), view.name(view.output(self.layer)?));
        emit.conv(node.name(), weight, &kernel, &Geometry::pointwise(0), &input, output);
        Some(emit.edits)
    }

    /// All nodes that the edit removes.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.affine.iter().chain(&self.between).copied().chain([self.layer])
    }

    fn kernel(&self, cx: Context<'_>) -> Option<Kernel> {
        self.dense.kernel(cx.facts, 0)?.behind_affine(&self.scale, &self.shift)
    }
}
