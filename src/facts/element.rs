//! Element types: which values a tensor of one can hold, and what becomes of the others.

use crate::onnx::tensor_proto::DataType;

/// A binary floating-point format with subnormal numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Float {
    /// Binary digits of a normal number, the leading one included.
    digits: i32,
    /// Exponent of the smallest normal number.
    lowest: i32,
    /// Largest finite number.
    largest: f64,
}

/// The format of a float type.
pub(super) fn float(dtype: DataType) -> Option<Float> {
    let (digits, lowest, largest) = match dtype {
        DataType::Double => (53, -1022, f64::MAX),
        DataType::Float => (24, -126, f32::MAX as f64),
        DataType::Bfloat16 => (8, -126, (2.0 - 0.0078125) * 2_f64.powi(127)),
        DataType::Float16 => (11, -14, 65504.0),
        DataType::Float8e4m3fn => (4, -6, 448.0),
        DataType::Float8e4m3fnuz => (4, -7, 240.0),
        DataType::Float8e5m2 => (3, -14, 57344.0),
        DataType::Float8e5m2fnuz => (3, -15, 57344.0),
        _ => return None,
    };
    Some(Float { digits, lowest, largest })
}

impl Float {
    /// `value` rounded once to the nearest number of the format, ties to even, as IEEE 754 has it: too large becomes
    /// infinite. Not by way of another format, as some machines convert.
    pub(super) fn nearest(self, value: f64) -> f64 {
        if self.digits >= 53 || value == 0.0 || !value.is_finite() {
            return value;
        }
        let exponent = (value.to_bits() >> 52 & 0x7ff) as i32 - 1023;
        let step = 2_f64.powi(exponent.max(self.lowest) - (self.digits - 1));
        let rounded = (value / step).round_ties_even() * step;
        if rounded.abs() > self.largest { rounded * f64::INFINITY } else { rounded }
    }

    /// How far, relative to the result, one rounded operation may be from the real one, with room for runtimes that
    /// round a little worse.
    pub(super) fn error(self) -> f64 {
        2_f64.powi(2 - self.digits)
    }

    /// Smallest normal number: what lies below loses digits, and on some machines becomes 0.
    pub(super) fn smallest(self) -> f64 {
        2_f64.powi(self.lowest)
    }

    /// Largest finite number.
    pub(super) fn largest(self) -> f64 {
        self.largest
    }

    /// True for the types of one byte, of which none has all of IEEE 754's numbers that are not finite.
    pub(super) fn is_byte(self) -> bool {
        self.digits < 8
    }
}

/// Smallest and largest value of an integer type, 0 and 1 for booleans. Those of 64 bits are rounded outwards.
pub(super) fn integer(dtype: DataType) -> Option<(f64, f64)> {
    let signed = |bits: i32| (-2_f64.powi(bits - 1), 2_f64.powi(bits - 1) - 1.0);
    let unsigned = |bits: i32| (0.0, 2_f64.powi(bits) - 1.0);
    Some(match dtype {
        DataType::Bool => unsigned(1),
        DataType::Int2 => signed(2),
        DataType::Int4 => signed(4),
        DataType::Int8 => signed(8),
        DataType::Int16 => signed(16),
        DataType::Int32 => signed(32),
        DataType::Int64 => signed(64),
        DataType::Uint2 => unsigned(2),
        DataType::Uint4 => unsigned(4),
        DataType::Uint8 => unsigned(8),
        DataType::Uint16 => unsigned(16),
        DataType::Uint32 => unsigned(32),
        DataType::Uint64 => unsigned(64),
        _ => return None,
    })
}

/// Integers up to here are what they are in float64.
pub(super) const EXACT: f64 = (1_u64 << 53) as f64;

