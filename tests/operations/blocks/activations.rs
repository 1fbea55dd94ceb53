//! Activations between two convolutions, as one operator and written out.

use super::{Block, C, basic_with};
use crate::common::*;
use onnx_rm::onnx::tensor_proto::DataType;

pub(super) const BLOCKS: &[(&str, Block)] = &[
    ("leaky relu", |b, x| basic_with(b, x, |b, y| b.node("LeakyRelu", &[y], vec![float("alpha", 0.1)]))),
    ("leaky relu with a steep slope", |b, x| {
        basic_with(b, x, |b, y| b.node("LeakyRelu", &[y], vec![float("alpha", 1.5)]))
    }),
    ("one over one more than it", |b, x| {
        basic_with(b, x, |b, y| {
            let (one, a) = (b.scalar(1.0), b.floats(&[1, 1, 1], vec![0.75]));
            let y = b.node("Exp", &[y], vec![]);
            let y = b.node("Add", &[&y, &one], vec![]);
            b.node("Div", &[&a, &y], vec![])
        })
    }),
    ("a number to its power", |b, x| {
        basic_with(b, x, |b, y| {
            let two = b.scalar(2.0);
            b.node("Pow", &[&two, y], vec![])
        })
    }),
    ("prelu", |b, x| {
        basic_with(b, x, |b, y| {
            let s = b.random(&[8, 1, 1], 0.5);
            b.node("PRelu", &[y, &s], vec![])
        })
    }),
    ("prelu with a leading axis", |b, x| {
        basic_with(b, x, |b, y| {
            let s = b.random(&[1, 8, 1, 1], 0.5);
            b.node("PRelu", &[y, &s], vec![])
        })
    }),
    ("clip on both sides", |b, x| {
        basic_with(b, x, |b, y| {
            let (lo, hi) = (b.scalar(0.0), b.scalar(1.5));
            b.node("Clip", &[y, &lo, &hi], vec![])
        })
    }),
    ("leaky relu written out", |b, x| {
        basic_with(b, x, |b, y| {
            let slope = b.scalar(0.1);
            let scaled = b.node("Mul", &[y, &slope], vec![]);
            b.node("Max", &[y, &scaled], vec![])
        })
    }),
    ("slopes written out", |b, x| {
        basic_with(b, x, |b, y| {
            let slopes = b.floats(&[8, 1, 1], (0..8).map(|i| f64::from(i) / 8.0).collect());
            let scaled = b.node("Mul", &[&slopes, y], vec![]);
            b.node("Max", &[&scaled, y], vec![])
        })
    }),
    ("masks of a channel's own", |b, x| {
        basic_with(b, x, |b, y| {
            let z = b.node("Elu", &[y], vec![]);
            let mask = b.bools(&[8, 1, 1], &[0, 1, 0, 0, 1, 1, 0, 0]);
            let y = b.node("Where", &[&mask, y, &z], vec![]);
            let y = b.conv(&y, &conv(8, 8, 1));
            let slopes = b.random(&[8, 1, 1], 0.5);
            let z = b.node("PRelu", &[&y, &slopes], vec![]);
            b.node("Where", &[&mask, &y, &z], vec![])
        })
    }),
    ("a power", |b, x| {
        basic_with(b, x, |b, y| {
            let two = b.floats(&[1], vec![2.0]);
            b.node("Pow", &[y, &two], vec![])
        })
    }),
    ("sine, negation and sign", |b, x| {
        basic_with(b, x, |b, y| {
            let y = b.node("Sin", &[y], vec![]);
            let y = b.conv(&y, &conv(8, 8, 3));
            let y = b.node("Neg", &[&y], vec![]);
            let y = b.conv(&y, &conv(8, 8, 1));
            b.node("Sign", &[&y], vec![])
        })
    }),
    ("bounds of a channel's own", |b, x| {
        basic_with(b, x, |b, y| {
            let (lo, hi) = (b.random(&[8, 1, 1], 0.5), b.random(&[8, 1, 1], 0.5));
            let y = b.node("Max", &[&lo, y], vec![]);
            b.node("Min", &[&y, &hi], vec![])
        })
    }),
    ("clip below", |b, x| {
        basic_with(b, x, |b, y| {
            let lo = b.floats(&[], vec![-0.5]);
            b.node("Clip", &[y, &lo], vec![])
        })
    }),
    ("clip above", |b, x| {
        basic_with(b, x, |b, y| {
            let hi = b.floats(&[], vec![0.5]);
            b.node("Clip", &[y, "", &hi], vec![])
        })
    }),
    ("max with a scalar", |b, x| {
        basic_with(b, x, |b, y| {
            let lo = b.floats(&[], vec![0.0]);
            b.node("Max", &[y, &lo], vec![])
        })
    }),
    ("min with a scalar", |b, x| {
        basic_with(b, x, |b, y| {
            let hi = b.floats(&[1], vec![0.25]);
            b.node("Min", &[&hi, y], vec![])
        })
    }),
    ("shrink", |b, x| basic_with(b, x, |b, y| b.node("Shrink", &[y], vec![float("bias", 0.25)]))),
    ("arc tangent", |b, x| basic_with(b, x, |b, y| b.node("Atan", &[y], vec![]))),
    ("elu", |b, x| basic_with(b, x, |b, y| b.node("Elu", &[y], vec![]))),
    ("tanh", |b, x| basic_with(b, x, |b, y| b.node("Tanh", &[y], vec![]))),
    ("hard swish", |b, x| basic_with(b, x, |b, y| b.node("HardSwish", &[y], vec![]))),
    ("elu by a choice", |b, x| {
        basic_with(b, x, |b, y| {
            let [zero, one] = [0.0, 1.0].map(|v| b.scalar(v));
            let below = b.node("Less", &[y, &zero], vec![]);
            let e = b.node("Exp", &[y], vec![]);
            let e = b.node("Sub", &[&e, &one], vec![]);
            b.node("Where", &[&below, &e, y], vec![])
        })
    }),
    ("two bounds by a choice", |b, x| {
        basic_with(b, x, |b, y| {
            let [lo, hi] = [-0.5, 0.75].map(|v| b.scalar(v));
            let above = b.node("Greater", &[y, &lo], vec![]);
            let below = b.node("Less", &[y, &hi], vec![]);
            let within = b.node("And", &[&above, &below], vec![]);
            let small = b.node("Mul", &[y, &lo], vec![]);
            b.node("Where", &[&within, y, &small], vec![])
        })
    }),
    ("a step as a number", |b, x| {
        basic_with(b, x, |b, y| {
            let zero = b.scalar(0.0);
            let above = b.node("Greater", &[y, &zero], vec![]);
            let not = b.node("Not", &[&above], vec![]);
            let step = b.node("Cast", &[&not], vec![int("to", DataType::Float as i64)]);
            b.node("Mul", &[&step, y], vec![])
        })
    }),
    // Computed on what is carried, integers would be divided by 0.
    ("a quotient of integers", |b, x| {
        basic_with(b, x, |b, y| {
            let (one, six) = (b.scalar(1.0), b.ints(&[6]));
            let a = b.node("Abs", &[y], vec![]);
            let a = b.node("Add", &[&a, &one], vec![]);
            let a = b.node("Clip", &[&a, &one], vec![]);
            let i = b.node("Cast", &[&a], vec![int("to", DataType::Int64 as i64)]);
            let q = b.node("Div", &[&six, &i], vec![]);
            let q = b.node("Cast", &[&q], vec![int("to", DataType::Float as i64)]);
            b.node("Mul", &[y, &q], vec![])
        })
    }),
    ("silu with a gate in half precision", |b, x| {
        basic_with(b, x, |b, y| {
            let h = b.node("Cast", &[y], vec![int("to", DataType::Float16 as i64)]);
            let s = b.node("Sigmoid", &[&h], vec![]);
            let s = b.node("Cast", &[&s], vec![int("to", DataType::Float as i64)]);
            b.node("Mul", &[y, &s], vec![])
        })
    }),
    ("mish written out", |b, x| {
        basic_with(b, x, |b, y| {
            let s = b.node("Softplus", &[y], vec![]);
            let t = b.node("Tanh", &[&s], vec![]);
            b.node("Mul", &[y, &t], vec![])
        })
    }),
    ("silu written out", |b, x| {
        basic_with(b, x, |b, y| {
            let s = b.node("Sigmoid", &[y], vec![]);
            b.node("Mul", &[y, &s], vec![])
        })
    }),
    ("gelu written out", |b, x| {
        basic_with(b, x, |b, y| {
            let (d, one, half) = (b.floats(&[], vec![1.414]), b.floats(&[], vec![1.0]), b.floats(&[], vec![0.5]));
            let t = b.node("Div", &[y, &d], vec![]);
            let t = b.node("Erf", &[&t], vec![]);
            let t = b.node("Add", &[&t, &one], vec![]);
            let t = b.node("Mul", &[y, &t], vec![]);
            b.node("Mul", &[&t, &half], vec![])
        })
    }),
    ("selu", |b, x| basic_with(b, x, |b, y| b.node("Selu", &[y], vec![]))),
    ("celu", |b, x| basic_with(b, x, |b, y| b.node("Celu", &[y], vec![float("alpha", 0.5)]))),
    ("softplus", |b, x| basic_with(b, x, |b, y| b.node("Softplus", &[y], vec![]))),
    ("softsign", |b, x| basic_with(b, x, |b, y| b.node("Softsign", &[y], vec![]))),
    ("sigmoid", |b, x| basic_with(b, x, |b, y| b.node("Sigmoid", &[y], vec![]))),
    ("thresholded relu", |b, x| basic_with(b, x, |b, y| b.node("ThresholdedRelu", &[y], vec![float("alpha", 0.5)]))),
    ("gelu of opset 20", |b, x| {
        b.opset = 20;
        basic_with(b, x, |b, y| b.node("Gelu", &[y], vec![]))
    }),
    ("gelu of opset 20 by tanh", |b, x| {
        b.opset = 20;
        basic_with(b, x, |b, y| b.node("Gelu", &[y], vec![string("approximate", "tanh")]))
    }),
    ("mish of opset 18", |b, x| {
        b.opset = 18;
        basic_with(b, x, |b, y| b.node("Mish", &[y], vec![]))
    }),
    ("swish of opset 24", |b, x| {
        b.opset = 24;
        basic_with(b, x, |b, y| b.node("Swish", &[y], vec![]))
    }),
    ("swish of opset 24 with a slope", |b, x| {
        b.opset = 24;
        basic_with(b, x, |b, y| b.node("Swish", &[y], vec![float("alpha", 0.25)]))
    }),
    ("quick gelu", |b, x| {
        basic_with(b, x, |b, y| {
            let k = b.scalar(1.702);
            let s = b.node("Mul", &[&k, y], vec![]);
            let s = b.node("Sigmoid", &[&s], vec![]);
            b.node("Mul", &[&s, y], vec![])
        })
    }),
    ("gelu by tanh written out", |b, x| {
        basic_with(b, x, |b, y| {
            let [three, c, k, one, half] = [3.0, 0.044715, 0.797_884_56, 1.0, 0.5].map(|v| b.scalar(v));
            let t = b.node("Pow", &[y, &three], vec![]);
            let t = b.node("Mul", &[&c, &t], vec![]);
            let t = b.node("Add", &[y, &t], vec![]);
            let t = b.node("Mul", &[&t, &k], vec![]);
            let t = b.node("Tanh", &[&t], vec![]);
            let t = b.node("Add", &[&t, &one], vec![]);
            let h = b.node("Mul", &[y, &half], vec![]);
            b.node("Mul", &[&h, &t], vec![])
        })
    }),
    ("hard swish by clip", |b, x| {
        basic_with(b, x, |b, y| {
            let [three, zero, six] = [3.0, 0.0, 6.0].map(|v| b.scalar(v));
            let t = b.node("Add", &[y, &three], vec![]);
            let t = b.node("Clip", &[&t, &zero, &six], vec![]);
            let t = b.node("Mul", &[y, &t], vec![]);
            b.node("Div", &[&t, &six], vec![])
        })
    }),
    ("hard swish by hard sigmoid", |b, x| {
        basic_with(b, x, |b, y| {
            let t = b.node("HardSigmoid", &[y], vec![float("alpha", 1.0 / 6.0)]);
            b.node("Mul", &[y, &t], vec![])
        })
    }),
    ("mish by exp and log", |b, x| {
        basic_with(b, x, |b, y| {
            let one = b.scalar(1.0);
            let t = b.node("Exp", &[y], vec![]);
            let t = b.node("Add", &[&t, &one], vec![]);
            let t = b.node("Log", &[&t], vec![]);
            let t = b.node("Tanh", &[&t], vec![]);
            b.node("Mul", &[y, &t], vec![])
        })
    }),
    ("silu by exp", |b, x| {
        basic_with(b, x, |b, y| {
            let one = b.scalar(1.0);
            let t = b.node("Neg", &[y], vec![]);
            let t = b.node("Exp", &[&t], vec![]);
            let t = b.node("Add", &[&t, &one], vec![]);
            b.node("Div", &[y, &t], vec![])
        })
    }),
    ("leaky relu by max", |b, x| {
        basic_with(b, x, |b, y| {
            let slope = b.scalar(0.125);
            let t = b.node("Mul", &[y, &slope], vec![]);
            b.node("Max", &[y, &t], vec![])
        })
    }),
    ("a function of no name", |b, x| {
        basic_with(b, x, |b, y| {
            let t = b.node("Abs", &[y], vec![]);
            let t = b.node("Neg", &[&t], vec![]);
            let t = b.node("Exp", &[&t], vec![]);
            b.node("Sub", &[&t, y], vec![])
        })
    }),
    ("a function that is infinite at zero", |b, x| {
        let y = b.conv(x, &conv(C, 4, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, 4, 3));
        let t = b.node("Abs", &[&y], vec![]);
        let t = b.node("Log", &[&t], vec![]);
        let y = b.node("Add", &[&y, &t], vec![]);
        let y = b.conv(&y, &conv(4, 4, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, C, 1));
        b.add(&y, x)
    }),
    ("a sigmoid of a logarithm as gate", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.node("Softplus", &[&y], vec![]);
        let t = b.node("Log", &[&y], vec![]);
        let t = b.node("Sigmoid", &[&t], vec![]);
        let y = b.node("Mul", &[&y, &t], vec![]);
        let y = b.conv(&y, &conv(8, C, 3));
        b.add(&y, x)
    }),
    ("two activations", |b, x| {
        basic_with(b, x, |b, y| {
            let s = b.node("Sigmoid", &[y], vec![]);
            let y = b.node("Mul", &[y, &s], vec![]);
            b.node("LeakyRelu", &[&y], vec![float("alpha", 0.5)])
        })
    }),
    ("a swish with a slope a channel", |b, x| {
        basic_with(b, x, |b, y| {
            let slope = b.random(&[8, 1, 1], 1.0);
            let s = b.node("Mul", &[y, &slope], vec![]);
            let s = b.node("Sigmoid", &[&s], vec![]);
            b.node("Mul", &[y, &s], vec![])
        })
    }),
];
