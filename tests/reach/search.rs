//! The search: deep bounds, what cannot be reached, types, and the same answer each time.

use std::path::Path;

use super::common::{Rng, conv};
use super::*;

fn budget(evaluations: usize) -> Budget {
    Budget { evaluations, ..Budget::default() }
}

/// Noise of several sizes, as a verification feeds it.
pub(super) fn noise(shape: &[usize]) -> Vec<BTreeMap<String, Value>> {
    let n = shape.iter().product();
    let mut rng = Rng(9);
    let mut of = |scale: f64| feed(floats(shape, &(0..n).map(|_| rng.unit() * scale).collect::<Vec<_>>()));
    vec![of(1.0), of(10.0), of(1e4), feed(floats(shape, &vec![0.0; n]))]
}

/// A clipped mixture of colours, averaged over a large window, and clipped once more: noise is averaged to half of the first
/// bound, whatever its size.
pub(super) fn averaged() -> ModelProto {
    model(&[1, 3, 32, 32], |b, x| {
        let (low, high) = (b.scalar(0.0), b.scalar(6.0));
        let mix = b.floats(&[3, 3, 1, 1], vec![1.0, 0.2, -0.1, -0.2, 1.0, 0.1, 0.1, -0.2, 1.0]);
        let mean = b.floats(&[3, 1, 9, 9], vec![1.5 / 81.0; 243]);
        let mixed = b.conv_with(&[x, &mix], &conv(3, 3, 1));
        let first = b.node("Clip", &[&mixed, &low, &high], vec![]);
        let blurred = b.conv_with(&[&first, &mean], &conv(3, 3, 9).group(3).pad(0));
        let second = b.node("Clip", &[&blurred, &low, &high], vec![]);
        b.conv(&second, &conv(3, 4, 1))
    })
}

#[test]
fn a_bound_that_noise_averages_away_is_reached() {
    let m = averaged();
    let shape = [1, 3, 32, 32];
    let fed = noise(&shape);
    let before = reach(&[&m], &[], &fed, 0, LOOK);
    // Behind the mean of what is not negative nothing is.
    assert_eq!(sides(&before), ["Clip: below its minimum", "Clip: above its maximum"]);
    let after = reach(&[&m], &[spec(DataType::Float, &shape)], &fed, 0, budget(4));
    assert_eq!(sides(&after), ["Clip: below its minimum"]);
    assert_eq!((after.before, after.total, after.extra.len()), (2, 6, 1));
    // The input by itself does what is said of it.
    let mut with = fed;
    with.extend(after.extra);
    assert_eq!(sides(&reach(&[&m], &[], &with, 0, LOOK)), ["Clip: below its minimum"]);
}

#[test]
fn what_cannot_be_reached_is_named_and_the_search_ends() {
    let m = model(&[1, 4], |b, x| {
        let (low, high) = (b.scalar(0.0), b.scalar(6.0));
        let gate = b.node("Sigmoid", &[x], vec![]);
        b.node("Clip", &[&gate, &low, &high], vec![])
    });
    let reached = reach(&[&m], &[spec(DataType::Float, &[1, 4])], &[], 0, budget(100_000));
    assert_eq!(sides(&reached), ["Clip: below its minimum", "Clip: above its maximum"]);
    assert!(reached.evaluations < 1000, "{}", reached.evaluations);
    let missed = &reached.missed[0];
    assert_eq!((missed.model, missed.values), (0, None));
    assert!(missed.node.starts_with("Clip") && missed.tensor.ends_with("_out0"));
}

#[test]
fn both_models_are_searched() {
    let plain = model(&[1, 4], |b, x| b.relu(x));
    let bounded = model(&[1, 4], |b, x| {
        let (low, high) = (b.scalar(-50.0), b.scalar(50.0));
        b.node("Clip", &[x, &low, &high], vec![])
    });
    let fed = [feed(floats(&[1, 4], &[1.0, -1.0, 0.0, 2.0]))];
    let inputs = [spec(DataType::Float, &[1, 4])];
    let reached = reach(&[&plain, &bounded], &inputs, &fed, 0, Budget::default());
    assert_eq!((reached.total, reached.before, sides(&reached)), (5, 2, vec![]));
    let few = reach(&[&plain, &bounded], &inputs, &fed, 0, Budget { extra: 1, ..Budget::default() });
    assert_eq!((few.extra.len(), few.missed.len()), (1, 1), "what is not given back is not reached");
    assert_eq!(few.missed[0].model, 1);
}

#[test]
fn the_same_arguments_give_the_same_answer() {
    let m = averaged();
    let run = |seed| reach(&[&m], &[spec(DataType::Float, &[1, 3, 32, 32])], &[], seed, budget(40));
    let (a, b) = (run(3), run(3));
    assert_eq!((a.extra, a.missed, a.evaluations), (b.extra, b.missed, b.evaluations));
    assert!(sides(&run(4)).len() <= 1);
}

#[test]
fn values_stay_in_the_range_of_their_type() {
    let m = model(&[1, 3, 8, 8], |b, x| {
        let (ten, high) = (b.scalar(0.1), b.scalar(20.0));
        let cast = b.node("Cast", &[x], vec![super::common::int("to", 1)]);
        let scaled = b.node("Mul", &[&cast, &ten], vec![]);
        b.node("Min", &[&scaled, &high], vec![])
    });
    let shape = [1, 3, 8, 8];
    let zero = Value::I(ArrayD::zeros(IxDyn(&shape)));
    let reached = reach(&[&m], &[spec(DataType::Uint8, &shape)], &[feed(zero)], 0, Budget::default());
    assert_eq!(sides(&reached), Vec::<String>::new());
    for value in reached.extra.iter().flat_map(|f| f.values()) {
        let Value::I(a) = value else { panic!("{value:?}") };
        assert!(a.iter().all(|v| (0..=255).contains(v)) && a.iter().any(|v| *v > 200));
    }
}

#[test]
fn trained_networks_are_reached() {
    let folder = Path::new("../shared/corpus/trained");
    if !folder.exists() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    let folder = folder.join("cifar_mbv2_relu6.onnx");
    let loaded = onnx_rm::io::load(&folder, &onnx_rm::LoadOptions::default()).unwrap();
    let shape = [1, 3, 32, 32];
    let name = loaded.proto().graph.as_ref().unwrap().input[0].name().to_owned();
    let named = |f: BTreeMap<String, Value>| f.into_values().map(|v| (name.clone(), v)).collect();
    let fed: Vec<BTreeMap<String, Value>> = noise(&shape).into_iter().map(named).collect();
    let inputs = [InputSpec { name: name.clone(), dtype: DataType::Float, shape: shape.to_vec() }];
    let reached = reach(&[loaded.proto()], &inputs, &fed, 0, Budget::default());
    let left = reached.missed.len();
    println!(
        "{} of {} sides missed, {} before, {} evaluations",
        left, reached.total, reached.before, reached.evaluations
    );
    assert!(left < reached.before, "{left} of {}", reached.before);
}
