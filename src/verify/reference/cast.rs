//! Changes of element type.
//!
//! The evaluator computes as if arithmetic were exact, but a `Cast` that the model asks for is an operator of the model, and it
//! rounds: to float16 and less, and to float32 too. There it is known neither whether the value comes from float64 or from a
//! large integer, which float32 rounds, nor need it be: what comes from float32 or less was in the model a number of float32
//! already, so that rounding here is no more than the model did there.

use crate::onnx::tensor_proto::DataType;

use super::Value;
use super::call::{Call, Table};
use super::error::{Outcome, fault};
use super::tensor::{ValueKind, kind};

pub(super) const OPERATORS: Table = &[("Cast", cast), ("CastLike", cast_like)];

fn cast(call: &mut Call) -> Outcome<Vec<Value>> {
    let to = call.int("to", 0);
    let Some(dtype) = i32::try_from(to).ok().and_then(|t| DataType::try_from(t).ok()) else {
        return fault!("element type {to} is not known");
    };
    let format = format(dtype, call.flag("saturate", true));
    let Some(kind) = kind(dtype).or(format.map(|_| ValueKind::Float)) else {
        return fault!("element type {} is not handled", dtype.as_str_name());
    };
    Ok(vec![match (converted(call.take(0)?, kind), format) {
        (Value::I(a), _) => Value::I(a.mapv_into(|v| wrapped(v, dtype))),
        (Value::F(a), Some(format)) => Value::F(a.mapv_into(|v| format.nearest(v))),
        (value, _) => value,
    }])
}

/// Where `expand` did not make a `Cast` of it: the width of the other tensor's elements is not known, so floats are not
/// rounded and integers not wrapped.
fn cast_like(call: &mut Call) -> Outcome<Vec<Value>> {
    let kind = match call.value(1)? {
        Value::F(_) => ValueKind::Float,
        Value::I(_) => ValueKind::Integer,
        Value::B(_) => ValueKind::Bool,
    };
    Ok(vec![converted(call.take(0)?, kind)])
}

/// Floats are truncated toward zero. What has no integer (too large, or no number) has no right answer, and runtimes differ;
/// here it is always the same one, for two models to be compared.
fn converted(value: Value, kind: ValueKind) -> Value {
    match (value, kind) {
        (value @ Value::F(_), ValueKind::Float)
        | (value @ Value::I(_), ValueKind::Integer)
        | (value @ Value::B(_), ValueKind::Bool) => value,
        (value, ValueKind::Float) => Value::F(value.to_floats()),
        (Value::F(a), ValueKind::Integer) => Value::I(a.mapv(|v| v as i64)),
        (value, ValueKind::Integer) => Value::I(value.to_floats().mapv(|v| v as i64)),
        (Value::I(a), ValueKind::Bool) => Value::B(a.mapv(|v| v != 0)),
        (value, ValueKind::Bool) => Value::B(value.to_floats().mapv(|v| v != 0.0)),
    }
}

/// `v` as an integer of the width of `dtype` holds it.
fn wrapped(v: i64, dtype: DataType) -> i64 {
    match dtype {
        DataType::Int8 => i64::from(v as i8),
        DataType::Int16 => i64::from(v as i16),
        DataType::Int32 => i64::from(v as i32),
        DataType::Uint8 => i64::from(v as u8),
        DataType::Uint16 => i64::from(v as u16),
        DataType::Uint32 => i64::from(v as u32),
        _ => v,
    }
}

/// The nearest number of the float type `dtype`, ties to even; `None` for what is no float, or not one that is handled.
pub(super) fn nearest(dtype: DataType, saturate: bool) -> Option<impl Fn(f64) -> f64> {
    format(dtype, saturate).map(|format| move |v| format.nearest(v))
}

/// A float type that is narrower than float64.
#[derive(Clone, Copy)]
struct Format {
    /// Bits of the fraction.
    fraction: i32,
    /// Exponent of the smallest normal number.
    lowest: i32,
    most: f64,
    /// What stands for all that is larger: infinity, the largest number, or no number.
    beyond: f64,
}

/// The format of `dtype` (ONNX `Cast`, with its table for the types of one byte); `None` for float64 and what is no float.
fn format(dtype: DataType, saturate: bool) -> Option<Format> {
    let byte = |fraction, lowest, most, beyond| {
        let beyond = if saturate { most } else { beyond };
        Some(Format { fraction, lowest, most, beyond })
    };
    let wide = |fraction, lowest, most| Some(Format { fraction, lowest, most, beyond: f64::INFINITY });
    match dtype {
        DataType::Float => wide(23, -126, f64::from(f32::MAX)),
        DataType::Bfloat16 => wide(7, -126, half::bf16::MAX.to_f64()),
        DataType::Float16 => wide(10, -14, half::f16::MAX.to_f64()),
        DataType::Float8e4m3fn => byte(3, -6, 448.0, f64::NAN),
        DataType::Float8e4m3fnuz => byte(3, -7, 240.0, f64::NAN),
        DataType::Float8e5m2 => byte(2, -14, 57344.0, f64::INFINITY),
        DataType::Float8e5m2fnuz => byte(2, -15, 57344.0, f64::NAN),
        _ => None,
    }
}

impl Format {
    /// The nearest number, ties to even.
    fn nearest(self, v: f64) -> f64 {
        if v == 0.0 || v.is_nan() {
            return v;
        }
        // The exponent, without the rounding of a logarithm.
        let exponent = (v.to_bits() >> 52) as i32 & 0x7ff;
        let ulp = 2_f64.powi((exponent - 1023).max(self.lowest) - self.fraction);
        let near = (v / ulp).round_ties_even() * ulp;
        if near.abs() <= self.most { near } else { self.beyond.copysign(v) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_half_is_kept_and_what_lies_between_goes_to_the_even_one() {
        let half = format(DataType::Float16, true).unwrap();
        for bits in 0..0x7c00_u16 {
            let (v, next) = (half::f16::from_bits(bits).to_f64(), half::f16::from_bits(bits + 1).to_f64());
            assert_eq!(half.nearest(v), v);
            assert_eq!(half.nearest(-v), -v);
            let middle = if next.is_finite() { f64::midpoint(v, next) } else { 65520.0 };
            assert_eq!(half.nearest(middle), if bits % 2 == 0 { v } else { next });
        }
    }

    #[test]
    fn floats_are_those_of_the_machine() {
        let float = format(DataType::Float, true).unwrap();
        let mut v = 1e-46_f64;
        while v < 1e40 {
            assert_eq!(float.nearest(-v), f64::from(-v as f32), "{v}");
            v *= 1.000_123_4;
        }
        assert_eq!(float.nearest(f64::INFINITY), f64::INFINITY);
    }

    #[test]
    fn one_byte_saturates_or_not() {
        let to = |dtype, saturate, v| format(dtype, saturate).unwrap().nearest(v);
        assert_eq!(to(DataType::Float8e4m3fn, true, 1e9), 448.0);
        assert!(to(DataType::Float8e4m3fn, false, 1e9).is_nan());
        assert_eq!(to(DataType::Float8e5m2, false, -1e9), f64::NEG_INFINITY);
        assert_eq!(to(DataType::Float8e4m3fnuz, true, 0.3), 0.3125);
    }
}
