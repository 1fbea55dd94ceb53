//! Reading a join: which tensor is the fork, which operators stand on the branch and on the shortcut.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{NodeId, ValueId};
use crate::read::{Context, Frame, Reject, RejectCode, conv};

use super::join::{self, Applied};
use super::operation::{self, Reading, Step};
use super::shortcut::Shortcut;

pub use super::join::join_inputs;

/// One operator of the branch, from the fork towards the join.
pub struct PathStep {
    /// What it is, and the tensor that the branch comes in by.
    pub reading: Reading,
    /// The node that computes its result.
    pub node: NodeId,
    /// The tensor that the branch leaves by.
    pub output: ValueId,
}

/// A join with one of its inputs read as the branch and the other as the shortcut.
pub struct Site {
    /// The `Add`, `Sum` or `Sub`.
    pub join: NodeId,
    /// What the join computes.
    pub output: ValueId,
    /// The tensor that both sides come from.
    pub fork: ValueId,
    /// The branch, from the fork to the join.
    pub steps: Vec<PathStep>,
    /// What the join itself does to the branch before it adds.
    pub applied: Vec<Applied>,
    /// The shortcut, with what the join does to it.
    pub shortcut: Shortcut,
    /// Where the channels stand.
    pub frame: Frame,
}

/// The data inputs of `node` when it is a `Sum` of more than two: several joins in one node.
#[must_use]
pub fn summands(cx: Context<'_>, node: NodeId) -> Option<Vec<ValueId>> {
    let inputs = cx.view.inputs(node);
    if cx.view.op(node) != "Sum" || inputs.len() < 3 {
        return None;
    }
    let data: Vec<ValueId> = inputs.iter().flatten().copied().filter(|v| cx.facts.is_data(*v)).collect();
    (data.len() > 1).then_some(data)
}

/// True for a convolution in ONNX Runtime's blocked layout that adds another tensor itself (input 3).
#[must_use]
pub fn is_blocked(cx: Context<'_>, node: NodeId) -> bool {
    cx.view.op(node) == "com.microsoft.nchwc::Conv" && cx.view.input(node, 3).is_some_and(|v| cx.facts.is_data(v))
}

/// How many joins `node` is: one less than it sums tensors of data.
#[must_use]
pub fn joins_of(cx: Context<'_>, node: NodeId) -> usize {
    match join_inputs(cx, node) {
        Some(_) => 1,
        None if is_blocked(cx, node) => 1,
        None => summands(cx, node).map_or(0, |data| data.len() - 1),
    }
}

/// Every way to read `join`: at most two, one for each side that can be the branch.
///
/// # Errors
/// The [`Reject`] of the side that came further, when there is no way.
pub fn find(cx: Context<'_>, join: NodeId) -> Result<Vec<Site>, Reject> {
    if is_blocked(cx, join) {
        let reason =
            "its tensors are in ONNX Runtime's blocked layout, and the file does not say how large the blocks are";
        let reject = Reject::at(cx.view, join, RejectCode::CannotPass, reason);
        return Err(reject.hint("rewrite the model before ONNX Runtime optimises it"));
    }
    let Some((a, b)) = join_inputs(cx, join) else {
        return Err(Reject::at(cx.view, join, RejectCode::TwoBranches, "not a sum of two tensors of data"));
    };
    find_pair(cx, join, (a, b))
}

/// [`find`] of two inputs of `join`, which may have more.
///
/// # Errors
/// As [`find`].
pub fn find_pair(cx: Context<'_>, join: NodeId, (a, b): (ValueId, ValueId)) -> Result<Vec<Site>, Reject> {
    if a == b {
        let reason = "the sum, or difference, of a tensor with itself: there is no branch";
        return Err(Reject::at(cx.view, join, RejectCode::TwoBranches, reason));
    }
    let mut nearest: Option<((usize, bool), Reject)> = None;
    for frame in Frame::of(cx.view.output(join).and_then(|v| cx.facts.rank(v))) {
        let sites = sites(cx.within(*frame), join, [(a, b), (b, a)], &mut nearest);
        if !sites.is_empty() {
            return Ok(sites);
        }
    }
    Err(nearest.map_or_else(|| Reject::at(cx.view, join, RejectCode::TwoBranches, "it has no branch"), |(_, r)| r))
}

