//! Negative controls: a rewrite that goes wrong in one place must be further away than rounding.

use onnx_rm::facts::tensor::{read_f64, write};
use onnx_rm::onnx::GraphProto;
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::options::ActivationForm;

use crate::common::*;
use crate::operations::blocks::{model_of, named};
use crate::operations::options;

/// How far the rewritten block is from the original, as it is and once `spoil` has had its way.
fn distances(block: &str, spoil: impl Fn(&mut GraphProto)) -> (f64, f64) {
    let model = model_of(named(block), 47, true).model();
    let options = options().activation(ActivationForm::Minmax);
    let (mut after, _) = rewrite(&model, &options);
    let expected = Expected::of(&model);
    let right = expected.distance(&after);
    let before = after.clone();
    spoil(after.graph.as_mut().unwrap());
    assert_ne!(before, after, "{block}: nothing was spoilt");
    (right, expected.distance(&after))
}

fn assert_caught(block: &str, spoil: impl Fn(&mut GraphProto)) {
    let (right, wrong) = distances(block, spoil);
    assert!(right < ROUNDING, "{block}: {right}");
    assert!(wrong > 100.0 * ROUNDING, "{block}: {wrong} is not told from rounding");
}

/// Changes the weights of the first convolution for which `change` finds something to change.
fn change_weight(graph: &mut GraphProto, change: impl Fn(&mut ndarray::ArrayD<f64>) -> bool) {
    let weights: Vec<String> =
        graph.node.iter().filter(|n| n.op_type() == "Conv").map(|n| n.input[1].clone()).collect();
    for tensor in graph.initializer.iter_mut().filter(|t| weights.iter().any(|w| w == t.name())) {
        let mut values = read_f64(tensor).unwrap();
        if change(&mut values) {
            *tensor = write(tensor.name(), &values, DataType::Float);
            return;
        }
    }
}

#[test]
fn a_clip_treated_as_a_relu() {
    assert_caught("clip on both sides", |graph| {
        for node in &mut graph.node {
            match node.op_type() {
                "Max" => (node.op_type, node.input) = (Some("Relu".into()), vec![node.input[0].clone()]),
                "Min" => (node.op_type, node.input) = (Some("Identity".into()), vec![node.input[0].clone()]),
                _ => {}
            }
        }
    });
    assert_caught("clip on both sides", |graph| {
        let node = graph.node.iter_mut().find(|n| n.op_type() == "Min").unwrap();
        (node.op_type, node.input) = (Some("Identity".into()), vec![node.input[0].clone()]);
    });
}

#[test]
fn a_dirac_tap_shifted_by_one() {
    assert_caught("conv-relu-conv", |graph| {
        change_weight(graph, |weight| {
            let one = weight.indexed_iter().find(|(at, v)| **v == 1.0 && at[3] == 1);
            let Some(at) = one.map(|(at, _)| at) else { return false };
            weight[&at] = 0.0;
            weight[[at[0], at[1], at[2], 2]] += 1.0;
            true
        });
    });
}

#[test]
fn a_bias_forgotten() {
    for block in ["conv-relu-conv", "projection with stride", "inverted residual"] {
        let model = model_of(named(block), 47, true).model();
        let biased = rewrite(&model, &options()).0.graph.unwrap().node.iter().filter(|n| n.input.len() == 3).count();
        for nth in 0..biased {
            assert_caught(block, |graph| {
                let node = graph.node.iter_mut().filter(|n| n.op_type() == "Conv" && n.input.len() == 3).nth(nth);
                node.unwrap().input.truncate(2);
            });
        }
    }
}

#[test]
fn two_channels_swapped() {
    assert_caught("bottleneck", |graph| {
        change_weight(graph, |weight| {
            let (first, second) = (weight.index_axis(ndarray::Axis(0), 0).to_owned(), 1);
            let other = weight.index_axis(ndarray::Axis(0), second).to_owned();
            weight.index_axis_mut(ndarray::Axis(0), 0).assign(&other);
            weight.index_axis_mut(ndarray::Axis(0), second).assign(&first);
            first != other
        });
    });
    assert_caught("channel shuffle", |graph| {
        let indices = graph.node.iter().find(|n| n.op_type() == "Gather").unwrap().input[1].clone();
        let tensor = graph.initializer.iter_mut().find(|t| t.name() == indices).unwrap();
        let mut raw = tensor.raw_data.clone().unwrap().to_vec();
        let (a, b) = (raw.len() - 16, raw.len() - 8);
        (0..8).for_each(|i| raw.swap(a + i, b + i));
        tensor.raw_data = Some(raw.into());
    });
}

#[test]
fn a_gate_without_its_ones() {
    assert_caught("squeeze and excite between", |graph| {
        let value = graph.node.iter().find(|n| n.op_type() == "Pad").unwrap().input[2].clone();
        let tensor = graph.initializer.iter_mut().find(|t| t.name() == value).unwrap();
        *tensor = write(&value, &ndarray::ArrayD::from_elem(ndarray::IxDyn(&[]), 0.999), DataType::Float);
    });
}

#[test]
fn a_model_is_no_distance_from_itself() {
    let model = model_of(named("bottleneck"), 47, true).model();
    assert_eq!(distance(&model, &model), 0.0);
}
