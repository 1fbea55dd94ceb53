//! Layers, file sizes, file access, unsafe code.

use std::collections::{BTreeMap, BTreeSet};

use super::tables::rows;
use super::{assert_same, files, quoted, read};

/// Most lines of a file.
const MAX_LINES: usize = 500;

/// The lines that are code, or at least no whole-line comments, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(n, l)| (n + 1, l.trim())).filter(|(_, l)| !l.starts_with("//"))
}

/// The folder or file of `src` that `path` belongs to.
fn layer(path: &str) -> &str {
    let path = path.trim_start_matches("src/");
    path.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The module paths in `line` that begin at the crate's root, `depth` being the number of modules around it.
fn paths(line: &str, depth: usize) -> Vec<String> {
    let from_root = line.match_indices("crate::").map(|(at, found)| at + found.len());
    let supers = "super::".repeat(depth);
    let from_super = line.match_indices(&supers).map(|(at, found)| at + found.len());
    let word =
        |at: usize| line[at..].chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '{')).collect();
    from_root.chain(from_super).map(word).collect()
}

#[test]
fn layers_use_what_their_row_allows() {
    let rows: Vec<(String, Vec<String>)> = rows(&read("docs/ARCHITECTURE.md"), "layer")
        .iter()
        .map(|r| (quoted(&r[0])[0].to_owned(), quoted(&r[1]).into_iter().map(str::to_owned).collect()))
        .collect();
    for (at, (layer, uses)) in rows.iter().enumerate() {
        let upwards = uses.iter().find(|u| !rows[..at].iter().any(|(above, _)| above == *u));
        assert!(upwards.is_none(), "{layer} uses {upwards:?}, which stands in no row above it");
    }
    let table: BTreeMap<String, Vec<String>> = rows.into_iter().collect();
    let all: BTreeSet<String> = files("src", "rs").iter().map(|f| layer(f).to_owned()).collect();
    let listed: BTreeSet<String> = table.keys().cloned().chain(["lib", "main"].map(str::to_owned)).collect();
    assert_same("the layers of docs/ARCHITECTURE.md", &all, &listed);
    // These do not move with the table.
    assert!(table["algebra"].is_empty(), "algebra knows no ONNX");
    assert!(!table["linear"].contains(&"residual".to_owned()), "folding knows nothing of joins");
    for below in ["onnx", "options", "io", "graph", "facts", "read", "emit", "residual", "linear"] {
        let above = ["engine", "cli", "api", "verify", "report", "plan"];
        assert!(!table[below].iter().any(|u| above.contains(&u.as_str())), "{below} must know nothing of {above:?}");
    }
    let mut wrong = Vec::new();
    for file in files("src", "rs") {
        let own = layer(&file);
        let Some(allowed) = table.get(own) else { continue };
        let depth = file.matches('/').count() - usize::from(file.ends_with("/mod.rs"));
        for (number, line) in code(&read(&file)) {
            assert!(!line.contains("crate::{"), "{file}:{number}: one `use` a module, so that layers can be read");
            for path in paths(line, depth) {
                let target = path.split("::").next().unwrap_or_default();
                let is_allowed = allowed.iter().any(|a| path == *a || path.starts_with(&format!("{a}::")));
                if all.contains(target) && target != own && !is_allowed {
                    wrong.push(format!("{file}:{number}: {own} uses {path}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn paths_are_read() {
    assert_eq!(paths("use crate::plan::change::{A, B};", 2), ["plan::change::{A"]);
    assert_eq!(paths("fn f(a: &crate::io::Model) -> crate::cli::X", 2), ["io::Model", "cli::X"]);
    assert_eq!(paths("use super::super::engine::rewrite;", 2), ["engine::rewrite"]);
    assert_eq!(paths("use super::engine::rewrite;", 2), Vec::<String>::new());
    assert_eq!(layer("src/residual/operation/mod.rs"), "residual");
    assert_eq!(layer("src/engine.rs"), "engine");
}

#[test]
fn files_are_short() {
    let long = |f: &String| read(f).lines().count() > MAX_LINES;
    let found: Vec<String> = files("src", "rs").into_iter().filter(long).collect();
    assert!(found.is_empty(), "more than {MAX_LINES} lines: {found:?}");
}

/// True when `line` borrows something of a model mutably: `&mut T`, `&'a mut T`, `&mut crate::onnx::T`.
fn borrows_mutably(line: &str) -> bool {
    let words: Vec<&str> = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).collect();
    words.iter().enumerate().filter(|(_, w)| **w == "mut").any(|(at, _)| {
        let named = words[at + 1..].iter().find(|w| !["crate", "super", "onnx", "io"].contains(w));
        named.is_some_and(|t| ["Model", "ModelProto", "GraphProto", "NodeProto", "TensorProto"].contains(t))
    })
}

#[test]
fn mutable_borrows_are_read() {
    for line in ["f(m: &mut ModelProto)", "struct S<'a>(&'a mut crate::onnx::GraphProto);", "x: &mut super::io::Model,"]
    {
        assert!(borrows_mutably(line), "{line}");
    }
    for line in ["let mut model: ModelProto = x;", "f(m: &ModelProto, e: &mut Emit)", "nodes: &mut Vec<NodeProto>"] {
        assert!(!borrows_mutably(line), "{line}");
    }
}

#[test]
fn only_apply_and_clean_change_a_graph() {
    // Reading resolves external data, and the engine hands the model on to `apply`.
    let may = ["graph", "io", "engine", "api"];
    for file in files("src", "rs").iter().filter(|f| !may.contains(&layer(f))) {
        for (number, line) in code(&read(file)) {
            assert!(!borrows_mutably(line), "{file}:{number}: {line}");
        }
    }
}

#[test]
fn only_io_touches_files() {
    let access = ["std::fs", "File::", "fs::", "OpenOptions", "tempfile::"];
    for file in files("src", "rs").iter().filter(|f| layer(f) != "io") {
        for (number, line) in code(&read(file)) {
            assert!(!access.iter().any(|a| line.contains(a)), "{file}:{number}: {line}");
        }
    }
}

#[test]
fn only_three_files_are_unsafe() {
    let is_unsafe = |text: &str| {
        let word = |l: &str| l.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|w| w == "unsafe");
        code(text).any(|(_, l)| word(l) || l.contains("allow(unsafe_code)"))
    };
    let found: Vec<String> = files("src", "rs").into_iter().filter(|f| is_unsafe(&read(f))).collect();
    assert_eq!(found, ["src/cli/signals.rs", "src/io/rope.rs", "src/verify/run/library.rs"]);
    assert!(read("Cargo.toml").contains("unsafe_code = \"deny\""));
}

#[test]
fn the_minimum_rust_version_is_stated_once() {
    let manifest = read("Cargo.toml");
    let version = manifest.lines().find_map(|l| l.strip_prefix("rust-version = \"")).unwrap().trim_end_matches('"');
    for page in ["README.md", "CONTRIBUTING.md"] {
        assert!(read(page).contains(&format!("Rust {version}")), "{page} does not say Rust {version}");
    }
    assert!(read("docs/DEPENDENCIES.md").contains(&format!("minimum Rust version ({version})")));
}