/// The readings of `join` in one frame, `ways` being what is read as branch and shortcut.
fn sites(
    cx: Context<'_>,
    join: NodeId,
    ways: [(ValueId, ValueId); 2],
    nearest: &mut Option<((usize, bool), Reject)>,
) -> Vec<Site> {
    let mut sites = Vec::new();
    for (branch, shortcut) in ways {
        match read_branch(cx, join, (branch, shortcut)) {
            Ok(site) => sites.push(site),
            Err(reject) => {
                // The side that came further says more; and a side computed from the other one is the branch.
                let said = (reject.depth, leads(cx, shortcut, branch));
                if nearest.as_ref().is_none_or(|(so_far, _)| *so_far < said) {
                    *nearest = Some((said, reject));
                }
            }
        }
    }
    sites
}

/// True when `to` is computed from `from`.
fn leads(cx: Context<'_>, from: ValueId, to: ValueId) -> bool {
    let position = |v: ValueId| cx.view.def(v).map_or(0, |n| cx.view.position(n));
    let mut seen = BTreeSet::new();
    let mut stack = vec![to];
    while let Some(value) = stack.pop() {
        if value == from {
            return true;
        }
        if position(value) > position(from) && seen.insert(value) {
            stack.extend(cx.view.def(value).iter().flat_map(|n| cx.view.inputs(*n)).flatten());
        }
    }
    false
}

fn read_branch(cx: Context<'_>, join: NodeId, (branch, beside): (ValueId, ValueId)) -> Result<Site, Reject> {
    let shortcut = Shortcut::walk(cx, beside);
    let output = cx
        .view
        .output(join)
        .ok_or_else(|| Reject::at(cx.view, join, RejectCode::TwoBranches, "the join has no output"))?;
    let origins: BTreeMap<ValueId, usize> = shortcut.origins().iter().enumerate().map(|(i, v)| (*v, i)).collect();
    let mut search = Search::new(cx, &origins);
    search.run(branch);
    let Some(steps) = search.path(branch) else {
        return Err(search.explain(branch, &shortcut));
    };
    let fork = steps.first().map_or(branch, |s| s.reading.input);
    let Some(origin) = origins.get(&fork).copied() else {
        return Err(Reject::broken(cx.view, fork, "a branch that does not start on the shortcut"));
    };
    let applied = |side, other| {
        let reason = "the channel count of one side is unknown";
        let unknown = || Reject::tensor(cx.view, side, RejectCode::SizeUnknown, reason);
        join::applied(cx, join, side, other).ok_or_else(unknown)
    };
    let shortcut = shortcut.from_origin(origin).joined(join, applied(beside, branch)?);
    Ok(Site { join, output, fork, steps, applied: applied(branch, beside)?, shortcut, frame: cx.frame })
}

/// What is known of a tensor on the way from the join to the fork.
enum Known {
    /// It is an origin of the shortcut: the branch starts here.
    Fork,
    /// The cheapest way on costs so much and takes the reading with this index.
    Way { cost: f64, pick: usize, readings: Vec<Reading> },
    /// No way on.
    Dead,
}

/// The cheapest way from the join's input to an origin of the shortcut. Where an operator has several ways
/// on (the operands of a `Concat`, of a product), the one through the fewest multiplications is taken.
struct Search<'a, 'b> {
    cx: Context<'a>,
    origins: &'b BTreeMap<ValueId, usize>,
    /// No tensor computed before every origin can lead to one.
    earliest: usize,
    known: BTreeMap<ValueId, Known>,
    reject: Option<Reject>,
}

impl<'a, 'b> Search<'a, 'b> {
    fn new(cx: Context<'a>, origins: &'b BTreeMap<ValueId, usize>) -> Self {
        let rank = |v: &ValueId| cx.view.def(*v).map_or(0, |n| cx.view.position(n));
        let earliest = origins.keys().map(rank).min().unwrap_or(0);
        Self { cx, origins, earliest, known: BTreeMap::new(), reject: None }
    }

    /// Depth first with a stack of its own: a branch may be as long as the model.
    fn run(&mut self, branch: ValueId) {
        let mut stack = vec![(branch, 0)];
        let mut open: BTreeMap<ValueId, Vec<Reading>> = BTreeMap::new();
        while let Some((value, depth)) = stack.pop() {
            if let Some(readings) = open.remove(&value) {
                let known = self.choose(readings);
                self.known.insert(value, known);
                continue;
            }
            if self.known.contains_key(&value) {
                continue;
            }
            // The join's own input is no fork: a branch without an operator has no place to merge.
            if depth > 0 && self.origins.contains_key(&value) {
                self.known.insert(value, Known::Fork);
                continue;
            }
            match self.readings(value, depth) {
                None => {
                    self.known.insert(value, Known::Dead);
                }
                Some(readings) => {
                    stack.push((value, depth));
                    stack.extend(readings.iter().map(|r| (r.input, depth + 1)));
                    open.insert(value, readings);
                }
            }
        }
    }

