//! Dead weight: only what is proved goes, and only when asked for.

use super::*;
use onnx_rm::onnx::TensorProto;

fn dead() -> Options {
    only(&[Selector::Dead])
}

fn initializer<'a>(model: &'a ModelProto, name: &str) -> Option<&'a TensorProto> {
    model.graph.as_ref().unwrap().initializer.iter().find(|t| t.name() == name)
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
    let convs = graph.node.iter().filter(|n| n.op_type() == "Conv");
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
