//! Reading a whole file into memory.
//!
//! A memory map would be cheaper, but a map shows what becomes of the file later: cut short by another program, it ends
//! this process (`SIGBUS`), and written to, it changes weights that were looked at already.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use bytes::Bytes;

/// The content of the regular file at `path`.
///
/// # Errors
/// When the file cannot be opened, is not a regular file, does not fit into memory, or changes while it is read.
pub(super) fn read(path: &Path) -> io::Result<Bytes> {
    // Asked first: opening a pipe would wait for its writer.
    let meta = fs::metadata(path)?;
    if meta.is_dir() {
        return Err(io::Error::new(ErrorKind::IsADirectory, "it is a directory"));
    }
    if !meta.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut file = File::open(path)?;
    let before = file.metadata()?;
    let length = usize::try_from(before.len()).unwrap_or(usize::MAX);
    let too_large = |_| io::Error::new(ErrorKind::OutOfMemory, format!("its {length} bytes do not fit into memory"));
    let mut content = Vec::new();
    content.try_reserve_exact(length).map_err(too_large)?;
    file.by_ref().take(before.len().saturating_add(1)).read_to_end(&mut content)?;
    let after = file.metadata()?;
    if content.len() != length || after.len() != before.len() || after.modified().ok() != before.modified().ok() {
        return Err(io::Error::other("it changed while it was read"));
    }
    Ok(Bytes::from(content))
}
