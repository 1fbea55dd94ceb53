//! A linear layer on vectors: `Gemm`, and `MatMul` with a matrix, both by a constant.
//!
//! `Gemm` computes `alpha * A B + beta * C` (ONNX `Gemm`, opset 7); a row of `A` is one image. There is no window and so no
//! border: such a layer is a convolution over no spatial axis, and folds wherever channel counts fit.

use ndarray::{Array2, Ix2};

use crate::algebra::Kernel;
use crate::graph::{NodeId, ValueId};
use crate::residual::pass::affine;
use crate::residual::{Context, Reject, RejectCode};

/// A linear layer.
pub struct Dense {
    /// Its matrix.
    pub weight: ValueId,
    /// Features in.
    pub inputs: usize,
    /// Features out.
    pub outputs: usize,
    /// The axis of the matrix along which the features out stand.
    pub output_axis: usize,
    alpha: f64,
    bias: Vec<f64>,
}

impl Dense {
    /// Reads `node`. `None` when it is no product of vectors of data and a matrix that the data does not change.
    ///
    /// # Errors
    /// A [`Reject`] when the matrix or the bias is no constant, or the bias not one value an output channel.
    pub fn read(cx: Context<'_>, node: NodeId) -> Option<Result<Self, Reject>> {
        let view = cx.view;
        let (input, weight) = (view.input(node, 0)?, view.input(node, 1)?);
        let flag = |name: &str| view.attr_i(node, name).unwrap_or(0) != 0;
        let transposed = match view.op(node) {
            "Gemm" if view.opset() >= 7 && !flag("transA") => flag("transB"),
            "MatMul" if cx.facts.rank(input) == Some(2) => false,
            _ => return None,
        };
        if !cx.facts.is_data(input) || cx.facts.is_data(weight) {
            return None;
        }
        let refuse = |reason: &str| Some(Err(Reject::at(view, node, RejectCode::WeightNotConstant, reason)));
        let output_axis = usize::from(!transposed);
        let shape = cx.facts.constant_shape(weight).filter(|_| cx.facts.is_constant(weight));
        let Some([rows, columns]) = shape.as_deref() else {
            return refuse("its matrix is not a constant, or a caller may override it");
        };
        let (inputs, outputs) = if transposed { (*columns, *rows) } else { (*rows, *columns) };
        if inputs == 0 || outputs == 0 || cx.facts.channels(input).is_some_and(|n| n != inputs) {
            let reason = format!("the matrix asks for {inputs} features, or has none, or the input has others");
            return Some(Err(Reject::at(view, node, RejectCode::BadConvolution, reason)));
        }
        let bias = match view.input(node, 2).filter(|_| view.op(node) == "Gemm") {
            Some(c) => {
                let Some(values) = cx.facts.constant(c) else {
                    return refuse("its bias is not a constant, or a caller may override it");
                };
                let Some(values) = affine::per_channel(&values.data, outputs, 2) else {
                    return refuse("its bias does not have one value an output channel");
                };
                let beta = f64::from(view.attr_f(node, "beta").unwrap_or(1.0));
                values.iter().map(|v| v * beta).collect()
            }
            None => Vec::new(),
        };
        let alpha = f64::from(view.attr_f(node, "alpha").unwrap_or(1.0));
        Some(Ok(Self { weight, inputs, outputs, output_axis, alpha, bias }))
    }

    /// True when it adds something.
    #[must_use]
    pub fn is_biased(&self) -> bool {
        self.bias.iter().any(|b| *b != 0.0)
    }

    /// Weights `[out, in]` and bias. `None` when they cannot be read after all.
    #[must_use]
    pub fn kernel(&self, cx: Context<'_>) -> Option<Kernel> {
        let read = cx.facts.constant(self.weight)?;
        let matrix = read.data.view().into_dimensionality::<Ix2>().ok()?;
        let matrix = if self.output_axis == 0 { matrix } else { matrix.reversed_axes() };
        let matrix: Array2<f64> = matrix.mapv(|w| w * self.alpha);
        Kernel::pointwise(matrix, self.is_biased().then(|| self.bias.clone()), 0)
    }
}
