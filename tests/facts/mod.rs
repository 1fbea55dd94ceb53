//! What is known of a tensor, against what the evaluator computes: intervals, constants, shapes and types of random graphs of
//! every operator that the facts know.
//!
//! `ONNX_RM_CASES` says how many graphs are tried, `ONNX_RM_SEED` which.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unreachable_pub)]

mod bounds;
mod cases;
mod functions;
mod operators;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use crate::common;
use onnx_rm::facts::{Constant, Dim, Facts, Interval};
use onnx_rm::graph::GraphView;
use onnx_rm::onnx::tensor_proto::DataType;

use common::Rng;
use world::{FLOATS, INTEGERS, Tensor, World};

/// Nodes of a graph.
const NODES: usize = 24;

fn world(seed: u64) -> World {
    let mut rng = Rng(seed);
    let opset = [9, 11, 13, 18, 21, 24][rng.below(6)];
    let mut w = World::new(rng.next(), opset);
    for i in 0..8 {
        let dtype = if w.chance(60) { w.one(FLOATS) } else { w.one(INTEGERS) };
        let dtype = if i == 7 { DataType::Bool } else { dtype };
        let rank = w.rng.below(5);
        let shape = w.shape(rank);
        let value = w.random(dtype, &shape);
        // Half of the graphs have no input: all of it is constant.
        if seed.is_multiple_of(2) && w.chance(70) { w.input(dtype, value) } else { drop(w.constant(dtype, value)) }
    }
    let ops: Vec<_> = cases::CASES.iter().flat_map(|(ops, case)| ops.iter().map(move |op| (*op, *case))).collect();
    for _ in 0..NODES {
        let (op, case) = w.one(&ops);
        case(&mut w, op);
    }
    w
}

/// How often something was said of an operator, and was right.
#[derive(Default)]
struct Said {
    intervals: BTreeMap<String, usize>,
    constants: BTreeMap<String, usize>,
    shapes: BTreeMap<String, usize>,
}

fn check(w: &World, said: &mut Said) -> Result<(), String> {
    let model = w.model();
    let view = GraphView::new(&model).map_err(|e| e.to_string())?;
    let facts = Facts::new(&view);
    let mut symbols: BTreeMap<String, usize> = BTreeMap::new();
    for t in &w.tensors {
        let Some(value) = view.value(&t.name) else { continue };
        let blame = |what: String| Err(format!("'{}' of {} ({:?}): {what}", t.name, t.op, t.dtype));
        let mut count =
            |map: fn(&mut Said) -> &mut BTreeMap<String, usize>| *map(said).entry(t.op.clone()).or_default() += 1;
        if facts.dtype(value).is_some_and(|d| d != t.dtype) {
            return blame(format!("type {:?}", facts.dtype(value)));
        }
        if let Some(shape) = facts.shape(value) {
            let sizes = t.value.shape();
            let right = shape.len() == sizes.len()
                && shape.iter().zip(sizes).all(|(dim, n)| match dim {
                    Dim::Known(d) => *d == *n as i64,
                    Dim::Symbol(s) => *symbols.entry(s.clone()).or_insert(*n) == *n,
                    Dim::Unknown => true,
                });
            if !right {
                return blame(format!("shape {shape:?}, but it is {sizes:?}"));
            }
            count(|s| &mut s.shapes);
        }
        if t.wild {
            continue;
        }
        if let Some(constant) = facts.constant(value) {
            if let Some(why) = differs(&constant, t) {
                return blame(why);
            }
            count(|s| &mut s.constants);
        }
        let all = facts.interval(value);
        let each = facts.channel_intervals(value);
        let inner: usize = t.value.shape().iter().skip(2).product();
        for (i, v) in t.floats().iter().enumerate().filter(|(_, v)| !v.is_nan()) {
            let here = each.map_or(all, |each| each[i / inner % each.len()]);
            for bound in [all, here] {
                if !(bound.lo <= *v && *v <= bound.hi) {
                    return blame(format!("{v:e} outside of {bound:?}"));
                }
            }
        }
        if all != Interval::ANY && t.first {
            count(|s| &mut s.intervals);
        }
    }
    Ok(())
}

/// Why the constant is not what was computed: the type and shape, or a value. Sums may be rounded once in another order.
fn differs(constant: &Constant, t: &Tensor) -> Option<String> {
    if constant.dtype != t.dtype || constant.data.shape() != t.value.shape() {
        return Some(format!("constant of type {:?} and shape {:?}", constant.dtype, constant.data.shape()));
    }
    let step = match t.dtype {
        DataType::Double => 1e-10,
        DataType::Float => 1.2e-7,
        DataType::Float16 => 1e-3,
        DataType::Bfloat16 => 8e-3,
        _ => 0.0,
    };
    let least = match t.dtype {
        DataType::Float16 => 6e-8,
        DataType::Bfloat16 => 1e-40,
        DataType::Float => 1.5e-45,
        _ => 0.0,
    };
    let is = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= step * b.abs() + least;
    let wrong = constant.data.iter().zip(t.floats()).find(|(a, b)| !is(**a, *b));
    wrong.map(|(a, b)| format!("constant {a:e}, but it is {b:e}"))
}

#[test]
fn all_that_is_known_is_so() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let (cases, seed) = (number("ONNX_RM_CASES").unwrap_or(6000), number("ONNX_RM_SEED").unwrap_or(0));
    let mut said = Said::default();
    let mut wrong: BTreeMap<String, (usize, String)> = BTreeMap::new();
    // Also one that pools a map without entries.
    for i in (seed..seed + cases).chain([25_640]) {
        let w = world(i);
        if let Err(why) = check(&w, &mut said) {
            let op = why.split(" (").next().unwrap().split(" of ").last().unwrap().to_owned();
            let entry = wrong
                .entry(op)
                .or_insert_with(|| (0, format!("graph {i}: {why}\n{}", onnx_rm::graph::dump(&w.model()))));
            entry.0 += 1;
        }
    }
    let report: Vec<String> = wrong.values().map(|(n, why)| format!("{n} times, first {why}")).collect();
    assert!(wrong.is_empty(), "{}", report.join("\n"));
    let missing = |listed: &mut dyn Iterator<Item = &'static str>, seen: &BTreeMap<String, usize>| -> Vec<&str> {
        listed.filter(|op| !seen.contains_key(*op)).collect()
    };
    let none: [Vec<&str>; 3] = [
        missing(&mut Interval::operators(), &said.intervals),
        missing(&mut Constant::operators(), &said.constants),
        missing(&mut Dim::operators(), &said.shapes),
    ];
    assert!(none.iter().all(Vec::is_empty), "nothing was said, and so nothing checked, of {none:?}");
}

#[test]
fn every_operator_that_the_facts_know_has_a_case() {
    let cases: BTreeSet<&str> = cases::CASES.iter().flat_map(|(ops, _)| ops.iter().copied()).collect();
    let known = Interval::operators().chain(Constant::operators()).chain(Dim::operators());
    let missing: BTreeSet<&str> = known.filter(|op| !cases.contains(op)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
