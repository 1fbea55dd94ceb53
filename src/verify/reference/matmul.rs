//! Matrix products: `MatMul`, `Gemm`.

use ndarray::{Array2, ArrayD, ArrayView2, ArrayViewMut2, Zip};

use super::Value;
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};
use super::gemm;

pub(super) const OPERATORS: Table = &[("MatMul", matmul), ("Gemm", general)];

pub(super) fn matmul(call: &mut Call) -> Outcome<Vec<Value>> {
    Ok(vec![match (call.value(0)?, call.value(1)?) {
        (Value::F(a), Value::F(b)) => Value::F(product(a, b, gemm::product)?),
        (Value::I(a), Value::I(b)) => Value::I(product(a, b, wrapping)?),
        (a, b) => return fault!("{} times {} elements", a.kind(), b.kind()),
    }])
}

/// `c = a b`.
type Product<T> = fn(ArrayView2<T>, ArrayView2<T>, ArrayViewMut2<T>);

/// Integer product, as integers wrap.
fn wrapping(a: ArrayView2<i64>, b: ArrayView2<i64>, mut c: ArrayViewMut2<i64>) {
    for ((i, j), c) in c.indexed_iter_mut() {
        *c = a.row(i).iter().zip(b.column(j)).fold(0, |sum, (x, y)| sum.wrapping_add(x.wrapping_mul(*y)));
    }
}

/// numpy's `matmul`: matrices in the last two axes, the others broadcast; a vector is a row on the left and a column
/// on the right.
fn product<T: Copy + Default>(a: &ArrayD<T>, b: &ArrayD<T>, dot: Product<T>) -> Outcome<ArrayD<T>> {
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
    let mut values = vec![T::default(); dims::count(&shape)?];
    let (a_rows, b_rows) = (dims::rows(a)?, dims::rows(b)?);
    if b_batch.iter().all(|d| *d == 1) {
        // One matrix on the right, as in a linear layer: all rows on the left go at once.
        let rows = a_batch.iter().product::<usize>() * m;
        let (x, y) = (ArrayView2::from_shape((rows, k), a_rows)?, ArrayView2::from_shape((k, n), b_rows)?);
        dot(x, y, ArrayViewMut2::from_shape((rows, n), &mut values)?);
    } else {
        let pairs = offsets(&batch, a_batch).zip(offsets(&batch, b_batch));
        for ((i, j), c) in pairs.zip(values.chunks_exact_mut((m * n).max(1))) {
            let x = ArrayView2::from_shape((m, k), &a_rows[i * m * k..(i + 1) * m * k])?;
            let y = ArrayView2::from_shape((k, n), &b_rows[j * k * n..(j + 1) * k * n])?;
            dot(x, y, ArrayViewMut2::from_shape((m, n), c)?);
        }
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
fn offsets<'b>(batch: &'b [usize], own: &'b [usize]) -> impl Iterator<Item = usize> + 'b {
    let shift = batch.len() - own.len();
    let (strides, outer) = (dims::strides(own), dims::strides(batch));
    (0..batch.iter().product()).map(move |n: usize| {
        let along =
            |(i, d): (usize, &usize)| if *d == 1 { 0 } else { n / outer[i + shift] % batch[i + shift] * strides[i] };
        own.iter().enumerate().map(along).sum()
    })
}

fn general(call: &mut Call) -> Outcome<Vec<Value>> {
    let (alpha, beta) = (call.float("alpha", 1.0), call.float("beta", 1.0));
    let (trans_a, trans_b) = (call.flag("transA", false), call.flag("transB", false));
    if let Value::I(_) = call.value(0)? {
        return general_of_integers(call, alpha, beta);
    }
    let (a, b) = (matrix(call.floats(0)?, trans_a)?, matrix(call.floats(1)?, trans_b)?);
    if a.ncols() != b.nrows() {
        return fault!("a product of shapes {:?} and {:?}", a.shape(), b.shape());
    }
    let shape = (a.nrows(), b.ncols());
    let mut y = Array2::from_shape_vec(shape, vec![0.0; dims::count(&[shape.0, shape.1])?])?;
    gemm::product(a, b, y.view_mut());
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
fn general_of_integers(call: &Call, alpha: f64, beta: f64) -> Outcome<Vec<Value>> {
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
