//! The *bends* of a graph: where a node's function goes from one regime into another.
//!
//! | operators | tested number | sides |
//! |---|---|---|
//! | elementwise functions | as the table of [`crate::operators::functions`] says: kinks, bounds, knees, curves, steps | |
//! | `PRelu` | the entry, for each slope that is not 1 | below, above |
//! | `Clip` | the entry between its bounds | below, between, above; a bound that nothing exceeds is none |
//! | `QuantizeLinear` | the entry between the bounds of the integer | below, between, above |
//! | `Max`, `Min` | an operand less the next, for each value of a constant one | smaller, larger |
//! | `Less`, `Greater`, `LessOrEqual`, `GreaterOrEqual`, `Equal` | the difference | true, false |
//! | `Where`, `If` | the condition | true, false |
//!
//! Nodes that compute with constants and shapes only have none: no input changes what they do. A written-out activation has
//! the bends of its nodes. Bends inside subgraphs and local functions are not looked at.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::graph::captured_names;
use crate::onnx::tensor_proto::DataType;
use crate::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use crate::operators::function;
use crate::operators::functions::{self, Parameter};
use crate::verify::reference::Value;

use super::probe::{Bound, Groups, Probe};
use super::regimes::{self, Regimes};

/// Most values of a constant that are told apart; one with more is a mask over positions, not a list of channels.
const MAX_GROUPS: usize = 4096;

/// A bend of a node; a node may have several.
pub(super) struct Bend {
    /// The node, or its first output when it has no name.
    pub(super) node: String,
    pub(super) op: String,
    /// The node's first output.
    pub(super) tensor: String,
    pub(super) probe: Probe,
    pub(super) regimes: Regimes,
    /// The entries of a constant that are told apart.
    pub(super) groups: Option<Groups>,
}

impl Bend {
    /// How many groups each side has.
    pub(super) fn groups(&self) -> usize {
        self.groups.as_ref().map_or(1, Groups::len)
    }

    /// Sides times groups.
    pub(super) fn slots(&self) -> usize {
        self.regimes.sides.len() * self.groups()
    }
}

/// The bends of the main graph, in the order of its nodes.
pub(super) fn bends(model: &ModelProto) -> Vec<Bend> {
    let Some(graph) = &model.graph else { return Vec::new() };
    let moving = moving(graph);
    let constants = Constants::new(graph);
    let local: HashSet<(&str, &str)> = model.functions.iter().map(|f| (f.domain(), f.name())).collect();
    let opset = model.opset_import.iter().find(|o| is_standard(o.domain())).map_or(0, |o| o.version());
    let known = |n: &&NodeProto| is_standard(n.domain()) && !local.contains(&(n.domain(), n.op_type()));
    let mut found = Vec::new();
    for node in graph.node.iter().filter(known) {
        let reader = Reader { node, opset, moving: &moving, constants: &constants };
        for (probe, regimes, groups) in reader.bends() {
            let tensor = node.output.iter().find(|o| !o.is_empty()).cloned().unwrap_or_default();
            let node_name = if node.name().is_empty() { tensor.clone() } else { node.name().to_owned() };
            found.push(Bend { node: node_name, op: node.op_type().to_owned(), tensor, probe, regimes, groups });
        }
    }
    found
}

fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// The tensors whose values depend on what is fed; shapes do not.
fn moving(graph: &GraphProto) -> HashSet<&str> {
    let initializers: HashSet<&str> = graph.initializer.iter().map(|t| t.name()).collect();
    let mut found: HashSet<&str> = graph.input.iter().map(|i| i.name()).filter(|n| !initializers.contains(n)).collect();
    for node in graph.node.iter().filter(|n| !matches!(n.op_type(), "Shape" | "Size" | "EyeLike")) {
        let mut captured = BTreeSet::new();
        captured_names(node, &mut captured);
        if node.input.iter().chain(&captured).any(|i| found.contains(i.as_str())) {
            found.extend(node.output.iter().map(String::as_str).filter(|o| !o.is_empty()));
        }
    }
    found
}

/// Initializers and the outputs of `Constant`.
struct Constants<'m>(HashMap<&'m str, Source<'m>>);

enum Source<'m> {
    Tensor(&'m TensorProto),
    Number(f64),
}

impl<'m> Constants<'m> {
    fn new(graph: &'m GraphProto) -> Self {
        let mut found: HashMap<&str, Source<'m>> =
            graph.initializer.iter().map(|t| (t.name(), Source::Tensor(t))).collect();
        for node in graph.node.iter().filter(|n| n.op_type() == "Constant") {
            let source = |a: &'m AttributeProto| match a.name() {
                "value" => a.t.as_ref().map(Source::Tensor),
                "value_float" => a.f.map(|v| Source::Number(f64::from(v))),
                "value_int" => a.i.map(|v| Source::Number(v as f64)),
                _ => None,
            };
            if let (Some(name), Some(source)) = (node.output.first(), node.attribute.iter().find_map(source)) {
                found.insert(name, source);
            }
        }
        Self(found)
    }

    /// The entries of constant `name`, and its shape; entries that are the largest number of their type are infinite.
    fn get(&self, name: &str) -> Option<(Vec<f64>, Vec<usize>)> {
        let tensor = match self.0.get(name)? {
            Source::Number(v) => return Some((vec![*v], Vec::new())),
            Source::Tensor(t) => t,
        };
        let largest = match DataType::try_from(tensor.data_type()) {
            Ok(DataType::Float16) => half::f16::MAX.to_f64(),
            Ok(DataType::Bfloat16) => half::bf16::MAX.to_f64(),
            Ok(DataType::Float) => f64::from(f32::MAX),
            _ => f64::MAX,
        };
        let value = Value::try_from(*tensor).ok()?;
        let open = |v: f64| if v.abs() >= largest { v.signum() * f64::INFINITY } else { v };
        Some((super::probe::numbers(&value).into_iter().map(open).collect(), value.shape().to_vec()))
    }
}

