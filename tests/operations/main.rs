//! Every operation that can stand on a branch or a shortcut: a block that has it, rewritten, computes the same
//! in float64; and the cases in which nothing may be lost or nothing may be done.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use onnx_rm::onnx::attribute_proto::AttributeType;
use onnx_rm::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto};
use onnx_rm::plan::options::{ActivationForm, Downsample, Options, Target};
use onnx_rm::report::SiteStatus;

/// Writes a block behind the tensor given and returns the join.
type Block = fn(&mut Build, &str) -> String;

const C: usize = 6;

fn basic_with(b: &mut Build, x: &str, between: fn(&mut Build, &str) -> String) -> String {
    let y = b.conv(x, &conv(C, 8, 3));
    let y = between(b, &y);
    let y = b.conv(&y, &conv(8, C, 3));
    b.add(&y, x)
}

fn gate(b: &mut Build, y: &str, channels: usize, squash: &str) -> String {
    let g = b.node("GlobalAveragePool", &[y], vec![]);
    let g = b.conv(&g, &conv(channels, 4, 1));
    let g = b.relu(&g);
    let g = b.conv(&g, &conv(4, channels, 1));
    let g = b.node(squash, &[&g], vec![]);
    b.node("Mul", &[y, &g], vec![])
}

/// Name and block: one for each operator and place.
const BLOCKS: &[(&str, Block)] = &[
    ("conv-relu-conv", |b, x| basic_with(b, x, |b, y| b.relu(y))),
    ("join with the shortcut first", |b, x| {
        let y = b.conv(x, &conv(C, C, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(C, C, 3));
        b.add(x, &y)
    }),
    ("sum of two", |b, x| {
        let y = b.conv(x, &conv(C, C, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(C, C, 3));
        b.node("Sum", &[&y, x], vec![])
    }),
    ("single convolution", |b, x| {
        let y = b.conv(x, &conv(C, C, 3));
        b.add(&y, x)
    }),
    ("convolutions without anything between", |b, x| {
        let y = b.conv(x, &conv(C, 4, 1));
        let y = b.conv(&y, &conv(4, C, 3));
        b.add(&y, x)
    }),
    ("leaky relu", |b, x| basic_with(b, x, |b, y| b.node("LeakyRelu", &[y], vec![float("alpha", 0.1)]))),
    ("leaky relu with a steep slope", |b, x| {
        basic_with(b, x, |b, y| b.node("LeakyRelu", &[y], vec![float("alpha", 1.5)]))
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
            let (lo, hi) = (b.floats(&[], vec![0.0]), b.floats(&[], vec![1.5]));
            b.node("Clip", &[y, &lo, &hi], vec![])
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
    ("elu", |b, x| basic_with(b, x, |b, y| b.node("Elu", &[y], vec![]))),
    ("tanh", |b, x| basic_with(b, x, |b, y| b.node("Tanh", &[y], vec![]))),
    ("hard swish", |b, x| basic_with(b, x, |b, y| b.node("HardSwish", &[y], vec![]))),
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
    ("batch norm and scales", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.batch_norm(&y, 8);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        let y = b.batch_norm(&y, C);
        let s = b.floats(&[], vec![0.25]);
        let y = b.node("Mul", &[&y, &s], vec![]);
        let s = b.random(&[C, 1, 1], 1.0);
        let y = b.node("Add", &[&y, &s], vec![]);
        b.add(&y, x)
    }),
    ("batch norm behind an activation", |b, x| {
        basic_with(b, x, |b, y| {
            let y = b.relu(y);
            b.batch_norm(&y, 8)
        })
    }),
    ("identity and dropout", |b, x| {
        let x2 = b.node("Identity", &[x], vec![]);
        let y = b.conv(&x2, &conv(C, 8, 3));
        let y = b.node("Dropout", &[&y], vec![]);
        let y = b.relu(&y);
        let y = b.node("Identity", &[&y], vec![]);
        let y = b.conv(&y, &conv(8, C, 3));
        let y = b.node("Identity", &[&y], vec![]);
        b.add(&y, x)
    }),
    ("pre-activation", |b, x| {
        let y = b.batch_norm(x, C);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(C, 8, 3));
        let y = b.batch_norm(&y, 8);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        b.add(&y, x)
    }),
    ("activation behind the last convolution", |b, x| {
        let y = b.conv(x, &conv(C, 4, 1));
        let y = b.node("LeakyRelu", &[&y], vec![]);
        let y = b.conv(&y, &conv(4, C, 3));
        let y = b.node("LeakyRelu", &[&y], vec![]);
        b.add(&y, x)
    }),
    ("bottleneck", |b, x| {
        let y = b.conv(x, &conv(C, 3, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(3, 3, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(3, C, 1));
        b.add(&y, x)
    }),
    ("bottleneck with unequal middle", |b, x| {
        let y = b.conv(x, &conv(C, 3, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(3, 12, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(12, C, 1));
        b.add(&y, x)
    }),
    ("grouped bottleneck", |b, x| {
        let y = b.conv(x, &conv(C, 8, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 8, 3).group(4));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 1));
        b.add(&y, x)
    }),
    ("grouped middle with in != out", |b, x| {
        let y = b.conv(x, &conv(C, 8, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 16, 3).group(4));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(16, C, 1));
        b.add(&y, x)
    }),
    ("inverted residual", |b, x| {
        let y = b.conv(x, &conv(C, 18, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(18, 18, 3).group(18));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(18, C, 1));
        b.add(&y, x)
    }),
    ("depthwise first and last", |b, x| {
        let y = b.conv(x, &conv(C, C, 3).group(C));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(C, C, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(C, C, 5).group(C));
        b.add(&y, x)
    }),
    ("grouped first and last", |b, x| {
        let y = b.conv(x, &conv(C, 12, 3).group(3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(12, C, 3).group(2));
        b.add(&y, x)
    }),
    ("dilated", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).dilation(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3).dilation(3));
        b.add(&y, x)
    }),
    ("projection with stride", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 3));
        let s = b.conv(x, &conv(C, 10, 1).stride(2));
        b.add(&y, &s)
    }),
    ("projection with stride in the second convolution", |b, x| {
        let y = b.conv(x, &conv(C, 4, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, 4, 3).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, 10, 1));
        let s = b.conv(x, &conv(C, 10, 1).stride(2));
        let s = b.batch_norm(&s, 10);
        b.add(&y, &s)
    }),
    ("wide projection", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 3));
        let s = b.conv(x, &conv(C, 10, 3).stride(2));
        b.add(&y, &s)
    }),
    ("grouped projection", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 3));
        let s = b.conv(x, &conv(C, 10, 1).group(2));
        b.add(&y, &s)
    }),
    ("option A", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 3));
        let (starts, ends) = (b.ints(&[0, 0]), b.ints(&[i64::MAX, i64::MAX]));
        let (axes, steps) = (b.ints(&[2, 3]), b.ints(&[2, 2]));
        let s = b.node("Slice", &[x, &starts, &ends, &axes, &steps], vec![]);
        let pads = b.ints(&[0, 2, 0, 0, 0, 2, 0, 0]);
        let s = b.node("Pad", &[&s, &pads], vec![]);
        b.add(&y, &s)
    }),
    ("average pool shortcut", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 10, 3));
        let s = b.node(
            "AveragePool",
            &[x],
            vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2]), int("ceil_mode", 1)],
        );
        let s = b.conv(&s, &conv(C, 10, 1));
        b.add(&y, &s)
    }),
    ("channel slice shortcut", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 4, 3));
        let (starts, ends, axes) = (b.ints(&[1]), b.ints(&[5]), b.ints(&[1]));
        let s = b.node("Slice", &[x, &starts, &ends, &axes], vec![]);
        b.add(&y, &s)
    }),
    ("parallel convolutions", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let s = b.conv(x, &conv(C, 8, 1));
        b.add(&s, &y)
    }),
    ("concat that holds the fork", |b, x| {
        let y = b.conv(x, &conv(C, 4, 3));
        let y = b.relu(&y);
        let c = b.node("Concat", &[x, &y], vec![int("axis", 1)]);
        let y = b.conv(&c, &conv(C + 4, C, 3));
        b.add(&y, x)
    }),
    ("split and concat", |b, x| {
        let y = b.conv(x, &conv(C, 8, 1));
        let y = b.relu(&y);
        let parts = b.ints(&[4, 4]);
        let p = b.nodes("Split", &[&y, &parts], 2, vec![int("axis", 1)]);
        let z = b.conv(&p[0], &conv(4, 4, 3));
        let z = b.relu(&z);
        let c = b.node("Concat", &[&z, &p[1]], vec![int("axis", -3)]);
        let y = b.conv(&c, &conv(8, C, 1));
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
    ("broadcast sum", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let g = b.node("GlobalAveragePool", &[&y], vec![]);
        let g = b.conv(&g, &conv(8, 8, 1));
        let y = b.add(&y, &g);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        b.add(&y, x)
    }),
];

