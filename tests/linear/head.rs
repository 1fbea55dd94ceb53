//! A pool over the whole map and a linear layer as one convolution, and a `Reshape` as a `Flatten`.

use super::*;

fn heads() -> Options {
    linear().fold_head(true)
}

/// `Relu`, what `between` makes of it, and a layer on so many features.
fn head(shape: &[i64], features: usize, between: Between) -> ModelProto {
    let mut b = Build::new(120);
    let x = b.input("x", shape);
    let m = b.relu(&x);
    let m = between(&mut b, &m);
    let (w, c) = (b.random(&[5, features], 0.5), b.random(&[5], 1.0));
    let y = b.node("Gemm", &[&m, &w, &c], vec![int("transB", 1), float("alpha", 0.75)]);
    finish(b, &y)
}

fn global(b: &mut Build, x: &str) -> String {
    let m = b.node("GlobalAveragePool", &[x], vec![]);
    b.node("Flatten", &[&m], vec![])
}

/// The shape is computed from the data's, as exporters write `x.view(x.size(0), -1)`.
fn by_shape(b: &mut Build, x: &str) -> String {
    let shape = b.node("Shape", &[x], vec![]);
    let (zero, minus) = (b.ints(&[0]), b.ints(&[-1]));
    let rows = b.node("Gather", &[&shape, &zero], vec![int("axis", 0)]);
    let shape = b.node("Concat", &[&rows, &minus], vec![int("axis", 0)]);
    b.node("Reshape", &[x, &shape], vec![])
}

const POOLS: [Between; 5] = [
    global,
    |b, x| {
        let m = b.node("GlobalAveragePool", &[x], vec![]);
        by_shape(b, &m)
    },
    |b, x| {
        let m = b.node("AveragePool", &[x], vec![ints("kernel_shape", &[3, 2]), ints("strides", &[3, 2])]);
        b.node("Flatten", &[&m], vec![])
    },
    |b, x| b.node("ReduceMean", &[x], vec![ints("axes", &[-1, 2]), int("keepdims", 0)]),
    |b, x| {
        let m = b.node("ReduceMean", &[x], vec![ints("axes", &[2, 3])]);
        let axes = b.ints(&[2, 3]);
        let m = b.node("Squeeze", &[&m, &axes], vec![]);
        b.node("Dropout", &[&m], vec![])
    },
];

#[test]
fn a_head_is_one_convolution() {
    for pool in POOLS {
        for batch in [2, -1] {
            let model = head(&[batch, 4, 3, 2], 4, pool);
            let after = becomes_with(&model, &heads(), &["Relu", "Conv", "Flatten"]);
            let conv = node(&after, "Conv");
            assert_eq!(attribute(conv, "kernel_shape"), [3, 2]);
            assert_eq!((attribute(conv, "pads"), attribute(conv, "group")), (vec![0; 4], vec![1]));
            // Not unless it is asked for.
            let (after, _) = rewrite(&model, &linear());
            assert!(!ops(&after).contains(&"Conv"));
        }
    }
    for shape in [vec![2, 4, 6], vec![2, 4, 2, 3, 2]] {
        becomes_with(&head(&shape, 4, global), &heads(), &["Relu", "Conv", "Flatten"]);
    }
}

#[test]
fn heads_that_stay() {
    stays_with(&head(&[2, 4, -1, 2], 4, global), &heads(), "size-unknown", "how large the map is");
    let given = |b: &mut Build, x: &str| {
        let m = b.node("GlobalAveragePool", &[x], vec![]);
        b.output(&m);
        b.node("Flatten", &[&m], vec![])
    };
    stays_with(&head(&[2, 4, 3, 2], 4, given), &heads(), "read-elsewhere", "output of the graph");
    let read = |b: &mut Build, x: &str| {
        let m = global(b, x);
        let n = b.node("Neg", &[&m], vec![]);
        b.output(&n);
        m
    };
    stays_with(&head(&[2, 4, 3, 2], 4, read), &heads(), "read-elsewhere", "something else reads it");
    // A window that does not see the whole map, or divides by other than its entries; means of other axes.
    let others: [(usize, Between); 4] = [
        (8, |b, x| {
            let m = b.node("AveragePool", &[x], vec![ints("kernel_shape", &[2, 2])]);
            b.node("Flatten", &[&m], vec![])
        }),
        (8, |b, x| {
            let m = b.node(
                "AveragePool",
                &[x],
                vec![ints("kernel_shape", &[3, 2]), ints("pads", &[1, 0, 0, 0]), ints("strides", &[1, 1])],
            );
            b.node("Flatten", &[&m], vec![])
        }),
        (3, |b, x| b.node("ReduceMean", &[x], vec![ints("axes", &[1, 3]), int("keepdims", 0)])),
        (4, |b, x| {
            let m = b.node("GlobalMaxPool", &[x], vec![]);
            b.node("Flatten", &[&m], vec![])
        }),
    ];
    for (features, other) in others {
        let model = head(&[2, 4, 3, 2], features, other);
        let (after, outcome) = rewrite(&model, &heads());
        assert_eq!((outcome.removed().count(), ops(&after)), (0, ops(&model)));
    }
    // The matrix may be another one when the model runs.
    let mut overridable = head(&[2, 4, 3, 2], 4, global);
    let graph = overridable.graph.as_mut().unwrap();
    let weight = graph.node.last().unwrap().input[1].clone();
    graph.input.push(ValueInfoProto { name: Some(weight), ..tensor_info(&[5, 4]) });
    let (after, _) = rewrite(&overridable, &heads());
    assert_eq!(ops(&after), ops(&overridable));
}

fn tensor_info(shape: &[usize]) -> ValueInfoProto {
    let mut b = Build::new(1);
    let shape: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
    b.input("w", &shape);
    b.graph.input.pop().unwrap()
}

#[test]
fn a_reshape_to_rows_of_images_is_a_flatten() {
    let rows = |shape: &[i64], between: Between| {
        let mut b = Build::new(121);
        let x = b.input("x", shape);
        let m = between(&mut b, &x);
        let y = b.relu(&m);
        finish(b, &y)
    };
    for batch in [2, -1] {
        becomes_with(&rows(&[batch, 4, 3, 2], by_shape), &heads(), &["Flatten", "Relu"]);
    }
    becomes_with(
        &rows(&[2, 4, 3, 2], |b, x| {
            let shape = b.ints(&[2, 24]);
            b.node("Reshape", &[x, &shape], vec![])
        }),
        &heads(),
        &["Flatten", "Relu"],
    );
    let others: [Between; 3] = [
        |b, x| {
            let shape = b.ints(&[8, 6]);
            b.node("Reshape", &[x, &shape], vec![])
        },
        |b, x| {
            let shape = b.ints(&[2, 4, 6]);
            b.node("Reshape", &[x, &shape], vec![])
        },
        |b, x| {
            let shape = b.ints(&[1, -1]);
            b.node("Reshape", &[x, &shape], vec![])
        },
    ];
    for other in others {
        let model = rows(&[2, 4, 3, 2], other);
        assert_eq!(ops(&rewrite(&model, &heads()).0), ops(&model));
    }
    // Neither is known to be one when the size is not.
    let model = rows(&[2, 4, -1, 2], by_shape);
    assert_eq!(ops(&rewrite(&model, &heads()).0), ops(&model));
}
