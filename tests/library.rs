//! What is rewritten and what it then computes; and what verification finds: its evaluator, its inputs, its verdict.
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
mod mutants;
mod operations;
mod promises;
mod prune;
mod random;
mod reach;
mod reference;
mod reference_corpus;
mod reference_fused;
mod reference_graphs;
mod sizes;
mod structure;
mod targets;
mod transposes;
mod verify;
