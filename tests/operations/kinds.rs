//! Element types, opsets and numbers of axes.

use onnx_rm::onnx::ModelProto;
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{ValueInfoProto, type_proto};
use onnx_rm::options::ActivationForm;

use crate::common::*;
use crate::operations::blocks::{C, model_of, named};
use crate::operations::{assert_removed, options};

type Part = fn(&mut Build, &str, usize) -> String;

/// Blocks over any number of axes, each of six entries.
const OVER_AXES: &[(&str, Part)] = &[
    ("conv-relu-conv", |b, x, n| {
        let y = b.conv(x, &conv(C, 4, 3).axes(n));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, C, 3).axes(n));
        b.add(&y, x)
    }),
    ("inverted residual with slopes", |b, x, n| {
        let y = b.conv(x, &conv(C, 12, 1).axes(n));
        let shape: Vec<usize> = [12].into_iter().chain(vec![1; n]).collect();
        let slope = b.random(&shape, 0.5);
        let y = b.node("PRelu", &[&y, &slope], vec![]);
        let y = b.conv(&y, &conv(12, 12, 3).group(12).axes(n));
        let y = b.batch_norm(&y, 12);
        let y = b.node("HardSwish", &[&y], vec![]);
        let y = b.conv(&y, &conv(12, C, 1).axes(n));
        b.add(&y, x)
    }),
    ("gate", |b, x, n| {
        let y = b.conv(x, &conv(C, 8, 3).axes(n));
        let y = b.relu(&y);
        let g = b.node("GlobalAveragePool", &[&y], vec![]);
        let g = b.conv(&g, &conv(8, 8, 1).axes(n));
        let g = b.node("Sigmoid", &[&g], vec![]);
        let y = b.node("Mul", &[&g, &y], vec![]);
        let y = b.conv(&y, &conv(8, C, 3).axes(n));
        b.add(&y, x)
    }),
    ("projection", |b, x, n| {
        let y = b.conv(x, &conv(C, 4, 3).axes(n).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, 8, 3).axes(n));
        let s = b.conv(x, &conv(C, 8, 1).axes(n).stride(2));
        b.add(&y, &s)
    }),
    ("average pool and 1x1", |b, x, n| {
        let y = b.conv(x, &conv(C, 4, 1).axes(n));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, 4, 3).axes(n).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, 8, 1).axes(n));
        let pool = vec![ints("kernel_shape", &vec![2; n]), ints("strides", &vec![2; n])];
        let s = b.node("AveragePool", &[x], pool);
        let s = b.conv(&s, &conv(C, 8, 1).axes(n));
        b.add(&y, &s)
    }),
    ("borders of its own and a dilation", |b, x, n| {
        let pads: Vec<i64> = [0, 0].into_iter().chain(vec![2; n]).collect();
        let pads = b.ints(&[pads.clone(), pads].concat());
        let y = b.node("Pad", &[x, &pads], vec![string("mode", "reflect")]);
        let y = b.conv(&y, &conv(C, 4, 3).axes(n).dilation(2).pad(0));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, C, 3).axes(n));
        b.add(&y, x)
    }),
    ("causal", |b, x, n| {
        let y = b.conv(x, &conv(C, 4, 3).axes(n).pads(&vec![2; 2 * n]));
        let axes: Vec<i64> = (2..n as i64 + 2).collect();
        let (starts, ends, axes) = (b.ints(&vec![0; n]), b.ints(&vec![-2; n]), b.ints(&axes));
        let y = b.node("Slice", &[&y, &starts, &ends, &axes], vec![]);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, C, 1).axes(n));
        b.add(&y, x)
    }),
    ("split and concat", |b, x, n| {
        let y = b.conv(x, &conv(C, 8, 1).axes(n));
        let y = b.relu(&y);
        let p = b.split(&y, &[4, 4]);
        let z = b.conv(&p[0], &conv(4, 4, 3).axes(n));
        let c = b.concat(&[&z, &p[1]]);
        let y = b.conv(&c, &conv(8, C, 1).axes(n));
        b.add(&y, x)
    }),
    ("select", |b, x, n| {
        let y = b.conv(x, &conv(C, 4, 3).axes(n));
        let y = b.node("Elu", &[&y], vec![]);
        let y = b.conv(&y, &conv(4, C, 3).axes(n));
        b.add(&y, x)
    }),
];

