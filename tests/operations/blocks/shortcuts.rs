//! Shortcuts that compute something.

use super::channels::gather;
use super::{Block, C};
use crate::common::*;

/// The mean over two by two entries, every second one along both axes.
fn halved(b: &mut Build, x: &str) -> String {
    b.node("AveragePool", &[x], vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])])
}

/// Two convolutions to ten channels; the first steps by two.
fn strided(b: &mut Build, x: &str) -> String {
    let y = b.conv(x, &conv(C, 8, 3).stride(2));
    let y = b.relu(&y);
    b.conv(&y, &conv(8, 10, 3))
}

/// The entries `start..end` of `x` along `axis`.
fn cut(b: &mut Build, x: &str, axis: i64, start: i64, end: i64) -> String {
    let (start, end, axis) = (b.ints(&[start]), b.ints(&[end]), b.ints(&[axis]));
    b.node("Slice", &[x, &start, &end, &axis], vec![])
}

/// A pool that takes every second entry as it is.
fn one_entry(auto_pad: &str) -> Vec<onnx_rm::onnx::AttributeProto> {
    vec![ints("kernel_shape", &[1, 1]), ints("strides", &[2, 2]), string("auto_pad", auto_pad)]
}

/// Two convolutions that keep the size and the channels, beside `s`.
fn basic_beside(b: &mut Build, x: &str, s: &str) -> String {
    let y = b.conv(x, &conv(C, 8, 3));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(8, C, 3));
    b.add(&y, s)
}

