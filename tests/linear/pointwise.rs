//! Pairs of 1x1 convolutions, and what the user says about them.

use super::*;

/// The end of one inverted residual and the start of the next: a narrow tensor between two 1x1 convolutions.
fn bottleneck(narrow: usize) -> ModelProto {
    let mut b = Build::new(40);
    let x = b.input("x", &[1, 12, 4, 4]);
    let m = b.conv(&x, &conv(12, narrow, 1));
    let y = b.conv(&m, &conv(narrow, 12, 1));
    finish(b, &y)
}

fn when(fuse_pointwise: FusePointwise) -> Options {
    linear().fuse_pointwise(fuse_pointwise)
}

#[test]
fn auto_fuses_what_is_no_dearer() {
    becomes_with(&bottleneck(6), &when(FusePointwise::Auto), &["Conv"]);
    stays_with(&bottleneck(5), &when(FusePointwise::Auto), "dearer", "2304 MACs, what it replaces 1920");
}

#[test]
fn always_and_never_have_the_last_word() {
    let after = becomes_with(&bottleneck(2), &when(FusePointwise::Always), &["Conv"]);
    assert_eq!(attribute(node(&after, "Conv"), "kernel_shape"), [1, 1]);
    let (_, outcome) = rewrite(&bottleneck(2), &when(FusePointwise::Always));
    let (_, change) = outcome.removed().next().unwrap();
    assert_eq!((change.macs_before, change.macs_after), (Some(768), Some(2304)), "the price is shown");
    assert_eq!((outcome.before.macs, outcome.after.macs), (Some(768), Some(2304)));
    stays_with(&bottleneck(12), &when(FusePointwise::Never), "dearer", "never");
}

#[test]
fn always_does_not_mean_wider_windows() {
    let mut b = Build::new(41);
    let x = b.input("x", &[1, 4, 6, 6]);
    let m = b.conv(&x, &conv(4, 4, 3).group(4));
    let y = b.conv(&m, &conv(4, 4, 1));
    stays_with(&finish(b, &y), &when(FusePointwise::Always), "dearer", "MACs");
}
