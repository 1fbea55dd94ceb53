//! Linear layers on the last axis: `MatMul` with a constant matrix behind the data, and `Gemm`. Over rows of channels
//! such a layer is a convolution without spatial axes; it is widened like any other and written as a layer again.

use ndarray::Ix2;

use crate::algebra::Kernel;
use crate::facts::Facts;
use crate::graph::{NodeId, ValueId};

use super::affine::{BROADCASTS_SINCE, along};
use super::context::Context;

/// `y = alpha * x W + beta * b`.
pub(crate) struct Layer {
    /// The `MatMul` or `Gemm`.
    pub node: NodeId,
    /// `[in, out]`, or `[out, in]` where it is transposed.
    pub weight: ValueId,
    /// Channels in and out.
    pub channels: (usize, usize),
    bias: Option<ValueId>,
    transposed: bool,
    alpha: f64,
    beta: f64,
}

impl Layer {
    /// Reads `node`, when its input is known to have as many channels as the matrix asks for.
    pub(crate) fn new(cx: Context<'_>, node: NodeId) -> Option<Self> {
        let layer = Self::given(cx, node)?;
        (cx.channels(cx.view.input(node, 0)?) == Some(layer.channels.0)).then_some(layer)
    }

    /// Reads `node` whatever its input is (ONNX `MatMul`; `Gemm` since opset 7, before which a bias did not broadcast). `None` when it is no
    /// layer on the last axis, or when its weights are no constants.
    pub(crate) fn given(cx: Context<'_>, node: NodeId) -> Option<Self> {
        let (view, op) = (cx.view, cx.view.op(node));
        let gemm = op == "Gemm" && view.attr_i(node, "transA").unwrap_or(0) == 0;
        if view.opset() < BROADCASTS_SINCE || !gemm && op != "MatMul" {
            return None;
        }
        let weight = view.input(node, 1)?;
        let transposed = gemm && view.attr_i(node, "transB").unwrap_or(0) != 0;
        let [rows, columns] = cx.facts.constant_shape(weight)?.try_into().ok()?;
        let channels = if transposed { (columns, rows) } else { (rows, columns) };
        let empty = channels.0 == 0 || channels.1 == 0;
        if empty || !cx.facts.is_constant(weight) {
            return None;
        }
        let factor = |name| if gemm { view.attr_f(node, name).map_or(1.0, f64::from) } else { 1.0 };
        let (alpha, beta) = (factor("alpha"), factor("beta"));
        let layer = Self { node, weight, channels, bias: None, transposed, alpha, beta };
        layer.biased(cx, if gemm { view.input(node, 2) } else { None })
    }

    /// The same with a bias, which must be a constant with one value a channel.
    pub(crate) fn biased(self, cx: Context<'_>, bias: Option<ValueId>) -> Option<Self> {
        let layer = Self { bias, ..self };
        layer.bias_values(cx.facts).map(|_| layer)
    }

    /// The axis of the matrix along which the channels out stand.
    pub(crate) fn output_axis(&self) -> usize {
        usize::from(!self.transposed)
    }

    fn bias_values(&self, facts: &Facts<'_>) -> Option<Option<Vec<f64>>> {
        let Some(bias) = self.bias else { return Some(None) };
        let constant = facts.constant(bias)?;
        // Whatever it broadcasts against: only its last axis may have more than one entry.
        let rank = constant.data.ndim().max(1);
        let values = along(&constant.data, self.channels.1, rank, rank - 1)?;
        Some(Some(values.iter().map(|b| self.beta * b).collect()))
    }

    /// Weights and bias over `axes` spatial axes. `None` when they are no constants after all.
    pub(crate) fn kernel(&self, facts: &Facts<'_>, axes: usize) -> Option<Kernel> {
        let matrix = facts.constant(self.weight)?.data.clone().into_dimensionality::<Ix2>().ok()?;
        let matrix = if self.transposed { matrix } else { matrix.reversed_axes() };
        Kernel::pointwise(matrix * self.alpha, self.bias_values(facts)?, axes)
    }
}
