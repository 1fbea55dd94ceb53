//! Whether the content of a tensor fits its shape and type (ONNX `TensorProto`).

use crate::onnx::TensorProto;
use crate::onnx::tensor_proto::DataType;

/// Bytes that `tensor` takes in `raw_data`; `None` when the type has no such form or the shape is impossible.
pub(super) fn bytes(tensor: &TensorProto) -> Option<u64> {
    let bits = bits(DataType::try_from(tensor.data_type()).ok()?)?;
    Some(count(tensor)?.checked_mul(bits)?.div_ceil(8))
}

/// Whether the content fits the shape and the type; if not, why not.
pub(super) fn check(tensor: &TensorProto) -> Result<(), String> {
    let dims = &tensor.dims;
    let impossible = || format!("shape {dims:?} is impossible");
    let count = count(tensor).ok_or_else(impossible)?;
    let code = tensor.data_type.unwrap_or(0);
    let dtype = DataType::try_from(code).map_err(|_| format!("element type {code} is unknown"))?;
    if bits(dtype).is_none() {
        return Ok(());
    }
    let raw = bytes(tensor).ok_or_else(impossible)?;
    let (want, have, unit) = match &tensor.raw_data {
        Some(data) => (raw, data.len(), "bytes"),
        None => (entries(dtype, count, raw), typed_length(tensor, dtype), "entries"),
    };
    if have as u64 == want {
        return Ok(());
    }
    Err(format!("shape {dims:?} of {} asks for {want} {unit}, but there are {have}", dtype.as_str_name()))
}

/// Elements by shape; `None` for a negative size or a product that overflows.
fn count(tensor: &TensorProto) -> Option<u64> {
    tensor.dims.iter().try_fold(1_u64, |n, d| n.checked_mul(u64::try_from(*d).ok()?))
}

/// Bits of an element in `raw_data`; `None` for strings and the undefined type.
fn bits(dtype: DataType) -> Option<u64> {
    Some(match dtype {
        DataType::Undefined | DataType::String => return None,
        DataType::Complex128 => 128,
        DataType::Double | DataType::Int64 | DataType::Uint64 | DataType::Complex64 => 64,
        DataType::Float | DataType::Int32 | DataType::Uint32 => 32,
        DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16 => 16,
        DataType::Float6e2m3 | DataType::Float6e3m2 => 6,
        DataType::Int4 | DataType::Uint4 | DataType::Float4e2m1 => 4,
        DataType::Int2 | DataType::Uint2 => 2,
        DataType::Int8 | DataType::Uint8 | DataType::Bool => 8,
        DataType::Float8e4m3fn | DataType::Float8e4m3fnuz | DataType::Float8e5m2 => 8,
        DataType::Float8e5m2fnuz | DataType::Float8e8m0 => 8,
    })
}

/// Entries that `count` elements take in the field for their type, where `raw` is their size in bytes.
fn entries(dtype: DataType, count: u64, raw: u64) -> u64 {
    match dtype {
        DataType::Complex64 | DataType::Complex128 => count.saturating_mul(2),
        // An entry is a packed byte.
        DataType::Int4 | DataType::Uint4 | DataType::Float4e2m1 | DataType::Int2 | DataType::Uint2 => raw,
        _ => count,
    }
}

/// Entries in the field for elements of type `dtype`.
fn typed_length(tensor: &TensorProto, dtype: DataType) -> usize {
    match dtype {
        DataType::Float | DataType::Complex64 => tensor.float_data.len(),
        DataType::Double | DataType::Complex128 => tensor.double_data.len(),
        DataType::Int64 => tensor.int64_data.len(),
        DataType::Uint64 | DataType::Uint32 => tensor.uint64_data.len(),
        _ => tensor.int32_data.len(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tensor(dtype: DataType, dims: &[i64]) -> TensorProto {
        TensorProto { dims: dims.to_vec(), data_type: Some(dtype as i32), ..TensorProto::default() }
    }

    #[test]
    fn sub_byte_types_are_packed() {
        for (dtype, raw, typed) in [
            (DataType::Int4, 3, 3),
            (DataType::Uint2, 2, 2),
            (DataType::Float6e2m3, 4, 5),
            (DataType::Bool, 5, 5),
            (DataType::Float8e8m0, 5, 5),
            (DataType::Bfloat16, 10, 5),
        ] {
            let t = tensor(dtype, &[5]);
            assert_eq!(bytes(&t), Some(raw), "{dtype:?}");
            check(&TensorProto { raw_data: Some(vec![0; raw as usize].into()), ..t.clone() }).unwrap();
            check(&TensorProto { raw_data: Some(vec![0; raw as usize + 1].into()), ..t.clone() }).unwrap_err();
            check(&TensorProto { int32_data: vec![0; typed], ..t.clone() }).unwrap();
            check(&TensorProto { int32_data: vec![0; typed + 1], ..t }).unwrap_err();
        }
    }

    #[test]
    fn elements_stand_in_the_field_for_their_type() {
        let t = tensor(DataType::Float, &[2]);
        check(&TensorProto { float_data: vec![0.0; 2], ..t.clone() }).unwrap();
        let error = check(&TensorProto { int64_data: vec![0; 2], ..t }).unwrap_err();
        assert_eq!(error, "shape [2] of FLOAT asks for 2 entries, but there are 0");
        check(&TensorProto { float_data: vec![0.0; 4], ..tensor(DataType::Complex64, &[2]) }).unwrap();
    }

    #[test]
    fn impossible_shapes_and_types() {
        for dims in [&[-1, 2][..], &[i64::MAX, 4], &[i64::MAX]] {
            assert!(check(&tensor(DataType::Float, dims)).unwrap_err().contains("impossible"), "{dims:?}");
        }
        assert_eq!(
            check(&TensorProto { data_type: Some(99), ..TensorProto::default() }).unwrap_err(),
            "element type 99 is unknown"
        );
        check(&tensor(DataType::String, &[7])).unwrap();
        check(&tensor(DataType::Float, &[0, 3])).unwrap();
    }
}
