//! Weights that are integers behind `DequantizeLinear`.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;

use onnx_rm::onnx::attribute_proto::AttributeType;
use onnx_rm::onnx::{AttributeProto, GraphProto, NodeProto, ValueInfoProto, type_proto};
use prost::Message;

use super::*;

#[test]
fn dequantised_weights_have_the_type_of_their_scale() {
    let model = retyped(block(21, per_tensor), DataType::Float16);
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!(joins(&outcome), 0, "{:?}", outcome.sites);
    assert!(distance(&model, &after) < 2e-3);
    let types: Vec<i32> = after.graph.unwrap().initializer.iter().map(|t| t.data_type()).collect();
    let known = [DataType::Float16 as i32, DataType::Uint8 as i32];
    assert!(types.iter().all(|t| known.contains(t)), "{types:?}");
}

/// Sizes of the first axis of weights that are integers, and how many nodes read such.
fn stored(model: &ModelProto) -> (Vec<i64>, usize) {
    let graph = model.graph.as_ref().unwrap();
    let small = [DataType::Int8, DataType::Uint8, DataType::Int4, DataType::Uint4];
    let is_small = |t: &&TensorProto| small.iter().any(|s| *s as i32 == t.data_type());
    let mut rows: Vec<i64> =
        graph.initializer.iter().filter(is_small).filter(|t| t.dims.len() == 4).map(|t| t.dims[0]).collect();
    rows.sort_unstable();
    (rows, graph.node.iter().filter(|n| n.op_type() == "DequantizeLinear").count())
}

/// Weights that stay integers, with the first axes of those that do: 1 / 128 is a scale of which 1 is a multiple, so there the last convolution stays as well.
const STORED: [(&str, Weight, &[i64]); 5] = [
    ("a scale a row", symmetric, &[10]),
    ("one scale", per_tensor, &[4, 10]),
    ("a zero point a row", |b, s| per_axis(b, s, 0), &[10]),
    (
        "four bits, a scale a row",
        |b, s| {
            let (w, scales) = (halves(b, s, DataType::Int4), (0..s[0]).map(|i| 0.04 * (i + 1) as f64).collect());
            let scale = b.floats(&[s[0]], scales);
            b.node("DequantizeLinear", &[&w, &scale], vec![int("axis", 0)])
        },
        &[10],
    ),
    (
        "four bits, one scale and zero point",
        |b, s| {
            let (w, s, z) = (halves(b, s, DataType::Uint4), b.scalar(0.5), halves(b, &[], DataType::Uint4));
            b.graph.initializer.last_mut().unwrap().raw_data = Some(vec![7].into());
            b.node("DequantizeLinear", &[&w, &s, &z], vec![])
        },
        &[4, 10],
    ),
];

/// Integers of one byte, with a scale a row.
fn symmetric(b: &mut Build, s: &[usize]) -> String {
    let (w, scales) = (bytes(b, s, DataType::Int8), (0..s[0]).map(|i| 0.004 * (i + 1) as f64).collect());
    let scale = b.floats(&[s[0]], scales);
    b.node("DequantizeLinear", &[&w, &scale], vec![int("axis", 0)])
}

#[test]
fn quantised_weights_stay_so_where_what_is_carried_is_on_their_grid() {
    for (name, weight, rows) in STORED {
        let model = block(21, weight);
        let (after, outcome) = rewrite(&model, &Options::default().carry(onnx_rm::options::Chain::Conv));
        assert_eq!(joins(&outcome), 0, "{name}: {:?}", outcome.sites);
        assert_eq!(stored(&after), (rows.to_vec(), rows.len()), "{name}");
        assert!(distance(&model, &after) < ROUNDING, "{name}");
        assert_eq!(rewrite(&after, &Options::default()).0, after, "{name}");
    }
}

