//! `BatchNormalization` at inference, as a per-channel affine map.

use crate::graph::{GraphView, NodeId};

use super::Facts;

/// `y = scale * x + shift`, per channel.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// `gamma / sqrt(var + epsilon)`.
    pub scale: Vec<f64>,
    /// `beta - mean * scale`.
    pub shift: Vec<f64>,
    /// The means: what is subtracted first, and so what rounding is measured against.
    pub mean: Vec<f64>,
}

impl BatchNorm {
    /// Reads the node (ONNX `BatchNormalization`, opsets 1 to 15). `None` when its statistics are those of the batch,
    /// when it gives them out, or when a constant is not known or not finite.
    ///
    /// Before opset 7 the node ran in training mode unless `is_test` was set; before opset 9 `spatial = 0` kept
    /// statistics for each position.
    #[must_use]
    pub fn new(view: &GraphView<'_>, facts: &Facts<'_>, node: NodeId) -> Option<Self> {
        let training = match view.opset() {
            7.. => view.attr_i(node, "training_mode").unwrap_or(0) != 0,
            _ => view.attr_i(node, "is_test").unwrap_or(0) == 0,
        };
        let extra = view.outputs(node).iter().skip(1).flatten().count() > 0;
        if training || extra || view.attr_i(node, "spatial").unwrap_or(1) != 1 {
            return None;
        }
        let read = |slot: usize| -> Option<Vec<f64>> {
            Some(facts.constant(view.input(node, slot)?)?.data.iter().copied().collect())
        };
        let (gamma, beta, mean, var) = (read(1)?, read(2)?, read(3)?, read(4)?);
        let n = gamma.len();
        if n == 0 || beta.len() != n || mean.len() != n || var.len() != n {
            return None;
        }
        let epsilon = f64::from(view.attr_f(node, "epsilon").unwrap_or(1e-5));
        let scale: Vec<f64> = gamma.iter().zip(&var).map(|(g, v)| g / (v + epsilon).sqrt()).collect();
        let shift: Vec<f64> = beta.iter().zip(&mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        let finite = scale.iter().chain(&shift).all(|v| v.is_finite());
        finite.then_some(Self { scale, shift, mean })
    }
}
