//! The folder in which files are made before they get their names, and what is left of runs that died.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::place::{Journal, LOCK, NEW};

/// How the name of each such folder begins.
const PREFIX: &str = ".onnx-rm-";

/// Most tries to make one while others clear up.
const TRIES: usize = 100;

/// The folders of this process. Whoever makes one, or gives its files their names, holds it.
static OPEN: Mutex<Vec<Journal>> = Mutex::new(Vec::new());

fn open() -> MutexGuard<'static, Vec<Journal>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes away every temporary folder of this process, which is about to end: from now on it writes no file, and a thread
/// that tries to waits for the end.
pub fn discard() {
    let open = open();
    for journal in open.iter() {
        // A thread that is writing may make one more file meanwhile.
        for _ in 0..TRIES {
            journal.close();
            if !journal.folder.exists() {
                break;
            }
        }
    }
    std::mem::forget(open);
}

/// A temporary folder; it goes when this is dropped.
#[derive(Debug)]
pub(super) struct Temporary {
    journal: Journal,
    /// Locked while it is open: the system unlocks it when this process ends, however that comes.
    _lock: File,
}

impl Temporary {
    /// A folder in `home` for a model called `model`. Those that dead runs left there go.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn new_in(home: &Path, model: &OsStr) -> io::Result<Self> {
        for _ in 0..TRIES {
            let mut open = open();
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(home)?.keep();
            let journal = Journal { folder, home: home.to_owned() };
            match claim(&journal.folder, model) {
                Ok(Some(lock)) => {
                    open.push(journal.clone());
                    drop(open);
                    clear(&journal);
                    return Ok(Self { journal, _lock: lock });
                }
                Ok(None) => {}
                Err(error) => {
                    journal.close();
                    return Err(error);
                }
            }
        }
        Err(io::Error::other("other runs take away every temporary folder"))
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// [`Journal::place`], then [`Journal::close`].
    ///
    /// # Errors
    /// As `place`.
    pub(super) fn place(self, side: &[String], model: &Path, old: &[String]) -> io::Result<()> {
        let mut open = open();
        let placed = self.journal.place(side, model, old);
        self.journal.close();
        open.retain(|journal| *journal != self.journal);
        placed
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let mut open = open();
        if open.contains(&self.journal) {
            self.journal.close();
            open.retain(|journal| *journal != self.journal);
        }
    }
}

/// Locks the new `folder`, writes the name of its model into the lock, and makes room for its files. `None` when another run took it for one
/// that was left, which it may while it is not locked.
fn claim(folder: &Path, model: &OsStr) -> io::Result<Option<File>> {
    let path = folder.join(LOCK);
    let mut lock = match File::create_new(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        lock => lock?,
    };
    // Where files cannot be locked nothing is ever cleared up, so nothing is lost.
    if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) || !path.exists() {
        return Ok(None);
    }
    lock.write_all(model.as_encoded_bytes())?;
    fs::create_dir(folder.join(NEW))?;
    Ok(Some(lock))
}

/// Ends the runs that died and left their folders beside that of `living`.
fn clear(living: &Journal) {
    for entry in fs::read_dir(&living.home).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(is_name);
        if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) || !same_user(&entry.path(), &living.folder) {
            continue;
        }
        let journal = Journal { folder: entry.path(), home: living.home.clone() };
        match OpenOptions::new().read(true).write(true).open(journal.folder.join(LOCK)) {
            // The lock is free: whoever had it is dead. It is held until everything is gone.
            Ok(lock) if lock.try_lock().is_ok() => journal.close(),
            // It died before it had a lock, or it is just starting and makes another. Only an empty folder goes.
            Err(error) if error.kind() == ErrorKind::NotFound => drop(fs::remove_dir(&journal.folder)),
            _ => {}
        }
    }
}

/// True for a name that [`Temporary::new_in`] gives.
fn is_name(name: &str) -> bool {
    let random = name.strip_prefix(PREFIX).unwrap_or_default();
    random.len() == 6 && random.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// True when one user made both folders: what is in another's folder says nothing about our files.
#[cfg(unix)]
fn same_user(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let user = |path| fs::symlink_metadata(path).ok().map(|meta| meta.uid());
    user(a).is_some_and(|a| user(b) == Some(a))
}

/// True when one user made both folders. The system does not say, but keeps users apart.
#[cfg(not(unix))]
fn same_user(_: &Path, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn list(home: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(home).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_dead_run_left_goes_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        let living = Temporary::new_in(home.path(), "m".as_ref()).unwrap();
        let living_name = living.journal.folder.file_name().unwrap().to_str().unwrap().to_owned();
        // Killed before it had a lock, behind it, and in the middle.
        for (folder, files) in
            [(".onnx-rm-dead01", &[][..]), (".onnx-rm-dead02", &["lock"]), (".onnx-rm-dead03", &["lock", "new/m"])]
        {
            fs::create_dir_all(path(folder).join("new")).unwrap();
            files.iter().for_each(|file| fs::write(path(folder).join(file), "m").unwrap());
        }
        fs::remove_dir(path(".onnx-rm-dead01/new")).unwrap();
        // Not ours: another name, no lock.
        let others = [".onnx-rm-other", ".onnx-rm-notes1", "onnx-rm-abcdef"];
        others.iter().for_each(|folder| fs::create_dir_all(path(folder).join("new")).unwrap());
        fs::write(path(".onnx-rm-file01"), "a file").unwrap();
        clear(&living.journal);
        let mut want: Vec<String> =
            [&others[..], &[".onnx-rm-file01", &living_name]].concat().iter().map(|s| (*s).to_owned()).collect();
        want.sort();
        assert_eq!(list(home.path()), want);
        drop(living);
        assert_eq!(list(home.path()).len(), 4);
    }
}
