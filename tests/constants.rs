//! Constants behind the chains of operators that exporters leave.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::*;
use onnx_rm::plan::options::Options;

/// `F.pad(x, pads)` as the legacy exporter of PyTorch writes it: pads from the last axis to the first, turned around
/// by a table of two columns, a `Slice` with step -1 and a `Transpose`.
fn legacy_pad(b: &mut Build, x: &str, pads: &[i64]) -> String {
    let given = b.ints(pads);
    let count = b.ints(&[8 - pads.len() as i64]);
    let rest = b.node("ConstantOfShape", &[&count], vec![zeros()]);
    let all = b.node("Concat", &[&given, &rest], vec![int("axis", 0)]);
    let table = b.ints(&[-1, 2]);
    let table = b.node("Reshape", &[&all, &table], vec![]);
    let (start, end, axis, step) = (b.ints(&[-1]), b.ints(&[i64::MIN + 1]), b.ints(&[0]), b.ints(&[-1]));
    let turned = b.node("Slice", &[&table, &start, &end, &axis, &step], vec![]);
    let columns = b.node("Transpose", &[&turned], vec![ints("perm", &[1, 0])]);
    let flat = b.ints(&[-1]);
    let flat = b.node("Reshape", &[&columns, &flat], vec![]);
    let pads = b.node("Cast", &[&flat], vec![int("to", 7)]);
    b.node("Pad", &[x, &pads], vec![])
}

fn zeros() -> onnx_rm::onnx::AttributeProto {
    onnx_rm::onnx::AttributeProto {
        name: Some("value".into()),
        r#type: Some(onnx_rm::onnx::attribute_proto::AttributeType::Tensor as i32),
        t: Some(onnx_rm::onnx::TensorProto {
            dims: vec![1],
            data_type: Some(7),
            int64_data: vec![0],
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[test]
fn asymmetric_pads_keep_their_sides() {
    for pads in [[0, 1, 0, 1], [1, 0, 2, 0], [0, 1, 2, 3]] {
        let mut b = Build::new(3);
        let x = b.input("x", &[1, 3, 6, 6]);
        let y = b.conv(&x, &conv(3, 3, 1));
        let y = b.relu(&y);
        let y = legacy_pad(&mut b, &y, &pads);
        let y = b.conv(&y, &conv(3, 4, 2).pad(0));
        b.output(&y);
        let model = b.model();
        let (after, _) = rewrite(&model, &Options::default());
        assert!(distance(&model, &after) < ROUNDING, "{pads:?}");
        let ops: Vec<&str> = after.graph.as_ref().unwrap().node.iter().map(|n| n.op_type()).collect();
        assert_eq!(ops, ["Conv", "Relu", "Conv"], "{pads:?}");
    }
}
