//! Archives of what was fed: one array a tensor in an .npz file.

use std::io::Cursor;

use ndarray_npy::NpzWriter;

use super::inputs::Feed;
use crate::verify::reference::Value;

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
