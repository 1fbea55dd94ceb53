//! Operators that arrange entries, or write them down.

use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{AttributeProto, NodeProto, TensorProto, attribute_proto::AttributeType};

use super::{any_axis, axes, some};
use crate::common::{float, int, ints, string};
use crate::facts::world::{Tensor, World, is_float, is_integer};

pub(super) fn reshape(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |_| true)?;
    if w.chance(35) {
        // By sizes that the graph computes.
        let (sizes, ..) = some(w, |t| t.dtype == DataType::Int64 && t.rank() == 1)?;
        return w.node(op, &[&x, &sizes], &[t], vec![]);
    }
    let n: i64 = shape.iter().product();
    let first = w.one(&[1, 2, 3, 4]);
    let mut target = if n % first == 0 { vec![first, n / first] } else { vec![n] };
    if w.chance(50) {
        let i = w.rng.below(target.len());
        target[i] = -1;
    }
    if w.chance(30) && !shape.is_empty() {
        target = vec![0, -1];
    }
    let target = w.ints(&target);
    w.node(op, &[&x, &target], &[t], vec![])
}

pub(super) fn rearrange(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| match op {
        "Trilu" => t.rank() > 1,
        "CumSum" => t.rank() > 0 && is_float(t.dtype),
        _ => true,
    })?;
    let rank = shape.len();
    match op {
        "Flatten" => {
            let axis = any_axis(w, rank);
            w.node(op, &[&x], &[t], vec![int("axis", axis)])
        }
        "Transpose" => {
            let mut perm: Vec<i64> = (0..rank as i64).collect();
            (1..rank).for_each(|i| perm.swap(i, w.rng.below(i + 1)));
            let attributes = if w.chance(20) { vec![] } else { vec![ints("perm", &perm)] };
            w.node(op, &[&x], &[t], attributes)
        }
        "Squeeze" => {
            let ones: Vec<i64> = (0..rank).filter(|i| shape[*i] == 1).map(|i| i as i64).collect();
            if ones.is_empty() || w.chance(20) {
                return w.node(op, &[&x], &[t], vec![]);
            }
            let axis = w.one(&ones) - if w.chance(50) { rank as i64 } else { 0 };
            let (input, attributes) = axes(w, 13, &[axis]);
            let inputs: Vec<&str> = [Some(x.as_str()), input.as_deref()].into_iter().flatten().collect();
            w.node(op, &inputs, &[t], attributes)
        }
        "Unsqueeze" => {
            let axis = any_axis(w, rank + 1);
            let (input, attributes) = axes(w, 13, &[axis]);
            let inputs: Vec<&str> = [Some(x.as_str()), input.as_deref()].into_iter().flatten().collect();
            w.node(op, &inputs, &[t], attributes)
        }
        "CumSum" => {
            let axis = any_axis(w, rank);
            let axis = w.int(axis);
            w.node(op, &[&x, &axis], &[t], vec![])
        }
        _ => w.node(op, &[&x], &[t], vec![]),
    }
}

pub(super) fn slice(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| t.rank() > 0)?;
    let axis = any_axis(w, shape.len());
    let start = w.one(&[0, 0, 1, -1, -2, 9, i64::MAX, i64::MIN]);
    let end = w.one(&[i64::MAX, 2, 1, -1, 0, -9, i64::MIN]);
    if w.opset < 10 {
        return w.node(op, &[&x], &[t], vec![ints("starts", &[start]), ints("ends", &[end]), ints("axes", &[axis])]);
    }
    let step = w.one(&[1, 1, 2, -1, -2, i64::MIN]);
    let all = [start, end, axis, step].map(|v| w.ints(&[v]));
    w.node(op, &[&x, &all[0], &all[1], &all[2], &all[3]], &[t], vec![])
}

pub(super) fn parts(w: &mut World, size: i64) -> Vec<i64> {
    let first = w.rng.below(size as usize + 1) as i64;
    vec![first, size - first]
}

pub(super) fn split(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| t.rank() > 0)?;
    let axis = any_axis(w, shape.len());
    let parts = parts(w, shape[axis.rem_euclid(shape.len() as i64) as usize]);
    let mut attributes = vec![int("axis", axis)];
    if w.chance(30) {
        if w.opset >= 18 {
            attributes.push(int("num_outputs", 2));
        }
        return w.node(op, &[&x], &[t, t], attributes);
    }
    if w.opset < 13 {
        attributes.push(ints("split", &parts));
        return w.node(op, &[&x], &[t, t], attributes);
    }
    let sizes = w.ints(&parts);
    w.node(op, &[&x, &sizes], &[t, t], attributes)
}

