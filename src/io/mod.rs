//! Files: reading a model without copying its weights, and writing one so that nothing is lost.

mod content;
mod external;
mod load;
mod mmap;
mod place;
mod rope;
mod save;
mod side;
mod wire;

use std::path::Path;

pub use external::{ExternalError, SideFile};
pub use load::{LoadError, LoadOptions, Model, load};
pub use save::{SaveError, Staged, save, stage};
pub use wire::UnknownField;

/// The folder that the file at `path` stands in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The content of the regular file at `path`, as a memory map.
///
/// # Errors
/// When the file cannot be opened, or is not a regular file.
#[cfg(feature = "verify")]
pub(crate) fn contents(path: &std::path::Path) -> std::io::Result<bytes::Bytes> {
    mmap::map(path)
}
