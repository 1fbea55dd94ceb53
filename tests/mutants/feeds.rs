//! Inputs of a judge of its own: other values, scales and sizes than verification has.

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};
use onnx_rm::onnx::ModelProto;
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::verify::reference::Value;

use crate::common::Rng;
use crate::mutants::edit::{ports, typed};

pub type Feed = BTreeMap<String, Value>;

/// Size of free axes in each round: of the batch, of the last axis, and of every other.
const SIZES: [(usize, usize, usize); 8] =
    [(1, 8, 8), (2, 8, 8), (3, 7, 7), (2, 5, 9), (1, 1, 1), (1, 2, 2), (2, 33, 33), (1, 64, 64)];

/// The kinds of values.
const SCALES: [f64; 7] = [1.0, 4.0, 0.01, 60.0, 1e4, 1e-5, 1e7];

/// Values with a batch of `batch` where that is free, all other free sizes 8.
pub fn feeds(model: &ModelProto, batch: usize) -> Vec<Feed> {
    vec![feed(model, (batch, 8, 8), 3, |r| r.unit() * 2.0)]
}

/// One sample with all free sizes `side`.
pub fn square(model: &ModelProto, side: usize) -> Feed {
    feed(model, (1, side, side), 3, |r| r.unit() * 2.0)
}

/// Many: every size with every scale, signed, of one sign, whole numbers, and constants.
pub fn many(model: &ModelProto) -> Vec<Feed> {
    let mut all = Vec::new();
    for (i, size) in SIZES.into_iter().enumerate() {
        for (j, scale) in SCALES.into_iter().enumerate() {
            let seed = (i * SCALES.len() + j) as u64;
            all.push(feed(model, size, seed, |r| r.unit() * scale));
            all.push(feed(model, size, seed + 1000, |r| -r.unit().abs() * scale));
        }
        all.push(feed(model, size, 7, |r| (r.unit() * 9.0).round()));
        for value in [0.0, 1.0, -2.5, 30.0] {
            all.push(feed(model, size, 8, |_| value));
        }
    }
    all
}

fn feed(
    model: &ModelProto,
    (batch, side, last): (usize, usize, usize),
    seed: u64,
    value: impl Fn(&mut Rng) -> f64,
) -> Feed {
    let mut rng = Rng(seed);
    let mut feed = Feed::new();
    for port in ports(model.graph.as_ref().unwrap()) {
        let Some((dtype, dims)) = typed(port) else { continue };
        let free = |axis: usize| match axis {
            0 => batch,
            _ if axis + 1 == dims.len() => last,
            _ => side,
        };
        let shape: Vec<usize> = dims.iter().enumerate().map(|(axis, d)| d.unwrap_or_else(|| free(axis))).collect();
        let n: usize = shape.iter().product();
        let dims = IxDyn(&shape);
        let value = match dtype {
            DataType::Float | DataType::Float16 | DataType::Double | DataType::Bfloat16 => {
                Value::F(ArrayD::from_shape_vec(dims, (0..n).map(|_| value(&mut rng)).collect()).unwrap())
            }
            DataType::Bool => {
                Value::B(ArrayD::from_shape_vec(dims, (0..n).map(|_| rng.below(2) == 1).collect()).unwrap())
            }
            _ => Value::I(ArrayD::from_shape_vec(dims, (0..n).map(|_| rng.below(12) as i64).collect()).unwrap()),
        };
        feed.insert(port.name().to_owned(), value);
    }
    feed
}
