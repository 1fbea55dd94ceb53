//! Gates, products, broadcast sums, and maps that are weighted and summed.

use super::{Block, C, basic_with};
use crate::common::*;

fn gate(b: &mut Build, y: &str, channels: usize, squash: &str) -> String {
    let g = b.node("GlobalAveragePool", &[y], vec![]);
    let g = b.conv(&g, &conv(channels, 4, 1));
    let g = b.relu(&g);
    let g = b.conv(&g, &conv(4, channels, 1));
    let g = b.node(squash, &[&g], vec![]);
    b.node("Mul", &[y, &g], vec![])
}

/// The mean of `y` as `[N, channels]`, behind a linear layer to `outputs`.
fn pooled(b: &mut Build, y: &str, channels: usize, outputs: usize) -> String {
    let g = b.node("GlobalAveragePool", &[y], vec![]);
    let g = b.node("Flatten", &[&g], vec![]);
    let (w, c) = (b.random(&[outputs, channels], 1.0), b.random(&[outputs], 0.5));
    b.node("Gemm", &[&g, &w, &c], vec![int("transB", 1)])
}

/// `maps` stacked on an axis of their own, weighted by a softmax over them, and summed.
fn weighted(b: &mut Build, stack: &str, sum: &str, maps: usize, channels: usize) -> String {
    let g = pooled(b, sum, channels, maps * channels);
    let shape = b.ints(&[0, maps as i64, channels as i64, 1, 1]);
    let g = b.node("Reshape", &[&g, &shape], vec![]);
    let g = b.node("Softmax", &[&g], vec![int("axis", 1)]);
    let y = b.node("Mul", &[stack, &g], vec![]);
    let axes = b.ints(&[1]);
    b.node("ReduceSum", &[&y, &axes], vec![int("keepdims", 0)])
}

/// `op` of the branch and a constant of the given shape, the branch first.
fn placed(b: &mut Build, y: &str, op: &str, shape: &[usize]) -> String {
    let n = shape.iter().product();
    let values = (0..n).map(|_| b.rng.unit() * 0.5 + 1.0).collect();
    let c = b.floats(shape, values);
    b.node(op, &[y, &c], vec![])
}

