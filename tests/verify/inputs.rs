//! Shapes and values of the inputs.

use std::path::PathBuf;

use ndarray::Array4;
use onnx_rm::verify::{Status, VerifyOptions, verify_models};

use super::common::{Build, conv, int};
use super::{check, net, set_dims};

#[test]
fn free_dimensions_get_a_stated_choice() {
    let mut model = net();
    set_dims(&mut model.graph.as_mut().unwrap().input[0], &[None, None, None, None]);
    let report = check(&model, &model);
    assert!(report.is_equal(), "{report}");
    assert_eq!((report.inputs[0].shape.as_slice(), report.inputs[0].assumed), ([1, 3, 64, 64].as_slice(), true));
    assert!(report.to_string().contains("input taken: 'x' as [1, 3, 64, 64]"), "{report}");
    let options = VerifyOptions::default().shape("x", vec![2, 3, 9, 8]);
    let report = verify_models(&model, &model, &options).unwrap();
    assert_eq!((report.inputs[0].shape.as_slice(), report.inputs[0].assumed), ([2, 3, 9, 8].as_slice(), false));
}

#[test]
fn a_size_that_the_classifier_asks_for_is_found() {
    let mut b = Build::new(3);
    let x = b.input("x", &[-1, 3, -1, -1]);
    let c = b.conv(&x, &conv(3, 2, 3));
    let flat = b.node("Flatten", &[&c], vec![int("axis", 1)]);
    let w = b.random(&[2 * 32 * 32, 5], 0.1);
    let y = b.node("MatMul", &[&flat, &w], vec![]);
    b.output(&y);
    let model = b.model();
    // The builder calls every free dimension `batch`; here they are three.
    let mut model = model;
    set_dims(&mut model.graph.as_mut().unwrap().input[0], &[None, Some(3), None, None]);
    let report = check(&model, &model);
    assert!(report.is_equal(), "{report}");
    assert_eq!(report.inputs[0].shape, [1, 3, 32, 32]);
}

fn folder() -> PathBuf {
    tempfile::Builder::new().prefix("onnx-rm-verify-").tempdir().unwrap().keep()
}

fn save_npz(arrays: &[(&str, Array4<f32>)]) -> PathBuf {
    let path = folder().join("inputs.npz");
    let mut npz = ndarray_npy::NpzWriter::new(std::fs::File::create(&path).unwrap());
    for (name, array) in arrays {
        npz.add_array(*name, array).unwrap();
    }
    npz.finish().unwrap();
    path
}

#[test]
fn given_inputs_are_used_too() {
    // Only values beyond a million show that one of the two is bounded; no input of a seeded kind has such.
    let bound = |high: f64| {
        let mut b = Build::new(2);
        let x = b.input("x", &[1, 2, 6, 6]);
        let (low, high) = (b.floats(&[], vec![-1e9]), b.floats(&[], vec![high]));
        let y = b.node("Clip", &[&x, &low, &high], vec![]);
        b.output(&y);
        b.model()
    };
    let (a, b) = (bound(1e6), bound(1e7));
    // The search finds such, and says so.
    let report = check(&a, &b);
    assert_eq!(report.status, Status::Mismatch, "{report}");
    assert!(report.first_difference.unwrap().input.starts_with("found"));
    let mut values = Array4::from_elem((1, 2, 6, 6), 1.0);
    values[[0, 1, 2, 3]] = 5e6;
    let options = VerifyOptions::default().inputs(save_npz(&[("x", values)]));
    let report = verify_models(&a, &b, &options).unwrap();
    assert_eq!(report.status, Status::Mismatch, "{report}");
    assert_eq!(report.first_difference.unwrap().input, "given");
}

#[test]
fn inputs_that_do_not_fit_are_an_error() {
    let model = net();
    let error = |arrays: &[(&str, Array4<f32>)]| {
        let options = VerifyOptions::default().inputs(save_npz(arrays));
        verify_models(&model, &model, &options).unwrap_err().to_string()
    };
    let fits = || Array4::from_elem((1, 3, 12, 12), 0.5);
    assert!(error(&[("z", fits())]).contains("array 'z' is no input of the model; its inputs are x"));
    assert!(error(&[]).contains("there is no array for input 'x'"));
    assert!(error(&[("x", Array4::zeros((1, 3, 12, 13)))]).contains("does not fit"));
    let text = folder().join("inputs.npz");
    std::fs::write(&text, "no archive").unwrap();
    let options = VerifyOptions::default().inputs(text);
    assert!(verify_models(&model, &model, &options).unwrap_err().to_string().contains("inputs.npz"));
    let options = VerifyOptions::default().shape("x", vec![1, 4, 12, 12]);
    let error = verify_models(&model, &model, &options).unwrap_err();
    assert!(error.hint().unwrap().contains("--input-shape"), "{error}");
}

#[test]
fn an_initializer_that_is_an_input_keeps_its_default() {
    let mut model = net();
    let graph = model.graph.as_mut().unwrap();
    let name = graph.node[0].input[1].clone();
    let mut info = graph.input[0].clone();
    info.name = Some(name);
    set_dims(&mut info, &[Some(8), Some(3), Some(3), Some(3)]);
    graph.input.push(info);
    let report = check(&model, &model);
    assert!(report.is_equal(), "{report}");
    assert_eq!(report.inputs.len(), 1);
}
