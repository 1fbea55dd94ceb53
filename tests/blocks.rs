//! Every block and every committed model by name, each property a test of its own: they run side by side, and one of them runs
//! alone by `cargo test --test blocks -- "silu written out"`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod committed;
mod common;
#[allow(dead_code)]
mod operations {
    pub mod blocks;
    pub mod everywhere;
    pub mod judge;
}

use libtest_mimic::{Arguments, Trial};
use operations::blocks;
use operations::everywhere::PROPERTIES;

fn main() {
    let of_blocks = blocks::all().flat_map(|(name, block)| {
        PROPERTIES.iter().map(move |(property, holds)| {
            Trial::test(format!("{name}: {property}"), move || {
                holds(name, block);
                Ok(())
            })
        })
    });
    let of_models = committed::files().into_iter().map(|(file, expected)| {
        Trial::test(format!("{file}: rewritten as expected, and only once"), move || {
            committed::rewritten_as_expected(&file, &expected);
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), of_blocks.chain(of_models).collect()).exit();
}
