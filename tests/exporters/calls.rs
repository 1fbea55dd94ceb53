//! Local functions and fused operators.

use onnx_rm::onnx::attribute_proto::AttributeType;
use onnx_rm::onnx::{AttributeProto, FunctionProto, ModelProto, NodeProto, OperatorSetIdProto};
use onnx_rm::options::Options;

use super::{block, ops};
use crate::common::*;

fn import(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: Some(domain.into()), version: Some(version) }
}

fn node(op: &str, domain: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        name: Some(format!("{op}_in")),
        op_type: Some(op.into()),
        domain: (!domain.is_empty()).then(|| domain.into()),
        input: inputs.iter().map(|s| (*s).into()).collect(),
        output: outputs.iter().map(|s| (*s).into()).collect(),
        ..NodeProto::default()
    }
}

fn function(name: &str, inputs: &[&str], outputs: &[&str], nodes: Vec<NodeProto>) -> FunctionProto {
    FunctionProto {
        name: Some(name.into()),
        domain: Some("local".into()),
        input: inputs.iter().map(|s| (*s).into()).collect(),
        output: outputs.iter().map(|s| (*s).into()).collect(),
        opset_import: vec![import("", 17), import("local", 1)],
        node: nodes,
        ..FunctionProto::default()
    }
}

fn slope(of: &str) -> AttributeProto {
    AttributeProto {
        name: Some("alpha".into()),
        ref_attr_name: Some(of.into()),
        r#type: Some(AttributeType::Float as i32),
        ..AttributeProto::default()
    }
}

/// A block whose activation, twice over, and whose sum are calls: `leak` calls `leaky`, which refers to an attribute of the call.
fn called() -> ModelProto {
    let mut leaky = node("LeakyRelu", "", &["a"], &["b"]);
    leaky.attribute.push(slope("slope"));
    let mut inner = node("leaky", "local", &["p"], &["q"]);
    inner.attribute.push(AttributeProto { name: Some("slope".into()), ..slope("steepness") });
    let functions = vec![
        function("leaky", &["a"], &["b"], vec![leaky]),
        function("leak", &["p"], &["q"], vec![inner]),
        function("plus", &["u", "v", "w"], &["s", "u"], vec![node("Add", "", &["u", "v"], &["s"])]),
    ];
    let mut model = block(17, |b, y| b.relu(y)).model();
    let graph = model.graph.as_mut().unwrap();
    for n in &mut graph.node {
        match n.op_type() {
            "Relu" => {
                (n.op_type, n.domain) = (Some("leak".into()), Some("local".into()));
                n.attribute = vec![float("steepness", 0.25)];
            }
            "Add" => (n.op_type, n.domain) = (Some("plus".into()), Some("local".into())),
            _ => {}
        }
    }
    model.functions = functions;
    for f in &mut model.functions {
        f.attribute = match f.name() {
            "leaky" => vec!["slope".into()],
            "leak" => vec!["steepness".into()],
            _ => vec![],
        };
    }
    model.opset_import.push(import("local", 1));
    model
}

#[test]
fn a_join_in_a_call_goes() {
    let model = called();
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!((outcome.before.joins, joins(&outcome)), (1, 0), "{:?}", outcome.sites);
    assert!(after.functions.is_empty(), "nothing calls them any more");
    assert!(distance(&model, &after) < ROUNDING);
    assert_valid(&after, "calls");
    let (again, _) = rewrite(&after, &Options::default());
    assert_eq!(again, after);
}

#[test]
fn calls_stay_where_nothing_goes_or_when_they_are_to() {
    let model = called();
    let (after, _) = rewrite(&model, &Options::default().keep_functions(true));
    assert_eq!(after, model);
    // A call elsewhere, as it is.
    let mut model = called();
    let graph = model.graph.as_mut().unwrap();
    let last = graph.output[0].name().to_owned();
    let mut call = node("leak", "local", &[&last], &["z"]);
    call.attribute.push(float("steepness", 0.5));
    graph.node.push(call.clone());
    graph.output[0].name = Some("z".into());
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!(joins(&outcome), 0);
    assert!(after.graph.as_ref().unwrap().node.contains(&call), "it stays a call");
    assert_eq!(after.functions.iter().map(|f| f.name()).collect::<Vec<_>>(), ["leaky", "leak"]);
    assert!(distance(&model, &after) < ROUNDING);
}

#[test]
fn a_function_that_cannot_be_written_out_stays() {
    let spoils: [fn(&mut FunctionProto); 4] = [
        |f| f.opset_import[0].version = Some(13),
        |f| f.node[0].input[0] = "nobody".into(),
        |f| f.node.push(f.node[0].clone()),
        |f| f.node[0].attribute[0].ref_attr_name = Some("nothing".into()),
    ];
    for (i, spoil) in spoils.iter().enumerate() {
        let mut model = called();
        spoil(&mut model.functions[0]);
        let (after, outcome) = rewrite(&model, &Options::default());
        assert_eq!(joins(&outcome), 1, "{i}");
        assert_eq!(after, model, "{i}");
    }
    // One that calls itself.
    let mut model = called();
    model.functions[0].node[0] = node("leaky", "local", &["a"], &["b"]);
    assert_eq!(rewrite(&model, &Options::default()).0, model);
}

/// The block after ONNX Runtime's optimiser: the activation, or the whole sum, is part of a convolution.
fn fused(sum: bool) -> ModelProto {
    let mut model = block(17, |b, y| b.relu(y)).model();
    let graph = model.graph.as_mut().unwrap();
    let place = |graph: &onnx_rm::onnx::GraphProto, op: &str| graph.node.iter().position(|n| n.op_type() == op);
    let relu = place(graph, "Relu").unwrap();
    let output = graph.node.remove(relu).output;
    graph.node[relu - 1].output = output;
    let fuse = |n: &mut NodeProto| (n.op_type, n.domain) = (Some("FusedConv".into()), Some("com.microsoft".into()));
    fuse(&mut graph.node[relu - 1]);
    graph.node[relu - 1].attribute.push(string("activation", "Relu"));
    if sum {
        let add = place(graph, "Add").unwrap();
        let add = graph.node.remove(add);
        let conv = graph.node.iter_mut().find(|n| n.output[0] == add.input[0]).unwrap();
        conv.output = add.output;
        if conv.input.len() == 2 {
            conv.input.push(String::new());
        }
        conv.input.push(add.input[1].clone());
        fuse(conv);
    }
    model.opset_import.push(import("com.microsoft", 1));
    model
}

#[test]
fn fused_convolutions_are_convolutions() {
    for sum in [false, true] {
        let model = fused(sum);
        let (after, outcome) = rewrite(&model, &Options::default());
        assert_eq!((outcome.before.joins, joins(&outcome)), (1, 0), "{sum}: {:?}", outcome.sites);
        assert!(outcome.before.macs.is_some_and(|n| n > 0));
        assert!(!ops(&after).contains(&"FusedConv"));
        assert!(distance(&model, &after) < ROUNDING, "{sum}");
    }
}
