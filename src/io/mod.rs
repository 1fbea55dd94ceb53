//! Files: reading a model into memory once, and writing one so that nothing is lost.

mod content;
mod external;
mod load;
mod old;
mod place;
mod read;
mod rope;
mod save;
mod side;
mod temporary;
mod wire;

use std::path::Path;

pub use external::{ExternalError, SideFile};
pub use load::{LoadError, LoadOptions, Model, load};
pub use save::{SaveError, Saved, Staged, save, stage};
pub use temporary::discard;
pub use wire::UnknownField;

/// The folder that the file at `path` stands in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The content of the regular file at `path`.
///
/// # Errors
/// When the file cannot be read, or is not a regular file.
#[cfg(feature = "verify")]
pub(crate) fn contents(path: &std::path::Path) -> std::io::Result<bytes::Bytes> {
    read::read(path)
}