/// What `Cast` makes of `value`, of type `from`, in type `to` (ONNX `Cast`). `None` where the specification leaves it open
/// or it is not known exactly: no number or one out of range as an integer, and what a type of one byte has no room for.
pub(super) fn cast(value: f64, from: DataType, to: DataType) -> Option<f64> {
    if from == to {
        return Some(value);
    }
    if let Some(format) = float(to) {
        let rounded = format.nearest(value);
        return (rounded.is_finite() || !format.is_byte()).then_some(rounded);
    }
    if to == DataType::Bool {
        return Some(f64::from(u8::from(value != 0.0)));
    }
    let (least, most) = integer(to)?;
    let (whole, wide) = (value.trunc(), integer(from).is_some());
    if wide && whole.abs() >= EXACT {
        return None;
    }
    if (least..=most).contains(&whole) {
        // The largest integers of 64 bits stand for the next power of two here.
        return (whole < most || most < EXACT).then_some(whole);
    }
    // An integer in a narrower type keeps its low bits. Below a byte runtimes differ.
    (wide && (127.0..EXACT).contains(&most)).then(|| {
        let count = most - least + 1.0;
        let low = (whole as i64).rem_euclid(count as i64) as f64;
        if low > most { low - count } else { low }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use half::{bf16, f16};

    #[test]
    fn rounding_is_that_of_the_formats() {
        for bits in 0..=u16::MAX {
            let (h, b) = (f16::from_bits(bits).to_f64(), bf16::from_bits(bits).to_f64());
            for (dtype, v) in [(DataType::Float16, h), (DataType::Bfloat16, b)] {
                let format = float(dtype).unwrap();
                assert!(v.is_nan() || format.nearest(v) == v, "{v} is a number of {dtype:?}");
                // Half a step up and down, and just beyond.
                for near in [v * (1.0 + 2_f64.powi(-12)), v * (1.0 - 2_f64.powi(-9)), v * (1.0 + 2_f64.powi(-30))] {
                    let want = if dtype == DataType::Float16 {
                        f16::from_f64(near).to_f64()
                    } else {
                        bf16::from_f64(near).to_f64()
                    };
                    assert!(v.is_nan() || format.nearest(near) == want, "{near} as {dtype:?}");
                }
            }
        }
        let float32 = float(DataType::Float).unwrap();
        for v in [0.1, 1e-45, 0.7e-45, 1e-39, 3.5e38, f64::from(f32::MAX), 3.402_823_5e38, 16_777_217.0, -1e300] {
            assert_eq!(float32.nearest(v), f64::from(v as f32), "{v}");
        }
        let byte = float(DataType::Float8e4m3fn).unwrap();
        assert_eq!([0.0019, 17.0, 19.0, 448.0].map(|v| byte.nearest(v)), [2_f64.powi(-9), 16.0, 20.0, 448.0]);
    }

    #[test]
    fn a_cast_truncates_wraps_or_is_not_known() {
        use DataType::{Bool, Double, Float, Float8e4m3fn, Float16, Int4, Int8, Int32, Int64, Uint8, Uint64};
        for (value, from, to, want) in [
            (-1.9, Float, Int8, Some(-1.0)),
            (127.5, Float, Int8, Some(127.0)),
            (128.0, Float, Int8, None),
            (f64::NAN, Float, Int32, None),
            (f64::INFINITY, Float, Int64, None),
            (2_f64.powi(63), Float, Int64, None),
            (1e18, Double, Int64, Some(1e18)),
            (200.0, Int64, Int8, Some(-56.0)),
            (-129.0, Int32, Int8, Some(127.0)),
            (-1.0, Int8, Uint8, Some(255.0)),
            (-1.0, Int8, Uint64, None),
            (i64::MAX as f64, Int64, Int32, None),
            (i64::MAX as f64, Int64, Int64, Some(i64::MAX as f64)),
            (9.0, Int8, Int4, None),
            (0.3, Float, Bool, Some(1.0)),
            (f64::NAN, Float, Bool, Some(1.0)),
            (1.0, Bool, Int32, Some(1.0)),
            (2049.0, Int64, Float16, Some(2048.0)),
            (1e6, Float, Float16, Some(f64::INFINITY)),
            (1e6, Float, Float8e4m3fn, None),
            (0.1, Double, Float, Some(f64::from(0.1_f32))),
        ] {
            assert_eq!(cast(value, from, to), want, "{value} from {from:?} to {to:?}");
        }
    }
}
