//! Integers of four bits: two stand in a byte, the first in its low half (ONNX `TensorProto`).

use crate::onnx::TensorProto;
use crate::onnx::tensor_proto::DataType;

/// True for the integers of four bits.
pub(super) fn has(dtype: DataType) -> bool {
    matches!(dtype, DataType::Int4 | DataType::Uint4)
}

/// Bytes that `count` of them take.
pub(super) fn size(count: usize) -> usize {
    count.div_ceil(2)
}

/// The `want` elements of `tensor`, of which each entry of `int32_data` holds a byte. Of another length where the bytes do not fit.
pub(super) fn read(tensor: &TensorProto, dtype: DataType, want: usize) -> Vec<f64> {
    let raw = tensor.raw_data.as_deref().unwrap_or_default();
    let bytes: Vec<u8> = match raw.is_empty() {
        true => tensor.int32_data.iter().map(|v| *v as u8).collect(),
        false => raw.to_vec(),
    };
    let signed = |half: u8| f64::from(if half > 7 { half as i8 - 16 } else { half as i8 });
    let element = |half: u8| if dtype == DataType::Int4 { signed(half) } else { f64::from(half) };
    let mut elements: Vec<f64> = bytes.iter().flat_map(|b| [element(b & 15), element(b >> 4)]).collect();
    if bytes.len() == size(want) {
        // The last half of an odd count holds nothing.
        elements.truncate(want);
    }
    elements
}

/// The bytes of integers that fit into four bits.
pub(super) fn write(values: &[f64]) -> Vec<u8> {
    let half = |v: f64| (v as i64) as u8 & 15;
    values.chunks(2).map(|pair| pair.iter().rev().fold(0, |byte, v| byte << 4 | half(*v))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let values = [-8.0, 7.0, -1.0, 0.0, 3.0];
        let raw = write(&values);
        assert_eq!(raw, [0x78, 0x0f, 0x03]);
        let fields = TensorProto { int32_data: raw.iter().map(|b| i32::from(*b)).collect(), ..TensorProto::default() };
        let tensor = TensorProto { raw_data: Some(raw.into()), ..TensorProto::default() };
        for tensor in [&tensor, &fields] {
            assert_eq!(read(tensor, DataType::Int4, 5), values);
            assert_eq!(read(tensor, DataType::Uint4, 5), [8.0, 7.0, 15.0, 0.0, 3.0]);
        }
        assert_eq!(read(&tensor, DataType::Int4, 3).len(), 6, "a byte too many is no element left out");
    }
}
