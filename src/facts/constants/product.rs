//! Products of constants: a weight times another, a scale an output channel, branches that a model merges itself.

use ndarray::{ArrayD, ArrayView2, ArrayViewD, Axis, Dimension, Ix2, IxDyn};

use crate::facts::{Equation, Facts, element};
use crate::graph::NodeId;

use super::{Table, input, output_shape};

pub(super) const OPERATORS: Table = &[
    ("MatMul", |facts, node| finite(matmul(facts, node)?)),
    ("Gemm", |facts, node| finite(gemm(facts, node)?)),
    ("Einsum", |facts, node| finite(einsum(facts, node)?)),
];

/// Most products of two or more entries that one operator may take: some seconds.
const MAX_PRODUCTS: usize = 1 << 28;

/// Sums that overflow are infinite or no number by the order of their terms, which is every runtime's own.
fn finite(sums: ArrayD<f64>) -> Option<ArrayD<f64>> {
    sums.iter().all(|v| v.is_finite()).then_some(sums)
}

/// Matrices of floats, as many of them as the axes in front say.
fn matmul(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let (a, b) = (input(facts, node, 0)?, input(facts, node, 1)?);
    element::float(a.dtype)?;
    let shape = output_shape(facts, node)?;
    let (rows, columns) = (*shape.get(shape.len().checked_sub(2)?)?, *shape.last()?);
    let depth = *a.data.shape().last()?;
    let products = shape.iter().try_fold(depth, |n, d| n.checked_mul(*d))?;
    if products > MAX_PRODUCTS || b.data.ndim() < 2 || a.data.ndim() < 2 {
        return None;
    }
    let front = &shape[..shape.len() - 2];
    let left = a.data.broadcast(IxDyn(&[front, &[rows, depth]].concat()))?;
    let right = b.data.broadcast(IxDyn(&[front, &[depth, columns]].concat()))?;
    let mut out = Vec::new();
    for index in ndarray::indices(IxDyn(front)) {
        out.extend(matrix(&left, index.slice())?.dot(&matrix(&right, index.slice())?).iter().copied());
    }
    ArrayD::from_shape_vec(IxDyn(&shape), out).ok()
}

/// The matrix at `index` along the axes in front.
fn matrix<'a>(all: &ArrayViewD<'a, f64>, index: &[usize]) -> Option<ArrayView2<'a, f64>> {
    let one = index.iter().fold(all.clone(), |all, i| all.index_axis_move(Axis(0), *i));
    one.into_dimensionality().ok()
}

/// `alpha * A B + beta * C` (ONNX `Gemm`, since opset 7).
fn gemm(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let view = facts.view();
    let side = |slot: usize, flag: &str| {
        let matrix = input(facts, node, slot)?.data.clone().into_dimensionality::<Ix2>().ok()?;
        Some(if view.attr_i(node, flag).unwrap_or(0) == 0 { matrix } else { matrix.reversed_axes() })
    };
    element::float(input(facts, node, 0)?.dtype)?;
    let (a, b) = (side(0, "transA")?, side(1, "transB")?);
    let products = a.len().checked_mul(b.ncols()).filter(|n| *n <= MAX_PRODUCTS);
    if view.opset() < 7 || a.ncols() != b.nrows() || products.is_none() {
        return None;
    }
    let factor = |name| view.attr_f(node, name).map_or(1.0, f64::from);
    let product = a.dot(&b) * factor("alpha");
    if view.input(node, 2).is_none() {
        return Some(product.into_dyn());
    }
    let bias = input(facts, node, 2)?;
    let bias = bias.data.broadcast(product.raw_dim())?;
    Some((product + &bias * factor("beta")).into_dyn())
}

/// `Einsum` without an ellipsis: for every way to choose an index for each letter, the product of the entries there is added
/// to the entry of the result there.
fn einsum(facts: &Facts<'_>, node: NodeId) -> Option<ArrayD<f64>> {
    let view = facts.view();
    let equation = Equation::new(view.attr_s(node, "equation")?)?;
    let operands: Vec<_> = (0..view.inputs(node).len()).map(|i| input(facts, node, i)).collect::<Option<_>>()?;
    let shapes: Vec<Vec<usize>> = operands.iter().map(|o| o.data.shape().to_vec()).collect();
    let sizes = equation.sizes(shapes.iter().map(Vec::as_slice))?;
    element::float(operands.first()?.dtype)?;
    let letters: Vec<u8> = sizes.keys().copied().collect();
    let space: Vec<usize> = sizes.values().copied().collect();
    space.iter().try_fold(operands.len(), |n, d| n.checked_mul(*d)).filter(|n| *n <= MAX_PRODUCTS)?;
    // How far each tensor steps when the index of a letter grows by one.
    let steps = |term: &[u8], shape: &[usize]| -> Vec<usize> {
        let strides: Vec<usize> = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect();
        let step = |letter: &u8| term.iter().zip(&strides).filter(|(l, _)| *l == letter).map(|(_, s)| s).sum();
        letters.iter().map(step).collect()
    };
    let out_shape: Vec<usize> = equation.output.iter().map(|l| sizes.get(l).copied()).collect::<Option<_>>()?;
    let to = steps(&equation.output, &out_shape);
    let from: Vec<Vec<usize>> = equation.inputs.iter().zip(&shapes).map(|(t, s)| steps(t, s)).collect();
    let rows: Vec<_> = operands.iter().map(|o| o.data.as_standard_layout().into_owned()).collect();
    let rows: Vec<&[f64]> = rows.iter().map(|r| r.as_slice()).collect::<Option<_>>()?;
    let mut out = vec![0.0; out_shape.iter().product()];
    if space.contains(&0) {
        return ArrayD::from_shape_vec(IxDyn(&out_shape), out).ok();
    }
    let mut index = vec![0_usize; space.len()];
    let place = |steps: &[usize], index: &[usize]| steps.iter().zip(index).map(|(s, i)| s * i).sum::<usize>();
    loop {
        let mut product = 1.0;
        for (row, steps) in rows.iter().zip(&from) {
            product *= row.get(place(steps, &index))?;
        }
        *out.get_mut(place(&to, &index))? += product;
        let Some(axis) = (0..space.len()).rev().find(|axis| index[*axis] + 1 < space[*axis]) else { break };
        index[axis] += 1;
        index[axis + 1..].fill(0);
    }
    ArrayD::from_shape_vec(IxDyn(&out_shape), out).ok()
}