fn model_of(block: Block, seed: u64, signed: bool) -> Build {
    let mut b = Build::new(seed);
    let x = b.input("x", &[-1, C as i64, 8, 8]);
    let x = b.conv(&x, &conv(C, C, 1));
    let x = if signed { x } else { b.relu(&x) };
    let y = block(&mut b, &x);
    let y = b.relu(&y);
    b.output(&y);
    b
}

fn options() -> Options {
    Options { long_skips: true, ..Options::default() }
}

/// Joins that the broadcast sum keeps on top: its own gate is no residual join.
fn stays(name: &str) -> usize {
    usize::from(name == "broadcast sum")
}

fn assert_removed(name: &str, model: &ModelProto, options: &Options) {
    let (after, outcome) = rewrite(model, options);
    let kept: Vec<_> = outcome.sites.iter().filter(|s| matches!(s.status, SiteStatus::Kept(_))).collect();
    assert_eq!(joins(&outcome), stays(name), "{name} {options:?}: {kept:?}");
    let d = distance(model, &after);
    assert!(d < ROUNDING, "{name} {options:?}: differs by {d}\n{}", onnx_rm::graph::dump(&after));
}

#[test]
fn every_block_computes_the_same_in_every_form() {
    for (name, block) in BLOCKS {
        for signed in [false, true] {
            let model = model_of(*block, 7, signed).model();
            for activation in
                [ActivationForm::Auto, ActivationForm::Prelu, ActivationForm::Minmax, ActivationForm::Select]
            {
                assert_removed(name, &model, &Options { activation, ..options() });
            }
            assert_removed(name, &model, &Options { target: Target::Onnxruntime, ..options() });
        }
    }
}

