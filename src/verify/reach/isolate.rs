//! Bends that no graph input reaches, fed from nearby.
//!
//! A part of both models that begins at one tensor, ends at one and contains the bend is a function in each; both tensors are
//! known to both models by name, and hold the same in both on the inputs at hand. What is fed to it may be any value that
//! a correct rewrite has to treat alike: what a convolution or product gives is bounded by nothing; any other tensor stays,
//! channel by channel, within what it held on those inputs, so that whatever was proved of its sign or bounds holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::onnx::ModelProto;
use crate::onnx::tensor_proto::DataType;
use crate::verify::reference::Value;

use super::explore::explore;
use super::part::Whole;
use super::space::Space;
use super::survey::{Look, survey};
use super::watch::Watch;
use super::{Budget, InputSpec, Missed};

/// Inputs on which tensors of both models are compared.
const SURVEYED: usize = 4;
/// Parts that are taken out and searched.
const MAX_PARTS: usize = 32;
/// Places where a part may begin that are tried for one bend, the nearest first.
const MAX_BEGINS: usize = 4;
/// Operators whose results are bounded by nothing.
const UNBOUNDED: [&str; 4] = ["Conv", "ConvTranspose", "Gemm", "MatMul"];

/// A part of both models, and values to compare it on.
#[derive(Clone, Debug)]
pub struct Region {
    /// The part of the original; its input is `begin`, its output `end`.
    pub original: ModelProto,
    /// The part of the rewritten model, likewise.
    pub rewritten: ModelProto,
    /// The tensor it begins at.
    pub begin: String,
    /// The tensor it ends at.
    pub end: String,
    /// Values for `begin`.
    pub feeds: Vec<BTreeMap<String, Value>>,
}

/// What parts of the models reach.
#[derive(Clone, Debug, Default)]
pub struct Isolated {
    /// The parts, in the order of the bends that they were made for.
    pub regions: Vec<Region>,
    /// What is still missed.
    pub missed: Vec<Missed>,
    /// Parts that were searched, those that reached nothing new among them.
    pub parts: usize,
    /// Evaluations of parts.
    pub evaluations: usize,
}

/// Takes parts out of `original` (model 0) and `rewritten` (model 1) around the bends that [`super::reach`] has `missed`, and
/// searches values at their begins that reach these. `fed` are values of the graph inputs. `budget` is for each part.
#[must_use]
pub fn isolate(
    (original, rewritten): (&ModelProto, &ModelProto),
    fed: &[BTreeMap<String, Value>],
    missed: &[Missed],
    seed: u64,
    budget: Budget,
) -> Isolated {
    let mut found = Isolated { missed: missed.to_vec(), ..Isolated::default() };
    let (Some(a), Some(b)) = (Whole::new(original), Whole::new(rewritten)) else { return found };
    if missed.is_empty() {
        return found;
    }
    let fed: Vec<_> = fed.iter().take(SURVEYED).collect();
    let mut common = survey(original, &fed);
    let others = survey(rewritten, &fed);
    common.retain(|name, look| others.get(name).is_some_and(|other| look.agrees(other)));
    let pair = Pair { sides: [&a, &b], common, dtype: element_type(original), seed, budget };
    let mut tried = BTreeSet::new();
    for bend in missed {
        let is_open = found.missed.contains(bend) && tried.insert((bend.model, bend.tensor.clone()));
        if is_open && found.parts < MAX_PARTS {
            pair.reach(bend, &mut found);
        }
    }
    found
}

struct Pair<'p, 'm> {
    sides: [&'p Whole<'m>; 2],
    /// Tensors that hold the same in both models.
    common: HashMap<String, Look>,
    dtype: DataType,
    seed: u64,
    budget: Budget,
}

impl Pair<'_, '_> {
    /// Tries parts around `bend` until one leaves nothing of it missed; keeps the best.
    fn reach(&self, bend: &Missed, found: &mut Isolated) {
        let Some(whole) = self.sides.get(bend.model) else { return };
        let behind = whole.behind(&bend.tensor);
        let outputs = behind.iter().flat_map(|i| &whole.nodes[*i].output);
        let Some(end) = outputs.clone().find(|o| self.common.contains_key(*o)) else { return };
        let (Some(own), Some(last)) = (whole.maker(&bend.tensor), whole.maker(end)) else { return };
        let before = whole.nodes[..last].iter().rev().flat_map(|n| &n.output);
        let mut tries = 0;
        for begin in before.filter(|o| self.common.contains_key(*o)) {
            let parts = self.sides.map(|side| side.between(begin, end));
            let [Some(x), Some(y)] = &parts else { continue };
            if !parts[bend.model].as_ref().is_some_and(|p| p.contains(&own)) {
                continue;
            }
            (tries, found.parts) = (tries + 1, found.parts + 1);
            let (region, left) = self.search(begin, end, [x, y], found);
            let is_of = |m: &&Missed| (m.model, &m.tensor) == (bend.model, &bend.tensor);
            let open = found.missed.iter().filter(is_of).count();
            let is_done = left.iter().filter(is_of).count() == 0;
            if left.iter().filter(is_of).count() < open && !region.feeds.is_empty() {
                // A side of a bend in the part is reached unless the part says that it is not.
                let inside = |m: &Missed| {
                    let own = parts.get(m.model).and_then(Option::as_ref).zip(self.sides.get(m.model));
                    own.is_some_and(|(p, side)| side.maker(&m.tensor).is_some_and(|i| p.contains(&i)))
                };
                let same = |l: &Missed, m: &Missed| (l.model, &l.tensor, l.side) == (m.model, &m.tensor, m.side);
                found.missed.retain(|m| !inside(m) || left.iter().any(|l| same(l, m)));
                found.regions.push(region);
            }
            if is_done || tries >= MAX_BEGINS || found.parts >= MAX_PARTS {
                return;
            }
        }
    }

    /// The part from `begin` to `end`, with what reaches its bends, and what of them is missed.
    fn search(
        &self,
        begin: &str,
        end: &str,
        nodes: [&BTreeSet<usize>; 2],
        found: &mut Isolated,
    ) -> (Region, Vec<Missed>) {
        let [original, rewritten] = [0, 1].map(|i| self.sides[i].part(nodes[i], begin, end));
        let empty = Look::default();
        let look = self.common.get(begin).unwrap_or(&empty);
        let maker = self.sides[0].maker(begin).map(|i| self.sides[0].nodes[i].op_type());
        let is_unbounded = maker.is_some_and(|op| UNBOUNDED.contains(&op));
        let ranges = if is_unbounded { vec![(f64::MIN, f64::MAX)] } else { look.ranges.clone() };
        let spec = InputSpec { name: begin.to_owned(), dtype: self.dtype, shape: look.shape.clone() };
        let space = Space::within(&spec, ranges, look.rms().max(f64::MIN_POSITIVE));
        let watches = [Watch::new(&original), Watch::new(&rewritten)];
        let reached = explore(&watches, &[space], &[], &[], self.seed, self.budget);
        found.evaluations += reached.evaluations;
        let (begin, end) = (begin.to_owned(), end.to_owned());
        (Region { original, rewritten, begin, end, feeds: reached.extra }, reached.missed)
    }
}

/// The float type of the first weight that has one.
fn element_type(model: &ModelProto) -> DataType {
    let mut weights =
        model.graph.iter().flat_map(|g| &g.initializer).filter_map(|t| DataType::try_from(t.data_type()).ok());
    let is_float =
        |t: &DataType| matches!(t, DataType::Float16 | DataType::Bfloat16 | DataType::Float | DataType::Double);
    weights.find(is_float).unwrap_or(DataType::Float)
}
