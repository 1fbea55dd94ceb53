//! Convolutions as a target wants them: symmetric pads, attributes that are said.

use onnx_rm::onnx::{ModelProto, NodeProto};
use onnx_rm::options::{Options, Pads};
use onnx_rm::plan::change::{Change, Exactness};
use onnx_rm::report::{Outcome, SiteStatus};

use crate::common::python;
use crate::common::*;

use super::{nodes, target};

fn symmetric() -> Options {
    Options::default().pads(Pads::Symmetric)
}

/// One convolution, and a Relu.
fn one(shape: &[i64], args: &ConvArgs) -> ModelProto {
    let mut b = Build::new(41);
    let x = b.input("x", shape);
    let y = b.conv(&x, args);
    let y = b.relu(&y);
    b.output(&y);
    b.model()
}

fn list<'n>(node: &'n NodeProto, name: &str) -> &'n [i64] {
    node.attribute.iter().find(|a| a.name() == name).map_or(&[], |a| &a.ints)
}

fn convolution(model: &ModelProto) -> &NodeProto {
    nodes(model).iter().find(|n| n.op_type() == "Conv").unwrap()
}

fn change(outcome: &Outcome) -> &Change {
    let legal: Vec<_> = outcome.removed().filter(|(site, _)| site.kind.as_str() == "legalize").collect();
    assert_eq!(legal.len(), 1, "{:?}", outcome.sites);
    legal[0].1
}

fn code(outcome: &Outcome) -> &str {
    let kept = outcome.sites.iter().find_map(|s| match &s.status {
        SiteStatus::Kept(reject) if s.kind.as_str() == "legalize" => Some(reject.code.as_str()),
        _ => None,
    });
    kept.unwrap_or("none")
}

#[test]
fn pads_become_symmetric_by_taps_of_zero() {
    // MLPerf Tiny's ResNet-8.
    let model = one(&[1, 3, 32, 32], &conv(3, 4, 3).stride(2).pads(&[0, 0, 1, 1]));
    let (after, outcome) = rewrite(&model, &symmetric());
    assert_eq!(
        (list(convolution(&after), "pads"), list(convolution(&after), "kernel_shape")),
        (&[1; 4][..], &[4, 4][..])
    );
    let price = change(&outcome);
    assert_eq!((price.params_before, price.params_after), (4 * 3 * 9, 4 * 3 * 16));
    assert_eq!(price.macs_before.unwrap() * 16, price.macs_after.unwrap() * 9);
    assert_eq!(outcome.after.macs, price.macs_after);
    assert!(distance(&model, &after) < ROUNDING);
    let (again, outcome) = rewrite(&after, &symmetric());
    assert!(again == after && outcome.removed().next().is_none(), "a second rewrite changes nothing");
    // Not unless it is asked for.
    assert!(rewrite(&model, &Options::default()).0 == model);
    let (speck, _) = rewrite(&model, &target("speck"));
    assert_eq!(list(convolution(&speck), "pads"), [1; 4]);
}

#[test]
fn every_kind_of_window_computes_the_same() {
    for shape in [&[1, 4, 11, 12][..], &[1, 4, -1, -1]] {
        for group in [1, 2, 4] {
            for args in [
                conv(4, 8, 3).pads(&[0, 2, 1, 0]),
                conv(4, 8, 3).stride(2).pads(&[1, 1, 0, 0]),
                conv(4, 8, 3).dilation(2).pads(&[1, 1, 2, 3]),
                conv(4, 8, 1).pads(&[0, 0, 0, 3]),
                conv(4, 8, 2).stride(3).pads(&[4, 0, 1, 2]),
            ] {
                let model = one(shape, &args.group(group));
                let (after, outcome) = rewrite(&model, &symmetric());
                let pads = list(convolution(&after), "pads");
                assert_eq!(pads[..2], pads[2..]);
                let bits = change(&outcome).exactness == Exactness::Bitwise;
                assert!(distance(&model, &after) < if bits { 1e-12 } else { ROUNDING });
            }
        }
    }
    for (axes, pads) in [(1, &[0, 2][..]), (3, &[0, 1, 0, 1, 1, 1])] {
        let shape = [&[1, 3][..], &vec![6; axes]].concat();
        let model = one(&shape, &conv(3, 4, 3).axes(axes).pads(pads));
        let (after, _) = rewrite(&model, &symmetric());
        assert!(distance(&model, &after) < ROUNDING && after != model);
    }
}

#[test]
fn what_a_stride_leaves_over_costs_nothing() {
    let args = || conv(3, 4, 3).stride(2).pads(&[1, 1, 0, 0]);
    let (after, outcome) = rewrite(&one(&[1, 3, 32, 32], &args()), &symmetric());
    assert_eq!(list(convolution(&after), "kernel_shape"), [3, 3]);
    assert_eq!(change(&outcome).exactness, Exactness::Bitwise);
    let (after, _) = rewrite(&one(&[1, 3, -1, 32], &args()), &symmetric());
    assert_eq!(list(convolution(&after), "kernel_shape"), [4, 3], "of a size that is not known nothing is left over");
}

