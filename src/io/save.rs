//! Writing a model: into a temporary place beside the target first, then under its name.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;

use super::load::MAX_BYTES;
use super::model::Model;
use super::old::{self, Old};
use super::parent;
use super::place::hold;
use super::read::read;
use super::rope::rope;
use super::side::{Side, lies_in};
use super::temporary::Temporary;

/// Bytes that are compared at once.
const PART: usize = 1 << 14;

/// Why a model cannot be written. What was at the target before is still there.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct SaveError {
    pub(super) path: String,
    pub(super) source: io::Error,
}

impl SaveError {
    /// The file that was to be written.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// What came of saving.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Saved {
    /// Side files of the model that was replaced. The new model does not read them; they stay where another tool wrote
    /// them, or where another file names them.
    pub left: Vec<PathBuf>,
}

/// A model that is completely written, but not yet under its name.
#[derive(Debug)]
pub struct Staged {
    folder: Temporary,
    /// The side files in the temporary folder, relative to it and to the target's folder.
    side: Vec<String>,
    /// The side files that the model reads and that stand in the target's folder already: held, so that they stay.
    held: Vec<(String, File)>,
    /// The model, relative to the target's folder.
    name: PathBuf,
    target: PathBuf,
    /// The side files of the model that is replaced which the new one does not read.
    old: Vec<Old>,
}

impl Staged {
    /// The model's file. An edited model can be loaded from there already.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.journal().staged(&self.name)
    }

    /// Gives the files their names, the model itself last: until then the old model is there with its own side files, and
    /// from then on the new one. Without this call they are deleted.
    ///
    /// # Errors
    /// When a step fails, or when something else has made a file with the name of a side file meanwhile; what was there
    /// before is then there again.
    pub fn commit(self) -> Result<Saved, SaveError> {
        let (home, path) = (parent(&self.target).to_owned(), self.target.display().to_string());
        let ours: Vec<String> = self.old.iter().filter(|old| old.is_ours).map(|old| old.file.clone()).collect();
        let new: Vec<String> =
            self.side.iter().filter(|file| self.held.iter().all(|(held, _)| held != *file)).cloned().collect();
        self.folder.place(&new, &self.name, &ours).map_err(|source| SaveError { path, source })?;
        let left = self.old.iter().map(|old| home.join(&old.file)).filter(|file| file.exists()).collect();
        Ok(Saved { left })
    }

    fn add(&self, file: &Path, content: &[Bytes], like: [&Path; 2]) -> io::Result<()> {
        let journal = self.folder.journal();
        journal.make_room(file)?;
        write(&journal.staged(file), content, like)
    }

    fn add_side(&mut self, location: &str, content: &[Bytes], like: &Path) -> io::Result<()> {
        let place = parent(&self.target).join(location);
        self.add(location.as_ref(), content, [&place, like])?;
        self.side.push(location.to_owned());
        Ok(())
    }

    /// Holds a side file that stands in the target's folder already. False where that cannot be.
    fn keep(&mut self, location: &str) -> bool {
        let held = hold(&parent(&self.target).join(location));
        let is_held = held.is_some();
        self.held.extend(held.map(|file| (location.to_owned(), file)));
        is_held
    }
}

/// Writes `model` to `path`, as [`stage`] and [`Staged::commit`] do.
///
/// # Errors
/// [`SaveError`]; an existing file at `path` is then untouched.
pub fn save(model: &Model, path: &Path) -> Result<Saved, SaveError> {
    stage(model, path)?.commit()
}

/// Writes `model` into a temporary folder beside `path`; a link at `path` is followed. What runs that were killed left
/// in that folder is taken away.
///
/// A model that was not edited is written byte for byte as it was read. In another folder than its own it gets copies of
/// its side files, under the same names.
///
/// An edited model keeps inside what was inside. What was external, and new weights of a model that has external ones,
/// go into one file beside it, as they do when the model is too large for one file. That file is called `<name>.data`, or
/// `<name>.1.data` and so on: the first name that nothing has, or that a file with the very same content has. No
/// side file is ever replaced.
///
/// # Errors
/// [`SaveError`] when the folder does not exist or cannot be written, when something else than a file is at `path`, or
/// when a side file has the name of another file.
pub fn stage(model: &Model, path: &Path) -> Result<Staged, SaveError> {
    stage_within(model, path, MAX_BYTES).map_err(|source| SaveError { path: path.display().to_string(), source })
}