    fn readings(&mut self, value: ValueId, depth: usize) -> Option<Vec<Reading>> {
        let node = self.cx.view.def(value)?;
        // Among rows of channels a convolution only says that these are maps.
        let elsewhere = !self.cx.is_channels_first() && self.cx.view.op(node) == "Conv";
        if self.cx.view.position(node) < self.earliest || elsewhere {
            return None;
        }
        match operation::read(self.cx, value) {
            Ok(readings) => Some(readings),
            Err(mut reject) => {
                reject.depth = depth;
                if self.reject.as_ref().is_none_or(|r| r.depth < depth) {
                    self.reject = Some(reject);
                }
                None
            }
        }
    }

    fn choose(&self, readings: Vec<Reading>) -> Known {
        let mut best: Option<(f64, usize)> = None;
        for (pick, reading) in readings.iter().enumerate() {
            let rest = match self.known.get(&reading.input) {
                Some(Known::Fork) => 0.0,
                Some(Known::Way { cost, .. }) => *cost,
                Some(Known::Dead) | None => continue,
            };
            let own = match &reading.step {
                Step::Conv(c) => c.weights() as f64,
                _ => 1.0,
            };
            if best.is_none_or(|(cost, _)| own + rest < cost) {
                best = Some((own + rest, pick));
            }
        }
        match best {
            Some((cost, pick)) => Known::Way { cost, pick, readings },
            None => Known::Dead,
        }
    }

    /// The steps from the fork to `branch`.
    fn path(&mut self, branch: ValueId) -> Option<Vec<PathStep>> {
        let mut steps = Vec::new();
        let mut at = branch;
        loop {
            match self.known.remove(&at)? {
                Known::Fork => break,
                Known::Dead => return None,
                Known::Way { pick, mut readings, .. } => {
                    let reading = readings.swap_remove(pick);
                    let input = reading.input;
                    steps.push(PathStep { reading, node: self.cx.view.def(at)?, output: at });
                    at = input;
                }
            }
        }
        steps.reverse();
        Some(steps)
    }

    /// Why no way was found: the operator that the branch could not pass, or the one that ended the shortcut.
    fn explain(self, branch: ValueId, shortcut: &Shortcut) -> Reject {
        if let Some(reject) = self.reject {
            return reject;
        }
        let view = self.cx.view;
        let last = shortcut.origins().last().copied();
        match last.and_then(|v| view.def(v)) {
            Some(node) => {
                // A convolution is linear: what keeps it from being read is to blame.
                if let Some(Err(reject)) = (view.op(node) == "Conv").then(|| conv::branch_conv(self.cx, node)) {
                    return reject;
                }
                let op = format!("{}{}", view.op(node), unread(view.op(node)));
                let source = last.and_then(|v| self.cx.facts.meet(branch, v)).map(|v| view.name(v));
                let source = source.map_or_else(String::new, |name| format!("; both come from '{name}'"));
                let reason = format!(
                    "the two sides never meet: neither is linear back to a common tensor (this side ends at a {op}{source})"
                );
                let reject = Reject::at(view, node, RejectCode::ShortcutNotLinear, reason);
                if view.op(node).ends_with("QuantizeLinear") || view.op(node) == "DequantizeLinear" {
                    return reject.hint(operation::FLOAT_FIRST);
                }
                reject
            }
            None => Reject {
                code: RejectCode::TwoBranches,
                reason: "the two sides never meet before the graph's inputs".to_owned(),
                node: String::new(),
                tensor: last.map(|v| view.name(v).to_owned()).unwrap_or_default(),
                hint: String::new(),
                depth: 0,
            },
        }
    }
}

/// What is to blame at an operator that moves or averages entries, but not as a window over one tensor does.
fn unread(op: &str) -> &'static str {
    match op {
        "Concat" => " of several tensors",
        "Slice" | "Split" | "Gather" => " whose entries no window takes",
        "Cast" => " that rounds to another element type, or back from one",
        "QuantizeLinear" | "DequantizeLinear" => ", where values are rounded to the steps of a scale",
        "Pad" => " that adds more than channels of zeros",
        "Tile" | "Expand" => " that repeats more than channels",
        "AveragePool" => " that leaves padding or an overhang out of its mean",
        "Reshape" | "Flatten" | "Transpose" => " that moves the channels to another axis",
        _ => "",
    }
}
