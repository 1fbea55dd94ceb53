//! Reading a whole file into memory.
//!
//! Mapping the file would be cheaper, but a map shows what becomes of the file later: cut short by another program, it ends
//! this process (`SIGBUS`), and written to, it changes weights that were looked at already.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use bytes::Bytes;
use memmap2::MmapMut;

use crate::tasks;

/// Bytes from which on a file is read in parts.
const LARGE: usize = 1 << 24;

/// Bytes of a part.
const PART: usize = 1 << 22;

/// So many bytes of memory that hold zeros.
fn room(length: usize) -> io::Result<MmapMut> {
    let room = MmapMut::map_anon(length)?;
    // Large pages are made in a fraction of the time; where there are none, small ones do.
    #[cfg(target_os = "linux")]
    let _ = room.advise(memmap2::Advice::HugePage);
    Ok(room)
}

/// Fills `content` from the beginning of `file`, on all processors: most of the time goes into making room in memory.
#[cfg(unix)]
fn read_in_parts(file: &File, content: &mut [u8]) -> io::Result<()> {
    use std::os::unix::fs::FileExt;

    let work = content.len();
    let mut parts: Vec<(&mut [u8], io::Result<()>)> = content.chunks_mut(PART).map(|part| (part, Ok(()))).collect();
    tasks::each(work, parts.iter_mut().enumerate(), |(): &mut (), (at, (part, result))| {
        *result = file.read_exact_at(part, (at * PART) as u64);
    });
    parts.into_iter().try_for_each(|(_, result)| result)
}

/// Elsewhere files are read in one go.
#[cfg(not(unix))]
fn read_in_parts(mut file: &File, content: &mut [u8]) -> io::Result<()> {
    file.read_exact(content)
}

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
    let too_large =
        |_: io::Error| io::Error::new(ErrorKind::OutOfMemory, format!("its {length} bytes do not fit into memory"));
    let content = match cfg!(unix) && length >= LARGE {
        true => {
            let mut room = room(length).map_err(too_large)?;
            read_in_parts(&file, &mut room)?;
            Bytes::from_owner(room)
        }
        false => {
            let mut content = Vec::new();
            content.try_reserve_exact(length).map_err(|_| too_large(ErrorKind::OutOfMemory.into()))?;
            file.by_ref().take(before.len().saturating_add(1)).read_to_end(&mut content)?;
            Bytes::from(content)
        }
    };
    let after = file.metadata()?;
    if content.len() != length || after.len() != before.len() || after.modified().ok() != before.modified().ok() {
        return Err(io::Error::other("it changed while it was read"));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_large_file_is_read_to_its_last_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        for length in [LARGE - 1, LARGE, LARGE + PART + 5] {
            let content: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            fs::write(&path, &content).unwrap();
            assert!(read(&path).unwrap() == content, "{length}");
        }
    }
}
