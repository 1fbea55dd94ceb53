//! Constants behind a linear layer over rows of channels.

use super::*;

/// A layer on 5 tokens of 8 features, and what stands behind.
fn tokens(bias: bool, behind: fn(&mut Build, &str) -> String) -> ModelProto {
    let mut b = Build::new(30);
    let x = b.input("x", &[-1, 5, 8]);
    let w = b.random(&[8, 16], 0.5);
    let mut y = b.node("MatMul", &[&x, &w], vec![]);
    if bias {
        let c = b.random(&[16], 1.0);
        y = b.add(&y, &c);
    }
    let y = behind(&mut b, &y);
    finish(b, &y)
}

fn reshape(b: &mut Build, x: &str, sizes: &[i64]) -> String {
    let sizes = b.ints(sizes);
    b.node("Reshape", &[x, &sizes], vec![])
}

#[test]
fn constants_behind_a_layer_on_tokens() {
    let scaled = |b: &mut Build, y: &str| {
        let s = b.random(&[16], 1.0);
        let y = b.node("Mul", &[y, &s], vec![]);
        b.relu(&y)
    };
    becomes(&tokens(false, scaled), &["MatMul", "Relu"]);
    becomes(&tokens(true, scaled), &["MatMul", "Add", "Relu"]);
}

/// LeViT: the tokens of all images are rows of one matrix while they are normed.
#[test]
fn batch_norm_behind_a_layer_across_another_numbering() {
    for bias in [false, true] {
        let normed = |b: &mut Build, y: &str| {
            let y = reshape(b, y, &[-1, 16]);
            let y = b.batch_norm(&y, 16);
            let y = reshape(b, &y, &[-1, 5, 16]);
            b.relu(&y)
        };
        becomes(&tokens(bias, normed), &["MatMul", "Add", "Reshape", "Reshape", "Relu"]);
    }
}

/// `reshape_as`: the sizes of what the layer gives are asked for, and those of what is normed.
#[test]
fn batch_norm_behind_a_layer_whose_sizes_are_asked_for() {
    for bias in [false, true] {
        let normed = |b: &mut Build, y: &str| {
            let (whole, start, end) = (b.node("Shape", &[y], vec![]), b.ints(&[2]), b.ints(&[3]));
            let features = b.node("Slice", &[&whole, &start, &end], vec![]);
            let rest = b.ints(&[-1]);
            let flat = b.node("Concat", &[&rest, &features], vec![int("axis", 0)]);
            let flat = b.node("Reshape", &[y, &flat], vec![]);
            let z = b.batch_norm(&flat, 16);
            let z = b.node("Reshape", &[&z, &whole], vec![]);
            b.relu(&z)
        };
        let model = tokens(bias, normed);
        let (after, _) = rewrite(&model, &linear());
        assert!(ops(&after).iter().all(|op| *op != "BatchNormalization"), "{:?}", ops(&after));
        assert!(distance(&model, &after) < ROUNDING);
    }
}

/// `BatchNorm1d` has its channels in front of the tokens.
#[test]
fn batch_norm_behind_a_layer_between_transpositions() {
    fn to_front(b: &mut Build, y: &str) -> String {
        b.node("Transpose", &[y], vec![ints("perm", &[0, 2, 1])])
    }
    for bias in [false, true] {
        let normed = |b: &mut Build, y: &str| {
            let y = to_front(b, y);
            let y = b.batch_norm(&y, 16);
            let y = to_front(b, &y);
            b.relu(&y)
        };
        becomes(&tokens(bias, normed), &["MatMul", "Add", "Transpose", "Transpose", "Relu"]);
    }
    // The tokens are on axis 1 here.
    let of_tokens = |b: &mut Build, y: &str| {
        let y = b.node("Transpose", &[y], vec![ints("perm", &[2, 1, 0])]);
        let y = b.batch_norm(&y, 5);
        b.relu(&y)
    };
    let (after, _) = rewrite(&tokens(true, of_tokens), &linear());
    assert!(ops(&after).contains(&"BatchNormalization"));
    // Channels on the first axis are read as none.
    let in_front = |b: &mut Build, y: &str| {
        let y = b.node("Transpose", &[y], vec![]);
        let s = b.random(&[16, 1, 1], 1.0);
        let y = b.node("Mul", &[&y, &s], vec![]);
        b.relu(&y)
    };
    let (after, _) = rewrite(&tokens(true, in_front), &linear());
    assert!(ops(&after).contains(&"Mul"));
}

/// A bias right behind is how a layer on tokens is written.
#[test]
fn a_layer_and_its_bias_stay_as_they_are() {
    let model = tokens(true, |b, y| b.relu(y));
    assert_eq!(rewrite(&model, &linear()).0, model);
}

#[test]
fn a_norm_of_another_axis_stays() {
    let model = tokens(false, |b, y| b.batch_norm(y, 5));
    assert_eq!(rewrite(&model, &linear()).0, model);
}

#[test]
fn what_is_read_before_the_constants_stays() {
    let read = |b: &mut Build, y: &str| {
        let s = b.random(&[16], 1.0);
        let z = b.node("Mul", &[y, &s], vec![]);
        b.output(y);
        b.relu(&z)
    };
    stays(&tokens(false, read), "read-elsewhere", "output of the graph");
}
