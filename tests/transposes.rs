//! Graphs with their channels behind, as exporters of channels-last frameworks write them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use crate::common::channels_last::channels_last;
use crate::common::*;
use crate::operations::blocks::{C, all, model_of};
use onnx_rm::onnx::ModelProto;
use onnx_rm::options::{Families, Options, Selector};
use prost::Message;

const TO_FIRST: [i64; 4] = [0, 3, 1, 2];
const TO_LAST: [i64; 4] = [0, 2, 3, 1];

fn options() -> Options {
    Options::default().long_skips(true)
}

fn only() -> Options {
    Options::default().families(Families::new(&[Selector::Transpose], &[]))
}

fn ops(model: &ModelProto) -> Vec<&str> {
    model.graph.as_ref().unwrap().node.iter().map(|n| n.op_type()).collect()
}

fn turned(b: &mut Build, x: &str, perm: [i64; 4]) -> String {
    b.node("Transpose", &[x], vec![ints("perm", &perm)])
}

/// A convolution on a tensor with its channels behind.
fn conv_last(b: &mut Build, x: &str, args: &ConvArgs) -> String {
    let x = turned(b, x, TO_FIRST);
    let y = b.conv(&x, args);
    turned(b, &y, TO_LAST)
}

fn same(model: &ModelProto, after: &ModelProto) {
    let far = distance(model, after);
    assert!(far < ROUNDING, "{far:e}\n{}", onnx_rm::graph::dump(after));
    let names = |m: &ModelProto| m.graph.as_ref().unwrap().output.clone();
    assert_eq!(names(model), names(after));
}

/// `model` becomes `want`, computes the same, and a second rewrite changes nothing.
fn becomes(model: &ModelProto, options: &Options, want: &[&str]) -> ModelProto {
    let (after, _) = rewrite(model, options);
    assert_eq!(ops(&after), want, "{}", onnx_rm::graph::dump(&after));
    same(model, &after);
    assert_eq!(rewrite(&after, options).0, after);
    after
}

/// Not a byte of `model` changes.
fn stays(model: &ModelProto, options: &Options) {
    let (after, outcome) = rewrite(model, options);
    assert_eq!(after.encode_to_vec(), model.encode_to_vec(), "{}", onnx_rm::graph::dump(&after));
    assert_eq!(outcome.removed().count(), 0);
}

/// Every block, with its channels behind, loses the joins that it loses with its channels in front.
#[test]
fn every_block_goes_with_its_channels_behind() {
    let mut complaints = Vec::new();
    let (mut blocks, mut less) = (0, 0);
    for (name, block) in all() {
        let first = model_of(block, 7, true).model();
        let last = channels_last(&first);
        let before = ops(&last).iter().filter(|op| **op == "Transpose").count();
        let (after, outcome) = rewrite(&last, &options());
        let far = distance(&last, &after);
        // Tokens have their channels behind already: here they stand in an order that no framework gives them, and two layers
        // read one in different orders.
        let odd = usize::from(name == "projection of tokens");
        let left = joins(&rewrite(&first, &options()).1) + odd;
        if far >= ROUNDING || joins(&outcome) != left {
            let kept: Vec<_> = outcome.kept().filter(|(s, _)| s.is_residual()).map(|(_, r)| r.reason.clone()).collect();
            complaints
                .push(format!("{name}: differs by {far}, {} joins are left, not {left}: {kept:?}", joins(&outcome)));
        }
        blocks += 1;
        less += usize::from(ops(&after).iter().filter(|op| **op == "Transpose").count() < before);
    }
    assert!(complaints.is_empty(), "{}\n{} of {blocks}", complaints.join("\n"), complaints.len());
    assert!(10 * less > 9 * blocks, "{less} of {blocks}");
}

/// `x + conv(act(conv(x)))` with everything between the convolutions behind.
fn residual(between: fn(&mut Build, &str) -> String) -> ModelProto {
    let mut b = Build::new(3);
    let x = b.input("x", &[2, 6, 6, C as i64]);
    let x = b.relu(&x);
    let y = conv_last(&mut b, &x, &conv(C, C, 3));
    let y = between(&mut b, &y);
    let y = conv_last(&mut b, &y, &conv(C, C, 3));
    let y = b.add(&y, &x);
    let y = b.relu(&y);
    b.output(&y);
    b.model()
}

