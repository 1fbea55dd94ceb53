//! Reading a `TensorProto` exactly.

use half::{bf16, f16};

use crate::onnx::tensor_proto::DataType;
use crate::onnx::{SparseTensorProto, TensorProto};

use super::Value;
use super::dims;
use super::error::{EvalError, Fault, Outcome, fault};
use super::small;

impl TryFrom<&TensorProto> for Value {
    type Error = EvalError;

    /// Reads a tensor exactly, whichever field holds its content.
    fn try_from(tensor: &TensorProto) -> Result<Self, EvalError> {
        let failed = |f: Fault| EvalError::Tensor { tensor: tensor.name().to_owned(), condition: f.to_string() };
        read(tensor).map_err(failed)
    }
}

/// The value of `tensor`, whichever field holds it.
pub(super) fn read(tensor: &TensorProto) -> Outcome<Value> {
    let shape = dims::dims(&tensor.dims)?;
    let want = dims::count(&shape)?;
    let Some(dtype) = tensor.data_type.and_then(|t| DataType::try_from(t).ok()) else {
        return fault!("element type {} is not known", tensor.data_type.unwrap_or(0));
    };
    if small::is_integer(dtype) {
        let values = small::elements(tensor, dtype, want)?.into_iter().map(|v| small::integer(v, dtype)).collect();
        return Ok(Value::I(dims::array(&shape, values)?));
    }
    if small::is_float(dtype) {
        let values = small::elements(tensor, dtype, want)?.into_iter().map(|v| small::float(v, dtype)).collect();
        return Ok(Value::F(dims::array(&shape, values)?));
    }
    let raw = tensor.raw_data.as_ref().map_or(0, |r| r.len());
    if raw != 0 && raw != want * width(dtype) {
        return fault!("the shape asks for {want} elements, but it holds {raw} bytes");
    }
    match kind(dtype) {
        Some(ValueKind::Float) => Ok(Value::F(dims::array(&shape, checked(floats(tensor, dtype), want)?)?)),
        Some(ValueKind::Integer) => Ok(Value::I(dims::array(&shape, checked(integers(tensor, dtype), want)?)?)),
        Some(ValueKind::Bool) => {
            let bits = checked(integers(tensor, dtype), want)?;
            Ok(Value::B(dims::array(&shape, bits.into_iter().map(|v| v != 0).collect())?))
        }
        None => fault!("element type {} is not handled", dtype.as_str_name()),
    }
}

/// What a type becomes in a [`Value`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    Float,
    Integer,
    Bool,
}

/// The kind of `dtype`; `None` for types that are not handled.
pub(super) fn kind(dtype: DataType) -> Option<ValueKind> {
    Some(match dtype {
        DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16 => ValueKind::Float,
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Uint8
        | DataType::Uint16
        | DataType::Uint32
        | DataType::Uint64 => ValueKind::Integer,
        DataType::Bool => ValueKind::Bool,
        _ => return None,
    })
}

/// Bytes of an element in `raw_data`.
fn width(dtype: DataType) -> usize {
    match dtype {
        DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
        DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16 => 2,
        DataType::Int8 | DataType::Uint8 | DataType::Bool => 1,
        _ => 4,
    }
}

fn checked<T>(values: Vec<T>, want: usize) -> Outcome<Vec<T>> {
    if values.len() == want {
        Ok(values)
    } else {
        fault!("the shape asks for {want} elements, but it holds {}", values.len())
    }
}

/// Little-endian elements, of which the length is known to be right.
macro_rules! raw {
    ($raw:expr, $t:ty, $convert:expr) => {
        $raw.chunks_exact(size_of::<$t>())
            .map(|c| $convert(<$t>::from_le_bytes(c.try_into().unwrap_or_default())))
            .collect()
    };
}

fn floats(tensor: &TensorProto, dtype: DataType) -> Vec<f64> {
    let raw = tensor.raw_data.as_deref().unwrap_or_default();
    // Halves stand as bits in the low half of int32_data.
    let halves = |f: fn(u16) -> f64| tensor.int32_data.iter().map(|v| f(*v as u16)).collect();
    match (dtype, raw.is_empty()) {
        (DataType::Double, false) => raw!(raw, f64, |v| v),
        (DataType::Double, true) => tensor.double_data.clone(),
        (DataType::Float16, false) => raw!(raw, u16, |v| f16::from_bits(v).to_f64()),
        (DataType::Float16, true) => halves(|v| f16::from_bits(v).to_f64()),
        (DataType::Bfloat16, false) => raw!(raw, u16, |v| bf16::from_bits(v).to_f64()),
        (DataType::Bfloat16, true) => halves(|v| bf16::from_bits(v).to_f64()),
        (_, false) => raw!(raw, f32, f64::from),
        (_, true) => tensor.float_data.iter().map(|v| f64::from(*v)).collect(),
    }
}

