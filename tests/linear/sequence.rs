//! Linear operators one after the other.

use super::*;
use crate::common::ConvArgs;

fn pair(first: &Free, second: &Free, size: i64) -> ModelProto {
    let mut b = Build::new(20);
    let x = b.input("x", &[1, first.channels.0 as i64, size, size]);
    let m = first.add(&mut b, &x);
    let y = second.add(&mut b, &m);
    finish(b, &y)
}

fn biased(mut f: Free) -> Free {
    f.bias = true;
    f
}

/// The table of borders, with channels for which the composed convolution is the cheaper one.
#[test]
fn convolution_after_convolution_where_the_border_allows() {
    let wide = |k: usize, p: i64| free(2, 16, [k; 2], [p; 4]);
    let narrow = |k: usize, p: i64| free(16, 2, [k; 2], [p; 4]);
    for size in [1, 2, 6] {
        becomes(&pair(&biased(wide(3, 1)), &biased(narrow(1, 0)), size), &["Conv"]);
        becomes(&pair(&wide(1, 0), &biased(narrow(3, 1)), size), &["Conv"]);
        becomes(&pair(&biased(wide(3, 2)), &narrow(3, 0), size), &["Conv"]);
        becomes(&pair(&wide(3, 2), &narrow(3, 1), size), &["Conv"]);
    }
    stays(&pair(&biased(wide(1, 0)), &narrow(3, 1), 6), "border", "bias");
    stays(&pair(&wide(3, 1), &narrow(3, 1), 6), "border", "in front of spatial axis 0");
    stays(&pair(&wide(3, 0), &narrow(3, 1), 6), "border", "in front of spatial axis 0");
    let behind = Free { pads: [0, 0, 0, 1], ..narrow(3, 0) };
    stays(&pair(&wide(3, 1), &behind, 6), "border", "behind spatial axis 1");
}

#[test]
fn a_bias_of_zeros_is_none() {
    let mut b = Build::new(21);
    let x = b.input("x", &[1, 2, 4, 4]);
    let w = b.random(&[8, 2, 1, 1], 0.5);
    let zero = b.floats(&[8], vec![0.0; 8]);
    let m = b.conv_with(&[&x, &w, &zero], &conv(2, 8, 1));
    let y = b.conv(&m, &conv(8, 2, 3));
    becomes(&finish(b, &y), &["Conv"]);
}

/// Every pair of small windows: whatever folds computes the same, and refusals name a border or a price.
#[test]
fn random_pairs_compute_the_same() {
    let (mut folded, mut kept) = (0, 0);
    for seed in 0..150 {
        let mut r = common::Rng(seed);
        let mut any = |channels: (usize, usize), groups: &[usize]| Free {
            channels,
            kernel: [1 + r.below(3), 1 + r.below(3)],
            stride: [1 + r.below(2) as i64, 1 + r.below(2) as i64],
            dilation: [1 + r.below(2) as i64, 1 + r.below(2) as i64],
            pads: [0; 4].map(|_| (r.below(3) as i64 - r.below(2) as i64).max(0)),
            group: groups[r.below(groups.len())],
            bias: r.below(2) == 0,
        };
        let first = any((4, 24), &[1, 2, 4]);
        let second = any((24, 4), &[1, 2, 4]);
        let size = 9 + r.below(3) as i64;
        let model = pair(&first, &second, size);
        let (after, outcome) = rewrite(&model, &linear());
        if outcome.removed().count() > 0 {
            folded += 1;
            same(&model, &after, &linear());
        } else {
            kept += 1;
            assert!(outcome.kept().all(|(_, r)| r.code == "border" || r.code == "dearer"));
        }
    }
    assert!(folded > 25 && kept > 25, "{folded} folded, {kept} kept");
}

