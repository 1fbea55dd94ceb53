//! Options that name a file, which is read with them.

use std::path::Path;

use crate::options::{Plan, Rates, Target};

/// The target that is called `word`, or that the file `word` describes.
///
/// # Errors
/// Why there is none, in one line.
pub(super) fn target(word: &str) -> Result<Target, String> {
    if !word.ends_with(".toml") {
        return Target::named(word).map_err(|e| e.to_string());
    }
    let text = crate::io::read_text(Path::new(word)).map_err(|e| e.to_string())?;
    Target::parse(&text).map_err(|e| e.to_string())
}

/// The rates that the file at `path` has.
///
/// # Errors
/// What is wrong with it, in one line.
pub(super) fn rates(path: &str) -> Result<Rates, String> {
    let path = Path::new(path);
    let text = crate::io::read_text(path).map_err(|e| e.to_string())?;
    Rates::parse(&text, is_json(path))
}

/// The plan that the file at `path` has.
///
/// # Errors
/// What is wrong with it, in one line.
pub(super) fn plan(path: &str) -> Result<Plan, String> {
    Plan::parse(&crate::io::read_text(Path::new(path)).map_err(|e| e.to_string())?)
}

/// True for the name of a JSON file.
pub(super) fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"))
}
