//! Mapping a file into memory. With the `unsafe impl` in `rope.rs`, the only `unsafe` code of the crate.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;

/// Maps the regular file at `path`. An empty file gives empty bytes.
///
/// The mapping is private and read-only. A file that another program cuts short while it is mapped can end this
/// process, as with every tool that maps files; a file that is replaced (renamed over) cannot.
///
/// # Errors
/// When the file cannot be opened, or is not a regular file.
pub(super) fn map(path: &Path) -> io::Result<Bytes> {
    // Asked first: opening a pipe would wait for its writer.
    let meta = std::fs::metadata(path)?;
    if meta.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the map is read-only and lives as long as the `Bytes` made from it; nothing in this process writes to
    // the file in place (saving renames a new file over it).
    let map = unsafe { memmap2::Mmap::map(&file)? };
    Ok(Bytes::from_owner(map))
}
