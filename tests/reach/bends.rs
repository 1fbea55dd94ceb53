//! Each operator with bends: what reaches all sides, and what misses one.

use onnx_rm::onnx::AttributeProto;

use super::common::{Build, float, int, string};
use super::*;

type Make = fn(&mut Build, &str) -> String;

/// What `numbers` miss in the model that `make` makes.
fn missed(make: Make, numbers: &[f64]) -> Vec<String> {
    let shape = [1, numbers.len()];
    let reached = reach(&[&model(&shape, make)], &[], &[feed(floats(&shape, numbers))], 0, LOOK);
    assert_eq!(reached.missed.len(), reached.before);
    assert!(reached.extra.is_empty());
    sides(&reached)
}

fn alone(b: &mut Build, op: &str, x: &str, attributes: Vec<AttributeProto>) -> String {
    b.node(op, &[x], attributes)
}

macro_rules! of {
    ($op:literal $(, $attribute:expr)*) => { |b, x| alone(b, $op, x, vec![$($attribute),*]) };
}

/// Makes a model; numbers that reach every side; numbers that do not, and what these miss.
type Case = (Make, &'static [f64], &'static [f64], &'static [&'static str]);

const CASES: &[Case] = &[
    (of!("Relu"), &[-1.0, 1.0], &[0.5, 1.0], &["Relu: below"]),
    (of!("LeakyRelu"), &[-1.0, 1.0], &[-1.0, 0.0], &["LeakyRelu: above"]),
    (of!("Abs"), &[-1.0, 1.0], &[2.0], &["Abs: below"]),
    (of!("Sign"), &[-1.0, 1.0], &[2.0], &["Sign: below"]),
    (of!("ThresholdedRelu", float("alpha", 3.0)), &[2.0, 4.0], &[-1.0, 1.0], &["ThresholdedRelu: above"]),
    (of!("HardSigmoid"), &[-3.0, 0.0, 3.0], &[-3.0, 2.0], &["HardSigmoid: above its maximum"]),
    (of!("HardSwish"), &[-4.0, 0.0, 4.0], &[-2.0, 4.0], &["HardSwish: below its minimum"]),
    (of!("Shrink", float("lambd", 2.0)), &[-3.0, 0.0, 3.0], &[-3.0, 3.0], &["Shrink: between its bounds"]),
    (of!("Elu"), &[-4.0, -1.0, 1.0], &[-1.0, 1.0], &["Elu: far below"]),
    (of!("Selu"), &[-4.0, -1.0, 1.0], &[-4.0, 1.0], &["Selu: below"]),
    (of!("Celu", float("alpha", 2.0)), &[-8.0, -1.0, 1.0], &[-4.0, 1.0], &["Celu: far below"]),
    (of!("Sigmoid"), &[-4.0, -1.0, 1.0, 4.0], &[-4.0, -1.0, 1.0], &["Sigmoid: far above"]),
    (of!("Tanh"), &[-4.0, -1.0, 1.0, 4.0], &[-1.0, 1.0, 4.0], &["Tanh: far below"]),
    (of!("Erf"), &[-4.0, -1.0, 1.0, 4.0], &[-4.0, 1.0, 4.0], &["Erf: below"]),
    (of!("Softplus"), &[-4.0, -1.0, 1.0, 4.0], &[-4.0, -1.0, 4.0], &["Softplus: above"]),
    (
        of!("Softsign"),
        &[-4.0, -1.0, 1.0, 4.0],
        &[0.0],
        &["Softsign: far below", "Softsign: below", "Softsign: above", "Softsign: far above"],
    ),
    (of!("Mish"), &[-4.0, -1.0, 1.0, 4.0], &[-1.0, 1.0, 4.0], &["Mish: far below"]),
    (of!("Gelu"), &[-4.0, -1.0, 1.0, 4.0], &[-1.0, 1.0, 4.0], &["Gelu: far below"]),
    (of!("Swish", float("alpha", 4.0)), &[-1.0, -0.5, 0.5, 1.0], &[-0.5, 0.5, 1.0], &["Swish: far below"]),
    (of!("Floor"), &[0.25, 0.75], &[0.25, 3.0], &["Floor: in the upper half of a step"]),
    (of!("Ceil"), &[0.25, 0.75], &[0.75, -3.0], &["Ceil: in the lower half of a step"]),
    (of!("Round"), &[-0.75, 0.75], &[0.5, 0.25], &["Round: in the upper half of a step"]),
    (clip_by_inputs, &[-1.0, 3.0, 7.0], &[-1.0, 3.0, 6.01], &["Clip: above its maximum"]),
    (clip_by_attributes, &[-1.0, 3.0, 7.0], &[3.0, 7.0], &["Clip: below its minimum"]),
    (clip_from_below, &[1.0, 3.0], &[3.0, 4.0], &["Clip: below its minimum"]),
    (clip_from_above, &[1.0, 3.0], &[1.0, 0.0], &["Clip: above its maximum"]),
    (clip_by_computed_bounds, &[-1.0, 1.0, 7.0], &[-1.0, 1.0], &["Clip: above its maximum"]),
    (|b, x| with(b, "Max", x, &[2.0]), &[1.0, 3.0], &[3.0, 4.0], &["Max: the last operand is larger"]),
    (|b, x| with(b, "Min", x, &[2.0]), &[1.0, 3.0], &[1.0, 0.0], &["Min: the last operand is smaller"]),
    (|b, x| with(b, "Greater", x, &[2.0]), &[2.0, 3.0], &[2.0, 1.0], &["Greater: true"]),
    (|b, x| with(b, "GreaterOrEqual", x, &[2.0]), &[2.0, 1.0], &[2.0, 3.0], &["GreaterOrEqual: false"]),
    (|b, x| with(b, "Less", x, &[2.0]), &[2.0, 1.0], &[2.0, 3.0], &["Less: true"]),
    (|b, x| with(b, "LessOrEqual", x, &[2.0]), &[2.0, 3.0], &[2.0, 1.0], &["LessOrEqual: false"]),
    (|b, x| with(b, "Equal", x, &[2.0]), &[2.0, 3.0], &[1.0, 3.0], &["Equal: true"]),
    (quantise, &[-200.0, 0.0, 200.0], &[-200.0, 0.0], &["QuantizeLinear: above its maximum"]),
    (choose, &[1.0, 3.0], &[3.0, 4.0], &["Greater: false", "Where: false"]),
];