pub(super) fn sequence(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| t.rank() > 0)?;
    let axis = any_axis(w, shape.len());
    let parts = parts(w, shape[axis.rem_euclid(shape.len() as i64) as usize]);
    let sizes = if w.chance(50) { w.int(2) } else { w.ints(&parts) };
    let place = w.one(&[0, 1, -1]);
    let place = w.int(place);
    let n = w.tensors.len();
    let node = |op: &str, input: &[&str], output: String, attribute| NodeProto {
        name: Some(format!("{op}{n}")),
        op_type: Some(op.into()),
        input: input.iter().map(|s| (*s).to_owned()).collect(),
        output: vec![output],
        attribute,
        ..NodeProto::default()
    };
    let list = format!("list{n}");
    let nodes = vec![
        node("SplitToSequence", &[&x, &sizes], list.clone(), vec![int("axis", axis)]),
        node(op, &[&list, &place], format!("t{n}"), vec![]),
    ];
    w.nodes(op, nodes, &[t])
}

pub(super) fn gather(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| t.rank() > 0)?;
    let axis = any_axis(w, shape.len());
    let size = shape[axis.rem_euclid(shape.len() as i64) as usize];
    let pick = any_axis(w, size as usize);
    let index = if w.chance(50) { w.int(pick) } else { w.ints(&[pick, 0, -1]) };
    w.node(op, &[&x, &index], &[t], vec![int("axis", axis)])
}

pub(super) fn one_hot(w: &mut World, op: &str) -> Option<()> {
    if w.opset < 11 {
        return None;
    }
    let index = if w.chance(50) { w.ints(&[0, 2, -1, 7]) } else { w.int(1) };
    let depth = w.int(3);
    let t = w.one(&[DataType::Float, DataType::Double, DataType::Int64]);
    let values = w.random(t, &[2]);
    let values = w.constant(t, values);
    let axis = w.one(&[-1, 0]);
    w.node(op, &[&index, &depth, &values], &[t], vec![int("axis", axis)])
}

pub(super) fn repeat(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |_| true)?;
    let target: Vec<i64> = if op == "Tile" {
        shape.iter().map(|_| w.one(&[1, 1, 2, 3, 0])).collect()
    } else {
        let own = shape.iter().map(|n| if *n == 1 { w.one(&[1, 2, 3]) } else { w.one(&[*n, 1]) }).collect();
        if w.chance(30) { [vec![2], own].concat() } else { own }
    };
    let target = w.ints(&target);
    w.node(op, &[&x, &target], &[t], vec![])
}

pub(super) fn concat(w: &mut World, op: &str) -> Option<()> {
    let (x, t, shape) = some(w, |t| t.rank() > 0)?;
    let axis = any_axis(w, shape.len());
    let place = axis.rem_euclid(shape.len() as i64) as usize;
    let fits = |o: &Tensor| {
        let other = o.shape();
        o.dtype == t && other.len() == shape.len() && (0..shape.len()).all(|i| i == place || other[i] == shape[i])
    };
    let (y, ..) = some(w, fits)?;
    w.node(op, &[&x, &y], &[t], vec![int("axis", axis)])
}

pub(super) fn pad(w: &mut World, op: &str) -> Option<()> {
    let old = w.opset < 11;
    let (x, t, shape) = some(w, |t| is_float(t.dtype) || is_integer(t.dtype) && !old)?;
    let pads: Vec<i64> = (0..2 * shape.len()).map(|_| w.one(&[0, 0, 1, 2, -1])).collect();
    let mode = w.one(&["constant", "constant", "edge", "reflect", "wrap"]);
    if w.opset < 11 {
        let value = w.rng.unit() as f32 * 0.3;
        return w.node(op, &[&x], &[t], vec![ints("pads", &pads), string("mode", mode), float("value", value)]);
    }
    let pads = w.ints(&pads);
    let fill = w.random(t, &[]);
    let fill = if w.chance(40) { String::new() } else { w.constant(t, fill) };
    w.node(op, &[&x, &pads, &fill], &[t], vec![string("mode", mode)])
}

