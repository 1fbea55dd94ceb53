//! What is rewritten, and what it then computes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod budget;
mod committed;
mod common;
mod constants;
mod exporters;
mod facts;
mod interop;
mod linear;
mod models;
mod operations;
mod promises;
mod prune;
mod random;
mod sizes;
mod targets;
mod transposes;
