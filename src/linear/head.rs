//! A head of average pooling over the whole map and a linear layer as one convolution: `W mean(x) + b` is a convolution without
//! padding whose kernel is as large as the map, each tap `W / taps`. And a `Reshape` to rows of images as the `Flatten` that it is.
//! Both are for runtimes that know neither such pools nor shapes as data; the convolution multiplies more.

use ndarray::{ArrayD, IxDyn};

use crate::algebra::{Geometry, Kernel};
use crate::emit::{Emit, int};
use crate::facts::{Dim, tensor};
use crate::graph::{EditList, Names, NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::read::layer::Layer;
use crate::read::{Context, Reject, RejectCode};

use super::{dense, flatten};

/// A pool over the whole map, what lays its entries out as rows, and a linear layer.
pub struct Head {
    /// The linear layer.
    pub layer: NodeId,
    /// The pool.
    pub pool: NodeId,
    /// What stands between, the last first.
    between: Vec<NodeId>,
    input: ValueId,
    /// Entries of the map along each spatial axis.
    map: Vec<usize>,
    dense: Layer,
    dtype: DataType,
}

/// The head that ends at the linear layer `layer`.
///
/// # Errors
/// Why it stays, where one stands there.
#[must_use]
pub fn find(cx: Context<'_>, layer: NodeId) -> Option<Result<Head, Reject>> {
    let view = cx.view;
    let dense = dense::read(cx, layer)?.ok()?;
    let dtype = cx.facts.float_type([view.output(layer)?, view.input(layer, 0)?])?;
    let (mut at, mut between, mut shared) = (view.input(layer, 0)?, Vec::new(), None);
    loop {
        shared = shared.or((!view.is_private(at)).then_some(at));
        let node = view.def(at)?;
        let Some((input, map)) = pooled(cx, node) else {
            at = flatten::carried(cx, node, at, dense.channels.0)?;
            between.push(node);
            continue;
        };
        if cx.facts.channels(input) != Some(dense.channels.0) {
            return None;
        }
        if let Some(value) = shared {
            let reason = "it is an output of the graph, or something else reads it";
            return Some(Err(Reject::tensor(view, value, RejectCode::ReadElsewhere, reason)));
        }
        let Some(map) = map else {
            let reason = "how large the map is that the pool averages is not known";
            return Some(Err(Reject::tensor(view, input, RejectCode::SizeUnknown, reason)));
        };
        let weights = map.iter().fold(dense.channels.0.saturating_mul(dense.channels.1), |n, m| n.saturating_mul(*m));
        if weights > cx.most_weights {
            let reason = cx.too_large("as a convolution it", weights);
            return Some(Err(Reject::at(view, layer, RejectCode::TooLarge, reason)));
        }
        return Some(Ok(Head { layer, pool: node, between, input, map, dense, dtype }));
    }
}

/// The input of `node`, when that averages over all of a map's entries, and how many those are along each spatial axis, if known.
fn pooled(cx: Context<'_>, node: NodeId) -> Option<(ValueId, Option<Vec<usize>>)> {
    let view = cx.view;
    let input = view.input(node, 0).filter(|v| cx.facts.is_data(*v))?;
    let spatial = cx.facts.shape(input)?.get(2..).filter(|s| !s.is_empty())?;
    let known = |d: &Dim| d.known().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let map: Option<Vec<usize>> = spatial.iter().map(known).collect();
    match view.op(node) {
        "GlobalAveragePool" => Some((input, map)),
        // Without padding every entry counts once, whatever else is said.
        "AveragePool" => {
            let all = |name: &str, value: i64| view.attr_ints(node, name).is_none_or(|v| v.iter().all(|n| *n == value));
            let explicit = matches!(view.attr_s(node, "auto_pad"), None | Some(b"NOTSET" | b"VALID"));
            let kernel = view.attr_ints(node, "kernel_shape")?;
            let whole = map.as_ref()?.iter().map(|n| *n as i64).eq(kernel.iter().copied());
            (whole && explicit && all("pads", 0) && all("dilations", 1)).then_some((input, map))
        }
        "ReduceMean" => {
            let rank = spatial.len() as i64 + 2;
            let mut axes: Vec<i64> = match view.input(node, 1) {
                Some(axes) => cx.facts.constant(axes)?.data.iter().map(|a| *a as i64).collect(),
                None => view.attr_ints(node, "axes")?.to_vec(),
            };
            axes.iter_mut().filter(|a| **a < 0).for_each(|a| *a += rank);
            axes.sort_unstable();
            (2..rank).eq(axes).then_some((input, map))
        }
        _ => None,
    }
}

impl Head {
    /// All nodes that the edit removes.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.between.iter().copied().chain([self.pool, self.layer])
    }

    /// Weights before and after.
    #[must_use]
    pub fn weights(&self) -> (usize, usize) {
        let before = self.dense.channels.0 * self.dense.channels.1;
        (before, before * self.map.iter().product::<usize>())
    }

    /// The edit. `None` when a constant could not be read, or does not fit its type.
    #[must_use]
    pub fn build(&self, cx: Context<'_>, names: &mut Names) -> Option<EditList> {
        let (view, axes) = (cx.view, self.map.len());
        let kernel = self.kernel(cx)?;
        if !tensor::fits(self.dtype, kernel.weight.iter().chain(kernel.bias.iter().flatten())) {
            return None;
        }
        let node = view.node(self.layer);
        let mut emit = Emit::new(names, self.dtype, axes, format!("sequence: {}", node.name()));
        emit.edits.remove = self.nodes().collect();
        let window = Geometry { kernel: self.map.clone(), ..Geometry::pointwise(axes) };
        let output = view.name(view.output(self.layer)?);
        let map = emit.fresh(&format!("{output}_map"));
        emit.conv(node.name(), view.name(self.dense.weight), &kernel, &window, view.name(self.input), &map);
        emit.node("Flatten", &format!("{}_flatten", node.name()), &[&map], output, vec![int("axis", 1)]);
        Some(emit.edits)
    }

    /// The matrix once for each entry of the map, over their number.
    fn kernel(&self, cx: Context<'_>) -> Option<Kernel> {
        let kernel = self.dense.kernel(cx.facts, self.map.len())?;
        let taps = self.map.iter().product::<usize>() as f64;
        let mut shape = kernel.weight.shape().get(..2)?.to_vec();
        shape.extend(&self.map);
        let weight: ArrayD<f64> = kernel.weight.broadcast(IxDyn(&shape))?.mapv(|w| w / taps);
        Some(Kernel { weight, ..kernel })
    }
}

/// The `Flatten` that takes the place of the `Reshape` `node`, where that is one: each row has all entries of an image.
#[must_use]
pub fn flattened(cx: Context<'_>, node: NodeId, names: &mut Names) -> Option<EditList> {
    let view = cx.view;
    let (input, output) = (view.input(node, 0)?, view.output(node)?);
    let rows = cx.facts.rank(output) == Some(2) && cx.facts.is_data(input);
    let entries = |v| flatten::entries(cx, v).filter(|n| *n > 0);
    if view.op(node) != "Reshape" || !rows || entries(input)? != entries(output)? {
        return None;
    }
    let name = view.node(node).name();
    let mut emit = Emit::new(names, DataType::Float, 0, format!("sequence: {name}"));
    emit.edits.remove = vec![node];
    emit.node("Flatten", name, &[view.name(input)], view.name(output), vec![int("axis", 1)]);
    Some(emit.edits)
}
