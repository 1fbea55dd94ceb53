//! `onnx-rm bench`.

#[cfg(feature = "verify")]
use std::path::Path;
use std::path::PathBuf;

use clap::Args;

#[cfg(feature = "verify")]
use crate::engine::EngineError;
#[cfg(feature = "verify")]
use crate::io::LoadError;
use crate::verify::timing::TimeReport;
#[cfg(feature = "verify")]
use crate::verify::{Observer, VerifyError};

use super::asking::Engines;
use super::{Bar, Failure, Reading, Talking, Verdict, print, shape};

pub(super) const EXAMPLES: &str = "Examples:
  onnx-rm bench model.onnx chain.onnx
  onnx-rm bench model.onnx chain.onnx --runs 51 --input-shape input:1x3x224x224
  onnx-rm bench model.onnx chain.onnx --engine both --onnxruntime /usr/lib
  onnx-rm bench model.onnx chain.onnx --json | jq .ratio.median

Both models are run in turns, so that what else the machine does hits both alike, and the ratio is taken turn by turn.
It is that of one engine on this machine (--engine onnxruntime, or both in turns): another one likes other forms.";

/// How two models are timed.
#[cfg_attr(not(feature = "verify"), allow(dead_code))]
#[derive(Args, Clone, Debug)]
pub struct Timing {
    /// Timed runs of each
    #[arg(long, default_value_t = 21, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub runs: u16,
    /// Shape of an input with free dimensions, as name:1x3x224x224; may be repeated
    #[arg(long, value_name = "NAME:SHAPE", value_parser = shape)]
    pub input_shape: Vec<(String, Vec<usize>)>,
    #[command(flatten)]
    engines: Engines,
    #[command(flatten)]
    pub reading: Reading,
}

#[cfg(feature = "verify")]
impl Timing {
    /// Times the models at two paths, in turns, and counts what they multiply.
    ///
    /// # Errors
    /// When a model cannot be read, looked at or run.
    pub fn time<E>(&self, paths: [&Path; 2], observer: Observer<'_>) -> Result<TimeReport, E>
    where
        E: From<VerifyError> + From<LoadError> + From<EngineError>,
    {
        let runs = usize::from(self.runs);
        let mut report = crate::verify::time(paths, &self.input_shape, runs, self.engines.chosen(), observer)?;
        let macs = |path| -> Result<Option<u64>, E> {
            let loaded = crate::io::load(path, &self.reading.options())?;
            Ok(crate::engine::price(&loaded)?.macs)
        };
        report.count([macs(paths[0])?, macs(paths[1])?]);
        Ok(report)
    }
}

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The model that the other is compared with
    first: PathBuf,
    /// The other one
    second: PathBuf,
    #[command(flatten)]
    timing: Timing,
    #[command(flatten)]
    talking: Talking,
}

pub(super) fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let bar = Bar::new(arguments.talking.quiet || arguments.talking.json);
    let report = time(arguments, &bar)?;
    drop(bar);
    if arguments.talking.json {
        print(&serde_json::to_string_pretty(&report).unwrap_or_default())?;
    } else {
        print(&report)?;
    }
    Ok(Verdict::Done)
}

#[cfg(feature = "verify")]
fn time(arguments: &Arguments, bar: &Bar) -> Result<TimeReport, Failure> {
    let watch = |p: &crate::verify::VerifyProgress| bar.count("bench", p.stage, p.done, p.total);
    arguments.timing.time([&arguments.first, &arguments.second], &watch)
}

#[cfg(not(feature = "verify"))]
fn time(arguments: &Arguments, _: &Bar) -> Result<TimeReport, Failure> {
    let _ = (&arguments.second, &arguments.timing);
    Err(Failure::new(&arguments.first, "this build cannot run models: it was built without the feature 'verify'"))
}
