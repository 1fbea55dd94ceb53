//! Every column of the table of operators that are no function of one tensor, against what the float64 evaluator computes: the
//! nodes of random graphs, each run again on inputs that show what a column says.

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};
use onnx_rm::onnx::NodeProto;
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::operators::{Operator, Rounding, Shape, Storage, operators};
use onnx_rm::verify::reference::Value;

use super::world::{World, is_float, rounded};
use super::{cases, world};

/// One node of a random graph, with the tensors that it reads.
struct Run<'w> {
    world: &'w World,
    node: &'w NodeProto,
    /// The input that is changed: the first, but for the answer of a `Where`.
    slot: usize,
    dtype: DataType,
    /// Its entries, in order.
    x: Vec<f64>,
    shape: Vec<usize>,
}

impl<'w> Run<'w> {
    fn new(world: &'w World, node: &'w NodeProto) -> Option<Self> {
        let slot = usize::from(node.op_type() == "Where");
        let first = world.tensors.iter().find(|t| Some(&t.name) == node.input.get(slot))?;
        let shape = first.value.shape().to_vec();
        // Of several nodes that are added together the inner tensors are not kept.
        let kept = |name: &String| name.is_empty() || world.tensors.iter().any(|t| t.name == *name);
        if !node.input.iter().chain(&node.output).all(kept) {
            return None;
        }
        Some(Self { world, node, slot, dtype: first.dtype, x: first.floats(), shape })
    }

    fn value(&self, name: &str) -> &Value {
        &self.world.tensors.iter().find(|t| t.name == name).unwrap().value
    }

    fn others(&self) -> impl Iterator<Item = &Value> {
        let all = self.node.input.iter().enumerate();
        all.filter(|(slot, name)| *slot != self.slot && !name.is_empty()).map(|(_, name)| self.value(name))
    }

    /// True when the first input is read once, and nothing else that it reads is no finite number.
    fn is_tame(&self) -> bool {
        let finite = |v: &Value| !matches!(v, Value::F(a) if a.iter().any(|v| !v.is_finite()));
        self.node.input.iter().filter(|n| **n == self.node.input[self.slot]).count() == 1 && self.others().all(finite)
    }

    /// The first output where the first input is `x`, and its shape.
    fn with(&self, x: Vec<f64>) -> Option<(Vec<f64>, Vec<usize>)> {
        let mut w = World::new(1, self.world.opset);
        let mut names = BTreeMap::new();
        for (slot, name) in self.node.input.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            let tensor = self.world.tensors.iter().find(|t| t.name == *name).unwrap();
            let value = match slot {
                _ if slot == self.slot => self.made(x.clone()),
                _ => tensor.value.clone(),
            };
            names.insert(slot, w.constant(tensor.dtype, value));
        }
        let inputs: Vec<&str> =
            (0..self.node.input.len()).map(|slot| names.get(&slot).map_or("", String::as_str)).collect();
        let outputs: Vec<_> =
            self.node.output.iter().map(|o| self.world.tensors.iter().find(|t| t.name == *o).unwrap().dtype).collect();
        w.node(self.node.op_type(), &inputs, &outputs, self.node.attribute.clone())?;
        let first = &w.tensors[w.tensors.len() - outputs.len()];
        Some((first.floats(), first.value.shape().to_vec()))
    }

    fn made(&self, x: Vec<f64>) -> Value {
        let x = ArrayD::from_shape_vec(IxDyn(&self.shape), x).unwrap();
        match self.dtype {
            DataType::Bool => Value::B(x.mapv(|v| v != 0.0)),
            t if is_float(t) => Value::F(x),
            _ => Value::I(x.mapv(|v| v as i64)),
        }
    }

    /// Halves from -4 to 4, whole numbers from 0 to 8, or answers, in some order.
    fn plain(&self) -> Vec<f64> {
        let some = |i: usize| (i * 7 + 3) % 17;
        let of = |i: usize| match self.dtype {
            DataType::Bool => (some(i) % 2) as f64,
            t if is_float(t) => some(i) as f64 / 2.0 - 4.0,
            _ => (some(i) / 2) as f64,
        };
        (0..self.x.len()).map(of).collect()
    }
}

fn same(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan()
}

