//! Writing a model: into a temporary place beside the target first, then by renaming.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::onnx::{ModelProto, StringStringEntryProto};

use super::external::{each_tensor, is_external};
use super::load::Model;
use super::rope::rope;

/// Why a model cannot be written. What was at the target before is still there.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct SaveError {
    path: String,
    source: io::Error,
}

/// A model that is completely written, but not yet under its name.
#[derive(Debug)]
pub struct Staged {
    folder: tempfile::TempDir,
    files: Vec<String>,
    target: PathBuf,
}

impl Staged {
    /// The model's file, which can be loaded already.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(self.files.last().map_or("", String::as_str))
    }

    /// Moves the files to where they belong; the model itself last. Without this call they are deleted.
    ///
    /// # Errors
    /// When a rename fails.
    pub fn commit(self) -> Result<(), SaveError> {
        let failed = |source| SaveError { path: self.target.display().to_string(), source };
        let home = parent(&self.target);
        for name in &self.files {
            fs::rename(self.folder.path().join(name), home.join(name)).map_err(failed)?;
        }
        // The rename itself must survive a power cut.
        if let Ok(folder) = File::open(home) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

/// Writes `model` to `path` and renames it into place.
///
/// # Errors
/// [`SaveError`]; an existing file at `path` is then untouched.
pub fn save(model: &Model, path: &Path) -> Result<(), SaveError> {
    stage(model, path)?.commit()
}

/// Writes `model` into a temporary folder beside `path`. A model that was not edited is written byte for byte as it was
/// read.
///
/// Tensors whose content was external stay external, in one file `<name>.data` beside the model.
///
/// # Errors
/// [`SaveError`] when the folder does not exist or cannot be written.
pub fn stage(model: &Model, path: &Path) -> Result<Staged, SaveError> {
    let failed = |source| SaveError { path: path.display().to_string(), source };
    if path.is_dir() {
        return Err(failed(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory")));
    }
    let Some(name) = path.file_name().and_then(|n| n.to_str()).map(str::to_owned) else {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it has no file name")));
    };
    let home = parent(path);
    let folder = tempfile::Builder::new().prefix(".onnx-rm-").tempdir_in(home).map_err(failed)?;
    let mut files = Vec::new();
    let mut proto = model.proto.clone();
    let side = format!("{name}.data");
    let (external, inline) = split(&mut proto, &side, model.edited);
    if !external.is_empty() {
        let target = home.join(&side);
        write(&folder.path().join(&side), &external, &target, &model.path).map_err(failed)?;
        files.push(side);
    }
    let content = match inline {
        Content::Source => vec![model.source.clone()],
        Content::Encoded => rope(&proto),
    };
    write(&folder.path().join(&name), &content, path, &model.path).map_err(failed)?;
    files.push(name);
    Ok(Staged { folder, files, target: path.to_owned() })
}

enum Content {
    Source,
    Encoded,
}

/// Alignment of tensors in a side file, so that a runtime can map them.
const ALIGNMENT: usize = 4096;

/// Takes external content out of `proto`, and returns it as the pieces of the side file `side`.
fn split(proto: &mut ModelProto, side: &str, edited: bool) -> (Vec<Bytes>, Content) {
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut at = 0_usize;
    let mut any = false;
    let walked: Result<(), std::convert::Infallible> = each_tensor(proto, &mut |tensor| {
        if !is_external(tensor) {
            return Ok(());
        }
        any = true;
        let content = tensor.raw_data.take().unwrap_or_default();
        let gap = (ALIGNMENT - at % ALIGNMENT) % ALIGNMENT;
        if gap > 0 && !content.is_empty() {
            pieces.push(Bytes::from(vec![0; gap]));
            at += gap;
        }
        let entry = |key: &str, value: String| StringStringEntryProto { key: Some(key.to_owned()), value: Some(value) };
        tensor.external_data = vec![
            entry("location", side.to_owned()),
            entry("offset", at.to_string()),
            entry("length", content.len().to_string()),
        ];
        at += content.len();
        pieces.push(content);
        Ok(())
    });
    let Ok(()) = walked;
    let content = if edited || any { Content::Encoded } else { Content::Source };
    (pieces, content)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes `content`, flushed to the disk, with the permissions of what it will replace, or of the model it came from.
fn write(to: &Path, content: &[Bytes], replaces: &Path, from: &Path) -> io::Result<()> {
    let mut file = File::create(to)?;
    for piece in content {
        file.write_all(piece)?;
    }
    if let Ok(meta) = fs::metadata(replaces).or_else(|_| fs::metadata(from)) {
        file.set_permissions(meta.permissions())?;
    }
    file.sync_all()
}