/// What stands between convolutions where channels are behind; all of it goes through to the front.
#[test]
fn what_exporters_leave_between() {
    let betweens: [fn(&mut Build, &str) -> String; 10] = [
        |b, x| b.node("Cast", &[x], vec![int("to", 1)]),
        |b, x| {
            let c = b.random(&[C], 1.0);
            let y = b.add(x, &c);
            b.relu(&y)
        },
        |b, x| {
            let (s, t) = (b.random(&[1, 1, 1, C], 1.0), b.random(&[1, 1, C], 1.0));
            let y = b.node("Mul", &[x, &s], vec![]);
            b.node("Sub", &[&t, &y], vec![])
        },
        |b, x| {
            let pads = b.ints(&[0, 1, 2, 0, 0, 1, 0, 0]);
            let y = b.node("Pad", &[x, &pads], vec![]);
            let y = turned(b, &y, TO_FIRST);
            let y = b.conv(&y, &conv(C, C, 3).pads(&[0, 0, 0, 0]));
            turned(b, &y, TO_LAST)
        },
        // Squeeze and excite: the mean as a map, layers at its one position.
        |b, x| {
            let m = b.node("ReduceMean", &[x], vec![ints("axes", &[1, 2])]);
            let (w, v, c) = (b.random(&[C, 3], 0.5), b.random(&[3, C], 0.5), b.random(&[C], 0.5));
            let m = b.node("MatMul", &[&m, &w], vec![]);
            let m = b.relu(&m);
            let m = b.node("MatMul", &[&m, &v], vec![]);
            let m = b.add(&m, &c);
            let g = b.node("Sigmoid", &[&m], vec![]);
            b.node("Mul", &[x, &g], vec![])
        },
        // The same, with the mean as a vector.
        |b, x| {
            let m = b.node("ReduceMean", &[x], vec![ints("axes", &[1, 2]), int("keepdims", 0)]);
            let (w, c) = (b.random(&[C, C], 0.5), b.random(&[C], 0.5));
            let m = b.node("Gemm", &[&m, &w, &c], vec![]);
            let g = b.node("HardSigmoid", &[&m], vec![]);
            let sizes = b.ints(&[-1, 1, 1, C as i64]);
            let g = b.node("Reshape", &[&g, &sizes], vec![]);
            b.node("Mul", &[&g, x], vec![])
        },
        |b, x| {
            let m = b.node("ReduceMean", &[x], vec![ints("axes", &[2, 1]), int("keepdims", 0)]);
            let g = b.node("Sigmoid", &[&m], vec![]);
            let axes = b.ints(&[1, 2]);
            let g = b.node("Unsqueeze", &[&g, &axes], vec![]);
            b.node("Mul", &[x, &g], vec![])
        },
        // A convolution on the mean.
        |b, x| {
            let m = b.node("ReduceMean", &[x], vec![ints("axes", &[1, 2])]);
            let m = conv_last(b, &m, &conv(C, C, 1));
            let g = b.node("Sigmoid", &[&m], vec![]);
            b.node("Mul", &[x, &g], vec![])
        },
        |b, x| {
            let half = C as i64 / 2;
            let sizes = b.ints(&[half, half]);
            let parts = b.nodes("Split", &[x, &sizes], 2, vec![int("axis", -1)]);
            let y = b.relu(&parts[0]);
            b.node("Concat", &[&parts[1], &y], vec![int("axis", 3)])
        },
        |b, x| {
            let (w, c) = (b.random(&[C, 9], 0.5), b.random(&[9], 0.5));
            let y = b.node("MatMul", &[x, &w], vec![]);
            let y = b.add(&c, &y);
            let y = b.node("LeakyRelu", &[&y], vec![]);
            let w = b.random(&[9, C], 0.5);
            b.node("MatMul", &[&y, &w], vec![])
        },
    ];
    for (i, between) in betweens.into_iter().enumerate() {
        let model = residual(between);
        let (after, outcome) = rewrite(&model, &options());
        same(&model, &after);
        let left = ops(&after).iter().filter(|op| **op == "Transpose").count();
        assert_eq!((joins(&outcome), left), (0, 2), "{i}: {:?}\n{}", outcome.sites, onnx_rm::graph::dump(&after));
        assert_eq!(rewrite(&after, &options()).0, after, "{i}");
    }
}

