//! Constants behind the chains of operators that exporters leave.
#![allow(clippy::unwrap_used, missing_docs)]

mod quantised;

use crate::common::*;
use onnx_rm::onnx::{ModelProto, TensorProto, tensor_proto::DataType};
use onnx_rm::options::Options;
use onnx_rm::report::SiteStatus;

/// `F.pad(x, pads)` as the legacy exporter of PyTorch writes it: pads from the last axis to the first, turned around
/// by a table of two columns, a `Slice` with step -1 and a `Transpose`.
fn legacy_pad(b: &mut Build, x: &str, pads: &[i64]) -> String {
    let given = b.ints(pads);
    let count = b.ints(&[8 - pads.len() as i64]);
    let rest = b.node("ConstantOfShape", &[&count], vec![zeros()]);
    let all = b.node("Concat", &[&given, &rest], vec![int("axis", 0)]);
    let table = b.ints(&[-1, 2]);
    let table = b.node("Reshape", &[&all, &table], vec![]);
    let (start, end, axis, step) = (b.ints(&[-1]), b.ints(&[i64::MIN + 1]), b.ints(&[0]), b.ints(&[-1]));
    let turned = b.node("Slice", &[&table, &start, &end, &axis, &step], vec![]);
    let columns = b.node("Transpose", &[&turned], vec![ints("perm", &[1, 0])]);
    let flat = b.ints(&[-1]);
    let flat = b.node("Reshape", &[&columns, &flat], vec![]);
    let pads = b.node("Cast", &[&flat], vec![int("to", 7)]);
    b.node("Pad", &[x, &pads], vec![])
}

