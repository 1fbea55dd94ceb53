//! Dead weight: only what is proved goes, and only when asked for.

use super::*;

fn dead() -> Options {
    only(&[Selector::Dead])
}

/// Weights `[outputs, inputs, k, k]` with some rows and columns of zeros.
fn holes(b: &mut Build, shape: [usize; 4], rows: &[usize], columns: &[usize]) -> String {
    let mut values = Vec::new();
    for o in 0..shape[0] {
        for i in 0..shape[1] {
            for _ in 0..shape[2] * shape[3] {
                let w = b.rng.unit();
                values.push(if rows.contains(&o) || columns.contains(&i) { 0.0 } else { w });
            }
        }
    }
    b.floats(&shape, values)
}

fn widths(model: &ModelProto) -> Vec<Vec<i64>> {
    let graph = model.graph.as_ref().unwrap();
    let convs = graph.node.iter().filter(|n| matches!(n.op_type(), "Conv" | "Gemm" | "MatMul"));
    convs.map(|n| initializer(model, &n.input[1]).unwrap().dims[..2].to_vec()).collect()
}

fn unchanged(model: &ModelProto, options: &Options) {
    let (after, outcome) = rewrite(model, options);
    assert_eq!(&after, model, "{}", onnx_rm::graph::dump(&after));
    assert_eq!(outcome.removed().count(), 0);
}

#[test]
fn rows_of_zeros_go_with_their_readers() {
    let mut b = Build::new(60);
    let x = b.input("x", &[1, 3, 5, 5]);
    let w = holes(&mut b, [6, 3, 3, 3], &[1, 4], &[]);
    let m = b.conv_with(&[&x, &w], &conv(3, 6, 3));
    let m = b.relu(&m);
    let y = b.conv(&m, &conv(6, 2, 1));
    let model = finish(b, &y);
    let after = becomes_with(&model, &dead(), &["Conv", "Relu", "Conv"]);
    assert_eq!(widths(&after), [[4, 3], [2, 4]]);
    unchanged(&model, &Options::default());
    unchanged(&model, &linear());
}

/// Windows that hold no entry of the map make the lowest number of a channel of zeros, not a zero.
#[test]
fn zeros_behind_a_window_in_the_padding_alone_stay() {
    for (pads, dilations) in [([1, 1, 0, 0], [1, 1]), ([2, 2, 2, 2], [1, 1]), ([1, 1, 1, 1], [4, 4])] {
        let mut b = Build::new(64);
        let x = b.input("x", &[1, 3, 3, 3]);
        let w = holes(&mut b, [6, 3, 1, 1], &[1, 4], &[]);
        let m = b.conv_with(&[&x, &w], &conv(3, 6, 1));
        let pool = vec![ints("kernel_shape", &[2, 2]), ints("pads", &pads), ints("dilations", &dilations)];
        let m = b.node("MaxPool", &[&m], pool);
        let y = b.conv(&m, &conv(6, 2, 1));
        let model = finish(b, &y);
        match pads {
            [1, 1, 0, 0] => {
                let after = becomes_with(&model, &dead(), &["Conv", "MaxPool", "Conv"]);
                assert_eq!(widths(&after), [[4, 3], [2, 4]]);
            }
            _ => unchanged(&model, &dead()),
        }
    }
}

#[test]
fn channels_that_nothing_reads_go_through_everything_between() {
    let mut b = Build::new(61);
    let x = b.input("x", &[2, 3, 6, 6]);
    let m = b.conv(&x, &conv(3, 6, 3));
    let m = b.relu(&m);
    let m = b.batch_norm(&m, 6);
    let m = b.conv(&m, &conv(6, 6, 3).group(6).stride(2));
    let slope = b.random(&[6, 1, 1], 1.0);
    let m = b.node("PRelu", &[&m, &slope], vec![]);
    let half = b.floats(&[], vec![0.5]);
    let m = b.node("Mul", &[&m, &half], vec![]);
    let w = holes(&mut b, [4, 6, 1, 1], &[], &[0, 2, 3]);
    let p = b.conv_with(&[&m, &w], &conv(6, 4, 1));
    let v = holes(&mut b, [4, 6, 3, 3], &[], &[2, 3, 5]);
    let q = b.conv_with(&[&m, &v], &conv(6, 4, 3));
    b.output(&p);
    let model = finish(b, &q);
    let want = ["Conv", "Relu", "BatchNormalization", "Conv", "PRelu", "Mul", "Conv", "Conv"];
    let after = becomes_with(&model, &dead(), &want);
    assert_eq!(widths(&after), [[4, 3], [4, 1], [4, 4], [4, 4]], "only what no reader reads");
    let depthwise = after.graph.as_ref().unwrap().node.iter().filter(|n| n.op_type() == "Conv").nth(1).unwrap();
    assert_eq!(attribute(depthwise, "group"), [4]);
}

