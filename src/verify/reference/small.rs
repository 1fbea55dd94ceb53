//! Elements of eight bits and fewer that are no integers of the machine: four-bit integers, and small floats.

use crate::onnx::TensorProto;
use crate::onnx::tensor_proto::DataType;

use super::error::{Outcome, fault};

/// How a small float is made up: one sign bit unless there is none, exponent, mantissa.
struct Format {
    exponent: u32,
    mantissa: u32,
    bias: i32,
    /// What is special about its bits.
    special: Special,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Special {
    /// Nothing.
    None,
    /// All bits of exponent and mantissa: NaN. There is no infinity.
    NanAbove,
    /// The negative zero: NaN.
    NanAtMinusZero,
    /// As IEEE 754 has it.
    Ieee,
}

fn format(dtype: DataType) -> Option<Format> {
    let of = |exponent, mantissa, bias, special| Some(Format { exponent, mantissa, bias, special });
    match dtype {
        DataType::Float8e4m3fn => of(4, 3, 7, Special::NanAbove),
        DataType::Float8e4m3fnuz => of(4, 3, 8, Special::NanAtMinusZero),
        DataType::Float8e5m2 => of(5, 2, 15, Special::Ieee),
        DataType::Float8e5m2fnuz => of(5, 2, 16, Special::NanAtMinusZero),
        DataType::Float4e2m1 => of(2, 1, 1, Special::None),
        _ => None,
    }
}

/// True for the floats of eight bits and fewer that are read here.
pub(super) fn is_float(dtype: DataType) -> bool {
    format(dtype).is_some() || dtype == DataType::Float8e8m0
}

/// True for the integers of four bits.
pub(super) fn is_integer(dtype: DataType) -> bool {
    matches!(dtype, DataType::Int4 | DataType::Uint4)
}

/// The `want` elements of `tensor`, each in the low bits of a byte: two stand in a byte, the first in its low half, when they have
/// four bits. In `int32_data` a number holds what a byte does.
pub(super) fn elements(tensor: &TensorProto, dtype: DataType, want: usize) -> Outcome<Vec<u8>> {
    let raw = tensor.raw_data.as_deref().unwrap_or_default();
    let bytes: Vec<u8> =
        if raw.is_empty() { tensor.int32_data.iter().map(|v| *v as u8).collect() } else { raw.to_vec() };
    let halves = is_integer(dtype) || dtype == DataType::Float4e2m1;
    let needed = if halves { want.div_ceil(2) } else { want };
    if bytes.len() != needed {
        return fault!("the shape asks for {want} elements, but it holds {} bytes", bytes.len());
    }
    if !halves {
        return Ok(bytes);
    }
    let mut elements: Vec<u8> = bytes.iter().flat_map(|b| [b & 15, b >> 4]).collect();
    elements.truncate(want);
    Ok(elements)
}

/// A four-bit integer.
pub(super) fn integer(bits: u8, dtype: DataType) -> i64 {
    let v = i64::from(bits & 15);
    if dtype == DataType::Int4 && v > 7 { v - 16 } else { v }
}

/// A small float.
pub(super) fn float(bits: u8, dtype: DataType) -> f64 {
    let Some(f) = format(dtype) else {
        // A power of two alone.
        return if bits == u8::MAX { f64::NAN } else { (f64::from(bits) - 127.0).exp2() };
    };
    let width = f.exponent + f.mantissa;
    let bits = u32::from(bits) & ((1 << (width + 1)) - 1);
    let (negative, magnitude) = (bits >> width == 1, bits & ((1 << width) - 1));
    let (exponent, mantissa) = (magnitude >> f.mantissa, magnitude & ((1 << f.mantissa) - 1));
    let all = (1 << f.exponent) - 1;
    let value = match f.special {
        Special::NanAbove if magnitude == (1 << width) - 1 => f64::NAN,
        Special::NanAtMinusZero if negative && magnitude == 0 => f64::NAN,
        Special::Ieee if exponent == all && mantissa == 0 => f64::INFINITY,
        Special::Ieee if exponent == all => f64::NAN,
        _ => {
            let (whole, exponent) = if exponent == 0 { (0.0, 1) } else { (1.0, exponent) };
            let steps = f64::from(1_u32 << f.mantissa);
            (whole + f64::from(mantissa) / steps) * f64::from(exponent as i32 - f.bias).exp2()
        }
    };
    if negative { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_floats_are_those_of_the_standard() {
        for (dtype, bits, want) in [
            (DataType::Float8e4m3fn, 0x7e, 448.0),
            (DataType::Float8e4m3fn, 0x01, 0.001_953_125),
            (DataType::Float8e4m3fn, 0xb8, -1.0),
            (DataType::Float8e4m3fnuz, 0x7f, 240.0),
            (DataType::Float8e5m2, 0x7b, 57344.0),
            (DataType::Float8e5m2, 0x7c, f64::INFINITY),
            (DataType::Float8e5m2fnuz, 0x7f, 57344.0),
            (DataType::Float4e2m1, 0x7, 6.0),
            (DataType::Float4e2m1, 0x9, -0.5),
            (DataType::Float8e8m0, 130, 8.0),
        ] {
            assert_eq!(float(bits, dtype), want, "{dtype:?} {bits:#x}");
        }
        assert!(float(0x7f, DataType::Float8e4m3fn).is_nan() && float(0x80, DataType::Float8e5m2fnuz).is_nan());
        assert_eq!((integer(9, DataType::Int4), integer(9, DataType::Uint4)), (-7, 9));
    }
}
