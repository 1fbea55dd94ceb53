//! Small models that hold the operators of a chain, alone and in threes, and how much of each rate is in them.

use crate::emit::{int, ints};
use crate::onnx::tensor_proto::DataType;
use crate::onnx::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_shape_proto, type_proto,
};
use crate::options::Rates;
use crate::plan::latency;
use crate::plan::work::Work;

/// An operator of a chain.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// A convolution that keeps the size of the map.
    Conv {
        /// Output channels.
        outputs: usize,
        /// Groups.
        group: usize,
        /// Taps along an axis.
        kernel: usize,
    },
    /// A selection of so many channels.
    Select(usize),
    /// An activation that becomes part of the convolution in front of it.
    Relu,
    /// One that does not.
    Max,
}

/// A chain of operators on a square map.
#[derive(Clone, Debug)]
pub struct Net {
    /// Channels of its input.
    pub channels: usize,
    /// Entries along each side of the map.
    pub side: usize,
    /// The operators.
    pub ops: Vec<Op>,
}

/// Beside the rates: a run of a model, and an element that goes into it or comes out.
pub const COUNT: usize = Rates::COUNT + 2;

impl Net {
    /// All that are measured: each kind of convolution, with selections and activations, on maps of four sizes.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut nets = Vec::new();
        for side in [28, 14, 7, 3] {
            let mut add = |channels: usize, unit: &[Op]| {
                nets.extend([1, 3].map(|times| Self { channels, side, ops: unit.repeat(times) }));
            };
            let conv = |outputs, group, kernel| Op::Conv { outputs, group, kernel };
            for kernel in [1, 3] {
                for (channels, group) in
                    [(16, 1), (64, 1), (128, 1), (64, 2), (64, 4), (64, 8), (64, 16), (64, 64), (128, 32), (128, 128)]
                {
                    add(channels, &[conv(channels, group, kernel), Op::Relu]);
                }
                // Without an activation, wider behind than in front: what moves is no longer what passes.
                add(64, &[conv(128, 1, kernel), conv(64, 1, kernel)]);
                add(64, &[conv(64, 8, kernel)]);
            }
            for (channels, selected) in [(64, 64), (64, 256), (128, 96)] {
                add(channels, &[Op::Select(selected), conv(channels, 1, 1)]);
            }
            add(64, &[conv(64, 1, 1), Op::Max]);
            add(128, &[conv(128, 1, 1), Op::Max]);
        }
        nets
    }

    /// How much of each rate is in it, and of what stands beside them.
    #[must_use]
    pub fn amounts(&self) -> Vec<f64> {
        let mut amounts: Vec<f64> = (0..Rates::COUNT)
            .map(|rate| {
                let mut unit = [0.0; Rates::COUNT];
                unit[rate] = 1.0;
                self.time(&Rates::of(unit))
            })
            .collect();
        let positions = (self.side * self.side) as f64;
        let outputs = self.ops.iter().fold(self.channels, behind);
        amounts.extend([1.0, (self.channels + outputs) as f64 * positions]);
        amounts
    }

    /// What the model of time says.
    fn time(&self, rates: &Rates) -> f64 {
        let positions = (self.side * self.side) as f64;
        let mut channels = self.channels;
        let mut sum = 0.0;
        for op in &self.ops {
            let outputs = behind(channels, op);
            sum += match *op {
                Op::Conv { outputs, group, kernel } => {
                    let taps = kernel * kernel;
                    latency::conv(
                        &Work { inputs: channels, outputs, group, taps, positions: (positions, positions) },
                        rates,
                    )
                }
                Op::Select(_) => latency::select(channels, outputs, positions, rates),
                Op::Relu => latency::pass(2.0 * channels as f64 * positions, true, rates),
                Op::Max => latency::pass(2.0 * channels as f64 * positions, false, rates),
            };
            channels = outputs;
        }
        sum
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> ModelProto {
        let mut graph = GraphProto { name: Some("chain".to_owned()), ..GraphProto::default() };
        let mut channels = self.channels;
        let mut at = "x".to_owned();
        for (i, op) in self.ops.iter().enumerate() {
            let output = if i + 1 == self.ops.len() { "y".to_owned() } else { format!("t{i}") };
            let constant = format!("c{i}");
            let (word, attribute, held) = match *op {
                Op::Conv { outputs, group, kernel } => {
                    let pad = (kernel / 2) as i64;
                    let attribute = vec![
                        int("group", group as i64),
                        ints("kernel_shape", vec![kernel as i64; 2]),
                        ints("pads", vec![pad; 4]),
                    ];
                    let dims = [outputs, channels / group.max(1), kernel, kernel];
                    let reads = dims[1] * kernel * kernel;
                    // Sums neither grow nor vanish along the chain.
                    let weight = |k: usize| ((k * 7 % 13) as f32 - 6.0) / (4.0 * (reads as f32).sqrt());
                    ("Conv", attribute, Some(floats(&constant, &dims, weight)))
                }
                Op::Select(count) => {
                    let index: Vec<i64> = (0..count).map(|k| (k * 29 % channels) as i64).collect();
                    ("Gather", vec![int("axis", 1)], Some(integers(&constant, &index)))
                }
                Op::Relu => ("Relu", Vec::new(), None),
                Op::Max => ("Max", Vec::new(), Some(floats(&constant, &[1, channels, 1, 1], |k| (k % 2) as f32 - 1.0))),
            };
            graph.node.push(NodeProto {
                name: Some(format!("n{i}")),
                op_type: Some(word.to_owned()),
                input: [at].into_iter().chain(held.iter().map(|_| constant.clone())).collect(),
                output: vec![output.clone()],
                attribute,
                ..NodeProto::default()
            });
            graph.initializer.extend(held);
            channels = behind(channels, op);
            at = output;
        }
        graph.input.push(port("x", [1, self.channels, self.side, self.side]));
        graph.output.push(port("y", [1, channels, self.side, self.side]));
        ModelProto {
            ir_version: Some(8),
            opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
            graph: Some(graph),
            ..ModelProto::default()
        }
    }
}

