//! Blocks that must stay as they are, by what stands in the way.

use crate::common::*;
use crate::operations::blocks::channels::gather;
use crate::operations::blocks::rows::{layer, mlp, tokens};
use crate::operations::blocks::{Block, C, basic_with};

/// What it is, the code of the refusal, the operator that it blames, and the block.
pub type Case = (&'static str, &'static str, &'static str, Block);

pub const ON_THE_BRANCH: &[Case] = &[
    ("max pool", "cannot-pass", "MaxPool", |b, x| {
        basic_with(b, x, |b, y| {
            b.node("MaxPool", &[y], vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1, 1, 1, 1])])
        })
    }),
    ("a softmax over channels", "cannot-pass", "Softmax", |b, x| {
        basic_with(b, x, |b, y| b.node("Softmax", &[y], vec![int("axis", 1)]))
    }),
    ("a pool that leaves out its padding", "cannot-pass", "AveragePool", |b, x| {
        basic_with(b, x, |b, y| {
            b.node("AveragePool", &[y], vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1, 1, 1, 1])])
        })
    }),
    ("a choice by the largest of all", "cannot-pass", "Where", |b, x| {
        basic_with(b, x, |b, y| {
            let most = b.node("ReduceMax", &[y], vec![int("keepdims", 1)]);
            let below = b.node("Less", &[y, &most], vec![]);
            let e = b.node("Exp", &[y], vec![]);
            b.node("Where", &[&below, &e, y], vec![])
        })
    }),
    ("a choice by numbers drawn", "cannot-pass", "Where", |b, x| {
        basic_with(b, x, |b, y| {
            let (ratio, training) = (b.scalar(0.5), b.bools(&[], &[1]));
            let drawn = b.node("Dropout", &[y, &ratio, &training], vec![]);
            let above = b.node("Less", &[&drawn, y], vec![]);
            b.node("Where", &[&above, &drawn, y], vec![])
        })
    }),
    ("a global mean", "cannot-pass", "GlobalAveragePool", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.node("GlobalAveragePool", &[&y], vec![]);
        let y = b.conv(&y, &conv(8, C, 1));
        b.add(&y, x)
    }),
    ("a larger map in between", "cannot-pass", "Resize", |b, x| {
        basic_with(b, x, |b, y| {
            let scales = b.floats(&[4], vec![1.0, 1.0, 2.0, 2.0]);
            let y = b.node("Resize", &[y, "", &scales], vec![]);
            b.conv(&y, &conv(8, 8, 3).stride(2))
        })
    }),
    ("batch norm in training mode", "cannot-pass", "BatchNormalization", |b, x| {
        basic_with(b, x, |b, y| {
            let y = b.batch_norm(y, 8);
            b.graph.node.last_mut().unwrap().attribute.push(int("training_mode", 1));
            y
        })
    }),
    ("a weight that is computed", "weight-not-constant", "Concat", |b, x| {
        let y = b.conv(x, &conv(C, C, 3));
        let first = b.split(x, &[1, 5]);
        let mean = b.node("ReduceMean", &[&first[0]], vec![ints("axes", &[0, 1, 2, 3]), int("keepdims", 1)]);
        let row = b.node("Concat", &[mean.as_str(); C], vec![int("axis", 1)]);
        let w = b.node("Concat", &[row.as_str(); C], vec![int("axis", 0)]);
        let y = b.conv_with(&[&y, &w], &conv(C, C, 1));
        b.add(&y, x)
    }),
    ("a constant of a position's own less the branch", "cannot-pass", "Sub", |b, x| {
        basic_with(b, x, |b, y| {
            let c = b.random(&[8, 8, 8], 1.0);
            b.node("Sub", &[&c, y], vec![])
        })
    }),
    ("a constant for each of two images", "cannot-pass", "Mul", |b, x| {
        basic_with(b, x, |b, y| {
            let c = b.random(&[2, 1, 8, 8], 1.0);
            b.node("Mul", &[y, &c], vec![])
        })
    }),
    ("a crop of what was there", "cannot-pass", "Slice", |b, x| {
        basic_with(b, x, |b, y| {
            let y = b.relu(y);
            let y = b.conv(&y, &conv(8, 8, 1));
            let (start, end, axis) = (b.ints(&[1]), b.ints(&[i64::MAX]), b.ints(&[2]));
            let y = b.node("Slice", &[&y, &start, &end, &axis], vec![]);
            b.conv(&y, &conv(8, 8, 1).pads(&[1, 0, 0, 0]))
        })
    }),
    ("borders behind the last convolution", "cannot-pass", "Add", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3).pad(0));
        let pads = b.ints(&[0, 0, 1, 1, 0, 0, 1, 1]);
        let y = b.node("Pad", &[&y, &pads], vec![]);
        b.add(&y, x)
    }),
    ("a map averaged over its channels", "cannot-pass", "ReduceMean", |b, x| {
        // Spread again by a gate: what is carried would be in the mean.
        basic_with(b, x, |b, y| {
            let mean = b.node("ReduceMean", &[y], vec![ints("axes", &[1])]);
            let g = b.node("GlobalAveragePool", &[y], vec![]);
            b.node("Mul", &[&mean, &g], vec![])
        })
    }),
    ("one map weighted in two ways", "cannot-pass", "Mul", |b, x| {
        // The product has as many maps as there are weights: what it carries would be summed up.
        basic_with(b, x, |b, y| {
            let axes = b.ints(&[1]);
            let u = b.node("Unsqueeze", &[y, &axes], vec![]);
            let g = b.node("GlobalAveragePool", &[y], vec![]);
            let g = b.conv(&g, &conv(8, 24, 1));
            let shape = b.ints(&[0, 3, 8, 1, 1]);
            let g = b.node("Reshape", &[&g, &shape], vec![]);
            let y = b.node("Mul", &[&u, &g], vec![]);
            b.node("ReduceSum", &[&y, &axes], vec![int("keepdims", 0)])
        })
    }),
    ("maps that are told apart by a slope", "cannot-pass", "PRelu", |b, x| {
        stacked(b, x, |b, y| {
            let slope = b.random(&[1, 2, 1, 1, 1], 0.5);
            b.node("PRelu", &[y, &slope], vec![])
        })
    }),
    ("maps under a leaky relu", "cannot-pass", "LeakyRelu", |b, x| {
        stacked(b, x, |b, y| b.node("LeakyRelu", &[y], vec![]))
    }),
    ("maps of which one is dropped", "cannot-pass", "Slice", |b, x| {
        // One of the maps, of which there are as many as channels.
        stacked(b, x, |b, y| b.slice(y, 0, 1))
    }),
    ("a maximum of three", "cannot-pass", "Max", |b, x| {
        // The first two alone would be a SiLU.
        basic_with(b, x, |b, y| {
            let (low, lower) = (b.scalar(-0.125), b.scalar(-1e9));
            let t = b.node("Sigmoid", &[y], vec![]);
            let t = b.node("Mul", &[y, &t], vec![]);
            b.node("Max", &[&t, &lower, &low], vec![])
        })
    }),
    ("channels repeated at the border", "cannot-pass", "Pad", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let pads = b.ints(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let y = b.node("Pad", &[&y, &pads], vec![string("mode", "reflect")]);
        let y = b.conv(&y, &conv(10, C, 3));
        b.add(&y, x)
    }),
    ("rows in another order", "cannot-pass", "Gather", |b, x| {
        // As many rows as channels.
        basic_with(b, x, |b, y| gather(b, y, &[7, 6, 5, 4, 3, 2, 1, 0], 2))
    }),
    ("a channel that depends on the data", "cannot-pass", "Gather", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let index = b.node("ReduceMax", &[x], vec![ints("axes", &[0, 2, 3]), int("keepdims", 0)]);
        let index = b.node("ArgMax", &[&index], vec![int("axis", 0), int("keepdims", 1)]);
        let y = b.node("Gather", &[&y, &index], vec![int("axis", 1)]);
        let y = b.conv(&y, &conv(1, C, 1));
        b.add(&y, x)
    }),
    ("x + f(x)", "two-branches", "Add", |b, x| {
        let y = b.node("Tanh", &[x], vec![]);
        b.add(&y, x)
    }),
    ("a convolution that steps while the shortcut does not", "size-unknown", "Add", |b, x| {
        let y = b.conv(x, &conv(C, C, 8).stride(8).pad(0));
        b.add(&y, x)
    }),
    ("a branch that ends with fewer entries", "size-unknown", "Add", |b, x| {
        // `Add` broadcasts the single row.
        let y = b.conv(x, &ConvArgs { kernel: vec![8, 1], ..conv(C, C, 1) });
        b.add(&y, x)
    }),
    ("an entry moved by one", "size-unknown", "Add", |b, x| {
        let y = b.conv(x, &conv(C, 8, 2).pad(0));
        let y = b.relu(&y);
        let y = b.conv(&y, &ConvArgs { pad: 1, ..conv(8, C, 2) });
        b.add(&y, x)
    }),
];

