//! Parts of both models, fed what reaches the bends in them.

use onnx_rm::verify::reach::{Isolated, Region, isolate};
use onnx_rm::verify::reference::run_to;

use super::common::conv;
use super::search::{averaged, noise};
use super::*;

const SHAPE: [usize; 4] = [1, 3, 32, 32];
const FEW: Budget = Budget { evaluations: 64, least: 4, work: 1 << 30, extra: 4 };

fn isolated(a: &ModelProto, b: &ModelProto, fed: &[BTreeMap<String, Value>]) -> (Reached, Isolated) {
    let looked = reach(&[a, b], &[], fed, 0, LOOK);
    let isolated = isolate((a, b), fed, &looked.missed, 0, FEW);
    (looked, isolated)
}

/// The largest difference of both parts on what they are fed, of the largest value.
fn difference(region: &Region) -> f64 {
    let give = |m: &ModelProto, feed| match run_to(m, feed, &[&region.end]).unwrap().get(&region.end) {
        Some(Value::F(a)) => a.clone(),
        other => panic!("{other:?}"),
    };
    let largest = |a: &ArrayD<f64>| a.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    let differences = region.feeds.iter().map(|feed| {
        let (a, b) = (give(&region.original, feed), give(&region.rewritten, feed));
        largest(&(&a - &b)) / largest(&a).max(1e-9)
    });
    differences.fold(0.0, f64::max)
}

/// `averaged`, its second `Clip` being a `Relu`.
fn unbounded() -> ModelProto {
    let mut m = averaged();
    let clip = m.graph.as_mut().unwrap().node.iter_mut().filter(|n| n.op_type() == "Clip").nth(1).unwrap();
    clip.op_type = Some("Relu".into());
    clip.input.truncate(1);
    m
}

#[test]
fn a_bound_that_nothing_reaches_is_fed_from_nearby() {
    let m = averaged();
    let (looked, found) = isolated(&m, &m, &noise(&SHAPE));
    assert_eq!(looked.missed.len(), 4);
    assert_eq!(found.missed, vec![]);
    assert!(!found.regions.is_empty() && found.evaluations > 0);
    assert!(found.regions.iter().all(|r| difference(r) == 0.0));
}

#[test]
fn a_part_shows_what_the_whole_does_not() {
    let (_, found) = isolated(&averaged(), &unbounded(), &noise(&SHAPE));
    assert!(found.regions.iter().any(|r| difference(r) > 0.01));
}

#[test]
fn tensors_that_differ_under_one_name_begin_no_part() {
    let mut other = averaged();
    // The blurred tensor is twice as large.
    let mean = &mut other.graph.as_mut().unwrap().initializer[3];
    assert_eq!(mean.dims, [3, 1, 9, 9]);
    let doubled = [3.0_f32 / 81.0; 243];
    mean.raw_data = Some(doubled.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into());
    let (_, found) = isolated(&averaged(), &other, &noise(&SHAPE));
    let blurred = &averaged().graph.unwrap().node[2].output[0];
    assert!(found.regions.iter().all(|r| r.begin != *blurred), "{blurred}");
}

#[test]
fn what_is_no_sum_of_products_stays_within_what_it_held() {
    // Without the convolution the tensor behind the first activation is not negative: a part may rely on it.
    let m = model(&[1, 2, 4, 4], |b, x| {
        let up = b.relu(x);
        let bound = b.scalar(1e6);
        let (one, same) = (b.scalar(1.0), b.scalar(0.0));
        let sum = b.add(&up, &same);
        let scaled = b.node("Mul", &[&sum, &one], vec![]);
        b.node("Clip", &[&scaled, "", &bound], vec![])
    });
    let (looked, found) = isolated(&m, &m, &noise(&[1, 2, 4, 4]));
    assert_eq!(sides(&looked), vec!["Clip: above its maximum"; 2]);
    let values = found.regions.iter().flat_map(|r| &r.feeds).flat_map(|f| f.values());
    for value in values {
        let Value::F(a) = value else { panic!("{value:?}") };
        assert!(a.iter().all(|v| (0.0..=1e4).contains(v)));
    }
    assert_eq!(found.missed, looked.missed);
}

#[test]
fn models_that_do_not_fit_give_nothing() {
    let m = averaged();
    let looked = reach(&[&m, &m], &[], &noise(&SHAPE), 0, LOOK);
    let nothing = |a: &ModelProto, b: &ModelProto, fed: &[BTreeMap<String, Value>]| {
        let found = isolate((a, b), fed, &looked.missed, 0, FEW);
        assert!(found.regions.is_empty() && found.missed == looked.missed);
    };
    nothing(&m, &ModelProto::default(), &noise(&SHAPE));
    nothing(&m, &model(&SHAPE, |b, x| b.conv(x, &conv(3, 3, 1))), &noise(&SHAPE));
    nothing(&m, &m, &[]);
    assert!(isolate((&m, &m), &noise(&SHAPE), &[], 0, FEW).regions.is_empty());
}
