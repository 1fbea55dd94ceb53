//! Giving finished files their names, so that a run that ends at any step leaves the old model or the new one, never a
//! mixture.
//!
//! Side files come first, under names that nothing has; then the model replaces the old one in one step, and only then may
//! a side file of the old model go. The temporary folder keeps a hard link to each file that a step is about to touch, so it
//! says by itself how far its run came: [`Journal::close`] undoes what was not finished, also for a run that died.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{old, parent};

/// Holds the model's name, and is locked while the run lives.
pub(super) const LOCK: &str = "lock";
/// What is made: the model, and every side file that it reads.
const NEW: &str = "new";
/// Links to the side files that were about to get their names.
const PLACED: &str = "placed";
/// Links to the side files of the old model that may go once it is replaced.
const OLD: &str = "old";

/// A temporary folder and the folder for which its files are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Journal {
    pub(super) folder: PathBuf,
    pub(super) home: PathBuf,
}

impl Journal {
    /// Where the file is made that will be `file` in the home folder.
    pub(super) fn staged(&self, file: &Path) -> PathBuf {
        self.folder.join(NEW).join(file)
    }

    /// Keeps `file` of the home folder as it is until the end of this run, for the model reads it. False where that cannot be.
    pub(super) fn keep(&self, file: &Path) -> bool {
        link(&self.home.join(file), &self.staged(file)).is_ok()
    }

    /// Gives `side`, then `model`, their names in the home folder. Of the old model's side files those in `old` go when
    /// [`Journal::close`] finds that nothing else names them.
    ///
    /// # Errors
    /// When a step fails, or when another file has the name of a side file; `close` puts back what was there.
    pub(super) fn place(&self, side: &[PathBuf], model: &Path, old: &[PathBuf]) -> io::Result<()> {
        let mut moved = Vec::new();
        let placed = side.iter().try_for_each(|file| self.settle(file, &mut moved)).and_then(|()| {
            // A power cut must not leave the model without them.
            side.iter().for_each(|file| sync(parent(&self.home.join(file))));
            for file in old {
                let place = self.home.join(file);
                if links(&fs::symlink_metadata(&place)?) == Some(1) {
                    // Where this fails the file stays.
                    let _ = link(&place, &self.folder.join(OLD).join(file));
                }
            }
            fs::rename(self.staged(model), self.home.join(model))
        });
        match placed {
            Ok(()) => sync(&self.home),
            // Without hard links `close` cannot tell what was moved.
            Err(_) => moved.iter().for_each(|file: &PathBuf| {
                let _ = fs::rename(self.home.join(file), self.staged(file));
            }),
        }
        placed
    }

    /// Gives one side file its name, unless it has it already.
    fn settle(&self, file: &Path, moved: &mut Vec<PathBuf>) -> io::Result<()> {
        let (staged, target) = (self.staged(file), self.home.join(file));
        if is_same(&staged, &target) {
            return Ok(());
        }
        let taken = |error: io::Error| match error.kind() {
            ErrorKind::AlreadyExists => io::Error::new(
                error.kind(),
                format!("'{}' has been made by something else meanwhile", target.display()),
            ),
            _ => error,
        };
        let has_links = link(&staged, &self.folder.join(PLACED).join(file)).is_ok();
        fs::create_dir_all(parent(&target))?;
        if has_links {
            return fs::hard_link(&staged, &target).map_err(taken);
        }
        // An empty file takes the name, so that no other is replaced.
        File::create_new(&target).map_err(taken)?;
        fs::rename(&staged, &target).inspect_err(|_| drop(fs::remove_file(&target)))?;
        moved.push(file.to_owned());
        Ok(())
    }

    /// Ends a run, this one or one that died: undoes what came before the model got its name, or finishes what comes
    /// after, and takes the folder away.
    pub(super) fn close(&self) {
        if self.is_committed() {
            self.finish();
        } else {
            self.undo();
        }
        // In this order, for a run may end here too: without `new` it would look committed.
        for part in self.parts() {
            let _ = fs::remove_dir_all(part);
        }
        let _ = fs::remove_file(self.folder.join(LOCK));
        let _ = fs::remove_dir(&self.folder);
    }

    /// Takes away the side files of the old model that nothing else names.
    fn finish(&self) {
        let [old, ..] = self.parts();
        for file in files(&old) {
            let place = self.home.join(&file);
            // Two links: the name, and ours. A run that needs the file has a third.
            let is_alone = fs::metadata(&place).is_ok_and(|meta| links(&meta) == Some(2));
            if is_alone && is_same(&old.join(&file), &place) && !old::is_named(&place, &self.home) {
                let _ = fs::remove_file(&place);
            }
        }
    }

    fn parts(&self) -> [PathBuf; 3] {
        [OLD, PLACED, NEW].map(|part| self.folder.join(part))
    }

    /// True when the model has got its name, or was never made.
    fn is_committed(&self) -> bool {
        let model = fs::read(self.folder.join(LOCK)).unwrap_or_default();
        let is_model = |name: &OsStr| name.as_encoded_bytes() == model;
        !fs::read_dir(self.folder.join(NEW)).is_ok_and(|mut all| all.any(|e| e.is_ok_and(|e| is_model(&e.file_name()))))
    }