pub const OVER_ROWS: &[Case] = &[
    ("layer norm that gives out its means", "cannot-pass", "LayerNormalization", |b, x| {
        let x = tokens(b, x);
        mlp(b, &x, |b, y| {
            let s = b.random(&[8], 1.0);
            let all = b.nodes("LayerNormalization", &[y, &s], 2, vec![int("axis", -1)]);
            let mean = b.node("Abs", &[&all[1]], vec![]);
            b.output(&mean);
            all[0].clone()
        })
    }),
    ("a softmax over the channels of a token", "cannot-pass", "Softmax", |b, x| {
        let x = tokens(b, x);
        mlp(b, &x, |b, y| b.node("Softmax", &[y], vec![int("axis", -1)]))
    }),
    ("attention", "cannot-pass", "MatMul", |b, x| {
        let x = tokens(b, x);
        mlp(b, &x, |b, y| {
            let t = b.node("Transpose", &[y], vec![ints("perm", &[0, 2, 1])]);
            let a = b.node("MatMul", &[y, &t], vec![]);
            let a = b.node("Softmax", &[&a], vec![int("axis", -1)]);
            b.node("MatMul", &[&a, y], vec![])
        })
    }),
    ("a layer that mixes tokens", "cannot-pass", "MatMul", |b, x| {
        let x = tokens(b, x);
        mlp(b, &x, |b, y| {
            let w = b.random(&[64, 64], 0.2);
            b.node("MatMul", &[&w, y], vec![])
        })
    }),
    ("a batch norm of tokens", "cannot-pass", "BatchNormalization", |b, x| {
        // Its axis 1 is the tokens, not the channels.
        let x = tokens(b, x);
        mlp(b, &x, |b, y| b.batch_norm(y, 64))
    }),
    ("a layer whose weights are computed", "cannot-pass", "MatMul", |b, x| {
        let x = tokens(b, x);
        let y = layer(b, &x, C, 8);
        let y = b.relu(&y);
        let w = b.random(&[8, C], 0.5);
        let one = b.node("ReduceMin", &[&x], vec![int("keepdims", 0)]);
        let w = b.node("Mul", &[&w, &one], vec![]);
        let y = b.node("MatMul", &[&y, &w], vec![]);
        b.add(&y, &x)
    }),
    ("a reshape that parts rows", "cannot-pass", "Reshape", |b, x| {
        let x = tokens(b, x);
        mlp(b, &x, |b, y| {
            let (half, whole) = (b.ints(&[-1, 128, 4]), b.ints(&[-1, 64, 8]));
            let y = b.node("Reshape", &[y, &half], vec![]);
            let y = b.relu(&y);
            b.node("Reshape", &[&y, &whole], vec![])
        })
    }),
    ("rows that broadcast against others", "size-unknown", "Add", |b, x| {
        // `[1, 64, C] + [64, 1, C]`: every token with every token.
        let x = tokens(b, x);
        let x = b.node("ReduceMean", &[&x], vec![ints("axes", &[0])]);
        let y = layer(b, &x, C, 8);
        let y = b.relu(&y);
        let y = layer(b, &y, 8, C);
        let shape = b.ints(&[64, 1, C as i64]);
        let y = b.node("Reshape", &[&y, &shape], vec![]);
        b.add(&y, &x)
    }),
    ("a shortcut with other rows", "size-unknown", "Add", |b, x| {
        let x = tokens(b, x);
        let x = b.node("ReduceMean", &[&x], vec![ints("axes", &[0])]);
        let y = layer(b, &x, C, 8);
        let y = b.relu(&y);
        let y = layer(b, &y, 8, C);
        let shape = b.ints(&[64, 1, C as i64]);
        let s = b.node("Reshape", &[&x, &shape], vec![]);
        b.add(&y, &s)
    }),
];

