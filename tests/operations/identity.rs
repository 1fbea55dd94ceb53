//! Functions written out: where one is the identity once its gate stands at its bound, and where it only looks like it.

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};
use onnx_rm::onnx::ModelProto;
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::options::ActivationForm;
use onnx_rm::verify::reference::{self, Value};

use crate::common::*;
use crate::operations::blocks::C;
use crate::operations::{assert_none, options};

type Function = fn(&mut Build, &str) -> String;

fn clip(b: &mut Build, x: &str, lo: f64, hi: f64) -> String {
    let (lo, hi) = (b.scalar(lo), b.scalar(hi));
    b.node("Clip", &[x, &lo, &hi], vec![])
}

fn with(b: &mut Build, op: &str, x: &str, constant: f64) -> String {
    let constant = b.scalar(constant);
    b.node(op, &[x, &constant], vec![])
}

fn times(b: &mut Build, x: &str, y: &str) -> String {
    b.node("Mul", &[x, y], vec![])
}

/// The identity, bit for bit, with the gate at its bound.
const GATED: &[(&str, Function)] = &[
    ("silu", |b, x| {
        let g = b.node("Sigmoid", &[x], vec![]);
        times(b, x, &g)
    }),
    ("quick gelu", |b, x| {
        let g = with(b, "Mul", x, 1.702);
        let g = b.node("Sigmoid", &[&g], vec![]);
        times(b, &g, x)
    }),
    ("hard swish by hard sigmoid", |b, x| {
        let g = b.node("HardSigmoid", &[x], vec![float("alpha", 1.0 / 6.0)]);
        times(b, x, &g)
    }),
    ("hard swish, the gate divided first", |b, x| {
        let g = with(b, "Add", x, 3.0);
        let g = clip(b, &g, 0.0, 6.0);
        let g = with(b, "Div", &g, 6.0);
        times(b, x, &g)
    }),
    ("a gate around one", |b, x| {
        let g = clip(b, x, -0.5, 0.5);
        let g = with(b, "Add", &g, 0.5);
        times(b, x, &g)
    }),
];

/// No identity at any value of a gate, or one that rounds, overflows or is no number somewhere.
const OTHERS: &[(&str, Function)] = &[
    ("silu clamped at 1000", |b, x| {
        let (y, g) = (clip(b, x, -1000.0, 1000.0), b.node("Sigmoid", &[x], vec![]));
        times(b, &y, &g)
    }),
    ("silu clamped at 20000", |b, x| {
        let (y, g) = (clip(b, x, -20000.0, 20000.0), b.node("Sigmoid", &[x], vec![]));
        times(b, &y, &g)
    }),
    ("silu without small values", |b, x| {
        let a = b.node("Abs", &[x], vec![]);
        let t = with(b, "Sub", &a, 1e-3);
        let t = b.relu(&t);
        let s = b.node("Sign", &[x], vec![]);
        let y = times(b, &t, &s);
        let g = b.node("Sigmoid", &[x], vec![]);
        times(b, &y, &g)
    }),
    ("a gate that is no number at zero", |b, x| {
        let a = b.node("Abs", &[x], vec![]);
        let g = b.node("Div", &[x, &a], vec![]);
        let g = clip(b, &g, 0.0, 1.0);
        times(b, x, &g)
    }),
    ("a gate that is no number below zero", |b, x| {
        let g = b.node("Sqrt", &[x], vec![]);
        let g = b.node("Sigmoid", &[&g], vec![]);
        times(b, x, &g)
    }),
    ("a gate times nothing", |b, x| {
        let t = b.node("Exp", &[x], vec![]);
        let t = with(b, "Mul", &t, 0.0);
        let g = b.node("Sigmoid", &[&t], vec![]);
        times(b, x, &g)
    }),
    ("hard swish, divided last", |b, x| {
        let g = with(b, "Add", x, 3.0);
        let g = clip(b, &g, 0.0, 6.0);
        let y = times(b, x, &g);
        with(b, "Div", &y, 6.0)
    }),
    ("hard swish by a rounded sixth", |b, x| {
        let g = with(b, "Add", x, 3.0);
        let g = clip(b, &g, 0.0, 6.0);
        let g = with(b, "Mul", &g, 1.0 / 6.0);
        times(b, x, &g)
    }),
    ("gelu", |b, x| {
        let t = with(b, "Div", x, 2_f64.sqrt());
        let t = b.node("Erf", &[&t], vec![]);
        let t = with(b, "Add", &t, 1.0);
        let y = times(b, x, &t);
        with(b, "Mul", &y, 0.5)
    }),
    ("gelu, halved first", |b, x| {
        let t = with(b, "Div", x, 2_f64.sqrt());
        let t = b.node("Erf", &[&t], vec![]);
        let t = with(b, "Add", &t, 1.0);
        let h = with(b, "Mul", x, 0.5);
        times(b, &h, &t)
    }),
    ("mish", |b, x| {
        let t = b.node("Softplus", &[x], vec![]);
        let t = b.node("Tanh", &[&t], vec![]);
        times(b, x, &t)
    }),
];

