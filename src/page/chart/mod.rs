//! Numbers as pictures. Each stands beside a table that says the same.

mod bars;
mod curve;
mod histogram;

pub(super) use bars::pair;
pub(super) use curve::{Axis, Point, curve};
pub(super) use histogram::Histogram;
