//! A few numbers in a file name sizes as large as one likes, and a graph is as deep as one likes: each model here is a few
//! kilobytes, loads, and is survived in little memory.

use super::build::{Build, conv, int, ints};
use super::survive::{Fate, scratch, survives};
use super::*;

/// Writes a block behind the tensor given and returns the join.
type Block = fn(&mut Build, &str) -> String;

fn survive(name: &str, model: &ModelProto) -> Fate {
    let file = scratch(&format!("{}.onnx", name.replace([' ', ','], "_")));
    fs::write(&file, model.encode_to_vec()).unwrap();
    survives(&file, name)
}

/// A block behind an input of `shape`.
fn model(shape: &[i64], block: Block) -> ModelProto {
    let mut b = Build::new(3);
    let x = b.input("x", shape);
    let y = block(&mut b, &x);
    b.output(&y);
    b.model()
}

/// `shape` filled with ones, written in a few bytes.
fn ones(b: &mut Build, shape: &[i64]) -> String {
    let shape = b.ints(shape);
    let value = TensorProto {
        dims: vec![1],
        data_type: Some(1),
        raw_data: Some(1.0_f32.to_le_bytes().to_vec().into()),
        ..TensorProto::default()
    };
    let mut attribute = int("value", 0);
    (attribute.r#type, attribute.i, attribute.t) = (Some(4), None, Some(value));
    b.node("ConstantOfShape", &[&shape], vec![attribute])
}

/// A convolution of one entry with weights of ones.
fn convolved(b: &mut Build, x: &str, outputs: i64, inputs: i64, group: i64) -> String {
    let w = ones(b, &[outputs, inputs / group, 1, 1]);
    b.node("Conv", &[x, &w], vec![int("group", group)])
}

fn pooled(b: &mut Build, x: &str, kernel: &[i64], stride: i64) -> String {
    let strides = vec![stride; kernel.len()];
    b.node(
        "AveragePool",
        &[x],
        vec![ints("kernel_shape", kernel), ints("strides", &strides), int("count_include_pad", 1)],
    )
}

const BLOCKS: &[(&str, &[i64], Block)] = &[
    ("a selection of very many channels", &[1, 1 << 16, 2, 2], |b, x| {
        let y = convolved(b, x, 1 << 20, 1 << 16, 1 << 16);
        let y = b.relu(&y);
        let y = convolved(b, &y, 1 << 20, 1 << 20, 1 << 20);
        let pads = b.ints(&[0, 0, 0, 0, 0, (1 << 20) - (1 << 16), 0, 0]);
        let s = b.node("Pad", &[x, &pads], vec![]);
        b.add(&y, &s)
    }),
    ("a depthwise branch of very many channels", &[1, 1 << 20, 2, 2], |b, x| {
        let y = convolved(b, x, 1 << 20, 1 << 20, 1 << 20);
        let y = b.relu(&y);
        let y = convolved(b, &y, 1 << 20, 1 << 20, 1 << 20);
        b.add(&y, x)
    }),
    ("many channels to one and back", &[1, 1 << 16, 2, 2], |b, x| {
        let y = convolved(b, x, 1, 1 << 16, 1);
        let y = b.relu(&y);
        let y = convolved(b, &y, 1 << 16, 1, 1);
        b.add(&y, x)
    }),
    ("many channels in groups, to one each", &[1, 1 << 16, 2, 2], |b, x| {
        let y = convolved(b, x, 1 << 8, 1 << 16, 1 << 8);
        let y = b.relu(&y);
        let y = convolved(b, &y, 1 << 16, 1 << 8, 1 << 8);
        b.add(&y, x)
    }),
    ("more channels than there can be", &[1, i32::MAX as i64, 1, 1], |b, x| {
        let y = b.node("Neg", &[x], vec![]);
        let y = b.node("LeakyRelu", &[&y], vec![]);
        let two = b.scalar(2.0);
        let y = b.node("Mul", &[&y, &two], vec![]);
        b.add(&y, x)
    }),
    ("a mean over more than there can be", &[1, 8, 16, 16], |b, x| {
        let y = b.conv(x, &conv(8, 8, 3).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 8, 3));
        let s = pooled(b, x, &[1 << 32, 2], 2);
        let s = b.conv(&s, &conv(8, 8, 1));
        b.add(&y, &s)
    }),
    ("a mean over a large padded map", &[1, 8, 16, 16], |b, x| {
        let y = b.conv(x, &conv(8, 8, 1));
        let y = b.relu(&y);
        let pads = b.ints(&[0, 0, 1 << 11, 1 << 11, 0, 0, 1 << 11, 1 << 11]);
        let y = b.node("Pad", &[&y, &pads], vec![]);
        let y = pooled(b, &y, &[(1 << 12) + 1, (1 << 12) + 1], 1);
        b.add(&y, x)
    }),
    ("a mean over a large padded map beside it", &[1, 8, 16, 16], |b, x| {
        let y = b.conv(x, &conv(8, 8, 1));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 8, 1));
        let pads = vec![ints("kernel_shape", &[8193, 8193]), ints("pads", &[4096; 4]), int("count_include_pad", 1)];
        let s = b.node("AveragePool", &[x], pads);
        b.add(&y, &s)
    }),
    ("a sum of means over large maps", &[1, 8, 16, 16], |b, x| {
        let pads = || vec![ints("kernel_shape", &[8193, 8193]), ints("pads", &[4096; 4]), int("count_include_pad", 1)];
        let y = b.node("AveragePool", &[x], pads());
        let y = b.conv(&y, &conv(8, 8, 1));
        let s = b.conv(x, &conv(8, 8, 3));
        b.add(&y, &s)
    }),
    ("steps further than any image", &[1, 4, 8, 8], |b, x| {
        let wide = |b: &mut Build, x: &str| b.conv(x, &conv(4, 4, 1).stride(1 << 24));
        let mut y = x.to_owned();
        for _ in 0..4 {
            y = wide(b, &y);
            y = b.relu(&y);
        }
        let y = b.conv(&y, &conv(4, 4, 1));
        let mut s = x.to_owned();
        for _ in 0..4 {
            s = wide(b, &s);
        }
        b.add(&y, &s)
    }),
    ("channels that are repeated and summed up", &[1, 1 << 14, 2, 2], |b, x| {
        let many = b.concat(&[x; 64]);
        let y = convolved(b, &many, 1, 1 << 20, 1);
        let s = convolved(b, x, 1, 1 << 14, 1);
        b.add(&y, &s)
    }),
];

