//! Python for tests: a virtual environment with pinned packages, which the first test that asks for it makes.
#![allow(dead_code, clippy::panic, clippy::unwrap_used, unreachable_pub)]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter of `target/python/venv`, which has what `tests/python/requirements.txt` asks for.
///
/// The environment is made when it is missing or when the requirements have changed; other test processes wait for
/// it. The interpreter that makes it is `$PYTHON`, or `python3`.
///
/// # Panics
/// When there is no Python, or the packages cannot be installed.
pub fn venv() -> PathBuf {
    let folder = target().join("python");
    let venv = folder.join("venv");
    let interpreter = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let requirements = scripts().join("requirements.txt");
    let wanted = fs::read_to_string(&requirements).unwrap_or_else(|e| panic!("{}: {e}", requirements.display()));
    let stamp = folder.join("installed.txt");
    fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    // Released when `lock` is dropped, and by the system when the process dies.
    let lock = File::create(folder.join("lock")).and_then(|file| file.lock().map(|()| file));
    let _lock = lock.unwrap_or_else(|e| panic!("cannot lock {}: {e}", folder.display()));
    if interpreter.exists() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return interpreter;
    }
    let _ = fs::remove_file(&stamp);
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    make(
        Command::new(&python).args(["-m", "venv", "--clear"]).arg(&venv),
        "tests that need Python need Python 3.11 or newer with its venv module; set PYTHON to choose an interpreter",
    );
    make(
        Command::new(&interpreter)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&requirements),
        "the packages of tests/python/requirements.txt cannot be installed; the first run needs the network",
    );
    fs::write(&stamp, wanted).unwrap_or_else(|e| panic!("{}: {e}", stamp.display()));
    interpreter
}

/// Runs `tests/python/<script>` on `args` and returns what it printed.
///
/// # Panics
/// With the script's stderr when it fails.
pub fn run(script: &str, args: &[&str]) -> String {
    let mut command = Command::new(venv());
    // The tree stays clean, and the caller's settings stay out.
    command.arg("-B").arg(scripts().join(script)).args(args).env_remove("PYTHONPATH").env("PYTHONIOENCODING", "utf-8");
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} {args:?}: {}\n{stdout}{stderr}", output.status);
    stdout
}

/// Asserts that the models called `files` compute the same in ONNX Runtime in both `folders`, up to `rounding` of the largest value.
pub fn assert_alike(folders: [&Path; 2], files: &[&str], rounding: f64) {
    let folders = folders.map(|folder| folder.to_str().unwrap());
    let text = run("compare_models.py", &[&folders, files].concat());
    assert_eq!(text.lines().count(), files.len());
    for line in text.lines() {
        let [file, error, largest] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(largest.parse::<f64>().unwrap() > 0.1, "{file}: outputs of {largest} are no evidence");
        assert!(error.parse::<f64>().unwrap() < rounding, "{file}: {error}");
    }
}

/// The corpus beside the repository. Without it this says on stderr that `test` is skipped.
pub fn shared(test: &str) -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    if shared.is_dir() {
        return Some(shared);
    }
    // Not `eprintln!`, whose words the test harness hides.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test} needs {}, which is not there", shared.display());
    None
}

/// The folder of the scripts.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python")
}

/// The build folder, wherever it was put.
fn target() -> PathBuf {
    let inside = Path::new(env!("CARGO_TARGET_TMPDIR"));
    inside.parent().unwrap_or(inside).to_owned()
}

fn make(command: &mut Command, help: &str) {
    let problem = match command.output() {
        Ok(output) if output.status.success() => return,
        Ok(output) => format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr)),
        Err(error) => error.to_string(),
    };
    panic!("{command:?}: {problem}\n{help}");
}
