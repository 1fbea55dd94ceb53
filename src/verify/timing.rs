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

/// How long two models take in one engine.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EngineTime {
    /// What ran them.
    pub engine: String,
    /// Its version, where it tells one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The first model.
    pub first: ModelTime,
    /// The second.
    pub second: ModelTime,
    /// The second's time over the first's, turn by turn.
    pub ratio: Spread,
}

impl EngineTime {
    /// True when half of the turns do not even agree on which of the two is faster.
    #[must_use]
    pub fn is_even(&self) -> bool {
        self.ratio.lower <= 1.0 && self.ratio.upper >= 1.0
    }
}

/// How long two models take, run in turns.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TimeReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Threads that each engine used.
    pub threads: usize,
    /// Runs of each that were timed, after those that warmed up.
    pub runs: usize,
    /// What was fed: seeded normal values.
    pub inputs: Vec<InputReport>,
    /// The times in the first engine.
    #[serde(flatten)]
    pub times: EngineTime,
    /// The times in a second one, in turns with the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<EngineTime>,
}

impl TimeReport {
    /// Of `engines`, of which there is one at least.
    #[cfg_attr(not(feature = "verify"), allow(dead_code))]
    pub(super) fn new(
        schema_version: u32,
        runs: usize,
        inputs: Vec<InputReport>,
        mut engines: Vec<EngineTime>,
    ) -> Option<Self> {
        let others = engines.split_off(engines.len().min(1));
        Some(Self { schema_version, threads: 1, runs, inputs, times: engines.pop()?, others })
    }

    /// The times in each engine.
    pub fn engines(&self) -> impl Iterator<Item = &EngineTime> {
        std::iter::once(&self.times).chain(&self.others)
    }

    /// Notes how many multiply-accumulates a run of each model takes.
    #[cfg_attr(not(all(feature = "verify", feature = "cli")), allow(dead_code))]
    pub(crate) fn count(&mut self, macs: [Option<u64>; 2]) {
        for times in std::iter::once(&mut self.times).chain(&mut self.others) {
            (times.first.macs, times.second.macs) = (macs[0], macs[1]);
        }
    }
}

impl fmt::Display for TimeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = if self.threads == 1 { "one thread".to_owned() } else { format!("{} threads", self.threads) };
        for (at, times) in self.engines().enumerate() {
            let version = times.version.as_ref().map(|v| format!(" {v}")).unwrap_or_default();
            let end = if at > 0 { "\n" } else { "" };
            writeln!(
                f,
                "{end}{}{version}, {threads}, {} runs of each, in turns; milliseconds:",
                times.engine, self.runs
            )?;
            table(f, times)?;
        }
        for input in self.inputs.iter().filter(|i| i.assumed) {
            write!(f, "\n  input taken: '{}' as {:?}", crate::printable::Printable(&input.name), input.shape)?;
        }
        Ok(())
    }
}

fn table(f: &mut fmt::Formatter<'_>, times: &EngineTime) -> fmt::Result {
    writeln!(f, "{:>12} {:>12} {:>12} {:>12} {:>12}  model", "least", "median", "most", "to load", "GMAC/s")?;
    for model in [&times.first, &times.second] {
        let t = &model.milliseconds;
        let file = crate::printable::Printable(&model.file);
        let rate = model.macs.map_or("-".to_owned(), |macs| format!("{:.2}", macs as f64 / t.median / 1e6));
        write!(f, "{:>12.3} {:>12.3} {:>12.3} ", t.least, t.median, t.most)?;
        writeln!(f, "{:>12.1} {rate:>12}  {file}", model.loading)?;
    }
    let r = &times.ratio;
    write!(f, "second / first: {:.2}x (half of the turns: {:.2}x to {:.2}x)", r.median, r.lower, r.upper)?;
    if times.is_even() {
        write!(f, ": no difference that this shows")?;
    }
    Ok(())
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
