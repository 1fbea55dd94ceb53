//! The formats, read by their consumers.

use std::fs;

use super::Folder;
use crate::common::{build, python};

use onnx_rm::check::policy::{KEYS, TEMPLATE};
use onnx_rm::{Baseline, CheckReport, CheckStatus, Policy};
use serde_json::Value;

const NAME: &str = "a<b>&\"c'|`\u{1b}[31m,:%\n::warning::x \u{e9}";

/// A report with something of everything: passed, failed, known, accepted, broken, a warning, and names that mean harm.
fn everything() -> (Folder, CheckReport) {
    let folder = Folder::new();
    let mut odd = build::residual_block(1, 4);
    let graph = odd.graph.as_mut().unwrap();
    graph.node.last_mut().unwrap().name = Some(NAME.into());
    folder.write("odd, name%.onnx", &odd);
    folder.copy("block.onnx", "known.onnx");
    folder.write_bytes("torn.onnx", b"\x08\x08");
    let root = env!("CARGO_MANIFEST_DIR");
    folder.copy(format!("{root}/models/blocks/max_pool_shortcut.legacy.onnx"), "pooled.onnx");
    let policy = "max-joins = 0\nmax-nodes = 500\nforbid-operators = 'Where'\naccept = [\n  { code = 'cannot-pass', reason = 'a <pool>', until = 2999-12-31 },\n  { code = 'border', reason = 'r' },\n]\n[[models]]\nfiles = 'nothing/'\nmax-nodes = 3\n";
    let earlier = Baseline::parse(&folder.check("max-joins = 0", &["known.onnx"]).to_json()).unwrap();
    let report = folder.check_with(&folder.options(policy).baseline(earlier), &[""]);
    assert_eq!(report.status, CheckStatus::Error);
    (folder, report)
}

#[test]
fn the_json_keeps_to_its_schema() {
    let (folder, report) = everything();
    fs::write(folder.path("all.json"), report.to_json()).unwrap();
    fs::write(
        folder.path("one.json"),
        folder.check("max-folds = 0\nmax-removable-joins = 0", &["chain.onnx"]).to_json(),
    )
    .unwrap();
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    let codes = json["files"].as_array().unwrap().iter().flat_map(|f| f["findings"].as_array().unwrap());
    assert!(codes.clone().count() > 2);
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schema/check.schema.json");
    let files = ["all.json", "one.json"].map(|f| folder.path(f).to_str().unwrap().to_owned());
    let printed = python::run("check_reports.py", &["schema", schema, &files[0], &files[1]]);
    assert_eq!(printed.trim(), "valid");
    assert_eq!(json["schema_version"], onnx_rm::check::report::SCHEMA_VERSION);
}

#[test]
fn the_schema_of_policies_agrees_with_the_parser() {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schema/policy.schema.json");
    let json: Value = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    let mut keys: Vec<&str> = KEYS.iter().map(|k| k.name).collect();
    keys.sort_unstable();
    let listed: Vec<&str> = json["$defs"]["keys"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, listed);
    for key in KEYS {
        assert_eq!(json["$defs"]["keys"][key.name]["description"], key.about, "{}", key.name);
        assert!(
            json["properties"][key.name].is_object() && json["$defs"]["section"]["properties"][key.name].is_object()
        );
    }
    let page = include_str!("../../docs/CI.md");
    let missing: Vec<&&str> = keys.iter().filter(|k| !page.contains(&format!("`{k}`"))).collect();
    assert!(missing.is_empty(), "docs/CI.md does not have {missing:?}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.toml");
    // With every line that is commented out put to work.
    let lines = TEMPLATE.lines();
    let all: Vec<&str> =
        lines.map(|l| l.strip_prefix("# ").filter(|l| l.contains(" = ") || l.starts_with("[[")).unwrap_or(l)).collect();
    for (text, is_valid) in [
        (TEMPLATE, true),
        (&all.join("\n"), true),
        ("max-joins = -1", false),
        ("max-join = 0", false),
        ("max-bytes = '4 MiB'", true),
        ("max-bytes = '4 parsecs'", false),
        ("max-joins = 0\n[[models]]\nmax-joins = 0", false),
        ("max-joins = 0\naccept = [{ code = 'border' }]", false),
        ("max-joins = 0\naccept = [{ code = 'border', until = 2026-01-01 }]", true),
        ("external-data = 'perhaps'", false),
        ("inputs = { x = 'float32[1]' }", true),
        ("allow-types = 'float32'", true),
    ] {
        assert_eq!(Policy::parse(text, "p", ".").is_ok(), is_valid, "{text}");
        fs::write(&path, text).unwrap();
        let printed = python::run("check_reports.py", &["policy", schema, path.to_str().unwrap()]);
        assert_eq!(printed.trim() == "valid", is_valid, "{text}: {printed}");
    }
}

#[test]
fn sarif_and_junit_are_read_by_others() {
    let (folder, report) = everything();
    fs::write(folder.path("all.sarif"), report.to_sarif()).unwrap();
    fs::write(folder.path("all.xml"), report.to_junit()).unwrap();
    let run = |mode: &str, file: &str| python::run("check_reports.py", &[mode, folder.path(file).to_str().unwrap()]);
    let mut results: Vec<String> = run("sarif", "all.sarif").lines().map(str::to_owned).collect();
    results.sort();
    assert_eq!(
        results,
        [
            "error max-joins new 0",
            "error max-joins new 0",
            "error max-joins unchanged 0",
            "error model new 0",
            "error unmatched new 0",
            "note accept - 1",
            "warning unused-accept new 0",
        ]
    );
    let printed = run("junit", "all.xml");
    let lines: Vec<&str> = printed.lines().collect();
    let suite = |name: &str| *lines.iter().find(|l| l.contains(name) && !l.starts_with(' ')).unwrap();
    assert!(suite("chain.onnx").ends_with(" 3 0 0 0"), "{printed}");
    assert!(suite("block.onnx").ends_with(" 3 1 0 0"), "{printed}");
    assert!(suite("known.onnx").ends_with(" 3 0 0 1"), "{printed}");
    assert!(suite("torn.onnx").ends_with(" 1 0 1 0"), "{printed}");
    assert!(suite("policy").ends_with(" 2 1 0 0"), "{printed}");
    assert!(lines.contains(&"  Failure max-joins '1 joins, where 0 are allowed'"), "{printed}");
}

#[test]
fn names_out_of_a_file_forge_nothing() {
    let (_folder, report) = everything();
    let github = report.to_github();
    assert!(github.lines().all(|l| l.starts_with("::error ") || l.starts_with("::warning ")), "{github}");
    assert_eq!(github.lines().count(), 5);
    assert!(github.contains("odd%2C name%25.onnx,title=onnx-rm max-joins::1 joins, where 0"), "{github}");
    for text in [report.to_string(), format!("{report:#}"), report.to_markdown()] {
        assert!(!text.contains('\u{1b}') && !text.lines().any(|l| l.starts_with("::")), "{text}");
    }
    assert!(report.to_string().contains("a<b>&\"c'|`\\u{1b}[31m"), "{report}");
    assert!(!format!("{report:#}").contains("chain.onnx"), "what passed is left out");
    let markdown = report.to_markdown();
    let columns = |l: &str| l.replace("\\|", "").matches('|').count();
    assert!(markdown.lines().filter(|l| l.starts_with('|')).all(|l| matches!(columns(l), 9 | 4)), "{markdown}");
}
