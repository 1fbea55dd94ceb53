//! Samples and labels out of files: `.npz` and `.npy`.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use bytes::Bytes;
use ndarray::{ArrayD, IxDyn, OwnedRepr};
use ndarray_npy::{NpzReader, ReadNpyExt, ReadNpzError, ReadableElement};

use crate::verify::reference::Value;

use super::error::PruneError;
use super::samples::Samples;

impl Samples {
    /// Reads an `.npz` with one array an input, and an `.npy` with the class of each sample where there is one.
    ///
    /// # Errors
    /// [`PruneError::Samples`] names the file and the array.
    pub fn from_files(arrays: &Path, labels: Option<&Path>) -> Result<Self, PruneError> {
        let at = |path: &Path, reason: String| PruneError::Samples(format!("{}: {reason}", path.display()));
        let samples = Self::new(archive(arrays).map_err(|e| at(arrays, e))?)?;
        match labels {
            None => Ok(samples),
            Some(path) => samples.with_labels(classes(path).map_err(|e| at(path, e))?),
        }
    }
}

fn archive(path: &Path) -> Result<BTreeMap<String, Value>, String> {
    let content = crate::io::contents(path).map_err(|e| e.to_string())?;
    let mut archive = NpzReader::new(Cursor::new(content)).map_err(|e| e.to_string())?;
    let names = archive.names().map_err(|e| e.to_string())?;
    let read = |name: String| {
        let value = array(&mut archive, &name).map_err(|e| format!("array '{name}': {e}"))?;
        Ok((name, value))
    };
    names.into_iter().map(read).collect()
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
        bool => Value::B
    );
    read::<f64>(archive, name).map(Value::F)
}

fn classes(path: &Path) -> Result<Vec<usize>, String> {
    let content = crate::io::contents(path).map_err(|e| e.to_string())?;
    let class = |n: i64| usize::try_from(n).map_err(|_| format!("class {n} is negative"));
    if let Ok(a) = ArrayD::<i64>::read_npy(Cursor::new(&content)) {
        return a.iter().map(|n| class(*n)).collect();
    }
    if let Ok(a) = ArrayD::<i32>::read_npy(Cursor::new(&content)) {
        return a.iter().map(|n| class(i64::from(*n))).collect();
    }
    let a = ArrayD::<u8>::read_npy(Cursor::new(&content)).map_err(|e| format!("{e}; labels are integers"))?;
    Ok(a.iter().map(|n| usize::from(*n)).collect())
}
