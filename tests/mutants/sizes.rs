//! What shows for some sizes only: of the batch, or of the map.

use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{ModelProto, TensorProto};

use crate::common::{Build, Rng, int};
use crate::mutants::edit::{Words, behind, float_inputs, typed};
use crate::mutants::mutation::{Mutation, kind};

/// The name of an axis.
type AxisOf = fn(&[Option<usize>]) -> Option<usize>;

const ONE_SIZE: &str = "free sizes are tried at one value only";

pub const KINDS: &[Mutation] = &[
    kind("batch: samples reversed", |m, r| {
        batch(m, r, "samples reversed", |b, y| {
            let (start, end, step) = (b.ints(&[-1]), b.ints(&[-(1 << 40)]), b.ints(&[-1]));
            let axes = b.ints(&[0]);
            b.node("Slice", &[y, &start, &end, &axes, &step], vec![])
        })
    })
    .open(ONE_SIZE),
    kind("batch: first sample for all", |m, r| {
        batch(m, r, "the first sample for all", |b, y| {
            let first = first(b, y);
            let shape = b.node("Shape", &[y], vec![]);
            b.node("Expand", &[&first, &shape], vec![])
        })
    })
    .open(ONE_SIZE),
    kind("batch: mixed with the first sample", |m, r| {
        batch(m, r, "a tenth of the first sample in each", |b, y| {
            let (k, rest, first) = (b.scalar(0.1), b.scalar(0.9), first(b, y));
            let first = b.node("Mul", &[&first, &k], vec![]);
            let own = b.node("Mul", &[y, &rest], vec![]);
            b.add(&own, &first)
        })
    })
    .open(ONE_SIZE),
    kind("batch: normalised over", |m, r| {
        batch(m, r, "the mean of the batch for each", |b, y| {
            let axis = b.ints(&[0]);
            let sum = b.node("ReduceSum", &[y, &axis], vec![int("keepdims", 1)]);
            let shape = b.node("Shape", &[y], vec![]);
            let count = b.node("Gather", &[&shape, &axis], vec![int("axis", 0)]);
            let count = b.node("Cast", &[&count], vec![int("to", 1)]);
            let mean = b.node("Div", &[&sum, &count], vec![]);
            let zero = b.scalar(0.0);
            let own = b.node("Mul", &[y, &zero], vec![]);
            b.add(&own, &mean)
        })
    })
    .open(ONE_SIZE),
    kind("batch: largest of all samples", |m, r| {
        batch(m, r, "softened by the largest of the batch", |b, y| {
            let axis = b.ints(&[0]);
            let sum = b.node("ReduceSum", &[y, &axis], vec![int("keepdims", 1)]);
            b.node("Max", &[y, &sum], vec![])
        })
    })
    .open(ONE_SIZE),
    kind("batch: only two samples", |m, r| {
        sized(m, r, |d| d.first()?.is_none().then_some(0), "two samples", |b, n| equal(b, n, 2))
    })
    .open(ONE_SIZE),
    kind("batch: only three samples", |m, r| {
        sized(m, r, |d| d.first()?.is_none().then_some(0), "three samples", |b, n| equal(b, n, 3))
    })
    .open(ONE_SIZE),
    kind("sizes: only odd", |m, r| {
        sized(m, r, spatial, "odd", |b, n| {
            let two = whole(b, 2);
            let rest = b.node("Mod", &[n, &two], vec![]);
            equal(b, &rest, 1)
        })
    })
    .open(ONE_SIZE),
    kind("sizes: only even", |m, r| {
        sized(m, r, spatial, "even", |b, n| {
            let two = whole(b, 2);
            let rest = b.node("Mod", &[n, &two], vec![]);
            equal(b, &rest, 0)
        })
    })
    .open(ONE_SIZE),
    kind("sizes: only 1", |m, r| sized(m, r, spatial, "one entry", |b, n| equal(b, n, 1))).open(ONE_SIZE),
    kind("sizes: only below 4", |m, r| {
        sized(m, r, spatial, "below 4", |b, n| {
            let four = whole(b, 4);
            b.node("Less", &[n, &four], vec![])
        })
    })
    .open(ONE_SIZE),
    kind("sizes: only below 32", |m, r| {
        sized(m, r, spatial, "below 32", |b, n| {
            let bound = whole(b, 32);
            b.node("Less", &[n, &bound], vec![])
        })
    })
    .open(ONE_SIZE),
    kind("sizes: only where height and width differ", |m, r| {
        let (name, dims) = float_inputs(m, r).into_iter().next()?;
        (dims.len() == 4 && dims[2].is_none() && dims[3].is_none()).then(|| {
            behind(m, &name, |b, x| {
                let shape = b.node("Shape", &[x], vec![]);
                let (two, three) = (whole(b, 2), whole(b, 3));
                let h = b.node("Gather", &[&shape, &two], vec![int("axis", 0)]);
                let w = b.node("Gather", &[&shape, &three], vec![int("axis", 0)]);
                let same = b.node("Equal", &[&h, &w], vec![]);
                let differ = b.node("Not", &[&same], vec![]);
                scaled(b, x, &differ)
            });
            format!("input '{name}': off where height and width differ")
        })
    })
    .open(ONE_SIZE),
];

