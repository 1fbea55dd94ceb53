//! Models that are protobuf, but no sound graph.

use super::build::{float, int, ints};
use super::*;
use onnx_rm::onnx::attribute_proto::AttributeType;
use onnx_rm::onnx::{AttributeProto, SparseTensorProto};

/// Breaks a good model.
type Damage = fn(&mut ModelProto);

fn set(model: &mut ModelProto, name: &str, attribute: AttributeProto) {
    let node = node(model, name);
    node.attribute.retain(|a| a.name() != attribute.name());
    node.attribute.push(attribute);
}

fn empty(name: &str, op: &str) -> NodeProto {
    NodeProto { name: Some(name.into()), op_type: Some(op.into()), ..NodeProto::default() }
}

#[test]
fn a_broken_graph_is_refused_by_node_or_tensor() {
    let cases: &[(Damage, &[&str])] = &[
        (|m| node(m, "start").input[0] = "joined".into(), &["cycle", "'start'"]),
        (|m| node(m, "relu").input[0] = "relu".into(), &["cycle", "'relu'"]),
        (|m| tensor(m, "b1").name = Some("w1".into()), &["'w1'", "defined twice"]),
        (|m| tensor(m, "b1").name = Some("relu".into()), &["'relu'", "defined twice"]),
        (|m| node(m, "relu").output[0] = "conv_1".into(), &["'conv_1'", "defined twice", "'relu'"]),
        (|m| node(m, "relu").output.push("relu".into()), &["'relu'", "defined twice"]),
        (|m| node(m, "relu").output[0] = "x".into(), &["'x'", "defined twice"]),
        (
            |m| {
                let x = graph(m).input[0].clone();
                graph(m).input.push(x)
            },
            &["'x'", "defined twice"],
        ),
        (|m| node(m, "conv_2").input[1] = "nowhere".into(), &["'conv_2'", "'nowhere'", "nothing defines"]),
        (|m| graph(m).output[0].name = Some("nowhere".into()), &["output 'nowhere'"]),
        (|m| graph(m).sparse_initializer = vec![SparseTensorProto::default(); 2], &["defined twice"]),
        (|m| m.opset_import.clear(), &["names no operator set"]),
    ];
    for (damage, parts) in cases {
        let mut model = good();
        damage(&mut model);
        Case::new(&model.encode_to_vec()).is_refused(parts);
    }
}

#[test]
fn a_weight_that_does_not_fit_is_refused_by_name() {
    let cases: &[(Damage, &[&str])] = &[
        (|m| tensor(m, "w1").dims = vec![1_000_000_000; 2], &["'w1'", "impossible"]),
        (|m| tensor(m, "w1").dims = vec![1 << 40; 2], &["'w1'", "impossible"]),
        (|m| tensor(m, "w1").dims = vec![1 << 62], &["'w1'", "impossible"]),
        (|m| tensor(m, "w1").dims[0] = -4, &["'w1'", "impossible"]),
        (|m| tensor(m, "w1").dims[0] = 5, &["'w1'", "asks for 720 bytes", "576"]),
        (|m| tensor(m, "w1").data_type = Some(11), &["'w1'", "DOUBLE"]),
        (|m| tensor(m, "w1").data_type = Some(99), &["'w1'", "type 99 is unknown"]),
        (|m| tensor(m, "w1").data_type = Some(-1), &["'w1'", "type -1 is unknown"]),
        (|m| tensor(m, "w1").raw_data = None, &["'w1'", "there are 0"]),
        (
            |m| {
                let w = tensor(m, "w1");
                (w.dims, w.raw_data) = (vec![1 << 28, 1 << 28], None);
            },
            &["'w1'", "72057594037927936 entries, but there are 0"],
        ),
    ];
    for (damage, parts) in cases {
        let mut model = good();
        damage(&mut model);
        Case::new(&model.encode_to_vec()).is_refused(parts);
    }
}

