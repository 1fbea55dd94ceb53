//! Rounding, imitated in the float64 evaluator: moved at random, to see how far it alone may move an output (Monte Carlo
//! arithmetic: Parker, "Monte Carlo arithmetic: exploiting randomness in floating-point arithmetic", 1997), or done to the
//! nearest number, as a runtime does it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::onnx::{GraphProto, ModelProto, NodeProto};
use crate::operators::{Rounding, is_exact, jumps, rounding};
use crate::verify::reference::{Tap, Value};
use crate::verify::structure::{Types, types};

use super::pair::dependents;
use super::precision::Precision;
use super::random::Random;

/// Half-ulps by which a value is moved at most. What is moved so far bounds what rounding once or a few times can do, with room for
/// the unlucky draw, and is still small enough that nothing but rounding looks like it.
pub(super) const AMPLITUDE: f64 = 8.0;

/// The same of a sum that weights are calculated from: nothing behind it averages its error out, and a weight has thousands of summands
/// (a tool that computed a mean of 4,608 in float32 was 12 off).
const SUMMED: f64 = 2.0 * AMPLITUDE;

/// Operators that read weights as numbers to calculate with.
const ARITHMETIC: &[&str] = &[
    "Add",
    "BatchNormalization",
    "Conv",
    "ConvTranspose",
    "Div",
    "Einsum",
    "GRU",
    "Gemm",
    "GroupNormalization",
    "InstanceNormalization",
    "LSTM",
    "LayerNormalization",
    "MatMul",
    "Mul",
    "PRelu",
    "RNN",
    "Sub",
    "Sum",
    "DequantizeLinear",
];

/// What of a model rounding touches.
pub(super) struct Rounded {
    types: Types,
    /// The type of floats of which nothing is known.
    usual: Precision,
    /// Tensors that are calculated from the graph inputs.
    data: HashSet<String>,
    /// Constants that such a calculation reads as weights.
    weights: HashSet<String>,
    /// What the graph calculates of other constants on the way to a weight: a runtime rounds that too, and one rounding of a scale
    /// moves all weights that it scales together.
    made: HashSet<String>,
}

impl Rounded {
    /// Looks at `model`, of which `inputs` are fed.
    pub(super) fn new<'a>(model: &'a ModelProto, inputs: impl Iterator<Item = &'a str>) -> Self {
        let graph = super::pair::graph_of(model);
        let data: HashSet<String> = dependents(graph, inputs).into_iter().map(str::to_owned).collect();
        let is_weight = |node: &&NodeProto| {
            ARITHMETIC.contains(&node.op_type()) && node.output.iter().any(|o| data.contains(o))
                // A quantised weight is no data itself.
                || node.op_type() == "DequantizeLinear"
        };
        let read = graph.node.iter().filter(is_weight).flat_map(|n| &n.input);
        let weights: HashSet<String> = read.filter(|i| !data.contains(*i)).cloned().collect();
        let made = sources(graph, &weights);
        Self { types: types(model), usual: Precision::of_model(model), data, weights, made }
    }

    /// The float type of a tensor.
    pub(super) fn width(&self, tensor: &str) -> Precision {
        self.types.of(tensor).and_then(Precision::of).unwrap_or(self.usual)
    }

    fn is_calculated(&self, node: &NodeProto, output: &str) -> bool {
        let is_moved = || self.data.contains(output) || self.made.contains(output);
        self.weights.contains(output) || is_moved() && !is_exact(node.op_type())
    }
}

/// The results that `weights` are calculated from, back to where an operator jumps: what moves an index is no rounding.
fn sources(graph: &GraphProto, weights: &HashSet<String>) -> HashSet<String> {
    let makers: HashMap<&str, &NodeProto> =
        graph.node.iter().flat_map(|n| n.output.iter().map(move |o| (o.as_str(), n))).collect();
    let mut open: Vec<&str> = weights.iter().map(String::as_str).collect();
    let mut found = HashSet::new();
    while let Some(name) = open.pop() {
        let Some(node) = makers.get(name).filter(|n| !jumps(n.op_type())) else { continue };
        if found.insert(name.to_owned()) {
            open.extend(node.input.iter().map(String::as_str));
        }
    }
    found
}

/// Moves weights and results at random by up to [`AMPLITUDE`] half-ulps of their own type. The same seed moves the same
/// tensor in the same way.
pub(super) struct Moved<'a> {
    pub(super) of: &'a Rounded,
    pub(super) seed: u64,
}