type Found = (Probe, Regimes, Option<Groups>);

/// Reads the bends of one node.
struct Reader<'r, 'm> {
    node: &'m NodeProto,
    opset: i64,
    moving: &'r HashSet<&'m str>,
    constants: &'r Constants<'m>,
}

impl Reader<'_, '_> {
    fn bends(&self) -> Vec<Found> {
        let one = |probe: Probe, regimes: Regimes| vec![(probe, regimes, None)];
        let moves = |i: usize| self.moves(i);
        match self.node.op_type() {
            "Max" | "Min" => return self.choices(),
            "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "Equal" if moves(0) || moves(1) => {
                return self.comparison();
            }
            _ if !moves(0) => return Vec::new(),
            _ => {}
        }
        match self.node.op_type() {
            "PRelu" => self.slopes(),
            "Clip" => self.clip(),
            "QuantizeLinear" => self.quantised(),
            "Where" | "If" => one(Probe::Truth, regimes::TRUTH),
            op => function(op).and_then(|f| self.bend(f.bend)).map_or_else(Vec::new, |(p, r)| one(p, r)),
        }
    }

    /// What an elementwise function tests of each entry, and its sides.
    fn bend(&self, bend: functions::Bend) -> Option<(Probe, Regimes)> {
        use functions::Bend;
        let of = |parameter: Parameter| parameter.of(|name| self.attribute(name)?.f);
        let entry = |scale: f64, shift: f64, regimes| Some((Probe::Entry { scale, shift }, regimes));
        match bend {
            Bend::None => None,
            Bend::Kink => entry(1.0, 0.0, regimes::KINK),
            Bend::KinkUnlessOne(slope) if of(slope) == 1.0 => None,
            Bend::KinkUnlessOne(_) => entry(1.0, 0.0, regimes::KINK),
            Bend::KinkAt(at) => entry(1.0, -of(at), regimes::KINK),
            Bend::Range(scale, _) if of(scale) == 0.0 => None,
            Bend::Range(scale, shift) => entry(of(scale), of(shift), regimes::RANGE),
            Bend::Centred(scale) => entry(scale, 0.5, regimes::RANGE),
            Bend::Band(width) if of(width) > 0.0 => entry(0.5 / of(width), 0.5, regimes::RANGE),
            Bend::Band(_) => None,
            Bend::Knee(unit) if of(unit) == 0.0 => None,
            Bend::Knee(unit) => entry(1.0 / of(unit), 0.0, regimes::KNEE),
            Bend::Curve(scale) => entry(of(scale), 0.0, regimes::CURVE),
            Bend::Step => Some((Probe::Fraction, regimes::STEP)),
        }
    }

    fn moves(&self, input: usize) -> bool {
        self.node.input.get(input).is_some_and(|name| self.moving.contains(name.as_str()))
    }

    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.node.attribute.iter().find(|a| a.name() == name)
    }

    /// Input `i` when it is a constant.
    fn constant(&self, i: usize) -> Option<(Vec<f64>, Vec<usize>)> {
        self.constants.get(self.node.input.get(i)?)
    }

    /// Bound `i` of a `Clip`: attributes before opset 11, inputs since. One that no number exceeds is none.
    fn bound(&self, i: usize, attribute: &str) -> Option<Bound> {
        let open = |v: f64| v.abs() >= f64::from(f32::MAX);
        if let Some(a) = self.attribute(attribute) {
            return a.f.map(f64::from).filter(|v| !open(*v)).map(Bound::Number);
        }
        self.node.input.get(i).filter(|n| !n.is_empty())?;
        match self.constant(i) {
            Some((numbers, _)) => numbers.first().copied().filter(|v| v.is_finite()).map(Bound::Number),
            None => Some(Bound::Input(i)),
        }
    }

    fn clip(&self) -> Vec<Found> {
        match (self.bound(1, "min"), self.bound(2, "max")) {
            // One value for everything.
            (Some(Bound::Number(low)), Some(Bound::Number(high))) if low >= high => Vec::new(),
            (Some(low), Some(high)) => vec![(Probe::Between(low, high), regimes::RANGE, None)],
            (Some(low), None) => vec![(Probe::Beyond(low), regimes::FLOOR, None)],
            (None, Some(high)) => vec![(Probe::Beyond(high), regimes::CEILING, None)],
            (None, None) => Vec::new(),
        }
    }

    fn slopes(&self) -> Vec<Found> {
        let probe = Probe::Entry { scale: 1.0, shift: 0.0 };
        let Some((slopes, shape)) = self.constant(1) else { return vec![(probe, regimes::KINK, None)] };
        // Where the slope is 1 there is no bend.
        let bent: Vec<Option<f64>> = slopes.iter().map(|s| (*s != 1.0).then_some(*s)).collect();
        let by_channel = self.opset < 7 && shape.len() == 1;
        match grouped(&bent, shape, by_channel) {
            Some(groups) => vec![(probe, regimes::KINK, groups)],
            None => Vec::new(),
        }
    }

    /// Each operand against the largest, or smallest, of those before it.
    fn choices(&self) -> Vec<Found> {
        let is_max = self.node.op_type() == "Max";
        let moves = |i: usize| self.moves(i);
        let mut found = Vec::new();
        for last in 1..self.node.input.len() {
            if !(0..=last).any(moves) {
                continue;
            }
            let probe = Probe::Choice { is_max, last };
            let constants = (0..=last).filter(|_| last == 1).find_map(|i| self.constant(i));
            let Some((numbers, shape)) = constants else {
                found.push((probe, regimes::CHOICE, None));
                continue;
            };
            // An infinite entry is no bound.
            let bounds: Vec<Option<f64>> = numbers.iter().map(|v| v.is_finite().then_some(*v)).collect();
            if let Some(groups) = grouped(&bounds, shape, false) {
                found.push((probe, regimes::CHOICE, groups));
            }
        }
        found
    }

    fn comparison(&self) -> Vec<Found> {
        let (regimes, swapped) = match self.node.op_type() {
            "Less" => (regimes::MORE, true),
            "LessOrEqual" => (regimes::NOT_LESS, true),
            "Greater" => (regimes::MORE, false),
            "GreaterOrEqual" => (regimes::NOT_LESS, false),
            _ => return vec![(Probe::Distance, regimes::SAME, None)],
        };
        vec![(Probe::Difference { swapped }, regimes, None)]
    }

    /// The integers that a quantised tensor can hold, by the type of its zero point, else by the attribute.
    fn quantised(&self) -> Vec<Found> {
        let zero = self.node.input.get(2).and_then(|name| match self.constants.0.get(name.as_str())? {
            Source::Tensor(t) => Some(t.data_type()),
            Source::Number(_) => None,
        });
        let said = self.attribute("output_dtype").and_then(|a| a.i).and_then(|t| i32::try_from(t).ok());
        let dtype = DataType::try_from(zero.or(said).unwrap_or(DataType::Uint8 as i32));
        let (low, high) = match dtype {
            Ok(DataType::Uint8) => (0.0, 255.0),
            Ok(DataType::Int8) => (-128.0, 127.0),
            Ok(DataType::Uint16) => (0.0, 65535.0),
            Ok(DataType::Int16) => (-32768.0, 32767.0),
            Ok(DataType::Uint4) => (0.0, 15.0),
            Ok(DataType::Int4) => (-8.0, 7.0),
            _ => return Vec::new(),
        };
        vec![(Probe::Quantised { low, high }, regimes::RANGE, None)]
    }
}

