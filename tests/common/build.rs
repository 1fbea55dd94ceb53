//! Builds small ONNX models in memory.
#![allow(dead_code, clippy::unwrap_used, missing_docs, unreachable_pub)]

use onnx_rm::facts::tensor::read_f64;
use onnx_rm::onnx::attribute_proto::AttributeType;
use onnx_rm::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, tensor_proto::DataType, tensor_shape_proto, type_proto,
};

/// A small deterministic generator (splitmix64): tests must not depend on a crate's stream.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `[-1, 1)`, a multiple of 2^-10 so that it is exact in every float type but the smallest.
    pub fn unit(&mut self) -> f64 {
        (self.next() % 2048) as f64 / 1024.0 - 1.0
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// A graph under construction. Each operator returns the name of its output.
pub struct Build {
    pub graph: GraphProto,
    pub opset: i64,
    pub rng: Rng,
    count: usize,
}

/// What a convolution looks like.
#[derive(Clone, Debug)]
pub struct ConvArgs {
    pub inputs: usize,
    pub outputs: usize,
    pub kernel: Vec<usize>,
    pub stride: usize,
    pub pad: usize,
    pub dilation: usize,
    pub group: usize,
    pub bias: bool,
    /// Begins, then ends, instead of `pad` everywhere.
    pub pads: Option<Vec<i64>>,
    pub auto_pad: Option<&'static str>,
}

/// A convolution over two axes that keeps the size.
pub fn conv(inputs: usize, outputs: usize, kernel: usize) -> ConvArgs {
    ConvArgs {
        inputs,
        outputs,
        kernel: vec![kernel; 2],
        stride: 1,
        pad: kernel / 2,
        dilation: 1,
        group: 1,
        bias: true,
        pads: None,
        auto_pad: None,
    }
}

impl ConvArgs {
    pub fn stride(mut self, stride: usize) -> Self {
        self.stride = stride;
        self
    }
    pub fn group(mut self, group: usize) -> Self {
        self.group = group;
        self
    }
    pub fn axes(mut self, axes: usize) -> Self {
        self.kernel = vec![self.kernel[0]; axes];
        self
    }
    pub fn dilation(mut self, dilation: usize) -> Self {
        self.dilation = dilation;
        self.pad = dilation * (self.kernel[0] / 2);
        self
    }
    pub fn pad(mut self, pad: usize) -> Self {
        self.pad = pad;
        self
    }
    pub fn pads(mut self, pads: &[i64]) -> Self {
        self.pads = Some(pads.to_vec());
        self
    }
    pub fn auto_pad(mut self, auto_pad: &'static str) -> Self {
        self.auto_pad = Some(auto_pad);
        self
    }
    pub fn unbiased(mut self) -> Self {
        self.bias = false;
        self
    }
}

impl Build {
    pub fn new(seed: u64) -> Self {
        Self {
            graph: GraphProto { name: Some("g".into()), ..GraphProto::default() },
            opset: 17,
            rng: Rng(seed),
            count: 0,
        }
    }

    pub fn fresh(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}_{}", self.count)
    }

    pub fn input(&mut self, name: &str, shape: &[i64]) -> String {
        self.graph.input.push(value_info(name, shape));
        name.to_owned()
    }

    pub fn output(&mut self, name: &str) {
        if self.graph.output.iter().all(|o| o.name() != name) {
            self.graph.output.push(ValueInfoProto {
                name: Some(name.into()),
                r#type: Some(float_type(None)),
                ..ValueInfoProto::default()
            });
        }
    }

    pub fn floats(&mut self, shape: &[usize], values: Vec<f64>) -> String {
        let name = self.fresh("w");
        let raw: Vec<u8> = values.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect();
        self.graph.initializer.push(TensorProto {
            name: Some(name.clone()),
            dims: shape.iter().map(|d| *d as i64).collect(),
            data_type: Some(DataType::Float as i32),
            raw_data: Some(raw.into()),
            ..TensorProto::default()
        });
        name
    }

    pub fn random(&mut self, shape: &[usize], scale: f64) -> String {
        let n = shape.iter().product();
        let values = (0..n).map(|_| self.rng.unit() * scale).collect();
        self.floats(shape, values)
    }

    pub fn ints(&mut self, values: &[i64]) -> String {
        let name = self.fresh("i");
        self.graph.initializer.push(TensorProto {
            name: Some(name.clone()),
            dims: vec![values.len() as i64],
            data_type: Some(DataType::Int64 as i32),
            int64_data: values.to_vec(),
            ..TensorProto::default()
        });
        name
    }

    pub fn bools(&mut self, shape: &[i64], values: &[u8]) -> String {
        let name = self.fresh("mask");
        self.graph.initializer.push(TensorProto {
            name: Some(name.clone()),
            dims: shape.to_vec(),
            data_type: Some(DataType::Bool as i32),
            raw_data: Some(values.to_vec().into()),
            ..TensorProto::default()
        });
        name
    }

    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        self.nodes(op, inputs, 1, attributes).remove(0)
    }

    pub fn nodes(&mut self, op: &str, inputs: &[&str], outputs: usize, attributes: Vec<AttributeProto>) -> Vec<String> {
        let name = self.fresh(op);
        let outputs: Vec<String> = (0..outputs).map(|i| format!("{name}_out{i}")).collect();
        self.graph.node.push(NodeProto {
            name: Some(name),
            op_type: Some(op.into()),
            input: inputs.iter().map(|s| (*s).into()).collect(),
            output: outputs.clone(),
            attribute: attributes,
            ..NodeProto::default()
        });
        outputs
    }

    pub fn conv(&mut self, x: &str, a: &ConvArgs) -> String {
        let mut shape = vec![a.outputs, a.inputs / a.group];
        shape.extend(&a.kernel);
        let fan: usize = shape[1..].iter().product();
        let w = self.random(&shape, 1.5 / (fan as f64).sqrt());
        let b = a.bias.then(|| self.random(&[a.outputs], 0.5));
        let mut inputs = vec![x, w.as_str()];
        inputs.extend(b.as_deref());
        self.conv_with(&inputs, a)
    }

    /// A convolution whose weights are there already.
    pub fn conv_with(&mut self, inputs: &[&str], a: &ConvArgs) -> String {
        let axes = a.kernel.len();
        let padding = match a.auto_pad {
            Some(how) => string("auto_pad", how),
            None => ints("pads", &a.pads.clone().unwrap_or_else(|| vec![a.pad as i64; 2 * axes])),
        };
        self.node(
            "Conv",
            inputs,
            vec![
                ints("dilations", &vec![a.dilation as i64; axes]),
                int("group", a.group as i64),
                ints("kernel_shape", &a.kernel.iter().map(|k| *k as i64).collect::<Vec<_>>()),
                padding,
                ints("strides", &vec![a.stride as i64; axes]),
            ],
        )
    }

    /// One float of no axis.
    pub fn scalar(&mut self, value: f64) -> String {
        self.floats(&[], vec![value])
    }

    /// Channels `from..to` of `x`.
    pub fn slice(&mut self, x: &str, from: i64, to: i64) -> String {
        let (starts, ends, axes) = (self.ints(&[from]), self.ints(&[to]), self.ints(&[1]));
        self.node("Slice", &[x, &starts, &ends, &axes], vec![])
    }

    /// `x` parted into as many channels each as `parts` says.
    pub fn split(&mut self, x: &str, parts: &[i64]) -> Vec<String> {
        let sizes = self.ints(parts);
        self.nodes("Split", &[x, &sizes], parts.len(), vec![int("axis", 1)])
    }

    pub fn concat(&mut self, parts: &[&str]) -> String {
        self.node("Concat", parts, vec![int("axis", 1)])
    }

    pub fn relu(&mut self, x: &str) -> String {
        self.node("Relu", &[x], vec![])
    }

    pub fn add(&mut self, a: &str, b: &str) -> String {
        self.node("Add", &[a, b], vec![])
    }

    pub fn batch_norm(&mut self, x: &str, channels: usize) -> String {
        let gamma = self.random(&[channels], 1.0);
        let beta = self.random(&[channels], 0.5);
        let mean = self.random(&[channels], 0.5);
        let values = (0..channels).map(|_| self.rng.unit() * 0.25 + 1.0).collect();
        let var = self.floats(&[channels], values);
        self.node("BatchNormalization", &[x, &gamma, &beta, &mean, &var], vec![])
    }

    pub fn model(self) -> ModelProto {
        ModelProto {
            ir_version: Some(8),
            producer_name: Some("tests".into()),
            opset_import: vec![OperatorSetIdProto { domain: None, version: Some(self.opset) }],
            graph: Some(self.graph),
            ..ModelProto::default()
        }
    }
}

pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::Int as i32),
        i: Some(value),
        ..AttributeProto::default()
    }
}

pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::Float as i32),
        f: Some(value),
        ..AttributeProto::default()
    }
}

pub fn ints(name: &str, value: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::Ints as i32),
        ints: value.to_vec(),
        ..AttributeProto::default()
    }
}

pub fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::String as i32),
        s: Some(value.as_bytes().to_vec()),
        ..AttributeProto::default()
    }
}

pub fn float_type(shape: Option<&[i64]>) -> TypeProto {
    let shape = shape.map(|s| TensorShapeProto {
        dim: s
            .iter()
            .map(|d| tensor_shape_proto::Dimension {
                value: Some(if *d < 0 {
                    tensor_shape_proto::dimension::Value::DimParam("batch".into())
                } else {
                    tensor_shape_proto::dimension::Value::DimValue(*d)
                }),
                ..Default::default()
            })
            .collect(),
    });
    TypeProto {
        value: Some(type_proto::Value::TensorType(type_proto::Tensor {
            elem_type: Some(DataType::Float as i32),
            shape,
        })),
        ..TypeProto::default()
    }
}

pub fn value_info(name: &str, shape: &[i64]) -> ValueInfoProto {
    ValueInfoProto { name: Some(name.into()), r#type: Some(float_type(Some(shape))), ..ValueInfoProto::default() }
}

/// `model` with every float32 as `dtype`: constants rounded, inputs and outputs declared anew.
pub fn retyped(mut model: ModelProto, dtype: DataType) -> ModelProto {
    let graph = model.graph.as_mut().unwrap();
    for tensor in graph.initializer.iter_mut().filter(|t| t.data_type == Some(DataType::Float as i32)) {
        *tensor = onnx_rm::facts::tensor::write(tensor.name(), &read_f64(tensor).unwrap(), dtype);
    }
    for info in graph.input.iter_mut().chain(&mut graph.output) {
        if let Some(type_proto::Value::TensorType(t)) = info.r#type.as_mut().and_then(|t| t.value.as_mut()) {
            t.elem_type = Some(dtype as i32);
        }
    }
    model
}

/// The article's residual block: `relu(x)`, then `x + conv(relu(conv(x)))` with `channels` throughout.
pub fn residual_block(seed: u64, channels: usize) -> ModelProto {
    let mut b = Build::new(seed);
    let x = b.input("x", &[1, channels as i64, 8, 8]);
    let x = b.relu(&x);
    let y = b.conv(&x, &conv(channels, channels, 3));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(channels, channels, 3));
    let y = b.add(&y, &x);
    b.output(&y);
    b.model()
}
