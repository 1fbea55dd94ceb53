//! What the documentation says is what the sources say; layers, sizes and file access are as `docs/ARCHITECTURE.md` has them.

mod api;
mod circles;
#[cfg(feature = "cli")]
mod commands;
mod docs;
#[cfg(feature = "cli")]
mod report;
mod sources;
mod tables;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Files under `folder` with the given extension, relative to the repository, in order.
fn files(folder: &str, extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = folder.join(entry.unwrap().file_name());
            if root().join(&path).is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path.to_str().unwrap().replace('\\', "/"));
            }
        }
    }
    assert!(!found.is_empty(), "no .{extension} file under {folder}");
    found.sort();
    found
}

/// What stands between backticks in `text`.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Both ways: what is in one and not in the other.
fn assert_same(what: &str, code: &BTreeSet<String>, docs: &BTreeSet<String>) {
    let missing: Vec<_> = code.difference(docs).collect();
    let surplus: Vec<_> = docs.difference(code).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "{what}: not documented {missing:?}; documented only {surplus:?}"
    );
}
