//! The table of operators is that of the `onnx` package.

use std::collections::BTreeSet;

use super::common::python;

#[test]
fn it_is_what_the_schemas_of_the_onnx_package_say() {
    let ours: BTreeSet<&str> = include_str!("../../src/graph/operators.txt").lines().collect();
    let theirs = python::run("operators.py", &[]);
    let theirs: BTreeSet<&str> = theirs.lines().map(str::trim_end).collect();
    let none: Vec<&&str> = Vec::new();
    assert_eq!(ours.difference(&theirs).collect::<Vec<_>>(), none, "the onnx package lacks them");
    assert_eq!(theirs.difference(&ours).collect::<Vec<_>>(), none, "operators.txt lacks them");
    assert!(ours.len() >= 620 + 90, "only {} lines", ours.len());
}
