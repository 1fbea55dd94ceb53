//! Small integer vectors that are made from shapes.

use crate::facts::{Dim, Facts, element, slices};
use crate::graph::NodeId;
use crate::onnx::tensor_proto::DataType;

/// Most entries of a list that is put together: as many as a shape has axes, and some more.
const MAX_ENTRIES: usize = 64;

/// Contents of a small integer vector made from shapes, entry by entry.
pub(in crate::facts) fn sizes(facts: &Facts<'_>, node: NodeId) -> Option<Vec<Dim>> {
    let view = facts.view();
    // A table of sizes is no list of sizes: only scalars and vectors are followed entry by entry.
    let of = |slot: usize| {
        let value = view.input(node, slot)?;
        facts.rank(value).filter(|rank| *rank <= 1)?;
        facts.sizes(value)
    };
    let integer = |slot: usize| {
        view.input(node, slot)
            .and_then(|v| facts.dtype(v))
            .is_some_and(|t| matches!(t, DataType::Int64 | DataType::Int32))
    };
    match view.op(node) {
        "Shape" => {
            let shape = facts.shape(view.input(node, 0)?)?;
            let at = |name: &str, default: i64| {
                let v = view.attr_i(node, name).unwrap_or(default);
                (if v < 0 { v.saturating_add(shape.len() as i64) } else { v }).clamp(0, shape.len() as i64) as usize
            };
            shape.get(at("start", 0)..at("end", shape.len() as i64)).map(<[Dim]>::to_vec)
        }
        "Identity" | "Unsqueeze" | "Squeeze" if integer(0) => of(0),
        "Cast" | "CastLike" if integer(0) => {
            let (from, to) = (facts.dtype(view.input(node, 0)?)?, facts.dtype(view.output(node)?)?);
            Some(of(0)?.into_iter().map(|size| cast(size, from, to)).collect())
        }
        "Gather" if integer(0) => {
            let (data, index) = (of(0)?, of(1)?);
            index
                .iter()
                .map(|i| {
                    let i = i.known()?;
                    let i = if i < 0 { i.checked_add(data.len() as i64)? } else { i };
                    data.get(usize::try_from(i).ok()?).cloned()
                })
                .collect()
        }
        "Concat" if integer(0) => {
            let parts: Vec<Vec<Dim>> = (0..view.inputs(node).len()).map(of).collect::<Option<_>>()?;
            // A longer list is no shape; each node could double it.
            Some(parts.concat()).filter(|all| all.len() <= MAX_ENTRIES)
        }
        "Slice" if integer(0) => {
            let data = of(0)?;
            let [cut] = slices(view, facts, node)?.try_into().ok()?;
            let (start, count) = cut.resolve(data.len() as i64)?;
            Some((0..count).filter_map(|i| data.get((start + i * cut.step) as usize).cloned()).collect())
        }
        "Add" | "Sub" | "Mul" | "Div" if integer(0) => {
            let (a, b) = (of(0)?, of(1)?);
            let n = a.len().max(b.len());
            if a.is_empty() || b.is_empty() || (a.len() != n && a.len() != 1) || (b.len() != n && b.len() != 1) {
                return None;
            }
            let op = view.op(node);
            let range = facts.dtype(view.input(node, 0)?).and_then(element::integer)?;
            Some((0..n).map(|i| arithmetic(op, &a[i % a.len()], &b[i % b.len()], range)).collect())
        }
        _ => None,
    }
}

/// A size in another type, where it is the same number there. What a caller chooses is taken to fit 32 bits, as every size
/// here must, but may be rounded by a float and cut off by less.
fn cast(size: Dim, from: DataType, to: DataType) -> Dim {
    match size.known() {
        Some(n) if n.unsigned_abs() < 1 << 53 => {
            element::cast(n as f64, from, to).filter(|v| v.is_finite()).map_or(Dim::Unknown, |v| Dim::Known(v as i64))
        }
        Some(_) if from == to => size,
        None if matches!(to, DataType::Int64 | DataType::Int32 | DataType::Uint64 | DataType::Uint32) => size,
        _ => Dim::Unknown,
    }
}

/// Sums and products, as far as they are known and lie in the `range` of their type.
fn arithmetic(op: &str, a: &Dim, b: &Dim, range: (f64, f64)) -> Dim {
    let exact = |d: &Dim| d.known().filter(|n| (*n as f64).abs() < element::EXACT);
    let (Some(x), Some(y)) = (exact(a), exact(b)) else { return Dim::Unknown };
    let found = match op {
        "Add" => x.checked_add(y),
        "Sub" => x.checked_sub(y),
        "Mul" => x.checked_mul(y),
        _ => x.checked_div(y),
    };
    let fits = |n: &i64| (range.0..=range.1).contains(&(*n as f64)) && (*n as f64).abs() < element::EXACT;
    found.filter(fits).map_or(Dim::Unknown, Dim::Known)
}