/// Whatever else looks at the weights of the first convolution, they stay what they were for it.
#[test]
fn quantised_weights_that_something_else_reads_are_copied() {
    let model = block(21, symmetric);
    let graph = model.graph.as_ref().unwrap();
    let first = graph.node.iter().find(|n| n.op_type() == "DequantizeLinear").unwrap().clone();
    let (float, integers) = (first.output[0].clone(), first.input[0].clone());
    let node = |op: &str, input: &str, attribute: Vec<AttributeProto>| NodeProto {
        name: Some(format!("extra_{op}")),
        op_type: Some(op.into()),
        input: vec![input.into()],
        output: vec!["extra".into()],
        attribute,
        ..NodeProto::default()
    };
    let given = |mut graph: GraphProto, name: &str| {
        graph.output.push(ValueInfoProto { r#type: Some(float_type(None)), ..value_info(name, &[]) });
        graph
    };
    let with = |node: NodeProto| {
        let mut graph = graph.clone();
        graph.node.push(node);
        given(graph, "extra")
    };
    let again = NodeProto { input: first.input.clone(), ..node("DequantizeLinear", "", first.attribute.clone()) };
    let captured = {
        let inner = NodeProto { output: vec!["inner".into()], ..node("Neg", &float, vec![]) };
        let body = GraphProto {
            name: Some("body".into()),
            ..given(GraphProto { node: vec![inner], ..GraphProto::default() }, "inner")
        };
        let branch = |name: &str| AttributeProto {
            name: Some(name.into()),
            r#type: Some(AttributeType::Graph as i32),
            g: Some(body.clone()),
            ..AttributeProto::default()
        };
        let mut graph = with(node("If", "yes", vec![branch("then_branch"), branch("else_branch")]));
        graph.initializer.push(TensorProto {
            name: Some("yes".into()),
            data_type: Some(DataType::Bool as i32),
            raw_data: Some(vec![1].into()),
            ..TensorProto::default()
        });
        graph
    };
    let mut free = graph.clone();
    free.input[0] = value_info("x", &[-1, 4, -1, -1]);
    for (name, graph) in [
        ("an output", given(graph.clone(), &float)),
        ("read twice", with(node("Neg", &float, vec![]))),
        ("shared integers", with(again)),
        ("captured", captured),
        ("free sizes", free),
    ] {
        let model = ModelProto { graph: Some(graph), ..model.clone() };
        let (after, outcome) = rewrite(&model, &Options::default().carry(onnx_rm::options::Chain::Conv));
        assert_eq!(joins(&outcome), 0, "{name}: {:?}", outcome.sites);
        assert!(stored(&after).0.contains(&10), "{name}: {:?}", stored(&after));
        assert!(distance(&model, &after) < ROUNDING, "{name}");
    }
    let mut overridable = model.clone();
    let mut port = value_info(&integers, &[6, 4, 3, 3]);
    if let Some(type_proto::Value::TensorType(t)) = port.r#type.as_mut().unwrap().value.as_mut() {
        t.elem_type = Some(DataType::Int8 as i32);
    }
    overridable.graph.as_mut().unwrap().input.push(port);
    assert_eq!(rewrite(&overridable, &Options::default()).0, overridable);
}

#[test]
fn quantised_weights_that_leave_their_grid_become_floats() {
    let scaled: Weight = |b, s| {
        let w = per_tensor(b, s);
        let two = b.scalar(2.0);
        b.node("Mul", &[&w, &two], vec![])
    };
    let by_column: Weight = |b, s| per_axis(b, s, 1);
    for (name, weight) in [("calculated with", scaled), ("a scale a column", by_column)] {
        let model = block(21, weight);
        let (after, outcome) = rewrite(&model, &Options::default());
        assert_eq!((joins(&outcome), stored(&after)), (0, (vec![], 0)), "{name}: {:?}", outcome.sites);
        assert!(distance(&model, &after) < ROUNDING, "{name}");
    }
    // Where a target lacks the operator, it is not written.
    let target = onnx_rm::options::Target::parse("name = 'mine'\nwithout = ['DequantizeLinear']").unwrap();
    let (after, outcome) = rewrite(&block(21, per_tensor), &Options::default().target(target));
    assert_eq!((joins(&outcome), stored(&after)), (0, (vec![], 0)));
}

#[test]
fn onnx_runtime_computes_the_same_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (folder.path().join("before"), folder.path().join("after"));
    let files: Vec<String> = (0..STORED.len()).map(|i| format!("{i}.onnx")).collect();
    for ((_, weight, _), file) in STORED.iter().zip(&files) {
        let model = block(21, *weight);
        let (rewritten, _) = rewrite(&model, &Options::default().carry(onnx_rm::options::Chain::Conv));
        for (folder, mut model) in [(&before, model), (&after, rewritten)] {
            // What the checker of the onnx package asks for.
            model.ir_version = Some(10);
            let output = &mut model.graph.as_mut().unwrap().output[0];
            *output = value_info(output.name(), &[1, 4, 6, 6]);
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join(file), model.encode_to_vec()).unwrap();
        }
    }
    python::assert_alike([&before, &after], &files.iter().map(String::as_str).collect::<Vec<_>>(), ROUNDING);
}
