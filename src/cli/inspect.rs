//! `onnx-rm inspect`.

use std::path::PathBuf;

use clap::Args;

use crate::engine;
use crate::printable::Lines;
use crate::report::{Action, Report};

use super::{Bar, Failure, Planning, Reading, Verdict, print};

pub(super) const EXAMPLES: &str = "Examples:
  onnx-rm inspect model.onnx
  onnx-rm inspect model.onnx --long-skips --json | jq '.sites[] | select(.status == \"kept\")'";

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The model to read
    model: PathBuf,
    #[command(flatten)]
    planning: Planning,
    #[command(flatten)]
    reading: Reading,
    /// Print a versioned JSON report
    #[arg(long)]
    json: bool,
    /// Exit with 1 when no join could be removed
    #[arg(long)]
    require: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let bar = Bar::new(arguments.quiet || arguments.json);
    let model = arguments.reading.load(&arguments.model)?;
    let options = arguments.planning.options(arguments.reading.defaults);
    let outcome =
        engine::inspect(&model, &options, &mut |p| bar.show(p)).map_err(|e| Failure::new(&arguments.model, e))?;
    drop(bar);
    let found = outcome.removed().next().is_some();
    let report = Report::new(Action::Inspect, arguments.model.display().to_string(), options, outcome);
    if arguments.json {
        print(&report.to_json())?;
    } else {
        print(&Lines(report.to_string().trim_end()))?;
    }
    Ok(if arguments.require && !found { Verdict::Finding } else { Verdict::Done })
}