/// The `numbers` of a constant operand, told apart by value: `None` when none of them bends anything, `Some(None)` when there is
/// only one, or too many.
fn grouped(numbers: &[Option<f64>], shape: Vec<usize>, by_channel: bool) -> Option<Option<Groups>> {
    if numbers.iter().all(Option::is_none) {
        return None;
    }
    let groups = (numbers.len() > 1).then(|| Groups::new(numbers, shape, by_channel));
    Some(groups.filter(|g| g.len() <= MAX_GROUPS))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::graph::testing::{model, node};

    #[test]
    fn quantised_tensors_are_bounded_by_their_integers() {
        let mut m = model(vec![node("q", "QuantizeLinear", &["x", "scale", "zero"], &["y"])], &["y"]);
        let zero =
            TensorProto { name: Some("zero".into()), data_type: Some(DataType::Int8 as i32), ..Default::default() };
        m.graph.as_mut().unwrap().initializer.push(zero);
        let found = bends(&m);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].probe, Probe::Quantised { low: -128.0, high: 127.0 });
        assert_eq!((found[0].regimes, found[0].slots()), (regimes::RANGE, 3));
        m.graph.as_mut().unwrap().initializer.clear();
        assert_eq!(bends(&m)[0].probe, Probe::Quantised { low: 0.0, high: 255.0 });
    }

    #[test]
    fn an_operator_of_the_model_itself_is_not_known() {
        let mut m = model(vec![node("r", "Relu", &["x"], &["y"])], &["y"]);
        assert_eq!(bends(&m).len(), 1);
        m.functions.push(crate::onnx::FunctionProto { name: Some("Relu".into()), ..Default::default() });
        assert!(bends(&m).is_empty());
        m.functions.clear();
        m.graph.as_mut().unwrap().node[0].domain = Some("elsewhere".into());
        assert!(bends(&m).is_empty());
    }
}