pub(super) fn blocks(w: &mut World, op: &str) -> Option<()> {
    let value = w.random(DataType::Float, &[1, 4, 2, 2]);
    if w.chance(50) {
        w.input(DataType::Float, value);
    }
    let (x, t, _) = some(w, |t| t.rank() == 4)?;
    let mode = w.one(&["DCR", "CRD"]);
    let block = w.one(&[1, 2]);
    let attributes = vec![int("blocksize", block)];
    let attributes = if op == "DepthToSpace" { [attributes, vec![string("mode", mode)]].concat() } else { attributes };
    w.node(op, &[&x], &[t], attributes)
}

pub(super) fn tensor(dtype: DataType, dims: &[i64], raw: &[u8]) -> AttributeProto {
    AttributeProto {
        name: Some("value".into()),
        r#type: Some(AttributeType::Tensor as i32),
        t: Some(TensorProto {
            dims: dims.to_vec(),
            data_type: Some(dtype as i32),
            raw_data: Some(raw.to_vec().into()),
            ..TensorProto::default()
        }),
        ..AttributeProto::default()
    }
}

pub(super) fn literal(w: &mut World, op: &str) -> Option<()> {
    match op {
        "Constant" => match w.rng.below(4) {
            0 => w.node(op, &[], &[DataType::Float], vec![float("value_float", 0.1)]),
            1 => w.node(op, &[], &[DataType::Int64], vec![ints("value_ints", &[2, -1])]),
            2 => w.node(op, &[], &[DataType::Int64], vec![int("value_int", 3)]),
            _ => w.node(op, &[], &[DataType::Int8], vec![tensor(DataType::Int8, &[2, 1], &[200, 3])]),
        },
        "ConstantOfShape" => {
            let (sizes, ..) = some(w, |t| t.dtype == DataType::Int64 && t.rank() == 1)?;
            if w.chance(50) {
                return w.node(op, &[&sizes], &[DataType::Float], vec![]);
            }
            w.node(op, &[&sizes], &[DataType::Int8], vec![tensor(DataType::Int8, &[1], &[250])])
        }
        _ => {
            let t = w.one(&[DataType::Int64, DataType::Int32]);
            if w.chance(60) {
                let ends = [w.rng.below(5) as i64, w.rng.below(9) as i64, w.one(&[1, 2, -1, -3])].map(|v| w.int(v));
                return w.node(op, &[&ends[0], &ends[1], &ends[2]], &[DataType::Int64], vec![]);
            }
            let ends =
                (0..3).map(|_| Some(some(w, |o| o.dtype == t && o.rank() == 0)?.0)).collect::<Option<Vec<_>>>()?;
            w.node(op, &[&ends[0], &ends[1], &ends[2]], &[t], vec![])
        }
    }
}

/// Entries that are taken from, or put to, places of their own.
pub(super) fn elements(w: &mut World, op: &str) -> Option<()> {
    if w.opset < 11 {
        return None;
    }
    let (x, t, shape) = some(w, |t| t.rank() > 0 && t.shape().iter().all(|n| *n > 0))?;
    let row: Vec<usize> = shape.iter().map(|n| *n as usize).collect();
    if op == "GatherND" {
        let (places, sizes) = (w.ints(&[0, -1, 0]), w.ints(&[3, 1]));
        w.node("Reshape", &[&places, &sizes], &[DataType::Int64], vec![])?;
        let places = w.tensors.last()?.name.clone();
        return w.node(op, &[&x, &places], &[t], vec![]);
    }
    if op == "ScatterND" {
        // The first of all rows along the first axis.
        let places = w.ints(&[0]);
        let two = w.ints(&[1, 1]);
        w.node("Reshape", &[&places, &two], &[DataType::Int64], vec![])?;
        let places = w.tensors.last()?.name.clone();
        let value = w.random(t, &[&[1], &row[1..]].concat());
        let updates = w.constant(t, value);
        return w.node(op, &[&x, &places, &updates], &[t], vec![]);
    }
    let count: usize = row.iter().product();
    let flat = w.ints(&vec![0; count]);
    let target = w.ints(&shape);
    w.node("Reshape", &[&flat, &target], &[DataType::Int64], vec![])?;
    let index = w.tensors.last()?.name.clone();
    let axis = any_axis(w, shape.len());
    if op == "GatherElements" {
        return w.node(op, &[&x, &index], &[t], vec![int("axis", axis)]);
    }
    let value = w.random(t, &row);
    let updates = w.constant(t, value);
    w.node(op, &[&x, &index, &updates], &[t], vec![int("axis", axis)])
}
