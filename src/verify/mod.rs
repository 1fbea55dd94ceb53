//! (in progress)
pub mod reference;
