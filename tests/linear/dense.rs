//! Linear layers on vectors: `Gemm`, and `MatMul` with a matrix.

use super::*;

#[test]
fn per_channel_operators_behind_a_gemm() {
    for (transposed, beta, shape) in [(0, 1.0, Some(vec![5])), (1, 0.5, Some(vec![1, 5])), (1, 1.0, None)] {
        let mut b = Build::new(33);
        let x = b.input("x", &[2, 3]);
        let w = if transposed == 1 { b.random(&[5, 3], 1.0) } else { b.random(&[3, 5], 1.0) };
        let c = shape.map(|s| b.random(&s, 1.0));
        let mut inputs = vec![x.as_str(), &w];
        inputs.extend(c.as_deref());
        let attributes = vec![int("transB", transposed), float("beta", beta), float("alpha", 0.75)];
        let m = b.node("Gemm", &inputs, attributes);
        let y = b.batch_norm(&m, 5);
        becomes(&finish(b, &y), &["Gemm"]);
    }
}

#[test]
fn a_gemm_whose_bias_differs_from_row_to_row() {
    let mut b = Build::new(34);
    let x = b.input("x", &[2, 3]);
    let (w, c) = (b.random(&[3, 5], 1.0), b.random(&[2, 5], 1.0));
    let m = b.node("Gemm", &[&x, &w, &c], vec![]);
    let y = b.batch_norm(&m, 5);
    stays(&finish(b, &y), "weight-not-constant", "one value an output channel");
}

/// `Gemm` from `inputs` to `outputs` features as PyTorch writes it.
fn layer(b: &mut Build, x: &str, inputs: usize, outputs: usize) -> String {
    let (w, c) = (b.random(&[outputs, inputs], 0.5), b.random(&[outputs], 1.0));
    b.node("Gemm", &[x, &w, &c], vec![int("transB", 1)])
}

/// `MatMul` and, behind it, `Add`.
fn product(b: &mut Build, x: &str, inputs: usize, outputs: usize) -> String {
    let (w, c) = (b.random(&[inputs, outputs], 0.5), b.random(&[outputs], 1.0));
    let m = b.node("MatMul", &[x, &w], vec![]);
    b.node("Add", &[&c, &m], vec![])
}

type Layer = fn(&mut Build, &str, usize, usize) -> String;
const LAYERS: [Layer; 2] = [layer, product];

#[test]
fn per_channel_operators_before_a_linear_layer() {
    for add in LAYERS {
        let mut b = Build::new(80);
        let x = b.input("x", &[3, 4]);
        let m = b.batch_norm(&x, 4);
        let s = b.random(&[1, 4], 1.0);
        let m = b.node("Sub", &[&s, &m], vec![]);
        let y = add(&mut b, &m, 4, 5);
        let model = finish(b, &y);
        becomes(&model, &["Gemm"]);
        let (_, outcome) = rewrite(&model, &linear());
        assert_eq!(outcome.removed().count(), 1, "the whole chain at once, so that weights are rounded once");
    }
}

#[test]
fn a_product_and_its_bias_are_one_layer() {
    let mut b = Build::new(81);
    let x = b.input("x", &[-1, 4]);
    let y = product(&mut b, &x, 4, 5);
    becomes(&finish(b, &y), &["Gemm"]);
    // Without a bias it is a product.
    let mut b = Build::new(81);
    let x = b.input("x", &[3, 4]);
    let w = b.random(&[4, 5], 0.5);
    let m = b.node("MatMul", &[&x, &w], vec![]);
    let s = b.random(&[5], 1.0);
    let y = b.node("Mul", &[&m, &s], vec![]);
    becomes(&finish(b, &y), &["MatMul"]);
}

#[test]
fn parallel_linear_layers_are_one() {
    for add in LAYERS {
        let mut b = Build::new(82);
        let x = b.input("x", &[3, 4]);
        let p = add(&mut b, &x, 4, 5);
        let q = layer(&mut b, &x, 4, 5);
        let m = b.batch_norm(&x, 4);
        let r = layer(&mut b, &m, 4, 5);
        let sum = b.node("Sub", &[&p, &q], vec![]);
        let y = b.node("Sum", &[&sum, &r, &q], vec![]);
        let model = finish(b, &y);
        becomes(&model, &["Gemm"]);
        let (_, outcome) = rewrite(&model, &linear());
        assert!(outcome.removed().any(|(_, c)| c.form.ends_with("around a sum, one linear layer")));
    }
}