/// Two convolutions of which the results are stacked, changed by `between`, and summed.
fn stacked(b: &mut Build, x: &str, between: fn(&mut Build, &str) -> String) -> String {
    let y = b.conv(x, &conv(C, 2, 1));
    let (p, q) = (b.conv(&y, &conv(2, 2, 3)), b.conv(&y, &conv(2, 2, 1)));
    let axes = b.ints(&[1]);
    let (u, v) = (b.node("Unsqueeze", &[&p, &axes], vec![]), b.node("Unsqueeze", &[&q, &axes], vec![]));
    let stack = b.concat(&[&u, &v]);
    let y = between(b, &stack);
    let y = b.node("ReduceSum", &[&y, &axes], vec![int("keepdims", 0)]);
    let y = b.conv(&y, &conv(2, C, 1));
    b.add(&y, x)
}

pub const ON_THE_SHORTCUT: &[Case] = &[
    ("max pool", "shortcut-not-linear", "MaxPool", |b, x| {
        let y = b.conv(x, &conv(C, C, 3).stride(2));
        let s = b.node("MaxPool", &[x], vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]);
        b.add(&y, &s)
    }),
    ("places of a maximum", "shortcut-not-linear", "Cast", |b, x| {
        let y = b.conv(x, &conv(C, C, 1));
        let pool = b.nodes("MaxPool", &[x], 2, vec![ints("kernel_shape", &[1, 1])]);
        let s = b.node("Cast", &[&pool[1]], vec![int("to", 1)]);
        b.add(&y, &s)
    }),
    ("average pool that leaves out its padding", "shortcut-not-linear", "AveragePool", |b, x| {
        let y = b.conv(x, &conv(C, C, 3));
        let s = b.node("AveragePool", &[x], vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1, 1, 1, 1])]);
        b.add(&y, &s)
    }),
    ("average pool with an overhang", "shortcut-not-linear", "AveragePool", |b, x| {
        let y = b.conv(x, &conv(C, C, 3).stride(3));
        let pool = vec![ints("kernel_shape", &[3, 3]), ints("strides", &[3, 3]), int("ceil_mode", 1)];
        let s = b.node("AveragePool", &[x], pool);
        b.add(&y, &s)
    }),
    ("channels repeated at the border", "shortcut-not-linear", "Pad", |b, x| {
        let y = b.conv(x, &conv(C, C + 2, 3));
        let pads = b.ints(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let s = b.node("Pad", &[x, &pads], vec![string("mode", "edge")]);
        b.add(&y, &s)
    }),
    ("rows repeated by a tile", "shortcut-not-linear", "Tile", |b, x| {
        let y = b.conv(x, &conv(C, C, 3).pads(&[1, 1, 9, 1]));
        let times = b.ints(&[1, 1, 2, 1]);
        let s = b.node("Tile", &[x, &times], vec![]);
        b.add(&y, &s)
    }),
    ("rows repeated in turn", "cannot-pass", "Expand", |b, x| {
        let y = b.conv(x, &conv(C, C, 3).pads(&[1, 1, 9, 1]));
        let (axes, to, shape) = (b.ints(&[3]), b.ints(&[1, 1, 1, 2, 1]), b.ints(&[0, C as i64, 16, 8]));
        let s = b.node("Unsqueeze", &[x, &axes], vec![]);
        let s = b.node("Expand", &[&s, &to], vec![]);
        let s = b.node("Reshape", &[&s, &shape], vec![]);
        b.add(&y, &s)
    }),
    ("a row expanded", "shortcut-not-linear", "Expand", |b, x| {
        let rows = b.node("ReduceMax", &[x], vec![ints("axes", &[2])]);
        let y = b.conv(&rows, &conv(C, C, 3).pads(&[8, 1, 1, 1]));
        let to = b.ints(&[1, 1, 8, 1]);
        let s = b.node("Expand", &[&rows, &to], vec![]);
        b.add(&y, &s)
    }),
    ("two branches, one less the other", "shortcut-not-linear", "Relu", |b, x| {
        let [p, q] = [0, 1].map(|_| {
            let y = b.conv(x, &conv(C, C, 3));
            b.relu(&y)
        });
        b.node("Sub", &[&p, &q], vec![])
    }),
    ("a tensor less itself", "two-branches", "Sub", |b, x| b.node("Sub", &[x, x], vec![])),
    ("another tensor beside the repeated one", "shortcut-not-linear", "Concat", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 2 * C, 3));
        let t = b.node("Tanh", &[x], vec![]);
        let s = b.concat(&[x, &t]);
        b.add(&y, &s)
    }),
    ("a crop to nothing", "shortcut-not-linear", "Slice", |b, x| {
        // Its end is the least integer there is.
        let y = b.conv(x, &conv(C, C, 3));
        let y = b.relu(&y);
        let (start, end, axis) = (b.ints(&[0]), b.ints(&[i64::MIN]), b.ints(&[2]));
        let s = b.node("Slice", &[x, &start, &end, &axis], vec![]);
        b.add(&y, &s)
    }),
    ("a crop behind a step", "size-unknown", "Add", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).stride(2).pad(0));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 1));
        let (starts, ends, axes) = (b.ints(&[2, 2]), b.ints(&[-3, -3]), b.ints(&[2, 3]));
        let s = b.node("Slice", &[x, &starts, &ends, &axes], vec![]);
        b.add(&y, &s)
    }),
    ("two windows, the first of which drops the border", "shortcut-does-not-fit", "Conv", |b, x| {
        let y = b.conv(x, &conv(C, C, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(C, C, 3));
        let s = b.conv(x, &conv(C, C, 3).pad(0));
        let s = b.conv(&s, &conv(C, C, 3).pad(2));
        b.add(&y, &s)
    }),
    ("wide, beside borders of the branch's own", "shortcut-does-not-fit", "Conv", |b, x| {
        let pads = b.ints(&[0, 0, 1, 1, 0, 0, 1, 1]);
        let y = b.node("Pad", &[x, &pads], vec![string("mode", "reflect")]);
        let y = b.conv(&y, &conv(C, C, 3).pad(0));
        let s = b.conv(x, &conv(C, C, 3));
        b.add(&y, &s)
    }),
    ("wide, beside borders in front of an activation", "shortcut-does-not-fit", "Add", |b, x| {
        let pads = b.ints(&[0, 0, 1, 1, 0, 0, 1, 1]);
        let y = b.node("Pad", &[x, &pads], vec![string("mode", "reflect")]);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(C, C, 3).pad(0));
        let s = b.conv(x, &conv(C, C, 3));
        b.add(&y, &s)
    }),
    ("wide, beside borders in front of a batch norm", "shortcut-does-not-fit", "Add", |b, x| {
        let pads = b.ints(&[0, 0, 1, 1, 0, 0, 1, 1]);
        let y = b.node("Pad", &[x, &pads], vec![string("mode", "edge")]);
        let y = b.batch_norm(&y, C);
        let y = b.conv(&y, &conv(C, C, 3).pad(0));
        let s = b.conv(x, &conv(C, C, 3));
        b.add(&y, &s)
    }),
];
