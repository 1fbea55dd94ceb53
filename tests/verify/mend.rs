//! One wrong rewrite does not spoil the others.

use std::path::Path;

use onnx_rm::deliver::{Goal, Terms, deliver};
use onnx_rm::demand::Demands;
use onnx_rm::onnx::ModelProto;
use onnx_rm::options::Plan;
use onnx_rm::report::{Action, Report};
use onnx_rm::verify::{FirstDifference, Status, VerifyReport};
use onnx_rm::{Options, Unstable, Verification, load, rewrite, save_mended};
use prost::Message;

use super::check;
use super::common::{Build, conv};

#[derive(Debug)]
struct Never;

impl From<onnx_rm::SaveError> for Never {
    fn from(e: onnx_rm::SaveError) -> Self {
        panic!("{e}")
    }
}

impl From<onnx_rm::LoadError> for Never {
    fn from(e: onnx_rm::LoadError) -> Self {
        panic!("{e}")
    }
}

impl From<onnx_rm::EngineError> for Never {
    fn from(e: onnx_rm::EngineError) -> Self {
        panic!("{e}")
    }
}

/// Five blocks, and what their joins compute.
fn net() -> (ModelProto, Vec<String>) {
    let mut b = Build::new(3);
    let mut x = b.input("x", &[1, 4, 6, 6]);
    let mut joins = Vec::new();
    for _ in 0..5 {
        let y = b.conv(&x, &conv(4, 4, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, 4, 3));
        x = b.add(&y, &x);
        joins.push(x.clone());
    }
    b.output(&x);
    (b.model(), joins)
}

/// Rewrites five blocks, with a verification that takes those in `wrong` for different, and says which joins stay. `blames`: the report
/// names the tensor.
fn kept(wrong: &[usize], blames: bool) -> (Vec<usize>, usize) {
    let (model, joins) = net();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    let mut comparisons = 0;
    let added = |staged: &Path| -> Vec<usize> {
        let proto = load(staged).unwrap().into_proto();
        let nodes = proto.graph.as_ref().unwrap().node.iter().filter(|n| n.op_type() == "Add");
        let outputs: Vec<String> = nodes.flat_map(|n| n.output.clone()).collect();
        (0..5).filter(|i| outputs.contains(&joins[*i])).collect()
    };
    let mut compare = |staged: &Path| -> Result<VerifyReport, Never> {
        comparisons += 1;
        let left = added(staged);
        let mut report = check(&model, &model);
        if let Some(first) = wrong.iter().find(|w| !left.contains(w)) {
            report.status = Status::Mismatch;
            report.first_difference = blames.then(|| FirstDifference::at(joins[*first].clone()));
        }
        Ok(report)
    };
    let out = folder.path().join("out.onnx");
    let original = load(&path).unwrap();
    let mut first = original.clone();
    let outcome = rewrite(&mut first, &Options::default()).unwrap();
    let (outcome, verification, _) =
        save_mended(&original, (first, outcome), &Options::default(), &out, &mut compare, Unstable::Keep).unwrap();
    if wrong.len() == 5 {
        assert!(matches!(verification, Verification::Failed(_)) && !out.exists());
        return (wrong.to_vec(), comparisons);
    }
    assert!(matches!(verification, Verification::Passed(_)));
    let unverified: Vec<_> = outcome.kept().filter(|(_, r)| r.code == "unverified").map(|(s, _)| &s.tensor).collect();
    assert_eq!(added(&out).len(), unverified.len());
    ((0..5).filter(|i| unverified.contains(&&joins[*i])).collect(), comparisons)
}

#[test]
fn the_sites_to_blame_stay_and_the_others_go() {
    for wrong in [&[][..], &[2], &[0], &[4], &[1, 3]] {
        assert_eq!(kept(wrong, true), (wrong.to_vec(), 1 + wrong.len()));
        // Without a name, by bisection.
        let (found, comparisons) = kept(wrong, false);
        assert_eq!(found, wrong);
        assert!(comparisons <= 1 + 5 * wrong.len(), "{comparisons}");
    }
}

#[test]
fn nothing_is_written_when_all_are_wrong() {
    assert_eq!(kept(&[0, 1, 2, 3, 4], true).1, 5, "the last has nothing left to compare");
}

/// A plan is done as it stands, or not at all: a join that is refused by the verification does not stay behind the user's back.
#[test]
fn a_plan_is_not_mended() {
    let (model, joins) = net();
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("in.onnx"), folder.path().join("out.onnx"));
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    let original = load(&path).unwrap();
    let planned = format!(r#"{{"schema_version": 1, "sites": [{{"tensor": "{}", "remove": true}}]}}"#, joins[2]);
    for (plan, is_written) in [(None, true), (Some(Plan::parse(&planned).unwrap()), false)] {
        let mut options = Options::default();
        options.plan = plan;
        let mut rewritten = original.clone();
        let outcome = rewrite(&mut rewritten, &options).unwrap();
        let mut first = true;
        let mut compare = |_: &Path| -> Result<VerifyReport, Never> {
            let mut report = check(&model, &model);
            if std::mem::take(&mut first) {
                report.status = Status::Mismatch;
                report.first_difference = Some(FirstDifference::at(joins[2].clone()));
            }
            Ok(report)
        };
        let mut report = Report::new(Action::Rewrite, "in.onnx", options, outcome);
        let terms = Terms { unstable: Unstable::Keep, demands: Demands::default(), dry_run: false };
        let goal = Goal::File(&out, Some(&mut compare));
        let delivery = deliver(&original, rewritten, &mut report, &terms, goal).unwrap();
        assert_eq!((delivery.finding.is_none(), out.exists()), (is_written, is_written));
        let _ = std::fs::remove_file(&out);
    }
}