#[test]
fn a_linear_layer_beside_the_identity_or_a_scale() {
    for add in LAYERS {
        let mut b = Build::new(83);
        let x = b.input("x", &[-1, 4]);
        let p = add(&mut b, &x, 4, 4);
        let q = b.batch_norm(&x, 4);
        let sum = b.add(&p, &x);
        let y = b.add(&sum, &q);
        becomes(&finish(b, &y), &["Gemm"]);
    }
}

/// `[N, 1]` broadcasts against `[N, 4]`: no sum of maps with as many features out.
#[test]
fn features_that_only_broadcasting_reconciles() {
    let mut b = Build::new(84);
    let x = b.input("x", &[3, 4]);
    let p = layer(&mut b, &x, 4, 4);
    let q = layer(&mut b, &x, 4, 1);
    let y = b.add(&p, &q);
    stays(&finish(b, &y), "bad-convolution", "channel counts");
}

fn two(narrow: usize, add: Layer) -> ModelProto {
    let mut b = Build::new(85);
    let x = b.input("x", &[3, 6]);
    let m = add(&mut b, &x, 6, narrow);
    let y = add(&mut b, &m, narrow, 6);
    finish(b, &y)
}

#[test]
fn one_layer_after_another_when_that_is_no_dearer() {
    let when = |fuse_pointwise| linear().fuse_pointwise(fuse_pointwise);
    for add in LAYERS {
        becomes_with(&two(3, add), &when(FusePointwise::Auto), &["Gemm"]);
        becomes_with(&two(2, add), &when(FusePointwise::Always), &["Gemm"]);
    }
    stays_with(
        &two(2, layer),
        &when(FusePointwise::Auto),
        "dearer",
        "one linear layer needs 36 MACs, what it replaces 24",
    );
    stays_with(&two(6, layer), &when(FusePointwise::Never), "dearer", "never");
}

/// A normalised image, what `between` makes of it, and a layer.
fn across(shape: [i64; 4], features: usize, add: Layer, between: Between) -> ModelProto {
    let mut b = Build::new(86);
    let x = b.input("x", &shape);
    let m = b.batch_norm(&x, 4);
    let m = layer_scale(&mut b, &m, 4);
    let m = between(&mut b, &m);
    let y = add(&mut b, &m, features, 5);
    finish(b, &y)
}

#[test]
fn constants_before_a_flatten_fold_into_the_layer_behind_it() {
    let flatten = |b: &mut Build, x: &str| b.node("Flatten", &[x], vec![]);
    let reshape = |b: &mut Build, x: &str| {
        let shape = b.ints(&[0, -1]);
        let m = b.node("Identity", &[x], vec![]);
        b.node("Reshape", &[&m, &shape], vec![])
    };
    let twice = |b: &mut Build, x: &str| {
        let (first, second) = (b.ints(&[2, 4, 6]), b.ints(&[2, 24]));
        let m = b.node("Reshape", &[x, &first], vec![]);
        let m = b.node("Reshape", &[&m, &second], vec![]);
        b.batch_norm(&m, 24)
    };
    let pooled = |b: &mut Build, x: &str| {
        let m = b.node("GlobalAveragePool", &[x], vec![]);
        let axes = b.ints(&[2, 3]);
        let m = b.node("Squeeze", &[&m, &axes], vec![]);
        b.node("Dropout", &[&m], vec![])
    };
    for add in LAYERS {
        becomes(&across([2, 4, 3, 2], 24, add, flatten), &["Flatten", "Gemm"]);
        becomes(&across([2, 4, 1, 1], 4, add, flatten), &["Flatten", "Gemm"]);
        becomes(&across([-1, 4, 3, 2], 24, add, reshape), &["Identity", "Reshape", "Gemm"]);
        becomes(&across([2, 4, 3, 2], 24, add, twice), &["Reshape", "Reshape", "Gemm"]);
        becomes(&across([-1, 4, 3, 2], 4, add, pooled), &["GlobalAveragePool", "Squeeze", "Dropout", "Gemm"]);
    }
    // Sizes need not be known where the layer says how many features there are.
    let after = becomes(&across([-1, 4, -1, -1], 16, layer, flatten), &["Flatten", "Gemm"]);
    let (_, outcome) = rewrite(&across([2, 4, 3, 2], 24, layer, flatten), &linear());
    assert_eq!(outcome.removed().count(), 1, "all constants at once");
    assert_eq!(node(&after, "Gemm").input.len(), 3);
}

