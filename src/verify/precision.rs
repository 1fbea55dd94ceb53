//! The float type a model computes in.

use half::{bf16, f16};

use crate::onnx::ModelProto;
use crate::onnx::tensor_proto::DataType;

use super::signature::Port;

/// A float type, narrowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precision {
    BFloat16,
    Float16,
    Float32,
    Float64,
}

impl Precision {
    pub(super) fn of(dtype: DataType) -> Option<Self> {
        Some(match dtype {
            DataType::Bfloat16 => Self::BFloat16,
            DataType::Float16 => Self::Float16,
            DataType::Float => Self::Float32,
            DataType::Double => Self::Float64,
            _ => return None,
        })
    }

    /// The narrowest float type of the inputs, outputs and weights of `model`: what its results can be trusted to.
    pub(super) fn of_model(model: &ModelProto) -> Self {
        let Some(graph) = &model.graph else { return Self::Float32 };
        let ports = graph.input.iter().chain(&graph.output).filter_map(|v| Port::new(v).dtype);
        let weights = graph.initializer.iter().filter_map(|t| DataType::try_from(t.data_type()).ok());
        ports.chain(weights).filter_map(Self::of).min().unwrap_or(Self::Float32)
    }

    /// Distance from 1 to the next number.
    pub(super) fn epsilon(self) -> f64 {
        match self {
            Self::BFloat16 => bf16::EPSILON.to_f64(),
            Self::Float16 => f16::EPSILON.to_f64(),
            Self::Float32 => f64::from(f32::EPSILON),
            Self::Float64 => f64::EPSILON,
        }
    }

    /// The nearest number of this type.
    pub(super) fn round(self, value: f64) -> f64 {
        match self {
            Self::BFloat16 => bf16::from_f64(value).to_f64(),
            Self::Float16 => f16::from_f64(value).to_f64(),
            Self::Float32 => f64::from(value as f32),
            Self::Float64 => value,
        }
    }

    /// A large value that leaves a network of this type room before it overflows.
    pub(super) fn large(self) -> f64 {
        match self {
            // Range to 65504.
            Self::Float16 => 64.0,
            _ => 1e4,
        }
    }

    /// The element type.
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::BFloat16 => DataType::Bfloat16,
            Self::Float16 => DataType::Float16,
            Self::Float32 => DataType::Float,
            Self::Float64 => DataType::Double,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BFloat16 => "bfloat16",
            Self::Float16 => "float16",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
        }
    }
}