#[test]
fn layers_at_every_position_are_convolutions() {
    let mut b = Build::new(4);
    let x = b.input("x", &[-1, C as i64, 8, 8]);
    let y = b.conv(&x, &conv(C, C, 3).group(C));
    let y = turned(&mut b, &y, TO_LAST);
    let (w, c, v, s) = (b.random(&[C, 12], 0.5), b.random(&[12], 0.5), b.random(&[12, C], 0.5), b.random(&[C], 0.5));
    let y = b.node("MatMul", &[&y, &w], vec![]);
    let y = b.add(&y, &c);
    let y = b.relu(&y);
    let y = b.node("MatMul", &[&y, &v], vec![]);
    let y = b.node("Mul", &[&y, &s], vec![]);
    let y = turned(&mut b, &y, TO_FIRST);
    let y = b.add(&x, &y);
    b.output(&y);
    let model = b.model();
    becomes(&model, &only(), &["Conv", "Conv", "Add", "Relu", "Conv", "Mul", "Add"]);
    assert_eq!(joins(&rewrite(&model, &options()).1), 0);
}

/// What stands between `MatMul` and its readers in a graph that ONNX Runtime has optimised: a `Gemm` over rows.
fn over_rows(b: &mut Build, x: &str, channels: [usize; 2], size: i64) -> String {
    let (w, c) = (b.random(&channels, 0.5), b.random(&[channels[1]], 0.5));
    let rows = b.ints(&[-1, channels[0] as i64]);
    let y = b.node("Reshape", &[x, &rows], vec![]);
    let y = b.node("Gemm", &[&y, &w, &c], vec![float("alpha", 1.5), float("beta", 0.5)]);
    let back = b.ints(&[-1, size, 8, channels[1] as i64]);
    b.node("Reshape", &[&y, &back], vec![])
}

/// A block of ConvNeXt with layers as `layers` writes them.
fn block_of(layers: &dyn Fn(&mut Build, &str) -> String) -> ModelProto {
    let mut b = Build::new(21);
    let x = b.input("x", &[-1, C as i64, 8, 8]);
    let y = b.conv(&x, &conv(C, C, 3).group(C));
    let y = turned(&mut b, &y, TO_LAST);
    let y = layers(&mut b, &y);
    let y = turned(&mut b, &y, TO_FIRST);
    let y = b.add(&x, &y);
    b.output(&y);
    b.model()
}

#[test]
fn layers_over_rows_are_convolutions() {
    let each = block_of(&|b, x| {
        let y = over_rows(b, x, [C, 12], 8);
        let y = b.relu(&y);
        over_rows(b, &y, [12, C], 8)
    });
    let whole = block_of(&|b, x| {
        let (w, c, v, s) =
            (b.random(&[C, 12], 0.5), b.random(&[1, 12], 0.5), b.random(&[C, 12], 0.5), b.random(&[C], 0.5));
        let y = b.node("Flatten", &[x], vec![int("axis", 3)]);
        let y = b.node("MatMul", &[&y, &w], vec![]);
        let y = b.node("Sub", &[&c, &y], vec![]);
        let (low, high) = (b.scalar(0.0), b.scalar(2.0));
        let y = b.node("Clip", &[&y, &low, &high], vec![]);
        let y = b.node("Gemm", &[&y, &v], vec![int("transB", 1)]);
        let y = b.node("Mul", &[&y, &s], vec![]);
        let back = b.ints(&[-1, 8, 8, C as i64]);
        b.node("Reshape", &[&y, &back], vec![])
    });
    becomes(&each, &only(), &["Conv", "Conv", "Relu", "Conv", "Add"]);
    becomes(&whole, &only(), &["Conv", "Conv", "Sub", "Clip", "Conv", "Mul", "Add"]);
    for model in [each, whole] {
        let (after, outcome) = rewrite(&model, &options());
        assert_eq!(joins(&outcome), 0, "{:?}", outcome.sites);
        same(&model, &after);
    }
}