/// Behind any of these, the entries of a channel stand elsewhere, or are no longer a linear map of them.
#[test]
fn what_moves_channels_ends_the_search() {
    let elsewhere: [(usize, Between); 6] = [
        (8, |b, x| b.node("Flatten", &[x], vec![int("axis", 2)])),
        (8, |b, x| {
            let shape = b.ints(&[8, 8]);
            b.node("Reshape", &[x, &shape], vec![])
        }),
        (24, |b, x| {
            let m = b.node("Transpose", &[x], vec![ints("perm", &[0, 2, 3, 1])]);
            b.node("Flatten", &[&m], vec![])
        }),
        (6, |b, x| {
            let shape = b.ints(&[8, 6]);
            b.node("Reshape", &[x, &shape], vec![])
        }),
        (24, |b, x| {
            let m = b.relu(x);
            b.node("Flatten", &[&m], vec![])
        }),
        (4, |b, x| {
            let m = b.node("GlobalMaxPool", &[x], vec![]);
            b.node("Flatten", &[&m], vec![])
        }),
    ];
    for (features, between) in elsewhere {
        let shape = if features == 8 { [2, 4, 2, 4] } else { [2, 4, 3, 2] };
        let model = across(shape, features, layer, between);
        let (after, outcome) = rewrite(&model, &linear());
        assert_eq!(after, model);
        assert!(outcome.sites.is_empty(), "{:?}", outcome.sites);
    }
    // [N, 2, 12] pools into 2 features that hold 2 channels each.
    let parted = across([2, 4, 3, 2], 2, layer, |b, x| {
        let shape = b.ints(&[2, 2, 12]);
        let m = b.node("Reshape", &[x, &shape], vec![]);
        let m = b.node("GlobalAveragePool", &[&m], vec![]);
        b.node("Flatten", &[&m], vec![])
    });
    assert_eq!(rewrite(&parted, &linear()).0, parted);
}

#[test]
fn a_product_of_two_tensors_of_data_is_no_layer() {
    let mut b = Build::new(93);
    let (x, z) = (b.input("x", &[4, 4]), b.input("z", &[4, 4]));
    let m = b.batch_norm(&x, 4);
    let p = b.node("MatMul", &[&m, &z], vec![]);
    let q = b.node("Gemm", &[&m, &z], vec![]);
    let y = b.add(&p, &q);
    let model = finish(b, &y);
    let (after, outcome) = rewrite(&model, &linear());
    assert_eq!(after, model);
    assert!(outcome.sites.is_empty(), "{:?}", outcome.sites);
}

/// Over more axes layers stay as they are, and are not even looked at.
#[test]
fn layers_of_tokens_are_no_sites() {
    for features in [4, 5] {
        let mut b = Build::new(96);
        let x = b.input("x", &[2, 4, features as i64]);
        let (v, w) = (b.random(&[features, 4], 0.5), b.random(&[features, 4], 0.5));
        let p = b.node("MatMul", &[&x, &v], vec![]);
        let q = b.node("MatMul", &[&x, &w], vec![]);
        let y = b.add(&p, &q);
        let model = finish(b, &y);
        let (after, outcome) = rewrite(&model, &linear());
        assert_eq!(after, model);
        assert!(outcome.sites.is_empty(), "{:?}", outcome.sites);
    }
}

