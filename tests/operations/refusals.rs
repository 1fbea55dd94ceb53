//! What cannot be removed: it stays as it is, and the reason names the operator to blame.

use onnx_rm::onnx::NodeProto;
use onnx_rm::options::{Downsample, Families, Options, Selector};

use crate::common::*;
use crate::operations::blocks::{Block, C, basic_with, model_of};
use crate::operations::refused::{Case, ON_THE_BRANCH, ON_THE_SHORTCUT, OVER_ROWS};
use crate::operations::{options, refusals};

/// Code and blamed operator of the refusal of the one join of a model, which must be left as it is.
fn refused(block: Block, opset: Option<i64>, options: &Options) -> Result<(String, String), String> {
    let mut b = model_of(block, 29, true);
    b.opset = opset.unwrap_or(b.opset);
    let model = b.model();
    let options = options.clone().families(Families::new(&[Selector::Residual], &[]));
    let (after, outcome) = rewrite(&model, &options);
    if model != after {
        let removed: Vec<_> = outcome.removed().collect();
        return Err(format!("it was rewritten, and differs by {}: {removed:?}", distance(&model, &after)));
    }
    let kept = refusals(&outcome);
    let [reject] = kept.as_slice() else { return Err(format!("{kept:?}")) };
    let nodes = &model.graph.as_ref().unwrap().node;
    let blamed = nodes.iter().find(|n| n.name() == reject.node);
    let has = |n: &NodeProto| n.output.iter().chain(&n.input).any(|t| *t == reject.tensor);
    if !blamed.is_some_and(has) || reject.reason.is_empty() {
        return Err(format!("no reason, or a tensor that is none of the node's: {reject:?}"));
    }
    Ok((reject.code.to_string(), blamed.map_or("", |n| n.op_type()).to_owned()))
}

fn assert_refused(cases: &[Case]) {
    let wrong = cases.iter().filter_map(|(name, code, op, block)| {
        let found = refused(*block, None, &options());
        (found != Ok(((*code).to_owned(), (*op).to_owned()))).then(|| format!("{name}: {found:?}"))
    });
    crate::operations::assert_none(wrong);
}

#[test]
fn what_the_branch_cannot_pass_stays_and_is_named() {
    assert_refused(ON_THE_BRANCH);
}

#[test]
fn what_rows_of_channels_cannot_pass_stays_and_is_named() {
    assert_refused(OVER_ROWS);
}

#[test]
fn what_no_shortcut_may_be_stays_and_is_named() {
    assert_refused(ON_THE_SHORTCUT);
}

fn pooled(b: &mut Build, x: &str) -> String {
    let y = b.conv(x, &conv(C, C, 3));
    b.node("MaxPool", &[&y], vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1, 1, 1, 1])])
}

#[test]
fn a_sum_of_more_than_two_says_what_stands_in_the_way_of_its_pairs() {
    let rows: &[(&str, Block)] = &[
        ("shortcut-not-linear", |b, x| {
            let parts: Vec<String> = (0..3)
                .map(|_| {
                    let y = b.conv(x, &conv(C, C, 3));
                    b.relu(&y)
                })
                .collect();
            b.node("Sum", &[&parts[0], &parts[1], &parts[2]], vec![])
        }),
        ("cannot-pass", |b, x| {
            let y = pooled(b, x);
            let y = b.conv(&y, &conv(C, C, 3));
            let z = pooled(b, x);
            b.node("Sum", &[&y, x, &z], vec![])
        }),
        // What would be carried is cropped on the way.
        ("size-unknown", |b, x| {
            let y = b.conv(x, &conv(C, C, 3).pad(0));
            let y = b.relu(&y);
            let y = b.conv(&y, &conv(C, C, 3).pad(2));
            let z = pooled(b, x);
            b.node("Sum", &[&z, &y, x], vec![])
        }),
    ];
    for (code, block) in rows {
        let model = model_of(*block, 31, true).model();
        let options = options().families(Families::new(&[Selector::Residual], &[]));
        let (after, outcome) = rewrite(&model, &options);
        assert!(model == after, "{code}");
        assert_eq!((outcome.before.joins, outcome.after.joins), (2, 2));
        let [reject] = refusals(&outcome)[..] else { panic!("{:?}", outcome.sites) };
        assert!(reject.reason.starts_with("a sum of 3: "), "{reject:?}");
        assert_eq!(reject.code, *code, "{reject:?}");
        let nodes = &model.graph.as_ref().unwrap().node;
        assert!(nodes.iter().any(|n| n.name() == reject.node && n.output.contains(&reject.tensor)), "{reject:?}");
    }
}

