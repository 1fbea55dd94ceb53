//! Which sides of its bends one evaluation of a model reaches.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::onnx::tensor_proto::DataType;
use crate::onnx::{GraphProto, ModelProto, NodeProto, type_proto};
use crate::verify::reference::{self, Tap, Value};
use crate::verify::work::macs;

use super::Missed;
use super::bends::{self, Bend};
use super::probe::Inputs;

/// A model whose bends are looked at.
pub struct Watch<'m> {
    model: &'m ModelProto,
    bends: Vec<Bend>,
    /// Each bend's first slot; a slot is one group of one side.
    first: Vec<usize>,
    /// The bends of a node, by its first output.
    at: HashMap<String, Vec<usize>>,
    outputs: Vec<&'m str>,
    inputs: HashSet<&'m str>,
    /// The largest number that the model's own type holds.
    largest: f64,
}

/// What one evaluation reached.
#[derive(Clone, Debug)]
pub struct Sight {
    /// By slot, how far the nearest tested number was from the side, in the bend's unit: 0 on it, infinite when nothing was tested.
    pub(super) gaps: Vec<f64>,
    /// About how many multiply-accumulates it took.
    pub(super) work: usize,
    /// False when a value left the range of the model's own type: what is infinite there shows nothing.
    pub(super) is_inside: bool,
}

/// Looks while a model is evaluated.
struct Looker<'w, 'm> {
    watch: &'w Watch<'m>,
    sight: RefCell<Sight>,
}

impl Tap for Looker<'_, '_> {
    fn read(&self, node: &NodeProto, inputs: Inputs<'_>) {
        self.watch.see(node, inputs, &mut self.sight.borrow_mut());
    }
}

impl<'m> Watch<'m> {
    /// Finds the bends of `model`.
    #[must_use]
    pub fn new(model: &'m ModelProto) -> Self {
        // As the evaluator writes it out: the activation of a fused operator is a node of its own.
        let bends = bends::bends(&reference::expanded(model));
        let mut at: HashMap<String, Vec<usize>> = HashMap::new();
        let mut first = Vec::with_capacity(bends.len());
        let mut slots = 0;
        for (i, bend) in bends.iter().enumerate() {
            at.entry(bend.tensor.clone()).or_default().push(i);
            first.push(slots);
            slots += bend.slots();
        }
        let graph = model.graph.as_ref();
        let outputs = graph.iter().flat_map(|g| &g.output).map(|o| o.name()).collect();
        let inputs = graph.iter().flat_map(|g| &g.input).map(|i| i.name()).collect();
        Self { model, bends, first, at, outputs, inputs, largest: graph.map_or(f64::MAX, largest) }
    }

    /// Number of sides.
    pub(super) fn sides(&self) -> usize {
        self.bends.iter().map(|b| b.regimes.sides.len()).sum()
    }

    /// Number of slots.
    pub(super) fn slots(&self) -> usize {
        self.bends.iter().map(Bend::slots).sum()
    }

    /// How much each slot counts: those of one side together as much as a side of one slot.
    pub(super) fn weights(&self) -> impl Iterator<Item = f64> {
        let weight = |b: &Bend| std::iter::repeat_n(1.0 / b.groups().max(1) as f64, b.slots());
        self.bends.iter().flat_map(weight)
    }

    /// Nothing seen.
    #[must_use]
    pub fn sight(&self) -> Sight {
        Sight { gaps: vec![f64::INFINITY; self.slots()], work: 0, is_inside: true }
    }

    /// Evaluates the model on those of `feed` that it has. `None` when it cannot be evaluated on them.
    pub(super) fn look(&self, feed: &BTreeMap<String, Value>) -> Option<Sight> {
        let own = feed.iter().filter(|(name, _)| self.inputs.contains(name.as_str()));
        let own: BTreeMap<String, Value> = own.map(|(n, v)| (n.clone(), v.clone())).collect();
        let looker = Looker { watch: self, sight: RefCell::new(self.sight()) };
        let trace = reference::run_tapped(self.model, &own, &self.outputs, &looker).ok()?;
        let mut sight = looker.sight.into_inner();
        sight.is_inside &= trace.tensors().all(|(_, v)| self.holds(v));
        Some(sight)
    }

    /// Adds to `sight` what `node` of the main graph shows, which is about to run on `inputs`.
    pub fn see(&self, node: &NodeProto, inputs: &[Option<Arc<Value>>], sight: &mut Sight) {
        sight.is_inside = sight.is_inside && inputs.iter().flatten().all(|v| self.holds(v));
        sight.work = sight.work.saturating_add(work(node, inputs));
        let bends = node.output.iter().find(|o| !o.is_empty()).and_then(|o| self.at.get(o));
        for index in bends.into_iter().flatten() {
            let (bend, first) = (&self.bends[*index], self.first[*index]);
            let Some(numbers) = bend.probe.numbers(inputs) else { continue };
            let groups = match &bend.groups {
                Some(groups) => match groups.of(numbers.shape()) {
                    Some(group) => Some(group),
                    None => continue,
                },
                None => None,
            };
            let group = |at: usize| groups.as_ref().map_or(Some(0), |g| g.get(at).copied().flatten());
            let numbers: Vec<f64> = numbers.iter().copied().collect();
            let found = bend.regimes.gaps(&numbers, &group, bend.groups());
            sight.gaps.iter_mut().skip(first).zip(found).for_each(|(gap, f)| *gap = gap.min(f));
        }
    }

    /// True when every entry is a number of the model's type, or an infinity that the model itself writes down.
    fn holds(&self, value: &Value) -> bool {
        value.floats().is_none_or(|a| a.iter().all(|v| v.is_infinite() || v.abs() <= self.largest))
    }

    /// The sides that have a slot for which `reached` does not hold; `model` is the model's number.
    pub(super) fn missed(&self, model: usize, reached: &[bool]) -> Vec<Missed> {
        let mut missed = Vec::new();
        for (bend, first) in self.bends.iter().zip(&self.first) {
            let groups = bend.groups();
            for (s, side) in bend.regimes.sides.iter().enumerate() {
                let slots = reached.iter().skip(first + s * groups).take(groups);
                let lacking = slots.filter(|r| !**r).count();
                if lacking > 0 {
                    missed.push(Missed {
                        model,
                        node: bend.node.clone(),
                        op: bend.op.clone(),
                        tensor: bend.tensor.clone(),
                        side: side.name,
                        values: (groups > 1).then_some((lacking, groups)),
                    });
                }
            }
        }
        missed
    }
}

/// The largest number of the narrowest float type among inputs and weights.
fn largest(graph: &GraphProto) -> f64 {
    let declared = graph.input.iter().filter_map(|i| match i.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(t) => t.elem_type,
        _ => None,
    });
    let mut least = f64::MAX;
    for dtype in declared.chain(graph.initializer.iter().map(|t| t.data_type())) {
        least = least.min(match DataType::try_from(dtype) {
            Ok(DataType::Float16) => half::f16::MAX.to_f64(),
            Ok(DataType::Bfloat16) => half::bf16::MAX.to_f64(),
            Ok(DataType::Float) => f64::from(f32::MAX),
            _ => f64::MAX,
        });
    }
    least
}

/// About how many multiply-accumulates `node` takes; other operators touch every entry a few times.
fn work(node: &NodeProto, inputs: Inputs<'_>) -> usize {
    let entries = inputs.first().and_then(Option::as_deref).map_or(0, |v| v.shape().iter().product());
    macs(node, inputs).max(inputs.len().saturating_mul(entries).saturating_mul(4))
}