fn zeros() -> onnx_rm::onnx::AttributeProto {
    onnx_rm::onnx::AttributeProto {
        name: Some("value".into()),
        r#type: Some(onnx_rm::onnx::attribute_proto::AttributeType::Tensor as i32),
        t: Some(onnx_rm::onnx::TensorProto {
            dims: vec![1],
            data_type: Some(7),
            int64_data: vec![0],
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[test]
fn asymmetric_pads_keep_their_sides() {
    for pads in [[0, 1, 0, 1], [1, 0, 2, 0], [0, 1, 2, 3]] {
        let mut b = Build::new(3);
        let x = b.input("x", &[1, 3, 6, 6]);
        let y = b.conv(&x, &conv(3, 3, 1));
        let y = b.relu(&y);
        let y = legacy_pad(&mut b, &y, &pads);
        let y = b.conv(&y, &conv(3, 4, 2).pad(0));
        b.output(&y);
        let model = b.model();
        let (after, _) = rewrite(&model, &Options::default());
        assert!(distance(&model, &after) < ROUNDING, "{pads:?}");
        let ops: Vec<&str> = after.graph.as_ref().unwrap().node.iter().map(|n| n.op_type()).collect();
        assert_eq!(ops, ["Conv", "Relu", "Conv"], "{pads:?}");
    }
}

/// Writes a weight of a shape.
type Weight = fn(&mut Build, &[usize]) -> String;

/// `y = x + conv(relu(conv(x)))` with weights that `weight` writes.
fn block(opset: i64, weight: Weight) -> ModelProto {
    let mut b = Build::new(5);
    b.opset = opset;
    let x = b.input("x", &[1, 4, 6, 6]);
    let x = b.conv(&x, &conv(4, 4, 1));
    let w = weight(&mut b, &[6, 4, 3, 3]);
    let y = b.conv_with(&[&x, &w], &conv(4, 6, 3));
    let y = b.relu(&y);
    let w = weight(&mut b, &[4, 6, 3, 3]);
    let y = b.conv_with(&[&y, &w], &conv(6, 4, 3));
    let y = b.add(&y, &x);
    b.output(&y);
    b.model()
}

/// A tensor of small integers of type `dtype`.
fn bytes(b: &mut Build, shape: &[usize], dtype: DataType) -> String {
    let name = b.fresh("q");
    let data: Vec<u8> = (0..shape.iter().product()).map(|_| (b.rng.below(200) + 20) as u8).collect();
    b.graph.initializer.push(TensorProto {
        name: Some(name.clone()),
        dims: shape.iter().map(|d| *d as i64).collect(),
        data_type: Some(dtype as i32),
        raw_data: Some(data.into()),
        ..TensorProto::default()
    });
    name
}

/// A tensor of integers of four bits, of type `dtype`.
fn halves(b: &mut Build, shape: &[usize], dtype: DataType) -> String {
    let count: usize = shape.iter().product();
    let name = bytes(b, &[count.div_ceil(2)], dtype);
    b.graph.initializer.last_mut().unwrap().dims = shape.iter().map(|d| *d as i64).collect();
    name
}

fn per_tensor(b: &mut Build, shape: &[usize]) -> String {
    let (w, s, z) = (bytes(b, shape, DataType::Uint8), b.scalar(0.0078125), bytes(b, &[], DataType::Uint8));
    b.node("DequantizeLinear", &[&w, &s, &z], vec![])
}

/// One scale and zero point for each entry along `axis`.
fn per_axis(b: &mut Build, shape: &[usize], axis: i64) -> String {
    let n = shape[axis.rem_euclid(4) as usize];
    let w = bytes(b, shape, DataType::Int8);
    let scales = (0..n).map(|i| 0.004 * (i + 1) as f64).collect();
    let (s, z) = (b.floats(&[n], scales), bytes(b, &[n], DataType::Int8));
    b.node("DequantizeLinear", &[&w, &s, &z], vec![int("axis", axis)])
}

/// `g * v / norm(v)`, the norm of each filter.
fn normed(b: &mut Build, shape: &[usize], norm: fn(&mut Build, &str) -> String) -> String {
    let (v, g) = (b.random(shape, 1.0), b.random(&[shape[0], 1, 1, 1], 1.0));
    let n = norm(b, &v);
    let direction = b.node("Div", &[&v, &n], vec![]);
    b.node("Mul", &[&g, &direction], vec![])
}

fn over(op: &str, b: &mut Build, v: &str) -> String {
    b.node(op, &[v], vec![ints("axes", &[1, 2, -1])])
}

/// A random weight times a number.
fn scaled(b: &mut Build, shape: &[usize], number: fn(&mut Build) -> String) -> String {
    let (w, s) = (b.random(shape, 0.5), number(b));
    b.node("Mul", &[&w, &s], vec![])
}

/// A weight that is cast to one type after the other. Nothing is calculated before: a product is rounded to float32 first, which the
/// reference does not do, and a tie may then go the other way.
fn through(b: &mut Build, shape: &[usize], types: &[i64]) -> String {
    let w = b.random(shape, 0.57);
    let w = if types.contains(&9) { b.node("Relu", &[&w], vec![]) } else { w };
    types.iter().fold(w, |w, to| b.node("Cast", &[&w], vec![int("to", *to)]))
}

/// Name, opset and weight of what is folded.
const FOLDED: &[(&str, i64, Weight)] = &[
    ("norm by ReduceL2", 17, |b, s| normed(b, s, |b, v| over("ReduceL2", b, v))),
    ("norm by ReduceL2 with axes as an input", 18, |b, s| {
        normed(b, s, |b, v| {
            let axes = b.ints(&[1, 2, 3]);
            b.node("ReduceL2", &[v, &axes], vec![])
        })
    }),
    ("norm by ReduceSumSquare", 17, |b, s| {
        normed(b, s, |b, v| {
            let n = over("ReduceSumSquare", b, v);
            b.node("Sqrt", &[&n], vec![])
        })
    }),
    ("norm by Pow and ReduceSum", 13, |b, s| {
        normed(b, s, |b, v| {
            let (two, half, axes) = (b.scalar(2.0), b.scalar(0.5), b.ints(&[1, 2, 3]));
            let n = b.node("Pow", &[v, &two], vec![]);
            let n = b.node("ReduceSum", &[&n, &axes], vec![]);
            b.node("Pow", &[&n, &half], vec![])
        })
    }),
    ("norm by ReduceL1", 17, |b, s| normed(b, s, |b, v| over("ReduceL1", b, v))),
    ("standardised by means", 17, |b, s| {
        let v = b.random(s, 1.0);
        let mean = over("ReduceMean", b, &v);
        let v = b.node("Sub", &[&v, &mean], vec![]);
        let squares = b.node("Mul", &[&v, &v], vec![]);
        let variance = over("ReduceMean", b, &squares);
        let deviation = b.node("Sqrt", &[&variance], vec![]);
        b.node("Div", &[&v, &deviation], vec![])
    }),
    ("the larger of two numbers, as shares of their sum", 17, |b, s| {
        scaled(b, s, |b| {
            let w = b.floats(&[3], vec![0.75, -0.5, 2.0]);
            let w = b.node("Relu", &[&w], vec![]);
            let (sum, eps) = (b.node("ReduceSum", &[&w], vec![int("keepdims", 0)]), b.scalar(1e-4));
            let sum = b.node("Sum", &[&sum, &eps], vec![]);
            let shares = b.node("Div", &[&w, &sum], vec![]);
            b.node("ReduceMax", &[&shares], vec![int("keepdims", 0)])
        })
    }),
    ("softmax", 17, |b, s| {
        scaled(b, s, |b| {
            let w = b.floats(&[2, 2], vec![0.75, -0.5, 2.0, 0.25]);
            let w = b.node("Softmax", &[&w], vec![int("axis", 0)]);
            let i = b.ints(&[3]);
            let flat = b.ints(&[-1]);
            let w = b.node("Reshape", &[&w, &flat], vec![]);
            b.node("Gather", &[&w, &i], vec![])
        })
    }),
    ("softmax of the last axis in an old opset", 11, |b, s| {
        scaled(b, s, |b| {
            let w = b.floats(&[1, 2], vec![0.75, -0.5]);
            let w = b.node("Softmax", &[&w], vec![]);
            let i = b.ints(&[1]);
            let w = b.node("Gather", &[&w, &i], vec![int("axis", 1)]);
            b.node("Log", &[&w], vec![])
        })
    }),
    ("sigmoid, tanh and softplus", 17, |b, s| {
        scaled(b, s, |b| {
            let w = b.scalar(0.4);
            let w = b.node("Sigmoid", &[&w], vec![]);
            let w = b.node("Tanh", &[&w], vec![]);
            b.node("Softplus", &[&w], vec![])
        })
    }),
    ("a 1x1 window in a larger one", 17, |b, s| {
        let (small, pads) = (b.random(&[s[0], s[1], 1, 1], 0.5), b.ints(&[0, 0, 1, 1, 0, 0, 1, 1]));
        let (small, large) = (b.node("Pad", &[&small, &pads], vec![]), b.random(s, 0.3));
        b.node("Add", &[&small, &large], vec![])
    }),
    ("a window out of a larger one", 17, |b, s| {
        let (w, fill) = (b.random(&[s[0], s[1], s[2] + 1, s[3] + 1], 0.5), b.scalar(7.0));
        let pads = b.ints(&[0, 0, -1, 0, 0, 0, 0, -1]);
        b.node("Pad", &[&w, &pads, &fill], vec![])
    }),
    ("a scale a filter by an einsum", 17, |b, s| {
        let (w, g) = (b.random(s, 0.3), b.random(&[s[0]], 1.0));
        b.node("Einsum", &[&w, &g], vec![string("equation", "oihw, o -> oihw")])
    }),
    ("a sum by an einsum without an arrow", 17, |b, s| {
        let (w, m) = (b.random(&[s[1], 3, 3, 4], 0.3), b.random(&[s[0], 4], 1.0));
        // Free letters in the order of the alphabet: a, b, h, w.
        b.node("Einsum", &[&m, &w], vec![string("equation", "ak,bhwk")])
    }),
    ("a product of two matrices", 17, |b, s| {
        let (u, v) = (b.random(&[s[0], 4], 0.5), b.random(&[4, s[1] * 9], 0.5));
        let w = b.node("MatMul", &[&u, &v], vec![]);
        let shape = b.ints(&s.iter().map(|n| *n as i64).collect::<Vec<_>>());
        b.node("Reshape", &[&w, &shape], vec![])
    }),
    ("products of matrices side by side", 17, |b, s| {
        let (u, v) = (b.random(&[s[1], 3, 4], 0.5), b.random(&[s[0], 1, 4, 3], 0.5));
        b.node("MatMul", &[&u, &v], vec![])
    }),
    ("a layer of weights", 17, |b, s| {
        let (u, v, c) = (b.random(&[4, s[0]], 0.5), b.random(&[s[1] * 9, 4], 0.5), b.random(&[1], 0.5));
        let w = b.node("Gemm", &[&u, &v, &c], vec![int("transA", 1), int("transB", 1), float("alpha", 0.5)]);
        let shape = b.ints(&s.iter().map(|n| *n as i64).collect::<Vec<_>>());
        b.node("Reshape", &[&w, &shape], vec![])
    }),
    ("a filter repeated", 17, |b, s| {
        let (w, times) = (b.random(&[s[0], 1, 3, 1], 0.3), b.ints(&[1, s[1] as i64, 1, 3]));
        b.node("Tile", &[&w, &times], vec![])
    }),
    ("weights between two bounds", 17, |b, s| {
        let (w, lo, hi) = (b.random(s, 0.5), b.scalar(-0.2), b.scalar(0.3));
        b.node("Clip", &[&w, &lo, &hi], vec![])
    }),
    ("the second part of a split", 17, |b, s| {
        let w = b.random(&[s[0] + 2, s[1], s[2], s[3]], 0.3);
        let sizes = b.ints(&[2, s[0] as i64]);
        b.nodes("Split", &[&w, &sizes], 2, vec![int("axis", 0)]).remove(1)
    }),
    ("the error function", 17, |b, s| {
        let w = b.random(s, 2.0);
        let w = b.node("Erf", &[&w], vec![]);
        let half = b.scalar(0.5);
        b.node("Mul", &[&w, &half], vec![])
    }),
    ("weights above a threshold", 17, |b, s| {
        let (w, least, none) = (b.random(s, 0.5), b.scalar(0.1), b.scalar(0.0));
        let size = b.node("Abs", &[&w], vec![]);
        let large = b.node("Greater", &[&size, &least], vec![]);
        b.node("Where", &[&large, &w, &none], vec![])
    }),
    ("a cast to float16 and back", 17, |b, s| through(b, s, &[10, 1])),
    ("a cast to bfloat16 and back", 17, |b, s| through(b, s, &[16, 1])),
    ("a cast to a float of one byte and back", 19, |b, s| through(b, s, &[17, 1])),
    ("a cast to booleans", 17, |b, s| through(b, s, &[9, 1])),
    ("a cast to integers that cuts off", 17, |b, s| through(b, s, &[6, 3, 1])),
    ("a cast that wraps", 17, |b, s| {
        let (w, step) = (b.random(s, 1000.0), b.scalar(0.002));
        let w = [6, 3, 1].iter().fold(w, |w, to| b.node("Cast", &[&w], vec![int("to", *to)]));
        b.node("Mul", &[&w, &step], vec![])
    }),
    ("a cast to the type of another", 17, |b, s| {
        let w = b.random(s, 0.3);
        let half = b.scalar(1.0);
        let half = b.node("Cast", &[&half], vec![int("to", 10)]);
        let w = b.node("CastLike", &[&w, &half], vec![]);
        b.node("Cast", &[&w], vec![int("to", 1)])
    }),
    ("one scale, version 10", 10, per_tensor),
    ("one scale, version 13", 13, per_tensor),
    ("one scale, version 19", 19, per_tensor),
    ("one scale, version 21", 21, per_tensor),
    ("one scale in a vector", 13, |b, s| {
        let (w, s) = (bytes(b, s, DataType::Int8), b.floats(&[1], vec![0.01]));
        b.node("DequantizeLinear", &[&w, &s], vec![])
    }),
    ("a scale for each filter", 13, |b, s| per_axis(b, s, 0)),
    ("a scale for each channel, the axis by default", 21, |b, s| {
        let w = per_axis(b, s, 1);
        b.graph.node.last_mut().unwrap().attribute.clear();
        w
    }),
    ("some filters by ScatterND", 17, |b, s| {
        let (w, places, two) = (b.random(s, 0.5), b.ints(&[0, -1]), b.ints(&[2, 1]));
        let places = b.node("Reshape", &[&places, &two], vec![]);
        let new = b.random(&[&[2], &s[1..]].concat(), 0.5);
        b.node("ScatterND", &[&w, &places, &new], vec![])
    }),
    ("filters in another order by GatherND", 17, |b, s| {
        let order: Vec<i64> = (0..s[0] as i64).rev().collect();
        let (w, order, rows) = (b.random(s, 0.5), b.ints(&order), b.ints(&[s[0] as i64, 1]));
        let order = b.node("Reshape", &[&order, &rows], vec![]);
        b.node("GatherND", &[&w, &order], vec![])
    }),
    ("single entries by GatherND", 17, |b, s| {
        let n = s.iter().product::<usize>() as i64;
        let pairs: Vec<i64> = (0..n).flat_map(|i| [i % 3, -1 - i % 5]).collect();
        let (w, pairs, rows) = (b.random(&[3, 5], 0.5), b.ints(&pairs), b.ints(&[n, 2]));
        let pairs = b.node("Reshape", &[&pairs, &rows], vec![]);
        let w = b.node("GatherND", &[&w, &pairs], vec![]);
        let shape = b.ints(&s.iter().map(|d| *d as i64).collect::<Vec<_>>());
        b.node("Reshape", &[&w, &shape], vec![])
    }),
    ("a weight of two numbers by OneHot", 17, |b, s| {
        let n = s.iter().product::<usize>() as i64 / 3;
        let places: Vec<i64> = (0..n).map(|i| i * 7 % 6 - 3).collect();
        let (places, depth, values) = (b.ints(&places), b.ints(&[3]), b.floats(&[2], vec![-0.25, 0.5]));
        let w = b.node("OneHot", &[&places, &depth, &values], vec![int("axis", 0)]);
        let shape = b.ints(&s.iter().map(|d| *d as i64).collect::<Vec<_>>());
        b.node("Reshape", &[&w, &shape], vec![])
    }),
    ("sums from the end by CumSum", 17, |b, s| {
        let (w, axis) = (b.random(s, 0.125), b.ints(&[-1]));
        b.node("CumSum", &[&w, &axis], vec![int("reverse", 1), int("exclusive", 1)])
    }),
    ("a scale for each column", 19, |b, s| per_axis(b, s, -1)),
];

#[test]
fn weights_that_the_graph_computes_are_constants() {
    for (name, opset, weight) in FOLDED {
        let model = block(*opset, *weight);
        let (after, outcome) = rewrite(&model, &Options::default());
        assert_eq!(joins(&outcome), 0, "{name}: {:?}", outcome.sites);
        let apart = distance(&model, &after);
        assert!(apart < ROUNDING, "{name}: {apart}");
    }
}

#[test]
fn what_is_no_constant_or_not_understood_stays() {
    const KEPT: &[(&str, i64, Weight)] = &[
        ("a scale that is data", 13, |b, s| {
            let (w, name) = (bytes(b, s, DataType::Int8), b.fresh("scale"));
            let scale = b.input(&name, &[1]);
            b.node("DequantizeLinear", &[&w, &scale], vec![])
        }),
        ("a zero point that a caller may change", 13, |b, s| {
            let w = per_tensor(b, s);
            let zero = b.graph.initializer.last().unwrap().name().to_owned();
            b.input(&zero, &[]);
            w
        }),
        ("a scale along an axis before there was one", 10, |b, s| per_axis(b, s, 0)),
        ("a scale for each channel of another count", 13, |b, s| {
            let (w, s) = (bytes(b, s, DataType::Int8), b.floats(&[5], vec![0.01; 5]));
            b.node("DequantizeLinear", &[&w, &s], vec![int("axis", 0)])
        }),
        ("blocks", 21, |b, s| {
            let w = bytes(b, s, DataType::Int8);
            let scales = b.random(&[s[0], s[1] / 2, s[2], s[3]], 0.01);
            b.node("DequantizeLinear", &[&w, &scales], vec![int("axis", 1), int("block_size", 2)])
        }),
        ("floats that no integer of their type stands for", 17, |b, s| {
            let w = b.random(s, 1000.0);
            let w = b.node("Cast", &[&w], vec![int("to", 3)]);
            b.node("Cast", &[&w], vec![int("to", 1)])
        }),
        ("two updates of one place", 17, |b, s| {
            let (w, places, two) = (b.random(s, 0.5), b.ints(&[1, 1]), b.ints(&[2, 1]));
            let places = b.node("Reshape", &[&places, &two], vec![]);
            let new = b.random(&[&[2], &s[1..]].concat(), 0.5);
            b.node("ScatterND", &[&w, &places, &new], vec![])
        }),
        ("updates that are added", 17, |b, s| {
            let (w, places, two) = (b.random(s, 0.5), b.ints(&[1, 2]), b.ints(&[2, 1]));
            let places = b.node("Reshape", &[&places, &two], vec![]);
            let new = b.random(&[&[2], &s[1..]].concat(), 0.5);
            b.node("ScatterND", &[&w, &places, &new], vec![string("reduction", "add")])
        }),
        ("integers that overflow", 17, |b, s| {
            let w = bytes(b, s, DataType::Int8);
            let w = b.node("Mul", &[&w, &w], vec![]);
            b.node("Cast", &[&w], vec![int("to", 1)])
        }),
        ("a step on numbers that rounding decides", 17, |b, s| {
            // Whether the exponential of a logarithm is as large as the number is up to the runtime.
            let w = b.random(s, 0.5);
            let one = b.scalar(1.0);
            let w = b.node("Exp", &[&w], vec![]);
            let up = b.node("Ceil", &[&w], vec![]);
            b.node("Sub", &[&up, &one], vec![])
        }),
        ("a threshold on numbers that rounding decides", 17, |b, s| {
            let (w, least, none) = (b.random(s, 0.5), b.scalar(0.1), b.scalar(0.0));
            let size = b.node("Tanh", &[&w], vec![]);
            let large = b.node("Less", &[&least, &size], vec![]);
            b.node("Where", &[&large, &w, &none], vec![])
        }),
        ("no number", 17, |b, s| {
            scaled(b, s, |b| {
                let w = b.scalar(-1.0);
                b.node("Sqrt", &[&w], vec![])
            })
        }),
    ];
    for (name, opset, weight) in KEPT {
        let model = block(*opset, *weight);
        let (after, outcome) = rewrite(&model, &Options::default());
        assert_eq!(model, after, "{name}");
        let codes: Vec<_> = outcome
            .sites
            .iter()
            .filter(|s| s.is_residual())
            .filter_map(|s| match &s.status {
                SiteStatus::Kept(reject) => Some(reject.code.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(codes, ["weight-not-constant"], "{name}");
    }
}

/// What rounds in the model rounds in what is folded of it, after each operator, and a sum of a large and a small number has
/// lost the small one.
#[test]
fn a_chain_in_half_precision_rounds_after_each_operator() {
    let mut b = Build::new(1);
    let [x, large] = [1.0, 2048.0].map(|v| {
        let v = b.scalar(v);
        b.node("Cast", &[&v], vec![int("to", 10)])
    });
    let sum = b.node("Add", &[&large, &x], vec![]);
    let rest = b.node("Sub", &[&sum, &large], vec![]);
    let model = b.model();
    let view = onnx_rm::graph::GraphView::new(&model).unwrap();
    let facts = onnx_rm::facts::Facts::new(&view);
    let rest = facts.constant(view.value(&rest).unwrap()).unwrap();
    assert_eq!((rest.dtype, rest.data.sum()), (DataType::Float16, 0.0));
}

/// Borders of TensorFlow's `same`, computed from the size: `max((ceil(n / 2) - 1) * 2 + 3 - n, 0)`, half of it in front.
#[test]
fn borders_that_are_computed_from_the_size() {
    for size in [7, 8] {
        let mut b = Build::new(5);
        let x = b.input("x", &[1, 4, size, size]);
        let shape = b.node("Shape", &[&x], vec![]);
        let [one, two, three] = [1.0, 2.0, 3.0].map(|v| b.scalar(v));
        let zero = b.scalar(0.0);
        let place = b.ints(&[2]);
        let n = b.node("Gather", &[&shape, &place], vec![]);
        let n = b.node("Cast", &[&n], vec![int("to", 1)]);
        let o = b.node("Div", &[&n, &two], vec![]);
        let o = b.node("Ceil", &[&o], vec![]);
        let o = b.node("Sub", &[&o, &one], vec![]);
        let t = b.node("Mul", &[&o, &two], vec![]);
        let t = b.node("Add", &[&t, &three], vec![]);
        let t = b.node("Sub", &[&t, &n], vec![]);
        let t = b.node("Clip", &[&t, &zero], vec![]);
        let front = b.node("Div", &[&t, &two], vec![]);
        let front = b.node("Floor", &[&front], vec![]);
        let back = b.node("Sub", &[&t, &front], vec![]);
        let [front, back] = [front, back].map(|v| b.node("Cast", &[&v], vec![int("to", 7)]));
        let none = b.ints(&[0, 0]);
        let pads = b.node("Concat", &[&none, &front, &front, &none, &back, &back], vec![int("axis", 0)]);
        let y = b.node("Pad", &[&x, &pads], vec![]);
        let y = b.conv(&y, &conv(4, 4, 3).stride(2).pad(0));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, 4, 3));
        let s = b.conv(&x, &conv(4, 4, 1).stride(2));
        let y = b.add(&y, &s);
        b.output(&y);
        let model = b.model();
        let (after, outcome) = rewrite(&model, &Options::default());
        assert_eq!(joins(&outcome), 0, "{size}: {:?}", outcome.sites);
        assert!(distance(&model, &after) < ROUNDING, "{size}");
    }
}

/// Rank and channels of what nothing is known of are those that the convolution behind it asks for.
#[test]
fn a_tensor_of_no_known_shape_has_the_channels_of_its_reader() {
    let mut b = Build::new(6);
    let x = b.input("x", &[1, 4, 6, 6]);
    let grid = b.input("grid", &[1, 6, 6, 2]);
    let x = b.node("GridSample", &[&x, &grid], vec![]);
    let y = b.conv(&x, &conv(4, 4, 3));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(4, 4, 3));
    let y = b.add(&y, &x);
    b.output(&y);
    let (_, outcome) = rewrite(&b.model(), &Options::default());
    assert_eq!(joins(&outcome), 0, "{:?}", outcome.sites);
}
