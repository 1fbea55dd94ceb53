//! Weights: slices of the bytes read, and the same to the caller however they are stored.

use bytes::Bytes;
use onnx_rm::facts::tensor;
use onnx_rm::onnx::attribute_proto::AttributeType;
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{AttributeProto, ModelProto, NodeProto, TensorProto, type_proto};

use super::build::residual_block;
use super::*;

const SEED: u64 = 1;
const CHANNELS: usize = 6;

fn block() -> ModelProto {
    residual_block(SEED, CHANNELS)
}

fn lies_in(part: &Bytes, whole: &Bytes) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    whole.start <= part.start && part.end <= whole.end
}

#[test]
fn weights_lie_inside_the_bytes_read_aligned_or_not() {
    let folder = Folder::new();
    let mut odd = 0;
    for pad in 0..4 {
        let mut model = block();
        // Shifts everything behind it.
        model.producer_name = Some("p".repeat(pad));
        let path = folder.write("m.onnx", &model);
        let loaded = open(&path);
        for tensor in initializers(loaded.proto()) {
            let raw = tensor.raw_data.as_ref().unwrap();
            assert!(lies_in(raw, loaded.source()), "{} was copied", tensor.name());
            odd += usize::from(!(raw.as_ptr() as usize).is_multiple_of(4));
        }
        assert_eq!(contents(loaded.proto()), contents(&model));
        let removed = rewritten(&path, 1);
        assert_eq!(new_weights(removed.proto(), &model), new_weights(&rewritten_block(), &block()));
    }
    assert!(odd > 0, "no weight was unaligned");
}

#[test]
fn weights_that_no_edit_touches_are_written_from_the_bytes_read() {
    let folder = Folder::new();
    let mut model = block();
    let kept = TensorProto { name: Some("kept".into()), ..initializers(&model)[0].clone() };
    model.graph.as_mut().unwrap().initializer.push(kept);
    let removed = rewritten(&folder.write("m.onnx", &model), 1);
    let kept = initializers(removed.proto()).iter().find(|t| t.name() == "kept").unwrap();
    assert!(lies_in(kept.raw_data.as_ref().unwrap(), removed.source()));
}

fn rewritten_block() -> ModelProto {
    let mut model = block();
    onnx_rm::engine::rewrite_proto(&mut model, &Options::default(), &mut onnx_rm::engine::go_on).unwrap();
    model
}

/// Content of the initializers that `before` does not have.
fn new_weights(after: &ModelProto, before: &ModelProto) -> Vec<Vec<f64>> {
    let old = contents(before);
    let new = initializers(after).iter().filter(|t| !old.contains_key(t.name()));
    let mut new: Vec<Vec<f64>> = new.map(|t| tensor::read_f64(t).unwrap().into_iter().collect()).collect();
    new.sort_by(|a, b| a.partial_cmp(b).unwrap());
    assert!(!new.is_empty());
    new
}

fn constant(tensor: TensorProto) -> NodeProto {
    let value = AttributeProto {
        name: Some("value".into()),
        r#type: Some(AttributeType::Tensor as i32),
        t: Some(tensor.clone()),
        ..AttributeProto::default()
    };
    NodeProto {
        op_type: Some("Constant".into()),
        output: vec![tensor.name().to_owned()],
        attribute: vec![value],
        ..NodeProto::default()
    }
}

fn typed(tensor: &mut TensorProto) {
    tensor.float_data = tensor::read_f64(tensor).unwrap().iter().map(|v| *v as f32).collect();
    tensor.raw_data = None;
}

/// Moves the weights of a model to another place.
type Store = fn(&mut ModelProto);

/// However the weights are stored, the same rewrite comes out.
#[test]
fn every_way_to_store_weights_is_the_same() {
    let stored: [(&str, Store); 3] = [
        ("typed fields", |m| initializers_mut(m).iter_mut().for_each(typed)),
        ("Constant nodes", |m| {
            let graph = m.graph.as_mut().unwrap();
            let constants = graph.initializer.drain(..).map(constant).collect::<Vec<_>>();
            graph.node.splice(0..0, constants);
        }),
        ("behind Identity", |m| {
            let graph = m.graph.as_mut().unwrap();
            for tensor in &mut graph.initializer {
                let name = tensor.name().to_owned();
                let inner = format!("{name}_inner");
                tensor.name = Some(inner.clone());
                let identity = NodeProto {
                    op_type: Some("Identity".into()),
                    input: vec![inner],
                    output: vec![name],
                    ..NodeProto::default()
                };
                graph.node.insert(0, identity);
            }
        }),
    ];
    let folder = Folder::new();
    let want = new_weights(&rewritten_block(), &block());
    for (name, store) in stored {
        let mut model = block();
        store(&mut model);
        let removed = rewritten(&folder.write("m.onnx", &model), 1);
        let old: Vec<&str> = initializers(&model).iter().map(|t| t.name()).collect();
        let mut after = removed.proto().clone();
        after.graph.as_mut().unwrap().initializer.retain(|t| !old.contains(&t.name()));
        assert_eq!(new_weights(&after, &block()), want, "{name}");
    }
}

#[test]
fn a_weight_that_another_node_reads_stays() {
    let folder = Folder::new();
    let mut model = block();
    let shared = initializers(&model)[0].clone();
    let graph = model.graph.as_mut().unwrap();
    let reader = NodeProto {
        op_type: Some("Identity".into()),
        input: vec![shared.name().into()],
        output: vec!["w_out".into()],
        ..NodeProto::default()
    };
    graph.node.push(reader);
    graph.output.push(build::value_info("w_out", &shared.dims));
    let removed = rewritten(&folder.write("m.onnx", &model), 1);
    assert!(initializers(removed.proto()).contains(&shared));
    assert_eq!(initializers(removed.proto()).iter().filter(|t| t.name() == shared.name()).count(), 1);
}

#[test]
fn a_rewrite_keeps_the_element_type() {
    let folder = Folder::new();
    for dtype in [DataType::Float16, DataType::Bfloat16, DataType::Double] {
        let mut model = block();
        for t in initializers_mut(&mut model) {
            *t = tensor::write(t.name(), &tensor::read_f64(t).unwrap(), dtype);
        }
        let graph = model.graph.as_mut().unwrap();
        for value in graph.input.iter_mut().chain(&mut graph.output) {
            let Some(type_proto::Value::TensorType(t)) = &mut value.r#type.as_mut().unwrap().value else { panic!() };
            t.elem_type = Some(dtype as i32);
        }
        let mut removed = rewritten(&folder.write("m.onnx", &model), 1);
        let to = folder.path("out.onnx");
        onnx_rm::io::save(&removed, &to).unwrap();
        removed = open(&to);
        for tensor in initializers(removed.proto()) {
            assert_eq!(tensor.data_type, Some(dtype as i32), "{}", tensor.name());
        }
        let (before, after) = (model.graph.unwrap(), removed.into_proto().graph.unwrap());
        assert_eq!((before.input, before.output), (after.input, after.output));
    }
}
