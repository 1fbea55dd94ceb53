//! Dense linear algebra in float64: `faer` does it.

use faer::Side;
use faer::linalg::solvers::{DenseSolveCore, Solve};
use ndarray::{Array2, ArrayView2};

fn matrix(a: ArrayView2<'_, f64>) -> faer::Mat<f64> {
    faer::Mat::from_fn(a.nrows(), a.ncols(), |i, j| a[[i, j]])
}

fn array(a: faer::MatRef<'_, f64>) -> Array2<f64> {
    Array2::from_shape_fn((a.nrows(), a.ncols()), |(i, j)| a[(i, j)])
}

/// The inverse of a symmetric positive definite matrix; `None` when it is not.
pub(super) fn inverse(a: ArrayView2<'_, f64>) -> Option<Array2<f64>> {
    let factor = matrix(a).llt(Side::Lower).ok()?;
    Some(array(factor.inverse().as_ref()))
}

/// `x` in `a x = b`, for a symmetric positive definite `a`; `None` when it is not.
pub(super) fn solve(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Option<Array2<f64>> {
    let factor = matrix(a).llt(Side::Lower).ok()?;
    Some(array(factor.solve(matrix(b)).as_ref()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ndarray::array;

    #[test]
    fn inverse_and_solution() {
        let a = array![[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 2.0]];
        let unit = a.dot(&inverse(a.view()).unwrap());
        assert!((unit - Array2::<f64>::eye(3)).iter().all(|v| v.abs() < 1e-12));
        let b = array![[1.0], [2.0], [3.0]];
        let x = solve(a.view(), b.view()).unwrap();
        assert!((a.dot(&x) - b).iter().all(|v| v.abs() < 1e-12));
        assert!(inverse(array![[1.0, 2.0], [2.0, 1.0]].view()).is_none());
    }
}
