//! What verification finds: its evaluator, its inputs, its verdict.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod common;
mod mutants;
mod reach;
mod reference;
mod reference_corpus;
mod reference_fused;
mod reference_graphs;
mod structure;
mod verify;
