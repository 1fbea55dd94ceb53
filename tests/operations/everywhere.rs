//! What holds for every block: it computes the same in every form, whoever else reads its tensors.

use onnx_rm::onnx::attribute_proto::AttributeType;
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto};
use onnx_rm::options::{ActivationForm, Target};
use onnx_rm::verify::structure::types;

use super::blocks::{Block, model_of, stays};
use super::judge::{assert_none, complaint, options};
use crate::common::*;

/// A property that every block has.
pub type Property = fn(&str, Block);

/// All of them, by name.
pub const PROPERTIES: &[(&str, Property)] = &[
    ("computes the same in every form", computes_the_same_in_every_form),
    ("tensors read twice or given out stay right", tensors_read_twice_or_given_out_stay_right),
    ("tensors captured by a subgraph stay right", tensors_captured_by_a_subgraph_stay_right),
    ("an initializer that another node reads keeps its bytes", an_initializer_that_another_node_reads_keeps_its_bytes),
    ("an initializer that is also an input is never baked in", an_initializer_that_is_also_an_input_is_never_baked_in),
];

fn computes_the_same_in_every_form(name: &str, block: Block) {
    use ActivationForm::{Auto, Minmax, Pair, Prelu, Select};
    let mut complaints = Vec::new();
    for signed in [false, true] {
        let model = model_of(block, 7, signed).model();
        let expected = Expected::of(&model);
        let forms = [Auto, Prelu, Minmax, Pair, Select].map(|activation| options().activation(activation));
        let target = options().target(Target::named("onnxruntime").unwrap());
        complaints.extend(forms.iter().chain([&target]).filter_map(|o| complaint(name, &model, &expected, o)));
    }
    assert_none(complaints);
}

/// Joins that are left at most where every tensor is read elsewhere too.
fn stay_read(name: &str) -> usize {
    match name {
        // Only a convolution that nothing else reads is cropped.
        "causal convolution" | "causal and dilated" => 1,
        // What repeats a channel, and is read elsewhere, stays.
        "one channel added to all" => 2,
        // A function that is read elsewhere stays beside its copy, with the sum in it.
        _ => 2 * stays(name),
    }
}

/// What the nodes compute, but for sequences and answers.
fn tensors(model: &ModelProto) -> Vec<String> {
    let types = types(model);
    let nodes = model.graph.as_ref().unwrap().node.iter().filter(|n| n.op_type() != "SplitToSequence");
    nodes.flat_map(|n| &n.output).filter(|o| types.of(o) != Some(DataType::Bool)).cloned().collect()
}

fn tensors_read_twice_or_given_out_stay_right(name: &str, block: Block) {
    let base = model_of(block, 13, true).model();
    let tensors = tensors(&base);
    // Every tensor of the block is read by a node of its own, and the even ones are graph outputs too.
    let mut b = model_of(block, 13, true);
    for (i, t) in tensors.iter().enumerate() {
        let n = b.node("Neg", &[t], vec![]);
        b.output(&n);
        if i % 2 == 0 {
            b.output(t);
        }
    }
    let model = b.model();
    let (after, outcome) = rewrite(&model, &options());
    let d = distance(&model, &after);
    assert!(d < ROUNDING, "{name}: differs by {d}\n{}", onnx_rm::graph::dump(&after));
    let names =
        |m: &ModelProto| m.graph.as_ref().unwrap().output.iter().map(|o| o.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&model), names(&after), "{name}");
    assert!(joins(&outcome) <= stay_read(name), "{name}: a second reader is no reason to keep a join");
}

/// `If(true) { Neg(captured) } else { Identity(captured) }`.
fn capture(b: &mut Build, tensor: &str) -> String {
    let branch = |op: &str| GraphProto {
        name: Some(format!("{op}_body")),
        node: vec![NodeProto {
            name: Some(format!("{op}_inner")),
            op_type: Some(op.into()),
            input: vec![tensor.into()],
            output: vec![format!("{op}_inner_out")],
            ..NodeProto::default()
        }],
        output: vec![ValueInfoProto { name: Some(format!("{op}_inner_out")), ..ValueInfoProto::default() }],
        ..GraphProto::default()
    };
    let graph = |name: &str, g: GraphProto| AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::Graph as i32),
        g: Some(g),
        ..AttributeProto::default()
    };
    let zero = b.floats(&[], vec![0.0]);
    let one = b.floats(&[], vec![1.0]);
    let condition = b.node("Less", &[&zero, &one], vec![]);
    b.node("If", &[&condition], vec![graph("then_branch", branch("Neg")), graph("else_branch", branch("Identity"))])
}

fn tensors_captured_by_a_subgraph_stay_right(name: &str, block: Block) {
    let base = model_of(block, 17, true).model();
    let tensors = tensors(&base);
    let mut b = model_of(block, 17, true);
    for t in &tensors {
        let out = capture(&mut b, t);
        b.output(&out);
    }
    let model = b.model();
    let (after, outcome) = rewrite(&model, &options());
    let d = distance(&model, &after);
    assert!(d < ROUNDING, "{name}: differs by {d}\n{}", onnx_rm::graph::dump(&after));
    assert!(joins(&outcome) <= stay_read(name), "{name}");
}

fn an_initializer_that_another_node_reads_keeps_its_bytes(name: &str, block: Block) {
    let mut b = model_of(block, 19, true);
    let weights: Vec<(String, usize)> = b
        .graph
        .initializer
        .iter()
        .filter(|t| t.data_type == Some(1))
        .map(|t| (t.name().to_owned(), t.dims.len()))
        .collect();
    for (weight, _) in &weights {
        let out = b.node("Cos", &[weight], vec![]);
        b.output(&out);
    }
    let model = b.model();
    let (after, _) = rewrite(&model, &options());
    for (weight, _) in &weights {
        let find = |m: &ModelProto| m.graph.as_ref().unwrap().initializer.iter().find(|t| t.name() == weight).cloned();
        assert_eq!(find(&model), find(&after), "{name}: {weight}");
    }
    let d = distance(&model, &after);
    assert!(d < ROUNDING, "{name}: differs by {d}");
}

fn an_initializer_that_is_also_an_input_is_never_baked_in(name: &str, block: Block) {
    let plain = model_of(block, 23, true).model();
    let mut model = plain.clone();
    let graph = model.graph.as_mut().unwrap();
    // Every float initializer can be overridden by the caller.
    for t in graph.initializer.clone() {
        if t.data_type == Some(1) {
            let mut info = graph.input[0].clone();
            info.name = t.name.clone();
            graph.input.push(info);
        }
    }
    let (after, outcome) = rewrite(&model, &options());
    // Other orders of axes need no weights.
    let (moved, removed): (Vec<_>, Vec<_>) = outcome.removed().partition(|(s, _)| s.kind == "transpose");
    assert!(removed.is_empty(), "{name}: {removed:?}");
    let weights = |m: &ModelProto| m.graph.as_ref().unwrap().initializer.clone();
    assert_eq!(weights(&model), weights(&after), "{name}");
    assert!(!moved.is_empty() || model == after, "{name}: nothing was to be done, so nothing may change");
}
