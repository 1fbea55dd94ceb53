//! Parallel linear branches.

use super::*;

/// RepVGG's block: a kxk and a 1x1 convolution and the identity, each with a BatchNormalization.
pub(crate) fn repvgg(b: &mut Build, x: &str, channels: usize, kernel: usize, axes: usize, group: usize) -> String {
    let wide = b.conv(x, &conv(channels, channels, kernel).axes(axes).group(group));
    let wide = b.batch_norm(&wide, channels);
    let one = b.conv(x, &conv(channels, channels, 1).axes(axes).group(group));
    let one = b.batch_norm(&one, channels);
    let same = b.batch_norm(x, channels);
    let sum = b.add(&wide, &one);
    b.add(&sum, &same)
}

#[test]
fn repvgg_is_one_convolution() {
    for (axes, size) in [(2, 7), (1, 9), (3, 4), (2, 1), (2, 2)] {
        for group in [1, 2, 4] {
            let mut b = Build::new(group as u64);
            let x = b.input("x", &[&[2, 4][..], &vec![size; axes]].concat());
            let y = repvgg(&mut b, &x, 4, 5, axes, group);
            let after = becomes(&finish(b, &y), &["Conv"]);
            let folded = node(&after, "Conv");
            assert_eq!(attribute(folded, "group"), [group as i64], "no denser than needed");
            assert_eq!(attribute(folded, "kernel_shape"), vec![5; axes]);
        }
    }
}

#[test]
fn unknown_sizes_fold_where_every_window_keeps_them() {
    let mut b = Build::new(1);
    let x = b.input("x", &[-1, 4, -1, -1]);
    let y = repvgg(&mut b, &x, 4, 3, 2, 1);
    becomes(&finish(b, &y), &["Conv"]);
}

#[test]
fn a_strided_block_without_the_identity() {
    for size in [1, 2, 7, 8] {
        let mut b = Build::new(2);
        let x = b.input("x", &[1, 4, size, size]);
        let wide = b.conv(&x, &conv(4, 8, 3).stride(2));
        let one = b.conv(&x, &conv(4, 8, 1).stride(2));
        let y = b.add(&one, &wide);
        becomes(&finish(b, &y), &["Conv"]);
    }
}

#[test]
fn asymmetric_kernels_and_pads_share_one_window() {
    let mut b = Build::new(3);
    let x = b.input("x", &[1, 3, 6, 5]);
    let parts = [
        free(3, 4, [3, 3], [1, 1, 1, 1]),
        free(3, 4, [1, 3], [0, 1, 0, 1]),
        free(3, 4, [3, 1], [1, 0, 1, 0]),
        free(3, 4, [2, 2], [0, 1, 1, 0]),
    ];
    let outputs: Vec<String> = parts.iter().map(|p| p.add(&mut b, &x)).collect();
    let y = b.node("Sum", &outputs.iter().map(String::as_str).collect::<Vec<_>>(), vec![]);
    let after = becomes(&finish(b, &y), &["Conv"]);
    assert_eq!(attribute(node(&after, "Conv"), "pads"), [1; 4]);
}

#[test]
fn dilated_taps_that_fit() {
    let mut b = Build::new(4);
    let x = b.input("x", &[1, 3, 6, 6]);
    let five = b.conv(&x, &conv(3, 3, 5));
    let apart = b.conv(&x, &conv(3, 3, 3).dilation(2));
    let sum = b.add(&five, &apart);
    let y = b.add(&sum, &x);
    let after = becomes(&finish(b, &y), &["Conv"]);
    assert_eq!(attribute(node(&after, "Conv"), "kernel_shape"), [5, 5]);
}

#[test]
fn dilated_taps_that_would_need_a_dearer_window() {
    let mut b = Build::new(5);
    let x = b.input("x", &[1, 3, 8, 8]);
    let three = b.conv(&x, &conv(3, 3, 3));
    let apart = b.conv(&x, &conv(3, 3, 3).dilation(2));
    let y = b.add(&three, &apart);
    stays(&finish(b, &y), "dearer", "MACs");
}

/// DBB's branches: 1x1, then kxk; 1x1, then average pooling; and a plain kxk.
#[test]
fn sequences_inside_of_a_branch() {
    let mut b = Build::new(6);
    let x = b.input("x", &[2, 4, 5, 5]);
    let plain = b.conv(&x, &conv(4, 4, 3));
    let first = free(4, 4, [1, 1], [0; 4]).add(&mut b, &x);
    let deep = b.conv(&first, &conv(4, 4, 3));
    let deep = b.batch_norm(&deep, 4);
    let second = free(4, 4, [1, 1], [0; 4]).add(&mut b, &x);
    let pooled = average(&mut b, &second, 3, 1, 1, 1, 0);
    let pooled = b.batch_norm(&pooled, 4);
    let sum = b.add(&plain, &deep);
    let y = b.add(&sum, &pooled);
    becomes(&finish(b, &y), &["Conv"]);
}

