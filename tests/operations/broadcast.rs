//! A second operand may be larger than the branch along an axis of positions: then what is carried stands there several times,
//! and a window wider than one entry sees another grid than the shortcut's does.

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};
use onnx_rm::onnx::{ModelProto, tensor_shape_proto, type_proto};
use onnx_rm::options::Downsample;
use onnx_rm::verify::reference::{self, Value};

use crate::common::*;
use crate::operations::blocks::C;
use crate::operations::{assert_none, options, refusals};

/// How another operand joins the branch.
type Meet = fn(&mut Build, &str, &str) -> String;

const MEET: &[(&str, Meet)] = &[
    ("a product", |b, y, g| b.node("Mul", &[y, g], vec![])),
    ("a product, the other way round", |b, y, g| b.node("Mul", &[g, y], vec![])),
    ("a shared gate", |b, y, g| {
        let g = b.slice(g, 0, 1);
        b.node("Mul", &[y, &g], vec![])
    }),
    ("a broadcast sum", |b, y, g| b.add(g, y)),
];

/// What the shortcut is, from `C` to 8 channels.
type Way = fn(&mut Build, &str) -> String;

const WAYS: &[(&str, Way)] = &[
    ("a 3x3", |b, x| b.conv(x, &conv(C, 8, 3))),
    ("a 1x1", |b, x| b.conv(x, &conv(C, 8, 1))),
    ("a mean and a 1x1", |b, x| {
        let pool = vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1; 4]), int("count_include_pad", 1)];
        let s = b.node("AveragePool", &[x], pool);
        b.conv(&s, &conv(C, 8, 1))
    }),
];

/// Lets the graph's inputs have sizes of their own: each free axis another name.
fn free(model: &mut ModelProto) {
    for input in &mut model.graph.as_mut().unwrap().input {
        let name = input.name().to_owned();
        let Some(type_proto::Value::TensorType(t)) = input.r#type.as_mut().and_then(|t| t.value.as_mut()) else {
            panic!()
        };
        for (axis, dim) in t.shape.as_mut().unwrap().dim.iter_mut().enumerate().skip(2) {
            dim.value = Some(tensor_shape_proto::dimension::Value::DimParam(format!("{name}_{axis}")));
        }
    }
}

fn block(meet: Meet, way: Way, sizes: [[i64; 2]; 2]) -> ModelProto {
    let mut b = Build::new(5);
    let [x, g] = [("x", C, sizes[0]), ("g", 4, sizes[1])].map(|(n, c, [h, w])| b.input(n, &[1, c as i64, h, w]));
    let y = b.conv(&x, &conv(C, 4, 3));
    let y = b.relu(&y);
    let y = meet(&mut b, &y, &g);
    let y = b.conv(&y, &conv(4, 8, 3));
    let s = way(&mut b, &x);
    let y = b.add(&y, &s);
    b.output(&y);
    b.model()
}

/// The output for maps and operands of the sizes given.
fn run(model: &ModelProto, sizes: [[i64; 2]; 2]) -> ArrayD<f64> {
    let mut rng = Rng(9);
    let mut feed = BTreeMap::new();
    for (name, channels, [h, w]) in [("x", C, sizes[0]), ("g", 4, sizes[1])] {
        let shape = [1, channels, h as usize, w as usize];
        let values = (0..shape.iter().product()).map(|_| rng.unit() * 2.0).collect();
        feed.insert(name.to_owned(), Value::F(ArrayD::from_shape_vec(IxDyn(&shape), values).unwrap()));
    }
    let output = model.graph.as_ref().unwrap().output[0].name().to_owned();
    match reference::run(model, &feed).unwrap().get(&output) {
        Some(Value::F(values)) => values.clone().into_dyn(),
        other => panic!("{other:?}"),
    }
}

const SIZES: [[[i64; 2]; 2]; 5] =
    [[[6, 6], [6, 6]], [[1, 1], [6, 6]], [[1, 6], [6, 6]], [[6, 1], [1, 6]], [[6, 6], [1, 1]]];

#[test]
fn whatever_size_the_other_operand_has_the_result_is_the_same() {
    let mut wrong = Vec::new();
    for (meeting, meet) in MEET {
        for (shortcut, way) in WAYS {
            for downsample in [Downsample::Auto, Downsample::V1, Downsample::V2] {
                let options = options().downsample(downsample);
                for known in SIZES {
                    for free_sizes in [false, true] {
                        let mut model = block(*meet, *way, known);
                        let feeds = if free_sizes { &SIZES[..] } else { &[known][..] };
                        if free_sizes {
                            free(&mut model);
                        }
                        let (after, _) = rewrite(&model, &options);
                        for sizes in feeds {
                            let (a, b) = (run(&model, *sizes), run(&after, *sizes));
                            let far = (&a - &b).iter().fold(0.0_f64, |m, v| m.max(v.abs()));
                            if a.shape() != b.shape() || far.is_nan() || far > 1e-5 {
                                wrong.push(format!("{meeting}, {shortcut}, {downsample:?}, {sizes:?}: {far}"));
                            }
                        }
                    }
                    if known != SIZES[0] && downsample != Downsample::V2 {
                        break;
                    }
                }
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn only_a_window_behind_it_that_is_wider_than_one_entry_is_refused() {
    let second = options().downsample(Downsample::V2);
    for (meeting, meet) in MEET.iter().filter(|(name, _)| *name != "a broadcast sum") {
        // In front of it the whole window has its place, and behind it a single entry.
        let mut model = block(*meet, WAYS[0].1, SIZES[0]);
        assert_eq!(joins(&rewrite(&model, &second).1), 0, "{meeting}: the sizes are known to be equal");
        free(&mut model);
        assert_eq!(joins(&rewrite(&model, &options()).1), 0, "{meeting}");
        let (_, outcome) = rewrite(&model, &second);
        let [reject] = refusals(&outcome)[..] else { panic!("{meeting}: {:?}", outcome.sites) };
        assert_eq!(reject.code, "shortcut-does-not-fit", "{meeting}");
        assert!(reject.reason.contains("size of another operand"), "{meeting}: {reject:?}");
        let mut model = block(*meet, WAYS[1].1, SIZES[0]);
        free(&mut model);
        assert_eq!(joins(&rewrite(&model, &second).1), 0, "{meeting}");
    }
}