#[test]
fn a_bound_below_zero_kills_what_stands_before_a_relu() {
    let mut b = Build::new(62);
    let x = b.input("x", &[1, 3, 5, 5]);
    let start = b.node("Sigmoid", &[&x], vec![]);
    // On inputs within [0, 1]: channel 0 is at most -1, channel 1 at most 0.5, channel 2 at most 0.
    let w = b.floats(&[3, 3, 1, 1], vec![0.5, 0.25, 0.25, 1.0, 0.5, -1.0, -1.0, -0.5, -0.25]);
    let c = b.floats(&[3], vec![-2.0, -1.0, 0.0]);
    let m = b.conv_with(&[&start, &w, &c], &conv(3, 3, 1));
    let m = b.relu(&m);
    let y = b.conv(&m, &conv(3, 2, 3));
    let after = becomes_with(&finish(b, &y), &dead(), &["Sigmoid", "Conv", "Relu", "Conv"]);
    assert_eq!(widths(&after), [[1, 3], [2, 1]]);
}

#[test]
fn a_row_of_zeros_with_a_bias_is_not_dead() {
    let mut b = Build::new(63);
    let x = b.input("x", &[1, 3, 5, 5]);
    let w = holes(&mut b, [4, 3, 3, 3], &[0, 1], &[]);
    let c = b.floats(&[4], vec![0.25, -0.25, 0.0, 0.0]);
    let m = b.conv_with(&[&x, &w, &c], &conv(3, 4, 3));
    let m = b.relu(&m);
    let y = b.conv(&m, &conv(4, 2, 3));
    let after = becomes_with(&finish(b, &y), &dead(), &["Conv", "Relu", "Conv"]);
    assert_eq!(widths(&after), [[3, 3], [2, 3]], "the negative one is cut by the Relu, the positive one is not");
}

#[test]
fn one_channel_stays() {
    let mut b = Build::new(64);
    let x = b.input("x", &[1, 3, 5, 5]);
    let m = b.conv(&x, &conv(3, 4, 3));
    let w = holes(&mut b, [2, 4, 1, 1], &[0, 1], &[]);
    let c = b.random(&[2], 1.0);
    let y = b.conv_with(&[&m, &w, &c], &conv(4, 2, 1));
    let after = becomes_with(&finish(b, &y), &dead(), &["Conv", "Conv"]);
    assert_eq!(widths(&after), [[1, 3], [2, 1]]);
}

#[test]
fn whatever_else_reads_the_channels_keeps_them() {
    let build = |other: u8| {
        let mut b = Build::new(65);
        let x = b.input("x", &[1, 3, 5, 5]);
        let w = holes(&mut b, [6, 3, 3, 3], &[1], &[]);
        let m = b.conv_with(&[&x, &w], &conv(3, 6, 3));
        match other {
            0 => b.output(&m),
            1 => {
                let z = captured(&mut b, &m);
                b.output(&z);
            }
            2 => {
                let z = b.node("GlobalAveragePool", &[&m], vec![]);
                let z = b.node("Flatten", &[&z], vec![]);
                b.output(&z);
            }
            3 => {
                let z = b.conv(&m, &conv(6, 6, 1).group(2));
                b.output(&z);
            }
            _ => b.graph.input.push(ValueInfoProto { name: Some(w), ..ValueInfoProto::default() }),
        }
        let y = b.conv(&m, &conv(6, 2, 1));
        finish(b, &y)
    };
    for other in 0..5 {
        unchanged(&build(other), &dead());
    }
}

#[test]
fn a_row_of_zeros_in_one_group_of_several_stays() {
    let mut b = Build::new(67);
    let x = b.input("x", &[1, 4, 5, 5]);
    let w = holes(&mut b, [6, 2, 3, 3], &[1], &[]);
    let m = b.conv_with(&[&x, &w], &conv(4, 6, 3).group(2));
    let m = b.relu(&m);
    let y = b.conv(&m, &conv(6, 2, 1));
    unchanged(&finish(b, &y), &dead());
}