pub(super) const BLOCKS: &[(&str, Block)] = &[
    ("constants that differ between positions", |b, x| {
        basic_with(b, x, |b, y| {
            let y = placed(b, y, "Add", &[1, 8, 8, 8]);
            let y = placed(b, &y, "Mul", &[8, 8, 8]);
            let y = b.relu(&y);
            let y = placed(b, &y, "Div", &[1, 8, 8]);
            placed(b, &y, "Sub", &[8])
        })
    }),
    ("a constant of one row before everything", |b, x| {
        let row = b.random(&[1, 1, 8], 1.0);
        let y = b.node("Mul", &[&row, x], vec![]);
        let y = b.conv(&y, &conv(C, C, 3));
        b.add(&y, x)
    }),
    ("a constant of a position's own behind everything", |b, x| {
        let y = b.conv(x, &conv(C, C, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(C, C, 3));
        let y = placed(b, &y, "Add", &[C, 8, 1]);
        b.add(&y, x)
    }),
    ("squeeze and excite between", |b, x| {
        basic_with(b, x, |b, y| {
            let y = b.relu(y);
            gate(b, &y, 8, "Sigmoid")
        })
    }),
    ("squeeze and excite behind", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        let y = gate(b, &y, C, "HardSigmoid");
        b.add(&y, x)
    }),
    ("product of two branches", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let p = b.conv(&y, &conv(8, 8, 1));
        let q = b.conv(&y, &conv(8, 8, 1));
        let q = b.relu(&q);
        let y = b.node("Mul", &[&p, &q], vec![]);
        let y = b.conv(&y, &conv(8, C, 3));
        b.add(&y, x)
    }),
    ("product of two halves", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let halves = b.split(&y, &[4, 4]);
        let y = b.node("Mul", &[&halves[0], &halves[1]], vec![]);
        let y = b.conv(&y, &conv(4, C, 1));
        b.add(&y, x)
    }),
    ("broadcast sum", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let g = b.node("GlobalAveragePool", &[&y], vec![]);
        let g = b.conv(&g, &conv(8, 8, 1));
        let y = b.add(&y, &g);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        b.add(&y, x)
    }),
    ("squeeze and excite by linear layers", |b, x| {
        basic_with(b, x, |b, y| {
            let g = pooled(b, y, 8, 4);
            let g = b.relu(&g);
            let w = b.random(&[4, 8], 1.0);
            let g = b.node("MatMul", &[&g, &w], vec![]);
            let g = b.node("Sigmoid", &[&g], vec![]);
            let shape = b.ints(&[0, 8, 1, 1]);
            let g = b.node("Reshape", &[&g, &shape], vec![]);
            b.node("Mul", &[&g, y], vec![])
        })
    }),
    ("squeeze and excite by a mean", |b, x| {
        basic_with(b, x, |b, y| {
            let y = b.node("HardSwish", &[y], vec![]);
            let g = b.node("ReduceMean", &[&y], vec![ints("axes", &[2, 3]), int("keepdims", 1)]);
            let g = b.conv(&g, &conv(8, 8, 1));
            let g = b.node("HardSigmoid", &[&g], vec![]);
            b.node("Mul", &[&y, &g], vec![])
        })
    }),
    ("squeeze and excite in an inverted residual", |b, x| {
        let y = b.conv(x, &conv(C, 12, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(12, 12, 3).group(12));
        let y = b.relu(&y);
        let y = gate(b, &y, 12, "Sigmoid");
        let y = b.conv(&y, &conv(12, C, 1));
        b.add(&y, x)
    }),
    ("gate that scales and shifts", |b, x| {
        basic_with(b, x, |b, y| {
            let g = b.node("GlobalAveragePool", &[y], vec![]);
            let g = b.conv(&g, &conv(8, 16, 1));
            let parts = b.split(&g, &[8, 8]);
            let g = b.node("Sigmoid", &[&parts[0]], vec![]);
            let y = b.node("Mul", &[y, &g], vec![]);
            b.node("Add", &[&y, &parts[1]], vec![])
        })
    }),
    ("efficient channel attention", |b, x| {
        basic_with(b, x, |b, y| {
            let g = b.node("GlobalAveragePool", &[y], vec![]);
            let shape = b.ints(&[0, 1, 8]);
            let g = b.node("Reshape", &[&g, &shape], vec![]);
            let g = b.conv(&g, &conv(1, 1, 3).axes(1));
            let g = b.node("Sigmoid", &[&g], vec![]);
            let shape = b.ints(&[0, 8, 1, 1]);
            let g = b.node("Reshape", &[&g, &shape], vec![]);
            b.node("Mul", &[y, &g], vec![])
        })
    }),
    ("global context", |b, x| {
        basic_with(b, x, |b, y| {
            let k = b.conv(y, &conv(8, 1, 1));
            let (flat, column) = (b.ints(&[0, 1, 64]), b.ints(&[0, 64, 1]));
            let k = b.node("Reshape", &[&k, &flat], vec![]);
            let k = b.node("Softmax", &[&k], vec![int("axis", 2)]);
            let k = b.node("Reshape", &[&k, &column], vec![]);
            let flat = b.ints(&[0, 8, 64]);
            let v = b.node("Reshape", &[y, &flat], vec![]);
            let g = b.node("MatMul", &[&v, &k], vec![]);
            let shape = b.ints(&[0, 8, 1, 1]);
            let g = b.node("Reshape", &[&g, &shape], vec![]);
            let g = b.conv(&g, &conv(8, 8, 1));
            b.add(y, &g)
        })
    }),
    ("gate of one channel", |b, x| {
        basic_with(b, x, |b, y| {
            let g = b.conv(y, &conv(8, 1, 1));
            let g = b.node("Sigmoid", &[&g], vec![]);
            b.node("Mul", &[y, &g], vec![])
        })
    }),
    ("gate of the mean and the largest channel", |b, x| {
        // CBAM: behind the last convolution, and a gate of another range.
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        let mean = b.node("ReduceMean", &[&y], vec![ints("axes", &[1]), int("keepdims", 1)]);
        let largest = b.node("ReduceMax", &[&y], vec![ints("axes", &[-3])]);
        let g = b.concat(&[&mean, &largest]);
        let g = b.conv(&g, &conv(2, 1, 7).unbiased());
        let g = b.node("Exp", &[&g], vec![]);
        let y = b.node("Mul", &[&g, &y], vec![]);
        b.add(&y, x)
    }),
    ("gate of one channel beside a dearer branch", |b, x| {
        // The way through the gate has fewer weights, and is none.
        let z = b.conv(x, &conv(C, 8, 1));
        let z = b.relu(&z);
        let g = b.conv(&z, &conv(8, 1, 1));
        let y = b.conv(&z, &conv(8, 8, 3));
        let y = b.node("Mul", &[&g, &y], vec![]);
        let y = b.conv(&y, &conv(8, C, 1));
        b.add(&y, x)
    }),
    ("one channel added to all", |b, x| {
        basic_with(b, x, |b, y| {
            let s = b.conv(y, &conv(8, 1, 3));
            let s = b.node("Tanh", &[&s], vec![]);
            b.add(&s, y)
        })
    }),
    ("gate of every pixel", |b, x| {
        basic_with(b, x, |b, y| {
            let g = b.conv(y, &conv(8, 8, 3).group(8));
            let g = b.node("Sigmoid", &[&g], vec![]);
            b.node("Mul", &[&g, y], vec![])
        })
    }),
    ("selective kernel", |b, x| {
        let y = b.conv(x, &conv(C, 8, 1));
        let y = b.relu(&y);
        let p = b.conv(&y, &conv(8, 8, 3));
        let p = b.relu(&p);
        let q = b.conv(&y, &conv(8, 8, 3).dilation(2));
        let q = b.relu(&q);
        let axes = b.ints(&[1]);
        let (u, v) = (b.node("Unsqueeze", &[&p, &axes], vec![]), b.node("Unsqueeze", &[&q, &axes], vec![]));
        let stack = b.concat(&[&u, &v]);
        let y = weighted(b, &stack, &p, 2, 8);
        let y = b.conv(&y, &conv(8, C, 1));
        b.add(&y, x)
    }),
    ("split attention", |b, x| {
        let y = b.conv(x, &conv(C, 8, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 16, 3).group(2));
        let y = b.relu(&y);
        let shape = b.ints(&[0, 2, 8, 8, 8]);
        let stack = b.node("Reshape", &[&y, &shape], vec![]);
        let axes = b.ints(&[1]);
        let sum = b.node("ReduceSum", &[&stack, &axes], vec![int("keepdims", 0)]);
        let y = weighted(b, &stack, &sum, 2, 8);
        let y = b.conv(&y, &conv(8, C, 1));
        b.add(&y, x)
    }),
];
