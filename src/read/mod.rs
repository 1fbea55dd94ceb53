//! Reading single operators: what one node is, for removing joins and for folding alike.
//!
//! A [`Context`] is what every reader looks at, a [`Frame`] says where the channels stand, a [`Reject`] why the answer is no.
//! `affine` reads per-channel maps, `conv` convolutions and pools that are some, `layer` linear layers, `crop`,
//! `channels`, `perm` and `rows` what only moves entries; `step` any of them, as one linear operator.
//!
//! Nothing here looks further than one operator. Which of them make a branch or a shortcut is the part of `residual`, which
//! of them are one map that of `linear`.

pub(crate) mod affine;
pub(crate) mod channels;
mod context;
pub(crate) mod conv;
pub(crate) mod crop;
mod frame;
pub(crate) mod layer;
mod perm;
mod reject;
pub(crate) mod rows;
pub(crate) mod step;

pub(crate) use affine::BROADCASTS_SINCE;
pub use context::Context;
pub(crate) use context::{data_inputs, spatial};
pub use conv::BranchConv;
pub use frame::Frame;
pub(crate) use frame::MAX_CHANNELS;
pub(crate) use perm::Perm;
pub use reject::{Reject, RejectCode};
pub use rows::Rows;