/// Three groups of four channels; two of each, two and three of them, or none of the third are zero.
#[test]
fn every_group_of_a_grouped_producer_loses_as_many() {
    let build = |rows: &[usize]| {
        let mut b = Build::new(68);
        let x = b.input("x", &[1, 6, 5, 5]);
        let w = holes(&mut b, [12, 2, 3, 3], rows, &[]);
        let m = b.conv_with(&[&x, &w], &conv(6, 12, 3).group(3));
        let m = b.relu(&m);
        let y = b.conv(&m, &conv(12, 2, 1));
        finish(b, &y)
    };
    let narrowed = |rows: &[usize]| {
        let after = becomes_with(&build(rows), &dead(), &["Conv", "Relu", "Conv"]);
        assert_eq!(attribute(node(&after, "Conv"), "group"), [3]);
        widths(&after)
    };
    assert_eq!(narrowed(&[0, 1, 5, 7, 10, 11]), [[6, 2], [2, 6]]);
    assert_eq!(narrowed(&[3, 4, 5, 6, 8, 9]), [[9, 2], [2, 9]], "as many as the poorest group has");
    assert_eq!(narrowed(&(0..12).collect::<Vec<_>>()), [[3, 2], [2, 3]], "a group must have a channel");
    unchanged(&build(&[0, 1, 2, 4]), &dead());
}

/// A grouped convolution between: whole groups go, with all channels that they read and write.
#[test]
fn whole_groups_go_where_nothing_reads_them() {
    let build = |columns: &[usize]| {
        let mut b = Build::new(69);
        let x = b.input("x", &[2, 3, 6, 6]);
        let m = b.conv(&x, &conv(3, 8, 3));
        let m = b.relu(&m);
        // 4 groups of 2 channels, which become 3 each; then 2 groups of 6, which become 4 each.
        let m = b.conv(&m, &conv(8, 12, 3).group(4));
        let m = b.batch_norm(&m, 12);
        let m = b.conv(&m, &conv(12, 8, 1).group(2));
        let w = holes(&mut b, [2, 8, 1, 1], &[], columns);
        let y = b.conv_with(&[&m, &w], &conv(8, 2, 1));
        finish(b, &y)
    };
    let want = ["Conv", "Relu", "Conv", "BatchNormalization", "Conv", "Conv"];
    let after = becomes_with(&build(&[4, 5, 6, 7]), &dead(), &want);
    assert_eq!(widths(&after), [[4, 3], [6, 2], [4, 6], [2, 4]]);
    let groups: Vec<_> = after.graph.as_ref().unwrap().node.iter().filter(|n| n.op_type() == "Conv").collect();
    assert_eq!(attribute(groups[1], "group"), [2]);
    assert_eq!(attribute(groups[2], "group"), [1]);
    // Not a whole group: the last grouped convolution loses what each of its groups can.
    let after = becomes_with(&build(&[0, 1, 2, 4, 5]), &dead(), &want);
    assert_eq!(widths(&after), [[8, 3], [12, 2], [4, 6], [2, 4]]);
    unchanged(&build(&[0, 1, 2]), &dead());
}

