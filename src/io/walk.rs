//! Which models a path means: a file, a folder with all below it, a pattern.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, glob_with};

/// How file names of models end.
const EXTENSION: &str = "onnx";

/// How patterns match: `*` stays within a folder, `**` does not.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// What a path means.
#[derive(Debug)]
pub(crate) enum Found {
    /// These files, in the order of their names; perhaps none.
    Files(Vec<PathBuf>),
    /// Nothing is there, and it is no pattern.
    Missing,
}

/// The files that `path` means: itself, the `.onnx` files at any depth below a folder, or the files that match a pattern
/// (`models/**/*.onnx`).
///
/// # Errors
/// When a folder cannot be read, or the pattern is malformed.
pub(crate) fn find(path: &Path) -> io::Result<Found> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => return walk(path).map(Found::Files),
        Ok(_) => return Ok(Found::Files(vec![path.to_owned()])),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let text = path.to_string_lossy();
    if !text.contains(['*', '?', '[']) {
        return Ok(Found::Missing);
    }
    let wrong = |e: glob::PatternError| io::Error::new(io::ErrorKind::InvalidInput, format!("no pattern: {e}"));
    let mut files = BTreeSet::new();
    for entry in glob_with(&text, OPTIONS).map_err(wrong)? {
        let entry = entry.map_err(|e| io::Error::new(e.error().kind(), e.to_string()))?;
        match entry.is_dir() {
            true => files.extend(walk(&entry)?),
            false => _ = files.insert(entry),
        }
    }
    Ok(Found::Files(files.into_iter().collect()))
}

/// The `.onnx` files at any depth below `folder`, in the order of their paths. Links to folders are not followed, and what `git` keeps
/// is not looked into.
///
/// # Errors
/// When a folder cannot be read.
pub(crate) fn walk(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", folder.display()));
        for entry in fs::read_dir(&folder).map_err(named)? {
            let entry = entry.map_err(named)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(named)?);
            if kind.is_dir() {
                if entry.file_name() != ".git" {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|e| e.eq_ignore_ascii_case(EXTENSION)) && !path.is_dir() {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// What stands directly in `folder`, in the order of the names.
///
/// # Errors
/// When it cannot be read, or is no folder.
pub(crate) fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}

/// Bytes of the file at `path`; 0 where there is none.
pub(crate) fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn names(folder: &Path, path: &str) -> Vec<String> {
        let Found::Files(files) = find(&folder.join(path)).unwrap() else { panic!("{path} is missing") };
        files.iter().map(|f| f.strip_prefix(folder).unwrap().to_string_lossy().replace('\\', "/")).collect()
    }

    #[test]
    fn files_folders_and_patterns() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["b.onnx", "a.onnx", "notes.txt", "sub/c.ONNX", "sub/deep/d.onnx", ".git/e.onnx"] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert_eq!(names(root, ""), ["a.onnx", "b.onnx", "sub/c.ONNX", "sub/deep/d.onnx"]);
        assert_eq!(names(root, "*.onnx"), ["a.onnx", "b.onnx"]);
        assert_eq!(names(root, "**/d.onnx"), ["sub/deep/d.onnx"]);
        assert_eq!(names(root, "s*"), ["sub/c.ONNX", "sub/deep/d.onnx"], "a folder that matches");
        assert_eq!(names(root, "notes.txt"), ["notes.txt"], "a file that is named is taken at its word");
        assert_eq!(names(root, "z*.onnx"), Vec::<String>::new());
        assert!(matches!(find(&root.join("z.onnx")).unwrap(), Found::Missing));
        assert!(find(&root.join("[.onnx")).is_err());
    }
}
