//! Which file imports what of which other file: no file may import itself by way of others.
//!
//! A file imports another one when it names an item of it by a path: in a `use`, or in the code. `mod` and `pub use` only say where a
//! name is, so a path is followed to the file that defines the item. What stands under `#[cfg(test)]` does not count: tests may
//! look at what stands above.

use std::collections::{BTreeMap, BTreeSet};

use super::{files, read};

/// The segments of a path from the root of the crate.
type Path = Vec<String>;

/// One file of `src`.
struct Source {
    file: String,
    /// What each name of a `use` stands for.
    aliases: BTreeMap<String, Path>,
    /// Every path that it names, except those that it only hands on by `pub use`.
    paths: BTreeSet<Path>,
}

/// All files by the module that each of them is.
pub(crate) struct Crate(BTreeMap<Path, Source>);

impl Crate {
    pub(crate) fn read() -> Self {
        let named = files("src", "rs").into_iter().filter(|f| f != "src/main.rs").map(|file| (module(&file), file));
        let named: BTreeMap<Path, String> = named.collect();
        let modules: BTreeSet<Path> = named.keys().cloned().collect();
        Self(
            named
                .into_iter()
                .map(|(path, file)| {
                    let source = Source::parse(&read(&file), &path, file, &modules);
                    (path, source)
                })
                .collect(),
        )
    }

    /// The file that defines what `path` names. `None` for a module, and for what is not of this crate.
    pub(crate) fn definition(&self, path: &[String]) -> Option<&str> {
        let mut path = path.to_vec();
        // A re-export may lead to another one.
        for _ in 0..8 {
            let length = (0..=path.len()).rev().find(|n| self.0.contains_key(&path[..*n]))?;
            let source = &self.0[&path[..length]];
            let item = path.get(length)?;
            match source.aliases.get(item) {
                Some(target) => path = target.iter().chain(&path[length + 1..]).cloned().collect(),
                None => return Some(&source.file),
            }
        }
        None
    }

    /// What `src/lib.rs` gives to others: each name with the path that it stands for.
    pub(crate) fn reexports(&self) -> &BTreeMap<String, Vec<String>> {
        &self.0[&Path::new()].aliases
    }

    /// For every file those that it imports, each with one of the names.
    fn imports(&self) -> BTreeMap<&str, BTreeMap<&str, String>> {
        let of = |source: &Source| {
            let found = source.paths.iter().filter_map(|p| Some((self.definition(p)?.to_owned(), p.join("::"))));
            let found: BTreeMap<String, String> = found.filter(|(file, _)| *file != source.file).collect();
            let known = |file: String| self.0.values().find(|s| s.file == file).map(|s| s.file.as_str());
            found.into_iter().filter_map(|(file, name)| Some((known(file)?, name))).collect()
        };
        self.0.values().map(|s| (s.file.as_str(), of(s))).collect()
    }
}

/// The module that a file is.
fn module(file: &str) -> Path {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" { Path::new() } else { path.split('/').map(str::to_owned).collect() }
}

impl Source {
    fn parse(text: &str, module: &[String], file: String, modules: &BTreeSet<Path>) -> Self {
        let mut source = Self { file, aliases: BTreeMap::new(), paths: BTreeSet::new() };
        let tokens = tokens(text);
        let mut inline = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            if tokens[at] != "use" {
                let end = path_end(&tokens, at);
                if end > at + 1 {
                    inline.push(tokens[at..end].iter().filter(|t| *t != "::").cloned().collect::<Path>());
                }
                at = end;
                continue;
            }
            let end = tokens[at..].iter().position(|t| t == ";").map_or(tokens.len(), |n| at + n);
            let public = at > 0 && (tokens[at - 1] == "pub" || tokens[at - 1] == ")");
            for (path, name) in expand(&tokens[at + 1..end]) {
                let Some(path) = from_root(&path, module, modules) else { continue };
                if !public {
                    source.paths.insert(path.clone());
                }
                source.aliases.insert(name, path);
            }
            at = end + 1;
        }
        for path in inline {
            let begin = source.aliases.get(&path[0]).cloned();
            let target = match begin {
                Some(begin) => Some(begin.into_iter().chain(path[1..].iter().cloned()).collect()),
                None => from_root(&path, module, modules),
            };
            source.paths.extend(target);
        }
        source
    }
}

/// `path`, named in `module`, from the root of the crate. `None` when it leads out of the crate.
fn from_root(path: &[String], module: &[String], modules: &BTreeSet<Path>) -> Option<Path> {
    let mut at = module.to_vec();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => (at, rest) = (Path::new(), &rest[1..]),
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|s| s == "super") {
                at.pop();
                rest = &rest[1..];
            }
        }
        child => {
            at.push(child.to_owned());
            rest = &rest[1..];
            if !modules.contains(&at) {
                return None;
            }
        }
    }
    at.extend(rest.iter().cloned());
    Some(at)
}