#[test]
fn batch_norm_behind_a_convolution() {
    for args in [conv(3, 4, 3), conv(4, 4, 3).group(4), conv(3, 4, 3).stride(2)] {
        let mut b = Build::new(22);
        let x = b.input("x", &[2, args.inputs as i64, 5, 5]);
        let m = b.conv(&x, &args);
        let n = b.batch_norm(&m, 4);
        let s = layer_scale(&mut b, &n, 4);
        let shift = b.random(&[4, 1, 1], 1.0);
        let y = b.node("Add", &[&shift, &s], vec![]);
        let model = finish(b, &y);
        becomes(&model, &["Conv"]);
        let (_, outcome) = rewrite(&model, &linear());
        assert_eq!(outcome.removed().count(), 1, "the whole chain at once, so that weights are rounded once");
    }
}

#[test]
fn what_broadcasts_along_another_axis_is_not_per_channel() {
    let mut b = Build::new(23);
    let x = b.input("x", &[1, 4, 4, 4]);
    let m = b.conv(&x, &conv(4, 4, 3));
    let s = b.random(&[1, 1, 1, 4], 1.0);
    let y = b.node("Add", &[&m, &s], vec![]);
    let model = finish(b, &y);
    let (after, _) = rewrite(&model, &linear());
    assert_eq!(after, model);
}

#[test]
fn batch_norm_before_a_convolution() {
    let with = |pad: usize, shifted: bool| {
        let mut b = Build::new(24);
        let x = b.input("x", &[1, 4, 5, 5]);
        let m = if shifted { b.batch_norm(&x, 4) } else { layer_scale(&mut b, &x, 4) };
        let y = b.conv(&m, &conv(4, 4, 3).pad(pad));
        finish(b, &y)
    };
    becomes(&with(0, true), &["Conv"]);
    becomes(&with(1, false), &["Conv"]);
    stays(&with(1, true), "border", "bias");
}

fn padded(pads: &[i64], mode: &str, value: f64, next: &Free) -> ModelProto {
    let mut b = Build::new(25);
    let x = b.input("x", &[1, next.channels.0 as i64, 5, 5]);
    let pads = b.ints(pads);
    let fill = b.floats(&[], vec![value]);
    let attribute = onnx_rm::onnx::AttributeProto {
        name: Some("mode".into()),
        r#type: Some(3),
        s: Some(mode.as_bytes().to_vec()),
        ..Default::default()
    };
    let m = b.node("Pad", &[&x, &pads, &fill], vec![attribute]);
    let y = next.add(&mut b, &m);
    finish(b, &y)
}

#[test]
fn zeros_padded_before_a_convolution_are_its_pads() {
    let next = Free { stride: [2, 1], ..free(3, 2, [3, 3], [1, 0, 1, 1]) };
    let after = becomes(&padded(&[0, 0, 0, 1, 0, 0, 2, 1], "constant", 0.0, &next), &["Conv"]);
    assert_eq!(attribute(node(&after, "Conv"), "pads"), [1, 1, 3, 2]);
    stays(&padded(&[0, 0, 1, 1, 0, 0, 1, 1], "constant", 1.0, &next), "border", "another value");
    stays(&padded(&[0, 0, 1, 1, 0, 0, 1, 1], "reflect", 0.0, &next), "border", "repeats");
    stays(&padded(&[0, 0, -1, 1, 0, 0, 1, 1], "constant", 0.0, &next), "border", "negative");
    let deeper = free(5, 2, [3, 3], [1; 4]);
    let mut b = Build::new(26);
    let x = b.input("x", &[1, 3, 5, 5]);
    let pads = b.ints(&[0, 1, 1, 1, 0, 1, 1, 1]);
    let m = b.node("Pad", &[&x, &pads], vec![]);
    let y = deeper.add(&mut b, &m);
    stays(&finish(b, &y), "cannot-pass", "channels");
}

#[test]
fn nothing_between_may_be_written_as_identity_or_dropout() {
    let mut b = Build::new(27);
    let x = b.input("x", &[1, 2, 5, 5]);
    let m = b.conv(&x, &conv(2, 16, 3));
    let m = b.node("Identity", &[&m], vec![]);
    let m = b.node("Dropout", &[&m], vec![]);
    let y = b.conv(&m, &conv(16, 2, 1));
    becomes(&finish(b, &y), &["Conv"]);
}

