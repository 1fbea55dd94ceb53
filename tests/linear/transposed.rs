//! Per-channel constants beside a transposed convolution.

use super::*;

#[test]
fn batch_norm_behind_a_transposed_convolution() {
    for group in [1, 2] {
        for bias in [true, false] {
            let mut b = Build::new(32);
            let x = b.input("x", &[1, 4, 3, 3]);
            let w = b.random(&[4, 6 / group, 2, 2], 0.5);
            let c = b.random(&[6], 1.0);
            let mut inputs = vec![x.as_str(), &w];
            if bias {
                inputs.push(&c);
            }
            let m = b.node("ConvTranspose", &inputs, vec![int("group", group as i64), ints("strides", &[2, 2])]);
            let y = b.batch_norm(&m, 6);
            becomes(&finish(b, &y), &["ConvTranspose"]);
        }
    }
}

/// A transposed convolution from 4 to 6 channels with the given attributes.
fn transposed(b: &mut Build, x: &str, kernel: [usize; 2], group: usize, mut attributes: Vec<AttributeProto>) -> String {
    let w = b.random(&[4, 6 / group, kernel[0], kernel[1]], 0.5);
    let c = b.random(&[6], 1.0);
    attributes.push(int("group", group as i64));
    b.node("ConvTranspose", &[x, &w, &c], attributes)
}

fn shifted(size: i64, kernel: [usize; 2], group: usize, attributes: Vec<AttributeProto>) -> ModelProto {
    let mut b = Build::new(70);
    let x = b.input("x", &[2, 4, size, size]);
    let m = b.batch_norm(&x, 4);
    let y = transposed(&mut b, &m, kernel, group, attributes);
    finish(b, &y)
}

#[test]
fn a_scale_before_a_transposed_convolution_folds_at_every_border() {
    let windows = [
        vec![],
        vec![ints("strides", &[2, 2]), ints("pads", &[1, 0, 1, 1])],
        vec![ints("strides", &[3, 2]), ints("dilations", &[2, 1]), ints("output_padding", &[1, 0])],
        vec![string("auto_pad", "SAME_UPPER"), ints("strides", &[2, 2])],
    ];
    for attributes in windows {
        for group in [1, 2] {
            let mut b = Build::new(71);
            let x = b.input("x", &[2, 4, 3, 4]);
            let m = layer_scale(&mut b, &x, 4);
            let y = transposed(&mut b, &m, [3, 2], group, attributes.clone());
            becomes(&finish(b, &y), &["ConvTranspose"]);
        }
    }
}

/// Every tap reaches every entry: one tap and stride 1, or pads that crop as much as the window reaches.
#[test]
fn a_shift_before_a_transposed_convolution_where_every_tap_reaches() {
    for group in [1, 2] {
        becomes(&shifted(4, [1, 1], group, vec![]), &["ConvTranspose"]);
        becomes(&shifted(4, [1, 1], group, vec![ints("pads", &[1, 0, 0, 1])]), &["ConvTranspose"]);
        becomes(&shifted(4, [3, 2], group, vec![ints("pads", &[2, 1, 2, 1])]), &["ConvTranspose"]);
        becomes(&shifted(5, [3, 1], group, vec![ints("pads", &[3, 0, 2, 0])]), &["ConvTranspose"]);
        let apart = vec![ints("dilations", &[2, 1]), ints("pads", &[4, 0, 4, 0])];
        becomes(&shifted(6, [3, 1], group, apart), &["ConvTranspose"]);
    }
}

#[test]
fn a_shift_before_a_transposed_convolution_whose_border_fewer_taps_reach() {
    let refused = |kernel: [usize; 2], attributes: Vec<AttributeProto>, word: &str| {
        stays(&shifted(6, kernel, 1, attributes), "border", word);
    };
    refused([3, 1], vec![], "in front of spatial axis 0");
    refused([3, 1], vec![ints("pads", &[1, 0, 1, 0])], "in front of spatial axis 0");
    refused([1, 3], vec![ints("pads", &[0, 2, 0, 1])], "behind spatial axis 1");
    refused([3, 1], vec![ints("pads", &[2, 0, 2, 0]), ints("dilations", &[2, 1])], "in front of spatial axis 0");
    refused([2, 2], vec![ints("strides", &[2, 2])], "axis 0 its stride");
    refused([1, 1], vec![ints("strides", &[1, 2])], "axis 1 its stride");
    let grown = vec![ints("strides", &[2, 2]), ints("output_padding", &[1, 1])];
    refused([1, 1], grown, "stride");
    refused([1, 1], vec![ints("dilations", &[2, 1]), ints("output_padding", &[1, 0])], "behind spatial axis 0");
    refused([1, 1], vec![string("auto_pad", "SAME_UPPER")], "depend on the size");
    refused([1, 1], vec![ints("output_shape", &[7, 7])], "depend on the size");
}

