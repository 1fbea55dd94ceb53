//! Fields of a newer ONNX are not lost silently.

use super::build::residual_block;
use super::*;
use onnx_rm::io::save;

/// Field 1023, length-delimited, one byte.
const FIELD: [u8; 4] = [0xfa, 0x3f, 0x01, 0x2a];

/// A model whose second node has a field that no schema knows.
fn from_the_future() -> Vec<u8> {
    let model = residual_block(1, 4);
    let mut graph = Vec::new();
    for (index, node) in model.graph.as_ref().unwrap().node.iter().enumerate() {
        let mut bytes = node.encode_to_vec();
        if index == 1 {
            bytes.extend(FIELD);
        }
        graph.push(0x0a);
        prost::encode_length_delimiter(bytes.len(), &mut graph).unwrap();
        graph.extend(bytes);
    }
    let mut rest = model.graph.clone().unwrap();
    rest.node.clear();
    rest.encode(&mut graph).unwrap();
    let mut file = ModelProto { graph: None, ..model }.encode_to_vec();
    file.push(0x3a);
    prost::encode_length_delimiter(graph.len(), &mut file).unwrap();
    file.extend(graph);
    file
}

#[test]
fn they_are_refused_by_place_message_and_number() {
    let folder = Folder::new();
    let path = folder.path("m.onnx");
    fs::write(&path, from_the_future()).unwrap();
    let error = refusal(&path);
    for part in ["m.onnx: ", "graph.node[1]", "NodeProto", "1023"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn they_are_dropped_on_request() {
    let folder = Folder::new();
    let path = folder.path("m.onnx");
    fs::write(&path, from_the_future()).unwrap();
    let model = load(&path, &LoadOptions::default().drop_unknown_fields(true)).unwrap();
    assert!(model.is_edited(), "what is written is not what was read");
    save(&model, &path).unwrap();
    assert!(fs::read(&path).unwrap() == residual_block(1, 4).encode_to_vec());
}

/// A newer version without new fields loses nothing.
#[test]
fn a_newer_version_alone_is_fine() {
    let folder = Folder::new();
    let mut model = residual_block(1, 4);
    model.ir_version = Some(99);
    let removed = rewritten(&folder.write("m.onnx", &model), 1);
    assert_eq!(removed.proto().ir_version, Some(99));
}