pub(super) const BLOCKS: &[(&str, Block)] = &[
    ("projection with stride", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 3));
        let s = b.conv(x, &conv(C, 10, 1).stride(2));
        b.add(&y, &s)
    }),
    ("projection with stride in the second convolution", |b, x| {
        let y = b.conv(x, &conv(C, 4, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, 4, 3).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, 10, 1));
        let s = b.conv(x, &conv(C, 10, 1).stride(2));
        let s = b.batch_norm(&s, 10);
        b.add(&y, &s)
    }),
    ("wide projection", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 3));
        let s = b.conv(x, &conv(C, 10, 3).stride(2));
        b.add(&y, &s)
    }),
    ("grouped projection", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 3));
        let s = b.conv(x, &conv(C, 10, 1).group(2));
        b.add(&y, &s)
    }),
    ("option A", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 3));
        let (starts, ends) = (b.ints(&[0, 0]), b.ints(&[i64::MAX, i64::MAX]));
        let (axes, steps) = (b.ints(&[2, 3]), b.ints(&[2, 2]));
        let s = b.node("Slice", &[x, &starts, &ends, &axes, &steps], vec![]);
        let pads = b.ints(&[0, 2, 0, 0, 0, 2, 0, 0]);
        let s = b.node("Pad", &[&s, &pads], vec![]);
        b.add(&y, &s)
    }),
    ("average pool shortcut", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 3));
        let s = b.node(
            "AveragePool",
            &[x],
            vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2]), int("ceil_mode", 1)],
        );
        let s = b.conv(&s, &conv(C, 10, 1));
        b.add(&y, &s)
    }),
    ("channel slice shortcut", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 4, 3));
        let (starts, ends, axes) = (b.ints(&[1]), b.ints(&[5]), b.ints(&[1]));
        let s = b.node("Slice", &[x, &starts, &ends, &axes], vec![]);
        b.add(&y, &s)
    }),
    ("average pool and 1x1 beside a late stride", |b, x| {
        let y = b.conv(x, &conv(C, 4, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, 4, 3).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, 10, 1));
        let s = halved(b, x);
        let s = b.conv(&s, &conv(C, 10, 1));
        let s = b.batch_norm(&s, 10);
        b.add(&y, &s)
    }),
    ("average pool on both sides", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = halved(b, &y);
        let y = b.conv(&y, &conv(8, C, 1));
        let s = halved(b, x);
        b.add(&y, &s)
    }),
    ("average pool that counts its padding", |b, x| {
        let y = b.conv(x, &conv(C, C, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(C, C, 1));
        let pool = vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1; 4]), int("count_include_pad", 1)];
        let s = b.node("AveragePool", &[x], pool);
        b.add(&y, &s)
    }),
    ("depthwise and 1x1 wider than the branch", |b, x| {
        let y = strided(b, x);
        let s = b.conv(x, &conv(C, C, 5).group(C).stride(2));
        let s = b.conv(&s, &conv(C, 10, 1));
        b.add(&y, &s)
    }),
    ("dilated shortcut", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 3));
        let s = b.conv(x, &conv(C, 10, 3).dilation(2));
        b.add(&y, &s)
    }),
    ("positive shortcut", |b, x| {
        let y = strided(b, x);
        let w = b.random(&[10, C, 1, 1], 0.5);
        let tensor = b.graph.initializer.iter_mut().find(|t| t.name() == w).unwrap();
        let values = onnx_rm::facts::tensor::read_f64(tensor).unwrap().mapv(f64::abs);
        *tensor = onnx_rm::facts::tensor::write(&w, &values, onnx_rm::onnx::tensor_proto::DataType::Float);
        let s = b.conv_with(&[x, &w], &conv(C, 10, 1).stride(2));
        b.add(&y, &s)
    }),
    ("scaled shortcut", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        let k = b.random(&[1, C, 1, 1], 1.0);
        let s = b.node("Mul", &[x, &k], vec![]);
        b.add(&s, &y)
    }),
    ("batch norm as shortcut", |b, x| {
        let y = b.conv(x, &conv(C, C, 3));
        let s = b.batch_norm(x, C);
        b.add(&s, &y)
    }),
    ("part of a split as shortcut", |b, x| {
        let p = b.split(x, &[2, 4]);
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 4, 3));
        b.add(&y, &p[1])
    }),
    ("every second pixel", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).stride(2));
        let y = b.node("LeakyRelu", &[&y], vec![]);
        let y = b.conv(&y, &conv(8, C, 3));
        let one = vec![ints("kernel_shape", &[1, 1]), ints("strides", &[2, 2])];
        let s = b.node("AveragePool", &[x], one);
        b.add(&y, &s)
    }),
    ("wide shortcut beside a branch that is activated first", |b, x| {
        let y = b.relu(x);
        let y = b.conv(&y, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        let s = b.conv(x, &conv(C, C, 3));
        b.add(&y, &s)
    }),
    ("channel gather shortcut", |b, x| {
        let y = strided(b, x);
        let s = halved(b, x);
        let s = gather(b, &s, &[3, 1, -1, 0, 2, 5, 1, 1, 0, -6], 1);
        b.add(&y, &s)
    }),
    ("negated shortcut", |b, x| {
        let s = b.node("Neg", &[x], vec![]);
        basic_beside(b, x, &s)
    }),
    ("max pool of one entry as shortcut", |b, x| {
        let y = strided(b, x);
        let s = b.node("MaxPool", &[x], one_entry("SAME_UPPER"));
        let s = b.conv(&s, &conv(C, 10, 1));
        b.add(&y, &s)
    }),
    ("max pool of one entry on both sides", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.node("MaxPool", &[&y], one_entry("NOTSET"));
        let y = b.conv(&y, &conv(8, C, 3));
        let s = b.node("MaxPool", &[x], one_entry("NOTSET"));
        b.add(&y, &s)
    }),
    ("channels of ones as shortcut", |b, x| {
        let y = b.conv(x, &conv(C, C + 2, 3));
        let (pads, one) = (b.ints(&[0, 1, 0, 0, 0, 1, 0, 0]), b.scalar(1.0));
        let s = b.node("Pad", &[x, &pads, &one], vec![]);
        b.add(&y, &s)
    }),
    ("channels repeated by a concat", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 3 * C, 3));
        let s = b.concat(&[x, x, x]);
        b.add(&y, &s)
    }),
    ("crop beside convolutions that do not pad", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).pad(0));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 8, 1));
        let y = b.conv(&y, &conv(8, C, 3).pad(0));
        let (starts, ends, axes) = (b.ints(&[2, 2]), b.ints(&[-2, -2]), b.ints(&[2, 3]));
        let s = b.node("Slice", &[x, &starts, &ends, &axes], vec![]);
        b.add(&y, &s)
    }),
    ("crop of one axis after the other", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).pad(0));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3).pad(0));
        let s = cut(b, x, 0, 0, i64::MAX);
        let s = cut(b, &s, 1, 0, i64::MAX);
        let s = cut(b, &s, 2, 2, -2);
        let s = cut(b, &s, 3, 2, 6);
        b.add(&y, &s)
    }),
    ("crop and 1x1, in turns", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).pad(0));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 5).pad(1));
        let s = cut(b, x, 2, 2, -2);
        let s = b.conv(&s, &conv(C, 10, 1));
        let s = cut(b, &s, 3, 2, -2);
        let s = b.batch_norm(&s, 10);
        b.add(&y, &s)
    }),
    ("crop that is subtracted", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).pad(0));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3).pad(0));
        let s = cut(b, x, 2, 2, -2);
        let s = cut(b, &s, 3, 2, -2);
        b.node("Sub", &[&y, &s], vec![])
    }),
    ("branch that is subtracted", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        b.node("Sub", &[x, &y], vec![])
    }),
    ("branch that is subtracted behind its activation", |b, x| {
        let y = b.conv(x, &conv(C, C, 3));
        let y = b.relu(&y);
        b.node("Sub", &[x, &y], vec![])
    }),
    ("shortcut that is subtracted", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        b.node("Sub", &[&y, x], vec![])
    }),
    ("projection that is subtracted", |b, x| {
        let y = strided(b, x);
        let s = b.conv(x, &conv(C, 10, 1).stride(2));
        b.node("Sub", &[&y, &s], vec![])
    }),
    ("branch that a projection is less", |b, x| {
        let y = strided(b, x);
        let s = b.conv(x, &conv(C, 10, 1).stride(2));
        b.node("Sub", &[&s, &y], vec![])
    }),
    ("channels repeated by a tile", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 2 * C, 3));
        let (to, times) = (b.ints(&[1, 1, 1, 1]), b.ints(&[1, 2, 1, 1]));
        let s = b.node("Expand", &[x, &to], vec![]);
        let s = b.node("Tile", &[&s, &times], vec![]);
        b.add(&y, &s)
    }),
    ("each channel repeated in turn", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 3 * C, 3));
        let (axes, to, shape) = (b.ints(&[2]), b.ints(&[1, 1, 3, 1, 1]), b.ints(&[0, -1, 8, 8]));
        let s = b.node("Unsqueeze", &[x, &axes], vec![]);
        let s = b.node("Expand", &[&s, &to], vec![]);
        let s = b.node("Reshape", &[&s, &shape], vec![]);
        b.add(&y, &s)
    }),
    ("one channel expanded", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 5, 3));
        let (s, to) = (b.slice(x, 2, 3), b.ints(&[1, 5, 1, 1]));
        let s = b.node("Expand", &[&s, &to], vec![]);
        b.add(&y, &s)
    }),
    ("one channel that the sum repeats", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 5, 3));
        let s = b.slice(x, 2, 3);
        b.add(&y, &s)
    }),
    ("branch of one channel that the sum repeats", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 1, 3));
        b.add(x, &y)
    }),
    ("average pool beside a window that does not pad", |b, x| {
        let y = b.conv(x, &conv(C, 8, 4).stride(2).pad(0));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        let pool = vec![ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2])];
        let s = b.node("AveragePool", &[x], pool);
        b.add(&y, &s)
    }),
    ("dilated window on a crop", |b, x| {
        let y = b.conv(x, &conv(C, C, 3).dilation(2).pad(0));
        let s = cut(b, x, 2, 2, -2);
        let row = ConvArgs { kernel: vec![1, 3], ..conv(C, C, 3).dilation(2).pad(0) };
        let s = b.conv(&s, &row);
        b.add(&y, &s)
    }),
    ("crop by negative pads", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).dilation(2).pad(0));
        let y = b.node("LeakyRelu", &[&y], vec![]);
        let y = b.conv(&y, &conv(8, C, 3));
        let pads = b.ints(&[0, 0, -2, -4, 0, 0, -2, 0]);
        let s = b.node("Pad", &[x, &pads], vec![]);
        b.add(&y, &s)
    }),
    ("crop at one end beside one that pads the other", |b, x| {
        let y = b.conv(x, &conv(C, 8, 5).pads(&[0, 4, 0, 0]));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3).pads(&[1, 1, 1, 1]));
        let (start, end, axis) = (b.ints(&[4]), b.ints(&[8]), b.ints(&[2]));
        let s = b.node("Slice", &[x, &start, &end, &axis], vec![]);
        b.add(&y, &s)
    }),
    ("crop in front of an activated branch", |b, x| {
        let y = b.relu(x);
        let y = b.conv(&y, &conv(C, C, 3).pad(0));
        let (start, end, axis) = (b.ints(&[1, 1]), b.ints(&[-1, 7]), b.ints(&[2, 3]));
        let s = b.node("Slice", &[x, &start, &end, &axis], vec![]);
        b.add(&y, &s)
    }),
];