#[test]
fn both_recipes_of_a_projection_compute_the_same() {
    for name in
        ["projection with stride", "projection with stride in the second convolution", "grouped projection", "option A"]
    {
        let block = BLOCKS.iter().find(|(n, _)| n == &name).unwrap().1;
        for downsample in [Downsample::V1, Downsample::V2] {
            assert_removed(name, &model_of(block, 11, true).model(), &Options { downsample, ..options() });
        }
    }
}

#[test]
fn tensors_read_twice_or_given_out_stay_right() {
    for (name, block) in BLOCKS {
        let base = model_of(*block, 13, true).model();
        let tensors: Vec<String> = base.graph.as_ref().unwrap().node.iter().flat_map(|n| n.output.clone()).collect();
        // Every tensor of the block is read by a node of its own, and the even ones are graph outputs too.
        let mut b = model_of(*block, 13, true);
        for (i, t) in tensors.iter().enumerate() {
            let n = b.node("Neg", &[t], vec![]);
            b.output(&n);
            if i % 2 == 0 {
                b.output(t);
            }
        }
        let model = b.model();
        let (after, outcome) = rewrite(&model, &options());
        let d = distance(&model, &after);
        assert!(d < ROUNDING, "{name}: differs by {d}\n{}", onnx_rm::graph::dump(&after));
        let names =
            |m: &ModelProto| m.graph.as_ref().unwrap().output.iter().map(|o| o.name().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&model), names(&after), "{name}");
        assert_eq!(joins(&outcome), stays(name), "{name}: a second reader is no reason to keep a join");
    }
}

