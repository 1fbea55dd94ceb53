//! What the program says of itself against the README.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::{files, quoted, read, root};

fn run(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_onnx-rm")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_option_is_documented() {
    let pages: String = files("docs", "md").iter().map(|f| read(f)).chain([read("README.md")]).collect();
    let words: BTreeSet<&str> =
        pages.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).filter(|w| w.starts_with("--")).collect();
    for command in ["rewrite", "inspect", "verify", "check"] {
        let help = run(&[command, "--help"]);
        let options: BTreeSet<&str> = help
            .lines()
            .filter(|l| l.trim_start().starts_with('-') && l.starts_with("  "))
            .filter_map(|l| l.split([' ', ',']).find(|w| w.starts_with("--") && w.len() > 2))
            .collect();
        assert!(options.contains("--json") && options.contains("--quiet"), "options are no longer read: {options:?}");
        let missing: Vec<_> = options.iter().filter(|o| **o != "--help" && !words.contains(*o)).collect();
        assert!(missing.is_empty(), "{command}: {missing:?} stand neither in README.md nor in docs/");
    }
}

/// The models that the README's commands read exist, and what it shows of `inspect` is what `inspect` prints.
#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    let readme = read("README.md");
    assert!(
        readme.contains("\ncargo test --workspace\n")
            && readme.contains("\ncargo run --release -- rewrite models/digits_resnet.onnx")
    );
    let models: BTreeSet<&str> =
        readme.split_whitespace().filter(|w| w.starts_with("models/") && w.ends_with(".onnx")).collect();
    assert!(models.len() > 2, "{models:?}");
    for model in models {
        assert!(root().join(model).exists(), "{model}");
    }
    let blocks: Vec<&str> = readme.split("```").skip(1).step_by(2).collect();
    let sessions = blocks.iter().flat_map(|b| b.split("$ onnx-rm ").skip(1));
    let mut compared = 0;
    for session in sessions {
        let (command, shown) = session.split_once('\n').unwrap();
        let printed = run(&command.split_whitespace().collect::<Vec<_>>());
        let shown: Vec<&str> = shown.lines().map(str::trim_end).filter(|l| !l.is_empty() && *l != "  ...").collect();
        let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
        assert_eq!(shown, printed[..shown.len().min(printed.len())], "{command}");
        compared += 1;
    }
    assert!(compared > 1, "no session is shown");
}

/// `rewrite`'s own words in the README, but for the line of the verification, which not every build can make.
#[test]
fn the_first_command_prints_what_the_readme_shows() {
    let readme = read("README.md");
    let (_, shown) = readme.split_once("The first command prints:\n\n```text\n").unwrap();
    let (shown, _) = shown.split_once("verified: ").unwrap();
    assert_eq!(run(&["inspect", "models/digits_resnet.onnx"]).trim(), shown.trim().replace("removed", "removable"));
}

/// Each example of docs/REJECTS.md stays for the reason whose section it stands in.
#[test]
fn the_examples_of_refusals_are_refused_so() {
    let page = read("docs/REJECTS.md");
    let mut examples = 0;
    for section in page.split("\n## `").skip(1) {
        let (code, text) = section.split_once('`').unwrap();
        for model in quoted(text).into_iter().filter(|w| w.starts_with("models/")) {
            let report: Value = serde_json::from_str(&run(&["inspect", model, "--json"])).unwrap();
            let codes: Vec<&str> =
                report["sites"].as_array().unwrap().iter().filter_map(|s| s["code"].as_str()).collect();
            assert!(codes.contains(&code), "{model} is no example of {code}: {codes:?}");
            examples += 1;
        }
    }
    assert!(examples > 5, "{examples}");
}

/// The criterion of verification, in numbers.
#[test]
fn the_readme_states_the_tolerance() {
    let (judge, noise) = (read("src/verify/run/judge.rs"), read("src/verify/run/noise.rs"));
    let constant = |source: &str, name: &str| {
        let line = source.lines().find(|l| l.contains(&format!("const {name}: f64 = "))).unwrap();
        line.split(" = ").nth(1).unwrap().trim_end_matches(".0;").to_owned()
    };
    let readme = read("README.md");
    let own = (constant(&judge, "FACTOR"), constant(&judge, "OWN_ULPS"));
    assert!(
        readme.contains(&format!("or {} times what the original is in the same runtime, plus {} ulps", own.0, own.1))
    );
    assert_eq!(constant(&noise, "AMPLITUDE"), "8");
    assert!(readme.contains("by up to eight half-ulps"));
    assert!(readme.contains(&format!("plus {} ulps.", constant(&judge, "EXACT_ULPS"))));
}
