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

use std::fs;

use libtest_mimic::{Arguments, Trial};
use onnx_rm::io::save;
use operations::blocks;
use operations::everywhere::PROPERTIES;
use serde::Deserialize;

/// What `models/expected.json` says of a file.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    joins: usize,
    left: usize,
    note: Option<String>,
}

fn main() {
    let of_blocks = blocks::all().flat_map(|(name, block)| {
        PROPERTIES.iter().map(move |(property, holds)| {
            Trial::test(format!("{name}: {property}"), move || {
                holds(name, block);
                Ok(())
            })
        })
    });
    let of_models = committed::files::<Expected>().into_iter().map(|(file, expected)| {
        Trial::test(format!("{file}: rewritten as expected, and only once"), move || {
            rewritten_as_expected(&file, &expected);
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), of_blocks.chain(of_models).collect()).exit();
}

/// The expected joins go; where none does the bytes stay; and a second rewrite changes nothing.
fn rewritten_as_expected(file: &str, expected: &Expected) {
    let source = committed::folder().join(file);
    let mut model = committed::read(&source);
    let outcome = committed::rewrite(&mut model);
    let kept: Vec<_> = outcome.kept().map(|(s, r)| format!("{}: {}", s.join, r.reason)).collect();
    assert_eq!((outcome.before.joins, outcome.after.joins), (expected.joins, expected.left), "{kept:#?}");
    assert_eq!(expected.note.is_some(), expected.left > 0, "what is left needs a note, and nothing else");
    let place = tempfile::tempdir().unwrap();
    let (once, twice) = (place.path().join("once.onnx"), place.path().join("twice.onnx"));
    save(&model, &once).unwrap();
    if expected.joins == expected.left {
        assert!(fs::read(&source).unwrap() == fs::read(&once).unwrap(), "nothing is removed, and the bytes differ");
    }
    let mut model = committed::read(&once);
    let outcome = committed::rewrite(&mut model);
    assert_eq!(outcome.removed().count(), 0, "rewritten a second time");
    save(&model, &twice).unwrap();
    assert!(fs::read(&once).unwrap() == fs::read(&twice).unwrap(), "a second rewrite changes bytes");
}
