//! Reading and writing the content of a `TensorProto`.

use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn};

use super::{element, nibbles};
use crate::graph::typing::of_tensor;
use crate::onnx::TensorProto;
use crate::onnx::tensor_proto::DataType;

/// Why a tensor cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// Not a number type that is handled.
    #[error("tensor '{0}' has element type {1}, which is not handled")]
    Type(String, i32),
    /// Its content does not have the length that its shape asks for.
    #[error("tensor '{name}' has shape {dims:?}, which asks for {want} elements, but holds {have}")]
    Length {
        /// The tensor.
        name: String,
        /// Its shape.
        dims: Vec<i64>,
        /// Elements by shape.
        want: usize,
        /// Elements that are there.
        have: usize,
    },
    /// A negative or absurd dimension.
    #[error("tensor '{0}' has an impossible shape {1:?}")]
    Shape(String, Vec<i64>),
}

/// Element type of `tensor`.
#[must_use]
pub fn dtype(tensor: &TensorProto) -> Option<DataType> {
    of_tensor(tensor)
}

/// Largest finite value of a float type.
#[must_use]
pub fn largest(dtype: DataType) -> f64 {
    element::float(dtype).map_or(f64::from(f32::MAX), element::Float::largest)
}

/// Half the distance between neighbouring numbers of a float type, relative to them: what one rounding may change.
#[must_use]
pub fn unit_roundoff(dtype: DataType) -> f64 {
    element::float(dtype).map_or(1.0, element::Float::error) / 8.0
}

/// True when every value is finite in a float type; NaN is not.
#[must_use]
pub fn fits<'a>(dtype: DataType, values: impl IntoIterator<Item = &'a f64>) -> bool {
    let largest = largest(dtype);
    // Without a way out in the middle it runs several times as fast, and mostly all of them fit.
    values.into_iter().fold(true, |fits, v| fits & (v.abs() <= largest))
}

fn count(tensor: &TensorProto) -> Result<usize, TensorError> {
    let bad = || TensorError::Shape(tensor.name().to_owned(), tensor.dims.clone());
    let dims: Vec<usize> =
        tensor.dims.iter().map(|d| usize::try_from(*d).map_err(|_| bad())).collect::<Result<_, _>>()?;
    super::elements(&dims).ok_or_else(bad)?;
    Ok(dims.iter().product())
}

/// The elements as float64, whatever the type and whichever field holds them.
///
/// # Errors
/// [`TensorError`] when the content does not fit the shape, or the type is no number.
pub fn read_f64(tensor: &TensorProto) -> Result<ArrayD<f64>, TensorError> {
    let want = count(tensor)?;
    let unknown = || TensorError::Type(tensor.name().to_owned(), tensor.data_type.unwrap_or(0));
    let dtype = dtype(tensor).ok_or_else(unknown)?;
    let values = match &tensor.raw_data {
        _ if nibbles::has(dtype) => nibbles::read(tensor, dtype, want),
        Some(raw) if !raw.is_empty() || want == 0 => from_raw(raw, dtype).ok_or_else(unknown)?,
        _ => from_fields(tensor, dtype).ok_or_else(unknown)?,
    };
    let have = values.len();
    let shape: Vec<usize> = tensor.dims.iter().map(|d| *d as usize).collect();
    ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|_| TensorError::Length {
        name: tensor.name().to_owned(),
        dims: tensor.dims.clone(),
        want,
        have,
    })
}

/// Little-endian elements, aligned or not. A length that is no multiple of the element size gives one element
/// less, which the caller finds out.
fn from_raw(raw: &[u8], dtype: DataType) -> Option<Vec<f64>> {
    macro_rules! read {
        ($t:ty, $convert:expr) => {
            raw.as_chunks().0.iter().map(|c| $convert(<$t>::from_le_bytes(*c))).collect()
        };
    }
    Some(match dtype {
        DataType::Float => read!(f32, f64::from),
        DataType::Double => read!(f64, |v| v),
        DataType::Float16 => read!(u16, |v| f16::from_bits(v).to_f64()),
        DataType::Bfloat16 => read!(u16, |v| bf16::from_bits(v).to_f64()),
        DataType::Int64 => read!(i64, |v| v as f64),
        DataType::Uint64 => read!(u64, |v| v as f64),
        DataType::Int32 => read!(i32, f64::from),
        DataType::Uint32 => read!(u32, f64::from),
        DataType::Int16 => read!(i16, f64::from),
        DataType::Uint16 => read!(u16, f64::from),
        DataType::Int8 => raw.iter().map(|b| f64::from(*b as i8)).collect(),
        DataType::Uint8 => raw.iter().map(|b| f64::from(*b)).collect(),
        DataType::Bool => raw.iter().map(|b| f64::from(u8::from(*b != 0))).collect(),
        _ => return None,
    })
}

fn from_fields(tensor: &TensorProto, dtype: DataType) -> Option<Vec<f64>> {
    let ints = || tensor.int32_data.iter();
    Some(match dtype {
        DataType::Float => tensor.float_data.iter().map(|v| f64::from(*v)).collect(),
        DataType::Double => tensor.double_data.clone(),
        // The bits of a half stand in the low 16 bits of an int32 (ONNX TensorProto).
        DataType::Float16 => ints().map(|v| f16::from_bits(*v as u16).to_f64()).collect(),
        DataType::Bfloat16 => ints().map(|v| bf16::from_bits(*v as u16).to_f64()).collect(),
        DataType::Int64 => tensor.int64_data.iter().map(|v| *v as f64).collect(),
        DataType::Uint64 | DataType::Uint32 => tensor.uint64_data.iter().map(|v| *v as f64).collect(),
        DataType::Int32 | DataType::Int16 | DataType::Int8 | DataType::Uint16 | DataType::Uint8 => {
            ints().map(|v| f64::from(*v)).collect()
        }
        DataType::Bool => ints().map(|v| f64::from(u8::from(*v != 0))).collect(),
        _ => return None,
    })
}