#[test]
fn no_size_that_a_file_names_is_believed() {
    for (name, shape, block) in BLOCKS {
        survive(name, &model(shape, *block));
    }
}

/// Every operator that a join, a gate or a fold reads, on tensors of no axis and of one.
#[test]
fn tensors_of_few_axes() {
    for shape in [&[][..], &[4][..], &[1][..], &[-1][..]] {
        for op in ["Add", "Mul", "Sub", "Div", "Max", "Min", "Sum", "Pow", "Concat"] {
            for around in ["Add", "Mul", "Sum"] {
                let mut b = Build::new(3);
                let (x, z) = (b.input("x", shape), b.input("z", shape));
                let y = b.relu(&x);
                let p = b.node(op, &[&y, &z], vec![int("axis", 0)]);
                let q = b.node(op, &[&z, &y], vec![int("axis", 0)]);
                let r = b.node(around, &[&p, &q], vec![]);
                let r = b.node(around, &[&r, &x], vec![]);
                b.output(&r);
                survive(&format!("{op} and {around} of {shape:?}").replace(['[', ']', '-'], "n"), &b.model());
            }
        }
    }
}

/// A branch of linear layers times a tensor of data that has fewer axes.
#[test]
fn a_scalar_of_data_on_a_branch() {
    for shape in [&[][..], &[1][..], &[8][..], &[4, 8][..]] {
        for op in ["Mul", "Add"] {
            for maps in [false, true] {
                let mut b = Build::new(3);
                let x = if maps { b.input("x", &[1, 8, 4, 8]) } else { b.input("x", &[1, 4, 8]) };
                let s = b.input("s", shape);
                let layer = |b: &mut Build, x: &str| match maps {
                    true => b.conv(x, &conv(8, 8, 1)),
                    false => {
                        let w = b.random(&[8, 8], 1.0);
                        b.node("MatMul", &[x, &w], vec![])
                    }
                };
                let y = layer(&mut b, &x);
                let y = b.node(op, &[&y, &s], vec![]);
                let y = b.relu(&y);
                let y = layer(&mut b, &y);
                let y = b.add(&y, &x);
                b.output(&y);
                survive(&format!("{op} of {} axes {maps}", shape.len()), &b.model());
            }
        }
    }
}

/// As deep as a file says: masks around masks, and functions of functions.
#[test]
fn chains_as_long_as_one_likes() {
    let chain = |links: usize, write: fn(&mut Build, &str, &str) -> String| {
        let mut b = Build::new(3);
        let x = b.input("x", &[1, 2, 4, 4]);
        let mut y = b.relu(&x);
        for _ in 0..links {
            y = write(&mut b, &x, &y);
        }
        let y = b.conv(&y, &conv(2, 2, 1));
        let y = b.add(&y, &x);
        b.output(&y);
        b.model()
    };
    let masked = |b: &mut Build, x: &str, y: &str| {
        let mask = b.bools(&[2, 1, 1], &[1, 0]);
        b.node("Where", &[&mask, x, y], vec![])
    };
    assert_eq!(survive("a few masks", &chain(3, masked)), Fate::Rewritten(1), "they are one mask");
    assert_eq!(survive("many masks", &chain(10_000, masked)), Fate::Rewritten(0));
    survive(
        "many functions",
        &chain(3_000, |b, x, y| {
            let g = b.node("Sigmoid", &[y], vec![]);
            b.node("Mul", &[x, &g], vec![])
        }),
    );
    survive("many linear operators", &chain(3_000, |b, _, y| b.node("Neg", &[y], vec![])));
    survive("many sums", &chain(1_000, |b, x, y| b.add(x, y)));
}