/// The layer says how many features its input has.
#[test]
fn a_layer_on_a_tensor_of_unknown_size() {
    let mut b = Build::new(94);
    let x = b.input("x", &[-1, 4, -1, -1]);
    let f = b.node("Flatten", &[&x], vec![]);
    let m = layer(&mut b, &f, 16, 5);
    let y = b.batch_norm(&m, 5);
    becomes(&finish(b, &y), &["Flatten", "Gemm"]);
}

#[test]
fn an_activation_that_is_written_out_before_a_flatten_stays_whole() {
    let mut b = Build::new(95);
    let x = b.input("x", &[2, 4, 2, 2]);
    let (root, one, half) = (b.scalar(std::f64::consts::SQRT_2), b.scalar(1.0), b.scalar(0.5));
    let m = b.node("Div", &[&x, &root], vec![]);
    let m = b.node("Erf", &[&m], vec![]);
    let m = b.add(&m, &one);
    let m = b.node("Mul", &[&x, &m], vec![]);
    let m = b.node("Mul", &[&m, &half], vec![]);
    let f = b.node("Flatten", &[&m], vec![]);
    let y = layer(&mut b, &f, 16, 5);
    b.output(&y);
    let g = b.node("Mul", &[&x, &x], vec![]);
    let g = b.node("Mul", &[&g, &half], vec![]);
    let w = b.random(&[4, 4, 2, 2], 0.5);
    let z = b.node("ConvTranspose", &[&g, &w], vec![]);
    let model = finish(b, &z);
    let (after, outcome) = rewrite(&model, &linear());
    assert_eq!(after, model);
    assert!(outcome.sites.is_empty(), "{:?}", outcome.sites);
}

/// What needs a tensor besides the fold that would take it away.
fn needing(b: &mut Build, value: &str, how: u8) {
    match how {
        0 => b.output(value),
        1 => {
            let z = b.relu(value);
            b.output(&z);
        }
        _ => {
            let z = captured(b, value);
            b.output(&z);
        }
    }
}

#[test]
fn a_tensor_before_a_linear_layer_that_is_needed() {
    for (how, word) in [(0, "output of the graph"), (1, "other operators"), (2, "subgraph")] {
        let mut b = Build::new(87);
        let x = b.input("x", &[3, 4]);
        let m = b.batch_norm(&x, 4);
        needing(&mut b, &m, how);
        let y = layer(&mut b, &m, 4, 5);
        // It stays for the other, and the layer stays as it is: nothing would be gained.
        let model = finish(b, &y);
        assert_eq!(rewrite(&model, &linear()).0, model);

        let mut b = Build::new(87);
        let x = b.input("x", &[3, 4]);
        let m = layer(&mut b, &x, 4, 5);
        needing(&mut b, &m, how);
        let y = b.batch_norm(&m, 5);
        stays(&finish(b, &y), "read-elsewhere", word);

        // Before the Flatten, and behind it.
        for behind in [false, true] {
            let mut b = Build::new(87);
            let x = b.input("x", &[3, 4, 2, 2]);
            let m = b.batch_norm(&x, 4);
            let f = b.node("Flatten", &[&m], vec![]);
            needing(&mut b, if behind { &f } else { &m }, how);
            let y = layer(&mut b, &f, 16, 5);
            stays(&finish(b, &y), "read-elsewhere", "something else reads it");
        }
    }
}

#[test]
fn a_branch_of_layers_that_is_needed() {
    for how in 0..3 {
        let mut b = Build::new(88);
        let x = b.input("x", &[3, 4]);
        let p = layer(&mut b, &x, 4, 5);
        let q = layer(&mut b, &x, 4, 5);
        needing(&mut b, &p, how);
        let y = b.add(&p, &q);
        // One of them stays, and the sum is gone at no more cost.
        let mut want = vec!["Gemm", "Gemm"];
        want.extend(["Relu", "If"].get(usize::from(how).wrapping_sub(1)));
        becomes(&finish(b, &y), &want);
        let mut b = Build::new(88);
        let x = b.input("x", &[3, 4]);
        let p = layer(&mut b, &x, 4, 4);
        needing(&mut b, &p, how);
        let y = b.add(&p, &x);
        becomes_not(&finish(b, &y));
    }
}

