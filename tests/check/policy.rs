//! Sections, accepts, the baseline, files that are not there or are no models.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Folder, said};
use crate::common::build;

use onnx_rm::{Baseline, CheckError, CheckOptions, CheckStatus, Level, check, check_watched};

/// A model whose only join stays, for `cannot-pass`.
fn pooled(folder: &Folder) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder.copy(root.join("models/blocks/max_pool_shortcut.legacy.onnx"), "pooled.onnx");
}

#[test]
fn without_a_policy_nothing_may_be_left_to_rewrite() {
    let folder = Folder::new();
    pooled(&folder);
    let report = check(&[folder.path("chain.onnx"), folder.path("pooled.onnx")], &CheckOptions::default()).unwrap();
    assert_eq!((report.status, report.summary.passed, report.policy), (CheckStatus::Passed, 2, None));
    let report = check(&[folder.path("block.onnx")], &CheckOptions::default()).unwrap();
    assert_eq!(said(&report.files[0]), ["max-removable-joins: 1 joins that rewrite would remove, where 0 are allowed"]);
    assert!(matches!(check::<&str>(&[], &CheckOptions::default()), Err(CheckError::Nothing)));
}

#[test]
fn joins_are_accepted_by_code_name_and_day() {
    let folder = Folder::new();
    pooled(&folder);
    let look = |accept: &str, file: &str| {
        let options =
            folder.options(&format!("max-joins = 0\naccept = [{accept}]")).today("2026-11-26".parse().unwrap());
        folder.check_with(&options, &[file])
    };
    let status = |accept: &str, file: &str| look(accept, file).files[0].status;
    let (passed, failed) = (CheckStatus::Passed, CheckStatus::Failed);
    assert_eq!(status("", "pooled.onnx"), failed);
    assert_eq!(status("{ code = 'cannot-pass', reason = 'MaxPool' }", "pooled.onnx"), passed);
    assert_eq!(status("{ code = 'two-branches', reason = 'other' }", "pooled.onnx"), failed);
    assert_eq!(status("{ code = 'cannot-pass', site = '/2/*', reason = 'r' }", "pooled.onnx"), passed);
    assert_eq!(status("{ code = 'cannot-pass', site = '/3/*', reason = 'r' }", "pooled.onnx"), failed);
    assert_eq!(status("{ code = 'cannot-pass', until = 2026-11-26 }", "pooled.onnx"), passed, "the last day is one");
    let report = look("{ code = 'cannot-pass', until = '2026-11-25' }", "pooled.onnx");
    assert_eq!(report.status, failed);
    let reason = &report.files[0].findings[0].places[0].reason;
    assert!(reason.ends_with("(line 2 of the policy accepted it until 2026-11-25)"), "{reason}");
    // A join that could go is no other: it is accepted by its own word.
    assert_eq!(status("{ code = 'cannot-pass', reason = 'r' }", "block.onnx"), failed);
    assert_eq!(status("{ code = 'removable', reason = 'too dear' }", "block.onnx"), passed);
    let report = look("{ code = 'removable', reason = 'too dear', until = 2027-01-31 }", "block.onnx");
    let accepted = &report.files[0].accepted[0];
    assert_eq!(
        (accepted.because.as_deref(), accepted.until.unwrap().to_string()),
        (Some("too dear"), "2027-01-31".into())
    );
    // What nothing needs is said, and fails nothing.
    let report = look("{ code = 'border', reason = 'r' }", "chain.onnx");
    assert_eq!(
        (report.status, report.findings[0].key.as_str(), report.findings[0].level),
        (passed, "unused-accept", Level::Warning)
    );
    assert_eq!((report.findings[0].line, report.summary.warnings), (Some(2), 1));
    assert!(look("{ code = 'cannot-pass', reason = 'r' }", "pooled.onnx").findings.is_empty());
}