#[test]
fn a_middle_that_is_needed() {
    let build = |needed: u8| {
        let mut b = Build::new(28);
        let x = b.input("x", &[1, 4, 5, 5]);
        let m = b.conv(&x, &conv(4, 4, 3));
        let y = b.batch_norm(&m, 4);
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
    stays(&build(0), "read-elsewhere", "output of the graph");
    stays(&build(1), "read-elsewhere", "other operators");
    stays(&build(2), "read-elsewhere", "subgraph");
}

#[test]
fn a_weight_that_a_caller_may_override() {
    let mut b = Build::new(29);
    let x = b.input("x", &[1, 4, 5, 5]);
    let w = b.random(&[4, 4, 3, 3], 0.3);
    b.input(&w, &[4, 4, 3, 3]);
    let m = b.conv_with(&[&x, &w], &conv(4, 4, 3));
    let y = b.batch_norm(&m, 4);
    stays(&finish(b, &y), "weight-not-constant", "override");
}

#[test]
fn a_shared_weight_is_copied() {
    let mut b = Build::new(30);
    let x = b.input("x", &[1, 4, 5, 5]);
    let w = b.random(&[4, 4, 3, 3], 0.3);
    let m = b.conv_with(&[&x, &w], &conv(4, 4, 3));
    let m = b.batch_norm(&m, 4);
    let m = b.relu(&m);
    let y = b.conv_with(&[&m, &w], &conv(4, 4, 3));
    let model = finish(b, &y);
    let after = becomes(&model, &["Conv", "Relu", "Conv"]);
    let tensor = |m: &ModelProto| m.graph.as_ref().unwrap().initializer.iter().find(|t| t.name() == w).cloned();
    assert_eq!(tensor(&after), tensor(&model));
    assert!(tensor(&after).is_some());
}

#[test]
fn an_activation_that_is_written_out_stays_whole() {
    let mut b = Build::new(31);
    let x = b.input("x", &[1, 4, 5, 5]);
    let root = b.floats(&[], vec![std::f64::consts::SQRT_2]);
    let (one, half) = (b.floats(&[], vec![1.0]), b.floats(&[], vec![0.5]));
    let scaled = b.node("Div", &[&x, &root], vec![]);
    let erf = b.node("Erf", &[&scaled], vec![]);
    let gate = b.add(&erf, &one);
    let product = b.node("Mul", &[&x, &gate], vec![]);
    let gelu = b.node("Mul", &[&product, &half], vec![]);
    let y = b.conv(&gelu, &conv(4, 4, 3));
    let model = finish(b, &y);
    let (after, outcome) = rewrite(&model, &linear());
    assert_eq!(after, model);
    assert!(outcome.sites.is_empty());
}

/// `y` with a border of one entry of `values`, as PyTorch's exporter writes `F.pad` and assignments to slices: a `ScatterND` for
/// each side, the axis of which is moved to the front.
fn bordered(b: &mut Build, y: &str, size: usize, values: &[f64], hole: bool) -> String {
    let channels = values.len();
    let pads = b.ints(&[0, 0, 1, 1, 0, 0, 1, 1]);
    let mut y = b.node("Pad", &[y, &pads], vec![]);
    for (axis, perm) in [(2, [2, 1, 0, 3]), (3, [3, 1, 2, 0])] {
        y = b.node("Transpose", &[&y], vec![ints("perm", &perm)]);
        for side in [0, -1] {
            if hole && (axis, side) == (3, -1) {
                continue;
            }
            let one = b.ints(&[1, 1]);
            let index = b.ints(&[side]);
            let index = b.node("Reshape", &[&index, &one], vec![]);
            // The rest of the axes in their order behind the transposition.
            let shape = if axis == 2 { vec![1, channels, 1, size + 2] } else { vec![1, channels, size + 2, 1] };
            let n = shape[2] * shape[3];
            let updates = values.iter().flat_map(|v| vec![*v; n]).collect();
            let updates = b.floats(&shape, updates);
            y = b.node("ScatterND", &[&y, &index, &updates], vec![]);
        }
        y = b.node("Transpose", &[&y], vec![ints("perm", &perm)]);
    }
    y
}

/// What may be wrong with a border.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// The last column keeps its zeros.
    Hole,
    /// The last two rows are written, of which one is inside.
    Inside,
    /// One side holds something else.
    Other,
    /// The positions are those along the other axis.
    Axis,
    /// What is written is added.
    Added,
}