    /// Takes back the side files that got their names, and the folders that were made for them.
    fn undo(&self) {
        let [_, placed, _] = self.parts();
        for file in files(&placed) {
            let target = self.home.join(&file);
            if is_same(&placed.join(&file), &target) {
                let _ = fs::remove_file(&target);
            }
            for folder in file.ancestors().skip(1).filter(|f| !f.as_os_str().is_empty()) {
                // Only an empty one goes.
                let _ = fs::remove_dir(self.home.join(folder));
            }
        }
    }
}

/// Makes `to` a second name of the regular file `from`.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(from)?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    fs::create_dir_all(parent(to))?;
    fs::hard_link(from, to)
}

/// The files below `folder`, relative to it. Links are not followed.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(inner) = open.pop() {
        for entry in fs::read_dir(folder.join(&inner)).into_iter().flatten().flatten() {
            let path = inner.join(entry.file_name());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}

/// True when both are names of one file.
#[cfg(unix)]
fn is_same(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |path| fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    place(a).is_some_and(|a| place(b) == Some(a))
}

/// True when both are names of one file, as far as its content says.
#[cfg(not(unix))]
fn is_same(a: &Path, b: &Path) -> bool {
    super::read::read(a).is_ok_and(|a| super::read::read(b).is_ok_and(|b| a == b))
}

/// The number of names that a file has; `None` where the system does not say.
#[cfg(unix)]
pub(super) fn links(meta: &Metadata) -> Option<u64> {
    Some(std::os::unix::fs::MetadataExt::nlink(meta))
}

/// The number of names that a file has; `None` where the system does not say.
#[cfg(not(unix))]
pub(super) fn links(_: &Metadata) -> Option<u64> {
    None
}

/// Makes names given in `folder` survive a power cut, where the system can.
fn sync(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A run for the model `m` with the side files `a` and `sub/b`, about to give them their names.
    fn run() -> (tempfile::TempDir, Journal) {
        let root = tempfile::tempdir().unwrap();
        let (folder, home) = (root.path().join("run"), root.path().join("home"));
        let journal = Journal { folder, home };
        fs::create_dir_all(journal.staged("sub".as_ref())).unwrap();
        fs::create_dir(&journal.home).unwrap();
        fs::write(journal.folder.join(LOCK), "m").unwrap();
        for file in ["a", "sub/b", "m"] {
            fs::write(journal.staged(file.as_ref()), "new").unwrap();
        }
        (root, journal)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut all: Vec<String> = files(folder).iter().map(|f| f.display().to_string()).collect();
        all.sort();
        all
    }

    #[test]
    fn all_or_nothing() {
        let side = ["a".into(), "sub/b".into()];
        let (_root, journal) = run();
        // `m` is a folder there, which no file can replace.
        fs::create_dir(journal.home.join("m")).unwrap();
        journal.place(&side, "m".as_ref(), &[]).unwrap_err();
        assert_eq!(names(&journal.home), ["a", "sub/b"]);
        journal.close();
        assert!(names(&journal.home).is_empty() && !journal.home.join("sub").exists() && !journal.folder.exists());
        let (_root, journal) = run();
        journal.place(&side, "m".as_ref(), &[]).unwrap();
        journal.close();
        assert_eq!(names(&journal.home), ["a", "m", "sub/b"]);
        assert!(!journal.folder.exists());
    }

    #[test]
    fn a_name_that_is_taken_meanwhile_is_an_error() {
        let (_root, journal) = run();
        fs::create_dir(journal.home.join("sub")).unwrap();
        fs::write(journal.home.join("sub/b"), "another's").unwrap();
        let error = journal.place(&["a".into(), "sub/b".into()], "m".as_ref(), &[]).unwrap_err();
        assert!(error.to_string().contains("made by something else"), "{error}");
        journal.close();
        assert_eq!(names(&journal.home), ["sub/b"]);
        assert_eq!(fs::read(journal.home.join("sub/b")).unwrap(), b"another's");
    }

    /// What the model is found to read already stays, whatever becomes of the run.
    #[test]
    fn what_was_there_before_is_not_undone() {
        let (_root, journal) = run();
        fs::remove_file(journal.staged("a".as_ref())).unwrap();
        fs::write(journal.home.join("a"), "old").unwrap();
        assert!(journal.keep("a".as_ref()));
        fs::create_dir(journal.home.join("m")).unwrap();
        journal.place(&["a".into(), "sub/b".into()], "m".as_ref(), &[]).unwrap_err();
        journal.close();
        assert_eq!(names(&journal.home), ["a"]);
    }

    #[test]
    fn an_old_side_file_goes_last_and_only_when_nothing_names_it() {
        for (another, want) in [(None, &["m"][..]), (Some("reads w.data"), &["another", "m", "w.data"])] {
            let (_root, journal) = run();
            fs::write(journal.home.join("w.data"), "old").unwrap();
            another.iter().for_each(|text| fs::write(journal.home.join("another"), text).unwrap());
            journal.place(&[], "m".as_ref(), &["w.data".into()]).unwrap();
            assert!(journal.home.join("w.data").exists());
            journal.close();
            assert_eq!(names(&journal.home), want);
        }
    }
}
