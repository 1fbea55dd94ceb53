//! Archives of inputs: one array a graph input in an .npz file.

use std::io::Cursor;
use std::path::Path;

use bytes::Bytes;
use ndarray::{ArrayD, IxDyn, OwnedRepr};
use ndarray_npy::{NpzReader, NpzWriter, ReadNpzError, ReadableElement};

use super::error::VerifyError;
use super::inputs::Feed;
use super::precision::Precision;
use super::signature::Port;
use crate::verify::reference::Value;

/// Reads `path`: every port must have an array that it can hold, and nothing else may be there.
///
/// # Errors
/// [`VerifyError::Inputs`] names the file and the array.
pub(super) fn read(path: &Path, ports: &[Port]) -> Result<Feed, VerifyError> {
    let fail = |reason: String| VerifyError::Inputs { path: path.to_owned(), reason };
    let content = crate::io::contents(path).map_err(|e| fail(e.to_string()))?;
    let mut archive = NpzReader::new(Cursor::new(content)).map_err(|e| fail(e.to_string()))?;
    let names = archive.names().map_err(|e| fail(e.to_string()))?;
    let mut feed = Feed::new();
    for name in &names {
        let Some(port) = ports.iter().find(|p| p.name == *name) else {
            let known: Vec<&str> = ports.iter().map(|p| p.name.as_str()).collect();
            return Err(fail(format!("array '{name}' is no input of the model; its inputs are {}", known.join(", "))));
        };
        let value = array(&mut archive, name).map_err(|e| fail(format!("array '{name}': {e}")))?;
        let value =
            fit(value, port).ok_or_else(|| fail(format!("array '{name}' has another type than input {port}")))?;
        feed.insert(name.clone(), value);
    }
    match ports.iter().find(|p| !feed.contains_key(&p.name)) {
        Some(missing) => Err(fail(format!("there is no array for input {missing}"))),
        None => Ok(feed),
    }
}

/// Array `name`, whatever its element type: each is tried.
fn array(archive: &mut NpzReader<Cursor<Bytes>>, name: &str) -> Result<Value, ReadNpzError> {
    fn read<T: ReadableElement>(archive: &mut NpzReader<Cursor<Bytes>>, name: &str) -> Result<ArrayD<T>, ReadNpzError> {
        archive.by_name::<OwnedRepr<T>, IxDyn>(name)
    }
    macro_rules! attempt {
        ($($t:ty => $wrap:expr),*) => { $( if let Ok(a) = read::<$t>(archive, name) { return Ok($wrap(a)); } )* };
    }
    attempt!(
        f32 => |a: ArrayD<f32>| Value::F(a.mapv(f64::from)),
        i64 => Value::I,
        u8 => |a: ArrayD<u8>| Value::I(a.mapv(i64::from)),
        i32 => |a: ArrayD<i32>| Value::I(a.mapv(i64::from)),
        bool => Value::B,
        i8 => |a: ArrayD<i8>| Value::I(a.mapv(i64::from)),
        i16 => |a: ArrayD<i16>| Value::I(a.mapv(i64::from)),
        u16 => |a: ArrayD<u16>| Value::I(a.mapv(i64::from)),
        u32 => |a: ArrayD<u32>| Value::I(a.mapv(i64::from))
    );
    read::<f64>(archive, name).map(Value::F)
}

/// An archive of `feed`: floats as float32 where that loses nothing, else as float64.
///
/// # Errors
/// In words.
pub(super) fn write(feed: &Feed) -> Result<Vec<u8>, String> {
    let mut names: Vec<&String> = feed.keys().collect();
    names.sort_unstable();
    let mut archive = NpzWriter::new(Cursor::new(Vec::new()));
    for name in names {
        let added = match &feed[name] {
            Value::F(a) if a.iter().all(|v| v.is_nan() || f64::from(*v as f32) == *v) => {
                archive.add_array(name, &a.mapv(|v| v as f32))
            }
            Value::F(a) => archive.add_array(name, &**a),
            Value::I(a) => archive.add_array(name, &**a),
            Value::B(a) => archive.add_array(name, &**a),
        };
        added.map_err(|e| e.to_string())?;
    }
    archive.finish().map(Cursor::into_inner).map_err(|e| e.to_string())
}

/// `value` in the type of `port`. Floats are rounded; integers are taken for floats when the model wants these.
fn fit(value: Value, port: &Port) -> Option<Value> {
    let dtype = port.dtype?;
    match (value, Precision::of(dtype)) {
        (Value::F(a), Some(precision)) => Some(Value::F(a.mapv(|v| precision.round(v)))),
        (Value::I(a), Some(precision)) => Some(Value::F(a.mapv(|v| precision.round(v as f64)))),
        (Value::I(a), None) if dtype != crate::onnx::tensor_proto::DataType::Bool => Some(Value::I(a)),
        (Value::B(a), None) if dtype == crate::onnx::tensor_proto::DataType::Bool => Some(Value::B(a)),
        _ => None,
    }
}
