//! The program: its command line, its files, its manners; and whether what is written about it is so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod api;
mod bad_input;
mod check;
mod cli;
mod common;
mod interrupted;
mod io;
mod page;
mod plan_command;
mod prune_command;
mod python;
mod schema;
mod targets_command;
mod tidy;
