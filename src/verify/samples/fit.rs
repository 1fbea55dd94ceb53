//! Whether a tensor of a file can be fed to an input of a model.

use crate::onnx::tensor_proto::DataType;
use crate::verify::precision::Precision;
use crate::verify::reference::Value;
use crate::verify::signature::{Port, PortDim};

/// `value` in the type of `port`: floats are rounded, and integers taken for floats where the model wants these.
///
/// # Errors
/// In words, without the name of what was read: a shape or a type that the port does not take.
pub(super) fn fit(value: Value, port: &Port) -> Result<Value, String> {
    shape(value.shape(), port)?;
    let other = |what: &str| Err(format!("it holds {what}, another type than {port}"));
    let Some(dtype) = port.dtype else { return Err(format!("{port} is no tensor of a known type")) };
    match (value, Precision::of(dtype), dtype) {
        (Value::F(a), Some(precision), _) => Ok(Value::F(a.mapv_into(|v| precision.round(v)))),
        (Value::I(a), Some(precision), _) => Ok(Value::F(a.mapv(|v| precision.round(v as f64)))),
        (Value::I(a), None, DataType::Bool) => match a.iter().all(|v| (0..=1).contains(v)) {
            true => Ok(Value::B(a.mapv(|v| v == 1))),
            false => other("integers"),
        },
        (Value::I(a), None, _) => match range(dtype) {
            Some((low, high)) if a.iter().any(|v| !(low..=high).contains(v)) => {
                Err(format!("it holds integers beyond {low} to {high}, which is what {port} takes"))
            }
            Some(_) => Ok(Value::I(a)),
            // Small floats and the like: what their values may be, the evaluators know.
            None => other("integers"),
        },
        (Value::F(a), None, _) if small(dtype) => Ok(Value::F(a)),
        (Value::B(a), None, DataType::Bool) => Ok(Value::B(a)),
        (Value::F(_), ..) => other("floats"),
        (Value::B(_), ..) => other("booleans"),
    }
}

/// Whether `shape` is one that `port` takes. Sizes of one name are compared by who joins the inputs.
fn shape(shape: &[usize], port: &Port) -> Result<(), String> {
    let Some(dims) = &port.dims else { return Ok(()) };
    let fits = dims.len() == shape.len()
        && dims.iter().zip(shape).all(|(dim, size)| !matches!(dim, PortDim::Fixed(n) if n != size));
    if fits { Ok(()) } else { Err(format!("shape {shape:?} does not fit {port}")) }
}

fn small(dtype: DataType) -> bool {
    use DataType::{Float4e2m1, Float8e4m3fn, Float8e4m3fnuz, Float8e5m2, Float8e5m2fnuz};
    matches!(dtype, Float4e2m1 | Float8e4m3fn | Float8e4m3fnuz | Float8e5m2 | Float8e5m2fnuz)
}

/// The integers that a type holds, as far as an evaluator does.
pub(super) fn range(dtype: DataType) -> Option<(i64, i64)> {
    Some(match dtype {
        DataType::Uint4 => (0, 15),
        DataType::Int4 => (-8, 7),
        DataType::Uint8 => (0, 255),
        DataType::Int8 => (-128, 127),
        DataType::Int16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        DataType::Uint16 => (0, i64::from(u16::MAX)),
        DataType::Int32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        DataType::Uint32 => (0, i64::from(u32::MAX)),
        DataType::Int64 => (i64::MIN, i64::MAX),
        DataType::Uint64 => (0, i64::MAX),
        _ => return None,
    })
}