#[test]
fn pads_that_stay() {
    let same = || conv(3, 4, 3).stride(2).auto_pad("SAME_UPPER");
    let (_, outcome) = rewrite(&one(&[1, 3, -1, -1], &same()), &symmetric());
    assert_eq!(code(&outcome), "size-unknown");
    let (after, _) = rewrite(&one(&[1, 3, 32, 32], &same()), &symmetric());
    assert_eq!(list(convolution(&after), "pads"), [1; 4], "a known size says what SAME means");
    assert!(convolution(&after).attribute.iter().all(|a| a.name() != "auto_pad"));
    // An initializer that a caller may override.
    let mut model = one(&[1, 3, 32, 32], &conv(3, 4, 3).pads(&[0, 0, 1, 1]));
    let weight = convolution(&model).input[1].clone();
    let graph = model.graph.as_mut().unwrap();
    let dims = graph.initializer.iter().find(|t| t.name() == weight).unwrap().dims.clone();
    graph.input.push(value_info(&weight, &dims));
    let (after, outcome) = rewrite(&model, &symmetric());
    assert!(after == model);
    assert_eq!(code(&outcome), "weight-not-constant");
    let (_, outcome) = rewrite(&one(&[1, 3, 200, 200], &conv(3, 4, 3).pads(&[0, 0, 90, 90])), &symmetric());
    assert_eq!(code(&outcome), "too-large");
}

#[test]
fn a_weight_that_something_else_reads_is_copied() {
    let mut b = Build::new(43);
    let x = b.input("x", &[1, 3, 9, 9]);
    let w = b.random(&[3, 3, 3, 3], 0.5);
    let y = b.conv_with(&[&x, &w], &conv(3, 3, 3).pads(&[0, 0, 2, 2]));
    let y = b.relu(&y);
    let y = b.conv_with(&[&y, &w], &conv(3, 3, 3));
    b.output(&y);
    let model = b.model();
    let (after, outcome) = rewrite(&model, &symmetric());
    change(&outcome);
    let kept = |m: &ModelProto| m.graph.as_ref().unwrap().initializer.iter().find(|t| t.name() == w).cloned();
    assert!(kept(&after).is_some() && kept(&after) == kept(&model));
    assert!(distance(&model, &after) < ROUNDING);
}

#[test]
fn attributes_are_said_where_a_target_asks() {
    let mut model = one(&[1, 3, 8, 8], &conv(3, 4, 3));
    let graph = model.graph.as_mut().unwrap();
    graph.node[0].attribute.retain(|a| a.name() == "pads");
    for name in ["hls4ml", "tfhe"] {
        let (after, outcome) = rewrite(&model, &target(name));
        let said = ["dilations", "group", "kernel_shape", "pads", "strides"];
        let names: Vec<&str> = convolution(&after).attribute.iter().map(|a| a.name()).collect();
        assert!(said.iter().all(|n| names.contains(n)), "{names:?}");
        assert_eq!(change(&outcome).exactness, Exactness::Bitwise);
        assert!(distance(&model, &after) == 0.0);
        assert!(rewrite(&after, &target(name)).0 == after);
    }
    for name in ["generic", "onnxruntime", "akida2"] {
        assert!(rewrite(&model, &target(name)).0 == model, "{name} asks for nothing");
    }
}

/// The model with the shape of its output.
fn shaped(mut model: ModelProto, shape: &[i64]) -> ModelProto {
    let graph = model.graph.as_mut().unwrap();
    graph.output[0] = value_info(graph.output[0].name(), shape);
    model
}

/// Whole files, in ONNX Runtime.
#[test]
fn what_is_written_for_targets_computes_the_same_in_onnx_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let mut pairs = Vec::new();
    for (i, model) in
        [super::basic("Relu", false), super::basic("Relu", true), super::basic("Clip", true)].iter().enumerate()
    {
        let mut model = shaped(model.clone(), &[1, 6, 8, 8]);
        model.graph.as_mut().unwrap().node[0].attribute.retain(|a| a.name() == "pads");
        let before = folder.path().join(format!("{i}.onnx"));
        std::fs::write(&before, prost::Message::encode_to_vec(&model)).unwrap();
        for known in onnx_rm::options::Target::all() {
            let (after, _) = rewrite(&model, &target(known.name()).pads(Pads::Symmetric));
            let path = folder.path().join(format!("{i}-{}.onnx", known.name()));
            std::fs::write(&path, prost::Message::encode_to_vec(&after)).unwrap();
            pairs.push((before.clone(), path));
        }
    }
    let padded = shaped(one(&[1, 3, 32, 32], &conv(3, 4, 3).stride(2).pads(&[0, 0, 1, 1])), &[1, 4, 16, 16]);
    let (before, after) = (folder.path().join("padded.onnx"), folder.path().join("symmetric.onnx"));
    std::fs::write(&before, prost::Message::encode_to_vec(&padded)).unwrap();
    std::fs::write(&after, prost::Message::encode_to_vec(&rewrite(&padded, &symmetric()).0)).unwrap();
    pairs.push((before, after));
    let paths: Vec<&str> = pairs.iter().flat_map(|(a, b)| [a.to_str().unwrap(), b.to_str().unwrap()]).collect();
    let lines = python::run("compare.py", &paths);
    assert_eq!(lines.lines().count(), pairs.len());
    for line in lines.lines() {
        let distance: f64 = line.rsplit_once(' ').unwrap().1.parse().unwrap();
        assert!(distance < 2e-5, "{line}");
    }
}
