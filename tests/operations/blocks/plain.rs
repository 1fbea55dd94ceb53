//! Convolutions in every place, and per-channel maps around them.

use super::{Block, C, basic_with};
use crate::common::*;

pub(super) const BLOCKS: &[(&str, Block)] = &[
    ("conv-relu-conv", |b, x| basic_with(b, x, |b, y| b.relu(y))),
    ("join with the shortcut first", |b, x| {
        let y = b.conv(x, &conv(C, C, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(C, C, 3));
        b.add(x, &y)
    }),
    ("sum of two", |b, x| {
        let y = b.conv(x, &conv(C, C, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(C, C, 3));
        b.node("Sum", &[&y, x], vec![])
    }),
    ("sum of three", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        let s = b.conv(x, &conv(C, C, 1));
        b.node("Sum", &[x, &y, &s], vec![])
    }),
    ("sum of four, of which one is a constant", |b, x| {
        let y = b.conv(x, &conv(C, 4, 3));
        let y = b.relu(&y);
        let z = b.conv(&y, &conv(4, C, 3));
        let y = b.conv(&y, &conv(4, C, 1));
        let t = b.random(&[C, 1, 1], 1.0);
        b.node("Sum", &[&y, &t, x, &z], vec![])
    }),
    ("sum of the fork twice", |b, x| {
        let y = b.conv(x, &conv(C, 4, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, C, 3));
        b.node("Sum", &[x, &y, x], vec![])
    }),
    ("sum of three, of which one has no shortcut", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        let z = b.conv(x, &conv(C, C, 3));
        let z = b.relu(&z);
        b.node("Sum", &[&z, x, &y], vec![])
    }),
    ("sum of one", |b, x| {
        basic_with(b, x, |b, y| {
            let y = b.node("Sum", &[y], vec![]);
            b.relu(&y)
        })
    }),
    ("single convolution", |b, x| {
        let y = b.conv(x, &conv(C, C, 3));
        b.add(&y, x)
    }),
    ("convolutions without anything between", |b, x| {
        let y = b.conv(x, &conv(C, 4, 1));
        let y = b.conv(&y, &conv(4, C, 3));
        b.add(&y, x)
    }),
    ("batch norm and scales", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.batch_norm(&y, 8);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        let y = b.batch_norm(&y, C);
        let s = b.floats(&[], vec![0.25]);
        let y = b.node("Mul", &[&y, &s], vec![]);
        let s = b.random(&[C, 1, 1], 1.0);
        let y = b.node("Add", &[&y, &s], vec![]);
        b.add(&y, x)
    }),
    ("batch norm behind an activation", |b, x| {
        basic_with(b, x, |b, y| {
            let y = b.relu(y);
            b.batch_norm(&y, 8)
        })
    }),
    ("identity and dropout", |b, x| {
        let x2 = b.node("Identity", &[x], vec![]);
        let y = b.conv(&x2, &conv(C, 8, 3));
        let y = b.node("Dropout", &[&y], vec![]);
        let y = b.relu(&y);
        let y = b.node("Identity", &[&y], vec![]);
        let y = b.conv(&y, &conv(8, C, 3));
        let y = b.node("Identity", &[&y], vec![]);
        b.add(&y, x)
    }),
    ("pre-activation", |b, x| {
        let y = b.batch_norm(x, C);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(C, 8, 3));
        let y = b.batch_norm(&y, 8);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        b.add(&y, x)
    }),
    ("activation behind the last convolution", |b, x| {
        let y = b.conv(x, &conv(C, 4, 1));
        let y = b.node("LeakyRelu", &[&y], vec![]);
        let y = b.conv(&y, &conv(4, C, 3));
        let y = b.node("LeakyRelu", &[&y], vec![]);
        b.add(&y, x)
    }),
    ("bottleneck", |b, x| {
        let y = b.conv(x, &conv(C, 3, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(3, 3, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(3, C, 1));
        b.add(&y, x)
    }),
    ("bottleneck with unequal middle", |b, x| {
        let y = b.conv(x, &conv(C, 3, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(3, 12, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(12, C, 1));
        b.add(&y, x)
    }),
    ("grouped bottleneck", |b, x| {
        let y = b.conv(x, &conv(C, 8, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 8, 3).group(4));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 1));
        b.add(&y, x)
    }),
    ("grouped middle with in != out", |b, x| {
        let y = b.conv(x, &conv(C, 8, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 16, 3).group(4));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(16, C, 1));
        b.add(&y, x)
    }),
    ("inverted residual", |b, x| {
        let y = b.conv(x, &conv(C, 18, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(18, 18, 3).group(18));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(18, C, 1));
        b.add(&y, x)
    }),
    ("depthwise first and last", |b, x| {
        let y = b.conv(x, &conv(C, C, 3).group(C));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(C, C, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(C, C, 5).group(C));
        b.add(&y, x)
    }),
    ("grouped first and last", |b, x| {
        let y = b.conv(x, &conv(C, 12, 3).group(3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(12, C, 3).group(2));
        b.add(&y, x)
    }),
    ("dilated", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).dilation(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3).dilation(3));
        b.add(&y, x)
    }),
    ("parallel convolutions", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let s = b.conv(x, &conv(C, 8, 1));
        b.add(&s, &y)
    }),
    ("batch norm first", |b, x| {
        let y = b.batch_norm(x, C);
        let y = b.conv(&y, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        b.add(&y, x)
    }),
    ("relu first", |b, x| {
        let y = b.relu(x);
        let y = b.conv(&y, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        b.add(&y, x)
    }),
    ("pre-activation with a projection of what is activated", |b, x| {
        let a = b.batch_norm(x, C);
        let a = b.relu(&a);
        let y = b.conv(&a, &conv(C, 8, 3).stride(2));
        let y = b.batch_norm(&y, 8);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 3));
        let s = b.conv(&a, &conv(C, 10, 1).stride(2));
        b.add(&y, &s)
    }),
    ("pre-activation with a projection of the input", |b, x| {
        let y = b.batch_norm(x, C);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(C, 8, 3).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 3));
        let s = b.conv(x, &conv(C, 10, 1).stride(2));
        b.add(&y, &s)
    }),
    ("batch norm kept between two activations", |b, x| {
        basic_with(b, x, |b, y| {
            let y = b.node("LeakyRelu", &[y], vec![float("alpha", 0.25)]);
            let y = b.batch_norm(&y, 8);
            b.relu(&y)
        })
    }),
    ("constants in front", |b, x| {
        basic_with(b, x, |b, y| {
            let (t, s) = (b.random(&[1, 8, 1, 1], 1.0), b.scalar(0.5));
            let y = b.node("Sub", &[&t, y], vec![]);
            b.node("Div", &[&y, &s], vec![])
        })
    }),
    ("linear layer at every pixel", |b, x| {
        let layer = |b: &mut Build, y: &str, inputs: usize, outputs: usize| {
            let w = b.random(&[inputs, outputs], 0.6);
            let y = b.node("MatMul", &[y, &w], vec![]);
            let bias = b.random(&[outputs], 0.5);
            b.node("Add", &[&bias, &y], vec![])
        };
        let there = vec![ints("perm", &[0, 2, 3, 1])];
        let back = vec![ints("perm", &[0, 3, 1, 2])];
        let y = b.conv(x, &conv(C, C, 3).group(C));
        let y = b.node("Transpose", &[&y], there.clone());
        let y = layer(b, &y, C, 8);
        let y = b.node("Transpose", &[&y], back.clone());
        let y = b.relu(&y);
        let y = b.node("Transpose", &[&y], there);
        let y = layer(b, &y, 8, C);
        let y = b.node("Transpose", &[&y], back);
        b.add(x, &y)
    }),
    ("three convolutions without a bias", |b, x| {
        let y = b.conv(x, &conv(C, 4, 1).unbiased());
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, 12, 3).group(2).unbiased());
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(12, C, 1).unbiased());
        b.add(&y, x)
    }),
];
