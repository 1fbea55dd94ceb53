//! Changes of element type. Float types are all float64 here, so a cast between them changes nothing.

use crate::onnx::tensor_proto::DataType;

use super::Value;
use super::call::Call;
use super::error::{Outcome, fault};
use super::registry::Table;
use super::tensor::{Kind, kind};

pub(super) const OPERATORS: Table = &[("Cast", cast), ("CastLike", cast_like)];

fn cast(call: &mut Call) -> Outcome<Vec<Value>> {
    let to = call.int("to", 0);
    let Some(dtype) = i32::try_from(to).ok().and_then(|t| DataType::try_from(t).ok()) else {
        return fault!("element type {to} is not known");
    };
    let Some(kind) = kind(dtype) else { return fault!("element type {} is not handled", dtype.as_str_name()) };
    let value = converted(call.take(0)?, kind);
    Ok(vec![match value {
        Value::I(a) => Value::I(a.mapv_into(|v| wrapped(v, dtype))),
        other => other,
    }])
}

/// The width of an integer type is not known here, so integers are not wrapped.
fn cast_like(call: &mut Call) -> Outcome<Vec<Value>> {
    let kind = match call.value(1)? {
        Value::F(_) => Kind::Float,
        Value::I(_) => Kind::Integer,
        Value::B(_) => Kind::Bool,
    };
    Ok(vec![converted(call.take(0)?, kind)])
}

/// Floats are truncated toward zero.
fn converted(value: Value, kind: Kind) -> Value {
    match (value, kind) {
        (value @ Value::F(_), Kind::Float)
        | (value @ Value::I(_), Kind::Integer)
        | (value @ Value::B(_), Kind::Bool) => value,
        (value, Kind::Float) => Value::F(value.to_floats()),
        (Value::F(a), Kind::Integer) => Value::I(a.mapv(|v| v as i64)),
        (value, Kind::Integer) => Value::I(value.to_floats().mapv(|v| v as i64)),
        (Value::I(a), Kind::Bool) => Value::B(a.mapv(|v| v != 0)),
        (value, Kind::Bool) => Value::B(value.to_floats().mapv(|v| v != 0.0)),
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
