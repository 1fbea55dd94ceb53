//! `onnx-rm inspect`.

use std::path::PathBuf;

use clap::Args;

use crate::engine::{self, EngineError, Watch};
use crate::io::Model;
use crate::printable::Lines;
use crate::report::{Action, Report};

use super::{Bar, Demanding, Failure, Planning, Reading, Verdict, print};

pub(super) const EXAMPLES: &str = "Examples:
  onnx-rm inspect model.onnx
  onnx-rm inspect model.onnx --long-skips --json | jq '.sites[] | select(.status == \"kept\")'";

/// What is asked of a look at a model, wherever it comes from.
#[derive(Args, Clone, Debug)]
pub struct Inspecting {
    #[command(flatten)]
    pub planning: Planning,
    #[command(flatten)]
    pub reading: Reading,
    #[command(flatten)]
    demanding: Demanding,
}

impl Inspecting {
    /// Looks at `model`, which `name` says the origin of.
    ///
    /// # Errors
    /// When its graph is malformed, or `watch` asks to stop.
    pub fn report(&self, model: &Model, name: String, watch: Watch<'_>) -> Result<Report, EngineError> {
        let options = self.planning.options();
        let (rewritten, outcome) = engine::plan(model, &options, watch)?;
        let mut report = Report::new(Action::Inspect, name, options, outcome);
        report.unmet = self.demanding.demands().unmet(&rewritten, &report.outcome)?;
        Ok(report)
    }
}

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The model to read
    model: PathBuf,
    #[command(flatten)]
    inspecting: Inspecting,
    /// Print a versioned JSON report
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let bar = Bar::new(arguments.quiet || arguments.json);
    let model = arguments.inspecting.reading.load(&arguments.model)?;
    let name = arguments.model.display().to_string();
    let report = arguments
        .inspecting
        .report(&model, name, &mut |p| bar.show(p))
        .map_err(|e| Failure::new(&arguments.model, e))?;
    drop(bar);
    if arguments.json {
        print(&report.to_json())?;
    } else {
        print(&Lines(report.to_string().trim_end()))?;
    }
    Ok(if report.unmet.is_some() { Verdict::Finding } else { Verdict::Done })
}
