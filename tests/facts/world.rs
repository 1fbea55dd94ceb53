//! A random graph that grows node by node, each evaluated when it is added and its results rounded to their own type.

use std::collections::BTreeMap;

use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn};
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, tensor_shape_proto, type_proto,
};
use onnx_rm::verify::reference::{self, Value};

use crate::common::Rng;

/// Most elements of a tensor.
const MAX_ELEMENTS: usize = 400;

pub struct Tensor {
    pub name: String,
    pub dtype: DataType,
    pub value: Value,
    /// The operator that computes it; empty for what is given.
    pub op: String,
    /// A NaN became an integer on the way: anything may stand there.
    pub wild: bool,
    /// It is the node's first output.
    pub first: bool,
}

impl Tensor {
    pub fn shape(&self) -> Vec<i64> {
        self.value.shape().iter().map(|n| *n as i64).collect()
    }

    pub fn rank(&self) -> usize {
        self.value.shape().len()
    }

    pub fn floats(&self) -> Vec<f64> {
        match &self.value {
            Value::F(a) => a.iter().copied().collect(),
            Value::I(a) => a.iter().map(|v| *v as f64).collect(),
            Value::B(a) => a.iter().map(|v| f64::from(u8::from(*v))).collect(),
        }
    }
}

pub struct World {
    pub rng: Rng,
    pub opset: i64,
    pub graph: GraphProto,
    pub tensors: Vec<Tensor>,
}

pub const FLOATS: &[DataType] = &[DataType::Float, DataType::Float16, DataType::Bfloat16, DataType::Double];
pub const INTEGERS: &[DataType] =
    &[DataType::Int8, DataType::Uint8, DataType::Int16, DataType::Int32, DataType::Int64, DataType::Uint32];

pub fn is_float(dtype: DataType) -> bool {
    FLOATS.contains(&dtype)
}

pub fn is_integer(dtype: DataType) -> bool {
    INTEGERS.contains(&dtype)
}

/// What is stored of a float of a type.
pub fn rounded(v: f64, dtype: DataType) -> f64 {
    match dtype {
        DataType::Float => f64::from(v as f32),
        DataType::Float16 => f16::from_f64(v).to_f64(),
        DataType::Bfloat16 => bf16::from_f64(v).to_f64(),
        _ => v,
    }
}

fn stored(value: Value, dtype: DataType) -> Value {
    match value {
        Value::F(a) => Value::F(a.mapv(|v| rounded(v, dtype))),
        Value::I(a) => Value::I(a.mapv(|v| match dtype {
            DataType::Int8 => i64::from(v as i8),
            DataType::Uint8 => i64::from(v as u8),
            DataType::Int16 => i64::from(v as i16),
            DataType::Int32 => i64::from(v as i32),
            DataType::Uint32 => i64::from(v as u32),
            _ => v,
        })),
        other @ Value::B(_) => other,
    }
}

fn bytes(value: &Value, dtype: DataType) -> Vec<u8> {
    match value {
        Value::F(a) => a
            .iter()
            .flat_map(|v| match dtype {
                DataType::Float => (*v as f32).to_le_bytes().to_vec(),
                DataType::Float16 => f16::from_f64(*v).to_le_bytes().to_vec(),
                DataType::Bfloat16 => bf16::from_f64(*v).to_le_bytes().to_vec(),
                _ => v.to_le_bytes().to_vec(),
            })
            .collect(),
        Value::I(a) => a
            .iter()
            .flat_map(|v| {
                let width = match dtype {
                    DataType::Int8 | DataType::Uint8 => 1,
                    DataType::Int16 => 2,
                    DataType::Int32 | DataType::Uint32 => 4,
                    _ => 8,
                };
                v.to_le_bytes()[..width].to_vec()
            })
            .collect(),
        Value::B(a) => a.iter().map(|v| u8::from(*v)).collect(),
    }
}

