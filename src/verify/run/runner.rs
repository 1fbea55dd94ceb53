//! Runs a model in its own arithmetic, through tract's optimised path.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ndarray::ArrayD;
use prost::Message;
use tract_onnx::prelude::*;

use crate::onnx::ModelProto;
use crate::onnx::tensor_proto::DataType;

use super::inputs::{Feed, InputTensor};
use crate::verify::reference::Value;

/// What tract is given.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// A saved file, which tract reads and decodes itself, side files too.
    File(&'a Path),
    /// A model that is in no file.
    Memory(&'a ModelProto),
}

/// A model that is ready to run on inputs of fixed shapes.
pub(super) struct Runner {
    plan: Arc<TypedRunnableModel>,
    /// Name and type of each input, in tract's order.
    inputs: Vec<(String, DatumType)>,
}

/// True when tract has an operator of this name. It does not look at the domain.
pub(super) fn knows(op: &str) -> bool {
    tract_onnx::onnx().op_register.0.contains_key(op)
}

impl Runner {
    /// Loads and optimises the model for inputs of the shapes of `slots`.
    ///
    /// # Errors
    /// What tract says when it cannot.
    pub(super) fn new(source: Source<'_>, slots: &[InputTensor]) -> TractResult<Self> {
        // The shapes and types that exporters note down clash with the concrete ones of the inputs, or are wrong.
        let framework = tract_onnx::onnx()
            .with_ignore_value_info(true)
            .with_ignore_output_shapes(true)
            .with_ignore_output_types(true);
        let mut model = match source {
            Source::File(path) => framework.model_for_path(path)?,
            Source::Memory(proto) => framework.model_for_read(&mut proto.encode_to_vec().as_slice())?,
        };
        let facts: HashMap<&str, &InputTensor> = slots.iter().map(|s| (s.name.as_str(), s)).collect();
        let mut inputs = Vec::new();
        for (index, outlet) in model.input_outlets()?.to_vec().into_iter().enumerate() {
            let name = model.node(outlet.node).name.clone();
            let Some(slot) = facts.get(name.as_str()) else { return Err(format_err(&format!("no input '{name}'"))) };
            let dtype = datum_type(slot.dtype).ok_or_else(|| format_err(slot.dtype.as_str_name()))?;
            model.set_input_fact(index, InferenceFact::dt_shape(dtype, &slot.shape))?;
            inputs.push((name, dtype));
        }
        let plan = model.into_optimized()?.into_runnable()?;
        Ok(Self { plan, inputs })
    }

    /// Runs the model and returns its outputs in order. What `feed` has beyond the model's inputs is ignored.
    ///
    /// # Errors
    /// What tract says when it cannot.
    pub(super) fn run(&self, feed: &Feed) -> TractResult<Vec<Value>> {
        self.run_prepared(self.prepare(feed)?)?.iter().map(|t| value(t)).collect()
    }

    /// `feed` as tract takes it.
    ///
    /// # Errors
    /// When an input is missing, or no value of its type.
    pub(super) fn prepare(&self, feed: &Feed) -> TractResult<TVec<TValue>> {
        let mut inputs = tvec![];
        for (name, dtype) in &self.inputs {
            let value = feed.get(name).ok_or_else(|| format_err(&format!("input '{name}' was not given")))?;
            inputs.push(tensor(value, *dtype)?.into_tvalue());
        }
        Ok(inputs)
    }

    /// Runs the model on what [`Self::prepare`] made.
    ///
    /// # Errors
    /// What tract says when it cannot.
    pub(super) fn run_prepared(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.plan.run(inputs)
    }
}

fn format_err(message: &str) -> TractError {
    TractError::msg(message.to_owned())
}

fn datum_type(dtype: DataType) -> Option<DatumType> {
    Some(match dtype {
        DataType::Float => DatumType::F32,
        DataType::Float16 => DatumType::F16,
        DataType::Double => DatumType::F64,
        DataType::Bool => DatumType::Bool,
        DataType::Int8 => DatumType::I8,
        DataType::Int16 => DatumType::I16,
        DataType::Int32 => DatumType::I32,
        DataType::Int64 => DatumType::I64,
        DataType::Uint8 => DatumType::U8,
        DataType::Uint16 => DatumType::U16,
        DataType::Uint32 => DatumType::U32,
        DataType::Uint64 => DatumType::U64,
        _ => return None,
    })
}

fn tensor(value: &Value, dtype: DatumType) -> TractResult<Tensor> {
    fn build<T: Datum + Copy>(a: &ArrayD<T>) -> TractResult<Tensor> {
        let data: Vec<T> = a.iter().copied().collect();
        Tensor::from_shape(a.shape(), &data)
    }
    let tensor = match value {
        Value::F(a) => build(a)?,
        Value::I(a) => build(a)?,
        Value::B(a) => build(a)?,
    };
    Ok(tensor.cast_to_dt(dtype)?.into_owned())
}

fn value(tensor: &Tensor) -> TractResult<Value> {
    let dtype = tensor.datum_type();
    Ok(if dtype.is_float() {
        Value::F(tensor.cast_to::<f64>()?.to_plain_array_view::<f64>()?.to_owned())
    } else if dtype == DatumType::Bool {
        Value::B(tensor.to_plain_array_view::<bool>()?.to_owned())
    } else {
        Value::I(tensor.cast_to::<i64>()?.to_plain_array_view::<i64>()?.to_owned())
    })
}