/// `If(true) { Neg(captured) } else { Identity(captured) }`.
fn capture(b: &mut Build, tensor: &str) -> String {
    let branch = |op: &str| GraphProto {
        name: Some(format!("{op}_body")),
        node: vec![NodeProto {
            name: Some(format!("{op}_inner")),
            op_type: Some(op.into()),
            input: vec![tensor.into()],
            output: vec![format!("{op}_inner_out")],
            ..NodeProto::default()
        }],
        output: vec![ValueInfoProto { name: Some(format!("{op}_inner_out")), ..ValueInfoProto::default() }],
        ..GraphProto::default()
    };
    let graph = |name: &str, g: GraphProto| AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::Graph as i32),
        g: Some(Box::new(g).as_ref().clone().into()),
        ..AttributeProto::default()
    };
    let zero = b.floats(&[], vec![0.0]);
    let one = b.floats(&[], vec![1.0]);
    let condition = b.node("Less", &[&zero, &one], vec![]);
    b.node("If", &[&condition], vec![graph("then_branch", branch("Neg")), graph("else_branch", branch("Identity"))])
}

#[test]
fn tensors_captured_by_a_subgraph_stay_right() {
    for (name, block) in BLOCKS {
        let base = model_of(*block, 17, true).model();
        let tensors: Vec<String> = base.graph.as_ref().unwrap().node.iter().map(|n| n.output[0].clone()).collect();
        let mut b = model_of(*block, 17, true);
        for t in &tensors {
            let out = capture(&mut b, t);
            b.output(&out);
        }
        let model = b.model();
        let (after, outcome) = rewrite(&model, &options());
        let d = distance(&model, &after);
        assert!(d < ROUNDING, "{name}: differs by {d}\n{}", onnx_rm::graph::dump(&after));
        assert_eq!(joins(&outcome), stays(name), "{name}");
    }
}

#[test]
fn an_initializer_that_another_node_reads_keeps_its_bytes() {
    for (name, block) in BLOCKS {
        let mut b = model_of(*block, 19, true);
        let weights: Vec<(String, usize)> = b
            .graph
            .initializer
            .iter()
            .filter(|t| t.data_type == Some(1))
            .map(|t| (t.name().to_owned(), t.dims.len()))
            .collect();
        for (weight, _) in &weights {
            let out = b.node("Neg", &[weight], vec![]);
            b.output(&out);
        }
        let model = b.model();
        let (after, _) = rewrite(&model, &options());
        for (weight, _) in &weights {
            let find =
                |m: &ModelProto| m.graph.as_ref().unwrap().initializer.iter().find(|t| t.name() == weight).cloned();
            assert_eq!(find(&model), find(&after), "{name}: {weight}");
        }
        let d = distance(&model, &after);
        assert!(d < ROUNDING, "{name}: differs by {d}");
    }
}

#[test]
fn an_initializer_that_is_also_an_input_is_never_baked_in() {
    for (name, block) in BLOCKS {
        let plain = model_of(*block, 23, true).model();
        let mut model = plain.clone();
        let graph = model.graph.as_mut().unwrap();
        // Every float initializer can be overridden by the caller.
        for t in graph.initializer.clone() {
            if t.data_type == Some(1) {
                let mut info = graph.input[0].clone();
                info.name = t.name.clone();
                graph.input.push(info);
            }
        }
        let (after, outcome) = rewrite(&model, &options());
        let removed: Vec<_> = outcome.removed().collect();
        assert!(removed.is_empty(), "{name}: {removed:?}");
        assert_eq!(model, after, "{name}: nothing was to be done, so nothing may change");
    }
}