fn with(b: &mut Build, op: &str, x: &str, numbers: &[f64]) -> String {
    let c = b.floats(&[numbers.len()], numbers.to_vec());
    b.node(op, &[x, &c], vec![])
}

fn clip_by_inputs(b: &mut Build, x: &str) -> String {
    let (low, high) = (b.scalar(0.0), b.scalar(6.0));
    b.node("Clip", &[x, &low, &high], vec![])
}

fn clip_by_attributes(b: &mut Build, x: &str) -> String {
    b.opset = 6;
    b.node("Clip", &[x], vec![float("min", 0.0), float("max", 6.0)])
}

fn clip_from_below(b: &mut Build, x: &str) -> String {
    let low = b.scalar(2.0);
    b.node("Clip", &[x, &low], vec![])
}

fn clip_from_above(b: &mut Build, x: &str) -> String {
    let high = b.scalar(2.0);
    b.node("Clip", &[x, "", &high], vec![])
}

fn clip_by_computed_bounds(b: &mut Build, x: &str) -> String {
    let (low, three) = (b.scalar(0.0), b.scalar(3.0));
    let high = b.add(&three, &three);
    b.node("Clip", &[x, &low, &high], vec![])
}

fn quantise(b: &mut Build, x: &str) -> String {
    let scale = b.scalar(1.0);
    b.opset = 21;
    b.node("QuantizeLinear", &[x, &scale], vec![int("output_dtype", 3)])
}

fn choose(b: &mut Build, x: &str) -> String {
    let two = b.scalar(2.0);
    let is_large = b.node("Greater", &[x, &two], vec![]);
    b.node("Where", &[&is_large, x, &two], vec![])
}

#[test]
fn every_side_is_seen_and_every_gap_is_named() {
    for (number, (make, enough, few, want)) in CASES.iter().enumerate() {
        assert_eq!(missed(*make, enough), Vec::<String>::new(), "case {number}, which misses {want:?}");
        assert_eq!(missed(*make, few), *want, "case {number}");
    }
}

#[test]
fn bends_that_no_input_moves_are_none() {
    let none: &[Make] = &[
        |b, x| {
            // A mask of the file.
            let mask = b.bools(&[1, 2], &[1, 0]);
            let zero = b.scalar(0.0);
            b.node("Where", &[&mask, x, &zero], vec![])
        },
        |b, x| {
            // A size.
            let shape = b.node("Shape", &[x], vec![]);
            let two = b.ints(&[2]);
            let larger = b.node("Max", &[&shape, &two], vec![]);
            b.node("Reshape", &[x, &larger], vec![])
        },
        |b, x| b.node("Identity", &[x], vec![]),
        |b, x| b.node("Clip", &[x], vec![]),
        |b, x| {
            // The largest numbers of the type bound nothing.
            let (low, high) = (b.scalar(f64::from(f32::MIN)), b.scalar(f64::INFINITY));
            b.node("Clip", &[x, &low, &high], vec![])
        },
        |b, x| b.node("LeakyRelu", &[x], vec![float("alpha", 1.0)]),
        |b, x| with(b, "PRelu", x, &[1.0, 1.0]),
        |b, x| with(b, "Min", x, &[f64::INFINITY, f64::from(f32::MAX)]),
        |b, x| b.node("Dropout", &[x], vec![]),
    ];
    for (number, make) in none.iter().enumerate() {
        let m = model(&[2, 2], *make);
        let reached = reach(&[&m], &[], &[feed(floats(&[2, 2], &[-9.0, -1.0, 1.0, 9.0]))], 0, LOOK);
        assert_eq!((reached.total, sides(&reached)), (0, vec![]), "case {number}");
    }
}

