//! What a comparison of times found.

use std::fmt;

use serde::Serialize;

use super::InputReport;

/// Version of the JSON of a comparison of times.
pub const SCHEMA_VERSION: u32 = 1;

/// Least, middle and largest of some figures, with the quartiles between.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The smallest.
    pub least: f64,
    /// A quarter are no larger.
    pub lower: f64,
    /// Half are no larger.
    pub median: f64,
    /// Three quarters are no larger.
    pub upper: f64,
    /// The largest.
    pub most: f64,
}

impl Spread {
    /// Of `figures`, which are not empty.
    #[must_use]
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_unstable_by(f64::total_cmp);
        let last = figures.len().saturating_sub(1);
        let at = |quarter: usize| figures.get(quarter * last / 4).copied().unwrap_or(f64::NAN);
        Self { least: at(0), lower: at(1), median: at(2), upper: at(3), most: at(4) }
    }
}

/// One of the two models.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelTime {
    /// Its file.
    pub file: String,
    /// Multiply-accumulates of a run, as its report counts them; `null` when a size is unknown.
    pub macs: Option<u64>,
    /// Milliseconds that a run takes.
    pub milliseconds: Spread,
    /// Milliseconds that the runtime took to read and optimise it.
    pub loading: f64,
}

/// How long two models take, run in turns.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TimeReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What ran them.
    pub engine: String,
    /// Threads that it used.
    pub threads: usize,
    /// Runs of each that were timed, after those that warmed up.
    pub runs: usize,
    /// What was fed: seeded normal values.
    pub inputs: Vec<InputReport>,
    /// The first model.
    pub first: ModelTime,
    /// The second.
    pub second: ModelTime,
    /// The second's time over the first's, turn by turn.
    pub ratio: Spread,
}

impl TimeReport {
    /// True when half of the turns do not even agree on which of the two is faster.
    #[must_use]
    pub fn is_even(&self) -> bool {
        self.ratio.lower <= 1.0 && self.ratio.upper >= 1.0
    }
}

impl fmt::Display for TimeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = if self.threads == 1 { "one thread".to_owned() } else { format!("{} threads", self.threads) };
        writeln!(f, "{}, {threads}, {} runs of each, in turns; milliseconds:", self.engine, self.runs)?;
        writeln!(f, "{:>12} {:>12} {:>12} {:>12} {:>12}  model", "least", "median", "most", "to load", "GMAC/s")?;
        for model in [&self.first, &self.second] {
            let t = &model.milliseconds;
            let file = crate::printable::Printable(&model.file);
            let rate = model.macs.map_or("-".to_owned(), |macs| format!("{:.2}", macs as f64 / t.median / 1e6));
            write!(f, "{:>12.3} {:>12.3} {:>12.3} ", t.least, t.median, t.most)?;
            writeln!(f, "{:>12.1} {rate:>12}  {file}", model.loading)?;
        }
        let r = &self.ratio;
        write!(f, "second / first: {:.2}x (half of the turns: {:.2}x to {:.2}x)", r.median, r.lower, r.upper)?;
        if self.is_even() {
            write!(f, ": no difference that this shows")?;
        }
        for input in self.inputs.iter().filter(|i| i.assumed) {
            write!(f, "\n  input taken: '{}' as {:?}", crate::printable::Printable(&input.name), input.shape)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn a_spread_has_the_quarters() {
        let spread = Spread::of(vec![5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!(spread, Spread { least: 1.0, lower: 2.0, median: 3.0, upper: 4.0, most: 5.0 });
        let one = Spread::of(vec![7.0]);
        assert_eq!((one.least, one.median, one.most), (7.0, 7.0, 7.0));
    }
}