#[test]
fn a_convolution_that_nothing_could_run_is_refused_by_name() {
    let cases: &[(Damage, &str)] = &[
        (|m| set(m, "conv_1", int("group", 0)), "group is 0"),
        (|m| set(m, "conv_1", int("group", -1)), "group is -1"),
        (|m| set(m, "conv_1", float("group", 1.0)), "group is not an integer"),
        (|m| set(m, "conv_1", ints("strides", &[0, 1])), "strides is [0, 1]"),
        (|m| set(m, "conv_1", ints("dilations", &[1, -1])), "dilations is [1, -1]"),
        (|m| set(m, "conv_1", ints("kernel_shape", &[5, 5])), "kernel_shape is [5, 5]"),
        (|m| set(m, "conv_1", ints("kernel_shape", &[3])), "kernel_shape is [3]"),
        (|m| set(m, "conv_1", ints("pads", &[1, 1])), "pads is [1, 1]"),
        (|m| set(m, "conv_1", ints("pads", &[1; 5])), "pads is [1, 1, 1, 1, 1]"),
        (|m| set(m, "conv_1", int("pads", 1)), "pads is not a list of integers"),
        (
            |m| {
                let w = tensor(m, "w1");
                (w.dims, w.raw_data) = (vec![], Some(vec![0; 4].into()));
            },
            "its weight has shape [], which has no kernel",
        ),
        (|m| tensor(m, "w1").dims = vec![4, 36], "its weight has shape [4, 36], which has no kernel"),
    ];
    for (damage, part) in cases {
        let mut model = good();
        damage(&mut model);
        Case::new(&model.encode_to_vec()).is_refused(&["node 'conv_1' (Conv)", part]);
    }
}

