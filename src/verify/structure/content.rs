//! Whether two constant tensors hold the same: types, sizes and bytes first, values where they are stored in different ways.

use std::fmt;

use crate::onnx::TensorProto;
use crate::onnx::tensor_proto::DataType;
use crate::verify::reference::Value;

use crate::graph::schemas::type_name;

/// How two constants differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// In their element types.
    Type {
        /// That of the original.
        original: String,
        /// That of the rewritten model.
        rewritten: String,
    },
    /// In their sizes.
    Shape {
        /// That of the original, outermost first.
        original: Vec<i64>,
        /// That of the rewritten model.
        rewritten: Vec<i64>,
    },
    /// In entries.
    Entries {
        /// How many.
        differing: usize,
        /// Of how many.
        of: usize,
        /// The first of them, counted through the rows.
        first: usize,
    },
    /// In a way that cannot be counted: the tensors cannot be read, or not be computed.
    Unknown,
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type { original, rewritten } => write!(f, "{original} became {rewritten}"),
            Self::Shape { original, rewritten } => write!(f, "shape {original:?} became {rewritten:?}"),
            Self::Entries { differing, of, first } => {
                write!(f, "{differing} of {of} entries differ, the first is {first}")
            }
            Self::Unknown => f.write_str("their contents differ"),
        }
    }
}

/// How `b` differs from `a`, if it does. Names and notes do not count.
pub(super) fn tensors(a: &TensorProto, b: &TensorProto) -> Option<Content> {
    let dtype =
        |t: &TensorProto| DataType::try_from(t.data_type()).map_or_else(|_| t.data_type().to_string(), type_name);
    if a.data_type() != b.data_type() {
        return Some(Content::Type { original: dtype(a), rewritten: dtype(b) });
    }
    if a.dims != b.dims {
        return Some(Content::Shape { original: a.dims.clone(), rewritten: b.dims.clone() });
    }
    let raw = |t: &TensorProto| t.raw_data.as_ref().filter(|r| !r.is_empty()).cloned();
    if let (Some(x), Some(y)) = (raw(a), raw(b)) {
        return bytes(&x, &y, a);
    }
    if same_fields(a, b) {
        return None;
    }
    match (Value::try_from(a), Value::try_from(b)) {
        (Ok(x), Ok(y)) => values(&x, &y),
        _ => Some(Content::Unknown),
    }
}

/// The same content in the same fields.
fn same_fields(a: &TensorProto, b: &TensorProto) -> bool {
    let floats = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let doubles = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    a.raw_data.as_deref().unwrap_or_default() == b.raw_data.as_deref().unwrap_or_default()
        && a.int32_data == b.int32_data
        && a.int64_data == b.int64_data
        && a.uint64_data == b.uint64_data
        && a.string_data == b.string_data
        && floats(&a.float_data) == floats(&b.float_data)
        && doubles(&a.double_data) == doubles(&b.double_data)
}

/// Two contents as bytes; entries are counted by their share of them.
fn bytes(x: &[u8], y: &[u8], tensor: &TensorProto) -> Option<Content> {
    // Two loads of one file often share the memory.
    if x.as_ptr() == y.as_ptr() && x.len() == y.len() || x == y {
        return None;
    }
    let of = tensor.dims.iter().try_fold(1_usize, |n, d| n.checked_mul(usize::try_from(*d).ok()?)).unwrap_or(0);
    let Some(width) = x.len().checked_div(of).filter(|w| *w > 0 && x.len() == y.len() && w * of == x.len()) else {
        // More than one entry stands in a byte, or the lengths are wrong.
        return Some(Content::Unknown);
    };
    count(x.chunks_exact(width).zip(y.chunks_exact(width)).map(|(x, y)| x == y), of)
}

/// How value `b` differs from `a`, if it does: by bits, but any two NaN are one.
pub(super) fn values(a: &Value, b: &Value) -> Option<Content> {
    let dims = |v: &Value| v.shape().iter().map(|d| *d as i64).collect::<Vec<_>>();
    if a.shape() != b.shape() {
        return Some(Content::Shape { original: dims(a), rewritten: dims(b) });
    }
    let same_bits = |a: f64, b: f64| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
    match (a, b) {
        (Value::F(a), Value::F(b)) => count(a.iter().zip(b).map(|(a, b)| same_bits(*a, *b)), a.len()),
        (Value::I(a), Value::I(b)) => count(a.iter().zip(b).map(|(a, b)| a == b), a.len()),
        (Value::B(a), Value::B(b)) => count(a.iter().zip(b).map(|(a, b)| a == b), a.len()),
        _ => Some(Content::Unknown),
    }
}

/// What nobody can tell apart: the same numbers, with one zero and one NaN.
pub(super) fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::F(x), Value::F(y)) => {
            x.shape() == y.shape() && x.iter().zip(y).all(|(x, y)| x == y || x.is_nan() && y.is_nan())
        }
        _ => a == b,
    }
}

fn count(same: impl Iterator<Item = bool>, of: usize) -> Option<Content> {
    let mut different = same.enumerate().filter(|(_, same)| !same).map(|(i, _)| i);
    let first = different.next()?;
    Some(Content::Entries { differing: 1 + different.count(), of, first })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(dims: &[i64], values: &[f32], raw: bool) -> TensorProto {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        TensorProto {
            dims: dims.to_vec(),
            data_type: Some(DataType::Float as i32),
            raw_data: raw.then(|| bytes.into()),
            float_data: if raw { Vec::new() } else { values.to_vec() },
            ..TensorProto::default()
        }
    }

    #[test]
    fn storage_and_names_do_not_count() {
        let (a, b) = (tensor(&[2], &[1.0, f32::NAN], true), tensor(&[2], &[1.0, f32::NAN], false));
        for (x, y) in [(&a, &a.clone()), (&a, &b), (&b, &b.clone())] {
            assert_eq!(tensors(x, y), None);
        }
        assert_eq!(tensors(&a, &TensorProto { name: Some("other".into()), ..a.clone() }), None);
    }

    #[test]
    fn what_differs_is_counted() {
        let a = tensor(&[2, 2], &[1.0, 2.0, 3.0, 4.0], true);
        for raw in [true, false] {
            let b = tensor(&[2, 2], &[1.0, 2.5, 3.0, 4.5], raw);
            assert_eq!(tensors(&a, &b), Some(Content::Entries { differing: 2, of: 4, first: 1 }));
        }
        let longer = tensor(&[4], &[1.0, 2.0, 3.0, 4.0], true);
        let want = "shape [2, 2] became [4]";
        assert_eq!(tensors(&a, &longer).map(|c| c.to_string()).as_deref(), Some(want));
        let other = TensorProto { data_type: Some(DataType::Int32 as i32), ..a.clone() };
        assert_eq!(tensors(&a, &other).map(|c| c.to_string()).as_deref(), Some("float became int32"));
        assert_eq!(tensors(&a, &tensor(&[2, 2], &[1.0], true)), Some(Content::Unknown));
    }
}
