//! A model that has something in every field of the format, and one residual block.

use onnx_rm::onnx::attribute_proto::AttributeType;
use onnx_rm::onnx::simple_sharded_dim_proto::Dim;
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::*;

use super::build::{self, Build, conv, int};

/// Nodes of the block: what a rewrite may take away.
pub(super) const BLOCK: [&str; 4] = ["block_conv_1", "block_relu", "block_conv_2", "block_add"];
/// Tensors that a rewrite may define anew.
pub(super) const INNER: [&str; 3] = ["inner_1", "inner_2", "inner_3"];
/// The block's result. It keeps its name.
pub(super) const JOIN: &str = "joined";

pub(super) fn pair(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) }
}

fn opset(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: (!domain.is_empty()).then(|| domain.into()), version: Some(version) }
}

fn node(name: &str, op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        name: Some(name.into()),
        op_type: Some(op.into()),
        input: inputs.iter().map(|i| (*i).into()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

fn floats(name: &str, values: &[f32]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: vec![values.len() as i64],
        data_type: Some(DataType::Float as i32),
        float_data: values.to_vec(),
        doc_string: Some(format!("about {name}")),
        metadata_props: vec![pair("tensor", name)],
        ..TensorProto::default()
    }
}

/// A vector of six with two elements that are not 0.
fn sparse(name: &str) -> SparseTensorProto {
    let indices = TensorProto {
        name: Some(format!("{name}_indices")),
        dims: vec![2],
        data_type: Some(DataType::Int64 as i32),
        int64_data: vec![1, 4],
        ..TensorProto::default()
    };
    SparseTensorProto { values: Some(floats(name, &[2.0, 3.0])), indices: Some(indices), dims: vec![6] }
}

/// A graph without inputs that applies `op` to the tensor `reads` of the graph around it.
fn branch(op: &str, reads: &str) -> GraphProto {
    GraphProto {
        name: Some(format!("branch of {op}")),
        node: vec![node(op, op, &[reads], &format!("{op}_out"))],
        output: vec![build::value_info(&format!("{op}_out"), &[1, 6, 8, 8])],
        doc_string: Some("a subgraph".into()),
        ..GraphProto::default()
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(kind as i32),
        doc_string: Some(format!("an attribute of type {}", kind.as_str_name())),
        ..AttributeProto::default()
    }
}

/// One attribute of every type.
fn attributes() -> Vec<AttributeProto> {
    use AttributeType as A;
    let tp = || build::float_type(Some(&[1, -1]));
    let text = || DataType::String as i32;
    let strings = TensorProto {
        dims: vec![2],
        data_type: Some(text()),
        string_data: vec![b"a".to_vec(), b"\xff\x00".to_vec()],
        ..TensorProto::default()
    };
    vec![
        AttributeProto { f: Some(-0.0), ..attribute("f", A::Float) },
        AttributeProto { i: Some(i64::MIN), ..attribute("i", A::Int) },
        AttributeProto { s: Some(b"not \xfe UTF-8".to_vec()), ..attribute("s", A::String) },
        AttributeProto { t: Some(strings), ..attribute("t", A::Tensor) },
        AttributeProto { g: Some(branch("Abs", "x")), ..attribute("g", A::Graph) },
        AttributeProto { sparse_tensor: Some(sparse("sparse")), ..attribute("sparse_tensor", A::SparseTensor) },
        AttributeProto { tp: Some(tp()), ..attribute("tp", A::TypeProto) },
        AttributeProto { floats: vec![1.0, f32::INFINITY], ..attribute("floats", A::Floats) },
        AttributeProto { ints: vec![0, -1, 1 << 40], ..attribute("ints", A::Ints) },
        AttributeProto { strings: vec![vec![], vec![0x80]], ..attribute("strings", A::Strings) },
        AttributeProto { tensors: vec![floats("in_attribute", &[1.0])], ..attribute("tensors", A::Tensors) },
        AttributeProto { graphs: vec![branch("Neg", "x")], ..attribute("graphs", A::Graphs) },
        AttributeProto { sparse_tensors: vec![sparse("s1")], ..attribute("sparse_tensors", A::SparseTensors) },
        AttributeProto { type_protos: vec![tp(), tp()], ..attribute("type_protos", A::TypeProtos) },
    ]
}

/// `Twice(a) = a + a` in the domain `com.local`.
fn function() -> FunctionProto {
    let scale = AttributeProto {
        name: Some("alpha".into()),
        ref_attr_name: Some("slope".into()),
        r#type: Some(AttributeType::Float as i32),
        ..AttributeProto::default()
    };
    let default = AttributeProto { f: Some(0.5), ..attribute("slope", AttributeType::Float) };
    FunctionProto {
        name: Some("Twice".into()),
        domain: Some("com.local".into()),
        overload: Some("v2".into()),
        input: vec!["a".into()],
        output: vec!["b".into()],
        attribute: vec!["unused".into()],
        attribute_proto: vec![default],
        node: vec![
            node("inside", "Add", &["a", "a"], "c"),
            NodeProto { attribute: vec![scale], ..node("leaky", "LeakyRelu", &["c"], "b") },
        ],
        doc_string: Some("a local function".into()),
        opset_import: vec![opset("", 21)],
        value_info: vec![build::value_info("c", &[1, 6, 8, 8])],
        metadata_props: vec![pair("function", "yes")],
    }
}

fn training() -> TrainingInfoProto {
    TrainingInfoProto {
        initialization: Some(GraphProto { initializer: vec![floats("start", &[1.0])], ..branch("Exp", "x") }),
        algorithm: Some(branch("Log", "x")),
        initialization_binding: vec![pair("scale", "start")],
        update_binding: vec![pair("scale", "Log_out")],
    }
}

fn sharding() -> NodeDeviceConfigurationProto {
    let dim = SimpleShardedDimProto { num_shards: Some(2), dim: Some(Dim::DimParam("n".into())) };
    let spec = ShardingSpecProto {
        tensor_name: Some("x".into()),
        device: vec![0, -1],
        index_to_device_group_map: vec![IntIntListEntryProto { key: Some(-1), value: vec![0, 1] }],
        sharded_dim: vec![ShardedDimProto { axis: Some(1), simple_sharding: vec![dim] }],
    };
    NodeDeviceConfigurationProto {
        configuration_id: Some("two".into()),
        sharding_spec: vec![spec],
        pipeline_stage: Some(1),
    }
}

/// The residual block between nodes that a rewrite has no business with.
fn graph() -> GraphProto {
    let mut b = Build::new(1);
    let x = b.input("x", &[1, 6, 8, 8]);
    b.graph.node.push(node("first", "Relu", &[&x], "forked"));
    for (index, reads) in [(0, "forked"), (1, "inner_2")] {
        b.conv(reads, &conv(6, 6, 3));
        let made = b.graph.node.last_mut().unwrap();
        made.name = Some(BLOCK[2 * index].into());
        made.output = vec![INNER[2 * index].into()];
        if index == 0 {
            b.graph.node.push(node(BLOCK[1], "Relu", &["inner_1"], "inner_2"));
        }
    }
    let mut graph = b.graph;
    graph.node.push(node(BLOCK[3], "Add", &["inner_3", "forked"], JOIN));
    let custom = NodeProto {
        domain: Some("com.example".into()),
        attribute: attributes(),
        doc_string: Some("nobody knows it".into()),
        metadata_props: vec![pair("node", "magic")],
        device_configurations: vec![sharding()],
        ..node("custom", "Magic", &[JOIN, "", "plain"], "magic_out")
    };
    let call = NodeProto {
        domain: Some("com.local".into()),
        overload: Some("v2".into()),
        ..node("call", "Twice", &[JOIN], "twice_out")
    };
    let branches = [("then_branch", "Identity"), ("else_branch", "Neg")];
    let branches = branches.map(|(name, op)| AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::Graph as i32),
        g: Some(branch(op, JOIN)),
        ..AttributeProto::default()
    });
    let choice = NodeProto { attribute: branches.to_vec(), ..node("choice", "If", &["yes"], "if_out") };
    let unfold = NodeProto { attribute: vec![int("axis", 0)], ..node("softmax", "Softmax", &["few"], "few_out") };
    graph.node.extend([custom, call, node("scaled", "Mul", &[JOIN, "scale"], "scaled_out"), choice, unfold]);
    let shape = |dims: &[i64]| TensorProto { dims: dims.to_vec(), ..TensorProto::default() };
    graph.initializer.extend([
        TensorProto { dims: vec![1, 6, 1, 1], ..floats("scale", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) },
        floats("plain", &[7.0]),
        TensorProto {
            name: Some("yes".into()),
            data_type: Some(DataType::Bool as i32),
            int32_data: vec![1],
            ..shape(&[])
        },
    ]);
    graph.sparse_initializer = vec![sparse("few")];
    // An initializer that is an input too may be overridden by the caller.
    graph.input.push(build::value_info("scale", &[1, 6, 1, 1]));
    graph.output = [("twice_out", &[1, 6, 8, 8][..]), ("scaled_out", &[1, 6, 8, 8]), ("if_out", &[1, 6, 8, 8])]
        .map(|(name, shape)| build::value_info(name, shape))
        .into();
    graph.output.extend([build::value_info("few_out", &[6]), build::value_info("magic_out", &[1])]);
    for name in INNER.into_iter().chain([JOIN, "forked"]) {
        let info = build::value_info(name, &[1, 6, 8, 8]);
        let info = ValueInfoProto { doc_string: Some(format!("about {name}")), ..info };
        graph.value_info.push(ValueInfoProto { metadata_props: vec![pair("value", name)], ..info });
    }
    graph.quantization_annotation = ["forked", "plain"].map(annotation).into();
    graph.doc_string = Some("a graph".into());
    graph.metadata_props = vec![pair("graph", "g")];
    graph
}

fn annotation(tensor: &str) -> TensorAnnotation {
    let parameters = vec![pair("SCALE_TENSOR", "plain")];
    TensorAnnotation { tensor_name: Some(tensor.into()), quant_parameter_tensor_names: parameters }
}

pub(super) fn model() -> ModelProto {
    ModelProto {
        ir_version: Some(14),
        opset_import: vec![opset("com.example", 3), opset("", 21), opset("com.local", 1)],
        producer_name: Some("tests".into()),
        producer_version: Some("1.0".into()),
        domain: Some("org.example".into()),
        model_version: Some(-5),
        doc_string: Some("everything".into()),
        graph: Some(graph()),
        metadata_props: vec![pair("key", "value"), pair("key", "twice"), pair("", "")],
        training_info: vec![training()],
        functions: vec![function()],
        configuration: vec![DeviceConfigurationProto {
            name: Some("two".into()),
            num_devices: Some(2),
            device: vec!["a".into(), "b".into()],
        }],
    }
}
