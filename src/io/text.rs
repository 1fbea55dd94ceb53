//! Small text files: policies, reports.

use std::fs;
use std::io;
use std::path::Path;

/// Most bytes of a text that is read: no policy and no report is longer.
const MAX_BYTES: u64 = 256 << 20;

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
