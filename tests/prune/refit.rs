//! What the fit of layers goes by: what they gave in the original, and what they read in the pruned model.

use onnx_rm::Model;
use onnx_rm::onnx::ModelProto;
use onnx_rm::prune::{Amount, PruneOptions, PruneReport, Way};
use prost::Message;

use super::{prune, samples, widths};
use crate::common::build::{Build, conv};

/// Least squares without noise, weights in float32.
const NOTHING: f64 = 1e-3;

fn options(macs: f64, keep: &[&str]) -> PruneOptions {
    let mut options = PruneOptions::default();
    options.macs = Some(Amount::Share(macs));
    options.way = Way::Residual;
    options.keep = keep.iter().map(|name| (*name).to_owned()).collect();
    options
}

fn error(report: &PruneReport) -> f64 {
    report.taken().unwrap().quality.as_ref().unwrap().relative_error
}

/// What a 1x1 convolution gives whose bias is so high that the `Relu` behind it does nothing; nothing folds through it all the same.
fn lifted(b: &mut Build, x: &str, (inputs, outputs): (usize, usize), bias: f64) -> (String, String) {
    let weight = b.random(&[outputs, inputs, 1, 1], 1.0);
    let bias = b.floats(&[outputs], vec![bias; outputs]);
    let given = b.conv_with(&[x, &weight, &bias], &conv(inputs, outputs, 1));
    (b.relu(&given), given)
}

/// The model with what `keep` names kept, pruned on samples that are not few.
fn pruned(b: Build, macs: f64, keep: &[&str]) -> (ModelProto, PruneReport) {
    let model = Model::from_bytes(b.model().encode_to_vec()).unwrap();
    let (pruned, report) = prune(&model, Some(&samples("x", &[4, 5, 5], 200)), &options(macs, keep)).unwrap();
    (pruned.proto().clone(), report)
}

#[test]
fn one_side_of_a_sum_makes_up_for_what_the_other_has_lost() {
    let mut b = Build::new(21);
    let x = b.input("x", &[-1, 4, 5, 5]);
    let (thin, _) = lifted(&mut b, &x, (4, 6), 20.0);
    let (whole, kept) = lifted(&mut b, &x, (4, 4), 20.0);
    let one = b.conv(&thin, &conv(6, 4, 1));
    let other = b.conv(&whole, &conv(4, 4, 1));
    let y = b.add(&one, &other);
    b.output(&y);
    let (model, report) = pruned(b, 0.7, &[&kept]);
    // Three channels of six say three things of four; the other side knows the fourth.
    assert_eq!(widths(&model), [3, 4, 4, 4], "{report}");
    assert!(error(&report) < NOTHING, "{report}");
}

#[test]
fn a_layer_is_fitted_to_what_it_reads_in_the_pruned_model() {
    let mut b = Build::new(22);
    let x = b.input("x", &[-1, 4, 5, 5]);
    let (thin, _) = lifted(&mut b, &x, (4, 6), 20.0);
    let (behind, kept) = lifted(&mut b, &thin, (6, 4), 200.0);
    let (whole, also) = lifted(&mut b, &x, (4, 4), 20.0);
    let both = b.concat(&[&behind, &whole]);
    let y = b.conv(&both, &conv(8, 4, 1));
    b.output(&y);
    let (model, report) = pruned(b, 0.75, &[&kept, &also]);
    // What is behind the thin layer has lost one thing of four, and nothing that it reads can bring that back; the last layer reads it elsewhere.
    assert_eq!(widths(&model), [3, 4, 4, 4], "{report}");
    assert!(error(&report) < NOTHING, "{report}");
}

#[test]
fn the_ridge_is_the_one_that_is_best_where_nothing_was_fitted() {
    // Some hundred samples of one position, of which each layer reads nearly as many features: what fits them all fits no others.
    let mut b = Build::new(23);
    let x = b.input("x", &[-1, 12, 1, 1]);
    let h = b.conv(&x, &conv(12, 160, 1));
    let h = b.relu(&h);
    let y = b.conv(&h, &conv(160, 4, 1));
    b.output(&y);
    let model = Model::from_bytes(b.model().encode_to_vec()).unwrap();
    let (_, report) = prune(&model, Some(&samples("x", &[12, 1, 1], 200)), &options(0.6, &[])).unwrap();
    assert!(error(&report) < 0.105, "{report}");
}
