//! Functions and subgraphs, compared node by node.

use onnx_rm::onnx::attribute_proto::AttributeType;
use onnx_rm::onnx::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto,
};
use onnx_rm::verify::structure::What;

use super::common::{Build, float};
use super::{found, node, words};

fn leaky(input: &str, output: &str, alpha: f32) -> NodeProto {
    NodeProto {
        op_type: Some("LeakyRelu".into()),
        input: vec![input.into()],
        output: vec![output.into()],
        attribute: vec![float("alpha", alpha)],
        ..NodeProto::default()
    }
}

/// A model that calls a function of one node, through another function.
pub fn calling(alpha: f32) -> ModelProto {
    let function = |name: &str, node: NodeProto| FunctionProto {
        name: Some(name.into()),
        domain: Some("mine".into()),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: vec![node],
        opset_import: vec![OperatorSetIdProto { version: Some(17), ..Default::default() }],
        ..FunctionProto::default()
    };
    let inner = NodeProto {
        op_type: Some("Act".into()),
        domain: Some("mine".into()),
        input: vec!["a".into()],
        output: vec!["b".into()],
        ..NodeProto::default()
    };
    let mut b = Build::new(5);
    let x = b.input("x", &[1, 4]);
    let y = b.node("Outer", &[&x], vec![]);
    b.output(&y);
    let mut model = b.model();
    node(&mut model, "Outer").domain = Some("mine".into());
    model.functions = vec![function("Act", leaky("a", "b", alpha)), function("Outer", inner)];
    model.functions.push(function("Unused", leaky("a", "b", alpha)));
    model
}

/// `x` through one of two subgraphs, which read a constant of the graph around.
pub fn choosing(alpha: f32, scale: f64) -> ModelProto {
    let mut b = Build::new(5);
    let x = b.input("x", &[1, 4]);
    let factor = b.floats(&[1, 4], vec![1.0, 2.0, 3.0, scale]);
    let zero = b.scalar(0.0);
    let sum = b.node("ReduceSum", &[&x], vec![super::common::int("keepdims", 0)]);
    let condition = b.node("Greater", &[&sum, &zero], vec![]);
    let y = b.node("If", &[&condition], vec![]);
    b.output(&y);
    let mut model = b.model();
    let branch = |node: NodeProto| GraphProto {
        output: vec![ValueInfoProto { name: Some("out".into()), ..Default::default() }],
        node: vec![node],
        ..GraphProto::default()
    };
    let graph = |name: &str, node: NodeProto| AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::Graph as i32),
        g: Some(branch(node)),
        ..AttributeProto::default()
    };
    let scaled = NodeProto {
        op_type: Some("Mul".into()),
        input: vec!["x".into(), factor],
        output: vec!["out".into()],
        ..NodeProto::default()
    };
    node(&mut model, "If").attribute =
        vec![graph("then_branch", leaky("x", "out", alpha)), graph("else_branch", scaled)];
    model
}

#[test]
fn a_function_is_compared_wherever_it_is_called_from() {
    assert_eq!(words(&calling(0.5), &calling(0.5)), Vec::<String>::new());
    let all = words(&calling(0.5), &calling(0.25));
    let want = "node 'b' (LeakyRelu), tensor 'b' in function 'Act': attribute alpha was 0.5 and is 0.25";
    assert_eq!(all, [want], "the one that nobody calls does not count");
}

#[test]
fn names_inside_a_body_do_not_count() {
    let (a, mut b) = (calling(0.5), calling(0.5));
    let function = &mut b.functions[0];
    (function.input, function.output) = (vec!["p".into()], vec!["q".into()]);
    function.node = vec![leaky("p", "q", 0.5)];
    assert_eq!(words(&a, &b), Vec::<String>::new());
    b.functions[0].node = vec![leaky("p", "r", 0.5), leaky("r", "q", 0.5)];
    assert!(matches!(found(&a, &b)[0].what, What::Body(_)));
    b.functions[0].node = vec![leaky("q", "q", 0.5)];
    assert!(matches!(found(&a, &b)[0].what, What::Body(_)), "it reads something else");
    b.functions.remove(0);
    assert!(found(&a, &b)[0].to_string().contains("no such function"));
}

#[test]
fn a_subgraph_is_compared_with_what_it_reads_from_around() {
    assert_eq!(words(&choosing(0.5, 4.0), &choosing(0.5, 4.0)), Vec::<String>::new());
    let all = words(&choosing(0.5, 4.0), &choosing(0.25, 4.0));
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].contains("in then_branch of node 'If") && all[0].contains("alpha was 0.5"), "{all:?}");
    let all = words(&choosing(0.5, 4.0), &choosing(0.5, 5.0));
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].contains("(If)") && all[0].contains("a subgraph, constant"), "{all:?}");
    assert!(all[0].ends_with("1 of 4 entries differ, the first is 3"), "{all:?}");
}
