//! Runs that end at any step: no weight is lost, and nothing is left behind.
#![cfg(feature = "cli")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs
)]
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

use crate::common::python;

/// Runs `interrupt.py`; in each of its scenes nothing may be lost or left.
fn interrupted(how: &str, count: &str) {
    let folder = tempfile::tempdir().unwrap();
    let told =
        python::run("interrupt.py", &[env!("CARGO_BIN_EXE_onnx-rm"), folder.path().to_str().unwrap(), how, count]);
    if told.starts_with("SKIPPED") {
        eprintln!("{how}: {told}");
        return;
    }
    assert_eq!(told.lines().count(), 8, "{told}");
    assert!(told.lines().all(|line| line.ends_with(" 0 lost, 0 left")), "{told}");
}

#[test]
fn a_kill_at_any_system_call_loses_nothing() {
    interrupted("calls", "0");
}

#[test]
fn a_kill_at_any_time_loses_nothing() {
    interrupted("random", "40");
}

#[test]
fn what_is_asked_to_end_leaves_nothing() {
    interrupted("signals", "0");
}

#[test]
fn limits_of_memory_and_file_size_leave_nothing() {
    interrupted("limits", if cfg!(feature = "verify") { "1" } else { "0" });
}
