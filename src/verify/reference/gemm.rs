//! The product of two matrices of floats, which is where an evaluation spends its time.
//!
//! `ndarray` hands it to the `matrixmultiply` crate, whose kernels use what the processor has. Every entry is summed in one order,
//! that of the inner axis, whatever tile it stands in: so it does not matter how the product is divided between threads.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, Axis};

use super::parallel;

/// Rows and columns of what one task computes: large enough that packing the operands does not count.
const TILE: usize = 512;

/// `c = a b`, in tiles when there is much to do.
pub(super) fn product(a: ArrayView2<f64>, b: ArrayView2<f64>, c: ArrayViewMut2<f64>) {
    let work = c.len().saturating_mul(a.ncols());
    let tiles = blocks(c, Axis(0), TILE).zip(a.axis_chunks_iter(Axis(0), TILE)).flat_map(|(c, a)| {
        let columns = b.axis_chunks_iter(Axis(1), TILE);
        blocks(c, Axis(1), TILE).zip(columns).map(move |(c, b)| (c, a, b))
    });
    parallel::each(work, tiles, |(): &mut (), (mut c, a, b)| general_mat_mul(1.0, &a, &b, 0.0, &mut c));
}

/// `a` in blocks of so many rows or columns; the last may be smaller.
pub(super) fn blocks(
    a: ArrayViewMut2<'_, f64>,
    axis: Axis,
    size: usize,
) -> impl Iterator<Item = ArrayViewMut2<'_, f64>> + Send {
    let mut rest = Some(a);
    std::iter::from_fn(move || {
        let a = rest.take().filter(|a| a.len_of(axis) > 0)?;
        let size = size.min(a.len_of(axis));
        let (head, tail) = a.split_at(axis, size);
        rest = Some(tail);
        Some(head)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ndarray::Array2;

    #[test]
    fn tiles_give_what_the_whole_product_gives_bit_by_bit() {
        let (m, k, n) = (TILE + 3, 70, TILE + 5);
        let a = Array2::from_shape_fn((m, k), |(i, j)| ((i * 31 + j * 17) % 101) as f64 / 7.0 - 6.5);
        let b = Array2::from_shape_fn((k, n), |(i, j)| ((i * 13 + j * 29) % 97) as f64 / 11.0 - 4.1);
        let mut c = Array2::zeros((m, n));
        product(a.view(), b.view(), c.view_mut());
        assert_eq!(c, a.dot(&b));
        product(a.view(), b.view(), c.view_mut().split_at(Axis(1), n).0);
        assert_eq!(c, a.dot(&b), "what stood there before does not count");
    }
}