#[test]
fn one_and_three_axes_are_like_two() {
    for axes in [1, 2, 3] {
        for (name, block) in OVER_AXES {
            let mut b = Build::new(41);
            let mut shape = vec![1, C as i64];
            shape.extend(vec![6; axes]);
            let x = b.input("x", &shape);
            let y = block(&mut b, &x, axes);
            b.output(&y);
            let model = b.model();
            for activation in [ActivationForm::Auto, ActivationForm::Minmax, ActivationForm::Pair] {
                assert_removed(&format!("{name}, {axes} axes"), &model, &options().activation(activation));
            }
        }
    }
}

/// Element types of all constants that are floats, and of all inputs and outputs.
fn float_types(model: &ModelProto) -> Vec<i32> {
    let graph = model.graph.as_ref().unwrap();
    let floats = [DataType::Float, DataType::Double, DataType::Float16, DataType::Bfloat16].map(|t| t as i32);
    let declared = |v: &ValueInfoProto| match v.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(type_proto::Value::TensorType(t)) => t.elem_type,
        _ => None,
    };
    let constants = graph.initializer.iter().filter_map(|t| t.data_type);
    let infos = graph.input.iter().chain(&graph.output).filter_map(declared);
    let mut found: Vec<i32> = constants.chain(infos).filter(|t| floats.contains(t)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn every_float_type_stays_what_it_is() {
    // The last digit of a weight that is folded; everything else is copied.
    let types = [(DataType::Double, 1e-14), (DataType::Float16, 2e-3), (DataType::Bfloat16, 2e-2)];
    let blocks = [
        "conv-relu-conv",
        "batch norm and scales",
        "clip on both sides",
        "gelu written out",
        "elu",
        "prelu",
        "leaky relu",
        "squeeze and excite between",
        "projection with stride",
        "split and concat",
        "inverted residual",
        "layers normed as rows, sized by a shape",
        "gemm with factors",
    ];
    for (dtype, bar) in types {
        for name in blocks {
            let mut b = model_of(named(name), 53, true);
            // A convolution of bfloat16 needs opset 22. What is read elsewhere is cut out again.
            b.opset = 22;
            let is_map = |op: &str| matches!(op, "Conv" | "Gemm" | "MatMul");
            let conv = b.graph.node.iter().find(|n| is_map(n.op_type()) && n.input[0] != "x");
            let inner = conv.unwrap().output[0].clone();
            let read = b.node("Neg", &[&inner], vec![]);
            b.output(&read);
            let model = retyped(b.model(), dtype);
            for activation in [ActivationForm::Auto, ActivationForm::Minmax, ActivationForm::Pair] {
                let (after, outcome) = rewrite(&model, &options().activation(activation));
                assert_eq!(joins(&outcome), 0, "{name} {dtype:?}: {:?}", outcome.sites);
                assert_eq!(float_types(&after), [dtype as i32], "{name}");
                let d = distance(&model, &after);
                assert!(d < bar, "{name} {dtype:?} {activation:?}: {d}");
            }
        }
    }
}

#[test]
fn a_folded_weight_too_large_for_its_type_stays_unfolded() {
    let mut b = Build::new(59);
    let x = b.input("x", &[1, C as i64, 8, 8]);
    let w = b.floats(&[C, C, 1, 1], (0..C * C).map(|i| (i % 7) as f64 * 100.0).collect());
    let y = b.conv_with(&[&x, &w], &conv(C, C, 1));
    let s = b.floats(&[C, 1, 1], vec![400.0; C]);
    let y = b.node("Mul", &[&y, &s], vec![]);
    let y = b.add(&y, &x);
    b.output(&y);
    let model = retyped(b.model(), DataType::Float16);
    let (after, _) = rewrite(&model, &options());
    let d = distance(&model, &after);
    assert!(d < 2e-3, "{d}");
}

/// A block as an opset writes it, with a tensor that something else reads.
fn of_opset(opset: i64, signed: bool, between: fn(&mut Build, &str) -> String) -> ModelProto {
    let mut b = Build::new(61);
    b.opset = opset;
    let x = b.input("x", &[1, C as i64, 8, 8]);
    let x = b.conv(&x, &conv(C, C, 1));
    let x = if signed { x } else { b.relu(&x) };
    let y = b.conv(&x, &conv(C, 8, 3));
    let read = b.node("Neg", &[&y], vec![]);
    let y = between(&mut b, &y);
    let y = b.conv(&y, &conv(8, C, 3));
    let y = b.add(&y, &x);
    b.output(&y);
    b.output(&read);
    b.model()
}

#[test]
fn every_opset_gets_operators_that_it_has() {
    type Between = fn(&mut Build, &str) -> String;
    let relu6 = |b: &mut Build, y: &str| b.node("Clip", &[y], vec![float("min", 0.0), float("max", 6.0)]);
    let clipped = |b: &mut Build, y: &str| {
        let (lo, hi) = (b.scalar(0.0), b.scalar(6.0));
        b.node("Clip", &[y, &lo, &hi], vec![])
    };
    let silu = |b: &mut Build, y: &str| {
        let s = b.node("Sigmoid", &[y], vec![]);
        b.node("Mul", &[y, &s], vec![])
    };
    let parted = |b: &mut Build, y: &str| {
        let p = b.nodes("Split", &[y], 2, vec![int("axis", 1), ints("split", &[4, 4])]);
        let q = b.conv(&p[0], &conv(4, 4, 3));
        b.concat(&[&q, &p[1]])
    };
    let sliced = |b: &mut Build, y: &str| {
        let part = |b: &mut Build, from, to| {
            let cut = vec![ints("axes", &[1]), ints("starts", &[from]), ints("ends", &[to])];
            b.node("Slice", &[y], cut)
        };
        let (p, q) = (part(b, 0, 3), part(b, 3, 8));
        b.concat(&[&q, &p])
    };
    let padded = |b: &mut Build, y: &str| {
        let y = b.node("Pad", &[y], vec![ints("pads", &[0, 0, 1, 1, 0, 0, 1, 1]), string("mode", "edge")]);
        b.conv(&y, &conv(8, 8, 3).pad(0))
    };
    let relu: Between = |b, y| b.relu(y);
    // First and last opset in which it is written so, first one in which signed channels pass it.
    let cases: [(&str, i64, i64, i64, Between); 9] = [
        ("relu", 6, 22, 7, relu),
        ("clip by attributes", 6, 10, 8, relu6),
        ("clip by inputs", 11, 22, 11, clipped),
        ("silu", 7, 22, 8, silu),
        ("elu", 6, 22, 9, |b, y| b.node("Elu", &[y], vec![])),
        ("batch norm", 7, 22, 7, |b, y| b.batch_norm(y, 8)),
        ("split by an attribute", 2, 12, 2, parted),
        ("slice by attributes", 1, 9, 1, sliced),
        ("pad by attributes", 2, 10, 2, padded),
    ];
    for (name, first, last, passes, between) in cases {
        for opset in [6, 7, 8, 9, 10, 11, 13, 17, 20, 22].into_iter().filter(|o| (first..=last).contains(o)) {
            for signed in [false, true] {
                let model = of_opset(opset, signed, between);
                let (after, outcome) = rewrite(&model, &options());
                let what = format!("{name} in opset {opset}");
                let unsigned = !signed && matches!(name, "relu");
                assert_eq!(joins(&outcome), usize::from(opset < passes && !unsigned), "{what}: {:?}", outcome.sites);
                assert!(distance(&model, &after) < ROUNDING, "{what}");
                assert_valid(&after, &what);
                assert_eq!(rewrite(&after, &options()).0, after, "{what}: a second run");
            }
        }
    }
}

#[test]
fn zeros_that_a_concat_adds_are_channels_of_a_shortcut() {
    for (value, left) in [(0.0, 0), (0.5, 1)] {
        let mut b = Build::new(53);
        let x = b.input("x", &[1, C as i64, 6, 6]);
        let x = b.conv(&x, &conv(C, C, 1));
        let y = b.conv(&x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C + 2, 3));
        let more = b.floats(&[1, 2, 6, 6], vec![value; 72]);
        let s = b.concat(&[&x, &more]);
        let y = b.add(&y, &s);
        b.output(&y);
        let model = b.model();
        let (after, outcome) = rewrite(&model, &options());
        assert_eq!(joins(&outcome), left, "{value}");
        assert!(distance(&model, &after) < ROUNDING);
    }
}