fn stage_within(model: &Model, path: &Path, largest: usize) -> io::Result<Staged> {
    let target = follow(path)?;
    let name = target.file_name().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "it has no file name"))?;
    let home = parent(&target);
    let folder = Temporary::new_in(home, name).map_err(|e| {
        io::Error::new(e.kind(), format!("cannot write into the folder '{}': {}", home.display(), e.kind()))
    })?;
    let mut staged = Staged {
        folder,
        side: Vec::new(),
        held: Vec::new(),
        name: name.into(),
        target: target.clone(),
        old: Vec::new(),
    };
    let content = if model.edited {
        encode_beside(model, &mut staged, largest)?
    } else {
        copy_side_files(model, &mut staged)?;
        vec![model.source.clone()]
    };
    if !staged.side.is_empty() && !is_same_folder(home, parent(path)) {
        let reason = "it is a link into another folder, where its external data would not be found";
        return Err(io::Error::new(ErrorKind::InvalidInput, reason));
    }
    staged.add(name.as_ref(), &content, [&target, &model.path])?;
    staged.old = replaced_side_files(model, &staged);
    Ok(staged)
}

/// The encoded model. Its side file, if it has one, is staged under the first name that is free, or that a file with
/// its very content has.
fn encode_beside(model: &Model, staged: &mut Staged, largest: usize) -> io::Result<Vec<Bytes>> {
    let name = staged.name.to_string_lossy().into_owned();
    let mut location = format!("{name}.data");
    let mut n = 0_usize;
    loop {
        let place = parent(&staged.target).join(&location);
        let there = fs::symlink_metadata(&place).ok();
        if there.as_ref().is_none_or(fs::Metadata::is_file) {
            let (content, side) = encode(model, &location, largest)?;
            if side.is_empty() {
                return Ok(content);
            }
            if there.is_none() || staged.keep(&location) && holds(&place, &side) {
                // Also where a file with this content is there: what is compared is one whole.
                staged.add_side(&location, &side, &model.path)?;
                return Ok(content);
            }
            staged.held.clear();
        }
        n += 1;
        location = format!("{name}.{n}.data");
    }
}

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

/// Stages the side files that `model` would not find beside the target, and holds those that it finds.
fn copy_side_files(model: &Model, staged: &mut Staged) -> io::Result<()> {
    let home = parent(&staged.target).to_owned();
    let at_home = is_same_folder(&home, parent(&model.path));
    for file in &model.side_files {
        let place = home.join(&file.location);
        if !at_home && !place.exists() {
            staged.add_side(&file.location, std::slice::from_ref(&file.content), &file.path)?;
            continue;
        }
        if place == staged.target || !at_home && read(&place)? != file.content {
            let reason = format!("the model's weights need the name '{}', which another file has", place.display());
            return Err(io::Error::new(ErrorKind::AlreadyExists, reason));
        }
        // Where this cannot be the file is there all the same, but nothing keeps it from going meanwhile.
        staged.keep(&file.location);
    }
    Ok(())
}

/// The side files of the model at the target that the staged model does not read.
fn replaced_side_files(model: &Model, staged: &Staged) -> Vec<Old> {
    let real = |path: &Path| path.canonicalize().ok();
    let home = parent(&staged.target);
    let Some(target) = real(&staged.target) else { return Vec::new() };
    let replaces_itself = real(&model.path).is_some_and(|path| path == target);
    let is_small = |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.len() <= MAX_BYTES as u64);
    let content = match replaces_itself {
        true => model.source.clone(),
        false if is_small(&target) && old::may_have_side_files(&target) => read(&target).unwrap_or_default(),
        false => return Vec::new(),
    };
    let mut needed: Vec<PathBuf> = staged
        .held
        .iter()
        .map(|(file, _)| file)
        .chain(&staged.side)
        .filter_map(|file| real(&home.join(file)))
        .collect();
    if !model.edited || !replaces_itself {
        needed.extend(model.side_files.iter().map(|file| file.path.clone()));
    }
    let mut old = old::side_files(content, &staged.name.to_string_lossy(), home);
    old.retain(|old| real(&home.join(&old.file)).is_some_and(|path| !needed.contains(&path)));
    old
}

fn is_same_folder(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// Whether the file at `path` has just this content.
fn holds(path: &Path, content: &[Bytes]) -> bool {
    let length: usize = content.iter().map(Bytes::len).sum();
    if !fs::metadata(path).is_ok_and(|meta| meta.len() == length as u64) {
        return false;
    }
    let Ok(mut file) = File::open(path).map(BufReader::new) else { return false };
    let mut part = [0; PART];
    content.iter().flat_map(|piece| piece.chunks(PART)).all(|want| {
        let part = &mut part[..want.len()];
        file.read_exact(part).is_ok() && part == want
    })
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
        Model::from_proto(proto)
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