#[test]
fn channels_that_a_linear_layer_does_not_read() {
    let ways: [(usize, Between); 5] = [
        (9, |b, x| b.node("Flatten", &[x], vec![])),
        (1, |b, x| {
            let m = b.node("GlobalAveragePool", &[x], vec![]);
            b.node("Flatten", &[&m], vec![int("axis", 1)])
        }),
        (9, |b, x| {
            let shape = b.ints(&[2, -1]);
            b.node("Reshape", &[x, &shape], vec![])
        }),
        (9, |b, x| {
            let shape = b.ints(&[-1, 54]);
            b.node("Reshape", &[x, &shape], vec![])
        }),
        (1, |b, x| {
            let m = b.node("GlobalMaxPool", &[x], vec![]);
            let axes = b.ints(&[2, 3]);
            let m = b.node("Squeeze", &[&m, &axes], vec![]);
            let m = b.batch_norm(&m, 6);
            let s = b.random(&[6], 1.0);
            b.node("PRelu", &[&m, &s], vec![])
        }),
    ];
    for (each, between) in ways {
        for (op, transposed) in [("Gemm", 1), ("Gemm", 0), ("MatMul", 0)] {
            let build = |whole: bool| {
                let mut b = Build::new(90);
                let x = b.input("x", &[2, 3, 3, 3]);
                let m = b.conv(&x, &conv(3, 6, 3));
                let m = b.relu(&m);
                let m = between(&mut b, &m);
                // Channels 1 and 4; or all entries of channel 1 but one.
                let gone: Vec<usize> = match whole {
                    true => (each..2 * each).chain(4 * each..5 * each).collect(),
                    false => (each + 1..2 * each).collect(),
                };
                let (rows, columns, shape) = match transposed {
                    1 => (vec![], gone, [5, 6 * each, 1, 1]),
                    _ => (gone, vec![], [6 * each, 5, 1, 1]),
                };
                let w = holes(&mut b, shape, &rows, &columns);
                b.graph.initializer.last_mut().unwrap().dims.truncate(2);
                let attributes = if op == "Gemm" { vec![int("transB", transposed)] } else { vec![] };
                let y = b.node(op, &[&m, &w], attributes);
                finish(b, &y)
            };
            let model = build(true);
            let after = becomes_with(&model, &dead(), &ops(&model));
            let (wide, four) = (5, 4 * each as i64);
            let layer = if transposed == 1 { [wide, four] } else { [four, wide] };
            assert_eq!(widths(&after), [[4, 3], layer]);
            unchanged(&build(false), &dead());
        }
    }
}

/// Convolutions with any groups, rows and columns of zeros, then a layer: whatever goes, the rest computes the same.
#[test]
fn random_holes_compute_the_same() {
    let (mut narrowed, mut layers) = (0, 0);
    for seed in 0..120 {
        let mut b = Build::new(1000 + seed);
        let mut width = [4, 6, 12][b.rng.below(3)];
        let x = b.input("x", &[2, width as i64, 3, 2]);
        let mut m = x;
        for _ in 0..3 {
            let outputs = [4, 6, 12][b.rng.below(3)];
            let groups: Vec<usize> = (1..=width).filter(|g| width % g == 0 && outputs % g == 0).collect();
            let group = groups[b.rng.below(groups.len())];
            let mut some = |n: usize| (0..n).filter(|_| b.rng.below(3) == 0).collect::<Vec<_>>();
            let (rows, columns) = (some(outputs), some(width / group));
            let w = holes(&mut b, [outputs, width / group, 3, 3], &rows, &columns);
            m = b.conv_with(&[&m, &w], &conv(width, outputs, 3).group(group));
            width = outputs;
            m = match b.rng.below(4) {
                0 => b.relu(&m),
                1 => layer_scale(&mut b, &m, width),
                2 => b.node("MaxPool", &[&m], vec![ints("kernel_shape", &[1, 1])]),
                _ => m,
            };
        }
        let m = b.node("Flatten", &[&m], vec![]);
        let columns: Vec<usize> = (0..width * 6).filter(|i| i / 6 % 3 == 0 || b.rng.below(8) == 0).collect();
        let w = holes(&mut b, [3, width * 6, 1, 1], &[], &columns);
        b.graph.initializer.last_mut().unwrap().dims.truncate(2);
        let c = b.random(&[3], 1.0);
        let y = b.node("Gemm", &[&m, &w, &c], vec![int("transB", 1)]);
        let model = finish(b, &y);
        let (after, _) = rewrite(&model, &dead());
        let (before, now) = (widths(&model), widths(&after));
        narrowed += usize::from(now != before);
        layers += usize::from(now.last() != before.last());
        let far = distance(&model, &after);
        assert!(far <= ROUNDING, "{far:e} {seed}\n{}", onnx_rm::graph::dump(&model));
    }
    assert!(narrowed > 80 && layers > 60, "{narrowed} narrowed, {layers} with their layer");
}

#[test]
fn features_of_a_linear_layer_that_are_zero() {
    for bias in [vec![6], vec![1, 6], vec![1], vec![]] {
        let mut b = Build::new(91);
        let x = b.input("x", &[2, 3]);
        let w = holes(&mut b, [6, 3, 1, 1], &[0, 5], &[]);
        b.graph.initializer.last_mut().unwrap().dims.truncate(2);
        let c = b.floats(&bias, vec![-0.25; bias.iter().product()]);
        let m = b.node("Gemm", &[&x, &w, &c], vec![int("transB", 1)]);
        let m = b.relu(&m);
        let v = b.random(&[6, 2], 1.0);
        let y = b.node("MatMul", &[&m, &v], vec![]);
        let after = becomes_with(&finish(b, &y), &dead(), &["Gemm", "Relu", "MatMul"]);
        assert_eq!(widths(&after), [[4, 3], [4, 2]]);
    }
}