#[test]
fn layers_over_other_rows_or_that_something_else_reads_stay() {
    // The rows are numbered as those of other positions.
    stays(
        &block_of(&|b, x| {
            let y = over_rows(b, x, [C, C], 8);
            let sizes = b.ints(&[-1, 4, 16, C as i64]);
            let y = b.node("Reshape", &[&y, &sizes], vec![]);
            let y = over_rows(b, &y, [C, C], 4);
            let sizes = b.ints(&[-1, 8, 8, C as i64]);
            b.node("Reshape", &[&y, &sizes], vec![])
        }),
        &only(),
    );
    let rows = |given: usize, read: usize| {
        block_of(&|b: &mut Build, x: &str| {
            let (w, v) = (b.random(&[C, 12], 0.5), b.random(&[12, C], 0.5));
            let rows = b.ints(&[-1, C as i64]);
            let mut values = vec![b.node("Reshape", &[x, &rows], vec![])];
            values.push(b.node("Gemm", &[&values[0], &w], vec![]));
            values.push(b.relu(&values[1]));
            values.push(b.node("Gemm", &[&values[2], &v], vec![]));
            let back = b.ints(&[-1, 8, 8, C as i64]);
            let y = b.node("Reshape", &[&values[3], &back], vec![]);
            if let Some(value) = values.get(given) {
                b.output(value);
            }
            if let Some(value) = values.get(read) {
                let other = b.node("ReduceMean", &[value], vec![ints("axes", &[1]), int("keepdims", 0)]);
                b.output(&other);
            }
            y
        })
    };
    assert_ne!(ops(&rewrite(&rows(9, 9), &only()).0), ops(&rows(9, 9)));
    for value in 0..4 {
        stays(&rows(value, 9), &only());
        stays(&rows(9, value), &only());
    }
    // What an operator gives beside its numbers, and what only lends its type.
    for op in ["Dropout", "CastLike", "CastLike of it"] {
        let model = block_of(&|b, x| {
            let (w, rows) = (b.random(&[C, C], 0.5), b.ints(&[-1, C as i64]));
            let y = b.node("Reshape", &[x, &rows], vec![]);
            let y = b.node("Gemm", &[&y, &w], vec![]);
            let y = if op == "Dropout" {
                let both = b.nodes("Dropout", &[&y], 2, vec![]);
                b.output(&both[1]);
                both[0].clone()
            } else {
                let other = b.input("other", &[128, C as i64]);
                let inputs = if op == "CastLike" { [&other, &y] } else { [&y, &other] };
                b.node("CastLike", &inputs.map(String::as_str), vec![])
            };
            let back = b.ints(&[-1, 8, 8, C as i64]);
            b.node("Reshape", &[&y, &back], vec![])
        });
        let (after, _) = rewrite(&model, &only());
        assert_eq!(ops(&after), ops(&model), "{op}");
    }
    // A weight that a caller may change is none; one that two layers share is that of both.
    let twice = |free: bool| {
        block_of(&|b, x| {
            let (w, rows) = (b.random(&[C, C], 0.5), b.ints(&[-1, C as i64]));
            if free {
                b.input(&w, &[C as i64; 2]);
            }
            let y = b.node("Reshape", &[x, &rows], vec![]);
            let y = b.node("Gemm", &[&y, &w], vec![]);
            let y = b.node("Gemm", &[&y, &w], vec![]);
            let back = b.ints(&[-1, 8, 8, C as i64]);
            b.node("Reshape", &[&y, &back], vec![])
        })
    };
    stays(&twice(true), &only());
    becomes(&twice(false), &only(), &["Conv", "Conv", "Conv", "Add"]);
    // Alone, a layer over rows is what runtimes want.
    stays(
        &block_of(&|b, x| {
            let y = b.node("Softmax", &[x], vec![int("axis", -1)]);
            let y = over_rows(b, &y, [C, C], 8);
            b.node("Softmax", &[&y], vec![int("axis", -1)])
        }),
        &only(),
    );
}

