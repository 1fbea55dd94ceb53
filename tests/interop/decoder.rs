//! A second decoder, `onnx-protobuf`, reads the file before and after. What it does not know it keeps as unknown
//! fields, which are compared too.

use onnx_protobuf::{GraphProto, Message, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use prost::Message as _;

use super::everything::{self, BLOCK, INNER};

fn read(bytes: &[u8]) -> ModelProto {
    ModelProto::parse_from_bytes(bytes).unwrap()
}

/// The model before and after a rewrite by the program.
fn both() -> (ModelProto, ModelProto) {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("in.onnx"), folder.path().join("out.onnx"));
    std::fs::write(&from, everything::model().encode_to_vec()).unwrap();
    assert_eq!(super::rewrite(&from, &to), 1);
    let [from, to] = [from, to].map(|path| read(&std::fs::read(path).unwrap()));
    (from, to)
}

fn is_new(node: &NodeProto) -> bool {
    node.metadata_props.iter().any(|p| p.key == onnx_rm::graph::PROVENANCE_KEY)
}

#[test]
fn the_decoder_reads_what_was_written() {
    let before = read(&everything::model().encode_to_vec());
    let model = everything::model();
    assert_eq!(before.doc_string, model.doc_string());
    assert_eq!(before.graph.node.len(), model.graph.unwrap().node.len());
}

#[test]
fn everything_around_the_graph_is_kept() {
    let (mut before, mut after) = both();
    let (_, _) = (before.graph.take(), after.graph.take());
    // What a rewritten file says of its making stands behind the metadata that was there.
    let is_kept = |p: &onnx_protobuf::StringStringEntryProto| !p.key.starts_with("onnx_rm.");
    assert_eq!(after.metadata_props.iter().position(|p| !is_kept(p)), Some(3));
    after.metadata_props.retain(is_kept);
    assert_eq!(after, before);
    assert_eq!((before.functions.len(), before.training_info.len(), before.metadata_props.len()), (1, 1, 3));
}

#[test]
fn everything_around_the_block_is_kept() {
    let (before, after) = both();
    let bare =
        |graph: &GraphProto| GraphProto { node: vec![], initializer: vec![], value_info: vec![], ..graph.clone() };
    assert_eq!(bare(&after.graph), bare(&before.graph));
    assert_eq!(before.graph.sparse_initializer.len() + before.graph.quantization_annotation.len(), 3);
}

#[test]
fn every_other_node_is_kept_in_its_order() {
    let (before, after) = both();
    let kept: Vec<&NodeProto> = after.graph.node.iter().filter(|n| !is_new(n)).collect();
    let want: Vec<&NodeProto> = before.graph.node.iter().filter(|n| !BLOCK.contains(&n.name.as_str())).collect();
    assert_eq!(kept, want);
    assert_eq!(want.len(), 6);
    assert!(after.graph.node.iter().all(|n| n.op_type != "Add"));
}

#[test]
fn every_other_weight_is_kept() {
    let (before, after) = both();
    let others = |t: &&TensorProto| ["scale", "plain", "yes"].contains(&t.name.as_str());
    let kept: Vec<&TensorProto> = after.graph.initializer.iter().filter(others).collect();
    assert_eq!(kept, before.graph.initializer.iter().filter(others).collect::<Vec<_>>());
    assert_eq!(kept.len(), 3);
}

#[test]
fn what_is_said_of_every_other_tensor_is_kept() {
    let (before, after) = both();
    let others = |v: &&ValueInfoProto| !INNER.contains(&v.name.as_str());
    let wants: Vec<&ValueInfoProto> = before.graph.value_info.iter().filter(others).collect();
    for want in &wants {
        assert!(after.graph.value_info.contains(want), "{}", want.name);
    }
    assert_eq!(wants.len(), 2);
}

/// A field that the model leaves empty would not be tested.
#[test]
fn the_model_uses_the_rare_fields() {
    let text = format!("{:?}", everything::model());
    let missing: Vec<&str> = FIELDS.iter().copied().filter(|f| !text.contains(f)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

/// Rare fields, as they print when they are filled.
const FIELDS: &[&str] = &[
    "ref_attr_name: Some",
    "sparse_tensor: Some",
    "tp: Some",
    "type_protos: [T",
    "overload: Some",
    "device_configurations: [N",
    "training_info: [T",
    "functions: [F",
    "configuration: [D",
    "sparse_initializer: [S",
    "quantization_annotation: [T",
    "value_info: [V",
    "string_data: [[",
    "attribute_proto: [A",
    "index_to_device_group_map: [I",
];
