//! `Conv`, and pools that are convolutions. On a branch it is the operator that reserves, passes and merges.

use std::rc::Rc;

use crate::algebra::{Geometry, Kernel, compose};
use crate::facts::{ConvSpec, Dim, Facts, Grid};
use crate::graph::{NodeId, ValueId};
use crate::options::{Groups, Target};

use super::context::Context;
use super::layer::Layer;
use super::reject::{Reject, RejectCode};

/// A convolution of the branch with the per-channel affine maps behind it.
pub struct BranchConv {
    /// Its node; `None` for one that the rewrite inserts.
    pub node: Option<NodeId>,
    /// Name for the new node.
    pub name: String,
    /// Name for the new weights.
    pub weight_name: String,
    /// Body channels in and out.
    pub channels: (usize, usize),
    /// Groups.
    pub group: usize,
    /// The window, `Pad` operators in front of it counted in.
    pub window: Geometry,
    /// What such operators add at the begin and the end of each spatial axis.
    lead: Vec<(usize, usize)>,
    source: Source,
    /// What its kernel is composed with, in front.
    first: Option<Box<BranchConv>>,
    affine: Vec<(Vec<f64>, Vec<f64>)>,
}

/// Where the weights come from.
enum Source {
    /// The identity.
    Identity,
    /// The average over the window.
    Average,
    /// Constants of the model: weight and bias.
    Given(ValueId, Option<ValueId>),
    /// A linear layer.
    Layer(Layer),
}

impl BranchConv {
    /// A 1x1 identity to insert: it duplicates the fork, or merges behind a branch that ends in an activation.
    #[must_use]
    pub fn inserted(name: &str, channels: usize, axes: usize) -> Self {
        let window = Geometry::pointwise(axes);
        Self::depthwise(None, name, channels, window, Source::Identity)
    }

    fn depthwise(node: Option<NodeId>, name: &str, channels: usize, window: Geometry, source: Source) -> Self {
        Self {
            node,
            name: name.to_owned(),
            weight_name: format!("{name}_weight"),
            channels: (channels, channels),
            group: channels,
            lead: vec![(0, 0); window.axes()],
            window,
            source,
            first: None,
            affine: Vec::new(),
        }
    }

    /// A linear layer at every position of `axes` spatial axes.
    pub(crate) fn layer(cx: Context<'_>, layer: Layer, axes: usize) -> Self {
        let (channels, weight_name) = (layer.channels, cx.view.name(layer.weight).to_owned());
        let (name, window) = (cx.view.node(layer.node).name(), Geometry::pointwise(axes));
        let conv = Self::depthwise(Some(layer.node), name, channels.1, window, Source::Layer(layer));
        Self { channels, group: 1, weight_name, ..conv }
    }

    /// Counts in a `Pad` in front of it.
    pub fn push_padding(&mut self, added: &[(usize, usize)]) {
        for (axis, (begin, end)) in added.iter().enumerate().take(self.window.axes()) {
            self.window.pad_begin[axis] += begin;
            self.window.pad_end[axis] += end;
            self.lead[axis].0 += begin;
            self.lead[axis].1 += end;
        }
    }

    /// True when what stands around its input is not all zeros of its own.
    #[must_use]
    pub fn is_padded_before(&self) -> bool {
        self.lead.iter().any(|l| *l != (0, 0))
    }

    /// `window` (its own, or a larger one) without what `Pad` operators in front of it add.
    #[must_use]
    pub fn own_window(&self, window: &Geometry) -> Option<Geometry> {
        let mut own = window.clone();
        for (axis, (begin, end)) in self.lead.iter().enumerate() {
            own.pad_begin[axis] = own.pad_begin[axis].checked_sub(*begin)?;
            own.pad_end[axis] = own.pad_end[axis].checked_sub(*end)?;
        }
        Some(own)
    }

    /// Drops entries of its output at the ends of the spatial axes. `false` when its padding does not allow it.
    #[must_use]
    pub fn crop(&mut self, crop: &[(usize, usize)]) -> bool {
        let mut window = self.window.clone();
        for (axis, (begin, end)) in crop.iter().enumerate() {
            let cut = |pads: &mut Vec<usize>, by: usize| {
                pads.get_mut(axis).and_then(|p| p.checked_sub(by).map(|less| *p = less)).is_some()
            };
            let free = (*begin, *end) == (0, 0);
            let unit = window.stride.get(axis) == Some(&1);
            if !(free || unit && cut(&mut window.pad_begin, *begin) && cut(&mut window.pad_end, *end)) {
                return false;
            }
        }
        let fits = self.own_window(&window).is_some();
        if fits {
            self.window = window;
        }
        fits
    }