#[test]
fn a_bias_before_a_padded_convolution_inside_of_a_branch() {
    let mut b = Build::new(7);
    let x = b.input("x", &[2, 4, 5, 5]);
    let plain = b.conv(&x, &conv(4, 4, 3));
    let first = b.conv(&x, &conv(4, 4, 1));
    let deep = b.conv(&first, &conv(4, 4, 3));
    let y = b.add(&plain, &deep);
    stays(&finish(b, &y), "border", "bias");
}

/// FastViT's mixer: `x + s * (depthwise(x) + 1x1(x) - BN(x))`.
#[test]
fn layer_scale_and_sub() {
    let mut b = Build::new(8);
    let x = b.input("x", &[2, 6, 5, 5]);
    let wide = b.conv(&x, &conv(6, 6, 3).group(6));
    let one = b.conv(&x, &conv(6, 6, 1).group(6));
    let same = b.batch_norm(&x, 6);
    let mixed = b.add(&wide, &one);
    let mixed = b.node("Sub", &[&mixed, &same], vec![]);
    let scaled = layer_scale(&mut b, &mixed, 6);
    let y = b.add(&scaled, &x);
    let after = becomes(&finish(b, &y), &["Conv"]);
    assert_eq!(attribute(node(&after, "Conv"), "group"), [6]);
}

#[test]
fn a_depthwise_and_a_dense_branch_are_cheaper_apart() {
    let mut b = Build::new(9);
    let x = b.input("x", &[1, 8, 5, 5]);
    let wide = b.conv(&x, &conv(8, 8, 3).group(8));
    let one = b.conv(&x, &conv(8, 8, 1));
    let y = b.add(&wide, &one);
    stays(&finish(b, &y), "dearer", "14400 MACs, what it replaces 3400");
}

#[test]
fn average_pooling_with_counted_padding_or_a_proved_size() {
    for (size, kernel, stride, pad, counted, ceil) in
        [(7, 3, 1, 1, 1, 0), (8, 2, 2, 0, 0, 0), (8, 2, 2, 0, 0, 1), (1, 3, 1, 1, 1, 0), (9, 3, 2, 1, 1, 1)]
    {
        let mut b = Build::new(10);
        let x = b.input("x", &[1, 4, size, size]);
        let wide = b.conv(&x, &conv(4, 4, 3).stride(stride as usize));
        let pooled = average(&mut b, &x, kernel, stride, pad, counted, ceil);
        let y = b.add(&wide, &pooled);
        becomes(&finish(b, &y), &["Conv"]);
    }
}

#[test]
fn average_pooling_that_divides_by_less_at_a_border() {
    for (size, kernel, stride, pad, counted, ceil) in
        [(7, 3, 1, 1, 0, 0), (7, 2, 2, 0, 0, 1), (7, 2, 2, 0, 1, 1), (1, 3, 1, 1, 0, 0)]
    {
        let mut b = Build::new(11);
        let x = b.input("x", &[1, 4, size, size]);
        let wide = b.conv(&x, &conv(4, 4, 3).stride(stride as usize));
        let pooled = average(&mut b, &x, kernel, stride, pad, counted, ceil);
        let y = b.add(&wide, &pooled);
        stays(&finish(b, &y), "border", "AveragePool");
    }
}

#[test]
fn sizes_that_only_broadcasting_reconciles() {
    let mut b = Build::new(12);
    let x = b.input("x", &[1, 4, 3, 3]);
    let one = b.conv(&x, &conv(4, 4, 3).pad(0));
    let y = b.add(&one, &x);
    stays(&finish(b, &y), "size-unknown", "axis 0");
}

#[test]
fn two_tensors_are_not_one() {
    let mut b = Build::new(13);
    let (x, z) = (b.input("x", &[1, 4, 5, 5]), b.input("z", &[1, 4, 5, 5]));
    let (p, q) = (b.conv(&x, &conv(4, 4, 3)), b.conv(&z, &conv(4, 4, 3)));
    let y = b.add(&p, &q);
    let model = finish(b, &y);
    let (after, outcome) = rewrite(&model, &linear());
    assert_eq!(after, model);
    assert!(outcome.sites.is_empty(), "no linear merge, so nothing to refuse: {:?}", outcome.sites);
}

#[test]
fn a_sum_around_an_activation_leaves_the_sums_inside() {
    let mut b = Build::new(14);
    let x = b.input("x", &[1, 4, 5, 5]);
    let inner = repvgg(&mut b, &x, 4, 3, 2, 1);
    let relu = b.relu(&inner);
    let y = b.add(&relu, &x);
    becomes(&finish(b, &y), &["Conv", "Relu", "Add"]);
}

