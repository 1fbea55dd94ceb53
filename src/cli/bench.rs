//! `onnx-rm bench`.

use std::path::PathBuf;

use clap::Args;

use crate::verify::timing::TimeReport;

use super::{Bar, Failure, Reading, Talking, Verdict, print, shape};

pub(super) const EXAMPLES: &str = "Examples:
  onnx-rm bench model.onnx chain.onnx
  onnx-rm bench model.onnx chain.onnx --runs 51 --input-shape input:1x3x224x224
  onnx-rm bench model.onnx chain.onnx --json | jq .ratio.median

Both models are run in turns, so that what else the machine does hits both alike, and the ratio is taken turn by turn.
It is that of tract on this machine: another runtime likes other forms.";

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The model that the other is compared with
    first: PathBuf,
    /// The other one
    second: PathBuf,
    /// Timed runs of each
    #[arg(long, default_value_t = 21, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Shape of an input with free dimensions, as name:1x3x224x224; may be repeated
    #[arg(long, value_name = "NAME:SHAPE", value_parser = shape)]
    input_shape: Vec<(String, Vec<usize>)>,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    talking: Talking,
}

pub(super) fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let bar = Bar::new(arguments.talking.quiet || arguments.talking.json);
    let mut report = time(arguments, &bar)?;
    for (path, model) in [(&arguments.first, &mut report.first), (&arguments.second, &mut report.second)] {
        let loaded = arguments.reading.load(path)?;
        model.macs = crate::engine::price(&loaded).map_err(|e| Failure::new(path, e))?.macs;
    }
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
    let paths = [arguments.first.as_path(), arguments.second.as_path()];
    let watch = |p: &crate::verify::Progress| bar.count("bench", p.stage, p.done, p.total);
    crate::verify::time(paths, &arguments.input_shape, usize::from(arguments.runs), &watch)
        .map_err(|e| Failure { message: e.to_string(), hint: e.hint().map(str::to_owned) })
}

#[cfg(not(feature = "verify"))]
fn time(arguments: &Arguments, _: &Bar) -> Result<TimeReport, Failure> {
    let _ = (&arguments.runs, &arguments.input_shape);
    Err(Failure::new(&arguments.first, "this build cannot run models: it was built without the feature 'verify'"))
}
