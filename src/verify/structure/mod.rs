//! Two models compared as text, and one model's element types: what no input can tell.
//!
//! A changed row of an embedding shows only to whoever asks for that row, `sorted` of a `TopK` only where two values tie.
//! [`differences`] lists what differs between nodes that otherwise are one; a [`Watcher`] then says which of that had no effect on
//! anything that was fed. [`types()`] infers element types by the operator table of the specification, and finds what a
//! runtime would refuse.

mod attributes;
mod bodies;
mod constants;
mod content;
mod difference;
mod find;
mod infer;
mod settle;
mod types;
mod watcher;

pub use difference::{Content, Difference, What};
pub use find::differences;
pub use infer::types;
pub use types::{Contradiction, Types};
pub use watcher::Watcher;
