//! Per-channel constants behind a linear layer over rows of channels (`[N, tokens, C]`), also where the rows are numbered
//! in another way between (LeViT, whose `BatchNormalization` reads `[N * tokens, C]`), or the channels stand on another axis there
//! (`[N, C, tokens]`, as `BatchNorm1d` has them): `(x W + b) * s + t` is `x (W S) + (b s + t)`.
//! Exact everywhere: nothing is padded, and no row sees another. What stands *before* such a layer stays: mostly it is part of a
//! normalisation that is written out, which runtimes know as a whole.

use crate::algebra::{Geometry, Kernel};
use crate::emit::Emit;
use crate::facts::tensor;
use crate::graph::{EditList, Names, NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::read::layer::Layer;
use crate::read::{Context, Frame, Perm, Reject, RejectCode, Rows, affine};

/// A linear layer with per-channel constants behind it.
pub struct Scaled {
    /// The linear layer.
    pub layer: NodeId,
    /// The affine operators, the first first.
    pub affine: Vec<NodeId>,
    /// What numbers rows or moves axes between them and stays, the first first.
    moves: Vec<NodeId>,
    /// Each `Shape` of a tensor between, with how many of `moves` stand in front of that.
    shapes: Vec<(usize, NodeId)>,
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
        moves: Vec::new(),
        shapes: Vec::new(),
        scale: vec![1.0; channels],
        shift: vec![0.0; channels],
        rank: cx.facts.rank(input)?,
        output,
        dtype: cx.facts.float_type([input, output])?,
        dense,
    };
    // A bias right behind is how such a layer is written, and vectors fold as they are.
    let mut gains = false;
    let (mut at, mut passed, mut measured) = (output, Vec::new(), Vec::new());
    let mut axis = found.rank.checked_sub(1)?;
    for _ in 0..MAX_NODES {
        let only = only_reader(cx, at);
        let in_front = found.moves.len() + passed.len();
        measured.extend(shapes(cx, at).map(|n| (in_front, n)));
        let frame = frame(axis, cx.facts.rank(at)?);
        let reader = view.uses(at).iter().map(|u| u.node).find_map(|n| {
            let (read, scale, shift) = affine::affine(cx.within(frame?), n)?;
            (read == at && scale.len() == channels).then_some((n, scale, shift))
        });
        if let Some((node, scale, shift)) = reader {
            let bias = found.affine.is_empty() && passed.is_empty() && scale.iter().all(|s| *s == 1.0);
            let worth = !bias && (found.rank > 2 || !passed.is_empty() || !found.moves.is_empty());
            if only.is_none() {
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
            found.moves.append(&mut passed);
            found.shapes.append(&mut measured);
            at = view.output(node)?;
            found.output = at;
            continue;
        }
        let Some(node) = only else { break };
        let Some((value, place)) = view.output(node).and_then(|v| Some((v, moved(cx, node, at, v, axis)?))) else {
            break;
        };
        passed.push(node);
        (at, axis) = (value, place);
    }
    gains.then_some(Ok(found))
}

/// Where the channels stand among so many axes; `None` where nothing reads them as channels.
fn frame(axis: usize, rank: usize) -> Option<Frame> {
    match axis {
        _ if axis + 1 == rank => Some(Frame::ChannelsLast),
        1 => Some(Frame::ChannelsFirst),
        _ => None,
    }
}

/// The axis of the channels in `value`, that `node` makes of `input`, where they stand on `axis`; `None` where it does more than to number
/// rows or to move axes.
fn moved(cx: Context<'_>, node: NodeId, input: ValueId, value: ValueId, axis: usize) -> Option<usize> {
    let rank = cx.facts.rank(input)?;
    match cx.view.op(node) {
        "Transpose" => Perm::of(cx, node).map(|perm| perm.place(axis)),
        _ if axis + 1 == rank => Rows::new(cx, node, input, value).and_then(|_| cx.facts.rank(value)?.checked_sub(1)),
        _ => None,
    }
}

/// What asks for the sizes of `value`: the constants behind it do not change them.
fn shapes(cx: Context<'_>, value: ValueId) -> impl Iterator<Item = NodeId> {
    cx.view.uses(value).iter().map(|u| u.node).filter(move |n| cx.view.op(*n) == "Shape")
}

/// The only node that reads the numbers of `value`, where nothing else does.
fn only_reader(cx: Context<'_>, value: ValueId) -> Option<NodeId> {
    let view = cx.view;
    let mut readers = view.uses(value).iter().filter(|u| view.op(u.node) != "Shape");
    let only = readers.next().filter(|_| readers.next().is_none())?;
    (!view.is_output(value) && !view.is_captured(value)).then_some(only.node)
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
        let mut last = match self.moves.is_empty() {
            true => output.to_owned(),
            false => emit.fresh(&format!("{}_scaled", view.name(view.output(self.layer)?))),
        };
        emit.conv(node.name(), view.name(self.dense.weight), &kernel, &Geometry::pointwise(0), input, &last);
        self.measure(cx, &mut emit, 0, &last)?;
        for (i, moves) in self.moves.iter().enumerate() {
            let next = match i + 1 == self.moves.len() {
                true => output.to_owned(),
                false => emit.fresh(view.name(view.output(*moves)?)),
            };
            emit.reread(view.node(*moves), 0, &last, &next)?;
            self.measure(cx, &mut emit, i + 1, &next)?;
            last = next;
        }
        Some(emit.edits)
    }

    /// Each `Shape` behind so many of `moves` asks for the sizes of `tensor`.
    fn measure(&self, cx: Context<'_>, emit: &mut Emit<'_>, in_front: usize, tensor: &str) -> Option<()> {
        let mut here = self.shapes.iter().filter(|(i, _)| *i == in_front);
        here.try_for_each(|(_, n)| emit.reread(cx.view.node(*n), 0, tensor, cx.view.name(cx.view.output(*n)?)))
    }

    /// All nodes that the edit removes.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        let measured = self.shapes.iter().map(|(_, n)| n);
        [self.layer].into_iter().chain(self.affine.iter().chain(&self.moves).chain(measured).copied())
    }

    fn kernel(&self, cx: Context<'_>) -> Option<Kernel> {
        let mut kernel = self.dense.kernel(cx.facts, 0)?.then_affine(&self.scale, &self.shift);
        if !kernel.is_biased() {
            kernel.bias = None;
        }
        Some(kernel)
    }
}
