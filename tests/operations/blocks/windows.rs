//! Windows of every kind: padding of its own, crops, pools, strides, dilations, even kernels.

use super::{Block, C, basic_with};
use crate::common::*;

/// `y` padded by one entry around both axes, with what `mode` says.
fn padded(b: &mut Build, y: &str, mode: &str) -> String {
    let pads = b.ints(&[0, 0, 1, 1, 0, 0, 1, 1]);
    if mode == "constant" {
        let value = b.scalar(0.75);
        return b.node("Pad", &[y, &pads, &value], vec![string("mode", mode)]);
    }
    b.node("Pad", &[y, &pads], vec![string("mode", mode)])
}

/// Two convolutions that see what `mode` pads with.
fn within(b: &mut Build, x: &str, mode: &str) -> String {
    let y = padded(b, x, mode);
    let y = b.conv(&y, &conv(C, 8, 3).pad(0));
    let y = b.relu(&y);
    let y = padded(b, &y, mode);
    let y = b.conv(&y, &conv(8, C, 3).pad(0));
    b.add(&y, x)
}

pub(super) const BLOCKS: &[(&str, Block)] = &[
    ("reflected borders", |b, x| within(b, x, "reflect")),
    ("repeated borders", |b, x| within(b, x, "edge")),
    ("borders of a constant", |b, x| within(b, x, "constant")),
    ("borders in front of an activation", |b, x| {
        basic_with(b, x, |b, y| {
            let y = padded(b, y, "reflect");
            let y = b.node("Elu", &[&y], vec![]);
            b.conv(&y, &conv(8, 8, 3).pad(0))
        })
    }),
    ("borders in front of a batch norm", |b, x| {
        let y = padded(b, x, "constant");
        let y = b.batch_norm(&y, C);
        let y = b.conv(&y, &conv(C, 8, 3).pad(0));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 1));
        b.add(&y, x)
    }),
    ("borders beside a strided projection", |b, x| {
        let y = padded(b, x, "reflect");
        let y = b.conv(&y, &conv(C, 8, 3).pad(0).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 3));
        let s = b.conv(x, &conv(C, 10, 1).stride(2));
        b.add(&y, &s)
    }),
    ("causal convolution", |b, x| {
        basic_with(b, x, |b, y| {
            let y = b.conv(y, &conv(8, 8, 3).pads(&[2, 1, 2, 1]));
            let (start, end, axis) = (b.ints(&[0]), b.ints(&[-2]), b.ints(&[2]));
            let y = b.node("Slice", &[&y, &start, &end, &axis], vec![]);
            b.relu(&y)
        })
    }),
    ("causal and dilated", |b, x| {
        basic_with(b, x, |b, y| {
            let y = b.relu(y);
            let y = b.conv(&y, &conv(8, 8, 3).dilation(2).pads(&[4, 4, 4, 4]));
            let (start, end, axes) = (b.ints(&[0, 4]), b.ints(&[-4, i64::MAX]), b.ints(&[-2, -1]));
            b.node("Slice", &[&y, &start, &end, &axes], vec![])
        })
    }),
    ("average pool on the branch", |b, x| {
        basic_with(b, x, |b, y| {
            let y = b.relu(y);
            let pool = vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1; 4]), int("count_include_pad", 1)];
            b.node("AveragePool", &[&y], pool)
        })
    }),
    ("padding on one side", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).pads(&[2, 0, 0, 2]));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 2).pads(&[1, 0, 0, 1]));
        b.add(&y, x)
    }),
    ("no padding, then padding", |b, x| {
        // The size comes back, but the first window crops: the second has to put the entries back in place.
        let y = b.conv(x, &conv(C, 8, 3).pads(&[1, 1, 1, 1]));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 5).dilation(1));
        b.add(&y, x)
    }),
    ("same padding above", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).stride(2).auto_pad("SAME_UPPER"));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 2).auto_pad("SAME_UPPER"));
        let s = b.conv(x, &conv(C, 10, 1).stride(2).auto_pad("VALID"));
        b.add(&y, &s)
    }),
    ("same padding below", |b, x| {
        let y = b.conv(x, &conv(C, 8, 4).stride(2).auto_pad("SAME_LOWER"));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 3).dilation(2).auto_pad("SAME_LOWER"));
        let s = b.conv(x, &conv(C, 10, 2).stride(2).auto_pad("SAME_LOWER"));
        b.add(&y, &s)
    }),
    ("a window beside its own centre", |b, x| {
        // No tap on the entry itself: the kernel is enlarged.
        let y = b.conv(x, &conv(C, 8, 2).dilation(2).pads(&[1, 1, 1, 1]));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        b.add(&y, x)
    }),
    ("unequal kernel", |b, x| {
        let y = b.conv(x, &ConvArgs { kernel: vec![1, 5], ..conv(C, 8, 3) }.pads(&[0, 2, 0, 2]));
        let y = b.relu(&y);
        let y = b.conv(&y, &ConvArgs { kernel: vec![3, 1], ..conv(8, C, 3) }.pads(&[1, 0, 1, 0]));
        b.add(&y, x)
    }),
];