fn integers(tensor: &TensorProto, dtype: DataType) -> Vec<i64> {
    let raw = tensor.raw_data.as_deref().unwrap_or_default();
    if raw.is_empty() {
        return match dtype {
            DataType::Int64 => tensor.int64_data.clone(),
            DataType::Uint64 | DataType::Uint32 => tensor.uint64_data.iter().map(|v| *v as i64).collect(),
            _ => tensor.int32_data.iter().map(|v| i64::from(*v)).collect(),
        };
    }
    match dtype {
        DataType::Int8 => raw!(raw, i8, i64::from),
        DataType::Int16 => raw!(raw, i16, i64::from),
        DataType::Int32 => raw!(raw, i32, i64::from),
        DataType::Uint16 => raw!(raw, u16, i64::from),
        DataType::Uint32 => raw!(raw, u32, i64::from),
        DataType::Uint8 | DataType::Bool => raw!(raw, u8, i64::from),
        // Unsigned values above the signed range wrap: no network has them.
        _ => raw!(raw, i64, |v| v),
    }
}

/// A sparse tensor (ONNX `SparseTensorProto`: values, and their indices as linear or one row each) made dense.
pub(super) fn read_sparse(sparse: &SparseTensorProto) -> Outcome<Value> {
    let (Some(values), Some(indices)) = (&sparse.values, &sparse.indices) else {
        return fault!("a sparse tensor without values or indices");
    };
    let shape = dims::dims(&sparse.dims)?;
    let size = dims::count(&shape)?;
    let positions = positions(&read(indices)?, &shape)?;
    let place = |n: usize| match positions.len() == n && positions.iter().all(|p| *p < size) {
        true => Ok(()),
        false => fault!("a sparse tensor whose indices do not fit"),
    };
    Ok(match read(values)? {
        Value::F(a) => {
            place(a.len())?;
            let mut dense = vec![0.0; size];
            a.iter().zip(&positions).for_each(|(v, p)| dense[*p] = *v);
            Value::F(dims::array(&shape, dense)?)
        }
        Value::I(a) => {
            place(a.len())?;
            let mut dense = vec![0; size];
            a.iter().zip(&positions).for_each(|(v, p)| dense[*p] = *v);
            Value::I(dims::array(&shape, dense)?)
        }
        Value::B(_) => return fault!("a sparse tensor of booleans"),
    })
}

fn positions(indices: &Value, shape: &[usize]) -> Outcome<Vec<usize>> {
    let flat = dims::dims(&indices.to_ints()?)?;
    if indices.shape().len() < 2 {
        return Ok(flat);
    }
    let strides = dims::strides(shape);
    if indices.shape().get(1) != Some(&shape.len()) || shape.is_empty() {
        return fault!("a sparse tensor whose indices do not fit");
    }
    let at = |row: &[usize]| row.iter().zip(&strides).fold(0_usize, |n, (i, s)| n.saturating_add(i.saturating_mul(*s)));
    Ok(flat.chunks(shape.len()).map(at).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tensor(dims: &[i64], dtype: DataType, raw: &[u8]) -> TensorProto {
        TensorProto {
            dims: dims.to_vec(),
            data_type: Some(dtype as i32),
            raw_data: Some(raw.to_vec().into()),
            ..TensorProto::default()
        }
    }

    #[test]
    fn large_integers_stay_exact() {
        let v = (1_i64 << 53) + 1;
        let t = tensor(&[1], DataType::Int64, &v.to_le_bytes());
        assert_eq!(read(&t).unwrap().to_ints().unwrap(), [v]);
    }

    #[test]
    fn a_wrong_length_is_an_error() {
        assert!(read(&tensor(&[2], DataType::Float, &[0; 7])).is_err());
        assert!(read(&tensor(&[2], DataType::Float, &[0; 9])).is_err());
        assert!(read(&tensor(&[-1], DataType::Float, &[0; 4])).is_err());
        assert!(read(&tensor(&[1], DataType::String, &[0; 4])).is_err());
        assert_eq!(read(&tensor(&[1], DataType::Float, &1.5_f32.to_le_bytes())).unwrap().floats().unwrap()[0], 1.5);
    }
}