#[test]
fn channels_of_a_constant_are_told_apart() {
    let channels = |make: Make, numbers: &[f64]| {
        let shape = [1, 3, numbers.len() / 3];
        let reached = reach(&[&model(&shape, make)], &[], &[feed(floats(&shape, numbers))], 0, LOOK);
        reached.missed.iter().map(|m| (m.side, m.values)).collect::<Vec<_>>()
    };
    let slopes: Make = |b, x| {
        // The middle channel is carried: it has no bend.
        let slopes = b.floats(&[3, 1], vec![0.0, 1.0, 0.25]);
        b.node("PRelu", &[x, &slopes], vec![])
    };
    assert_eq!(channels(slopes, &[-1.0, 1.0, 1.0, 1.0, -1.0, 1.0]), vec![]);
    assert_eq!(channels(slopes, &[-1.0, 1.0, -1.0, 1.0, 2.0, 1.0]), [("below", Some((1, 2)))]);
    let old: Make = |b, x| {
        b.opset = 6;
        let slopes = b.floats(&[3], vec![0.0, 1.0, 0.25]);
        b.node("PRelu", &[x, &slopes], vec![])
    };
    assert_eq!(channels(old, &[-1.0, 1.0, -1.0, 1.0, 2.0, 1.0]), [("below", Some((1, 2)))]);
    let bounds: Make = |b, x| {
        let bounds = b.floats(&[1, 3, 1], vec![6.0, f64::INFINITY, 2.0]);
        b.node("Min", &[&bounds, x], vec![])
    };
    assert_eq!(channels(bounds, &[0.0, 9.0, 0.0, 9.0, 0.0, 9.0]), vec![]);
    let one = [("the last operand is larger", Some((1, 2)))];
    assert_eq!(channels(bounds, &[0.0, 1.0, 0.0, 9.0, 0.0, 9.0]), one);
}

#[test]
fn the_operands_of_max_are_followed_one_by_one() {
    let make: Make = |b, x| {
        let (one, two) = (b.scalar(1.0), b.scalar(2.0));
        b.node("Max", &[x, &one, &two], vec![])
    };
    assert_eq!(missed(make, &[0.0, 3.0]), Vec::<String>::new());
    assert_eq!(missed(make, &[3.0, 4.0]), ["Max: the last operand is larger"; 2]);
}

#[test]
fn the_activation_of_a_fused_operator_is_a_bend() {
    let mut m = model(&[1, 1, 1, 2], |b, x| {
        let one = b.floats(&[1, 1, 1, 1], vec![1.0]);
        b.node("FusedConv", &[x, &one], vec![string("activation", "Relu")])
    });
    m.graph.as_mut().unwrap().node[0].domain = Some("com.microsoft".into());
    let look = |numbers: &[f64]| sides(&reach(&[&m], &[], &[feed(floats(&[1, 1, 1, 2], numbers))], 0, LOOK));
    assert_eq!(look(&[-1.0, 1.0]), Vec::<String>::new());
    assert_eq!(look(&[1.0, 2.0]), ["Relu: below"]);
}

#[test]
fn integers_and_booleans_have_bends_too() {
    let m = model(&[1, 2], |b, x| {
        let five = b.ints(&[5]);
        b.node("Less", &[x, &five], vec![])
    });
    let value = |numbers: &[i64]| Value::I(ArrayD::from_shape_vec(IxDyn(&[1, 2]), numbers.to_vec()).unwrap());
    let look = |numbers: &[i64]| sides(&reach(&[&m], &[], &[feed(value(numbers))], 0, LOOK));
    assert_eq!(look(&[4, 5]), Vec::<String>::new());
    assert_eq!(look(&[5, 6]), ["Less: true"]);
}

#[test]
fn what_leaves_the_range_of_the_type_shows_nothing() {
    let mut m = model(&[1, 2], |b, x| {
        let thousand = b.scalar(1000.0);
        let y = b.node("Mul", &[x, &thousand], vec![]);
        b.relu(&y)
    });
    let look = |m: &ModelProto| sides(&reach(&[m], &[], &[feed(floats(&[1, 2], &[-100.0, 100.0]))], 0, LOOK));
    assert_eq!(look(&m), Vec::<String>::new());
    // 100 000 is infinite in float16.
    let thousand = &mut m.graph.as_mut().unwrap().initializer[0];
    thousand.data_type = Some(DataType::Float16 as i32);
    thousand.raw_data = Some(half::f16::from_f32(1000.0).to_bits().to_le_bytes().to_vec().into());
    assert_eq!(look(&m), ["Relu: below", "Relu: above"]);
}

#[test]
fn inputs_that_do_not_fit_are_passed_over() {
    let m = model(&[1, 2], |b, x| b.relu(x));
    let feeds = [BTreeMap::new(), feed(floats(&[1, 2], &[-1.0, 1.0]))];
    assert_eq!(sides(&reach(&[&m], &[], &feeds, 0, LOOK)), Vec::<String>::new());
    assert_eq!(sides(&reach(&[&m], &[], &feeds[..1], 0, LOOK)).len(), 2);
    assert_eq!(reach(&[&ModelProto::default()], &[], &feeds, 0, LOOK).total, 0);
}
