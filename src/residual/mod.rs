//! Residual joins: finding one, proving that it can go, and building the plain chain.
//!
//! [`find`] reads a join (`Add`, two-input `Sum`, `Sub`) into a [`find::Site`]: the fork, the branch as a list of
//! steps, the shortcut as a chain of linear operators. [`branch`] normalises the branch into convolutions and
//! the passes between them. [`check`] proves that the join can be removed, or says why not; [`host`] places the
//! shortcut on the branch's convolutions. [`build`] turns a
//! proof and what the planner chose, layouts and forms, into edits.
//!
//! Nothing here knows a block template. What can stand on a branch is in [`operation`], what can stand on a
//! shortcut is linear ([`crate::read`]); every block is what comes out when they are read one operator at a time.

pub mod branch;
pub mod build;
pub mod check;
mod cropped;
pub mod find;
mod hop;
pub mod host;
mod join;
pub mod operation;
pub mod shortcut;
pub mod size;
