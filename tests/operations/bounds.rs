//! Where the carried values lie decides whether an activation lets them through as it is: every way to come by a bound,
//! in front of activations that are the identity above or below it.

use onnx_rm::options::ActivationForm;

use crate::common::*;
use crate::operations::blocks::C;
use crate::operations::{assert_none, complaint, options};

type Part = fn(&mut Build, &str) -> String;

/// What the fork may be.
const FORKS: &[(&str, Part)] = &[
    ("relu", |b, x| b.relu(x)),
    ("relu6", |b, x| {
        let (lo, hi) = (b.scalar(0.0), b.scalar(6.0));
        b.node("Clip", &[x, &lo, &hi], vec![])
    }),
    ("leaky relu", |b, x| b.node("LeakyRelu", &[x], vec![float("alpha", 0.01)])),
    ("leaky relu that turns around", |b, x| b.node("LeakyRelu", &[x], vec![float("alpha", -1.0)])),
    ("hard swish", |b, x| b.node("HardSwish", &[x], vec![])),
    ("gelu", |b, x| b.node("Gelu", &[x], vec![])),
    ("mish", |b, x| b.node("Mish", &[x], vec![])),
    ("swish", |b, x| b.node("Swish", &[x], vec![])),
    ("swish that is flat", |b, x| b.node("Swish", &[x], vec![float("alpha", 0.25)])),
    ("swish that turns around", |b, x| b.node("Swish", &[x], vec![float("alpha", -1.0)])),
    ("sigmoid", |b, x| b.node("Sigmoid", &[x], vec![])),
    ("tanh", |b, x| b.node("Tanh", &[x], vec![])),
    ("softplus", |b, x| b.node("Softplus", &[x], vec![])),
    ("a square", |b, x| b.node("Mul", &[x, x], vec![])),
    ("a negated relu", |b, x| {
        let y = b.relu(x);
        b.node("Neg", &[&y], vec![])
    }),
    ("a difference of two relus", |b, x| {
        let (p, q) = (b.relu(x), b.node("Abs", &[x], vec![]));
        b.node("Sub", &[&p, &q], vec![])
    }),
    ("a sum of relus", |b, x| {
        let (p, q) = (b.relu(x), b.node("Abs", &[x], vec![]));
        b.node("Sum", &[&p, &q, &p], vec![])
    }),
    ("a relu scaled by both signs", |b, x| {
        let y = b.relu(x);
        let k = b.random(&[C, 1, 1], 1.0);
        b.node("Mul", &[&y, &k], vec![])
    }),
    ("relu and not, side by side", |b, x| {
        let y = b.relu(x);
        let (p, q) = (b.slice(&y, 0, 4), b.slice(x, 4, 6));
        b.concat(&[&p, &q])
    }),
    ("a relu in a border below zero", |b, x| {
        let y = b.relu(x);
        let (pads, fill) = (b.ints(&[0, 0, 1, 1, 0, 0, 0, 0]), b.scalar(-1.0));
        b.node("Pad", &[&y, &pads, &fill], vec![])
    }),
    ("a mean of relus", |b, x| {
        let y = b.relu(x);
        b.node("AveragePool", &[&y], vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1; 4])])
    }),
    ("a batch norm far above zero", |b, x| {
        let y = b.node("Tanh", &[x], vec![]);
        let y = b.batch_norm(&y, C);
        let shift = b.scalar(5.0);
        b.node("Add", &[&y, &shift], vec![])
    }),
    ("a batch norm of a relu", |b, x| {
        let y = b.relu(x);
        b.batch_norm(&y, C)
    }),
    ("an enlarged map", |b, x| {
        let y = b.relu(x);
        let scales = b.floats(&[4], vec![1.0, 1.0, 2.0, 2.0]);
        b.node("Resize", &[&y, "", &scales], vec![string("mode", "cubic")])
    }),
    ("the smaller of two", |b, x| {
        let y = b.relu(x);
        b.node("Min", &[&y, x], vec![])
    }),
];

/// What stands on the branch: the identity above, below or between bounds.
const BRANCHES: &[(&str, Part)] = &[
    ("relu", |b, x| b.relu(x)),
    ("a low floor", |b, x| {
        let lo = b.scalar(-0.38);
        b.node("Max", &[x, &lo], vec![])
    }),
    ("between", |b, x| {
        let (lo, hi) = (b.scalar(-1.0), b.scalar(1.0));
        b.node("Clip", &[x, &lo, &hi], vec![])
    }),
    ("a ceiling at zero", |b, x| {
        let hi = b.scalar(0.0);
        b.node("Min", &[x, &hi], vec![])
    }),
    ("leaky relu", |b, x| b.node("LeakyRelu", &[x], vec![])),
];

#[test]
fn a_bound_is_no_tighter_than_the_values() {
    let mut complaints = Vec::new();
    for (fork, write_fork) in FORKS {
        for (branch, between) in BRANCHES {
            let mut b = Build::new(67);
            b.opset = 24;
            let x = b.input("x", &[1, C as i64, 6, 6]);
            let x = b.conv(&x, &conv(C, C, 3));
            let x = write_fork(&mut b, &x);
            let y = b.conv(&x, &conv(C, 8, 3));
            let y = between(&mut b, &y);
            let y = b.conv(&y, &conv(8, C, 3));
            let y = b.add(&y, &x);
            b.output(&y);
            let model = b.model();
            let expected = Expected::of(&model);
            for activation in [ActivationForm::Auto, ActivationForm::Minmax] {
                let options = options().activation(activation);
                complaints.extend(complaint(&format!("{branch} beside {fork}"), &model, &expected, &options));
            }
        }
    }
    assert_none(complaints);
}

/// A fork behind a `BatchNormalization` whose shift lifts it far above zero, as `opset` reads it.
fn lifted(opset: i64) -> onnx_rm::onnx::ModelProto {
    let mut b = Build::new(7);
    b.opset = opset;
    let x = b.input("x", &[2, C as i64, 6, 6]);
    let x = b.node("Sigmoid", &[&x], vec![]);
    let (gamma, beta) = (b.floats(&[C], vec![1.0; C]), b.floats(&[C], vec![0.5; C]));
    let (mean, var) = (b.floats(&[C], vec![0.0; C]), b.floats(&[C], vec![1.0; C]));
    let x = b.node("BatchNormalization", &[&x, &gamma, &beta, &mean, &var], vec![]);
    let y = b.conv(&x, &conv(C, 8, 3));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(8, C, 3));
    let y = b.add(&y, &x);
    b.output(&y);
    b.model()
}

#[test]
fn statistics_of_the_batch_bound_nothing() {
    // From opset 7 the running statistics count, which lift the fork above zero: the Relu stays.
    let model = lifted(7);
    let (after, outcome) = rewrite(&model, &options());
    let forms: Vec<&str> = outcome.removed().filter(|(s, _)| s.is_residual()).map(|(_, c)| c.form.as_str()).collect();
    assert_eq!(forms, ["identity, operators unchanged"]);
    assert!(distance(&model, &after) < ROUNDING);
    // Before, those of the batch did, and half of the fork is negative.
    let model = lifted(6);
    let (after, outcome) = rewrite(&model, &options());
    assert_eq!(outcome.removed().count(), 0, "a signed value cannot pass a Relu in opset 6");
    assert_eq!(model, after);
}
