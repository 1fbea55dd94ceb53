//! Giving finished files their names, so that a run that ends at any step leaves the old model or the new one, never a
//! mixture.
//!
//! Side files come first, under names that nothing has; then the model replaces the old one in one step, and only then may
//! a side file of the old model go. What a run is about to do is written down first, in its temporary folder, so
//! [`Journal::close`] can undo what was not finished, also for a run that died. No file gets a second name meanwhile:
//! readers of external data refuse files with hard links.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::{old, parent};

/// Holds the model's name, and is locked while the run lives.
pub(super) const LOCK: &str = "lock";
/// What is made: the model, and every side file that is new.
pub(super) const NEW: &str = "new";
/// What the run is about to do.
const STEPS: &str = "steps";

/// A temporary folder and the folder for which its files are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Journal {
    pub(super) folder: PathBuf,
    pub(super) home: PathBuf,
}

/// A step of a run in the home folder.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    /// Makes a folder.
    Folder(String),
    /// Gives a side file its name.
    Place(Stamp, String),
    /// Takes a side file of the old model away, once the new model is there.
    Remove(Stamp, String),
}

impl Journal {
    /// Where the file is made that will be `file` in the home folder.
    pub(super) fn staged(&self, file: &Path) -> PathBuf {
        self.folder.join(NEW).join(file)
    }

    /// Makes the folders of the temporary folder that `file` stands in. Never the temporary folder itself: when that is
    /// gone, this process is about to end.
    ///
    /// # Errors
    /// When one cannot be made.
    pub(super) fn make_room(&self, file: &Path) -> io::Result<()> {
        let mut folders: Vec<&Path> = file.ancestors().skip(1).collect();
        folders.reverse();
        folders.iter().try_for_each(|folder| make_folder(&self.staged(folder)))
    }

    /// Gives `side`, then `model`, their names in the home folder. Of the old model's side files those in `old` go when
    /// [`Journal::close`] finds that nothing else means them.
    ///
    /// # Errors
    /// When a step fails, or when another file has the name of a side file; `close` puts back what was there.
    pub(super) fn place(&self, side: &[String], model: &Path, old: &[String]) -> io::Result<()> {
        let mut steps = Vec::new();
        for file in side {
            let mut folders: Vec<&Path> = Path::new(file).ancestors().skip(1).collect();
            folders.retain(|folder| !self.home.join(folder).exists());
            steps.extend(folders.iter().rev().map(|folder| Entry::Folder(folder.to_string_lossy().into_owned())));
            steps.push(Entry::Place(Stamp::of(&self.staged(file.as_ref()))?, file.clone()));
        }
        let stamped = |file: &String| Some(Entry::Remove(Stamp::of(&self.home.join(file)).ok()?, file.clone()));
        steps.extend(old.iter().filter_map(stamped));
        steps.dedup();
        self.write(&steps)?;
        for step in &steps {
            match step {
                Entry::Folder(folder) => make_folder(&self.home.join(folder))?,
                Entry::Place(_, file) => rename_to_free(&self.staged(file.as_ref()), &self.home.join(file))?,
                Entry::Remove(..) => {}
            }
        }
        // A power cut must not leave the model without them.
        side.iter().for_each(|file| sync(parent(&self.home.join(file))));
        fs::rename(self.staged(model), self.home.join(model))?;
        sync(&self.home);
        Ok(())
    }

    /// Ends a run, this one or one that died: undoes what came before the model got its name, or finishes what comes
    /// after, and takes the folder away.
    pub(super) fn close(&self) {
        let steps = self.read();
        let is_committed = self.is_committed();
        for step in steps.iter().rev() {
            match step {
                Entry::Remove(stamp, file) if is_committed => self.remove_old(stamp, file),
                Entry::Place(stamp, file) if !is_committed && stamp.is_of(&self.home.join(file)) => {
                    let _ = fs::remove_file(self.home.join(file));
                }
                // Only an empty one goes.
                Entry::Folder(folder) if !is_committed => drop(fs::remove_dir(self.home.join(folder))),
                _ => {}
            }
        }
        // In this order, for a run may end here too: without `new` it would look committed.
        let _ = fs::remove_file(self.folder.join(STEPS));
        let _ = fs::remove_dir_all(self.folder.join(NEW));
        let _ = fs::remove_file(self.folder.join(LOCK));
        let _ = fs::remove_dir(&self.folder);
    }