/// The end of the path that begins at `at`: `a::b::c`. One past `at` for what is none.
fn path_end(tokens: &[String], at: usize) -> usize {
    let is_name = |t: Option<&String>| t.is_some_and(|t| t.starts_with(|c: char| c.is_alphabetic() || c == '_'));
    let mut end = at + 1;
    if !is_name(tokens.get(at)) || at > 0 && matches!(tokens[at - 1].as_str(), "." | "::") {
        return end;
    }
    while tokens.get(end).is_some_and(|t| t == "::") && is_name(tokens.get(end + 1)) {
        end += 2;
    }
    end
}

/// The paths of a `use`, each with the name that it gets.
fn expand(tree: &[String]) -> Vec<(Path, String)> {
    let mut found = Vec::new();
    let mut open: Vec<Path> = Vec::new();
    let mut path = Path::new();
    let mut name: Option<String> = None;
    for (at, token) in tree.iter().enumerate() {
        match token.as_str() {
            "::" | "as" => {}
            "{" => open.push(std::mem::take(&mut path)),
            "," | "}" => {
                found.extend(named(open.concat(), std::mem::take(&mut path), name.take()));
                if token == "}" {
                    open.pop();
                }
            }
            word if at > 0 && tree[at - 1] == "as" => name = Some(word.to_owned()),
            word => path.push(word.to_owned()),
        }
    }
    found.extend(named(open.concat(), path, name));
    found
}

fn named(prefix: Path, path: Path, name: Option<String>) -> Option<(Path, String)> {
    let last = path.last()?.clone();
    let mut whole: Path = prefix.into_iter().chain(path).collect();
    if last == "self" && whole.len() > 1 {
        whole.pop();
    }
    let own = whole.last()?.clone();
    Some((whole, name.unwrap_or(own)))
}

/// The words and signs of the code, without comments, text in quotes and tests.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = without_tests(text);
    while let Some(c) = rest.chars().next() {
        let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if c == '"' {
            quoted_length(rest)
        } else if c == '\'' {
            letter_length(rest)
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else if word > 0 {
            tokens.push(rest[..word].to_owned());
            word
        } else {
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
            c.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// The bytes of the text in quotes that `rest` begins with.
fn quoted_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// The bytes of the letter in quotes that `rest` begins with; 1 for the sign of a lifetime.
fn letter_length(rest: &str) -> usize {
    let escaped = usize::from(rest[1..].starts_with('\\'));
    match rest.char_indices().skip(2 + escaped).find(|(_, c)| *c == '\'' || escaped == 0) {
        Some((at, '\'')) => at + 1,
        _ => 1,
    }
}

/// Tests stand at the end of a file.
fn without_tests(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod ").map_or(text, |at| &text[..at])
}

/// The shortest way from `start` back to itself.
fn circle<'a>(imports: &BTreeMap<&'a str, BTreeMap<&'a str, String>>, start: &'a str) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in imports[way[way.len() - 1]].keys().copied() {
                if next == start {
                    return Some(way);
                }
                if seen.insert(next) {
                    longer.push([way.as_slice(), &[next]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    let files = Crate::read();
    let imports = files.imports();
    assert!(imports.values().map(BTreeMap::len).sum::<usize>() > 500, "the imports are no longer read");
    let circles: BTreeMap<Vec<&str>, Vec<&str>> = imports
        .keys()
        .filter_map(|file| circle(&imports, file))
        .map(|way| {
            let mut members = way.clone();
            members.sort_unstable();
            (members, way)
        })
        .collect();
    let said = circles.values().map(|way| {
        let steps = way.iter().zip(way.iter().cycle().skip(1));
        steps.map(|(from, to)| format!("{from} imports {}", imports[from][to])).collect::<Vec<_>>().join("\n  ")
    });
    let said: Vec<String> = said.collect();
    assert!(said.is_empty(), "{} circles:\n{}", said.len(), said.join("\n"));
}

#[test]
fn imports_are_read() {
    let modules: BTreeSet<Path> =
        ["a", "a::b", "c"].iter().map(|p| p.split("::").map(str::to_owned).collect()).collect();
    let text = "use super::b::{self, X as Y};\nuse crate::c;\npub use crate::c::Out;\n// crate::c::No\nfn f(s: &'_ str, t: &'a str) \
                { b::g(\"crate::c::No\", ':', 'a', '\\'', '\\u{1}'); c::h::<Y>(); std::mem::take(); x.b::<u8>() }\n#[cfg(test)]\nmod tests { use crate::c::No; }";
    let source = Source::parse(text, &["a".to_owned(), "x".to_owned()], String::new(), &modules);
    let found: Vec<String> = source.paths.iter().map(|p| p.join("::")).collect();
    assert_eq!(found, ["a::b", "a::b::X", "a::b::g", "c", "c::h"]);
    assert_eq!(source.aliases["Y"].join("::"), "a::b::X");
    assert_eq!(source.aliases["Out"].join("::"), "c::Out");
}
