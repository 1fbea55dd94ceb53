//! Writing a model: into a temporary place beside the target first, then by renaming.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;

use super::load::{LARGEST, Model};
use super::rope::rope;
use super::side::{Side, lies_in};
use super::{mmap, parent, place};

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
    /// Relative to `folder` and to the target's folder; the model itself last.
    files: Vec<PathBuf>,
    target: PathBuf,
}

impl Staged {
    /// The model's file. An edited model can be loaded from there already.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.files.last().map_or_else(PathBuf::new, |file| self.folder.path().join(file))
    }

    /// Moves the files to where they belong; the model itself last. Without this call they are deleted.
    ///
    /// # Errors
    /// When a rename fails; what was there before is then there again.
    pub fn commit(self) -> Result<(), SaveError> {
        let placed = place::place(self.folder.path(), parent(&self.target), &self.files);
        placed.map_err(|source| {
            if source.kind() == ErrorKind::Other {
                // It holds the only copy of what could not be put back.
                let _ = self.folder.keep();
            }
            SaveError { path: self.target.display().to_string(), source }
        })
    }

    fn add(&mut self, file: &OsStr, content: &[Bytes], like: [&Path; 2]) -> io::Result<()> {
        let path = self.folder.path().join(file);
        fs::create_dir_all(parent(&path))?;
        self.files.push(file.into());
        write(&path, content, like)
    }
}

/// Writes `model` to `path` and renames it into place.
///
/// # Errors
/// [`SaveError`]; an existing file at `path` is then untouched.
pub fn save(model: &Model, path: &Path) -> Result<(), SaveError> {
    stage(model, path)?.commit()
}

/// Writes `model` into a temporary folder beside `path`; a link at `path` is followed.
///
/// A model that was not edited is written byte for byte as it was read. In another folder than its own it gets copies of
/// its side files, under the same names.
///
/// An edited model keeps inside what was inside. What was external, and new weights of a model that has external ones,
/// go into one file `<name>.data` beside it, or `<name>.1.data` and so on when that would replace a file of the model
/// read. A model that is too large for one file gets such a file too.
///
/// # Errors
/// [`SaveError`] when the folder does not exist or cannot be written, when something else than a file is at `path`, or
/// when a side file has the name of another file.
pub fn stage(model: &Model, path: &Path) -> Result<Staged, SaveError> {
    stage_within(model, path, LARGEST).map_err(|source| SaveError { path: path.display().to_string(), source })
}

fn stage_within(model: &Model, path: &Path, largest: usize) -> io::Result<Staged> {
    let target = follow(path)?;
    let name = target.file_name().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "it has no file name"))?;
    let home = parent(&target);
    let folder = tempfile::Builder::new().prefix(".onnx-rm-").tempdir_in(home).map_err(|e| {
        io::Error::new(e.kind(), format!("cannot write into the folder '{}': {}", home.display(), e.kind()))
    })?;
    let mut staged = Staged { folder, files: Vec::new(), target: target.clone() };
    let (content, side_files) = if model.edited {
        let location = free_location(model, &target, name);
        let (content, side) = encode(model, &location, largest)?;
        (content, if side.is_empty() { Vec::new() } else { vec![(location, side, model.path.as_path())] })
    } else {
        (vec![model.source.clone()], missing_side_files(model, &target)?)
    };
    if !side_files.is_empty() && !is_same_folder(home, parent(path)) {
        let reason = "it is a link into another folder, where its external data would not be found";
        return Err(io::Error::new(ErrorKind::InvalidInput, reason));
    }
    for (location, content, like) in side_files {
        staged.add(location.as_ref(), &content, [&home.join(&location), like])?;
    }
    staged.add(name, &content, [&target, &model.path])?;
    Ok(staged)
}

/// A file to write: its location, its content, and the file whose permissions it takes when it is new.
type SideContent<'a> = (String, Vec<Bytes>, &'a Path);

/// The encoded model and its side file, both in pieces.
fn encode(model: &Model, location: &str, largest: usize) -> io::Result<(Vec<Bytes>, Vec<Bytes>)> {
    let mut proto = Cow::Borrowed(&model.proto);
    let mut side = Side::new(location);
    if !model.side_files.is_empty() {
        side.take_external(proto.to_mut());
        side.take_initializers(proto.to_mut(), |content| !lies_in(content, &model.source));
    }
    if proto.encoded_len() > largest {
        side.take_initializers(proto.to_mut(), |_| true);
    }
    if proto.encoded_len() > largest {
        let reason = "even with its weights in another file it is larger than a protobuf message can be (2 GiB)";
        return Err(io::Error::new(ErrorKind::FileTooLarge, reason));
    }
    Ok((rope(&proto), side.finish()))
}