    /// True when the model has got its name, or was never made.
    fn is_committed(&self) -> bool {
        let model = fs::read(self.folder.join(LOCK)).unwrap_or_default();
        let is_model = |name: &OsStr| name.as_encoded_bytes() == model;
        !fs::read_dir(self.folder.join(NEW)).is_ok_and(|mut all| all.any(|e| e.is_ok_and(|e| is_model(&e.file_name()))))
    }

    /// Takes away a side file of the old model, unless something else means it: another name, a run that holds it, or a file
    /// that names it.
    fn remove_old(&self, stamp: &Stamp, file: &str) {
        let place = self.home.join(file);
        let Ok(held) = OpenOptions::new().read(true).write(true).open(&place) else { return };
        let is_free = held.try_lock().is_ok() && held.metadata().is_ok_and(|meta| links(&meta) == Some(1));
        if is_free && stamp.is_of(&place) && !old::is_named(&place, &self.home) {
            let _ = fs::remove_file(&place);
        }
    }

    /// Writes down what will be done, each step with a zero byte behind it: names are anything but that.
    fn write(&self, steps: &[Entry]) -> io::Result<()> {
        let mut text = Vec::new();
        for step in steps {
            match step {
                Entry::Folder(folder) => write!(text, "folder 0 0 0 {folder}\0")?,
                Entry::Place(stamp, file) => write!(text, "place {stamp} {file}\0")?,
                Entry::Remove(stamp, file) => write!(text, "remove {stamp} {file}\0")?,
            }
        }
        let mut file = File::create_new(self.folder.join(STEPS))?;
        file.write_all(&text)?;
        file.sync_all()
    }

    /// What [`Journal::write`] wrote; a step that is cut off was never begun.
    fn read(&self) -> Vec<Entry> {
        let text = fs::read_to_string(self.folder.join(STEPS)).unwrap_or_default();
        let (whole, _) = text.rsplit_once('\0').unwrap_or_default();
        whole.split('\0').filter_map(step).collect()
    }
}

fn step(line: &str) -> Option<Entry> {
    let mut words = line.splitn(5, ' ');
    let kind = words.next()?;
    let mut number = || words.next()?.parse().ok();
    let stamp = Stamp { number: number()?, length: number()?, changed: number()? };
    let file = words.next()?.to_owned();
    Some(match kind {
        "folder" => Entry::Folder(file),
        "place" => Entry::Place(stamp, file),
        "remove" => Entry::Remove(stamp, file),
        _ => return None,
    })
}

/// By which a file is known again: its number on the disk, its length, and when it was changed, in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    number: u128,
    length: u128,
    changed: u128,
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let meta = fs::symlink_metadata(path)?;
        let changed = meta.modified()?.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        Ok(Self { number: number(&meta), length: meta.len().into(), changed })
    }

    fn is_of(&self, path: &Path) -> bool {
        Self::of(path).is_ok_and(|stamp| stamp == *self)
    }
}

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.number, self.length, self.changed)
    }
}

/// Opens the side file at `path` and holds it: no other run takes it away meanwhile. `None` where that cannot be.
pub(super) fn hold(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    file.try_lock_shared().ok()?;
    // It may have gone between the two.
    let is_there =
        fs::metadata(path).is_ok_and(|meta| file.metadata().is_ok_and(|held| number(&held) == number(&meta)));
    is_there.then_some(file)
}

fn make_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Renames `from`, in one step, to a name that nothing has.
fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    let renamed =
        tempfile::TempPath::try_from_path(from).and_then(|path| path.persist_noclobber(to).map_err(Into::into));
    renamed.map_err(|error: io::Error| match error.kind() {
        ErrorKind::AlreadyExists => {
            io::Error::new(error.kind(), format!("'{}' has been made by something else meanwhile", to.display()))
        }
        _ => error,
    })
}