/// Rearranged so that a channel's features are apart, or read by something else as well.
#[test]
fn features_that_are_needed_or_out_of_order_stay() {
    let build = |other: u8| {
        let mut b = Build::new(92);
        let x = b.input("x", &[4, 3, 2, 2]);
        let w = holes(&mut b, [4, 3, 3, 3], &[1], &[]);
        let m = b.conv_with(&[&x, &w], &conv(3, 4, 3));
        let f = match other {
            0 => b.node("Flatten", &[&m], vec![int("axis", 2)]),
            1 => {
                let shape = b.ints(&[16, 4]);
                b.node("Reshape", &[&m, &shape], vec![])
            }
            2 => {
                let m = b.node("Transpose", &[&m], vec![ints("perm", &[0, 2, 3, 1])]);
                b.node("Flatten", &[&m], vec![])
            }
            _ => b.node("Flatten", &[&m], vec![]),
        };
        let features = if other < 2 { 4 } else { 16 };
        let v = b.random(&[features, 2], 1.0);
        match other {
            3 => b.output(&f),
            4 => {
                let z = captured(&mut b, &f);
                b.output(&z);
            }
            5 => {
                let z = b.node("Softmax", &[&f], vec![int("axis", 1)]);
                b.output(&z);
            }
            6 => b.input(&v, &[16, 2]).clear(),
            _ => {}
        }
        let y = b.node("MatMul", &[&f, &v], vec![]);
        finish(b, &y)
    };
    for other in 0..7 {
        unchanged(&build(other), &dead());
    }
    // Two layers read the features, and both lose what neither needs; a shared matrix is copied.
    let mut b = Build::new(92);
    let x = b.input("x", &[4, 3, 2, 2]);
    let w = holes(&mut b, [4, 3, 3, 3], &[1], &[]);
    let m = b.conv_with(&[&x, &w], &conv(3, 4, 3));
    let f = b.node("Flatten", &[&m], vec![]);
    let v = b.random(&[16, 16], 0.3);
    let p = b.node("MatMul", &[&f, &v], vec![]);
    let q = b.node("Gemm", &[&f, &v], vec![int("transB", 1)]);
    b.output(&p);
    let q = b.relu(&q);
    let y = b.node("MatMul", &[&q, &v], vec![]);
    let model = finish(b, &y);
    let after = becomes_with(&model, &dead(), &["Conv", "Flatten", "MatMul", "Gemm", "Relu", "MatMul"]);
    assert_eq!(widths(&after), [[3, 3], [12, 16], [16, 12], [16, 16]]);
    assert_eq!(initializer(&after, &v), initializer(&model, &v));
}

#[test]
fn initializers_that_are_unused_or_stand_twice() {
    let mut b = Build::new(66);
    let x = b.input("x", &[1, 4, 5, 5]);
    let unused = b.random(&[7], 1.0);
    let w = b.random(&[4, 4, 3, 3], 0.3);
    let mut twin = b.graph.initializer.last().unwrap().clone();
    twin.name = Some("twin".into());
    b.graph.initializer.push(twin.clone());
    twin.name = Some("free".into());
    b.graph.initializer.push(twin);
    b.input("free", &[4, 4, 3, 3]);
    let args = conv(4, 4, 3);
    let m = b.conv_with(&[&x, &w], &args);
    let m = b.relu(&m);
    let m = b.conv_with(&[&m, "twin"], &args);
    let m = b.relu(&m);
    let y = b.conv_with(&[&m, "free"], &args);
    let model = finish(b, &y);
    unchanged(&model, &Options::default());
    let (after, outcome) = rewrite(&model, &dead());
    assert_eq!(distance(&model, &after), 0.0);
    assert!(initializer(&after, &unused).is_none() && initializer(&after, "twin").is_none());
    assert_eq!(initializer(&after, "free"), initializer(&model, "free"), "a caller may give it another value");
    assert_eq!(initializer(&after, &w), initializer(&model, &w));
    let gone: Vec<_> = outcome.removed().map(|(s, _)| (s.kind.as_str(), s.tensor.as_str())).collect();
    assert_eq!(gone, [("dead", unused.as_str()), ("dead", "twin")]);
}