/// Unusual or wrong, but the tool need not understand it to leave it alone.
#[test]
fn what_is_not_understood_is_left_alone() {
    let cases: &[(&str, Damage)] = &[
        ("no nodes", |m| {
            graph(m).node.clear();
            graph(m).output[0].name = Some("x".into());
        }),
        ("group that does not divide", |m| set(m, "conv_1", int("group", 3))),
        ("group beyond the channels", |m| set(m, "conv_1", int("group", 1 << 40))),
        ("a stride beyond everything", |m| set(m, "conv_1", ints("strides", &[i64::MAX, 1 << 40]))),
        ("a dilation beyond everything", |m| set(m, "conv_1", ints("dilations", &[i64::MAX, 1 << 40]))),
        ("pads beyond everything", |m| set(m, "conv_1", ints("pads", &[i64::MAX, i64::MAX, i64::MAX, i64::MIN]))),
        ("an unknown auto_pad", |m| {
            let s = Some(b"SIDEWAYS\xff".to_vec());
            let name = Some("auto_pad".to_owned());
            set(m, "conv_1", AttributeProto { name, r#type: Some(3), s, ..AttributeProto::default() });
        }),
        ("a weight of strings", |m| {
            let w = tensor(m, "w1");
            (w.data_type, w.raw_data) = (Some(8), None);
        }),
        ("a weight of no type", |m| tensor(m, "w1").data_type = Some(0)),
        ("a weight without elements", |m| {
            let w = tensor(m, "w1");
            (w.dims, w.raw_data) = (vec![0, 4, 3, 3], Some(vec![].into()));
        }),
        ("a bias of the wrong length", |m| {
            let b = tensor(m, "b1");
            (b.dims, b.raw_data) = (vec![3], Some(vec![0; 12].into()));
        }),
        ("a convolution without a weight", |m| node(m, "conv_1").input.truncate(1)),
        ("a convolution without inputs", |m| node(m, "conv_1").input.clear()),
        ("an activation with no input", |m| node(m, "relu").input.clear()),
        ("a join with one input", |m| node(m, "joined").input.truncate(1)),
        ("operators without inputs and outputs", |m| {
            let ops =
                ["Concat", "Split", "If", "Loop", "Scan", "Sum", "Add", "Constant", "Shape", "Gather", "Slice", "Pad"];
            node(m, "joined").input.truncate(1);
            graph(m).node.extend(ops.map(|op| empty(op, op)));
            graph(m).node.push(NodeProto::default());
        }),
    ];
    for (name, damage) in cases {
        let mut model = good();
        damage(&mut model);
        Case::new(&model.encode_to_vec()).is_left_alone(name);
    }
}

/// An operator without inputs and outputs beside a good block does not stop its rewrite.
#[test]
fn odd_operators_do_not_stop_a_rewrite() {
    let mut model = good();
    for op in
        ["Concat", "Split", "If", "Loop", "Sum", "Add", "Constant", "Shape", "Slice", "Pad", "Conv", "Reshape", ""]
    {
        graph(&mut model).node.push(NodeProto { output: vec![format!("{op}_out")], ..empty(op, op) });
    }
    let case = Case::new(&model.encode_to_vec());
    let (code, stderr) = case.run();
    assert_eq!(code, Some(0), "{stderr}");
    let written = ModelProto::decode(fs::read(&case.output).unwrap().as_slice()).unwrap();
    assert_eq!(written.graph.unwrap().node.iter().filter(|n| n.op_type() == "Add").count(), 1);
}

/// Graphs in graphs: twenty are fine, two hundred are an error.
#[test]
fn deep_nesting() {
    let nested = |depth: usize| {
        let mut model = good();
        let mut inner = GraphProto::default();
        for level in 0..depth {
            let held = AttributeProto {
                name: Some("then_branch".into()),
                r#type: Some(AttributeType::Graph as i32),
                g: Some(inner),
                ..AttributeProto::default()
            };
            let node = NodeProto { attribute: vec![held], ..empty(&format!("if_{level}"), "If") };
            inner = GraphProto { node: vec![node], ..GraphProto::default() };
        }
        graph(&mut model).node.extend(inner.node);
        model.encode_to_vec()
    };
    let case = Case::new(&nested(20));
    assert_eq!(case.run().0, Some(0));
    Case::new(&nested(200)).is_refused(&["nested too deep"]);
    Case::new(&nested(5000)).is_refused(&["nested too deep"]);
}

#[test]
fn text_that_is_no_text() {
    let mut bytes = good().encode_to_vec();
    let at = bytes.windows(6).position(|w| w == b"conv_1").unwrap();
    bytes[at] = 0xff;
    Case::new(&bytes).is_refused(&["UTF-8"]);
}

/// A few numbers ask for gigabytes of a constant.
#[test]
fn a_constant_as_large_as_one_likes_is_not_computed() {
    let ints = |name: &str, dims: &[i64], values: &[i64]| TensorProto {
        name: Some(name.into()),
        dims: dims.to_vec(),
        data_type: Some(7),
        int64_data: values.to_vec(),
        ..TensorProto::default()
    };
    let cases: &[(&str, &[&str])] =
        &[("ConstantOfShape", &["size"]), ("Expand", &["one", "size"]), ("Range", &["zero", "many", "one"])];
    for (op, inputs) in cases {
        let mut model = good();
        let numbers = [ints("size", &[1], &[1 << 24]), ints("many", &[], &[1 << 24])];
        graph(&mut model).initializer.extend(numbers);
        graph(&mut model).initializer.extend([ints("one", &[], &[1]), ints("zero", &[], &[0])]);
        let inputs = inputs.iter().map(|i| (*i).to_owned()).collect();
        let made = NodeProto { input: inputs, output: vec!["made".into()], ..empty("made", op) };
        graph(&mut model).node.insert(0, made);
        node(&mut model, "conv_1").input[2] = "made".into();
        let file = super::survive::scratch("bomb.onnx");
        fs::write(&file, model.encode_to_vec()).unwrap();
        super::survive::survives(&file, op);
    }
}
