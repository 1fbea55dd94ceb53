//! `inspect --plan`, `--plan-out` and `rewrite --plan` on the command line.
#![cfg(feature = "cli")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use onnx_rm::load;
use serde_json::Value;

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onnx-rm"));
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&run(folder, arguments).1).unwrap()
}

/// A folder with `digits.onnx`: five joins, of which the third has a projection; and `plan.json`, the plan of all.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/digits_resnet.onnx"), path.join("digits.onnx"))
        .unwrap();
    let made = run(&path, &["inspect", "digits.onnx", "--plan-out", "plan.json"]);
    assert_eq!(made.0, Some(0), "{}", made.2);
    (folder, path)
}

fn plan(folder: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join("plan.json")).unwrap()).unwrap()
}

/// Rewrites by an edited plan.
fn replay(folder: &Path, plan: &Value) -> (Option<i32>, String, String) {
    fs::write(folder.join("edited.json"), plan.to_string()).unwrap();
    run(folder, &["rewrite", "digits.onnx", "out.onnx", "--no-verify", "--plan", "edited.json", "--json"])
}

#[test]
fn the_curve_goes_from_no_join_to_all() {
    let (_kept, folder) = folder();
    let report = json(&folder, &["inspect", "digits.onnx", "--plan", "--json"]);
    let points = report["curve"]["points"].as_array().unwrap();
    let column = |f: &dyn Fn(&Value) -> u64| points.iter().map(f).collect::<Vec<_>>();
    assert_eq!(column(&|p| p["removed"].as_u64().unwrap()), [0, 1, 2, 3, 4, 5]);
    assert_eq!(column(&|p| p["price"]["joins"].as_u64().unwrap()), [5, 4, 3, 2, 1, 0]);
    assert_eq!(column(&|p| p["kept"].as_array().unwrap().len() as u64), [5, 4, 3, 2, 1, 0]);
    let macs = column(&|p| p["price"]["macs"].as_u64().unwrap());
    assert!(macs.is_sorted() && macs[0] == report["before"]["macs"] && macs[5] == report["after"]["macs"], "{macs:?}");
    // A point is what a rewrite that leaves these joins costs.
    let keep: Vec<&str> = points[2]["kept"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    let mut asked = vec!["inspect", "digits.onnx", "--json"];
    keep.iter().for_each(|tensor| asked.extend(["--keep", *tensor]));
    let bare = |price: &Value| ["macs", "params", "nodes", "joins", "activation_bytes"].map(|key| price[key].clone());
    assert_eq!(bare(&json(&folder, &asked)["after"]), bare(&points[2]["price"]));
    // The projection has another recipe; what asks for it stands beside it.
    let forms = report["curve"]["sites"].as_array().unwrap().iter().map(|s| s["forms"].as_array().unwrap());
    let other = forms.flatten().find(|f| f["downsample"] == "v1").unwrap();
    assert!(other["form"].as_str().unwrap().contains("(V1)"), "{other}");
    let (_, text, _) = run(&folder, &["inspect", "digits.onnx", "--plan"]);
    assert!(text.contains("joins left against the price") && text.contains("--downsample v1"), "{text}");
    assert!(json(&folder, &["inspect", "digits.onnx", "--json"]).get("curve").is_none());
}

#[test]
fn a_plan_does_again_what_was_done() {
    let (_kept, folder) = folder();
    let rewrite =
        ["rewrite", "digits.onnx", "first.onnx", "--no-verify", "--max-macs", "1.5x", "--plan-out", "plan.json"];
    assert_eq!(run(&folder, &rewrite).0, Some(0));
    assert_eq!(plan(&folder)["sites"].as_array().unwrap().iter().filter(|s| s["remove"] == true).count(), 3);
    assert_eq!(replay(&folder, &plan(&folder)).0, Some(0));
    let graph = |name: &str| load(folder.join(name)).unwrap().proto().graph.clone();
    assert!(graph("first.onnx") == graph("out.onnx"), "the plan does something else");
}

#[test]
fn an_edited_plan_is_followed_join_by_join() {
    let (_kept, folder) = folder();
    let mut edited = plan(&folder);
    edited["sites"][0]["remove"] = false.into();
    let projection = edited["sites"]
        .as_array()
        .unwrap()
        .iter()
        .position(|s| s["note"]["says"].as_str().unwrap().contains("projection"));
    edited["sites"][projection.unwrap()]["downsample"] = "v1".into();
    let (code, report, error) = replay(&folder, &edited);
    assert_eq!(code, Some(0), "{error}");
    let report: Value = serde_json::from_str(&report).unwrap();
    let tensor = edited["sites"][0]["tensor"].as_str().unwrap();
    let sites = report["sites"].as_array().unwrap();
    let kept = sites.iter().find(|s| s["tensor"] == tensor).unwrap();
    assert!(kept["code"] == "not-asked" && kept["reason"] == "the plan leaves it", "{kept}");
    assert!(sites.iter().any(|s| s["form"].as_str().is_some_and(|f| f.contains("(V1)"))), "{report}");
    assert_eq!(report["after"]["joins"], 1);
    // Joins that it does not name are treated as without it.
    edited["sites"].as_array_mut().unwrap().truncate(1);
    let report: Value = serde_json::from_str(&replay(&folder, &edited).1).unwrap();
    assert_eq!(report["after"]["joins"], 1);
    assert_eq!(report["options"]["plan"]["sites"][0]["remove"], false, "the report says what was asked");
}

#[test]
fn a_plan_that_cannot_be_followed_writes_nothing() {
    let (_kept, folder) = folder();
    let out = folder.join("out.onnx");
    let mut edited = plan(&folder);
    edited["sites"][0]["tensor"] = "nowhere".into();
    let (code, _, error) = replay(&folder, &edited);
    assert!(code == Some(2) && error.contains("'nowhere'") && !out.exists(), "{error}");
    // A tensor, but no sum's.
    edited["sites"][0]["tensor"] = "input".into();
    assert_eq!(replay(&folder, &edited).0, Some(2));
    fs::write(folder.join("wrong.json"), "{\"schema_version\": 7, \"sites\": []}").unwrap();
    for (file, said) in [("wrong.json", "version 7"), ("digits.onnx", "digits.onnx"), ("absent.json", "absent.json")] {
        let (code, _, error) = run(&folder, &["rewrite", "digits.onnx", "out.onnx", "--plan", file]);
        assert!(code == Some(2) && error.contains(said) && !out.exists(), "{file}: {error}");
    }
    // A join that the plan wants gone and that cannot go: a finding.
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/blocks/max_pool_shortcut.legacy.onnx");
    fs::copy(model, folder.join("digits.onnx")).unwrap();
    assert_eq!(run(&folder, &["inspect", "digits.onnx", "--plan-out", "plan.json"]).0, Some(0));
    let mut edited = plan(&folder);
    assert_eq!(edited["sites"][0]["remove"], false);
    assert_eq!(replay(&folder, &edited).0, Some(0), "nothing is asked of it");
    fs::remove_file(&out).unwrap();
    edited["sites"][0]["remove"] = true.into();
    let (code, report, _) = replay(&folder, &edited);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert!(code == Some(1) && !out.exists() && report["unmet"].as_str().unwrap().contains("MaxPool"), "{report}");
    // With nothing that would remove a join it is one as well.
    let all = ["rewrite", "digits.onnx", "out.onnx", "--no-verify", "--plan", "edited.json", "--only", "linear"];
    assert!(run(&folder, &all).0 == Some(1) && !out.exists());
}

/// However the path is written, a plan or report is no file of the run: not the input, the output, or the weights beside them.
#[cfg(unix)]
#[test]
fn a_plan_is_written_over_nothing_that_is_needed() {
    let (_kept, folder) = folder();
    let model = folder.join("digits.onnx");
    let before = fs::read(&model).unwrap();
    std::os::unix::fs::symlink("digits.onnx", folder.join("link.json")).unwrap();
    std::os::unix::fs::symlink("out.onnx", folder.join("later.json")).unwrap();
    fs::hard_link(&model, folder.join("hard.json")).unwrap();
    fs::create_dir(folder.join("sub")).unwrap();
    for option in ["--plan-out", "--report"] {
        for path in ["./digits.onnx", "sub/../digits.onnx", "link.json", "hard.json"] {
            let (code, _, error) = run(&folder, &["inspect", "digits.onnx", option, path]);
            assert!(code == Some(2) && error.contains("would be written over"), "{option} {path}: {error}");
        }
        for path in ["out.onnx", "later.json", "sub/../out.onnx"] {
            let (code, _, error) = run(&folder, &["rewrite", "digits.onnx", "out.onnx", "--no-verify", option, path]);
            assert!(code == Some(2) && !folder.join("out.onnx").exists(), "{option} {path}: {error}");
        }
    }
    let both = ["inspect", "digits.onnx", "--plan-out", "one.json", "--report", "sub/../one.json"];
    assert_eq!(run(&folder, &both).0, Some(2));
    assert!(fs::read(&model).unwrap() == before);
    // Where only the plan cannot be written, the model is there, and the error says so.
    let (code, _, error) = run(&folder, &["rewrite", "digits.onnx", "out.onnx", "--no-verify", "--plan-out", "sub"]);
    assert!(
        code == Some(2) && error.contains("the model itself was written") && folder.join("out.onnx").exists(),
        "{error}"
    );
}
