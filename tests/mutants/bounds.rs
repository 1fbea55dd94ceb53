//! Bounds, and what shows for few values only.

use onnx_rm::onnx::ModelProto;

use crate::common::{Build, Rng, float};
use crate::mutants::edit::{Words, behind, constant, float_inputs, layer_output, node, tensor};
use crate::mutants::mutation::{Mutation, kind};

pub const KINDS: &[Mutation] = &[
    kind("upper bound off by a sixtieth", |m, r| bound(m, r, 2, |v| v + v.abs().max(0.06) / 60.0))
        .hidden("the tensor may never reach it")
        .open("no input drives the tensor to its upper bound"),
    kind("upper bound gone", |m, r| {
        node(m, r, &["Clip"], |n, _, _| {
            (n.input.len() > 2).then(|| n.input.truncate(2)).map(|()| "no upper bound".to_owned())
        })
    })
    .hidden("the tensor may never reach it")
    .open("no input drives the tensor to its upper bound"),
    kind("lower bound 0.1 lower", |m, r| bound(m, r, 1, |v| v - 0.1)).hidden("the tensor may never reach it"),
    kind("lower bound gone", |m, r| {
        node(m, r, &["Clip"], |n, _, _| {
            (n.input.len() > 2 && !n.input[1].is_empty()).then(|| n.input[1].clear()).map(|()| "no lower bound".into())
        })
    })
    .hidden("the tensor may never reach it"),
    kind("a constant operand of Max or Min off", |m, r| {
        constant(m, r, &["Max", "Min"], 1, |v, _, r| {
            let i = r.below(v.len());
            v.iter_mut().skip(i).take(1).for_each(|v| *v = if v.is_finite() { *v + 0.05 } else { 0.0 });
            Some(format!("bound {i} off by 0.05"))
        })
    })
    .open("no input drives the channel to its bound")
    .hidden("the channel may never reach its bound"),
    kind("a constant factor off by a hundredth", |m, r| {
        constant(m, r, &["Mul", "Div"], 1, |v, _, r| {
            let i = r.below(v.len());
            v.iter_mut().skip(i).take(1).for_each(|v| *v *= 1.01);
            Some(format!("factor {i} times 1.01"))
        })
    })
    .hidden("one channel may be always zero"),
    kind("a constant summand off by a hundredth", |m, r| {
        constant(m, r, &["Add", "Sub"], 1, |v, _, r| {
            let i = r.below(v.len());
            v.iter_mut().skip(i).take(1).for_each(|v| *v += 0.01);
            Some(format!("summand {i} off by 0.01"))
        })
    })
    .hidden("one channel may be always zero"),
    kind("only negative inputs", |m, r| {
        input(m, r, "negative values times 0.99", |b, x| b.node("LeakyRelu", &[x], vec![float("alpha", 0.99)]))
    })
    .hidden("an input that only a Relu or Clip reads"),
    kind("only inputs above 1000", |m, r| input(m, r, "clipped to 1000", |b, x| clipped(b, x, 1e3)))
        .hidden("an input that only a Clip reads"),
    kind("only inputs above a million", |m, r| input(m, r, "clipped to a million", |b, x| clipped(b, x, 1e6)))
        .hidden("the tensor may never reach it")
        .open("no input is that large"),
    kind("only inner values beyond 1000", |m, r| {
        let name = layer_output(m, r)?;
        behind(m, &name, |b, x| clipped(b, x, 1e3));
        Some(format!("'{name}': clipped to 1000"))
    })
    .hidden("the tensor may never reach it")
    .open("inner values may never be that large"),
    kind("only inputs of exactly 0", |m, r| input(m, r, "0 became 0.1", |b, x| where_equal(b, x, 0.0))),
    kind("only inputs of exactly 1", |m, r| input(m, r, "1 became 1.1", |b, x| where_equal(b, x, 1.0))),
    kind("only inputs of exactly 0.3125", |m, r| input(m, r, "0.3125 became 0.4125", |b, x| where_equal(b, x, 0.3125)))
        .open("one value of four thousand million: no input finds it"),
    kind("only inputs that are whole numbers but 0", |m, r| {
        input(m, r, "whole numbers became 0.1 more", |b, x| {
            let (zero, off) = (b.scalar(0.0), b.scalar(0.1));
            let floor = b.node("Floor", &[x], vec![]);
            let whole = b.node("Equal", &[x, &floor], vec![]);
            let is_zero = b.node("Equal", &[x, &zero], vec![]);
            let other = b.node("Not", &[&is_zero], vec![]);
            let both = b.node("And", &[&whole, &other], vec![]);
            let more = b.add(x, &off);
            b.node("Where", &[&both, &more, x], vec![])
        })
    }),
    kind("only tiny inputs", |m, r| {
        input(m, r, "values below 1e-3 became 0", |b, x| {
            let (zero, tiny) = (b.scalar(0.0), b.scalar(1e-3));
            let size = b.node("Abs", &[x], vec![]);
            let small = b.node("Less", &[&size, &tiny], vec![]);
            b.node("Where", &[&small, &zero, x], vec![])
        })
    })
    .hidden("the tensor may never reach it")
    .open("a thousandth of the input, seldom, may lie below what rounding does"),
    kind("only inputs all alike", |m, r| {
        input(m, r, "constant inputs doubled", |b, x| {
            let low = b.node("ReduceMin", &[x], vec![]);
            let high = b.node("ReduceMax", &[x], vec![]);
            let same = b.node("Equal", &[&low, &high], vec![]);
            let shifted = b.add(x, &high);
            b.node("Where", &[&same, &shifted, x], vec![])
        })
    })
    .open("constant inputs other than 0 may not be fed"),
];

/// Changes a bound that is neither missing nor infinite.
fn bound(m: &mut ModelProto, r: &mut Rng, slot: usize, change: fn(f64) -> f64) -> Words {
    constant(m, r, &["Clip"], slot, |v, _, _| {
        let old = *v.iter().next()?;
        v.mapv_inplace(change);
        (old.abs() < 1e30).then(|| format!("bound {old} became {}", change(old)))
    })
}

/// Puts something behind an input of floats.
fn input(m: &mut ModelProto, r: &mut Rng, what: &str, write: fn(&mut Build, &str) -> String) -> Words {
    let (name, _) = float_inputs(m, r).into_iter().next()?;
    let read = m.graph.as_ref()?.node.iter().any(|n| n.input.contains(&name));
    let no_output = m.graph.as_ref()?.output.iter().all(|o| o.name() != name);
    (read && no_output && tensor(m, &name).is_none()).then(|| {
        behind(m, &name, write);
        format!("input '{name}': {what}")
    })
}

fn clipped(b: &mut Build, x: &str, bound: f64) -> String {
    let (low, high) = (b.scalar(-bound), b.scalar(bound));
    b.node("Clip", &[x, &low, &high], vec![])
}

fn where_equal(b: &mut Build, x: &str, value: f64) -> String {
    let (value, off) = (b.scalar(value), b.scalar(0.1));
    let same = b.node("Equal", &[x, &value], vec![]);
    let more = b.add(x, &off);
    b.node("Where", &[&same, &more, x], vec![])
}
