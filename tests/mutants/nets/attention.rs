//! Products of data, and what ranks it.

use onnx_rm::onnx::ModelProto;

use super::{Net, fixed, input, maps, model};
use crate::common::{Build, conv, float, int, ints};

pub const NETS: &[Net] = &[
    ("attention", attention),
    ("square product", square),
    ("ranked", ranked),
    ("classes", classes),
    ("quantised", quantised),
    ("gemm", gemm),
    ("scattered", scattered),
    ("embedding", embedding),
];

fn attention() -> ModelProto {
    let mut b = Build::new(1);
    let x = input(&mut b, "x", &[-1, -1, 8]);
    let project = |b: &mut Build| {
        let (w, bias) = (b.random(&[8, 8], 0.5), b.random(&[8], 0.5));
        let y = b.node("MatMul", &[&x, &w], vec![]);
        b.add(&y, &bias)
    };
    // A bias of the keys is the same for all of them, and Softmax does not see it.
    let w = b.random(&[8, 8], 0.5);
    let (q, v) = (project(&mut b), project(&mut b));
    let k = b.node("MatMul", &[&x, &w], vec![]);
    let k = b.node("Transpose", &[&k], vec![ints("perm", &[0, 2, 1])]);
    let scores = b.node("MatMul", &[&q, &k], vec![]);
    let root = b.scalar(8_f64.sqrt());
    let scores = b.node("Div", &[&scores, &root], vec![]);
    let weights = b.node("Softmax", &[&scores], vec![int("axis", -1)]);
    let y = b.node("MatMul", &[&weights, &v], vec![]);
    let y = b.add(&y, &x);
    let (scale, bias) = (b.random(&[8], 1.0), b.random(&[8], 0.5));
    let y = b.node("LayerNormalization", &[&y, &scale, &bias], vec![]);
    model(b, 17, &[&y])
}

fn square() -> ModelProto {
    let mut b = Build::new(2);
    let x = fixed(&mut b, 6);
    let (p, q) = (b.conv(&x, &conv(3, 4, 3)), b.conv(&x, &conv(3, 4, 3)));
    let y = b.node("MatMul", &[&p, &q], vec![]);
    let y = b.node("Tanh", &[&y], vec![]);
    model(b, 17, &[&y])
}

fn ranked() -> ModelProto {
    let mut b = Build::new(3);
    let x = fixed(&mut b, 4);
    let y = b.conv(&x, &conv(3, 6, 3));
    let y = b.node("GlobalAveragePool", &[&y], vec![]);
    let y = b.node("Flatten", &[&y], vec![]);
    let k = b.ints(&[3]);
    let top = b.nodes("TopK", &[&y, &k], 2, vec![int("axis", 1)]);
    let (w, bias) = (b.random(&[3, 4], 0.7), b.random(&[4], 0.5));
    let z = b.node("Gemm", &[&top[0], &w, &bias], vec![]);
    model(b, 17, &[&z, &top[0]])
}

fn classes() -> ModelProto {
    let mut b = Build::new(4);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 5, 3));
    // Whole numbers tie.
    let y = b.node("Round", &[&y], vec![]);
    let best = b.node("ArgMax", &[&y], vec![int("axis", 1), int("keepdims", 1)]);
    let cast = b.node("Cast", &[&best], vec![int("to", 1)]);
    let z = b.add(&y, &cast);
    let z = b.conv(&z, &conv(5, 3, 1));
    model(b, 17, &[&z])
}

fn quantised() -> ModelProto {
    let mut b = Build::new(5);
    let x = maps(&mut b);
    let (scale, zero) = (b.scalar(0.05), b.scalar(3.0));
    let quantised = int8(&mut b, &zero, &[], vec![3]);
    let q = b.node("QuantizeLinear", &[&x, &scale, &quantised], vec![]);
    let y = b.node("DequantizeLinear", &[&q, &scale, &quantised], vec![]);
    let values: Vec<i8> = (0..4 * 3 * 9).map(|_| (b.rng.unit() * 100.0) as i8).collect();
    let name = b.fresh("int8");
    let w = int8(&mut b, &name, &[4, 3, 3, 3], values);
    let (scale, zero) = (b.scalar(0.01), b.fresh("zero"));
    let zero = int8(&mut b, &zero, &[], vec![0]);
    let w = b.node("DequantizeLinear", &[&w, &scale, &zero], vec![]);
    let y = b.conv_with(&[&y, &w], &conv(3, 4, 3));
    let y = b.relu(&y);
    model(b, 17, &[&y])
}

fn int8(b: &mut Build, name: &str, shape: &[i64], values: Vec<i8>) -> String {
    b.graph.initializer.retain(|t| t.name() != name);
    b.graph.initializer.push(onnx_rm::onnx::TensorProto {
        name: Some(name.to_owned()),
        dims: shape.to_vec(),
        data_type: Some(3),
        raw_data: Some(values.into_iter().map(|v| v as u8).collect::<Vec<u8>>().into()),
        ..Default::default()
    });
    name.to_owned()
}

fn gemm() -> ModelProto {
    let mut b = Build::new(6);
    let x = input(&mut b, "x", &[-1, 6]);
    let (w, bias) = (b.random(&[6, 6], 0.5), b.random(&[6], 0.5));
    let y = b.node("Gemm", &[&x, &w, &bias], vec![float("alpha", 0.7), float("beta", 1.5)]);
    let y = b.relu(&y);
    let w = b.random(&[6, 6], 0.5);
    let y = b.node("MatMul", &[&y, &w], vec![]);
    let y = b.node("Sigmoid", &[&y], vec![]);
    let (w, bias) = (b.random(&[4, 6], 0.5), b.random(&[4], 0.5));
    let y = b.node("Gemm", &[&y, &w, &bias], vec![int("transB", 1)]);
    model(b, 17, &[&y])
}

fn scattered() -> ModelProto {
    let mut b = Build::new(7);
    let x = input(&mut b, "x", &[2, 6]);
    let updates = b.random(&[2, 6], 1.0);
    let indices = b.ints(&[0, 1]);
    let tensor = b.graph.initializer.iter_mut().find(|t| t.name() == indices).unwrap();
    tensor.dims = vec![2, 1];
    let gathered = b.node("GatherND", &[&x, &indices], vec![]);
    let y = b.node("Mul", &[&gathered, &updates], vec![]);
    let y = b.node("Tanh", &[&y], vec![]);
    model(b, 17, &[&y])
}

fn embedding() -> ModelProto {
    let mut b = Build::new(8);
    let ids = input(&mut b, "ids", &[-1, 4]);
    super::control::integers(&mut b);
    let table = b.random(&[400, 4], 1.0);
    let y = b.node("Gather", &[&table, &ids], vec![]);
    let w = b.random(&[4, 4], 0.7);
    let y = b.node("MatMul", &[&y, &w], vec![]);
    model(b, 17, &[&y])
}
