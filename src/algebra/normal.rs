//! Least squares by normal equations, with a ridge.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Axis};

use super::solve;

/// Variances below this share of the mean square are rounding.
const NOTHING: f64 = 1e-12;

/// Sums over rows: of the columns, of the targets, and of products. They are all that least squares needs, however many rows there are.
#[derive(Clone, Debug)]
pub struct Normal {
    rows: f64,
    x: Array1<f64>,
    y: Array1<f64>,
    xx: Array2<f64>,
    xy: Array2<f64>,
    yy: f64,
}

impl Normal {
    /// Of no rows yet, with so many columns and targets.
    #[must_use]
    pub fn new(columns: usize, outputs: usize) -> Self {
        let (x, y) = (Array1::zeros(columns), Array1::zeros(outputs));
        Self { rows: 0.0, x, y, xx: Array2::zeros((columns, columns)), xy: Array2::zeros((columns, outputs)), yy: 0.0 }
    }

    /// Adds rows `x`, `[rows, columns]`, with targets `y`, `[rows, targets]`.
    pub fn add(&mut self, x: &Array2<f64>, y: &Array2<f64>) {
        self.rows += x.nrows() as f64;
        self.x += &x.sum_axis(Axis(0));
        general_mat_mul(1.0, &x.t(), x, 1.0, &mut self.xx);
        self.add_targets(x, y);
    }

    /// Other targets for rows whose columns are counted already.
    pub fn add_targets(&mut self, x: &Array2<f64>, y: &Array2<f64>) {
        self.y += &y.sum_axis(Axis(0));
        general_mat_mul(1.0, &x.t(), y, 1.0, &mut self.xy);
        self.yy += y.iter().map(|v| v * v).sum::<f64>();
    }

    /// Takes all targets away, and leaves the columns.
    pub fn forget_targets(&mut self) {
        self.y.fill(0.0);
        self.xy.fill(0.0);
        self.yy = 0.0;
    }

    /// True before any row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0.0
    }

    /// Both together.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            x: &self.x + &other.x,
            y: &self.y + &other.y,
            xx: &self.xx + &other.xx,
            xy: &self.xy + &other.xy,
            yy: self.yy + other.yy,
        }
    }

    /// Weights and bias that are best by these sums; `prior` is where the ridge, a share of the mean variance, pulls to.
    /// `None` when they cannot be found.
    #[must_use]
    pub fn solve(&self, ridge: f64, prior: &Array2<f64>, biased: bool) -> Option<(Array2<f64>, Array1<f64>)> {
        let (mut a, mut b) = (&self.xx / self.rows, &self.xy / self.rows);
        let (mx, my) = (&self.x / self.rows, &self.y / self.rows);
        if biased {
            for ((mut row, mut side), m) in a.outer_iter_mut().zip(b.outer_iter_mut()).zip(&mx) {
                row.scaled_add(-m, &mx);
                side.scaled_add(-m, &my);
            }
        }
        // Entries that do not vary leave rounding errors of their means: nothing is fitted to these.
        let n = a.nrows().max(1) as f64;
        let nothing = NOTHING * self.xx.diag().sum() / (self.rows * n) + f64::MIN_POSITIVE.sqrt();
        let ridge = ridge * a.diag().sum() / n + nothing;
        a.diag_mut().iter_mut().for_each(|d| *d += ridge);
        b.scaled_add(ridge, prior);
        let weights = solve::solve(a.view(), b.view())?;
        let bias = if biased { my - mx.dot(&weights) } else { Array1::zeros(my.len()) };
        weights.iter().all(|w| w.is_finite()).then_some((weights, bias))
    }

    /// Sum of squared errors of `weights` and `bias`.
    #[must_use]
    pub fn error(&self, weights: &Array2<f64>, bias: &Array1<f64>) -> f64 {
        let squares = (&self.xx.dot(weights) * weights).sum() - 2.0 * (&self.xy * weights).sum() + self.yy;
        let means = weights.t().dot(&self.x);
        squares
            + bias.iter().zip(&means).zip(&self.y).map(|((b, m), y)| b * (self.rows * b + 2.0 * (m - y))).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ndarray::array;

    #[test]
    fn the_fit_finds_a_line_and_the_error_is_that_of_the_rows() {
        let x = array![[0.0], [1.0], [2.0], [3.0]];
        let y = x.mapv(|v| 2.0 * v - 1.0);
        let mut sums = Normal::new(1, 1);
        sums.add(&x, &y);
        let (w, b) = sums.solve(1e-12, &Array2::zeros((1, 1)), true).unwrap();
        assert!((w[[0, 0]] - 2.0).abs() < 1e-9 && (b[0] + 1.0).abs() < 1e-9);
        let (w, b) = (array![[1.5]], array![0.25]);
        let by_hand: f64 = x.iter().zip(&y).map(|(x, y)| (1.5 * x + 0.25 - y).powi(2)).sum();
        assert!((sums.error(&w, &b) - by_hand).abs() < 1e-9);
    }
}