#[test]
fn a_layer_norm_stays_where_it_is_between_layers_that_move() {
    // ConvNeXt.
    let mut b = Build::new(5);
    let x = b.input("x", &[-1, C as i64, 8, 8]);
    let y = b.conv(&x, &conv(C, C, 3).group(C));
    let y = turned(&mut b, &y, TO_LAST);
    let (scale, shift) = (b.random(&[C], 1.0), b.random(&[C], 0.5));
    let y = b.node("LayerNormalization", &[&y, &scale, &shift], vec![int("axis", -1)]);
    let (w, c, v, d) = (b.random(&[C, 12], 0.5), b.random(&[12], 0.5), b.random(&[12, C], 0.5), b.random(&[C], 0.5));
    let y = b.node("MatMul", &[&y, &w], vec![]);
    let y = b.add(&y, &c);
    let y = b.relu(&y);
    let y = b.node("MatMul", &[&y, &v], vec![]);
    let y = b.add(&y, &d);
    let y = turned(&mut b, &y, TO_FIRST);
    let y = b.add(&x, &y);
    b.output(&y);
    let model = b.model();
    let (after, outcome) = rewrite(&model, &options().open_norms(true));
    assert_eq!(joins(&outcome), 0, "{:?}", outcome.sites);
    same(&model, &after);
    stays(&model, &options());
}

/// ConvNeXt as `torchvision` has it: behind the first block every order with its layers moved has more nodes than the file, and is
/// taken for the joins that go.
#[test]
fn an_order_with_a_few_more_nodes_is_taken_for_the_joins_that_go() {
    fn norm(b: &mut Build, x: &str) -> String {
        let (scale, shift) = (b.random(&[C], 1.0), b.random(&[C], 0.5));
        b.node("LayerNormalization", &[x, &scale, &shift], vec![int("axis", -1)])
    }
    fn block(b: &mut Build, x: &str) -> String {
        let y = b.conv(x, &conv(C, C, 3).group(C));
        let y = turned(b, &y, TO_LAST);
        let y = norm(b, &y);
        let (w, c, v, d) =
            (b.random(&[C, 12], 0.5), b.random(&[12], 0.5), b.random(&[12, C], 0.5), b.random(&[C], 0.5));
        let y = b.node("MatMul", &[&y, &w], vec![]);
        let y = b.add(&y, &c);
        let y = b.node("Gelu", &[&y], vec![]);
        let y = b.node("MatMul", &[&y, &v], vec![]);
        let y = b.add(&y, &d);
        let y = turned(b, &y, TO_FIRST);
        let scale = b.random(&[C, 1, 1], 1.0);
        let y = b.node("Mul", &[&scale, &y], vec![]);
        b.add(&y, x)
    }
    let mut b = Build::new(15);
    b.opset = 20;
    let x = b.input("x", &[2, C as i64, 8, 8]);
    let y = b.conv(&x, &conv(C, C, 2).stride(2).pad(0));
    let y = turned(&mut b, &y, TO_LAST);
    let y = norm(&mut b, &y);
    let y = turned(&mut b, &y, TO_FIRST);
    let y = block(&mut b, &y);
    let y = block(&mut b, &y);
    let y = turned(&mut b, &y, TO_LAST);
    let y = norm(&mut b, &y);
    let y = turned(&mut b, &y, TO_FIRST);
    let y = b.conv(&y, &conv(C, C, 2).stride(2).pad(0));
    let y = block(&mut b, &y);
    b.output(&y);
    let model = b.model();
    let (after, outcome) = rewrite(&model, &options().open_norms(true));
    assert_eq!(joins(&outcome), 0, "{:?}", outcome.sites);
    same(&model, &after);
    assert_eq!(rewrite(&after, &options().open_norms(true)).0, after);
}

#[test]
fn pairs_go_and_what_is_given_out_keeps_its_name() {
    let mut b = Build::new(5);
    let x = b.input("x", &[1, 4, 4, C as i64]);
    let y = conv_last(&mut b, &x, &conv(C, C, 3));
    let z = b.relu(&y);
    b.output(&z);
    let w = conv_last(&mut b, &z, &conv(C, C, 3));
    b.output(&w);
    let model = b.model();
    // The tensor given out is still put in its order, on its way out.
    becomes(&model, &only(), &["Transpose", "Conv", "Relu", "Transpose", "Conv", "Transpose"]);
}

