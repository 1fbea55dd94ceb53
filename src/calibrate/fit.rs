//! Numbers that are not negative and explain measurements as sums: least squares over relative errors.

/// Most sweeps over all numbers.
const MAX_SWEEPS: usize = 20_000;

/// Where a sweep changes less than that of the largest number, it is the last.
const SMALL: f64 = 1e-10;

/// What was measured, and how much of each number is in it.
#[derive(Clone, Debug)]
pub struct Row {
    /// So much of each.
    pub amounts: Vec<f64>,
    /// Their sum, as measured: more than 0.
    pub measured: f64,
}

impl Row {
    /// What `numbers` say instead.
    #[must_use]
    pub fn predicted(&self, numbers: &[f64]) -> f64 {
        self.amounts.iter().zip(numbers).map(|(a, n)| a * n).sum()
    }

    /// How far that is off, relative to what was measured.
    #[must_use]
    pub fn error(&self, numbers: &[f64]) -> f64 {
        (self.predicted(numbers) / self.measured - 1.0).abs()
    }
}

/// The numbers, none of which is negative, with the least sum of squared relative errors over `rows`; 0 for one that is in no row.
/// One number after the other takes its best value, which ends at the best of all, for the sum of squares is convex.
#[must_use]
pub fn fit(rows: &[Row]) -> Vec<f64> {
    let count = rows.iter().map(|r| r.amounts.len()).max().unwrap_or(0);
    let at = |row: &Row, i: usize| row.amounts.get(i).copied().unwrap_or(0.0) / row.measured;
    // Columns of like size: a sweep then changes all of them alike.
    let norms: Vec<f64> = (0..count).map(|i| rows.iter().map(|r| at(r, i).powi(2)).sum::<f64>().sqrt()).collect();
    let column = |i: usize| rows.iter().map(move |r| at(r, i)).collect::<Vec<f64>>();
    let columns: Vec<Vec<f64>> = (0..count)
        .map(|i| column(i).into_iter().map(|v| if norms[i] > 0.0 { v / norms[i] } else { 0.0 }).collect())
        .collect();
    let mut numbers = vec![0.0; count];
    let mut left = vec![1.0; rows.len()];
    for _ in 0..MAX_SWEEPS {
        let mut change: f64 = 0.0;
        for (i, column) in columns.iter().enumerate().filter(|(i, _)| norms[*i] > 0.0) {
            let step: f64 = column.iter().zip(&left).map(|(c, l)| c * l).sum();
            let next = f64::max(numbers[i] + step, 0.0);
            let step = next - numbers[i];
            left.iter_mut().zip(column).for_each(|(l, c)| *l -= step * c);
            numbers[i] = next;
            change = change.max(step.abs());
        }
        if change <= SMALL * numbers.iter().fold(0.0, |most: f64, n| most.max(*n)) {
            break;
        }
    }
    numbers.iter().zip(&norms).map(|(n, norm)| if *norm > 0.0 { n / norm } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::random::Random;

    /// Rows of random amounts that differ by magnitudes, as those of models do, whose sums are off by up to `noise`.
    fn rows(numbers: &[f64], count: usize, noise: f64) -> Vec<Row> {
        let mut random = Random::new(5, "fit");
        let mut row = || {
            let scale = |i: usize| 10_f64.powi(6 - 2 * (i as i32 % 4));
            let amounts: Vec<f64> = (0..numbers.len()).map(|i| scale(i) * random.uniform().powi(4)).collect();
            let sum: f64 = amounts.iter().zip(numbers).map(|(a, n)| a * n).sum();
            Row { measured: sum.max(1e-9) * (1.0 + noise * (2.0 * random.uniform() - 1.0)), amounts }
        };
        (0..count).map(|_| row()).collect()
    }

    #[test]
    fn what_made_the_times_is_found_again() {
        let numbers = [0.0085, 0.0, 120.0, 3000.0, 0.4];
        let found = fit(&rows(&numbers, 80, 0.0));
        for (found, number) in found.iter().zip(numbers) {
            assert!((found - number).abs() <= 1e-3 * number.max(1e-6), "{found} is {number}");
        }
        let noisy = rows(&numbers, 400, 0.1);
        let found = fit(&noisy);
        let mut errors: Vec<f64> = noisy.iter().map(|r| r.error(&found)).collect();
        errors.sort_by(f64::total_cmp);
        assert!(errors[200] < 0.06, "{}", errors[200]);
        assert!(found.iter().zip(numbers).all(|(f, n)| (f - n).abs() < 0.2 * n.max(0.01)), "{found:?}");
    }

    #[test]
    fn no_number_is_negative_and_none_is_made_up() {
        let row = |amounts: [f64; 3], measured| Row { amounts: amounts.to_vec(), measured };
        // Only -1 would explain the second.
        let found = fit(&[row([1.0, 1.0, 0.0], 1.0), row([2.0, 1.0, 0.0], 1.0)]);
        assert!(found.iter().all(|n| *n >= 0.0) && found[2] == 0.0, "{found:?}");
        assert!(fit(&[]).is_empty());
    }
}
