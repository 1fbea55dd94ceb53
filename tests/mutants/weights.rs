//! Weights and biases.

use half::{bf16, f16};
use ndarray::{ArrayD, Axis, Slice};
use onnx_rm::onnx::NodeProto;

use crate::common::{Rng, int, ints};
use crate::mutants::edit::{Words, constant, graph, integer, list, node, places, shuffled, store, two, values, weight};
use crate::mutants::mutation::{Mutation, kind};

const LAYERS: &[&str] = &["Conv", "Gemm", "MatMul", "ConvTranspose"];

const ONE_ENTRY: &str = "no input shows it: it lies within rounding, or in a channel that is always zero";

pub const KINDS: &[Mutation] = &[
    kind("kernel of one channel shifted by a tap", |m, r| kernel(m, r, "shifted", |w, axis| roll(w, axis, 1)))
        .hidden(ONE_ENTRY),
    kind("kernel flipped", |m, r| {
        kernel(m, r, "flipped", |w, axis| w.slice_axis(Axis(axis), Slice::new(0, None, -1)).to_owned())
    })
    .hidden(ONE_ENTRY),
    kind("kernel transposed", |m, r| {
        weight(m, r, |w, _, _| {
            let rank = w.ndim();
            let fits = rank > 1 && w.shape()[rank - 1] == w.shape()[rank - 2] && w.shape()[rank - 1] > 1;
            fits.then(|| {
                let mut turned = w.clone();
                turned.swap_axes(rank - 1, rank - 2);
                *w = turned.as_standard_layout().into_owned();
                "the last two axes of its weight transposed".to_owned()
            })
        })
    }),
    kind("one weight off by a thousandth", |m, r| one(m, r, "times 1.001", |v, _| v * 1.001)).hidden(ONE_ENTRY),
    kind("one weight off by a hundredth of the largest", |m, r| {
        one(m, r, "off by a hundredth of the largest", |v, most| v + most / 100.0)
    })
    .hidden(ONE_ENTRY),
    kind("one weight's sign flipped", |m, r| one(m, r, "negated", |v, _| -v)).hidden(ONE_ENTRY),
    kind("one weight zeroed", |m, r| one(m, r, "zeroed", |_, _| 0.0)).hidden(ONE_ENTRY),
    kind("one weight not a number", |m, r| one(m, r, "not a number", |_, _| f64::NAN)),
    kind("output channels swapped", |m, r| swapped(m, r, 0)).hidden(ONE_ENTRY),
    kind("input channels swapped", |m, r| swapped(m, r, 1)).hidden(ONE_ENTRY),
    kind("group order permuted", |m, r| {
        constant(m, r, &["Conv"], 1, |w, node, _| {
            let groups = integer(node, "group", 1) as usize;
            let each = w.shape()[0] / groups;
            (groups > 1).then(|| {
                *w = roll(w, 0, each);
                format!("the weights of its {groups} groups moved on by one")
            })
        })
    }),
    kind("fewer groups, weights repeated", regrouped),
    kind("group count changed, weight of the same size", regrouped_in_place),
    kind("one bias off by a hundredth", |m, r| {
        bias(m, r, |b, r| {
            let (i, most) = (r.below(b.len()), largest(b));
            b.iter_mut().skip(i).take(1).for_each(|v| *v += most / 100.0);
            Some(format!("entry {i} of its bias off by a hundredth of the largest"))
        })
    })
    .hidden(ONE_ENTRY),
    kind("two biases swapped", |m, r| {
        bias(m, r, |b, r| {
            let (i, j) = two(b.len(), r)?;
            let flat = b.as_slice_mut()?;
            flat.swap(i, j);
            Some(format!("entries {i} and {j} of its bias swapped"))
        })
    })
    .hidden(ONE_ENTRY),
    kind("bias of zeros", |m, r| {
        bias(m, r, |b, _| {
            b.fill(0.0);
            Some("its bias all zero".to_owned())
        })
    }),
    kind("bias dropped", |m, r| {
        node(m, r, &["Conv", "Gemm", "ConvTranspose"], |n, m, _| {
            let any = values(m, n.input.get(2)?)?.iter().any(|v| *v != 0.0);
            any.then(|| n.input.truncate(2)).map(|()| "its bias dropped".to_owned())
        })
    }),
    kind("one output channel scaled by a thousandth", |m, r| {
        constant(m, r, &["Conv"], 1, |w, _, r| {
            let i = r.below(w.shape()[0]);
            w.index_axis_mut(Axis(0), i).mapv_inplace(|v| v * 1.001);
            Some(format!("output channel {i} times 1.001"))
        })
    })
    .hidden(ONE_ENTRY),
    kind("one output channel dropped", |m, r| {
        constant(m, r, &["Conv"], 1, |w, _, r| {
            let i = r.below(w.shape()[0]);
            w.index_axis_mut(Axis(0), i).fill(0.0);
            Some(format!("the weights of output channel {i} zero"))
        })
    })
    .hidden(ONE_ENTRY),
    kind("one weight in float16", |m, r| one(m, r, "rounded to float16", |v, _| f16::from_f64(v).to_f64()))
        .hidden(ONE_ENTRY)
        .open("half a unit of float16 in one weight may lie below what rounding does"),
    kind("a layer's weights in float16", |m, r| rounded(m, r, false, "float16", |v, _| f16::from_f64(v).to_f64()))
        .hidden(ONE_ENTRY),
    kind("all weights in float16", |m, r| rounded(m, r, true, "float16", |v, _| f16::from_f64(v).to_f64()))
        .hidden(ONE_ENTRY),
    kind("all weights in bfloat16", |m, r| rounded(m, r, true, "bfloat16", |v, _| bf16::from_f64(v).to_f64()))
        .open("a float16 model is given as much as float16 rounds")
        .hidden(ONE_ENTRY),
    kind("a layer's weights in int8", |m, r| {
        rounded(m, r, false, "eight bits", |v, most| (v / most * 127.0).round() * most / 127.0)
    }),
    kind("stale initializer", |m, r| initializers(m, r, false)),
    kind("two initializers swapped", |m, r| initializers(m, r, true)),
    kind("an initializer that two nodes share edited for both", |m, r| {
        let shared = |m: &onnx_rm::onnx::ModelProto, name: &str| {
            m.graph.as_ref().unwrap().node.iter().flat_map(|n| &n.input).filter(|i| *i == name).count() > 1
        };
        let graph = m.graph.as_ref()?;
        let names: Vec<String> = graph.initializer.iter().map(|t| t.name().to_owned()).collect();
        let float = |name: &str| crate::mutants::edit::tensor(m, name).is_some_and(|t| t.data_type == Some(1));
        let name = shuffled(names.len(), r).into_iter().map(|i| &names[i]).find(|n| float(n) && shared(m, n))?;
        let mut all = values(m, name)?;
        let i = r.below(all.len());
        let most = largest(&all);
        all.iter_mut().skip(i).take(1).for_each(|v| *v += most / 10.0);
        store(m, name, &all)?;
        Some(format!("entry {i} of '{name}', which several nodes read, off by a tenth of the largest"))
    }),
];

