//! Joins of data, masks, several outputs, weights that are shared.

use onnx_rm::onnx::ModelProto;
use onnx_rm::onnx::tensor_proto::DataType;

use super::{Net, fixed, maps, model};
use crate::common::{Build, conv, retyped};

pub const NETS: &[Net] = &[
    ("where", chosen),
    ("masked channels", masked),
    ("arithmetic", arithmetic),
    ("two heads", heads),
    ("shared weights", shared),
    ("residual of any size", residual),
    ("residual in float16", half),
    ("residual in double", double),
    ("large values", large),
    ("rounded", rounded),
    ("logic", logic),
];

fn chosen() -> ModelProto {
    let mut b = Build::new(1);
    let x = maps(&mut b);
    let (p, q) = (b.conv(&x, &conv(3, 4, 3)), b.conv(&x, &conv(3, 4, 1)));
    let mask = b.node("Greater", &[&p, &q], vec![]);
    let y = b.node("Where", &[&mask, &p, &q], vec![]);
    let half = b.scalar(0.5);
    let mask = b.node("Less", &[&y, &half], vec![]);
    let z = b.node("Neg", &[&y], vec![]);
    let y = b.node("Where", &[&mask, &y, &z], vec![]);
    model(b, 17, &[&y])
}

fn masked() -> ModelProto {
    let mut b = Build::new(2);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 4, 3));
    let z = b.relu(&y);
    let mask = b.bools(&[4, 1, 1], &[1, 0, 1, 0]);
    let y = b.node("Where", &[&mask, &y, &z], vec![]);
    let y = b.conv(&y, &conv(4, 4, 1));
    model(b, 17, &[&y])
}

fn arithmetic() -> ModelProto {
    let mut b = Build::new(3);
    let x = maps(&mut b);
    let (p, q) = (b.conv(&x, &conv(3, 4, 3)), b.conv(&x, &conv(3, 4, 1)));
    let s = b.node("Sub", &[&p, &q], vec![]);
    let a = b.node("Abs", &[&q], vec![]);
    let one = b.scalar(1.0);
    let a = b.add(&a, &one);
    let d = b.node("Div", &[&s, &a], vec![]);
    let m = b.node("Max", &[&d, &p], vec![]);
    let n = b.node("Min", &[&d, &q], vec![]);
    let y = b.node("Mul", &[&m, &n], vec![]);
    let s = b.node("Sin", &[&y], vec![]);
    let e = b.node("Sqrt", &[&a], vec![]);
    let y = b.node("Sum", &[&s, &e], vec![]);
    model(b, 17, &[&y])
}

fn heads() -> ModelProto {
    let mut b = Build::new(4);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 6, 3));
    let y = b.relu(&y);
    let outputs: Vec<String> = (0..3).map(|_| b.conv(&y, &conv(6, 4, 1))).collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    model(b, 17, &outputs)
}

fn shared() -> ModelProto {
    let mut b = Build::new(5);
    let x = fixed(&mut b, 6);
    let x = b.conv(&x, &conv(3, 4, 3));
    let (w, bias) = (b.random(&[4, 4, 3, 3], 0.3), b.random(&[4], 0.5));
    let mut y = x;
    for _ in 0..3 {
        y = b.conv_with(&[&y, &w, &bias], &conv(4, 4, 3));
        y = b.relu(&y);
    }
    model(b, 17, &[&y])
}

fn block(seed: u64) -> Build {
    let mut b = Build::new(seed);
    let x = maps(&mut b);
    let x = b.conv(&x, &conv(3, 6, 3));
    let x = b.relu(&x);
    let y = b.conv(&x, &conv(6, 6, 3));
    let y = b.batch_norm(&y, 6);
    let (low, high) = (b.scalar(0.0), b.scalar(6.0));
    let y = b.node("Clip", &[&y, &low, &high], vec![]);
    let y = b.conv(&y, &conv(6, 6, 3));
    let y = b.add(&y, &x);
    let y = b.relu(&y);
    b.output(&y);
    b
}

fn residual() -> ModelProto {
    block(6).model()
}

fn half() -> ModelProto {
    retyped(block(7).model(), DataType::Float16)
}

fn double() -> ModelProto {
    retyped(block(8).model(), DataType::Double)
}

fn large() -> ModelProto {
    let mut b = Build::new(9);
    let x = maps(&mut b);
    let k = b.scalar(300.0);
    let x = b.node("Mul", &[&x, &k], vec![]);
    let y = b.conv(&x, &conv(3, 6, 3));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(6, 4, 3));
    let k = b.scalar(300.0);
    let y = b.node("Div", &[&y, &k], vec![]);
    model(b, 17, &[&y])
}

fn rounded() -> ModelProto {
    let mut b = Build::new(10);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 4, 3));
    let (p, q) = (b.node("Floor", &[&y], vec![]), b.node("Ceil", &[&y], vec![]));
    let r = b.node("Round", &[&y], vec![]);
    let y = b.node("Mul", &[&p, &r], vec![]);
    let y = b.add(&y, &q);
    model(b, 17, &[&y])
}

fn logic() -> ModelProto {
    let mut b = Build::new(11);
    let x = maps(&mut b);
    let (p, q) = (b.conv(&x, &conv(3, 4, 3)), b.conv(&x, &conv(3, 4, 1)));
    let zero = b.scalar(0.0);
    // Whole numbers are often equal.
    let p = b.node("Round", &[&p], vec![]);
    let c = b.node("Greater", &[&p, &zero], vec![]);
    let d = b.node("LessOrEqual", &[&q, &zero], vec![]);
    let e = b.node("And", &[&c, &d], vec![]);
    let y = b.node("Where", &[&e, &p, &q], vec![]);
    let y = b.conv(&y, &conv(4, 4, 1));
    model(b, 17, &[&y])
}
