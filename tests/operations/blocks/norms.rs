//! Normalisations by statistics, which pass when they are opened.

use super::{Block, C, basic_with};
use crate::common::*;
use crate::operations::blocks::rows::{mlp, tokens};

/// `GroupNorm` as the TorchScript exporter writes it; `sizes` gives the shape of the second `Reshape`.
fn grouped(b: &mut Build, y: &str, channels: usize, sizes: fn(&mut Build, &str) -> String) -> String {
    let (ones, zeros) = (b.floats(&[2], vec![1.0; 2]), b.floats(&[2], vec![0.0; 2]));
    let parted = b.ints(&[0, 2, -1]);
    let z = b.node("Reshape", &[y, &parted], vec![]);
    let z = b.node("InstanceNormalization", &[&z, &ones, &zeros], vec![]);
    let back = sizes(b, y);
    let z = b.node("Reshape", &[&z, &back], vec![]);
    let (scale, shift) = (b.random(&[channels, 1, 1], 1.0), b.random(&[channels, 1, 1], 0.5));
    let z = b.node("Mul", &[&z, &scale], vec![]);
    b.node("Add", &[&z, &shift], vec![])
}

fn by_shape(b: &mut Build, y: &str) -> String {
    b.node("Shape", &[y], vec![])
}

fn instance(b: &mut Build, y: &str, channels: usize) -> String {
    let (s, t) = (b.random(&[channels], 1.0), b.random(&[channels], 1.0));
    b.node("InstanceNormalization", &[y, &s, &t], vec![])
}

/// `LayerNorm` over the last axis as it was written before opset 17.
fn layer_written_out(b: &mut Build, y: &str, channels: usize) -> String {
    let mean = b.node("ReduceMean", &[y], vec![ints("axes", &[-1])]);
    let centred = b.node("Sub", &[y, &mean], vec![]);
    let two = b.floats(&[], vec![2.0]);
    let square = b.node("Pow", &[&centred, &two], vec![]);
    let variance = b.node("ReduceMean", &[&square], vec![ints("axes", &[-1])]);
    let epsilon = b.floats(&[], vec![1e-5]);
    let sum = b.node("Add", &[&variance, &epsilon], vec![]);
    let root = b.node("Sqrt", &[&sum], vec![]);
    let normed = b.node("Div", &[&centred, &root], vec![]);
    let (scale, shift) = (b.random(&[channels], 1.0), b.random(&[channels], 0.5));
    let scaled = b.node("Mul", &[&normed, &scale], vec![]);
    b.node("Add", &[&scaled, &shift], vec![])
}

/// With the channels on the last axis.
fn turned(b: &mut Build, y: &str, norm: fn(&mut Build, &str) -> String) -> String {
    let z = b.node("Transpose", &[y], vec![ints("perm", &[0, 2, 3, 1])]);
    let z = norm(b, &z);
    b.node("Transpose", &[&z], vec![ints("perm", &[0, 3, 1, 2])])
}

pub const BLOCKS: &[(&str, Block)] = &[
    ("instance norm", |b, x| {
        basic_with(b, x, |b, y| {
            let y = instance(b, y, 8);
            b.relu(&y)
        })
    }),
    ("instance norms, the last one behind the last convolution", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = instance(b, &y, 8);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        let y = instance(b, &y, C);
        b.add(&y, x)
    }),
    ("group norm first", |b, x| {
        let y = grouped(b, x, C, by_shape);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(C, 8, 3));
        let y = grouped(b, &y, 8, by_shape);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        b.add(&y, x)
    }),
    ("group norm of constant sizes", |b, x| basic_with(b, x, |b, y| grouped(b, y, 8, |b, _| b.ints(&[-1, 8, 8, 8])))),
    ("group norm in one node", |b, x| {
        b.opset = 21;
        basic_with(b, x, |b, y| {
            let (s, t) = (b.random(&[8], 1.0), b.random(&[8], 1.0));
            b.node("GroupNormalization", &[y, &s, &t], vec![int("num_groups", 2)])
        })
    }),
    ("layer norm over everything", |b, x| {
        basic_with(b, x, |b, y| {
            let s = b.random(&[8, 8, 8], 1.0);
            b.node("LayerNormalization", &[y, &s], vec![int("axis", 1)])
        })
    }),
    ("layer norm between transpositions", |b, x| {
        basic_with(b, x, |b, y| {
            turned(b, y, |b, y| {
                let s = b.random(&[8], 1.0);
                b.node("LayerNormalization", &[y, &s], vec![int("axis", -1)])
            })
        })
    }),
    ("layer norm written out", |b, x| basic_with(b, x, |b, y| turned(b, y, |b, y| layer_written_out(b, y, 8)))),
    ("layer norm of tokens", |b, x| {
        let x = tokens(b, x);
        mlp(b, &x, |b, y| {
            let s = b.random(&[8], 1.0);
            let y = b.node("LayerNormalization", &[y, &s], vec![int("axis", -1)]);
            b.relu(&y)
        })
    }),
];