pub fn largest(values: &ArrayD<f64>) -> f64 {
    values.iter().fold(0.0, |m, v| v.abs().max(m))
}

/// Moved on by `by` along `axis`, round the end.
fn roll(w: &ArrayD<f64>, axis: usize, by: usize) -> ArrayD<f64> {
    let n = w.shape()[axis];
    let order: Vec<usize> = (0..n).map(|i| (i + n - by % n) % n).collect();
    w.select(Axis(axis), &order)
}

/// Changes the kernel of one output channel along an axis that has more than one tap.
fn kernel(
    m: &mut onnx_rm::onnx::ModelProto,
    r: &mut Rng,
    what: &str,
    change: fn(&ArrayD<f64>, usize) -> ArrayD<f64>,
) -> Words {
    constant(m, r, &["Conv", "ConvTranspose"], 1, |w, _, r| {
        let axis = (2..w.ndim()).find(|a| w.shape()[*a] > 1)?;
        let channel = r.below(w.shape()[0]);
        let mut one = w.index_axis_mut(Axis(0), channel);
        let new = change(&one.to_owned().into_dyn(), axis - 1);
        one.assign(&new);
        Some(format!("the kernel of channel {channel} {what} along axis {axis}"))
    })
}

/// Changes one of the larger weights.
fn one(m: &mut onnx_rm::onnx::ModelProto, r: &mut Rng, what: &str, change: fn(f64, f64) -> f64) -> Words {
    weight(m, r, |w, _, r| {
        let most = largest(w);
        let large: Vec<usize> = w.iter().enumerate().filter(|(_, v)| v.abs() > most / 4.0).map(|(i, _)| i).collect();
        let i = *large.get(r.below(large.len().max(1)))?;
        w.iter_mut().skip(i).take(1).for_each(|v| *v = change(*v, most));
        Some(format!("weight {i} {what}"))
    })
}

fn swapped(m: &mut onnx_rm::onnx::ModelProto, r: &mut Rng, axis: usize) -> Words {
    weight(m, r, |w, _, r| {
        let (i, j) = two(w.shape()[axis], r)?;
        let mut order: Vec<usize> = (0..w.shape()[axis]).collect();
        order.swap(i, j);
        *w = w.select(Axis(axis), &order);
        Some(format!("entries {i} and {j} of axis {axis} of its weight swapped"))
    })
}