/// A tensor of `values` in `raw_data`, each rounded once to the nearest value of the type, ties to even.
#[must_use]
pub fn write(name: &str, values: &ArrayD<f64>, dtype: DataType) -> TensorProto {
    // Rounded here, since `half` goes by way of float32 on some machines.
    let nearest = |v: f64| element::float(dtype).map_or(v, |format| format.nearest(v));
    let raw = match dtype {
        DataType::Double => bytes(values, f64::to_le_bytes),
        DataType::Float16 => bytes(values, |v| f16::from_f64(nearest(v)).to_le_bytes()),
        DataType::Bfloat16 => bytes(values, |v| bf16::from_f64(nearest(v)).to_le_bytes()),
        _ => bytes(values, |v| (v as f32).to_le_bytes()),
    };
    let dtype = if matches!(dtype, DataType::Double | DataType::Float16 | DataType::Bfloat16) {
        dtype
    } else {
        DataType::Float
    };
    TensorProto {
        name: Some(name.to_owned()),
        dims: values.shape().iter().map(|d| *d as i64).collect(),
        data_type: Some(dtype as i32),
        raw_data: Some(raw.into()),
        ..TensorProto::default()
    }
}

/// As [`write`], for values of any type that came from a tensor of it. `None` for a type that is not handled, and for
/// integers that float64 does not hold.
#[must_use]
pub fn write_back(name: &str, values: &ArrayD<f64>, dtype: DataType) -> Option<TensorProto> {
    let raw = match dtype {
        DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16 => {
            return Some(write(name, values, dtype));
        }
        _ if values.iter().any(|v| v.abs() >= element::EXACT) => return None,
        DataType::Bool => bytes(values, |v| [u8::from(v != 0.0)]),
        DataType::Int32 => bytes(values, |v| (v as i32).to_le_bytes()),
        DataType::Int64 => bytes(values, |v| (v as i64).to_le_bytes()),
        _ => return None,
    };
    Some(TensorProto { data_type: Some(dtype as i32), raw_data: Some(raw.into()), ..write(name, values, dtype) })
}

fn bytes<const N: usize>(values: &ArrayD<f64>, convert: impl Fn(f64) -> [u8; N]) -> Vec<u8> {
    let mut raw = vec![0; values.len() * N];
    let places = raw.as_chunks_mut().0.iter_mut();
    // A loop over a slice is several times as fast.
    match values.as_slice() {
        Some(values) => values.iter().zip(places).for_each(|(value, place)| *place = convert(*value)),
        None => values.iter().zip(places).for_each(|(value, place)| *place = convert(*value)),
    }
    raw
}

/// True when [`read_f64`] would succeed; found out without reading.
#[must_use]
pub fn is_readable(tensor: &TensorProto) -> bool {
    let (Ok(want), Some(dtype)) = (count(tensor), dtype(tensor)) else { return false };
    let width = match dtype {
        DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
        DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
        DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16 => 2,
        DataType::Int8 | DataType::Uint8 | DataType::Bool => 1,
        _ if nibbles::has(dtype) => 0,
        _ => return false,
    };
    let size = if width == 0 { Some(nibbles::size(want)) } else { want.checked_mul(width) };
    match &tensor.raw_data {
        Some(raw) if !raw.is_empty() || want == 0 => Some(raw.len()) == size,
        _ => read_f64(tensor).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_float_type_comes_back() {
        let values = ArrayD::from_shape_vec(IxDyn(&[2, 2]), vec![1.5, -0.25, 0.0, 1024.0]).unwrap();
        for dtype in [DataType::Float, DataType::Double, DataType::Float16, DataType::Bfloat16] {
            let t = write("t", &values, dtype);
            assert_eq!(t.data_type, Some(dtype as i32));
            assert_eq!(read_f64(&t).unwrap(), values);
        }
    }

    #[test]
    fn typed_fields_and_raw_data_say_the_same() {
        let mut t = TensorProto { dims: vec![2], data_type: Some(DataType::Float16 as i32), ..TensorProto::default() };
        t.int32_data = vec![0x3c00, 0xc000];
        assert_eq!(read_f64(&t).unwrap().into_raw_vec_and_offset().0, [1.0, -2.0]);
        let mut t = TensorProto { dims: vec![2], data_type: Some(DataType::Float as i32), ..TensorProto::default() };
        t.float_data = vec![1.0, -2.0];
        assert_eq!(read_f64(&t).unwrap().into_raw_vec_and_offset().0, [1.0, -2.0]);
    }

    #[test]
    fn a_wrong_length_is_an_error() {
        let t = TensorProto {
            dims: vec![3],
            data_type: Some(1),
            raw_data: Some(vec![0; 8].into()),
            ..TensorProto::default()
        };
        assert!(matches!(read_f64(&t), Err(TensorError::Length { want: 3, have: 2, .. })));
        let t = TensorProto { dims: vec![-3], data_type: Some(1), ..TensorProto::default() };
        assert!(matches!(read_f64(&t), Err(TensorError::Shape(..))));
        let t = TensorProto { dims: vec![i64::MAX, 8], data_type: Some(1), ..TensorProto::default() };
        assert!(matches!(read_f64(&t), Err(TensorError::Shape(..))));
        let t = TensorProto { dims: vec![1], data_type: Some(8), ..TensorProto::default() };
        assert!(matches!(read_f64(&t), Err(TensorError::Type(..))));
    }
}
