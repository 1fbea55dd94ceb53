//! `onnx-rm inspect`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::demand::wishes;
use crate::engine::{self, EngineError, Watch};
use crate::io::Model;
use crate::onnx::ModelProto;
use crate::page::{self, ModelPart, Page, Source, Tone};
use crate::printable::Lines;
use crate::report::{Action, Report};

use super::report::{Reporting, net};
use super::rewrite::write_plan;
use super::{Bar, Demanding, Failure, Planning, Reading, Verdict, print};

pub(super) const EXAMPLES: &str = "Examples:
  onnx-rm inspect model.onnx
  onnx-rm inspect model.onnx --plan --plan-out plan.json
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
    /// Also say what the model costs with how many joins left, and what each join costs in which form
    #[arg(long)]
    plan: bool,
}

impl Inspecting {
    /// Looks at `model`, which `name` says the origin of.
    ///
    /// # Errors
    /// When its graph is malformed, or `watch` asks to stop.
    pub fn report(&self, model: &Model, name: String, watch: Watch<'_>) -> Result<Report, EngineError> {
        Ok(self.plan(model, name, watch)?.1)
    }

    /// The same, with the model that would come out.
    fn plan(&self, model: &Model, name: String, watch: Watch<'_>) -> Result<(ModelProto, Report), EngineError> {
        let options = self.planning.options();
        let (rewritten, outcome) = engine::plan(model, &options, watch)?;
        let mut report = Report::new(Action::Inspect, name, options, outcome);
        report.unmet = self.demanding.demands().unmet(&rewritten, &report.outcome)?;
        if self.plan {
            report.curve = Some(engine::curve(model, &report.options, watch)?);
        }
        report.notes = wishes(&report.options.target, &rewritten)?;
        Ok((rewritten, report))
    }
}

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The model to read
    model: PathBuf,
    #[command(flatten)]
    inspecting: Inspecting,
    /// Write which joins would go and in which form, for --plan of a rewrite
    #[arg(long, value_name = "FILE")]
    plan_out: Option<PathBuf>,
    #[command(flatten)]
    reporting: Reporting,
    /// Print a versioned JSON report
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    arguments.reporting.spare(&[&arguments.model], arguments.plan_out.as_deref())?;
    let bar = Bar::new(arguments.quiet || arguments.json);
    let model = arguments.inspecting.reading.load(&arguments.model)?;
    let weights: Vec<&Path> = model.side_files().iter().map(|file| file.path.as_path()).collect();
    arguments.reporting.spare(&weights, arguments.plan_out.as_deref())?;
    let name = arguments.model.display().to_string();
    let (rewritten, report) =
        arguments.inspecting.plan(&model, name, &mut |p| bar.show(p)).map_err(|e| Failure::new(&arguments.model, e))?;
    drop(bar);
    let saved = write_plan(arguments.plan_out.as_deref(), &model, &report);
    let reported = arguments.reporting.write(|| report.to_json(), || page(&model, &rewritten, &report));
    if arguments.json {
        print(&report.to_json())?;
    } else {
        print(&Lines(report.to_string().trim_end()))?;
    }
    reported?;
    saved?;
    Ok(if report.unmet.is_some() { Verdict::Finding } else { Verdict::Done })
}

/// What a rewrite would do.
fn page(model: &Model, rewritten: &ModelProto, report: &Report) -> String {
    let outcome = &report.outcome;
    let joins = outcome.removed().filter(|(site, _)| site.is_residual()).count();
    let folds = match outcome.removed().count() - joins {
        0 => String::new(),
        1 => "One fold can be made. ".to_owned(),
        n => format!("{n} folds can be made. "),
    };
    let head = format!("{joins} of {} joins can be removed", outcome.before.joins);
    let verdict = match &report.unmet {
        Some(unmet) => page::Verdict { tone: Tone::Bad, head, body: format!("Required, but {unmet}.") },
        None => {
            let tone = if outcome.kept().any(|(site, _)| site.is_residual()) { Tone::Note } else { Tone::Good };
            page::Verdict { tone, head, body: format!("{folds}Nothing was written, and nothing was compared.") }
        }
    };
    let part = ModelPart {
        before: Some(net(model.proto())),
        after: Some(net(rewritten)),
        outcome: Some(outcome),
        ..ModelPart::default()
    };
    page::render(&Page {
        command: "inspect",
        subject: report.input.clone(),
        verdict,
        files: vec![Source::of("read", report.input.clone(), model)],
        options: Some(&report.options),
        parts: vec![part],
        verification: None,
        comparison: None,
        check: None,
    })
}