fn bias(m: &mut onnx_rm::onnx::ModelProto, r: &mut Rng, change: impl Fn(&mut ArrayD<f64>, &mut Rng) -> Words) -> Words {
    constant(m, r, &["Conv", "Gemm", "ConvTranspose"], 2, |b, _, r| change(b, r))
}

fn rounded(m: &mut onnx_rm::onnx::ModelProto, r: &mut Rng, all: bool, what: &str, round: fn(f64, f64) -> f64) -> Words {
    let mut done = 0;
    for index in places(m, r, LAYERS) {
        let name = m.graph.as_ref()?.node[index].input.get(1)?.clone();
        let Some(old) = values(m, &name) else { continue };
        let most = largest(&old);
        let new = old.mapv(|v| round(v, most));
        if new != old && most > 0.0 {
            store(m, &name, &new)?;
            done += 1;
            if !all {
                return Some(format!("'{name}' rounded to {what}"));
            }
        }
    }
    (done > 1).then(|| format!("{done} weights rounded to {what}"))
}

/// Half as many groups, each with the weights twice.
fn regrouped(m: &mut onnx_rm::onnx::ModelProto, r: &mut Rng) -> Words {
    regroup(m, r, "half as many groups, with the weights repeated", |w, node| {
        let groups = integer(node, "group", 1);
        (groups % 2 == 0).then(|| (ndarray::concatenate(Axis(1), &[w.view(), w.view()]).unwrap(), groups / 2))
    })
}

/// Half as many groups and half as wide a kernel.
fn regrouped_in_place(m: &mut onnx_rm::onnx::ModelProto, r: &mut Rng) -> Words {
    regroup(m, r, "half as many groups with kernels of half the width", |w, node| {
        let groups = integer(node, "group", 1);
        let rank = w.ndim();
        let fits = groups % 2 == 0 && w.shape()[rank - 1] == 2 && list(node, "pads").iter().all(|p| *p == 0);
        fits.then(|| {
            let mut shape = w.shape().to_vec();
            (shape[1], shape[rank - 1]) = (shape[1] * 2, 1);
            (w.to_shape(shape).unwrap().to_owned(), groups / 2)
        })
    })
}

fn regroup(
    m: &mut onnx_rm::onnx::ModelProto,
    r: &mut Rng,
    what: &str,
    change: impl Fn(&ArrayD<f64>, &NodeProto) -> Option<(ArrayD<f64>, i64)>,
) -> Words {
    for index in places(m, r, &["Conv"]) {
        let conv = m.graph.as_ref()?.node[index].clone();
        let name = conv.input[1].clone();
        let readers = m.graph.as_ref()?.node.iter().flat_map(|n| &n.input).filter(|i| **i == name).count();
        let Some((w, groups)) = values(m, &name).filter(|_| readers == 1).and_then(|w| change(&w, &conv)) else {
            continue;
        };
        let kernel: Vec<i64> = w.shape()[2..].iter().map(|d| *d as i64).collect();
        store(m, &name, &w)?;
        let place = &mut graph(m).node[index];
        crate::mutants::edit::set(place, int("group", groups));
        crate::mutants::edit::set(place, ints("kernel_shape", &kernel));
        return Some(crate::mutants::edit::at(place, what));
    }
    None
}

/// An initializer with the content of another of the same shape, or both with that of the other.
fn initializers(m: &mut onnx_rm::onnx::ModelProto, r: &mut Rng, both: bool) -> Words {
    let all = &m.graph.as_ref()?.initializer;
    let order = shuffled(all.len(), r);
    let pairs = order.iter().flat_map(|i| order.iter().map(move |j| (*i, *j)));
    let alike = |(i, j): &(usize, usize)| {
        let (a, b) = (&all[*i], &all[*j]);
        i != j && a.data_type == Some(1) && a.dims == b.dims && a.data_type == b.data_type && a.raw_data != b.raw_data
    };
    let (i, j) = pairs.into_iter().find(alike)?;
    let (a, b) = (all[i].clone(), all[j].clone());
    let place = graph(m);
    place.initializer[i] = onnx_rm::onnx::TensorProto { name: a.name.clone(), ..b.clone() };
    if both {
        place.initializer[j] = onnx_rm::onnx::TensorProto { name: b.name.clone(), ..a.clone() };
        return Some(format!("'{}' and '{}' exchanged", a.name(), b.name()));
    }
    Some(format!("'{}' has the content of '{}'", a.name(), b.name()))
}
