//! One net for a few activations each.

use onnx_rm::onnx::{AttributeProto, ModelProto};

use super::{Net, fixed, maps, model};
use crate::common::{Build, conv, float, int, string};

pub const NETS: &[Net] = &[
    ("hard", hard),
    ("exponential", exponential),
    ("thresholds", thresholds),
    ("gelu", gelu),
    ("swish", swish),
    ("bounds", bounds),
    ("slopes", slopes),
    ("softmax", softmax),
    ("bent", bent),
    ("norms", norms),
    ("group norm", group_norm),
];

/// Convolutions with these activations between.
fn chain(b: &mut Build, x: &str, acts: Vec<(&str, Vec<AttributeProto>)>) -> String {
    let mut at = b.conv(x, &conv(3, 6, 3));
    for (op, attributes) in acts {
        at = b.node(op, &[&at], attributes);
        at = b.conv(&at, &conv(6, 6, 1));
    }
    at
}

fn of(seed: u64, opset: i64, acts: Vec<(&str, Vec<AttributeProto>)>) -> ModelProto {
    let mut b = Build::new(seed);
    let x = maps(&mut b);
    let y = chain(&mut b, &x, acts);
    model(b, opset, &[&y])
}

fn hard() -> ModelProto {
    of(1, 17, vec![("HardSigmoid", vec![float("alpha", 0.3), float("beta", 0.4)]), ("HardSwish", vec![])])
}

fn exponential() -> ModelProto {
    of(
        2,
        17,
        vec![
            ("Elu", vec![float("alpha", 0.7)]),
            ("Celu", vec![float("alpha", 0.5)]),
            ("Selu", vec![]),
            ("Softplus", vec![]),
        ],
    )
}

fn thresholds() -> ModelProto {
    of(
        3,
        17,
        vec![("ThresholdedRelu", vec![float("alpha", 0.3)]), ("Shrink", vec![float("lambd", 0.3), float("bias", 0.1)])],
    )
}

fn gelu() -> ModelProto {
    of(4, 20, vec![("Gelu", vec![string("approximate", "tanh")]), ("Gelu", vec![]), ("Mish", vec![])])
}

fn swish() -> ModelProto {
    of(5, 24, vec![("Swish", vec![float("alpha", 1.5)]), ("Swish", vec![])])
}

fn bent() -> ModelProto {
    of(6, 17, vec![("Tanh", vec![]), ("Softsign", vec![]), ("Erf", vec![]), ("Sigmoid", vec![]), ("Abs", vec![])])
}

fn bounds() -> ModelProto {
    let mut b = Build::new(7);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 6, 3));
    let (low, high) = (b.scalar(0.0), b.scalar(6.0));
    let y = b.node("Clip", &[&y, &low, &high], vec![]);
    let y = b.conv(&y, &conv(6, 6, 3));
    let (low, high) = (b.scalar(-1.0), b.scalar(1.5));
    let y = b.node("Max", &[&y, &low], vec![]);
    let y = b.node("Min", &[&y, &high], vec![]);
    let y = b.conv(&y, &conv(6, 4, 1));
    model(b, 17, &[&y])
}

fn slopes() -> ModelProto {
    let mut b = Build::new(8);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 6, 3));
    let slope = b.floats(&[6, 1, 1], vec![1.0, 0.0, 0.25, 1.0, 0.0, 0.1]);
    let y = b.node("PRelu", &[&y, &slope], vec![]);
    let y = b.conv(&y, &conv(6, 6, 1));
    let y = b.node("LeakyRelu", &[&y], vec![float("alpha", 0.2)]);
    let y = b.conv(&y, &conv(6, 4, 1));
    model(b, 17, &[&y])
}

fn softmax() -> ModelProto {
    let mut b = Build::new(9);
    let x = fixed(&mut b, 4);
    let y = b.conv(&x, &conv(3, 4, 3));
    let a = b.node("Softmax", &[&y], vec![int("axis", 1)]);
    let c = b.node("LogSoftmax", &[&y], vec![int("axis", 3)]);
    let z = b.add(&a, &c);
    let z = b.node("Softmax", &[&z], vec![]);
    model(b, 17, &[&z, &c])
}

fn norms() -> ModelProto {
    let mut b = Build::new(10);
    let x = maps(&mut b);
    // A bias right in front of it would be normalised away.
    let (scale, bias) = (b.random(&[3], 1.0), b.random(&[3], 0.5));
    let y = b.node("InstanceNormalization", &[&x, &scale, &bias], vec![float("epsilon", 1e-3)]);
    let y = b.conv(&y, &conv(3, 6, 3));
    let y = b.batch_norm(&y, 6);
    let y = b.node("LRN", &[&y], vec![int("size", 3), float("alpha", 0.5)]);
    let y = b.relu(&y);
    let y = b.node("LpNormalization", &[&y], vec![int("axis", 1), int("p", 1)]);
    let y = b.node("Transpose", &[&y], vec![crate::common::ints("perm", &[0, 2, 3, 1])]);
    let (scale, bias) = (b.random(&[6], 1.0), b.random(&[6], 0.5));
    let y = b.node("LayerNormalization", &[&y, &scale, &bias], vec![float("epsilon", 1e-3)]);
    model(b, 17, &[&y])
}

fn group_norm() -> ModelProto {
    let mut b = Build::new(11);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 6, 3));
    let (scale, bias) = (b.random(&[6], 1.0), b.random(&[6], 0.5));
    let y = b.node("GroupNormalization", &[&y, &scale, &bias], vec![int("num_groups", 3), float("epsilon", 1e-3)]);
    let y = b.conv(&y, &conv(6, 4, 1));
    model(b, 21, &[&y])
}