#[test]
fn what_cannot_be_removed_says_why_and_stays_as_it_is() {
    let cases: &[(&str, &str, Block)] = &[
        ("max pool on the branch", "cannot-pass", |b, x| {
            basic_with(b, x, |b, y| {
                b.node("MaxPool", &[y], vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1, 1, 1, 1])])
            })
        }),
        ("instance norm on the branch", "cannot-pass", |b, x| {
            basic_with(b, x, |b, y| {
                let (s, t) = (b.random(&[8], 1.0), b.random(&[8], 1.0));
                b.node("InstanceNormalization", &[y, &s, &t], vec![])
            })
        }),
        ("max pool on the shortcut", "shortcut-not-linear", |b, x| {
            let y = b.conv(x, &conv(C, C, 3).stride(2));
            let s = b.node("MaxPool", &[x], vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]);
            b.add(&y, &s)
        }),
        ("average pool that leaves out its padding", "shortcut-not-linear", |b, x| {
            let y = b.conv(x, &conv(C, C, 3));
            let s = b.node("AveragePool", &[x], vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1, 1, 1, 1])]);
            b.add(&y, &s)
        }),
        ("no tap for a Dirac", "no-dirac-tap", |b, x| {
            let y = b.conv(x, &conv(C, 8, 2).pad(0));
            let y = b.relu(&y);
            let y = b.conv(&y, &ConvArgs { pad: 1, ..conv(8, C, 2) });
            b.add(&y, x)
        }),
    ];
    for (name, code, block) in cases {
        let model = model_of(*block, 29, true).model();
        let (after, outcome) = rewrite(&model, &options());
        assert_eq!(model, after, "{name}");
        let codes: Vec<&str> = outcome
            .sites
            .iter()
            .filter(|s| s.is_residual())
            .filter_map(|s| match &s.status {
                SiteStatus::Kept(r) => Some(r.code.as_str()),
                _ => None,
            })
            .collect();
        assert!(codes == [*code] || code == &"no-dirac-tap" && codes == ["size-unknown"], "{name}: {codes:?}");
    }
}

#[test]
fn a_long_skip_waits_for_its_option() {
    let mut b = Build::new(31);
    let x = b.input("x", &[1, C as i64, 8, 8]);
    let x = b.conv(&x, &conv(C, C, 1));
    let mut y = x.clone();
    for _ in 0..3 {
        y = BLOCKS[0].1(&mut b, &y);
    }
    let y = b.conv(&y, &conv(C, C, 3));
    let y = b.add(&y, &x);
    b.output(&y);
    let model = b.model();
    let (short, outcome) = rewrite(&model, &Options::default());
    assert_eq!(joins(&outcome), 1);
    assert!(distance(&model, &short) < ROUNDING);
    let (again, outcome) = rewrite(&short, &Options::default());
    assert_eq!(joins(&outcome), 1, "a second run must not forget that the branch held joins");
    assert_eq!(again, short);
    let (long, outcome) = rewrite(&short, &options());
    assert_eq!(joins(&outcome), 0);
    assert!(distance(&model, &long) < ROUNDING);
}

#[test]
fn a_second_rewrite_changes_nothing() {
    for (name, block) in BLOCKS {
        let model = model_of(*block, 37, true).model();
        let (once, _) = rewrite(&model, &options());
        let (twice, _) = rewrite(&once, &options());
        assert_eq!(once, twice, "{name}");
    }
}

#[test]
fn one_and_three_axes_are_like_two() {
    for axes in [1, 3] {
        let mut b = Build::new(41);
        let mut shape = vec![1, C as i64];
        shape.extend(vec![6; axes]);
        let x = b.input("x", &shape);
        let y = b.conv(&x, &conv(C, 4, 3).axes(axes));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, C, 3).axes(axes));
        let y = b.add(&y, &x);
        b.output(&y);
        assert_removed("axes", &b.model(), &options());
    }
}