#[test]
fn a_check_that_checked_nothing_is_a_finding() {
    let folder = Folder::new();
    folder.copy("chain.onnx", "edge/a.onnx");
    std::fs::create_dir(folder.path("empty")).unwrap();
    let unmatched = |policy: &str, files: &[&str]| {
        let report = folder.check(policy, files);
        assert_eq!(report.status, if report.findings.is_empty() { CheckStatus::Passed } else { CheckStatus::Failed });
        report.findings.iter().map(|f| f.message.clone()).collect::<Vec<_>>()
    };
    let rest = "max-joins = 9\n";
    assert_eq!(unmatched(rest, &["edge"]), Vec::<String>::new());
    assert!(unmatched(rest, &["empty"])[0].contains("empty' means no model"));
    assert!(unmatched(rest, &["*.tflite", "edge"])[0].contains("*.tflite' means no model"));
    let section = |files: &str| format!("{rest}[[models]]\nfiles = '{files}'\nmax-joins = 0\n");
    assert_eq!(unmatched(&section("edge/*.onnx"), &["edge"]), Vec::<String>::new());
    assert_eq!(unmatched(&section("edge/*.onnx"), &["chain.onnx"]), Vec::<String>::new(), "it means one that is there");
    assert_eq!(unmatched(&section("egde/*.onnx"), &["edge"]), ["a section of the policy means no model: egde/*.onnx"]);
    let options = folder.options(&section("egde/*.onnx")).allow_unmatched(true);
    assert_eq!(folder.check_with(&options, &["edge", "empty", "*.tflite"]).status, CheckStatus::Passed);
    // A model of which nothing is asked.
    let report = folder.check("[[models]]\nfiles = 'edge/'\nmax-joins = 0\n", &["edge", "chain.onnx"]);
    assert_eq!((report.files[0].status, report.files[1].status), (CheckStatus::Passed, CheckStatus::Failed));
    assert_eq!(report.files[1].findings[0].key, "uncovered");
    // Without a path the policy says what is checked.
    let report = folder.check("[[models]]\nfiles = 'edge/'\nmax-joins = 0\n", &[]);
    assert_eq!((report.status, report.files.len()), (CheckStatus::Passed, 1));
    assert_eq!(folder.check(rest, &[]).files.len(), 3, "all below its folder");
}

#[test]
fn a_broken_file_among_many_is_a_finding_of_its_own() {
    let folder = Folder::new();
    folder.write_bytes("a_torn.onnx", &std::fs::read(folder.path("block.onnx")).unwrap()[..900]);
    folder.write_bytes("b_empty.onnx", b"");
    let mut cyclic = build::residual_block(1, 4);
    cyclic.graph.as_mut().unwrap().node[0].input[0] = "nowhere".into();
    folder.write("c_malformed.onnx", &cyclic);
    let mut future = build::residual_block(1, 4);
    future.opset_import[0].version = Some(9999);
    folder.write("d_future.onnx", &future);
    let report = folder.check("max-joins = 0", &["", "missing.onnx"]);
    let status = |name: &str| {
        let file = report.files.iter().find(|f| f.file.ends_with(name)).unwrap();
        (file.status, file.findings.iter().map(|f| f.key.as_str()).collect::<Vec<_>>())
    };
    for name in ["a_torn.onnx", "b_empty.onnx", "c_malformed.onnx", "d_future.onnx", "missing.onnx"] {
        assert_eq!(status(name), (CheckStatus::Error, vec!["model"]), "{name}");
    }
    assert_eq!(status("block.onnx"), (CheckStatus::Failed, vec!["max-joins"]));
    assert_eq!(status("chain.onnx"), (CheckStatus::Passed, vec![]));
    assert_eq!((report.status, report.exit_code()), (CheckStatus::Error, 2));
    // Never known, whatever the baseline has.
    let options = folder.options("max-joins = 0").baseline(Baseline::parse(&report.to_json()).unwrap());
    let again = folder.check_with(&options, &["", "missing.onnx"]);
    assert_eq!((again.status, again.summary.known, again.summary.findings), (CheckStatus::Error, 1, 5));
}