fn near(a: f64, b: f64) -> bool {
    same(a, b) || (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

/// Index of the entry at `i` of a tensor of shape `of` in one of shape `to`, where it broadcasts; all of them where it is repeated.
fn reaches(i: usize, of: &[usize], at: usize, to: &[usize]) -> bool {
    let digits = |mut i: usize, shape: &[usize]| {
        let mut all: Vec<usize> = shape.iter().rev().map(|n| (i % n, i /= n).0).collect();
        all.reverse();
        all
    };
    let (own, whole) = (digits(i, of), digits(at, to));
    let skipped = to.len() - of.len();
    own.iter().zip(of).zip(&whole[skipped..]).all(|((a, n), b)| *n == 1 || a == b)
}

/// What a column says and the evaluator does not; how many columns were looked at is counted.
fn check(o: &Operator, run: &Run<'_>, seen: &mut usize) -> Result<(), &'static str> {
    let Some((y, sizes)) = run.with(run.x.clone()) else { return Ok(()) };
    let mut holds = |is: bool, what: &'static str| {
        *seen += 1;
        if is { Ok(()) } else { Err(what) }
    };
    if matches!(o.shape, Shape::Entries | Shape::Same) {
        holds(sizes == run.shape, "the shape of the first input")?;
    }
    if o.rounding == Rounding::Moves {
        let read: Vec<&Value> = run.others().collect();
        let is_read = |v: f64| {
            let here = |a: &Value| matches!(a, Value::F(a) if a.iter().any(|x| same(x.abs(), v.abs())));
            v == 0.0
                || v.is_nan()
                || v.is_infinite()
                || run.x.iter().any(|x| same(*x, v))
                || read.iter().any(|a| here(a))
        };
        // What is no float counts, or stands for a place.
        let dtype = run.world.tensors.iter().find(|t| t.name == run.node.output[0]).unwrap().dtype;
        let attributes: Vec<f64> =
            run.node.attribute.iter().filter_map(|a| a.f).map(|f| rounded(f.into(), dtype)).collect();
        let moved = !is_float(dtype) || y.iter().all(|v| is_read(*v) || attributes.contains(v));
        holds(moved, "values of its inputs")?;
    }
    // What a remainder jumps by is its divisor.
    if o.rounding == Rounding::Jumps && o.name != "Mod" {
        holds(y.iter().all(|v| v.fract() == 0.0), "whole numbers")?;
    }
    if o.storage == Storage::View {
        holds(y.len() == run.x.len() && y.iter().zip(&run.x).all(|(a, b)| same(*a, *b)), "a view of its input")?;
    }
    if o.storage == Storage::Over && sizes == run.shape {
        holds(y.len() == run.x.len(), "written over its input")?;
    }
    if !run.is_tame() || !is_float(run.dtype) && o.shape == Shape::Own {
        return Ok(());
    }
    // A pool of which a window may lie in the padding alone makes the lowest number of it, or none.
    let ints = |name: &str| run.node.attribute.iter().find(|a| a.name() == name).map_or(&[][..], |a| &a.ints);
    let (kernel, pads) = (ints("kernel_shape"), ints("pads"));
    let inside = pads.iter().zip(kernel.iter().chain(kernel)).all(|(p, k)| p < k);
    let full = inside && ints("dilations").iter().all(|d| *d == 1);
    if o.zero
        && full
        && let Some((zeros, _)) = run.with(vec![0.0; run.x.len()])
    {
        holds(zeros.iter().all(|v| *v == 0.0), "zeros of zeros")?;
    }
    let plain = run.plain();
    let Some((y, sizes)) = run.with(plain.clone()) else { return Ok(()) };
    if o.homogeneous
        && is_float(run.dtype)
        && let Some((four, _)) = run.with(plain.iter().map(|v| 4.0 * v).collect())
    {
        holds(y.iter().zip(&four).all(|(a, b)| near(4.0 * a, *b)), "four times as much for four times as much")?;
    }
    let entrywise = matches!(o.shape, Shape::Entries | Shape::Broadcast);
    if entrywise && !plain.is_empty() {
        let at = plain.len() / 2;
        let mut changed = plain.clone();
        changed[at] = if run.dtype == DataType::Bool { 1.0 - changed[at] } else { changed[at] + 3.0 };
        if let Some((z, _)) = run.with(changed) {
            let there = |i: usize| reaches(at, &run.shape, i, &sizes);
            let alone = (0..y.len()).all(|i| same(y[i], z[i]) || there(i));
            holds(alone, "each entry of those in its place")?;
        }
    }
    if o.apart && run.shape.len() >= 2 && sizes.len() >= 2 && run.shape[1] > 1 && !plain.is_empty() {
        let (channels, inner) = (run.shape[1], run.shape[2..].iter().product::<usize>());
        let to = |i: usize, inner: usize| {
            let (image, channel, place) = (i / inner / channels, i / inner % channels, i % inner);
            (image * channels + (channel + 1) % channels) * inner + place
        };
        let mut turned = plain.clone();
        (0..plain.len()).for_each(|i| turned[to(i, inner)] = plain[i]);
        if let Some((z, _)) = run.with(turned) {
            let inner: usize = sizes[2..].iter().product();
            let kept = sizes[1] == channels && (0..y.len()).all(|i| near(z[to(i, inner)], y[i]));
            holds(kept, "channels apart, all in the same way")?;
        }
    }
    Ok(())
}

#[test]
fn every_column_holds_on_random_nodes() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for seed in 0..1500 {
        let w = world(seed);
        for node in &w.graph.node {
            let Some(o) = operators().find(|o| o.name == node.op_type()) else { continue };
            let Some(run) = Run::new(&w, node) else { continue };
            if let Err(what) = check(o, &run, seen.entry(o.name).or_default()) {
                wrong.entry((o.name, what)).or_insert_with(|| format!("graph {seed}, {node:?} of {:?}", run.shape));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let says = |o: &&Operator| {
        let moves = matches!(o.rounding, Rounding::Moves | Rounding::Jumps);
        moves || o.shape != Shape::Own || o.zero || o.homogeneous || o.apart || o.storage != Storage::New
    };
    let has_case = |o: &&Operator| cases::CASES.iter().any(|(ops, _)| ops.contains(&o.name));
    // What has no input to change, or stands behind another node.
    let alone = ["Constant", "ConstantOfShape", "SequenceAt"];
    let counts = |o: &&Operator| says(o) && has_case(o) && !alone.contains(&o.name);
    let unseen: Vec<&str> =
        operators().filter(counts).map(|o| o.name).filter(|n| seen.get(n).is_none_or(|n| *n == 0)).collect();
    assert!(unseen.is_empty(), "no column was looked at of {unseen:?}");
}