    /// Takes over what is done right in front of it. Both must be pointwise: a border would tell them apart.
    pub fn compose_with(&mut self, first: Self) {
        self.channels.0 = first.channels.0;
        self.first = Some(Box::new(first));
    }

    /// Folds `y = scale * out + shift` behind it.
    pub fn push_affine(&mut self, scale: Vec<f64>, shift: Vec<f64>) {
        self.affine.push((scale, shift));
    }

    /// Weights of the body, affine maps folded in. `None` when they are not constant.
    #[must_use]
    pub fn kernel(&self, facts: &Facts<'_>) -> Option<Kernel> {
        let base = match &self.source {
            Source::Identity => Kernel::identity(self.channels.0, self.window.axes()),
            Source::Average => compose::average(self.channels.0, &self.window)?,
            Source::Given(weight, bias) => {
                // Large weights are kept nowhere else, so this is no copy.
                let weight = Rc::unwrap_or_clone(facts.constant(*weight)?).data;
                Kernel { weight, bias: values(facts, *bias)?, group: self.group }
            }
            Source::Layer(layer) => layer.kernel(facts, self.window.axes())?,
        };
        let window = &self.window;
        let base = match &self.first {
            Some(first) => compose::compose(&first.kernel(facts)?, window, &base, window, window)?,
            None => base,
        };
        Some(self.affine.iter().fold(base, |k, (scale, shift)| k.then_affine(scale, shift)))
    }

    /// The grid that its weights are on, where these are stored as small integers and `target` takes such.
    #[must_use]
    pub fn grid(&self, facts: &Facts<'_>, target: &Target) -> Option<Grid> {
        let Source::Given(weight, _) = self.source else { return None };
        let takes = target.takes("DequantizeLinear") && target.groups() == Groups::Any;
        facts.grid(weight).filter(|_| takes && self.first.is_none())
    }

    /// True when it carries channels already: an earlier removal widened it.
    #[must_use]
    pub fn carries(&self, facts: &Facts<'_>) -> bool {
        matches!(self.source, Source::Given(..) | Source::Layer(_)) && self.kernel(facts).is_some_and(|k| k.carries())
    }

    /// True for a convolution of the model, which a target that runs it takes as it is.
    #[must_use]
    pub fn is_given(&self) -> bool {
        matches!(self.source, Source::Given(..))
    }

    /// Body channels in and out of one group.
    #[must_use]
    pub fn group_channels(&self) -> (usize, usize) {
        let group = self.group.max(1);
        (self.channels.0 / group, self.channels.1 / group)
    }

    /// In how many groups it may be written with `inputs` channels in front, where it splits into `finest`: as many where the target
    /// takes such, or it has such groups itself; else in one.
    #[must_use]
    pub fn groups(&self, target: &Target, finest: usize, inputs: usize) -> usize {
        let is_own = Groups::of(self.group, self.channels.0) == Groups::of(finest, inputs);
        let own = self.is_given() && is_own;
        if own || target.groups().has(finest, inputs) { finest } else { 1 }
    }

    /// Weights of the body.
    #[must_use]
    pub fn weights(&self) -> usize {
        self.group_channels().0.saturating_mul(self.channels.1).saturating_mul(self.window.taps())
    }
}

/// The entries of an optional bias.
fn values(facts: &Facts<'_>, bias: Option<ValueId>) -> Option<Option<Vec<f64>>> {
    match bias {
        Some(b) => Some(Some(facts.constant(b)?.data.iter().copied().collect())),
        None => Some(None),
    }
}

/// The window of a normalised convolution.
pub(crate) fn window(spec: &ConvSpec) -> Geometry {
    Geometry {
        kernel: spec.kernel.clone(),
        stride: spec.stride.clone(),
        dilation: spec.dilation.clone(),
        pad_begin: spec.pad_begin.clone(),
        pad_end: spec.pad_end.clone(),
    }
}

/// Reads the convolution, or the pool that is one, which computes `value`. `None` when it is neither.
pub(crate) fn read(cx: Context<'_>, node: NodeId, value: ValueId) -> Option<Result<BranchConv, Reject>> {
    match cx.view.op(node) {
        _ if !cx.is_channels_first() => None,
        "Conv" => Some(branch_conv(cx, node)),
        "AveragePool" | "MaxPool" => {
            let window = pool(cx, node, value)?;
            let channels = cx.channels(cx.view.input(node, 0)?)?;
            Some(Ok(BranchConv::depthwise(Some(node), cx.view.node(node).name(), channels, window, Source::Average)))
        }
        _ => None,
    }
}