#[test]
fn a_branch_read_elsewhere_stays_when_that_makes_the_sum_dearer() {
    let block = |b: &mut Build| {
        let x = b.input("x", &[1, 4, 5, 5]);
        let wide = b.conv(&x, &conv(4, 4, 3));
        let one = b.conv(&x, &conv(4, 4, 1));
        (b.add(&wide, &one), wide, one)
    };
    // Read by another operator.
    let mut b = Build::new(15);
    let (y, wide, _) = block(&mut b);
    let z = b.relu(&wide);
    b.output(&z);
    stays(&finish(b, &y), "dearer", &format!("'{wide}' stays"));
    // A graph output.
    let mut b = Build::new(15);
    let (y, wide, _) = block(&mut b);
    b.output(&wide);
    stays(&finish(b, &y), "dearer", "read elsewhere");
    // Captured by a subgraph.
    let mut b = Build::new(15);
    let (y, wide, _) = block(&mut b);
    let z = captured(&mut b, &wide);
    b.output(&z);
    stays(&finish(b, &y), "dearer", "read elsewhere");
    // The cheap branch may stay: the sum is gone and nothing is dearer.
    let mut b = Build::new(15);
    let (y, _, one) = block(&mut b);
    b.output(&one);
    becomes(&finish(b, &y), &["Conv", "Conv"]);
}

#[test]
fn a_shared_initializer_keeps_its_bytes() {
    let mut b = Build::new(16);
    let x = b.input("x", &[1, 4, 5, 5]);
    let w = b.random(&[4, 4, 3, 3], 0.3);
    let args = conv(4, 4, 3);
    let (p, q) = (b.conv_with(&[&x, &w], &args), b.conv_with(&[&x, &w], &args));
    let sum = b.add(&p, &q);
    let relu = b.relu(&sum);
    let y = b.conv_with(&[&relu, &w], &args);
    let model = finish(b, &y);
    let after = becomes(&model, &["Conv", "Relu", "Conv"]);
    let tensor = |m: &ModelProto| m.graph.as_ref().unwrap().initializer.iter().find(|t| t.name() == w).cloned();
    assert!(tensor(&model).is_some());
    assert_eq!(tensor(&after), tensor(&model));
}

#[test]
fn a_weight_that_a_caller_may_override() {
    let mut b = Build::new(17);
    let x = b.input("x", &[1, 4, 5, 5]);
    let w = b.random(&[4, 4, 3, 3], 0.3);
    b.input(&w, &[4, 4, 3, 3]);
    let p = b.conv_with(&[&x, &w], &conv(4, 4, 3));
    let y = b.add(&p, &x);
    stays(&finish(b, &y), "weight-not-constant", "override");
}

#[test]
fn half_precision_that_would_overflow_stays() {
    let mut b = Build::new(18);
    let x = b.input("x", &[1, 2, 3, 3]);
    let w = b.floats(&[2, 2, 1, 1], vec![3e38; 4]);
    let p = b.conv_with(&[&x, &w], &conv(2, 2, 1));
    let q = b.conv_with(&[&x, &w], &conv(2, 2, 1));
    let y = b.add(&p, &q);
    stays(&finish(b, &y), "weight-not-constant", "too large");
}

/// A branch that is no linear map.
fn branch(b: &mut Build, x: &str) -> String {
    let y = b.conv(x, &conv(4, 4, 3));
    let y = b.relu(&y);
    b.conv(&y, &conv(4, 4, 3))
}

#[test]
fn linear_terms_of_a_longer_sum_fold_first() {
    type Sum = fn(&mut Build, &str, &str, &str) -> String;
    let sums: [Sum; 4] = [
        |b, x, n, p| {
            let y = b.add(x, n);
            b.add(&y, p)
        },
        |b, x, n, p| {
            let y = b.add(n, p);
            b.add(x, &y)
        },
        |b, x, n, p| b.node("Sum", &[x, n, p], vec![]),
        |b, x, n, p| {
            let y = b.add(n, x);
            let y = b.add(&y, n);
            b.add(&y, p)
        },
    ];
    for sum in sums {
        let mut b = Build::new(20);
        let x = b.input("x", &[1, 4, 5, 5]);
        let n = branch(&mut b, &x);
        let p = b.conv(&x, &conv(4, 4, 1));
        let y = sum(&mut b, &x, &n, &p);
        let y = b.relu(&y);
        let model = finish(b, &y);
        let (after, outcome) = rewrite(&model, &linear());
        assert!(outcome.removed().any(|(site, _)| site.kind.as_str() == "parallel"), "{:?}", outcome.sites);
        let convs = ops(&after).iter().filter(|op| **op == "Conv").count();
        assert_eq!(convs, 3, "{}", onnx_rm::graph::dump(&after));
        same(&model, &after, &linear());
        assert_eq!(rewrite(&after, &linear()).1.removed().count(), 0, "a second run finds nothing");
    }
}

#[test]
fn a_longer_sum_of_which_a_part_is_needed_stays() {
    let mut b = Build::new(21);
    let x = b.input("x", &[1, 4, 5, 5]);
    let n = branch(&mut b, &x);
    let p = b.conv(&x, &conv(4, 4, 1));
    let part = b.add(&x, &n);
    let y = b.add(&part, &p);
    b.output(&part);
    let model = finish(b, &y);
    let (after, outcome) = rewrite(&model, &linear());
    assert_eq!((&after, outcome.removed().count()), (&model, 0));
}
