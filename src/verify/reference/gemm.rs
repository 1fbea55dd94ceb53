//! The product of two matrices of floats, which is where an evaluation spends its time.
//!
//! The `faer` crate computes it, whose kernels use what the processor has and copy no operand of a thin product: behind the last
//! strides of a network the weights are read once and are all the work there is. How it is divided between threads depends on the
//! sizes alone, and so does the order in which an entry is summed.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

use crate::tasks;

/// Rows and columns of what one task computes.
const TILE: usize = 512;

/// `c = a b`, on this thread.
pub(super) fn multiply(a: MatRef<'_, f64>, b: MatRef<'_, f64>, c: MatMut<'_, f64>) {
    matmul(c, Accum::Replace, a, b, 1.0, Par::Seq);
}

/// `c = a b`, in tiles when there is much to do.
pub(super) fn product(a: ArrayView2<f64>, b: ArrayView2<f64>, mut c: ArrayViewMut2<f64>) {
    let work = c.len().saturating_mul(a.ncols());
    let (rows, columns) = c.dim();
    let (Some(left), Some(right), Some(all)) = (matrix(a), matrix(b), c.as_slice_mut()) else {
        // Rows or columns of a larger matrix.
        return general_mat_mul(1.0, &a, &b, 0.0, &mut c);
    };
    let tiles = row_blocks(MatMut::from_row_major_slice_mut(all, rows, columns), TILE).enumerate();
    let tiles = tiles.flat_map(|(i, c)| {
        let left = left.subrows(i * TILE, c.nrows());
        column_blocks(c, TILE).enumerate().map(move |(j, c)| (left, right.subcols(j * TILE, c.ncols()), c))
    });
    tasks::each(work, tiles, |(): &mut (), (a, b, c)| multiply(a, b, c));
}

/// A matrix whose rows or columns stand one behind the other.
fn matrix(a: ArrayView2<'_, f64>) -> Option<MatRef<'_, f64>> {
    let (rows, columns) = a.dim();
    match a.to_slice() {
        Some(a) => Some(MatRef::from_row_major_slice(a, rows, columns)),
        None => a.reversed_axes().to_slice().map(|a| MatRef::from_column_major_slice(a, rows, columns)),
    }
}

/// `c` in blocks of so many rows; the last may have fewer.
pub(super) fn row_blocks(c: MatMut<'_, f64>, size: usize) -> impl Iterator<Item = MatMut<'_, f64>> + Send {
    let mut rest = Some(c);
    std::iter::from_fn(move || {
        let c = rest.take().filter(|c| c.nrows() > 0)?;
        let size = size.min(c.nrows());
        let (head, tail) = c.split_at_row_mut(size);
        rest = Some(tail);
        Some(head)
    })
}

/// The same by columns.
pub(super) fn column_blocks(c: MatMut<'_, f64>, size: usize) -> impl Iterator<Item = MatMut<'_, f64>> + Send {
    row_blocks(c.transpose_mut(), size).map(MatMut::transpose_mut)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ndarray::{Array2, Axis, concatenate, s};

    #[test]
    fn tiles_give_what_the_whole_product_gives() {
        let (m, k, n) = (TILE + 3, 70, TILE + 5);
        let a = Array2::from_shape_fn((m, k), |(i, j)| ((i * 31 + j * 17) % 101) as f64 / 7.0 - 6.5);
        let b = Array2::from_shape_fn((k, n), |(i, j)| ((i * 13 + j * 29) % 97) as f64 / 11.0 - 4.1);
        let mut c = Array2::zeros((m, n));
        let close = |c: &Array2<f64>| c.iter().zip(&a.dot(&b)).all(|(c, d)| (c - d).abs() <= 1e-12 * 1e4);
        product(a.view(), b.view(), c.view_mut());
        assert!(close(&c));
        let first = c.clone();
        product(a.view(), b.view(), c.view_mut());
        assert_eq!(c, first, "what stood there before does not count, nor how many threads there are");
        // Columns one behind the other, and rows of a larger matrix.
        let turned = b.t().as_standard_layout().into_owned();
        product(a.view(), turned.t(), c.view_mut());
        assert!(close(&c));
        let wide = concatenate![Axis(1), a, a];
        product(wide.slice(s![.., k..]), b.view(), c.view_mut());
        assert!(close(&c));
    }

    #[test]
    fn a_sum_of_nothing_is_zero() {
        let mut c = Array2::from_elem((2, 3), 7.0);
        product(Array2::zeros((2, 0)).view(), Array2::zeros((0, 3)).view(), c.view_mut());
        assert_eq!(c, Array2::<f64>::zeros((2, 3)));
    }
}
