//! Linear layers over rows of channels: `[N, T, C]`, `[N, C]` and `[N, H, W, C]`.

use super::channels::gather;
use super::{Block, C};
use crate::common::*;

/// The positions of the map as tokens, `[N, 64, C]`.
pub fn tokens(b: &mut Build, x: &str) -> String {
    let shape = b.ints(&[0, C as i64, 64]);
    let y = b.node("Reshape", &[x, &shape], vec![]);
    b.node("Transpose", &[&y], vec![ints("perm", &[0, 2, 1])])
}

/// The same as rows without a batch, `[N * 64, C]`.
fn rows(b: &mut Build, x: &str) -> String {
    let y = tokens(b, x);
    let shape = b.ints(&[-1, C as i64]);
    b.node("Reshape", &[&y, &shape], vec![])
}

/// `x W`, without a bias.
pub fn product(b: &mut Build, x: &str, inputs: usize, outputs: usize) -> String {
    let w = b.random(&[inputs, outputs], 1.5 / (inputs as f64).sqrt());
    b.node("MatMul", &[x, &w], vec![])
}

/// `x W + b` as two nodes.
pub fn layer(b: &mut Build, x: &str, inputs: usize, outputs: usize) -> String {
    let y = product(b, x, inputs, outputs);
    let bias = b.random(&[outputs], 0.5);
    b.add(&bias, &y)
}

/// `x W' + b` as a `Gemm`.
fn gemm(b: &mut Build, x: &str, inputs: usize, outputs: usize) -> String {
    let w = b.random(&[outputs, inputs], 1.5 / (inputs as f64).sqrt());
    let bias = b.random(&[outputs], 0.5);
    b.node("Gemm", &[x, &w, &bias], vec![int("transB", 1)])
}

/// LeViT's layer as the TorchScript exporter writes it: the shape comes from the tensor itself.
fn normed_by_shape(b: &mut Build, x: &str, inputs: usize, outputs: usize) -> String {
    let y = product(b, x, inputs, outputs);
    let z = b.node("Flatten", &[&y], vec![int("axis", 2)]);
    let z = b.batch_norm(&z, outputs);
    let shape = b.node("Shape", &[&y], vec![]);
    b.node("Reshape", &[&z, &shape], vec![])
}

/// The same by constant sizes.
fn normed(b: &mut Build, x: &str, inputs: usize, outputs: usize) -> String {
    let y = product(b, x, inputs, outputs);
    let (flat, back) = (b.ints(&[-1, outputs as i64]), b.ints(&[-1, 64, outputs as i64]));
    let y = b.node("Reshape", &[&y, &flat], vec![int("allowzero", 1)]);
    let y = b.batch_norm(&y, outputs);
    b.node("Reshape", &[&y, &back], vec![int("allowzero", 1)])
}

/// Two layers with something between.
pub fn mlp(b: &mut Build, x: &str, between: fn(&mut Build, &str) -> String) -> String {
    let y = layer(b, x, C, 8);
    let y = between(b, &y);
    let y = layer(b, &y, 8, C);
    b.add(&y, x)
}

fn gelu(b: &mut Build, y: &str) -> String {
    let (root, one, half) = (b.scalar(std::f64::consts::SQRT_2), b.scalar(1.0), b.scalar(0.5));
    let t = b.node("Div", &[y, &root], vec![]);
    let t = b.node("Erf", &[&t], vec![]);
    let t = b.node("Add", &[&t, &one], vec![]);
    let t = b.node("Mul", &[y, &t], vec![]);
    b.node("Mul", &[&t, &half], vec![])
}

