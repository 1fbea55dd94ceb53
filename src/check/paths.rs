//! Paths as policies and reports write them.

use std::path::{Component, MAIN_SEPARATOR, Path, PathBuf};

/// `path` relative to `root` where it stands below it, else as it is; with slashes.
pub(super) fn relative(path: &Path, root: &Path) -> String {
    let (file, root) = (whole(path), whole(root));
    let shown = file.strip_prefix(&root).unwrap_or(path);
    shown.to_string_lossy().replace(MAIN_SEPARATOR, "/")
}

/// `path` from the root of the file system, without `.` and `..`; links are not followed.
pub(super) fn whole(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    // An empty path is this folder.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => _ = tidy.pop(),
            other => tidy.push(other),
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_from_the_folder() {
        let shown = |path: &str, root: &str| relative(Path::new(path), Path::new(root));
        assert_eq!(shown("./a/../b/m.onnx", "."), "b/m.onnx");
        assert_eq!(shown("b/m.onnx", "b"), "m.onnx");
        assert_eq!(shown("b/m.onnx", ""), "b/m.onnx");
        assert_eq!(shown("../m.onnx", "."), "../m.onnx");
        assert_eq!(shown("c/m.onnx", "b"), "c/m.onnx");
    }
}