/// A name for the side file of `target` that no file of the model read has, unless that very model is replaced.
fn free_location(model: &Model, target: &Path, name: &OsStr) -> String {
    let real = |path: &Path| path.canonicalize().ok();
    let source = real(&model.path);
    let replaces = source.is_some() && source == real(target);
    let kept: Vec<&PathBuf> = source.iter().chain(model.side_files.iter().map(|f| &f.path)).collect();
    let name = name.to_string_lossy();
    let mut location = format!("{name}.data");
    let mut n = 0_usize;
    while !replaces && real(&parent(target).join(&location)).is_some_and(|path| kept.contains(&&path)) {
        n += 1;
        location = format!("{name}.{n}.data");
    }
    location
}

/// The side files that `model` would not find beside `target`.
fn missing_side_files<'a>(model: &'a Model, target: &Path) -> io::Result<Vec<SideContent<'a>>> {
    let home = parent(target);
    if is_same_folder(home, parent(&model.path)) {
        return Ok(Vec::new());
    }
    let mut missing = Vec::new();
    for file in &model.side_files {
        let place = home.join(&file.location);
        if place == target || place.exists() && mmap::map(&place)? != file.content {
            let reason = format!("the model's weights need the name '{}', which another file has", place.display());
            return Err(io::Error::new(ErrorKind::AlreadyExists, reason));
        }
        if !place.exists() {
            missing.push((file.location.clone(), vec![file.content.clone()], file.path.as_path()));
        }
    }
    Ok(missing)
}

fn is_same_folder(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// The file that `path` names, links followed. Only a regular file, or nothing, may be there.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let is_a_directory = || io::Error::new(ErrorKind::IsADirectory, "it is a directory");
    if path.as_os_str().as_encoded_bytes().last().is_some_and(|b| std::path::is_separator(char::from(*b))) {
        return Err(is_a_directory());
    }
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(path.to_owned()),
        Err(error) => return Err(error),
    };
    let real = path.canonicalize()?;
    let kind = fs::metadata(&real)?;
    if kind.is_dir() {
        return Err(is_a_directory());
    }
    if !kind.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(if meta.is_symlink() { real } else { path.to_owned() })
}

/// Writes `content`, flushed to the disk, with the permissions of the first file of `like` that exists.
fn write(to: &Path, content: &[Bytes], like: [&Path; 2]) -> io::Result<()> {
    let mut file = File::create(to)?;
    for piece in content {
        file.write_all(piece)?;
    }
    if let Some(meta) = like.iter().find_map(|path| fs::metadata(path).ok()) {
        file.set_permissions(meta.permissions())?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::io::{LoadOptions, load};
    use crate::onnx::{GraphProto, ModelProto, TensorProto};

    fn model(floats: &[usize]) -> Model {
        let tensor = |(i, n): (usize, &usize)| TensorProto {
            name: Some(format!("w{i}")),
            dims: vec![*n as i64],
            data_type: Some(1),
            raw_data: Some(vec![i as u8; 4 * n].into()),
            ..TensorProto::default()
        };
        let graph =
            GraphProto { initializer: floats.iter().enumerate().map(tensor).collect(), ..GraphProto::default() };
        let proto = ModelProto { ir_version: Some(2), graph: Some(graph), ..ModelProto::default() };
        Model { proto, path: PathBuf::new(), source: Bytes::new(), side_files: Vec::new(), edited: true }
    }

    #[test]
    fn a_model_that_is_too_large_for_one_file_gets_a_side_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, side) = (folder.path().join("m.onnx"), folder.path().join("m.onnx.data"));
        let model = model(&[1000, 10, 2000]);
        let size = model.proto.encoded_len();
        stage_within(&model, &path, size).unwrap().commit().unwrap();
        assert_eq!((fs::metadata(&path).unwrap().len(), side.exists()), (size as u64, false));
        stage_within(&model, &path, size - 1).unwrap().commit().unwrap();
        assert_eq!(fs::metadata(&side).unwrap().len(), 4096 + 8000);
        assert!(fs::metadata(&path).unwrap().len() < 500);
        let read = load(&path, &LoadOptions::default()).unwrap();
        let content = |m: &Model| -> Vec<_> {
            m.proto.graph.iter().flat_map(|g| &g.initializer).map(|t| t.raw_data.clone()).collect()
        };
        assert_eq!(content(&read), content(&model));
    }

    #[test]
    fn a_model_that_is_too_large_even_so_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = stage_within(&model(&[1000, 10]), &folder.path().join("m.onnx"), 50).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
