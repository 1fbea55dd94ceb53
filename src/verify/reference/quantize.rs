//! Numbers that are stored as small integers.

use ndarray::{ArrayD, Dimension};

use crate::onnx::tensor_proto::DataType;

use super::Value;
use super::call::{Call, Table};
use super::cast::nearest;
use super::dims;
use super::error::{Outcome, fault};
use super::special::round;

pub(super) const OPERATORS: Table =
    &[("DequantizeLinear", dequantize), ("QuantizeLinear", quantize), ("DynamicQuantizeLinear", dynamic_quantize)];

/// The scale and zero point of each element of an input: one for all, one for each entry along an axis, or one for each block along it.
struct Scales {
    scale: ArrayD<f64>,
    zero: Option<ArrayD<f64>>,
    place: Place,
}

impl Scales {
    /// Of inputs 1 and 2, for an input of this shape.
    fn new(call: &Call, shape: &[usize]) -> Outcome<Self> {
        let scale = call.floats(1)?.clone();
        let zero = call.optional(2).map(Value::to_floats);
        if zero.as_ref().is_some_and(|z| z.shape() != scale.shape()) {
            return fault!("the zero point has not the shape of the scale");
        }
        let block = usize::try_from(call.int("block_size", 0)).unwrap_or(0);
        let place = Place::new(call, shape, scale.shape(), block)?;
        Ok(Self { scale, zero, place })
    }

    fn of(&self, element: &[usize]) -> (f64, f64) {
        let at = self.place.of(element);
        (self.scale[at.as_slice()], self.zero.as_ref().map_or(0.0, |z| z[at.as_slice()]))
    }
}

/// `(x - zero_point) * scale`.
fn dequantize(call: &mut Call) -> Outcome<Vec<Value>> {
    let x = call.value(0)?.to_floats();
    let scales = Scales::new(call, x.shape())?;
    let value = |i: ndarray::IxDyn| {
        let (scale, zero) = scales.of(i.slice());
        (x[&i] - zero) * scale
    };
    Ok(vec![Value::F(ArrayD::from_shape_fn(x.shape(), value))])
}

/// `round(x / scale) + zero_point`, halves to even, within the range of the type that `output_dtype` says: `expand` has written it
/// down where the type follows from a constant zero point.
fn quantize(call: &mut Call) -> Outcome<Vec<Value>> {
    let dtype = i32::try_from(call.int("output_dtype", 0)).ok().and_then(|t| DataType::try_from(t).ok());
    let dtype = dtype.unwrap_or(DataType::Undefined);
    let (low, high) = match dtype {
        DataType::Int8 => (-128.0, 127.0),
        DataType::Uint8 => (0.0, 255.0),
        DataType::Int16 => (-32768.0, 32767.0),
        DataType::Uint16 => (0.0, 65535.0),
        DataType::Int4 => (-8.0, 7.0),
        DataType::Uint4 => (0.0, 15.0),
        DataType::Undefined => return fault!("the type of its zero point is not known"),
        other => return quantize_to_float(call, other),
    };
    let x = call.value(0)?.to_floats();
    let scales = Scales::new(call, x.shape())?;
    let value = |i: ndarray::IxDyn| {
        let (scale, zero) = scales.of(i.slice());
        (round(x[&i] / scale) + zero).clamp(low, high) as i64
    };
    Ok(vec![Value::I(ArrayD::from_shape_fn(x.shape(), value))])
}

/// `x / scale`, rounded to a float of eight bits; the zero point is 0.
fn quantize_to_float(call: &mut Call, dtype: DataType) -> Outcome<Vec<Value>> {
    let Some(nearest) = nearest(dtype, call.flag("saturate", true)) else {
        return fault!("numbers stored as {} are not handled", dtype.as_str_name().to_lowercase());
    };
    let x = call.value(0)?.to_floats();
    let scales = Scales::new(call, x.shape())?;
    let value = |i: ndarray::IxDyn| nearest(x[&i] / scales.of(i.slice()).0);
    Ok(vec![Value::F(ArrayD::from_shape_fn(x.shape(), value))])
}

/// Eight bits for the range of the input, which is made to hold 0.
fn dynamic_quantize(call: &mut Call) -> Outcome<Vec<Value>> {
    let x = call.floats(0)?;
    let (low, high) = x.iter().fold((0.0_f64, 0.0_f64), |(low, high), v| (low.min(*v), high.max(*v)));
    let scale = if low == high { 1.0 } else { (high - low) / 255.0 };
    if !scale.is_finite() {
        return fault!("an input from {low} to {high}");
    }
    let zero = round((-low / scale).clamp(0.0, 255.0));
    let y = x.mapv(|v| (round(v / scale) + zero).clamp(0.0, 255.0) as i64);
    Ok(vec![Value::I(y), Value::F(dims::filled(&[], scale)?), Value::I(dims::filled(&[], zero as i64)?)])
}

/// Where the scale of an entry stands.
enum Place {
    /// The only one, in a tensor of so many axes.
    Only(usize),
    /// Along this axis.
    Along(usize),
    /// In blocks of so many along this axis.
    Block(usize, usize),
}

impl Place {
    fn new(call: &Call, x: &[usize], scale: &[usize], block: usize) -> Outcome<Self> {
        if scale.len() < 2 && scale.iter().product::<usize>() == 1 {
            return Ok(Self::Only(scale.len()));
        }
        let axis = dims::axis(call.int("axis", 1), x.len())?;
        let blocks = |n: usize, i: usize| if i == axis { n.div_ceil(block.max(1)) } else { n };
        if block > 0 && scale.len() == x.len() && x.iter().enumerate().all(|(i, n)| scale[i] == blocks(*n, i)) {
            return Ok(Self::Block(axis, block));
        }
        if block == 0 && scale == [x[axis]] {
            return Ok(Self::Along(axis));
        }
        fault!("a scale of shape {scale:?} for {x:?}")
    }

    fn of(&self, i: &[usize]) -> Vec<usize> {
        match self {
            Self::Only(rank) => vec![0; *rank],
            Self::Along(axis) => vec![i[*axis]],
            Self::Block(axis, size) => {
                i.iter().enumerate().map(|(a, n)| if a == *axis { n / size } else { *n }).collect()
            }
        }
    }
}