pub(super) const BLOCKS: &[(&str, Block)] = &[
    ("tokens through layers", |b, x| {
        let x = tokens(b, x);
        mlp(b, &x, |b, y| b.relu(y))
    }),
    ("layers normed as rows, sized by a shape", |b, x| {
        let x = tokens(b, x);
        let y = normed_by_shape(b, &x, C, 8);
        let y = b.node("HardSwish", &[&y], vec![]);
        let y = normed_by_shape(b, &y, 8, C);
        b.add(&y, &x)
    }),
    ("layers normed as rows, sized by constants", |b, x| {
        let x = tokens(b, x);
        let y = normed(b, &x, C, 8);
        let y = gelu(b, &y);
        let y = normed(b, &y, 8, C);
        b.add(&x, &y)
    }),
    ("rows from end to end", |b, x| {
        let x = tokens(b, x);
        let y = b.node("Flatten", &[&x], vec![int("axis", -1)]);
        let y = gemm(b, &y, C, 8);
        let y = b.relu(&y);
        let y = gemm(b, &y, 8, C);
        let y = b.node("Tanh", &[&y], vec![]);
        let shape = b.node("Shape", &[&x], vec![]);
        let first = b.ints(&[0]);
        let batch = b.node("Gather", &[&shape, &first], vec![int("axis", 0)]);
        let rest = b.ints(&[64, C as i64]);
        let shape = b.node("Concat", &[&batch, &rest], vec![int("axis", 0)]);
        let y = b.node("Reshape", &[&y, &shape], vec![]);
        b.add(&y, &x)
    }),
    ("features of an image", |b, x| {
        let x = rows(b, x);
        let y = gemm(b, &x, C, 8);
        let y = b.node("LeakyRelu", &[&y], vec![]);
        let y = gemm(b, &y, 8, 8);
        let y = b.batch_norm(&y, 8);
        let y = b.node("Elu", &[&y], vec![]);
        let y = gemm(b, &y, 8, C);
        b.add(&y, &x)
    }),
    ("gemm with factors", |b, x| {
        let x = rows(b, x);
        let (w, c) = (b.random(&[C, 8], 0.5), b.random(&[1, 8], 0.5));
        let y = b.node("Gemm", &[&x, &w, &c], vec![float("alpha", 0.5), float("beta", 2.0)]);
        let y = b.relu(&y);
        let (w, c) = (b.random(&[C, 8], 0.5), b.random(&[1], 0.5));
        let y = b.node("Gemm", &[&y, &w, &c], vec![int("transB", 1), float("alpha", -1.5), float("beta", 0.25)]);
        b.add(&y, &x)
    }),
    ("a single layer", |b, x| {
        let x = tokens(b, x);
        let y = layer(b, &x, C, C);
        b.add(&y, &x)
    }),
    ("norm in front of layers", |b, x| {
        let x = rows(b, x);
        let y = b.batch_norm(&x, C);
        let y = b.relu(&y);
        let y = gemm(b, &y, C, 8);
        let y = b.batch_norm(&y, 8);
        let y = b.relu(&y);
        let y = gemm(b, &y, 8, C);
        b.add(&y, &x)
    }),
    ("scale in front of a layer", |b, x| {
        let x = tokens(b, x);
        let (s, t) = (b.random(&[C], 1.0), b.random(&[1, 1, C], 0.5));
        let y = b.node("Mul", &[&x, &s], vec![]);
        let y = b.node("Sub", &[&t, &y], vec![]);
        let y = layer(b, &y, C, 8);
        let slope = b.random(&[8], 0.5);
        let y = b.node("PRelu", &[&y, &slope], vec![]);
        let y = layer(b, &y, 8, C);
        b.add(&y, &x)
    }),
    ("projection of tokens", |b, x| {
        let x = tokens(b, x);
        let y = layer(b, &x, C, 8);
        let y = b.relu(&y);
        let y = layer(b, &y, 8, 10);
        let s = normed_by_shape(b, &x, C, 10);
        b.add(&y, &s)
    }),
    ("gate of tokens", |b, x| {
        let x = tokens(b, x);
        mlp(b, &x, |b, y| {
            let g = b.node("ReduceMean", &[y], vec![ints("axes", &[1])]);
            let g = product(b, &g, 8, 8);
            let g = b.node("Sigmoid", &[&g], vec![]);
            b.node("Mul", &[y, &g], vec![])
        })
    }),
    ("gate of each token", |b, x| {
        let x = tokens(b, x);
        mlp(b, &x, |b, y| {
            let g = layer(b, y, 8, 1);
            let g = b.node("Sigmoid", &[&g], vec![]);
            b.node("Mul", &[y, &g], vec![])
        })
    }),
    ("gated halves of tokens", |b, x| {
        let x = tokens(b, x);
        let y = layer(b, &x, C, 8);
        let sizes = b.ints(&[4, 4]);
        let parts = b.nodes("Split", &[&y, &sizes], 2, vec![int("axis", -1)]);
        let g = b.node("Sigmoid", &[&parts[1]], vec![]);
        let y = b.node("Mul", &[&parts[0], &g], vec![]);
        let y = b.node("Concat", &[&y, &parts[1]], vec![int("axis", 2)]);
        let y = layer(b, &y, 8, C);
        b.add(&y, &x)
    }),
    ("numbered anew and back in front of halves", |b, x| {
        let x = tokens(b, x);
        let (flat, back) = (b.ints(&[-1, C as i64]), b.ints(&[-1, 64, C as i64]));
        let y = b.node("Reshape", &[&x, &flat], vec![]);
        let y = b.node("Reshape", &[&y, &back], vec![]);
        let sizes = b.ints(&[3, 3]);
        let parts = b.nodes("Split", &[&y, &sizes], 2, vec![int("axis", 2)]);
        let z = layer(b, &parts[0], 3, 3);
        let y = b.node("Concat", &[&z, &parts[1]], vec![int("axis", -1)]);
        let y = b.relu(&y);
        let y = layer(b, &y, C, C);
        b.add(&y, &x)
    }),
    ("channels last", |b, x| {
        let x = b.node("Transpose", &[x], vec![ints("perm", &[0, 2, 3, 1])]);
        mlp(b, &x, |b, y| {
            let six = b.scalar(6.0);
            let zero = b.scalar(0.0);
            b.node("Clip", &[y, &zero, &six], vec![])
        })
    }),
    ("layers inside and around", |b, x| {
        let x = tokens(b, x);
        let y = mlp(b, &x, |b, y| b.relu(y));
        let y = mlp(b, &y, |b, y| b.relu(y));
        let y = product(b, &y, C, C);
        b.add(&y, &x)
    }),
    ("features taken twice, and a constant added", |b, x| {
        let x = tokens(b, x);
        mlp(b, &x, |b, y| {
            let y = gather(b, y, &[7, 0, 0, -3, 2, 1], -1);
            let (pads, value) = (b.ints(&[0, 0, 1, 0, 0, 1]), b.scalar(-0.5));
            let y = b.node("Pad", &[&y, &pads, &value], vec![]);
            b.relu(&y)
        })
    }),
];
