//! Files: reading a model without copying its weights, and writing one so that nothing is lost.

mod external;
mod load;
mod mmap;
mod rope;
mod save;
mod wire;

pub use external::{External, ExternalError};
pub use load::{LoadError, LoadOptions, Model, load};
pub use save::{SaveError, Staged, save, stage};
pub use wire::UnknownField;
