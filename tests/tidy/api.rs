//! The public API as a list: a change of it shows as a difference of that list, to be looked at and accepted.
//!
//! It is read from the sources: what `src/lib.rs` re-exports, with public fields, variants and methods, and the traits that are
//! implemented by hand. Derived traits, and what Rust implements by itself (`Send`), are not in it; `tests/api.rs` holds those that
//! matter.

use std::fmt::Write as _;

use super::circles::Crate;
use super::{files, read};

/// The lines of the item that begins with `head` in `text`, up to the bracket or semicolon that ends it.
fn item<'t>(text: &'t str, head: &str) -> Vec<&'t str> {
    let mut lines = text.lines().skip_while(|l| !l.starts_with(head)).peekable();
    let first = lines.peek().copied().unwrap_or_default();
    let ends = |l: &str| matches!(l, "}" | ")" | ");" | "};") || l.ends_with(';') && !l.starts_with(' ');
    let mut found = Vec::new();
    for line in lines {
        found.push(line);
        if ends(line) || found.len() == 1 && first.ends_with('}') {
            break;
        }
    }
    found
}

/// A signature on one line, without its body.
fn signature(lines: &[&str]) -> String {
    let mut whole = String::new();
    for line in lines {
        let _ = write!(whole, "{} ", line.trim());
        if line.trim_end().ends_with('{') || line.trim_end().ends_with(';') {
            break;
        }
    }
    whole.trim_end().trim_end_matches(['{', ';']).trim_end().replace("( ", "(").replace(", )", ")")
}

/// Public fields, or variants with their fields.
fn members(lines: &[&str]) -> Vec<String> {
    let is_enum = lines.first().is_some_and(|l| l.starts_with("pub enum"));
    let shown = |l: &&&str| match l.trim_start() {
        t if t.starts_with("//") || t.starts_with("#[") || t.is_empty() => false,
        t => is_enum || t.starts_with("pub ") && !t.starts_with("pub("),
    };
    let inner = lines.get(1..lines.len().saturating_sub(1)).unwrap_or_default();
    inner.iter().filter(shown).map(|l| l.trim_end_matches(',').to_owned()).collect()
}

/// Methods and traits of the type `name`, wherever they stand.
fn implementations(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for file in files("src", "rs") {
        let text = read(&file);
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, l)| l.starts_with("impl")) {
            let header = line.trim_end_matches([' ', '{', '}']);
            let of = header.rsplit(' ').next().unwrap_or_default();
            if of.split('<').next() != Some(name) {
                continue;
            }
            if header.contains(" for ") {
                found.push(format!("    {header}"));
                continue;
            }
            let body = &lines[at..at + lines[at..].iter().position(|l| *l == "}").unwrap_or(0)];
            let public =
                body.iter().enumerate().filter(|(_, l)| l.starts_with("    pub fn") || l.starts_with("    pub const"));
            found.extend(public.map(|(n, _)| format!("    {}", signature(&body[n..]))));
        }
    }
    found.sort();
    found
}

#[test]
fn the_public_api_is_as_it_was() {
    let files = Crate::read();
    let mut entries = Vec::new();
    for (name, path) in files.reexports() {
        let Some(file) = files.definition(path) else { panic!("{name} is nowhere") };
        let (text, own) = (read(file), path.last().unwrap());
        let mut entry = String::new();
        for kind in ["struct", "enum", "fn", "type"] {
            let head = format!("pub {kind} {own}");
            let lines = item(&text, &head);
            if lines.first().is_none_or(|l| l[head.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')) {
                continue;
            }
            let hidden = text.contains(&format!("#[non_exhaustive]\n{head}"));
            let renamed = if *name == *own { String::new() } else { format!(" as {name}") };
            let _ = writeln!(entry, "{}{renamed}{}", signature(&lines), if hidden { ", non-exhaustive" } else { "" });
            if matches!(kind, "struct" | "enum") {
                members(&lines).into_iter().chain(implementations(own)).for_each(|l| _ = writeln!(entry, "{l}"));
            }
        }
        entries.push((name.clone(), if entry.is_empty() { format!("{name}, generated\n") } else { entry }));
    }
    assert!(entries.len() > 40, "the re-exports are no longer read");
    entries.sort();
    insta::assert_snapshot!(entries.into_iter().map(|(_, entry)| entry).collect::<String>());
}
