//! Folding and residual removal together.

use super::*;

/// A residual block whose two convolutions are RepVGG blocks.
fn multi_branch() -> ModelProto {
    let mut b = Build::new(50);
    let x = b.input("x", &[1, 4, 6, 6]);
    let start = b.relu(&x);
    let first = parallel::repvgg(&mut b, &start, 4, 3, 2, 1);
    let middle = b.relu(&first);
    let second = parallel::repvgg(&mut b, &middle, 4, 3, 2, 1);
    let sum = b.add(&second, &start);
    let y = b.relu(&sum);
    finish(b, &y)
}

fn cost(outcome: &Outcome) -> (Option<u64>, usize, usize) {
    (outcome.after.macs, outcome.after.nodes, outcome.after.joins)
}

#[test]
fn the_order_of_folding_and_removal_does_not_matter() {
    let model = multi_branch();
    let (residual, folds) = (only(&[Selector::Residual]), linear());
    let both = rewrite(&model, &Options::default());
    let folds_first = rewrite(&rewrite(&model, &folds).0, &residual);
    let residual_first = rewrite(&rewrite(&model, &residual).0, &folds);
    assert_eq!(cost(&both.1), cost(&folds_first.1));
    assert_eq!(cost(&both.1).2, 0);
    assert_eq!(ops(&both.0), ["Relu", "Conv", "Relu", "Conv", "Relu"]);
    assert_eq!(ops(&folds_first.0), ops(&both.0));
    assert_eq!(ops(&residual_first.0), ops(&both.0));
    assert_eq!(cost(&residual_first.1), cost(&both.1));
    for (after, _) in [&both, &folds_first, &residual_first] {
        let far = distance(&model, after);
        assert!(far <= ROUNDING, "{far:e}");
    }
}

#[test]
fn families_can_be_left_out() {
    let model = multi_branch();
    let skip = Options::default().families(Families::new(&[], &[Selector::Residual]));
    let (after, outcome) = rewrite(&model, &skip);
    assert_eq!(ops(&after), ["Relu", "Conv", "Relu", "Conv", "Add", "Relu"]);
    assert!(outcome.sites.iter().all(|s| s.kind != "residual"));
    let (_, outcome) = rewrite(&model, &only(&[Selector::Sequence]));
    assert!(outcome.sites.iter().all(|s| s.kind == "sequence"));
}

/// A join around a block with a join of its own is a long skip, also when linear folds touched the merge.
#[test]
fn a_merge_stays_known_when_something_folds_into_it() {
    let mut b = Build::new(51);
    let x = b.input("x", &[1, 4, 6, 6]);
    let start = b.relu(&x);
    let m = b.conv(&start, &conv(4, 4, 3));
    let m = b.relu(&m);
    let m = b.conv(&m, &conv(4, 4, 3));
    let inner = b.add(&m, &start);
    let scaled = b.batch_norm(&inner, 4);
    let m = b.relu(&scaled);
    let m = b.conv(&m, &conv(4, 4, 3));
    let outer = b.add(&m, &start);
    let y = b.relu(&outer);
    let model = finish(b, &y);
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!(ops(&after), ["Relu", "Conv", "Relu", "Conv", "Relu", "Conv", "Add", "Relu"]);
    assert!(distance(&model, &after) <= ROUNDING);
    assert!(outcome.kept().any(|(s, r)| s.kind == "residual" && r.code == "long-skip"));
    let merged = rewrite(&after, &Options::default()).1;
    assert!(merged.kept().any(|(_, r)| r.code == "long-skip"), "a later run still knows it");
}

#[test]
fn a_linear_sum_makes_no_long_skip() {
    let mut b = Build::new(52);
    let x = b.input("x", &[1, 4, 6, 6]);
    let start = b.relu(&x);
    let y = parallel::repvgg(&mut b, &start, 4, 3, 2, 1);
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(4, 4, 3));
    let y = b.add(&y, &start);
    let model = finish(b, &y);
    for options in [Options::default(), only(&[Selector::Residual])] {
        let (_, outcome) = rewrite(&model, &options);
        assert!(outcome.kept().all(|(_, r)| r.code != "long-skip"), "{:?}", outcome.sites);
        assert_eq!(outcome.after.joins, 0);
    }
}

#[test]
fn inspect_lists_what_rewrite_does() {
    let model = onnx_rm::Model::from_proto(multi_branch());
    let outcome = onnx_rm::engine::inspect(&model, &Options::default(), &mut onnx_rm::engine::go_on).unwrap();
    let candidates = |kind: &str| {
        outcome.sites.iter().filter(|s| s.kind == kind && matches!(s.status, SiteStatus::Candidate(_))).count()
    };
    assert_eq!((candidates("parallel"), candidates("residual")), (2, 1));
    assert_eq!(*model.proto(), multi_branch());
}