/// Channels behind `op`.
fn behind(channels: usize, op: &Op) -> usize {
    match op {
        Op::Conv { outputs, .. } => *outputs,
        Op::Select(count) => *count,
        Op::Relu | Op::Max => channels,
    }
}

fn floats(name: &str, dims: &[usize], value: impl Fn(usize) -> f32) -> TensorProto {
    let raw: Vec<u8> = (0..dims.iter().product()).flat_map(|k| value(k).to_le_bytes()).collect();
    tensor(name, dims, DataType::Float, raw)
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    tensor(name, &[values.len()], DataType::Int64, values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

fn tensor(name: &str, dims: &[usize], dtype: DataType, raw: Vec<u8>) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        dims: dims.iter().map(|d| *d as i64).collect(),
        data_type: Some(dtype as i32),
        raw_data: Some(raw.into()),
        ..TensorProto::default()
    }
}

fn port(name: &str, dims: [usize; 4]) -> ValueInfoProto {
    let dim = |n: usize| tensor_shape_proto::Dimension {
        value: Some(tensor_shape_proto::dimension::Value::DimValue(n as i64)),
        ..Default::default()
    };
    let shape = TensorShapeProto { dim: dims.into_iter().map(dim).collect() };
    let tensor = type_proto::Tensor { elem_type: Some(DataType::Float as i32), shape: Some(shape) };
    let value = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(value), ..ValueInfoProto::default() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::fit::{Row, fit};
    use super::*;

    #[test]
    fn every_rate_is_told_apart_by_the_models() {
        // Times as the built-in rates have them, an overhead of 20 us and 0.3 ns an element at the ends.
        let rates = Rates::default();
        let beside = [20_000.0, 0.3];
        let rows: Vec<Row> = Net::all()
            .iter()
            .map(|net| {
                let amounts = net.amounts();
                let own: f64 = amounts[Rates::COUNT..].iter().zip(beside).map(|(a, b)| a * b).sum();
                Row { measured: net.time(&rates) + own, amounts }
            })
            .collect();
        let found = fit(&rows);
        assert_eq!(found.len(), COUNT);
        for ((name, found), rate) in Rates::NAMES.iter().zip(&found).zip(rates.list()) {
            assert!((found - rate).abs() < 0.02 * rate, "{name}: {found} is {rate}");
        }
    }

    #[test]
    fn the_models_are_sound() {
        for net in Net::all() {
            let model = net.model();
            crate::graph::validate(&model).unwrap();
            let view = crate::graph::GraphView::new(&model).unwrap();
            let facts = crate::facts::Facts::new(&view);
            assert!(view.nodes().all(|n| view.output(n).is_some_and(|v| facts.rank(v) == Some(4))), "{net:?}");
        }
    }
}
