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
#[must_use]
pub fn inverse(a: ArrayView2<'_, f64>) -> Option<Array2<f64>> {
    let factor = matrix(a).llt(Side::Lower).ok()?;
    Some(array(factor.inverse().as_ref()))
}

/// `x` in `a x = b`, for a symmetric positive definite `a`; `None` when it is not.
#[must_use]
pub fn solve(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Option<Array2<f64>> {
    let factor = matrix(a).llt(Side::Lower).ok()?;
    Some(array(factor.solve(matrix(b)).as_ref()))
}

/// Variances and eigenvalues below this share of the largest one are rounding.
const NOTHING: f64 = 1e-11;

/// In how many directions the entries with covariance `a` vary, and how many of them vary at all. Each counts by its own deviation.
/// `None` when its eigenvalues cannot be found.
#[must_use]
pub fn rank(a: ArrayView2<'_, f64>) -> Option<(usize, usize)> {
    let largest = a.diag().iter().copied().fold(0.0, f64::max);
    let varies: Vec<usize> = (0..a.nrows()).filter(|i| a[[*i, *i]] > NOTHING * largest).collect();
    let scaled = faer::Mat::from_fn(varies.len(), varies.len(), |i, j| {
        let (i, j) = (varies[i], varies[j]);
        a[[i, j]] / (a[[i, i]] * a[[j, j]]).sqrt()
    });
    let values = scaled.self_adjoint_eigenvalues(Side::Lower).ok()?;
    let most = values.iter().copied().fold(0.0, f64::max);
    Some((values.iter().filter(|v| **v > NOTHING * most).count(), varies.len()))
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

    #[test]
    fn rank_is_that_of_what_varies() {
        // Five rows of four entries: the third is the sum of the first two, a thousand times, and the last never varies.
        let rows = array![[1.0, 0.0, 1e3, 0.0], [0.0, 1.0, 1e3, 0.0], [2.0, -1.0, 1e3, 0.0], [0.5, 3.0, 3.5e3, 0.0]];
        assert_eq!(rank(rows.t().dot(&rows).view()), Some((2, 3)));
        assert_eq!(rank(Array2::<f64>::eye(3).view()), Some((3, 3)));
        assert_eq!(rank(Array2::<f64>::zeros((2, 2)).view()), Some((0, 0)));
    }
}