/// Nothing is folded: with the branch needed as well, a layer of its own for the sum would be dearer.
fn becomes_not(model: &ModelProto) {
    let (after, outcome) = rewrite(model, &linear());
    assert_eq!(&after, model);
    assert!(outcome.kept().any(|(_, r)| r.code == "dearer" && r.reason.contains("stays")), "{:?}", outcome.sites);
}

#[test]
fn shared_and_overridable_matrices() {
    let build = |free: bool, shape: &[i64]| {
        let mut b = Build::new(89);
        let x = b.input("x", shape);
        let w = b.random(&[4, 4], 0.5);
        let m = b.batch_norm(&x, 4);
        let m = if shape.len() > 2 { b.node("Flatten", &[&m], vec![]) } else { m };
        let m = b.node("Gemm", &[&m, &w], vec![]);
        let m = b.relu(&m);
        let p = b.node("MatMul", &[&m, &w], vec![]);
        let q = b.node("Gemm", &[&m, &w], vec![]);
        let y = b.add(&p, &q);
        if free {
            b.input(&w, &[4, 4]);
        }
        (finish(b, &y), w)
    };
    let (model, w) = build(false, &[2, 4]);
    let after = becomes(&model, &["Gemm", "Relu", "MatMul"]);
    assert!(initializer(&after, &w).is_none(), "nothing reads it any more");
    stays(&build(true, &[2, 4]).0, "weight-not-constant", "override");
    becomes(&build(false, &[2, 4, 1, 1]).0, &["Flatten", "Gemm", "Relu", "MatMul"]);
    let (model, _) = build(true, &[2, 4, 1, 1]);
    assert_eq!(rewrite(&model, &linear()).0, model);

    // Read by something that stays, it keeps its bytes.
    let mut b = Build::new(89);
    let x = b.input("x", &[2, 4]);
    let w = b.random(&[4, 4], 0.5);
    let m = b.batch_norm(&x, 4);
    let m = b.node("Gemm", &[&m, &w], vec![]);
    let m = b.relu(&m);
    let y = b.node("Gemm", &[&m, &w], vec![]);
    let model = finish(b, &y);
    let after = becomes(&model, &["Gemm", "Relu", "Gemm"]);
    assert!(initializer(&after, &w).is_some());
    assert_eq!(initializer(&after, &w), initializer(&model, &w));
}

/// Every choice of attributes, orders and branches: whatever folds computes the same.
#[test]
fn random_layers_compute_the_same() {
    let mut folded = 0;
    for seed in 0..80 {
        let mut b = Build::new(seed);
        let x = b.input("x", &[3, 4]);
        let mut branches = Vec::new();
        for _ in 0..1 + b.rng.below(3) {
            let mut m = x.clone();
            for _ in 0..b.rng.below(4) {
                m = match b.rng.below(5) {
                    0 => b.batch_norm(&m, 4),
                    1 => product(&mut b, &m, 4, 4),
                    2 => {
                        let s = b.random(&[1, 4], 1.0);
                        b.node(["Mul", "Add", "Sub"][seed as usize % 3], &[&s, &m], vec![])
                    }
                    _ => {
                        let (w, c) = (b.random(&[4, 4], 0.5), b.random(&[[1, 4], [1, 1]][seed as usize % 2], 1.0));
                        let alpha = b.rng.unit() as f32 + 2.0;
                        let transposed = b.rng.below(2) as i64;
                        let attributes = vec![int("transB", transposed), float("alpha", alpha), float("beta", 0.25)];
                        b.node("Gemm", &[&m, &w, &c], attributes)
                    }
                };
            }
            branches.push(m);
        }
        let mut y = branches.remove(0);
        for branch in branches {
            let op = ["Add", "Sub"][b.rng.below(2)];
            y = b.node(op, &[&y, &branch], vec![]);
        }
        let y = b.relu(&y);
        let model = finish(b, &y);
        let (after, outcome) = rewrite(&model, &linear());
        folded += usize::from(outcome.removed().count() > 0);
        let far = distance(&model, &after);
        assert!(far <= ROUNDING, "{far:e} {seed}\n{}", onnx_rm::graph::dump(&model));
    }
    assert!(folded > 40, "{folded}");
}
