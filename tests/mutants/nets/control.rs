//! Graphs inside of nodes, local functions, operators that nobody knows, and what is random.

use onnx_rm::onnx::attribute_proto::AttributeType;
use onnx_rm::onnx::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto, type_proto,
};

use super::{Net, fixed, maps, model};
use crate::common::{Build, conv, float, int, ints};

pub const NETS: &[Net] = &[
    ("branches", branches),
    ("loop", turns),
    ("local function", function),
    ("custom operator", custom),
    ("dropout", dropout),
    ("random values", random),
];

/// Declares the last input as int64.
pub fn integers(b: &mut Build) {
    let info = b.graph.input.last_mut().unwrap();
    let Some(type_proto::Value::TensorType(t)) = info.r#type.as_mut().unwrap().value.as_mut() else { unreachable!() };
    t.elem_type = Some(7);
}

fn inner(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::Graph as i32),
        g: Some(GraphProto { name: Some(name.into()), ..graph }),
        ..AttributeProto::default()
    }
}

fn typeless(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: Some(name.into()), r#type: Some(crate::common::float_type(None)), ..Default::default() }
}

/// What `write` makes of a tensor from outside.
fn branch(name: &str, seed: u64, reads: &str, write: fn(&mut Build, &str) -> String) -> AttributeProto {
    let mut b = Build::new(seed);
    let out = write(&mut b, reads);
    let rename = |n: &mut String| {
        if n != reads {
            *n = format!("{name}_{n}");
        }
    };
    for node in &mut b.graph.node {
        node.input.iter_mut().chain(&mut node.output).for_each(rename);
    }
    b.graph.initializer.iter_mut().filter_map(|t| t.name.as_mut()).for_each(rename);
    b.graph.output = vec![typeless(&format!("{name}_{out}"))];
    inner(name, b.graph)
}

fn branches() -> ModelProto {
    let mut b = Build::new(1);
    let x = fixed(&mut b, 6);
    let y = b.conv(&x, &conv(3, 4, 3));
    let m = b.node("ReduceMin", &[&y], vec![ints("axes", &[0, 1, 2, 3]), int("keepdims", 0)]);
    let low = b.scalar(-50.0);
    let c = b.node("Greater", &[&m, &low], vec![]);
    let then = branch("then_branch", 2, &y, |b, y| {
        let w = b.random(&[4, 1, 1], 1.0);
        let y = b.node("Mul", &[y, &w], vec![]);
        b.node("Sigmoid", &[&y], vec![])
    });
    let or = branch("else_branch", 3, &y, |b, y| b.node("Neg", &[y], vec![]));
    let y = b.node("If", &[&c], vec![then, or]);
    let y = b.conv(&y, &conv(4, 4, 1));
    model(b, 17, &[&y])
}

fn turns() -> ModelProto {
    let mut b = Build::new(2);
    let x = fixed(&mut b, 4);
    let y = b.conv(&x, &conv(3, 4, 3));
    let count = b.ints(&[3]);
    b.graph.initializer.last_mut().unwrap().dims = vec![];
    let go = b.bools(&[], &[1]);
    let mut body = Build::new(3);
    let k = body.scalar(0.9);
    let scaled = body.node("Mul", &["state", &k], vec![]);
    let next = body.node("Tanh", &[&scaled], vec![]);
    let going = body.node("Identity", &["going"], vec![]);
    let mut graph = body.graph;
    let typed = |name: &str, dtype: i32, shape: &[i64]| {
        let mut info = crate::common::value_info(name, shape);
        if let Some(type_proto::Value::TensorType(t)) = info.r#type.as_mut().unwrap().value.as_mut() {
            t.elem_type = Some(dtype);
        }
        info
    };
    graph.input = vec![typed("turn", 7, &[]), typed("going", 9, &[]), typeless("state")];
    graph.output = vec![typed(&going, 9, &[]), typeless(&next)];
    let y = b.node("Loop", &[&count, &go, &y], vec![inner("body", graph)]);
    model(b, 17, &[&y])
}

fn function() -> ModelProto {
    let mut b = Build::new(3);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 4, 3));
    let y = b.node("Soft", &[&y], vec![]);
    b.graph.node.last_mut().unwrap().domain = Some("local".into());
    let y = b.conv(&y, &conv(4, 4, 1));
    let mut m = model(b, 17, &[&y]);
    let node = |op: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>| NodeProto {
        op_type: Some(op.into()),
        input: inputs.iter().map(|i| (*i).to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute,
        ..NodeProto::default()
    };
    let opset = |domain: &str, version| OperatorSetIdProto { domain: Some(domain.into()), version: Some(version) };
    m.functions.push(FunctionProto {
        name: Some("Soft".into()),
        domain: Some("local".into()),
        input: vec!["a".into()],
        output: vec!["c".into()],
        node: vec![
            node("LeakyRelu", &["a"], "b", vec![float("alpha", 0.1)]),
            node("Sigmoid", &["b"], "d", vec![]),
            node("Mul", &["b", "d"], "c", vec![]),
        ],
        opset_import: vec![opset("", 17)],
        ..FunctionProto::default()
    });
    m.opset_import.push(opset("local", 1));
    m
}

fn custom() -> ModelProto {
    let mut b = Build::new(4);
    let x = maps(&mut b);
    let x = b.conv(&x, &conv(3, 6, 3));
    let x = b.relu(&x);
    let y = b.conv(&x, &conv(6, 6, 3));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(6, 6, 3));
    let y = b.add(&y, &x);
    let weights = b.random(&[6], 1.0);
    let z = b.node("Mystery", &[&y, &weights], vec![float("strength", 1.0)]);
    b.graph.node.last_mut().unwrap().domain = Some("vendor".into());
    let mut m = model(b, 17, &[&z]);
    m.opset_import.push(OperatorSetIdProto { domain: Some("vendor".into()), version: Some(1) });
    m
}

fn dropout() -> ModelProto {
    let mut b = Build::new(5);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 6, 3));
    let (ratio, training) = (b.scalar(0.5), b.bools(&[], &[0]));
    let y = b.node("Dropout", &[&y, &ratio, &training], vec![]);
    let y = b.conv(&y, &conv(6, 4, 1));
    model(b, 17, &[&y])
}

fn random() -> ModelProto {
    let mut b = Build::new(6);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 4, 3));
    let noise = b.node("RandomNormalLike", &[&y], vec![float("seed", 3.0)]);
    let y = b.add(&y, &noise);
    model(b, 17, &[&y])
}