fn int_scalar(b: &mut Build, value: i64) -> String {
    let (value, none) = (b.ints(&[value]), b.ints(&[]));
    b.node("Reshape", &[&value, &none], vec![])
}

/// As [`bordered`], for sizes that are not known: the positions are cut out of a `Range`, and the values repeated.
fn bordered_free(b: &mut Build, y: &str, values: &[f64], wrong: Fault) -> String {
    let pads = b.ints(&[0, 0, 1, 1, 0, 0, 1, 1]);
    let mut y = b.node("Pad", &[y, &pads], vec![]);
    // With as few axes as `torch.export` gives them.
    let column = b.floats(&[values.len(), 1, 1], values.to_vec());
    let other = b.floats(&[1, values.len(), 1, 1], values.iter().map(|v| v + 0.5).collect());
    let (zero, one) = (int_scalar(b, 0), int_scalar(b, 1));
    for (axis, perm) in [(2, [2, 1, 0, 3]), (3, [3, 1, 2, 0])] {
        for side in [0, -1] {
            let last = (axis, side) == (3, -1);
            if last && wrong == Fault::Hole {
                continue;
            }
            let shape = b.node("Shape", &[&y], vec![]);
            let which = if last && wrong == Fault::Axis { 2 } else { axis };
            // Asked for in each of the ways that there are.
            let size = match (axis, side) {
                (2, 0) => {
                    let part = b.node("Shape", &[&y], vec![int("start", which), int("end", which + 1)]);
                    b.node("Squeeze", &[&part], vec![])
                }
                (2, _) => {
                    let which = int_scalar(b, which - 4);
                    b.node("Gather", &[&shape, &which], vec![])
                }
                (_, 0) => {
                    let (order, which) = (b.ints(&[3, 1, 0, 2]), int_scalar(b, if which == 3 { 0 } else { -1 }));
                    let turned = b.node("Gather", &[&shape, &order], vec![]);
                    b.node("Gather", &[&turned, &which], vec![])
                }
                _ => {
                    let which = int_scalar(b, which);
                    b.node("Gather", &[&shape, &which], vec![])
                }
            };
            let all = b.node("Range", &[&zero, &size, &one], vec![]);
            let deep = if axis == 2 && side == -1 && wrong == Fault::Inside { -2 } else { side };
            let (start, end) = (b.ints(&[deep]), b.ints(&[if side == 0 { 1 } else { i64::MAX }]));
            let part = b.node("Slice", &[&all, &start, &end], vec![]);
            let last_axis = b.ints(&[-1]);
            let index = b.node("Unsqueeze", &[&part, &last_axis], vec![]);
            let (count, place, axes) = (b.ints(&[if deep == -2 { 2 } else { 1 }]), b.ints(&[axis]), b.ints(&[0]));
            let past = b.ints(&[axis + 1]);
            let (begin, end) = (b.ints(&[0]), b.ints(&[4]));
            let front = b.node("Slice", &[&shape, &begin, &place, &axes], vec![]);
            let back = b.node("Slice", &[&shape, &past, &end, &axes], vec![]);
            let shape = b.node("Concat", &[&front, &count, &back], vec![int("axis", 0)]);
            let updates =
                b.node("Expand", &[if last && wrong == Fault::Other { &other } else { &column }, &shape], vec![]);
            let updates = b.node("Transpose", &[&updates], vec![ints("perm", &perm)]);
            y = b.node("Transpose", &[&y], vec![ints("perm", &perm)]);
            let added = if wrong == Fault::Added { vec![string("reduction", "add")] } else { vec![] };
            y = b.node("ScatterND", &[&y, &index, &updates], added);
            y = b.node("Transpose", &[&y], vec![ints("perm", &perm)]);
        }
    }
    y
}

