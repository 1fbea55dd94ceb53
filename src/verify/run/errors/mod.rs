//! Errors of an output over runs: gathered run by run, put together, and told as a [`Comparison`](crate::verify::Comparison).

mod frontier;
mod gather;
mod ulps;

pub(super) use gather::{Against, Errors, Model, Pairing};