fn info(name: &str, dtype: DataType, shape: Option<TensorShapeProto>) -> ValueInfoProto {
    let tensor = type_proto::Tensor { elem_type: Some(dtype as i32), shape };
    let r#type = Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() });
    ValueInfoProto { name: Some(name.to_owned()), r#type, ..ValueInfoProto::default() }
}

impl World {
    pub fn new(seed: u64, opset: i64) -> Self {
        let graph = GraphProto { name: Some("g".into()), ..GraphProto::default() };
        Self { rng: Rng(seed), opset, graph, tensors: Vec::new() }
    }

    pub fn model(&self) -> ModelProto {
        ModelProto {
            ir_version: Some(10),
            opset_import: self.imports(),
            graph: Some(self.graph.clone()),
            ..ModelProto::default()
        }
    }

    fn imports(&self) -> Vec<OperatorSetIdProto> {
        let import = |domain: Option<&str>, version| OperatorSetIdProto {
            domain: domain.map(str::to_owned),
            version: Some(version),
        };
        vec![import(None, self.opset), import(Some("com.microsoft"), 1)]
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.rng.below(100) < percent
    }

    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.below(of.len())]
    }

    fn fresh(&self) -> String {
        format!("t{}", self.tensors.len())
    }

    /// Some shape of so many dimensions, now and then with one that is empty.
    pub fn shape(&mut self, rank: usize) -> Vec<usize> {
        let empty = self.chance(4);
        (0..rank).map(|i| if empty && i == 1 { 0 } else { 1 + self.rng.below(4) }).collect()
    }

    /// Random elements: tame ones, or all that is special about a type.
    pub fn random(&mut self, dtype: DataType, shape: &[usize]) -> Value {
        let n: usize = shape.iter().product();
        let shape = IxDyn(shape);
        if dtype == DataType::Bool {
            let values = (0..n).map(|_| self.chance(50)).collect();
            return Value::B(ArrayD::from_shape_vec(shape, values).unwrap());
        }
        let mood = self.rng.below(5);
        if is_integer(dtype) {
            let values = (0..n).map(|_| match mood {
                0 => self.rng.next() as i64,
                1 => self.one(&[-128, 127, 255, 0, -1, 32767, i64::from(i32::MIN), 1 << 31]),
                _ => self.rng.below(12) as i64 - 4,
            });
            let values = values.collect();
            return stored(Value::I(ArrayD::from_shape_vec(shape, values).unwrap()), dtype);
        }
        const SPECIAL: &[f64] = &[
            0.0,
            -0.0,
            1.0,
            -1.0,
            1e-45,
            -1e-45,
            6e-8,
            1e-39,
            6.1e-5,
            65504.0,
            -65504.0,
            3.4e38,
            -3.4e38,
            1e308,
            -1e308,
            5e-324,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            0.1,
            1e10,
            -1e-10,
            1e-160,
            255.5,
            -128.7,
            2.5,
        ];
        let values = (0..n).map(|_| match mood {
            0 => self.one(SPECIAL),
            1 => self.one(&SPECIAL[..16]),
            2 => (self.rng.unit() * 6.0).abs(),
            3 => self.rng.unit() * 2_f64.powi(self.rng.below(300) as i32 - 150),
            _ => self.rng.unit() * 4.0,
        });
        let values = values.collect();
        stored(Value::F(ArrayD::from_shape_vec(shape, values).unwrap()), dtype)
    }

    fn keep(&mut self, name: &str, dtype: DataType, value: Value, op: &str, wild: bool, first: bool) {
        self.tensors.push(Tensor { name: name.to_owned(), dtype, value, op: op.to_owned(), wild, first });
    }

    /// A tensor of the file.
    pub fn constant(&mut self, dtype: DataType, value: Value) -> String {
        let name = self.fresh();
        self.graph.initializer.push(TensorProto {
            name: Some(name.clone()),
            dims: value.shape().iter().map(|n| *n as i64).collect(),
            data_type: Some(dtype as i32),
            raw_data: Some(bytes(&value, dtype).into()),
            ..TensorProto::default()
        });
        self.keep(&name, dtype, value, "", false, true);
        name
    }

    pub fn ints(&mut self, values: &[i64]) -> String {
        let value = Value::I(ArrayD::from_shape_vec(IxDyn(&[values.len()]), values.to_vec()).unwrap());
        self.constant(DataType::Int64, value)
    }

    pub fn int(&mut self, value: i64) -> String {
        self.constant(DataType::Int64, Value::I(ArrayD::from_elem(IxDyn(&[]), value)))
    }

    pub fn floats(&mut self, dtype: DataType, shape: &[usize], values: &[f64]) -> String {
        let value = Value::F(ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).unwrap());
        self.constant(dtype, stored(value, dtype))
    }

    /// An input of the graph, of which some sizes are named, and not always by the same name for the same size.
    pub fn input(&mut self, dtype: DataType, value: Value) {
        let name = self.fresh();
        let dim = |n: &usize, free: bool| tensor_shape_proto::Dimension {
            value: Some(if free {
                tensor_shape_proto::dimension::Value::DimParam("N".into())
            } else {
                tensor_shape_proto::dimension::Value::DimValue(*n as i64)
            }),
            ..Default::default()
        };
        let dim = value.shape().iter().map(|n| dim(n, self.rng.below(3) == 0)).collect();
        self.graph.input.push(info(&name, dtype, Some(TensorShapeProto { dim })));
        self.keep(&name, dtype, value, "", false, true);
    }

    /// Some tensor that `fits`, rather a late one.
    pub fn pick(&mut self, fits: impl Fn(&Tensor) -> bool) -> Option<usize> {
        let found: Vec<usize> = (0..self.tensors.len()).filter(|i| fits(&self.tensors[*i])).collect();
        let n = found.len();
        if n == 0 {
            return None;
        }
        let late = self.rng.below(n).max(self.rng.below(n));
        Some(found[late])
    }

    /// Adds a node; `None`, and nothing added, when it is not valid.
    pub fn node(
        &mut self,
        op: &str,
        inputs: &[&str],
        types: &[DataType],
        attribute: Vec<AttributeProto>,
    ) -> Option<()> {
        let first = self.tensors.len();
        let (domain, plain) = op.split_once("::").unwrap_or(("", op));
        let node = NodeProto {
            name: Some(format!("n{first}")),
            domain: Some(domain.into()),
            op_type: Some(plain.into()),
            input: inputs.iter().map(|s| (*s).to_owned()).collect(),
            output: (0..types.len()).map(|i| format!("t{}", first + i)).collect(),
            attribute,
            ..NodeProto::default()
        };
        self.nodes(op, vec![node], types)
    }

    /// Adds nodes of which the last computes tensors of `types`.
    pub fn nodes(&mut self, op: &str, nodes: Vec<NodeProto>, types: &[DataType]) -> Option<()> {
        let outputs = nodes.last()?.output.clone();
        let read: Vec<&Tensor> =
            self.tensors.iter().filter(|t| nodes.iter().any(|n| n.input.contains(&t.name))).collect();
        let integer = types.first().is_some_and(|t| !is_float(*t));
        let wild = read.iter().any(|t| t.wild || integer && t.floats().iter().any(|v| v.is_nan()));
        let inputs: BTreeMap<String, Value> = read.iter().map(|t| (t.name.clone(), t.value.clone())).collect();
        let model = ModelProto {
            opset_import: self.imports(),
            graph: Some(GraphProto {
                node: nodes.clone(),
                input: read.iter().map(|t| info(&t.name, t.dtype, None)).collect(),
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        };
        let wanted: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let trace = reference::run_to(&model, &inputs, &wanted).ok()?;
        let values: Vec<Value> = wanted.iter().map(|n| trace.get(n).cloned()).collect::<Option<_>>()?;
        if values.iter().any(|v| v.shape().iter().product::<usize>() > MAX_ELEMENTS || v.shape().len() > 6) {
            return None;
        }
        self.graph.node.extend(nodes);
        for (i, ((name, value), dtype)) in outputs.iter().zip(values).zip(types).enumerate() {
            self.keep(name, *dtype, stored(value, *dtype), op, wild, i == 0);
        }
        Some(())
    }
}
