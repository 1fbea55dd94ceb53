//! Per-channel constants behind a linear layer over rows of channels (`[N, tokens, C]`), also where the rows are numbered
//! in another way between (LeViT, whose `BatchNormalization` reads `[N * tokens, C]`): `(x W + b) * s + t` is `x (W S) + (b s + t)`.
//! Exact everywhere: nothing is padded, and no row sees another. What stands *before* such a layer stays: mostly it is part of a
//! normalisation that is written out, which runtimes know as a whole.

use crate::algebra::{Geometry, Kernel};
use crate::emit::Emit;
use crate::facts::tensor;
use crate::graph::{EditList, Names, NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::read::layer::Layer;
use crate::read::{Context, Frame, Reject, RejectCode, Rows, affine};

/// A linear layer with per-channel constants behind it.
pub struct Scaled {
    /// The linear layer.
    pub layer: NodeId,
    /// The affine operators, the first first.
    pub affine: Vec<NodeId>,
    /// What numbers rows between them and stays, the first first.
    rows: Vec<NodeId>,
    dense: Layer,
    scale: Vec<f64>,
    shift: Vec<f64>,
    rank: usize,
    output: ValueId,
    dtype: DataType,
}

/// Most operators that are walked through.
const MAX_NODES: usize = 16;

/// The constants that can fold into the linear layer `layer` from behind.
///
/// # Errors
/// Why they cannot, when there are some.
#[must_use]
pub fn find(cx: Context<'_>, layer: NodeId) -> Option<Result<Scaled, Reject>> {
    let (cx, view) = (cx.within(Frame::ChannelsLast), cx.view);
    let dense = Layer::new(cx, layer)?;
    let (input, output) = (view.input(layer, 0).filter(|v| cx.facts.is_data(*v))?, view.output(layer)?);
    let channels = dense.channels.1;
    let mut found = Scaled {
        layer,
        affine: Vec::new(),
        rows: Vec::new(),
        scale: vec![1.0; channels],
        shift: vec![0.0; channels],
        rank: cx.facts.rank(input)?,
        output,
        dtype: cx.facts.float_type([input, output])?,
        dense,
    };
    // A bias right behind is how such a layer is written, and vectors fold as they are.
    let mut gains = false;
    let (mut at, mut passed) = (output, Vec::new());
    for _ in 0..MAX_NODES {
        let reader = view.uses(at).iter().map(|u| u.node).find_map(|n| {
            let (read, scale, shift) = affine::affine(cx, n)?;
            (read == at && scale.len() == channels).then_some((n, scale, shift))
        });
        if let Some((node, scale, shift)) = reader {
            let bias = found.affine.is_empty() && passed.is_empty() && scale.iter().all(|s| *s == 1.0);
            let worth = !bias && (found.rank > 2 || !passed.is_empty() || !found.rows.is_empty());
            if !view.is_private(at) {
                let reason = "it is an output of the graph, or something else reads it";
                let reject = Reject::tensor(view, at, RejectCode::ReadElsewhere, reason);
                return match gains {
                    true => Some(Ok(found)),
                    false => worth.then_some(Err(reject)),
                };
            }
            if !worth && !bias {
                break;
            }
            for (i, (s, t)) in scale.iter().zip(&shift).enumerate() {
                found.scale[i] *= s;
                found.shift[i] = found.shift[i] * s + t;
            }
            gains |= worth;
            found.affine.push(node);
            found.rows.append(&mut passed);
            at = view.output(node)?;
            found.output = at;
            continue;
        }
        let Some(node) = view.uses(at).first().map(|u| u.node).filter(|_| view.is_private(at)) else { break };
        let numbered = view.output(node).filter(|v| Rows::new(cx, node, at, *v).is_some());
        let Some(value) = numbered else { break };
        passed.push(node);
        at = value;
    }
    gains.then_some(Ok(found))
}

impl Scaled {
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
        (emit.frame, emit.axis) = (Frame::ChannelsLast, self.rank - 1);
        emit.edits.remove = self.nodes().collect();
        let (input, output) = (view.name(view.input(self.layer, 0)?), view.name(self.output));
        let mut last = match self.rows.is_empty() {
            true => output.to_owned(),
            false => emit.fresh(&format!("{}_scaled", view.name(view.output(self.layer)?))),
        };
        emit.conv(node.name(), view.name(self.dense.weight), &kernel, &Geometry::pointwise(0), input, &last);
        for (i, rows) in self.rows.iter().enumerate() {
            let next = match i + 1 == self.rows.len() {
                true => output.to_owned(),
                false => emit.fresh(view.name(view.output(*rows)?)),
            };
            emit.reread(view.node(*rows), 0, &last, &next)?;
            last = next;
        }
        Some(emit.edits)
    }

    /// All nodes that the edit removes.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        [self.layer].into_iter().chain(self.affine.iter().chain(&self.rows).copied())
    }

    fn kernel(&self, cx: Context<'_>) -> Option<Kernel> {
        let mut kernel = self.dense.kernel(cx.facts, 0)?.then_affine(&self.scale, &self.shift);
        if !kernel.is_biased() {
            kernel.bias = None;
        }
        Some(kernel)
    }
}
