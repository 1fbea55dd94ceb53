//! What a few numbers in a file ask for is bounded before it is allocated, and what an input declares is no proof of more
//! than it says.

use onnx_rm::facts::{Dim, Facts};
use onnx_rm::graph::GraphView;
use onnx_rm::onnx::{ModelProto, ValueInfoProto, tensor_shape_proto::dimension, type_proto};
use onnx_rm::options::Options;

use crate::common::{Build, conv, int, ints, joins, rewrite, string, value_info};

fn is_known(model: &ModelProto, name: &str) -> bool {
    let view = GraphView::new(model).unwrap();
    let facts = Facts::new(&view);
    facts.constant(view.value(name).unwrap()).is_some()
}

#[test]
fn a_constant_doubled_again_and_again_ends() {
    for op in ["Concat", "Tile", "Add"] {
        let mut b = Build::new(1);
        let mut x = b.random(&[1 << 10], 1.0);
        let mut names = vec![];
        for _ in 0..40 {
            x = match op {
                "Concat" => b.node(op, &[&x, &x], vec![int("axis", 0)]),
                "Tile" => {
                    let twice = b.ints(&[2]);
                    b.node(op, &[&x, &twice], vec![])
                }
                // An outer sum: as many times as large as there are entries.
                _ => {
                    let axis = b.ints(&[0]);
                    let row = b.node("Unsqueeze", &[&x, &axis], vec![]);
                    let (axis, flat) = (b.ints(&[1]), b.ints(&[-1]));
                    let column = b.node("Unsqueeze", &[&x, &axis], vec![]);
                    let all = b.node(op, &[&row, &column], vec![]);
                    b.node("Reshape", &[&all, &flat], vec![])
                }
            };
            names.push(x.clone());
        }
        let model = b.model();
        assert!(!is_known(&model, names.last().unwrap()), "{op}");
        assert!(op == "Tile" || is_known(&model, &names[0]), "{op}");
    }
}

#[test]
fn absurd_sizes_are_not_allocated() {
    for sizes in [&[1 << 40][..], &[1 << 31, 1 << 31, 1 << 31], &[0, 1 << 30, 1 << 30, 1 << 30], &[-1], &[1 << 23]] {
        let mut b = Build::new(1);
        let (shape, one) = (b.ints(sizes), b.scalar(1.0));
        let filled = b.node("ConstantOfShape", &[&shape], vec![]);
        let copied = b.node("Neg", &[&filled], vec![]);
        let expanded = b.node("Expand", &[&one, &shape], vec![]);
        let model = b.model();
        for name in [&filled, &copied, &expanded] {
            assert!(!is_known(&model, name), "{sizes:?}");
        }
    }
    let mut b = Build::new(1);
    let ends = [0, i64::MAX, 1].map(|v| {
        let (v, axis) = (b.ints(&[v]), b.ints(&[0]));
        b.node("Squeeze", &[&v, &axis], vec![])
    });
    let range = b.node("Range", &[&ends[0], &ends[1], &ends[2]], vec![]);
    assert!(!is_known(&b.model(), &range));
}

#[test]
fn many_large_constants_are_bounded_together() {
    let mut b = Build::new(1);
    let (one, shape) = (b.scalar(1.0), b.ints(&[1 << 21]));
    let names: Vec<String> = (0..64).map(|_| b.node("Expand", &[&one, &shape], vec![])).collect();
    let model = b.model();
    let view = GraphView::new(&model).unwrap();
    let facts = Facts::new(&view);
    let known = names.iter().filter(|n| facts.constant(view.value(n).unwrap()).is_some()).count();
    assert!((4..16).contains(&known), "{known} of {}", names.len());
}

#[test]
fn a_long_chain_is_followed_without_recursion() {
    let mut b = Build::new(1);
    let mut x = b.random(&[2], 1.0);
    for _ in 0..20_000 {
        x = b.node("Neg", &[&x], vec![]);
    }
    assert!(is_known(&b.model(), &x));
}

/// The shape of `x + z`, of two inputs that declare the same.
fn sum(first: &ValueInfoProto, second: &ValueInfoProto) -> Vec<Dim> {
    let mut b = Build::new(1);
    b.graph.input.extend([first.clone(), second.clone()]);
    let y = b.add("x", "z");
    let model = b.model();
    let view = GraphView::new(&model).unwrap();
    Facts::new(&view).shape(view.value(&y).unwrap()).unwrap().to_vec()
}

