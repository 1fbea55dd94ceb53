//! Where two models part: the first tensor of both whose float64 values differ by more than rounding explains.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::onnx::NodeProto;
use crate::verify::reference::{self, Tap, Trace, Value};
use crate::verify::report::FirstDifference;

use super::judge;
use super::noise::Moved;
use super::pair::Side;
use super::profile::{apart, floats};
use super::stage::Trial;
use super::trial::Bench;

/// Draws of rounding that say how far a tensor may be moved.
const DRAWS: u64 = 4;

/// Evaluates both models on `trial` and returns the first tensor, in the order of the original, that has the same name in both,
/// other values, and is not itself at the mercy of rounding. `None` when float64 shows no such tensor, or a model cannot be evaluated.
pub(super) fn first_difference(bench: &Bench<'_>, trial: &Trial) -> Option<FirstDifference> {
    let (original, rewritten) = (&bench.stage.original, &bench.stage.rewritten);
    let (a, b) = (defined(original), defined(rewritten));
    let common: Vec<&str> = a.intersection(&b).map(String::as_str).collect();
    let feed = bench.stage.feed(trial).ok()?;
    let exact = reference::run_to(&original.model, &original.feed(&feed), &common).ok()?;
    let differences = Compare::new(&exact, None);
    // What is evaluated before a failure is compared all the same.
    let _ = reference::run_tapped(&rewritten.model, &rewritten.feed(&feed), &common, &differences);
    let mut moves: HashMap<String, f64> = HashMap::new();
    for draw in 0..DRAWS {
        let compare = Compare::new(&exact, Some(Moved { of: &bench.rounding.0, seed: draw }));
        if reference::run_tapped(&original.model, &original.feed(&feed), &common, &compare).is_ok() {
            for (name, distance) in compare.found.into_inner() {
                let most = moves.entry(name).or_default();
                *most = most.max(distance);
            }
        }
    }
    let differences = differences.found.into_inner();
    for (tensor, value) in exact.tensors() {
        let Some(difference) = differences.get(tensor) else { continue };
        let largest = largest(value);
        let moved = moves.get(tensor).copied().unwrap_or(0.0);
        if !judge::is_apart(*difference, moved, largest, bench.rounding.0.width(tensor).epsilon()) {
            continue;
        }
        let node = original.graph().node.iter().find(|n| n.output.iter().any(|o| o == tensor))?;
        return Some(FirstDifference {
            tensor: tensor.to_owned(),
            node: node.name().to_owned(),
            op: node.op_type().to_owned(),
            difference: difference / largest.max(f64::MIN_POSITIVE),
            input: trial.name.clone(),
        });
    }
    None
}

fn defined(side: &Side<'_>) -> HashSet<String> {
    let outputs = side.graph().node.iter().flat_map(|n| &n.output);
    outputs.filter(|o| !o.is_empty()).cloned().collect()
}

fn largest(value: &Value) -> f64 {
    floats(value).iter().filter(|v| v.is_finite()).fold(0.0, |max, v| v.abs().max(max))
}

/// How far each tensor of an evaluation is from the one of the same name in another.
struct Compare<'a> {
    to: &'a Trace,
    moved: Option<Moved<'a>>,
    found: RefCell<HashMap<String, f64>>,
}

impl<'a> Compare<'a> {
    fn new(to: &'a Trace, moved: Option<Moved<'a>>) -> Self {
        Self { to, moved, found: RefCell::default() }
    }
}

impl Tap for Compare<'_> {
    fn constant(&self, name: &str, value: &mut Value) {
        if let Some(moved) = &self.moved {
            moved.constant(name, value);
        }
    }

    fn output(&self, node: &NodeProto, name: &str, value: &mut Arc<Value>) {
        if let Some(moved) = &self.moved {
            moved.output(node, name, value);
        }
        let Some(exact) = self.to.get(name) else { return };
        let distance = match exact.shape() == value.shape() {
            true if **value == *exact => 0.0,
            true => floats(exact).iter().zip(&floats(value)).map(|(a, b)| apart(*a, *b)).fold(0.0, f64::max),
            false => f64::INFINITY,
        };
        self.found.borrow_mut().insert(name.to_owned(), distance);
    }
}
