//! `Conv` on a branch: the operator that reserves, passes and merges.

use crate::algebra::{Geometry, Kernel};
use crate::facts::{ConvSpec, Facts};
use crate::graph::{NodeId, ValueId};
use crate::residual::reject::{Reject, RejectCode};

use super::{Context, Reading, Step};

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
    /// The window.
    pub window: Geometry,
    weights: Option<(ValueId, Option<ValueId>)>,
    affine: Vec<(Vec<f64>, Vec<f64>)>,
}

impl BranchConv {
    /// A 1x1 identity to insert: it duplicates the fork, or merges behind a branch that ends in an activation.
    #[must_use]
    pub fn inserted(name: &str, channels: usize, axes: usize) -> Self {
        Self {
            node: None,
            name: name.to_owned(),
            weight_name: format!("{name}_weight"),
            channels: (channels, channels),
            group: channels,
            window: Geometry::pointwise(axes),
            weights: None,
            affine: Vec::new(),
        }
    }

    /// Folds `y = scale * out + shift` behind it.
    pub fn push_affine(&mut self, scale: Vec<f64>, shift: Vec<f64>) {
        self.affine.push((scale, shift));
    }

    /// Weights of the body, affine maps folded in. `None` when they are not constant.
    #[must_use]
    pub fn kernel(&self, facts: &Facts<'_>) -> Option<Kernel> {
        let base = match self.weights {
            None => Kernel::identity(self.channels.0, self.window.axes()),
            Some((weight, bias)) => {
                let bias = match bias {
                    Some(b) => Some(facts.constant(b)?.data.iter().copied().collect()),
                    None => None,
                };
                Kernel { weight: facts.constant(weight)?.data.clone(), bias, group: self.group }
            }
        };
        Some(self.affine.iter().fold(base, |k, (scale, shift)| k.then_affine(scale, shift)))
    }

    /// Number of taps.
    #[must_use]
    pub fn taps(&self) -> usize {
        self.window.kernel.iter().product()
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

pub(crate) fn read(cx: Context<'_>, node: NodeId, _: ValueId) -> Option<Result<Vec<Reading>, Reject>> {
    if cx.view.op(node) != "Conv" {
        return None;
    }
    let input = cx.view.input(node, 0)?;
    Some(branch_conv(cx, node).map(|conv| vec![Reading { step: Step::Conv(Box::new(conv)), input }]))
}

/// Normalises the convolution at `node`.
pub(crate) fn branch_conv(cx: Context<'_>, node: NodeId) -> Result<BranchConv, Reject> {
    let spec = ConvSpec::new(cx.view, cx.facts, node)
        .map_err(|e| Reject::at(cx.view, node, RejectCode::BadConvolution, e.to_string()))?;
    for value in std::iter::once(spec.weight).chain(spec.bias) {
        if cx.facts.constant(value).is_none() {
            let reason = "the weight is not a constant: it depends on data, or a caller may override it";
            return Err(Reject::tensor(cx.view, value, RejectCode::WeightNotConstant, reason)
                .hint("take the initializer out of the graph inputs"));
        }
    }
    Ok(BranchConv {
        node: Some(node),
        name: cx.view.node(node).name().to_owned(),
        weight_name: cx.view.name(spec.weight).to_owned(),
        channels: (spec.in_channels, spec.out_channels),
        group: spec.group,
        window: window(&spec),
        weights: Some((spec.weight, spec.bias)),
        affine: Vec::new(),
    })
}