#[test]
fn an_opset_that_lacks_the_operator_is_named() {
    let cases: &[(&str, i64, &str, Block)] = &[
        ("a signed relu", 6, "Relu", |b, x| basic_with(b, x, |b, y| b.relu(y))),
        ("a clip", 7, "Clip", |b, x| {
            basic_with(b, x, |b, y| b.node("Clip", &[y], vec![float("min", 0.0), float("max", 1.0)]))
        }),
        ("any other function", 8, "Elu", |b, x| basic_with(b, x, |b, y| b.node("Elu", &[y], vec![]))),
        ("a function written out", 8, "Mul", |b, x| {
            basic_with(b, x, |b, y| {
                let t = b.node("Exp", &[y], vec![]);
                b.node("Mul", &[&t, y], vec![])
            })
        }),
        ("a gate of one channel", 8, "Mul", |b, x| {
            basic_with(b, x, |b, y| {
                let g = b.conv(y, &conv(8, 1, 1));
                let g = b.node("Sigmoid", &[&g], vec![]);
                b.node("Mul", &[y, &g], vec![])
            })
        }),
        ("a normalisation", 8, "InstanceNormalization", |b, x| {
            basic_with(b, x, |b, y| {
                let (s, t) = (b.random(&[8], 1.0), b.random(&[8], 1.0));
                b.node("InstanceNormalization", &[y, &s, &t], vec![])
            })
        }),
    ];
    for (name, opset, op, block) in cases {
        let found = refused(*block, Some(*opset), &options());
        assert_eq!(found, Ok(("opset".to_owned(), (*op).to_owned())), "{name}");
    }
}

#[test]
fn a_recipe_that_does_not_fit_is_refused() {
    // A window wider than one entry behind a step: only the first convolution can apply it.
    let block: Block = |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 3));
        let s = b.conv(x, &conv(C, 10, 3).stride(2));
        b.add(&y, &s)
    };
    let found = refused(block, None, &options().downsample(Downsample::V2));
    assert_eq!(found, Ok(("shortcut-does-not-fit".to_owned(), "Conv".to_owned())));
}

#[test]
fn an_unknown_size_is_no_proof() {
    let mut b = Build::new(43);
    let x = b.input("x", &[1, C as i64, -1, -1]);
    // Whether an even kernel over an unknown size gives as much as the shortcut depends on the size.
    let y = b.conv(&x, &conv(C, C, 2).stride(2).pad(0));
    let s = b.conv(&x, &conv(C, C, 1).stride(2));
    let y = b.add(&y, &s);
    b.output(&y);
    let model = b.model();
    let (after, outcome) = rewrite(&model, &options());
    assert_eq!(model, after);
    assert_eq!(refusals(&outcome)[0].code, "size-unknown");
    assert!(refusals(&outcome)[0].hint.contains("fixed input size"));
}

#[test]
fn a_convolution_that_cannot_be_read_is_told_apart_from_what_is_not_linear() {
    let mut b = Build::new(47);
    let x = b.input("x", &[1, C as i64, -1, -1]);
    let y = b.conv(&x, &conv(C, 8, 3).stride(2).auto_pad("SAME_UPPER"));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(8, C, 3));
    let s = b.conv(&x, &conv(C, C, 1).stride(2).auto_pad("SAME_UPPER"));
    let y = b.add(&y, &s);
    b.output(&y);
    let model = b.model();
    let (after, outcome) = rewrite(&model, &options());
    assert_eq!(model, after);
    let kept = refusals(&outcome);
    assert!(kept[0].code == "bad-convolution" && kept[0].reason.contains("auto_pad SAME with a stride"), "{kept:?}");
}

#[test]
fn norms_stay_unless_they_are_opened() {
    for (name, block) in crate::operations::blocks::norms::BLOCKS {
        let model = model_of(*block, 31, true).model();
        let families = Families::new(&[], &[Selector::Transpose]);
        let (after, outcome) = rewrite(&model, &Options::default().long_skips(true).families(families));
        assert_eq!(model, after, "{name}");
        let reject = refusals(&outcome);
        assert!(reject.iter().all(|r| r.code == "cannot-pass"), "{name}: {reject:?}");
        if !name.contains("written out") {
            assert!(reject.iter().any(|r| r.hint.contains("--open-norms")), "{name}: {reject:?}");
        }
    }
}

#[test]
fn what_only_a_mean_is_taken_from_is_no_join() {
    let norm = |axes: &'static [i64]| {
        let mut b = Build::new(9);
        let x = b.input("x", &[-1, C as i64, 8, 8]);
        let y = b.conv(&x, &conv(C, C, 1));
        let mean = b.node("ReduceMean", &[&y], vec![ints("axes", axes)]);
        let y = b.node("Sub", &[&y, &mean], vec![]);
        b.output(&y);
        rewrite(&b.model(), &options()).1
    };
    for axes in [&[1][..], &[2, 3], &[1, 2, 3]] {
        let outcome = norm(axes);
        assert_eq!((outcome.before.joins, refusals(&outcome).len()), (0, 0), "{axes:?}");
    }
}