#[test]
fn equal_names_in_two_inputs_are_no_equal_sizes() {
    let (x, z) = (value_info("x", &[-1, 4]), value_info("z", &[-1, 4]));
    assert_eq!(sum(&x, &z), [Dim::Unknown, Dim::Known(4)]);
    let one = sum(&x, &value_info("z", &[1, 4]));
    assert!(matches!(one[0], Dim::Symbol(_)), "one row broadcasts: {one:?}");
}

#[test]
fn an_axis_of_an_input_is_one_size_whatever_it_is_called() {
    let given = [
        Some(dimension::Value::DimValue(-1)),
        Some(dimension::Value::DimValue(0)),
        Some(dimension::Value::DimParam(String::new())),
        Some(dimension::Value::DimParam("?".into())),
        Some(dimension::Value::DimParam("?".into())),
        None,
    ];
    let mut input = value_info("x", &[1; 6]);
    let Some(type_proto::Value::TensorType(t)) = input.r#type.as_mut().unwrap().value.as_mut() else { panic!() };
    t.shape.as_mut().unwrap().dim.iter_mut().zip(given).for_each(|(dim, value)| dim.value = value);
    let mut b = Build::new(1);
    b.graph.input.push(input);
    let y = b.node("Transpose", &["x"], vec![ints("perm", &[5, 4, 3, 2, 1, 0])]);
    let model = b.model();
    let view = GraphView::new(&model).unwrap();
    let facts = Facts::new(&view);
    let (x, y) = (facts.shape(view.value("x").unwrap()).unwrap(), facts.shape(view.value(&y).unwrap()).unwrap());
    assert!(x.iter().eq(y.iter().rev()));
    for (i, dim) in x.iter().enumerate() {
        assert!(matches!(dim, Dim::Symbol(_)) && !x[..i].contains(dim), "{x:?}");
    }
}

#[test]
fn a_tensor_of_no_axis_has_facts_too() {
    let mut b = Build::new(1);
    let x = b.input("x", &[]);
    let y = b.relu(&x);
    let model = b.model();
    let view = GraphView::new(&model).unwrap();
    let facts = Facts::new(&view);
    let y = view.value(&y).unwrap();
    assert_eq!((facts.shape(y), facts.interval(y).lo, facts.channels(y)), (Some(&[][..]), 0.0, None));
}

#[test]
fn a_pool_is_no_convolution_of_a_million_taps() {
    for kernel in [1 << 7, 1 << 20, 1 << 32, i64::MAX] {
        let mut b = Build::new(1);
        let x = b.input("x", &[1, 4, 16, 16]);
        let y = b.conv(&x, &conv(4, 4, 3).stride(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, 4, 3));
        let window = vec![ints("kernel_shape", &[kernel, 64]), ints("strides", &[2, 2]), int("count_include_pad", 1)];
        let s = b.node("AveragePool", &[&x], window);
        let s = b.conv(&s, &conv(4, 4, 1));
        let y = b.add(&y, &s);
        b.output(&y);
        let (_, outcome) = rewrite(&b.model(), &Options::default());
        assert_eq!(joins(&outcome), 1, "{kernel}");
    }
}

/// A ReLU behind a `Resize` is the identity on what is carried only if nothing negative stands outside of the image.
#[test]
fn what_a_resize_writes_outside_of_the_image_is_bounded_too() {
    for (mode, outside, bounded) in [("nearest", -3.0, false), ("linear", 3.0, true), ("cubic", 0.0, false)] {
        let mut b = Build::new(1);
        let x = b.input("x", &[1, 4, 8, 8]);
        let x = b.relu(&x);
        let (roi, sizes) = (b.floats(&[8], vec![0.0, 0.0, -0.5, -0.5, 1.0, 1.0, 1.5, 1.5]), b.ints(&[1, 4, 12, 12]));
        let attributes = vec![
            string("mode", mode),
            string("coordinate_transformation_mode", "tf_crop_and_resize"),
            crate::common::float("extrapolation_value", outside),
        ];
        let f = b.node("Resize", &[&x, &roi, "", &sizes], attributes);
        let y = b.conv(&f, &conv(4, 4, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(4, 4, 3));
        let y = b.add(&y, &f);
        b.output(&y);
        let model = b.model();
        let view = GraphView::new(&model).unwrap();
        let found = Facts::new(&view).interval(view.value(&f).unwrap());
        assert_eq!(found.lo >= 0.0, bounded, "{mode}: {found:?}");
        let (after, outcome) = rewrite(&model, &Options::default());
        assert_eq!(joins(&outcome), 0);
        assert!(crate::common::distance(&model, &after) < crate::common::ROUNDING, "{mode}");
    }
}