/// The layer at `node`, when the channels stand on the last axis.
pub(crate) fn branch_layer(cx: Context<'_>, node: NodeId) -> Option<BranchConv> {
    let layer = if cx.is_channels_first() { None } else { Layer::new(cx, node) };
    Some(BranchConv::layer(cx, layer?, 0))
}

/// Normalises the convolution at `node`.
pub(crate) fn branch_conv(cx: Context<'_>, node: NodeId) -> Result<BranchConv, Reject> {
    let spec = ConvSpec::new(cx.view, cx.facts, node)
        .map_err(|e| Reject::at(cx.view, node, RejectCode::BadConvolution, e.to_string()))?;
    for value in std::iter::once(spec.weight).chain(spec.bias) {
        if !cx.facts.is_constant(value) {
            let reason =
                "the weight is not a constant: it depends on data, or is computed in a way that is not evaluated";
            return Err(Reject::tensor(cx.view, value, RejectCode::WeightNotConstant, reason));
        }
    }
    Ok(BranchConv {
        node: Some(node),
        name: cx.view.node(node).name().to_owned(),
        weight_name: cx.view.name(spec.weight).to_owned(),
        channels: (spec.in_channels, spec.out_channels),
        group: spec.group,
        lead: vec![(0, 0); spec.kernel.len()],
        window: window(&spec),
        source: Source::Given(spec.weight, spec.bias),
        first: None,
        affine: Vec::new(),
    })
}

/// Most taps of a pool that is read as a convolution: it would have a weight for each, where the pool has none.
const MAX_TAPS: usize = 1 << 12;

/// Largest kernel, stride, dilation or pad of a pool; keeps sums and products of two far from overflow.
const MAX_SIZE: usize = 1 << 24;

/// The window of a pool (ONNX, opsets 7 to 22) that computes `value` and averages over it, and is thus a depthwise
/// convolution: an `AveragePool` that divides by its full size everywhere, or a `MaxPool` over one entry, of which both
/// take every n-th.
pub(crate) fn pool(cx: Context<'_>, node: NodeId, value: ValueId) -> Option<Geometry> {
    let (view, input) = (cx.view, cx.view.input(node, 0)?);
    let number = |x: &i64| usize::try_from(*x).ok().filter(|n| *n <= MAX_SIZE);
    let count = |v: &[i64]| v.iter().map(number).collect::<Option<Vec<usize>>>();
    let kernel = count(view.attr_ints(node, "kernel_shape")?)?;
    let axes = kernel.len();
    let list = |name: &str, default: usize, n: usize| match view.attr_ints(node, name) {
        Some(v) => count(v).filter(|v| v.len() == n),
        None => Some(vec![default; n]),
    };
    let stride = list("strides", 1, axes)?;
    let dilation = list("dilations", 1, axes)?;
    let pads = list("pads", 0, 2 * axes)?;
    let taps = kernel.iter().try_fold(1_usize, |n, k| n.checked_mul(*k)).filter(|n| *n <= MAX_TAPS);
    if taps.is_none() || kernel.iter().chain(&stride).chain(&dilation).any(|n| *n == 0) {
        return None;
    }
    let one = kernel.iter().all(|n| *n == 1);
    // SAME padding adds nothing to a window of one entry.
    let pads_itself = matches!(view.attr_s(node, "auto_pad"), Some(b"SAME_UPPER" | b"SAME_LOWER"));
    // The second output of a `MaxPool` is no image.
    if pads_itself && !one || view.op(node) == "MaxPool" && (!one || view.output(node) != Some(value)) {
        return None;
    }
    let padded = pads.iter().any(|p| *p > 0);
    if padded && (view.op(node) == "MaxPool" || view.attr_i(node, "count_include_pad").unwrap_or(0) == 0) {
        return None;
    }
    let window =
        Geometry { kernel, stride, dilation, pad_begin: pads[..axes].to_vec(), pad_end: pads[axes..].to_vec() };
    if view.attr_i(node, "ceil_mode").unwrap_or(0) != 0 {
        // The last window must end inside: else the pool divides by fewer entries there.
        let shape = cx.facts.shape(input)?;
        for axis in 0..axes {
            let Some(Dim::Known(n)) = shape.get(axis + 2) else { return None };
            if (n + window.growth(axis) - 1).rem_euclid(window.stride[axis] as i64) != 0 {
                return None;
            }
        }
    }
    Some(window)
}