fn spatial(dims: &[Option<usize>]) -> Option<usize> {
    (2..dims.len()).find(|a| dims[*a].is_none())
}

/// One int64 of no axis.
fn whole(b: &mut Build, value: i64) -> String {
    let name = b.fresh("n");
    b.graph.initializer.push(TensorProto {
        name: Some(name.clone()),
        data_type: Some(DataType::Int64 as i32),
        int64_data: vec![value],
        ..TensorProto::default()
    });
    name
}

fn equal(b: &mut Build, n: &str, value: i64) -> String {
    let value = whole(b, value);
    b.node("Equal", &[n, &value], vec![])
}

fn scaled(b: &mut Build, x: &str, condition: &str) -> String {
    let (one, more) = (b.scalar(1.0), b.scalar(1.125));
    let factor = b.node("Where", &[condition, &more, &one], vec![]);
    b.node("Mul", &[x, &factor], vec![])
}

/// An input times 1.125 where the size of an axis, which is free, is as `condition` says.
fn sized(
    m: &mut ModelProto,
    r: &mut Rng,
    axis: AxisOf,
    what: &str,
    condition: fn(&mut Build, &str) -> String,
) -> Words {
    let (name, axis) = float_inputs(m, r).into_iter().find_map(|(name, dims)| Some((name, axis(&dims)?)))?;
    behind(m, &name, |b, x| {
        let shape = b.node("Shape", &[x], vec![]);
        let at = whole(b, axis as i64);
        let n = b.node("Gather", &[&shape, &at], vec![int("axis", 0)]);
        let condition = condition(b, &n);
        scaled(b, x, &condition)
    });
    Some(format!("input '{name}': off where the size of axis {axis} is {what}"))
}

fn first(b: &mut Build, y: &str) -> String {
    let (start, end, axes) = (b.ints(&[0]), b.ints(&[1]), b.ints(&[0]));
    b.node("Slice", &[y, &start, &end, &axes], vec![])
}

/// Something behind an output whose first axis is the batch, and free.
fn batch(m: &mut ModelProto, r: &mut Rng, what: &str, write: fn(&mut Build, &str) -> String) -> Words {
    let free = float_inputs(m, r).iter().any(|(_, dims)| dims.first().is_some_and(Option::is_none));
    // Of the output's own shape nothing may be known: what a convolution gives has the batch in front.
    let outputs = &m.graph.as_ref()?.output;
    let tensors = outputs.iter().filter(|o| typed(o).is_none_or(|(t, d)| t == DataType::Float && d.len() > 1));
    let names: Vec<String> = tensors.map(|o| o.name().to_owned()).collect();
    let name = names.get(r.below(names.len().max(1))).filter(|_| free)?.clone();
    let feed = crate::mutants::feeds::feeds(m, 2).into_iter().next()?;
    let trace = onnx_rm::verify::reference::run(m, &feed).ok()?;
    let value = trace.get(&name)?;
    (value.shape().len() > 1 && value.shape()[0] == 2 && value.floats().is_some()).then_some(())?;
    behind(m, &name, write);
    Some(format!("output '{name}': {what}"))
}