/// A 1x1 convolution, a border around it and the window given. The border is what `of` makes of the bias.
fn around(b: &mut Build, x: &str, window: &ConvArgs, of: fn(f64) -> f64, hole: bool) -> (String, String) {
    let w = b.random(&[4, 4, 1, 1], 0.5);
    let bias: Vec<f64> = (0..4).map(|_| b.rng.unit()).collect();
    let c = b.floats(&[4], bias.clone());
    let y = b.conv_with(&[x, &w, &c], &conv(4, 4, 1));
    let values: Vec<f64> = bias.into_iter().map(of).collect();
    let y = bordered(b, &y, 5, &values, hole);
    let z = b.conv(&y, window);
    (y, z)
}

#[test]
fn a_border_of_the_bias_is_the_padding_of_what_is_in_front() {
    let mut b = Build::new(90);
    let x = b.input("x", &[1, 4, 5, 5]);
    let (_, y) = around(&mut b, &x, &conv(4, 4, 3).pad(0), |v| v, false);
    becomes(&finish(b, &y), &["Conv"]);
    // A fixed window of few channels is cheaper alone, but free beside a dense one.
    let mut b = Build::new(91);
    let x = b.input("x", &[1, 4, 5, 5]);
    let (_, y) = around(&mut b, &x, &conv(4, 4, 3).pad(0).group(4), |v| v * (1.0 + 1e-7), false);
    let (_, z) = around(&mut b, &x, &conv(4, 4, 3).pad(0).group(4).unbiased(), |v| v, false);
    let plain = b.conv(&x, &conv(4, 4, 3));
    let sum = b.add(&plain, &y);
    let sum = b.add(&sum, &z);
    becomes(&finish(b, &sum), &["Conv"]);
}

#[test]
fn a_border_of_the_bias_in_planes_of_free_sizes() {
    let sized = |size: i64, wrong: Fault, needed: bool| {
        let mut b = Build::new(93);
        b.opset = 18;
        let x = b.input("x", &[-1, 4, size, size]);
        let w = b.random(&[4, 4, 1, 1], 0.5);
        let bias: Vec<f64> = (0..4).map(|_| b.rng.unit()).collect();
        let c = b.floats(&[4], bias.clone());
        let y = b.conv_with(&[&x, &w, &c], &conv(4, 4, 1));
        let y = bordered_free(&mut b, &y, &bias, wrong);
        if needed {
            b.output(&y);
        }
        let y = b.conv(&y, &conv(4, 4, 3).pad(0));
        finish(b, &y)
    };
    let build = |wrong: Fault, needed: bool| sized(-1, wrong, needed);
    // Of sizes that are known the positions are constants, counted from the begin.
    for size in [-1, 1, 2, 5] {
        becomes(&sized(size, Fault::None, false), &["Conv"]);
    }
    let scatters = |m: &ModelProto| ops(m).iter().filter(|op| **op == "ScatterND").count();
    for wrong in [Fault::Hole, Fault::Inside, Fault::Other, Fault::Added] {
        for model in [build(wrong, false), sized(5, wrong, false)] {
            assert_eq!(scatters(&rewrite(&model, &linear()).0), scatters(&model));
        }
    }
    // Of a square the positions along either axis are the same, but not of every image.
    let model = build(Fault::Axis, false);
    assert_eq!(scatters(&rewrite(&model, &linear()).0), scatters(&model));
    let model = build(Fault::None, true);
    assert_eq!(scatters(&rewrite(&model, &linear()).0), scatters(&model));
}

#[test]
fn a_border_of_anything_else_stays() {
    let build = |window: &ConvArgs, of: fn(f64) -> f64, hole: bool, needed: bool| {
        let mut b = Build::new(92);
        let x = b.input("x", &[1, 4, 5, 5]);
        let (y, z) = around(&mut b, &x, window, of, hole);
        if needed {
            b.output(&y);
        }
        finish(b, &z)
    };
    let window = conv(4, 4, 3).pad(0);
    stays(&build(&window, |v| v + 1e-3, false, false), "border", "a bias of");
    stays(&build(&conv(4, 4, 3), |v| v, false, false), "border", "its bias");
    for model in [build(&window, |v| v, true, false), build(&window, |v| v, false, true)] {
        assert_eq!(rewrite(&model, &linear()).0, model, "a side is left out, or it is given out");
    }
}
