//! Two graphs side by side: what they have in common, and where they part.

mod draw;
mod layout;
mod net;
mod rows;

pub(super) use draw::{Budget, Sides, arrows, draw, operators};
pub(crate) use net::Net;
pub(super) use rows::{Row, RowKind, rows};