/// A block with `function` between two unbiased convolutions, the fork being the input itself.
fn block(function: Function) -> ModelProto {
    let mut b = Build::new(3);
    let x = b.input("x", &[1, C as i64, 4, 4]);
    let y = b.conv(&x, &conv(C, 4, 1).unbiased());
    let y = function(&mut b, &y);
    let y = b.conv(&y, &conv(4, C, 1).unbiased());
    let y = b.add(&y, &x);
    b.output(&y);
    b.model()
}

/// The block for an image of which the entries are around `scale`; one is zero throughout, and some in one channel.
fn run(model: &ModelProto, scale: f64) -> Vec<f64> {
    let mut rng = Rng(4);
    let mut values: ArrayD<f64> = ArrayD::from_shape_simple_fn(IxDyn(&[1, C, 4, 4]), || rng.unit() * scale);
    values.slice_mut(ndarray::s![.., .., 0, 0]).fill(0.0);
    values.slice_mut(ndarray::s![.., 0, 1, ..]).fill(0.0);
    let feed = BTreeMap::from([("x".to_owned(), Value::F(values))]);
    let output = model.graph.as_ref().unwrap().output[0].name().to_owned();
    match reference::run(model, &feed).unwrap().get(&output) {
        Some(Value::F(values)) => values.iter().copied().collect(),
        other => panic!("{other:?}"),
    }
}

/// True when both are as good as the same, entry by entry. What is no number in the original has nothing to keep.
fn alike(a: &[f64], b: &[f64]) -> bool {
    let size = a.iter().filter(|v| v.is_finite()).fold(0.0_f64, |m, v| m.max(v.abs()));
    a.iter().zip(b).all(|(a, b)| !a.is_finite() || (a - b).abs() <= 1e-6 * size)
}

#[test]
fn a_function_passes_whatever_the_size_of_its_values() {
    let mut wrong = Vec::new();
    for (name, function) in GATED.iter().chain(OTHERS) {
        let model = block(*function);
        for activation in [ActivationForm::Auto, ActivationForm::Minmax, ActivationForm::Pair, ActivationForm::Select] {
            let (after, outcome) = rewrite(&model, &options().activation(activation));
            if joins(&outcome) > 0 {
                wrong.push(format!("{name}, {activation:?}: it stays"));
            }
            for scale in [1e-30, 1e-3, 1.0, 30.0, 3e3, 1e5, 1e30] {
                if !alike(&run(&model, scale), &run(&after, scale)) {
                    wrong.push(format!("{name}, {activation:?}: differs for values around {scale}"));
                }
            }
        }
    }
    assert_none(wrong);
}

/// The form in which `function` passes in a model of type `dtype`.
fn form(function: Function, dtype: DataType) -> String {
    let (_, outcome) = rewrite(&retyped(block(function), dtype), &options());
    let found = outcome.removed().find(|(site, _)| site.is_residual()).map(|(_, change)| change.form.clone());
    found.unwrap_or_default()
}

#[test]
fn the_gate_is_used_only_where_the_rest_is_exactly_one() {
    let mut wrong = Vec::new();
    for dtype in [DataType::Float, DataType::Float16, DataType::Bfloat16, DataType::Double] {
        for (functions, want) in [(GATED, "gates floored at one"), (OTHERS, "Where per channel")] {
            for (name, function) in functions {
                let found = form(*function, dtype);
                if !found.ends_with(want) {
                    wrong.push(format!("{name}, {}: {found}", dtype.as_str_name()));
                }
            }
        }
    }
    // 2049 is no number of half precision: what is written as a bound there is another one.
    let odd: Function = |b, x| {
        let g = clip(b, x, 0.0, 2049.0);
        let g = with(b, "Div", &g, 2049.0);
        times(b, x, &g)
    };
    assert!(form(odd, DataType::Float).ends_with("gates floored at one"));
    assert_none(wrong);
}