impl Moved<'_> {
    fn shift(&self, name: &str, amplitude: f64, value: &mut Value) {
        let Value::F(values) = value else { return };
        let most = amplitude * self.of.width(name).epsilon() / 2.0;
        let mut random = Random::new(self.seed, name);
        values.iter_mut().for_each(|v| *v *= 1.0 + most * (2.0 * random.uniform() - 1.0));
    }

    /// Moves every channel of every image as one: they were divided by one deviation, which was rounded too.
    fn shift_together(&self, name: &str, value: &mut Value) {
        let Value::F(values) = value else { return };
        let most = AMPLITUDE * self.of.width(name).epsilon() / 2.0;
        let mut random = Random::new(self.seed, &format!("{name} together"));
        let run = values.shape().iter().skip(2).product::<usize>().max(1);
        let mut factor = 1.0;
        for (at, v) in values.iter_mut().enumerate() {
            if at % run == 0 {
                factor = 1.0 + most * (2.0 * random.uniform() - 1.0);
            }
            *v *= factor;
        }
    }
}

impl Tap for Moved<'_> {
    fn constant(&self, name: &str, value: &mut Value) {
        if self.of.weights.contains(name) {
            self.shift(name, AMPLITUDE, value);
        }
    }

    fn output(&self, node: &NodeProto, name: &str, value: &mut Arc<Value>) {
        if self.of.is_calculated(node, name) && matches!(**value, Value::F(_)) {
            let sums = self.of.made.contains(name) && rounding(node.op_type()) == Some(Rounding::Approximates);
            self.shift(name, if sums { SUMMED } else { AMPLITUDE }, Arc::make_mut(value));
            if node.op_type().ends_with("Normalization") {
                self.shift_together(name, Arc::make_mut(value));
            }
        }
    }
}

/// Rounds every result to the nearest number of its type.
pub(super) struct Nearest<'a>(pub(super) &'a Rounded);

impl Tap for Nearest<'_> {
    fn output(&self, node: &NodeProto, name: &str, value: &mut Arc<Value>) {
        let width = self.0.width(name);
        if width != Precision::Float64
            && !is_exact(node.op_type())
            && let Value::F(values) = Arc::make_mut(value)
        {
            values.mapv_inplace(|v| width.round(v));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use ndarray::{ArrayD, IxDyn};

    use super::*;
    use crate::graph::testing::{model, node};

    fn moved(of: &Rounded, node: &NodeProto, name: &str, shape: &[usize]) -> ArrayD<f64> {
        let mut value = Arc::new(Value::F(ArrayD::ones(IxDyn(shape))));
        Moved { of, seed: 1 }.output(node, name, &mut value);
        let Value::F(values) = value.as_ref() else { panic!("it was of floats") };
        values.clone()
    }

    /// Weight standardisation: what is calculated of a constant alone is rounded as well.
    #[test]
    fn what_a_weight_is_calculated_from_is_moved() {
        let m = model(
            vec![
                node("sizes", "Floor", &["w"], &["floor"]),
                node("mean", "ReduceMean", &["floor"], &["m"]),
                node("same", "Reshape", &["m", "shape"], &["s"]),
                node("norm", "BatchNormalization", &["v", "one", "zero", "s", "one"], &["n"]),
                node("conv", "Conv", &["x", "n"], &["y"]),
                node("other", "ReduceMean", &["v"], &["unread"]),
            ],
            &["y"],
        );
        let of = Rounded::new(&m, ["x"].into_iter());
        let nodes = &m.graph.as_ref().unwrap().node;
        let differs = |at: usize, name: &str| moved(&of, &nodes[at], name, &[2, 3, 8]).iter().any(|v| *v != 1.0);
        assert!(differs(1, "m") && differs(3, "n") && differs(4, "y"));
        assert!(!differs(0, "floor") && !differs(2, "s") && !differs(5, "unread"));
    }

    #[test]
    fn what_one_deviation_divides_moves_as_one() {
        let m = model(vec![node("norm", "InstanceNormalization", &["x", "a", "b"], &["y"])], &["y"]);
        let of = Rounded::new(&m, ["x"].into_iter());
        let values = moved(&of, &m.graph.as_ref().unwrap().node[0], "y", &[2, 3, 4096]);
        let most = AMPLITUDE * Precision::Float32.epsilon() / 2.0;
        // Of what moves each entry by itself the mean is next to 1.
        let means: Vec<f64> =
            values.as_slice().unwrap().chunks(4096).map(|c| c.iter().sum::<f64>() / 4096.0 - 1.0).collect();
        assert!(means.iter().all(|mean| mean.abs() <= 1.1 * most), "{means:?}");
        assert!(means.iter().filter(|mean| mean.abs() > 0.1 * most).count() >= 3, "{means:?}");
        let alone = model(vec![node("exp", "Exp", &["x"], &["y"])], &["y"]);
        let of = Rounded::new(&alone, ["x"].into_iter());
        let values = moved(&of, &alone.graph.as_ref().unwrap().node[0], "y", &[1, 1, 4096]);
        assert!((values.sum() / 4096.0 - 1.0).abs() < 0.1 * most);
    }
}