#[test]
fn constants_on_both_sides_of_a_transposed_convolution() {
    let mut b = Build::new(72);
    let x = b.input("x", &[1, 4, 3, 3]);
    let m = layer_scale(&mut b, &x, 4);
    let m = transposed(&mut b, &m, [2, 2], 2, vec![ints("strides", &[2, 2])]);
    let y = b.batch_norm(&m, 6);
    becomes(&finish(b, &y), &["ConvTranspose"]);
}

#[test]
fn what_else_needs_the_tensor_before_a_transposed_convolution() {
    let build = |needed: u8| {
        let mut b = Build::new(73);
        let x = b.input("x", &[1, 4, 3, 3]);
        let m = layer_scale(&mut b, &x, 4);
        let y = transposed(&mut b, &m, [2, 2], 1, vec![]);
        match needed {
            0 => b.output(&m),
            1 => {
                let z = b.relu(&m);
                b.output(&z);
            }
            _ => {
                let z = captured(&mut b, &m);
                b.output(&z);
            }
        }
        finish(b, &y)
    };
    for needed in 0..3 {
        stays(&build(needed), "read-elsewhere", "output of the graph");
    }
}

#[test]
fn a_shared_or_overridable_weight_of_a_transposed_convolution() {
    let build = |free: bool| {
        let mut b = Build::new(74);
        let x = b.input("x", &[1, 4, 3, 3]);
        let w = b.random(&[4, 4, 2, 2], 0.5);
        let m = layer_scale(&mut b, &x, 4);
        let m = b.node("ConvTranspose", &[&m, &w], vec![]);
        let m = b.relu(&m);
        let y = b.node("ConvTranspose", &[&m, &w], vec![]);
        if free {
            b.input(&w, &[4, 4, 2, 2]);
        }
        (finish(b, &y), w)
    };
    let (model, w) = build(false);
    let after = becomes(&model, &["ConvTranspose", "Relu", "ConvTranspose"]);
    assert_eq!(initializer(&after, &w), initializer(&model, &w));
    assert!(initializer(&after, &w).is_some());
    stays(&build(true).0, "weight-not-constant", "override");
}

#[test]
fn the_sum_of_two_transposed_convolutions_is_one() {
    let windows = [
        ([4, 4], vec![ints("strides", &[2, 2]), ints("pads", &[1, 1, 1, 1])], [2, 2], vec![ints("strides", &[2, 2])]),
        ([3, 3], vec![ints("pads", &[1, 0, 1, 1])], [1, 2], vec![]),
        ([3, 3], vec![ints("dilations", &[2, 2]), ints("pads", &[2, 2, 2, 2])], [1, 1], vec![]),
    ];
    for (large, first, small, second) in windows {
        for (op, group) in [("Add", 1), ("Add", 2), ("Sub", 1), ("Sum", 2)] {
            let mut b = Build::new(75);
            let x = b.input("x", &[2, 4, 3, 4]);
            let p = transposed(&mut b, &x, large, group, first.clone());
            let q = transposed(&mut b, &x, small, group, second.clone());
            let y = b.node(op, &[&q, &p], vec![]);
            becomes(&finish(b, &y), &["ConvTranspose"]);
        }
    }
}

#[test]
fn transposed_convolutions_that_are_no_one() {
    let summed = |second: Vec<AttributeProto>, kernel: [usize; 2], needed: bool| {
        let mut b = Build::new(76);
        let x = b.input("x", &[1, 4, 3, 3]);
        let p = transposed(&mut b, &x, [3, 3], 1, vec![ints("pads", &[1, 1, 1, 1])]);
        let q = transposed(&mut b, &x, kernel, 1, second);
        let y = b.add(&p, &q);
        if needed {
            b.output(&q);
        }
        finish(b, &y)
    };
    stays(&summed(vec![], [1, 1], true), "read-elsewhere", "output of the graph");
    stays(
        &summed(vec![ints("strides", &[3, 3]), ints("pads", &[2, 2, 2, 2])], [1, 1], false),
        "bad-convolution",
        "strides",
    );
    stays(&summed(vec![string("auto_pad", "SAME_UPPER")], [1, 1], false), "border", "size of the image");
    let apart = vec![ints("dilations", &[3, 3]), ints("pads", &[3, 3, 3, 3])];
    stays(&summed(apart, [3, 3], false), "dearer", "products");
}
