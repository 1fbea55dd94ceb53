//! Small text files: policies, reports.

use std::fs;
use std::io;
use std::path::Path;
#[cfg(feature = "cli")]
use std::path::PathBuf;

/// Most bytes of a text that is read: no policy and no report is longer.
const MAX_BYTES: u64 = 256 << 20;

/// Most links that are followed to what is not there.
#[cfg(feature = "cli")]
const MAX_LINKS: usize = 40;

/// The text of the regular file at `path`.
///
/// # Errors
/// When it cannot be read, is no regular file, is too large or no UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let meta = fs::metadata(path)?;
    if meta.len() > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too large for a text"));
    }
    let bytes = super::read::read(path)?;
    String::from_utf8(bytes.into()).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no UTF-8 text"))
}

/// True when two paths mean one file, by links, by `..` or by a second name of it. What is not there yet is where its folder is.
#[cfg(feature = "cli")]
pub(crate) fn is_same(a: &Path, b: &Path) -> bool {
    real(a) == real(b) || is_one(a, b)
}

#[cfg(all(feature = "cli", unix))]
fn is_one(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let key = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    key(a).is_some_and(|a| key(b) == Some(a))
}

#[cfg(all(feature = "cli", not(unix)))]
fn is_one(_: &Path, _: &Path) -> bool {
    false
}

/// Where `path` leads; a link to what is not there yet is followed as far as it goes.
#[cfg(feature = "cli")]
fn real(path: &Path) -> PathBuf {
    let mut path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for _ in 0..MAX_LINKS {
        if let Ok(real) = path.canonicalize() {
            return real;
        }
        let Ok(target) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    match (path.parent().and_then(|folder| folder.canonicalize().ok()), path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}

/// Writes `text` to `path`, into what is there already: a file that a CI system has made keeps its place. Never over a file that
/// exists where `is_new`.
///
/// # Errors
/// When it cannot be written.
#[cfg(feature = "cli")]
pub(crate) fn write_text(path: &Path, text: &str, is_new: bool) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true);
    match is_new {
        true => options.create_new(true),
        false => options.create(true).truncate(true),
    };
    io::Write::write_all(&mut options.open(path)?, text.as_bytes())
}