#[test]
fn orders_without_a_perm_turn_the_axes_round() {
    let mut b = Build::new(6);
    let x = b.input("x", &[2, 3, 4]);
    let y = b.node("Transpose", &[&x], vec![]);
    let c = b.random(&[1, 2], 1.0);
    let y = b.node("Mul", &[&y, &c], vec![]);
    let y = b.node("Transpose", &[&y], vec![]);
    b.output(&y);
    let after = becomes(&b.model(), &only(), &["Mul"]);
    let graph = after.graph.unwrap();
    assert_eq!(graph.initializer.last().unwrap().dims, [2, 1, 1]);
}

/// A `Shape` reads what is there, in whatever order it stands.
#[test]
fn sizes_are_put_in_order_rather_than_tensors() {
    let mut b = Build::new(7);
    let x = b.input("x", &[-1, C as i64, 6, 8]);
    let y = b.conv(&x, &conv(C, C, 3));
    let y = turned(&mut b, &y, TO_LAST);
    let y = b.relu(&y);
    let sizes = b.node("Shape", &[&y], vec![]);
    let y = b.node("Tanh", &[&y], vec![]);
    let y = turned(&mut b, &y, TO_FIRST);
    let y = b.conv(&y, &conv(C, C, 3));
    b.output(&y);
    b.output(&sizes);
    becomes(&b.model(), &only(), &["Conv", "Relu", "Shape", "Gather", "Tanh", "Conv"]);
}

/// As many nodes in another order are no gain by themselves; what they free is.
#[test]
fn an_order_with_as_many_nodes_is_taken_for_what_it_frees() {
    let model = |constant: bool| {
        let mut b = Build::new(8);
        let x = b.input("x", &[1, 4, 4, C as i64]);
        let y = conv_last(&mut b, &x, &conv(C, C, 3));
        let y = if constant {
            let c = b.random(&[C], 1.0);
            b.node("Mul", &[&y, &c], vec![])
        } else {
            b.relu(&y)
        };
        b.output(&y);
        b.model()
    };
    stays(&model(false), &options());
    stays(&model(true), &only());
    becomes(&model(true), &options(), &["Transpose", "Conv", "Transpose"]);
}

#[test]
fn what_cannot_stand_in_another_order_stays() {
    // A normalisation over the last axis needs its channels there.
    let mut b = Build::new(9);
    let x = b.input("x", &[1, C as i64, 4, 4]);
    let y = turned(&mut b, &x, TO_LAST);
    let s = b.random(&[C], 1.0);
    let y = b.node("LayerNormalization", &[&y, &s], vec![]);
    let y = b.relu(&y);
    let y = turned(&mut b, &y, TO_FIRST);
    let y = b.conv(&y, &conv(C, C, 3));
    b.output(&y);
    stays(&b.model(), &options());
    // A constant that a caller may override.
    let mut b = Build::new(10);
    let x = b.input("x", &[1, C as i64, 4, 4]);
    let y = turned(&mut b, &x, TO_LAST);
    let s = b.random(&[C], 1.0);
    b.graph.input.push(value_info(&s, &[C as i64]));
    let y = b.node("Mul", &[&y, &s], vec![]);
    let y = turned(&mut b, &y, TO_FIRST);
    b.output(&y);
    stays(&b.model(), &options());
    // A rank that is not known.
    let mut b = Build::new(11);
    let x = b.input("x", &[1, C as i64, 4, 4]);
    let y = b.node("NonExistent", &[&x], vec![]);
    b.graph.node.last_mut().unwrap().domain = Some("elsewhere".into());
    let y = turned(&mut b, &y, TO_LAST);
    let y = b.relu(&y);
    let c = b.node("NonExistent", &[&y], vec![]);
    b.graph.node.last_mut().unwrap().domain = Some("elsewhere".into());
    b.output(&c);
    stays(&b.model(), &options());
}
