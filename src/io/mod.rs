//! Files: reading a model into memory once, and writing one so that nothing is lost.

mod content;
mod digest;
mod external;
mod load;
mod memory;
mod model;
mod old;
mod place;
mod read;
mod rope;
mod save;
mod side;
mod temporary;
mod text;
mod walk;
mod wire;

use std::path::Path;

pub use digest::Digest;
pub use external::{ExternalError, SideFile};
pub use load::{LoadError, LoadOptions, load};
pub use model::Model;
pub use save::{SaveError, Saved, Staged, save, stage};
pub use temporary::discard;
pub(crate) use text::read_text;
#[cfg(feature = "cli")]
pub(crate) use text::{is_same, write_text};
pub(crate) use walk::{Found, entries, find, size, walk};
pub use wire::UnknownField;

/// The SHA-256 of any regular file, in hexadecimal, and its size.
///
/// # Errors
/// When it cannot be read.
#[cfg(feature = "cli")]
pub(crate) fn digest_of(path: &Path) -> std::io::Result<(String, u64)> {
    let bytes = read::read(path)?;
    Ok((digest::sha256(&bytes), bytes.len() as u64))
}

/// The folder that the file at `path` stands in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes `files` into a new folder in `parent`, which is made where it is missing; the folder has the first free number for its name.
///
/// # Errors
/// When something cannot be made; what was written by then stays.
#[cfg(feature = "verify")]
pub(crate) fn write_folder(parent: &Path, files: &[(&str, Vec<u8>)]) -> std::io::Result<std::path::PathBuf> {
    use std::io::ErrorKind;
    std::fs::create_dir_all(parent)?;
    let mut number = 1usize;
    let folder = loop {
        let folder = parent.join(number.to_string());
        match std::fs::create_dir(&folder) {
            Ok(()) => break folder,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(e) => return Err(e),
        }
    };
    for (name, content) in files {
        std::fs::write(folder.join(name), content)?;
    }
    Ok(folder)
}

/// Writes `files` into `folder`, which is made where it is missing. What stands there under another name is left.
///
/// # Errors
/// When something cannot be made; what was written by then stays.
#[cfg(feature = "verify")]
pub(crate) fn write_files(folder: &Path, files: &[(String, Vec<u8>)]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    files.iter().try_for_each(|(name, content)| std::fs::write(folder.join(name), content))
}

/// The content of the regular file at `path`.
///
/// # Errors
/// When the file cannot be read, or is not a regular file.
pub(crate) fn contents(path: &std::path::Path) -> std::io::Result<bytes::Bytes> {
    read::read(path)
}
