//! Moving finished files to where they belong: all of them, or none.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::parent;

/// Moves `files` from the folder `from` to the folder `to`, which is on the same disk. The last of them is replaced in
/// one step; the others are set aside first and put back when a later step fails.
///
/// # Errors
/// When a step fails. The kind is `Other` when what was there could not be put back: it is still in `from`.
pub(super) fn place(from: &Path, to: &Path, files: &[PathBuf]) -> io::Result<()> {
    let mut replaced: Vec<Replaced> = Vec::new();
    let moved = files.iter().enumerate().try_for_each(|(index, file)| {
        let target = to.join(file);
        fs::create_dir_all(parent(&target))?;
        if index + 1 < files.len() {
            replaced.push(Replaced::set_aside(target.clone(), from.join(format!("replaced-{index}")))?);
        }
        fs::rename(from.join(file), target)
    });
    if let Err(error) = moved {
        for file in replaced.into_iter().rev() {
            file.put_back().map_err(|e| {
                io::Error::other(format!(
                    "{error}; what was there is in '{}' and cannot be put back: {e}",
                    from.display()
                ))
            })?;
        }
        return Err(error);
    }
    // The renames themselves must survive a power cut.
    for file in files {
        if let Ok(folder) = File::open(parent(&to.join(file))) {
            let _ = folder.sync_all();
        }
    }
    Ok(())
}

/// A file that another takes the place of.
struct Replaced {
    target: PathBuf,
    /// Where it is meanwhile; `None` when there was none.
    aside: Option<PathBuf>,
}

impl Replaced {
    fn set_aside(target: PathBuf, aside: PathBuf) -> io::Result<Self> {
        match fs::rename(&target, &aside) {
            Ok(()) => Ok(Self { target, aside: Some(aside) }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self { target, aside: None }),
            Err(error) => Err(error),
        }
    }

    fn put_back(self) -> io::Result<()> {
        let Some(aside) = self.aside else {
            return match fs::remove_file(self.target) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        };
        fs::rename(aside, self.target)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_failure_puts_everything_back() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("to"));
        fs::create_dir_all(&from).unwrap();
        fs::create_dir_all(to.join("m")).unwrap();
        for (file, content) in [("from/a", "new"), ("from/b", "new"), ("from/m", "new"), ("to/a", "old")] {
            fs::write(root.path().join(file), content).unwrap();
        }
        // `m` is a folder there, which no file can replace.
        place(&from, &to, &["a".into(), "b".into(), "m".into()]).unwrap_err();
        assert_eq!(fs::read_to_string(to.join("a")).unwrap(), "old");
        assert!(!to.join("b").exists());
        fs::remove_dir(to.join("m")).unwrap();
        fs::write(from.join("a"), "new").unwrap();
        fs::write(from.join("b"), "new").unwrap();
        place(&from, &to, &["a".into(), "b".into(), "m".into()]).unwrap();
        for file in ["a", "b", "m"] {
            assert_eq!(fs::read_to_string(to.join(file)).unwrap(), "new");
        }
    }
}
