//! Long skips and repeated runs.

use onnx_rm::plan::options::Options;

use crate::blocks::{C, all, model_of, named};
use crate::common::*;
use crate::options;

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

#[test]
fn a_second_rewrite_changes_nothing() {
    for (name, block) in all() {
        let model = model_of(block, 37, true).model();
        let (once, _) = rewrite(&model, &options());
        let (twice, _) = rewrite(&once, &options());
        assert_eq!(once, twice, "{name}");
    }
}
