//! Runs the models and explains their times.

use std::fmt;
#[cfg(feature = "verify")]
use std::path::Path;

use serde::Serialize;

use crate::options::Rates;

use super::fit::{Row, fit};
use super::nets::Net;

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Calibration {
    /// What ran the models, with its version where it tells one.
    pub engine: String,
    /// Models that were run.
    pub models: usize,
    /// Half of the models take a time that is off the model of time by less, relative to it.
    pub error: f64,
    /// Nine in ten do.
    pub error_of_nine_in_ten: f64,
    /// The rates.
    pub nanoseconds: Rates,
}

impl Calibration {
    /// Explains the `times` of `nets`, in nanoseconds.
    #[must_use]
    pub fn of(engine: String, nets: &[Net], times: &[f64]) -> Self {
        let row = |(net, time): (&Net, &f64)| Row { amounts: net.amounts(), measured: time.max(1.0) };
        let rows: Vec<Row> = nets.iter().zip(times).map(row).collect();
        let numbers = fit(&rows);
        let mut errors: Vec<f64> = rows.iter().map(|row| row.error(&numbers)).collect();
        errors.sort_by(f64::total_cmp);
        let share = |tenths: usize| errors.get(errors.len() * tenths / 10).copied().unwrap_or(0.0);
        let mut rates = [0.0; Rates::COUNT];
        rates.iter_mut().zip(&numbers).for_each(|(rate, number)| *rate = *number);
        Self {
            engine,
            models: rows.len(),
            error: share(5),
            error_of_nine_in_ten: share(9),
            nanoseconds: Rates::of(rates),
        }
    }

    /// The file that `--cost-model` takes.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let rates = Rates::NAMES.iter().zip(self.nanoseconds.list());
        let lines: String = rates.map(|(name, rate)| format!("{name} = {rate:?}\n")).collect();
        let engine = serde_json::to_string(&self.engine).unwrap_or_default();
        format!(
            "# Written by onnx-rm calibrate; --cost-model takes it.\nengine = {engine}\nerror = {:?}\n\n[nanoseconds]\n{lines}",
            self.error
        )
    }
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, one thread, {} models in turns; nanoseconds:", self.engine, self.models)?;
        writeln!(f, "{:<14} {:>12} {:>12}", "rate", "here", "built in")?;
        let built_in = Rates::default().list();
        for ((name, here), usual) in Rates::NAMES.iter().zip(self.nanoseconds.list()).zip(built_in) {
            writeln!(f, "{name:<14} {here:>12.4} {usual:>12.4}")?;
        }
        let (half, most) = (100.0 * self.error, 100.0 * self.error_of_nine_in_ten);
        write!(f, "off by less than {half:.0} % for half of the models, and than {most:.0} % for nine in ten")
    }
}

/// Measures the rates in `engine`, from the library at `path` where that is ONNX Runtime, and tells `observer` of progress.
///
/// # Errors
/// When a model cannot be run, or `observer` asks to stop.
#[cfg(feature = "verify")]
pub fn calibrate(
    engine: crate::verify::Engine,
    path: Option<&Path>,
    rounds: usize,
    observer: crate::verify::Observer<'_>,
) -> Result<Calibration, crate::verify::VerifyError> {
    let nets = Net::all();
    let models: Vec<_> = nets.iter().map(Net::model).collect();
    let (times, version) = crate::verify::clock(&models, rounds, (engine, path), observer)?;
    let name = match version {
        Some(version) => format!("ONNX Runtime {version}"),
        None => "tract".to_owned(),
    };
    Ok(Calibration::of(name, &nets, &times))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_calibration_is_a_file_of_rates() {
        let nets = Net::all();
        // A machine on which everything takes three times as long.
        let slow = Rates::of(Rates::default().list().map(|rate| 3.0 * rate));
        let time = |net: &Net| net.amounts().iter().zip(slow.list()).map(|(a, r)| a * r).sum::<f64>();
        let times: Vec<f64> = nets.iter().map(time).collect();
        let found = Calibration::of("a \"machine\"".to_owned(), &nets, &times);
        assert!(found.error < 0.01 && found.error_of_nine_in_ten < 0.02, "{found}");
        assert_eq!(Rates::parse(&found.to_toml(), false).unwrap(), found.nanoseconds);
        assert_eq!(Rates::parse(&serde_json::to_string(&found).unwrap(), true).unwrap(), found.nanoseconds);
        assert!((found.nanoseconds.mac / slow.mac - 1.0).abs() < 0.05);
        assert!(found.to_string().contains("off by less than 0 %"));
    }
}
