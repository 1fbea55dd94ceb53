//! The virtual environment that other tests rely on.
#![allow(missing_docs)]

use crate::common::python;

#[test]
fn the_environment_has_the_pinned_packages() {
    let pinned = include_str!("python/requirements.txt");
    assert_eq!(python::run("versions.py", &[]), pinned);
}

#[test]
#[should_panic(expected = "no_such_script.py")]
fn a_script_that_fails_fails_the_test() {
    python::run("no_such_script.py", &[]);
}
