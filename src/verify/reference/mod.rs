//! Float64 reference evaluator: what a model computes, without any rounding but that of float64.
//!
//! It evaluates the graph as it stands, node by node, and can keep every intermediate tensor. All float types become
//! [`Value::F`], so a float16 or float32 model is computed as if its arithmetic were exact; only a `Cast` that stands in
//! it rounds. Written from the ONNX
//! operator specification; one file a group of operators, each with its table `OPERATORS` that `registry` searches.
//! It reads only the ONNX types and needs nothing else of this crate, so that a mistake elsewhere cannot hide in it.

mod activation;
mod binary;
mod budget;
mod call;
mod cast;
mod constant;
mod contrib;
mod control;
mod conv;
mod conv_transpose;
mod dims;
mod einsum;
mod error;
mod exec;
mod expand;
mod gemm;
mod index;
mod interpolate;
mod join;
mod logic;
mod matmul;
mod normalize;
mod pad;
mod pool;
mod quantize;
mod rank;
mod reduce;
mod registry;
mod resize;
mod scope;
mod sequence;
mod shape;
mod slice;
mod small;
mod softmax;
mod special;
mod tap;
mod tensor;
mod trace;
mod unary;
mod value;
mod window;

pub use error::EvalError;
pub use tap::Tap;
pub use trace::Trace;
pub use value::Value;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::onnx::ModelProto;
use crate::onnx::tensor_proto::DataType;

/// Evaluates the main graph of `model` and keeps every tensor that is a graph input, a node's output or a graph
/// output. `inputs` gives each graph input that is no initializer; an initializer that is also a graph input may be
/// given and is then overridden.
///
/// # Errors
/// [`EvalError`] names the node, its operator, the tensor and the condition that does not hold.
pub fn run(model: &ModelProto, inputs: &BTreeMap<String, Value>) -> Result<Trace, EvalError> {
    exec::run(model, inputs, None, None)
}

/// Like [`run`], but computes and keeps only what the `wanted` tensors need: others are freed after their last use.
/// A wanted tensor may be any tensor of the main graph, an initializer too.
///
/// # Errors
/// [`EvalError`], also when a wanted tensor is not in the graph.
pub fn run_to(model: &ModelProto, inputs: &BTreeMap<String, Value>, wanted: &[&str]) -> Result<Trace, EvalError> {
    exec::run(model, inputs, Some(wanted), None)
}

/// Like [`run_to`], and shows `tap` every tensor of the main graph that is computed or read on the way.
///
/// # Errors
/// As [`run_to`].
pub fn run_tapped(
    model: &ModelProto,
    inputs: &BTreeMap<String, Value>,
    wanted: &[&str],
    tap: &dyn Tap,
) -> Result<Trace, EvalError> {
    exec::run(model, inputs, Some(wanted), Some(tap))
}

/// `model` as it is evaluated: operators that ONNX Runtime has fused, and those on quantised tensors, are written out as nodes of
/// ONNX, in subgraphs and functions too. A model without any is borrowed. Tensors keep their names; new ones have names that
/// hold a control character.
#[must_use]
pub fn expanded(model: &ModelProto) -> Cow<'_, ModelProto> {
    expand::expanded(model)
}

/// True for the element types that a [`Value`] can hold.
#[must_use]
pub fn holds(dtype: DataType) -> bool {
    tensor::kind(dtype).is_some() || small::is_float(dtype) || small::is_integer(dtype)
}

/// Says, without running, whether every operator of `model` is known, at any depth.
///
/// # Errors
/// [`EvalError::UnknownOperator`] for the first node whose operator is not.
pub fn supports(model: &ModelProto) -> Result<(), EvalError> {
    exec::supports(model)
}
