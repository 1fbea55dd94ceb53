//! Long skips and repeated runs.

use onnx_rm::options::Options;

use crate::common::*;
use crate::operations::blocks::{C, all, model_of, named};
use crate::operations::options;

#[test]
fn a_long_skip_waits_for_its_option() {
    let mut b = Build::new(31);
    let x = b.input("x", &[1, C as i64, 8, 8]);
    let x = b.conv(&x, &conv(C, C, 1));
    let mut y = x.clone();
    for _ in 0..3 {
        y = named("conv-relu-conv")(&mut b, &y);
    }
    let y = b.conv(&y, &conv(C, C, 3));
    let y = b.add(&y, &x);
    b.output(&y);
    let model = b.model();
    let (short, outcome) = rewrite(&model, &Options::default());
    assert_eq!(joins(&outcome), 1);
    assert!(distance(&model, &short) < ROUNDING);
    let (again, outcome) = rewrite(&short, &Options::default());
    assert_eq!(joins(&outcome), 1, "a second run must not forget that the branch held joins");
    assert_eq!(again, short);
    let (long, outcome) = rewrite(&short, &options());
    assert_eq!(joins(&outcome), 0);
    assert!(distance(&model, &long) < ROUNDING);
}

/// A file may say anything of itself: only what its convolutions do counts.
#[test]
fn metadata_decides_nothing() {
    let marked = |mut model: onnx_rm::onnx::ModelProto, keys: &[&str]| {
        for node in &mut model.graph.as_mut().unwrap().node {
            let entry = |key: &&str| onnx_rm::onnx::StringStringEntryProto {
                key: Some((*key).to_owned()),
                value: Some("a join".to_owned()),
            };
            node.metadata_props = keys.iter().map(entry).collect();
        }
        model
    };
    for (name, block) in all() {
        let model = model_of(block, 53, true).model();
        let (after, outcome) = rewrite(&model, &Options::default());
        let odd = marked(model, &["onnx_rm.merge", "onnx_rm.rewrite"]);
        assert_eq!(joins(&rewrite(&odd, &Options::default()).1), joins(&outcome), "{name}");
        let bare = marked(after, &[]);
        assert_eq!(rewrite(&bare, &Options::default()).0, bare, "{name}: a second rewrite changes something");
    }
}

#[test]
fn what_short_skips_leave_goes_with_long_ones() {
    // The sum within adds to channels that are picked and padded: a later run meets what an earlier one wrote.
    for seed in 0..4 {
        let mut b = model_of(named("three branches behind one activation"), 41 + seed, true);
        let inner = b.graph.node.last().unwrap().output[0].clone();
        let x = b.conv(&inner, &conv(3 * C, C, 1));
        let mut y = x.clone();
        for _ in 0..2 {
            let mut z = y.clone();
            for _ in 0..2 {
                z = named("cross stage partial")(&mut b, &z);
            }
            let k = b.random(&[1, C, 1, 1], 1.0);
            let z = b.node("Mul", &[&z, &k], vec![]);
            y = b.add(&z, &y);
        }
        let y = b.conv(&y, &conv(C, C, 3));
        let y = b.add(&y, &x);
        b.output(&y);
        let model = b.model();
        let (short, outcome) = rewrite(&model, &Options::default());
        assert!(joins(&outcome) > 0 && distance(&model, &short) < ROUNDING);
        let (long, outcome) = rewrite(&short, &options());
        assert_eq!(joins(&outcome), 0, "{:?}", outcome.sites);
        assert!(distance(&model, &long) < ROUNDING);
    }
}

#[test]
fn a_second_rewrite_changes_nothing() {
    for (name, block) in all() {
        let model = model_of(block, 37, true).model();
        let (once, _) = rewrite(&model, &options());
        let (twice, _) = rewrite(&once, &options());
        assert_eq!(once, twice, "{name}");
    }
}