#[test]
fn only_what_the_baseline_does_not_have_fails() {
    let folder = Folder::new();
    let two = || {
        let mut b = build::Build::new(1);
        let x = b.input("x", &[1, 4, 8, 8]);
        let mut y = b.relu(&x);
        for _ in 0..2 {
            let branch = b.conv(&y, &build::conv(4, 4, 3));
            let branch = b.relu(&branch);
            let branch = b.conv(&branch, &build::conv(4, 4, 3));
            y = b.add(&branch, &y);
        }
        b.output(&y);
        b.model()
    };
    let policy = "max-removable-joins = 0\nmax-macs = 1000\n";
    let earlier = Baseline::parse(&folder.check(policy, &["block.onnx"]).to_json()).unwrap();
    let options = |policy: &str| folder.options(policy).baseline(earlier.clone());
    let now = folder.check_with(&options(policy), &["block.onnx"]);
    assert_eq!((now.status, now.summary.known, now.summary.findings), (CheckStatus::Passed, 2, 0));
    // Another file, a key that was not broken before, a limit that is tighter.
    folder.copy("block.onnx", "other.onnx");
    assert_eq!(folder.check_with(&options(policy), &["other.onnx"]).summary.findings, 2);
    let more = folder.check_with(&options(&format!("{policy}max-nodes = 1\n")), &["block.onnx"]);
    assert_eq!((more.summary.known, more.summary.findings), (2, 1));
    let tighter = folder.check_with(&options("max-removable-joins = 0\nmax-macs = 999\n"), &["block.onnx"]);
    assert_eq!((tighter.summary.known, tighter.summary.findings), (1, 1));
    // Worse: one more join, and with it more multiply-accumulates.
    folder.write("block.onnx", &two());
    let worse = folder.check_with(&options(policy), &["block.onnx"]);
    assert_eq!((worse.summary.known, worse.summary.findings), (0, 2));
    assert!(Baseline::parse("{}").is_err());
    let other =
        folder.check(policy, &["chain.onnx"]).to_json().replace("\"schema_version\": 1", "\"schema_version\": 9");
    assert!(Baseline::parse(&other).unwrap_err().contains("schema version 9"));
}

#[test]
fn what_is_done_at_once_does_not_matter() {
    let folder = Folder::new();
    for n in 0..6 {
        folder.copy(if n % 2 == 0 { "block.onnx" } else { "chain.onnx" }, &format!("many/{n}.onnx"));
    }
    let run = |jobs: usize| {
        let mut options = folder.options("max-joins = 0\nmax-macs = 20_000\n");
        options.jobs = jobs.try_into().ok();
        folder.check_with(&options, &["many"]).to_json()
    };
    assert_eq!(run(1), run(5));
    let named = folder.check("max-joins = 0", &["many/1.onnx", "many", "many/../many/1.onnx"]);
    assert_eq!(named.files.len(), 6, "each once");
    assert!(named.files[0].file.ends_with("1.onnx"), "in the order of the arguments");
}

#[test]
fn who_watches_can_stop() {
    let folder = Folder::new();
    let seen = AtomicUsize::new(0);
    let watch = |p: &onnx_rm::CheckProgress| {
        assert_eq!(p.total, 2);
        match seen.fetch_add(1, Ordering::Relaxed) {
            0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    };
    let stopped = check_watched(&[folder.path("")], &folder.options("max-joins = 0"), &watch);
    assert!(matches!(stopped, Err(CheckError::Stopped)));
}

/// A large model, or a comparison, may take minutes.
#[test]
fn who_watches_can_stop_in_the_middle_of_a_model() {
    let folder = Folder::new();
    folder.rewrite("block.onnx", "made.onnx", &onnx_rm::Options::default());
    for (policy, file) in [
        ("max-removable-joins = 0", "block.onnx"),
        ("equal-to = 'block.onnx'", "made.onnx"),
        ("up-to-date-with = 'block.onnx'", "made.onnx"),
    ] {
        let seen = AtomicUsize::new(0);
        let watch = |p: &onnx_rm::CheckProgress| {
            assert_eq!((p.done, p.total), (0, 1));
            match seen.fetch_add(1, Ordering::Relaxed) {
                0 => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        };
        let stopped = check_watched(&[folder.path(file)], &folder.options(policy), &watch);
        assert!(matches!(stopped, Err(CheckError::Stopped)), "{policy}: {stopped:?}");
    }
}
