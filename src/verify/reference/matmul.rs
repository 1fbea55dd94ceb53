//! Matrix products: `MatMul`, `Gemm`.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayD, ArrayView2, Axis, LinalgScalar, Zip};

use super::Value;
use super::call::Call;
use super::dims;
use super::error::{Outcome, fault};
use super::parallel;
use super::registry::Table;

pub(super) const OPERATORS: Table = &[("MatMul", matmul), ("Gemm", gemm)];

fn matmul(call: &mut Call) -> Outcome<Vec<Value>> {
    Ok(vec![match (call.value(0)?, call.value(1)?) {
        (Value::F(a), Value::F(b)) => Value::F(product(a, b, dot)?),
        (Value::I(a), Value::I(b)) => Value::I(product(a, b, |a, b| wrapping(&a, &b))?),
        (a, b) => return fault!("{} times {} elements", a.kind(), b.kind()),
    }])
}

/// `a b`, the rows of `a` in parallel when there is much to do.
fn dot(a: ArrayView2<f64>, b: ArrayView2<f64>) -> Array2<f64> {
    let work = a.nrows() * a.ncols() * b.ncols();
    let (rows, threads) = (a.nrows(), parallel::threads());
    if work < 1 << 20 || threads == 1 || rows == 1 {
        return a.dot(&b);
    }
    let mut y = Array2::zeros((rows, b.ncols()));
    let part = rows.div_ceil(threads);
    let tasks: Vec<_> = y.axis_chunks_iter_mut(Axis(0), part).zip(a.axis_chunks_iter(Axis(0), part)).collect();
    parallel::each(tasks, |(mut y, a)| general_mat_mul(1.0, &a, &b, 0.0, &mut y));
    y
}

/// Integer product, as integers wrap.
fn wrapping(a: &ArrayView2<i64>, b: &ArrayView2<i64>) -> Array2<i64> {
    let term = |i: usize, j: usize| {
        a.row(i).iter().zip(b.column(j)).fold(0_i64, |sum, (x, y)| sum.wrapping_add(x.wrapping_mul(*y)))
    };
    Array2::from_shape_fn((a.nrows(), b.ncols()), |(i, j)| term(i, j))
}

/// numpy's `matmul`: matrices in the last two axes, the others broadcast; a vector is a row on the left and a column
/// on the right.
fn product<T: LinalgScalar>(
    a: &ArrayD<T>,
    b: &ArrayD<T>,
    dot: impl Fn(ArrayView2<T>, ArrayView2<T>) -> Array2<T>,
) -> Outcome<ArrayD<T>> {
    if a.ndim() == 0 || b.ndim() == 0 {
        return fault!("a product of shapes {:?} and {:?}", a.shape(), b.shape());
    }
    let a_shape = if a.ndim() == 1 { vec![1, a.len()] } else { a.shape().to_vec() };
    let b_shape = if b.ndim() == 1 { vec![b.len(), 1] } else { b.shape().to_vec() };
    let ((a_batch, &[m, k]), (b_batch, &[l, n])) =
        (a_shape.split_at(a_shape.len() - 2), b_shape.split_at(b_shape.len() - 2))
    else {
        return fault!("a product of shapes {:?} and {:?}", a.shape(), b.shape());
    };
    if k != l {
        return fault!("a product of shapes {:?} and {:?}", a.shape(), b.shape());
    }
    let batch = dims::broadcast(a_batch, b_batch)?;
    let mut shape = batch.clone();
    shape.extend([m, n]);
    let mut values = Vec::with_capacity(dims::count(&shape)?);
    let (a_rows, b_rows) = (dims::rows(a)?, dims::rows(b)?);
    for (i, j) in offsets(&batch, a_batch).into_iter().zip(offsets(&batch, b_batch)) {
        let x = ArrayView2::from_shape((m, k), &a_rows[i * m * k..(i + 1) * m * k])?;
        let y = ArrayView2::from_shape((k, n), &b_rows[j * k * n..(j + 1) * k * n])?;
        values.extend(dot(x, y));
    }
    // The axis that a vector was given is taken away again.
    if b.ndim() == 1 {
        shape.pop();
    }
    if a.ndim() == 1 {
        shape.remove(batch.len());
    }
    dims::array(&shape, values)
}

/// For each matrix of a broadcast `batch`, the number of the matrix in an operand whose batch axes are `own`.
fn offsets(batch: &[usize], own: &[usize]) -> Vec<usize> {
    let shift = batch.len() - own.len();
    let strides = dims::strides(own);
    let total = batch.iter().product();
    let outer = dims::strides(batch);
    let of = |n: usize| {
        let along =
            |(i, d): (usize, &usize)| if *d == 1 { 0 } else { n / outer[i + shift] % batch[i + shift] * strides[i] };
        own.iter().enumerate().map(along).sum()
    };
    (0..total).map(of).collect()
}

fn gemm(call: &mut Call) -> Outcome<Vec<Value>> {
    let (alpha, beta) = (call.float("alpha", 1.0), call.float("beta", 1.0));
    let (trans_a, trans_b) = (call.flag("transA", false), call.flag("transB", false));
    if let Value::I(_) = call.value(0)? {
        return integer_gemm(call, alpha, beta);
    }
    let (a, b) = (matrix(call.floats(0)?, trans_a)?, matrix(call.floats(1)?, trans_b)?);
    if a.ncols() != b.nrows() {
        return fault!("a product of shapes {:?} and {:?}", a.shape(), b.shape());
    }
    dims::count(&[a.nrows(), b.ncols()])?;
    let mut y = dot(a, b);
    if alpha != 1.0 {
        y *= alpha;
    }
    if let Some(c) = call.optional_floats(2)? {
        let Some(c) = c.broadcast((y.nrows(), y.ncols())) else {
            return fault!("C of shape {:?} for a result of shape {:?}", c.shape(), y.shape());
        };
        Zip::from(&mut y).and(&c).for_each(|y, c| *y += beta * c);
    }
    Ok(vec![Value::F(y.into_dyn())])
}

fn matrix<T>(a: &ArrayD<T>, transpose: bool) -> Outcome<ArrayView2<'_, T>> {
    let view = a.view().into_dimensionality()?;
    Ok(if transpose { view.reversed_axes() } else { view })
}

/// Integers, as floats: they are exact up to 2^53.
fn integer_gemm(call: &Call, alpha: f64, beta: f64) -> Outcome<Vec<Value>> {
    let float = |i: usize| call.value(i).map(Value::to_floats);
    let (a, b) = (float(0)?, float(1)?);
    let (a, b) = (matrix(&a, call.flag("transA", false))?, matrix(&b, call.flag("transB", false))?);
    if a.ncols() != b.nrows() {
        return fault!("a product of shapes {:?} and {:?}", a.shape(), b.shape());
    }
    dims::count(&[a.nrows(), b.ncols()])?;
    let mut y = (a.dot(&b) * alpha).into_dyn();
    if call.has(2) {
        y += &(dims::expand(&float(2)?, y.shape())? * beta);
    }
    Ok(vec![Value::I(y.mapv(|v| v as i64))])
}
