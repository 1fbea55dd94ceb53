//! The commands of docs/CI.md, of the action and of the hook do what they say.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Folder;

/// A repository with a model that passes, one that has a join, and a policy.
fn repository() -> Folder {
    let folder = Folder::new();
    folder.copy("chain.onnx", "models/a.onnx");
    folder.copy("block.onnx", "models/b.onnx");
    fs::remove_file(folder.path("chain.onnx")).unwrap();
    fs::remove_file(folder.path("block.onnx")).unwrap();
    fs::write(folder.path("onnx-rm.toml"), "max-removable-joins = 0\n").unwrap();
    folder
}

/// Runs lines of a shell with the program in the path. The exit code, and what was printed.
fn shell(folder: &Folder, script: &str, variables: &[(&str, &str)]) -> (i32, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_onnx-rm")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-e", "-c", script]).current_dir(folder.path("")).env("PATH", path);
    command.env("GITHUB_STEP_SUMMARY", folder.path("summary.md")).envs(variables.iter().copied());
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// The commands of a page, from blocks of shell and from the steps of CI systems.
fn commands(page: &str) -> Vec<String> {
    let blocks = page.split("```").skip(1).step_by(2);
    let lines = blocks.flat_map(|b| b.lines()).map(|l| l.trim().trim_start_matches("- ").trim_start_matches("run: "));
    let bare = lines.filter_map(|l| l.split(" #").next()).map(str::trim_end);
    bare.filter(|l| l.starts_with("onnx-rm ")).map(str::to_owned).collect()
}

#[test]
fn the_commands_of_the_page_run() {
    let found = commands(include_str!("../../docs/CI.md"));
    assert!(found.len() >= 9, "{found:?}");
    // One after the other, as they stand on the page: some need what one before wrote.
    let folder = repository();
    for command in found {
        if command.ends_with("--init") {
            fs::remove_file(folder.path("onnx-rm.toml")).unwrap();
        }
        let (code, text) = shell(&folder, &command, &[]);
        // `models/a.onnx` alone is as it should be, and what the baseline has fails nothing.
        let good = ["--init", "models/a.onnx", "|| true", "--baseline baseline.json"];
        let want = i32::from(!good.iter().any(|end| command.ends_with(end)));
        assert_eq!(code, want, "{command}: {text}");
    }
    for written in ["onnx-rm.sarif", "onnx-rm.xml", "onnx-rm.json", "summary.md", "baseline.json"] {
        assert!(folder.path(written).exists(), "{written}");
    }
}

#[test]
fn the_policies_of_the_page_are_some() {
    let page = include_str!("../../docs/CI.md");
    let policies: Vec<&str> = page.split("```toml\n").skip(1).map(|b| b.split("```").next().unwrap()).collect();
    assert_eq!(policies.len(), 2);
    for policy in policies {
        onnx_rm::Policy::parse(policy, "docs/CI.md", ".").unwrap();
    }
}

#[test]
fn the_action_checks() {
    let action = include_str!("../../action.yml");
    let (_, script) = action.split_once("      run: |\n").unwrap();
    assert!(script.lines().all(|l| l.starts_with("        ")), "the last step's script ends the file");
    let folder = repository();
    let common = [("BASELINE", ""), ("REPORT", "r.json"), ("SARIF", "r.sarif")];
    let run = |models: &str, policy: &str| {
        let more = [("MODELS", models), ("POLICY", policy)];
        shell(&folder, script, &[&common[..], &more].concat())
    };
    assert_eq!(run("models/a.onnx", "").0, 0);
    let (code, text) = run("models/a* models/b*", "onnx-rm.toml");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("::error file=models/b.onnx,") && folder.path("r.sarif").exists());
    assert!(fs::read_to_string(folder.path("summary.md")).unwrap().contains("| models/b.onnx | failed |"));
    // Every input has its variable.
    let inputs = action.split_once("inputs:\n").unwrap().1.split_once("runs:\n").unwrap().0;
    let names =
        inputs.lines().filter(|l| l.starts_with("  ") && !l.starts_with("   ")).map(|l| l.trim().trim_end_matches(':'));
    for name in names {
        assert!(action.contains(&format!("{}: ${{{{ inputs.{name} }}}}", name.to_uppercase())), "{name}");
    }
}

#[test]
fn the_hook_checks_the_files_of_a_commit() {
    let hooks = include_str!("../../.pre-commit-hooks.yaml");
    let entry = hooks.lines().find_map(|l| l.trim().strip_prefix("entry: ")).unwrap();
    let folder = repository();
    assert_eq!(shell(&folder, &format!("{entry} models/a.onnx"), &[]), (0, String::new()));
    let (code, text) = shell(&folder, &format!("{entry} models/a.onnx models/b.onnx"), &[]);
    assert!(code == 1 && text.contains("models/b.onnx"), "{text}");
    assert!(include_str!("../../docs/CI.md").contains(&format!("{entry} --policy onnx-rm.toml models/a.onnx")));
}
