//! The command line.

use std::fs;
use std::process::{Command, Output};

use super::Folder;

fn run(folder: &Folder, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_onnx-rm"))
        .arg("check")
        .args(arguments)
        .current_dir(folder.path(""))
        .output()
        .unwrap()
}

fn told(folder: &Folder, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = run(folder, arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn exit_codes_are_those_that_are_documented() {
    let folder = Folder::new();
    fs::write(folder.path("torn.onnx"), b"\x08\x08").unwrap();
    fs::write(folder.path("bad.toml"), "max-joins = 0\nmax-joinz = 1\n").unwrap();
    assert_eq!(told(&folder, &["chain.onnx"]).0, Some(0));
    assert_eq!(told(&folder, &["chain.onnx", "block.onnx"]).0, Some(1));
    let (code, stdout, stderr) = told(&folder, &["torn.onnx", "block.onnx", "chain.onnx"]);
    assert_eq!((code, stderr.as_str()), (Some(2), ""));
    for part in ["torn.onnx: error", "block.onnx: failed", "chain.onnx: passed", "1 could not be checked; 2 findings"] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let (code, stdout, stderr) = told(&folder, &["chain.onnx", "--policy", "bad.toml"]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert_eq!(stderr, "error: bad.toml:2:1: unknown key 'max-joinz'; did you mean 'max-joins'?\n");
    let (code, _, stderr) = told(&folder, &[]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("nothing to check") && stderr.contains("hint: "), "{stderr}");
    for arguments in [
        ["chain.onnx", "--policy", "none.toml"],
        ["chain.onnx", "--baseline", "bad.toml"],
        ["chain.onnx", "--sarif", "no/x.sarif"],
    ] {
        let (code, _, stderr) = told(&folder, &arguments);
        assert_eq!(code, Some(2), "{arguments:?}");
        assert!(stderr.starts_with("error: "), "{stderr}");
    }
    assert_eq!(told(&folder, &["--json", "--github", "chain.onnx"]).0, Some(2));
}

#[test]
fn a_policy_is_begun_and_then_taken_by_itself() {
    let folder = Folder::new();
    let (code, stdout, stderr) = told(&folder, &["--init"]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), "", "wrote 'onnx-rm.toml'\n"));
    assert_eq!(fs::read_to_string(folder.path("onnx-rm.toml")).unwrap(), onnx_rm::check::policy::TEMPLATE);
    let (code, _, stderr) = told(&folder, &["--init"]);
    assert_eq!(code, Some(2), "nothing is written over: {stderr}");
    let (code, stdout, _) = told(&folder, &[]);
    assert_eq!(code, Some(1));
    assert!(stdout.contains("(onnx-rm.toml:9)") && stdout.contains("2 models: 1 passed, 1 failed"), "{stdout}");
    fs::write(folder.path("onnx-rm.toml"), "").unwrap();
    assert_eq!(told(&folder, &["chain.onnx"]).0, Some(2), "an empty policy is one, and asks nothing");
}

#[test]
fn quiet_says_only_what_is_wrong() {
    let folder = Folder::new();
    assert_eq!(told(&folder, &["--quiet", "chain.onnx"]), (Some(0), String::new(), String::new()));
    let (code, stdout, _) = told(&folder, &["--quiet", "chain.onnx", "block.onnx"]);
    assert!(code == Some(1) && stdout.contains("block.onnx: failed") && !stdout.contains("chain.onnx"), "{stdout}");
}

#[test]
fn reports_go_where_they_are_asked_for() {
    let folder = Folder::new();
    // A file that is there already, as a CI system makes it, keeps its place.
    fs::write(folder.path("summary.md"), "x".repeat(10_000)).unwrap();
    let files = ["--report", "r.json", "--sarif", "r.sarif", "--junit", "r.xml", "--markdown", "summary.md"];
    let (code, stdout, _) = told(&folder, &[&["block.onnx", "--github"][..], &files].concat());
    assert_eq!(code, Some(1));
    assert!(stdout.starts_with("::error file=block.onnx,title=onnx-rm max-removable-joins::"), "{stdout}");
    assert!(stdout.contains("block.onnx: failed"));
    let read = |name: &str| fs::read_to_string(folder.path(name)).unwrap();
    assert!(read("summary.md").starts_with("## onnx-rm check: failed") && !read("summary.md").contains("xxxx"));
    assert!(read("r.sarif").contains("\"2.1.0\"") && read("r.xml").starts_with("<?xml"));
    let (code, stdout, _) = told(&folder, &["block.onnx", "--json"]);
    assert_eq!((code, stdout), (Some(1), read("r.json")));
    let (code, ..) = told(&folder, &["block.onnx", "--baseline", "r.json"]);
    assert_eq!(code, Some(0));
}