/// The number of a file on its disk; 0 where the system does not say.
#[cfg(unix)]
fn number(meta: &Metadata) -> u128 {
    std::os::unix::fs::MetadataExt::ino(meta).into()
}

/// The number of a file on its disk; 0 where the system does not say.
#[cfg(not(unix))]
fn number(_: &Metadata) -> u128 {
    0
}

/// How many names a file has; `None` where the system does not say.
#[cfg(unix)]
fn links(meta: &Metadata) -> Option<u64> {
    Some(std::os::unix::fs::MetadataExt::nlink(meta))
}

/// How many names a file has; `None` where the system does not say.
#[cfg(not(unix))]
fn links(_: &Metadata) -> Option<u64> {
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
        let mut all: Vec<String> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    }

    fn side() -> [String; 2] {
        ["a".to_owned(), "sub/b".to_owned()]
    }

    #[test]
    fn all_or_nothing() {
        let (_root, journal) = run();
        // `m` is a folder there, which no file can replace.
        fs::create_dir(journal.home.join("m")).unwrap();
        journal.place(&side(), "m".as_ref(), &[]).unwrap_err();
        assert_eq!(names(&journal.home), ["a", "m", "sub"]);
        journal.close();
        assert_eq!(names(&journal.home), ["m"]);
        assert!(!journal.folder.exists());
        let (_root, journal) = run();
        journal.place(&side(), "m".as_ref(), &[]).unwrap();
        journal.close();
        assert_eq!(names(&journal.home), ["a", "m", "sub"]);
        assert!(journal.home.join("sub/b").exists() && !journal.folder.exists());
    }

    #[test]
    fn a_name_that_is_taken_meanwhile_is_an_error() {
        let (_root, journal) = run();
        fs::create_dir(journal.home.join("sub")).unwrap();
        fs::write(journal.home.join("sub/b"), "another's").unwrap();
        let error = journal.place(&side(), "m".as_ref(), &[]).unwrap_err();
        assert!(error.to_string().contains("made by something else"), "{error}");
        journal.close();
        assert_eq!(names(&journal.home), ["sub"]);
        assert_eq!(fs::read(journal.home.join("sub/b")).unwrap(), b"another's");
    }

    /// Between a run that died and the next one anything may happen to its files.
    #[test]
    fn what_is_not_known_again_is_not_undone() {
        let (_root, journal) = run();
        fs::create_dir(journal.home.join("m")).unwrap();
        journal.place(&side(), "m".as_ref(), &[]).unwrap_err();
        fs::write(journal.home.join("a"), "another's").unwrap();
        journal.close();
        assert_eq!(names(&journal.home), ["a", "m"]);
    }

    #[test]
    fn an_old_side_file_goes_last_and_only_when_nothing_means_it() {
        for means in ["nothing", "a name in a file", "a second name", "a run"] {
            let (_root, journal) = run();
            let place = journal.home.join("w.data");
            fs::write(&place, "old").unwrap();
            match means {
                "a name in a file" => fs::write(journal.home.join("another"), "reads w.data").unwrap(),
                "a second name" => fs::hard_link(&place, journal.folder.join("second")).unwrap(),
                _ => {}
            }
            let held = (means == "a run").then(|| hold(&place).unwrap());
            journal.place(&[], "m".as_ref(), &["w.data".to_owned()]).unwrap();
            assert!(place.exists());
            journal.close();
            assert_eq!(place.exists(), means != "nothing", "{means}");
            drop(held);
        }
    }

    #[test]
    fn a_step_that_is_cut_off_was_never_begun() {
        let (_root, journal) = run();
        let stamp = Stamp::of(&journal.staged("a".as_ref())).unwrap();
        let steps = [
            Entry::Folder("s p".into()),
            Entry::Place(stamp.clone(), "s p/b".into()),
            Entry::Remove(stamp, "c".into()),
        ];
        journal.write(&steps).unwrap();
        assert_eq!(journal.read(), steps);
        let text = fs::read(journal.folder.join(STEPS)).unwrap();
        fs::write(journal.folder.join(STEPS), &text[..text.len() - 1]).unwrap();
        assert_eq!(journal.read(), steps[..2]);
    }
}
