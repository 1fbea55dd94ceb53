//! `onnx-rm rewrite`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::deliver::{Goal, Terms, deliver};
use crate::engine;
use crate::io::{self, Model};
use crate::mend::Unstable;
use crate::options::{Options, Plan};
use crate::page::{self, ModelPart, Page, Source, Tone};
use crate::printable::Printable;
use crate::report::{Action, Report, Verification};

use super::report::{Reporting, again, inputs, net};
use super::{Bar, Comparing, Demanding, Failure, Feeding, Planning, Reading, Talking, Verdict, named, print, say};

pub(super) const EXAMPLES: &str = "Examples:
  onnx-rm rewrite resnet50.onnx chain.onnx
  onnx-rm rewrite edsr.onnx chain.onnx --long-skips
  onnx-rm rewrite model.onnx chain.onnx --target onnxruntime --json > report.json
  onnx-rm rewrite model.onnx chain.onnx --inputs samples.npz --require
  onnx-rm rewrite model.onnx chain.onnx --max-macs 1.5x --plan-out plan.json
  onnx-rm rewrite model.onnx chain.onnx --plan plan.json

Both saved files are run before the output gets its name. If they differ, nothing is written and the exit code is 1.";

/// What is asked of a rewrite, wherever the model comes from and goes to.
#[derive(Args, Clone, Debug)]
pub struct Rewriting {
    #[command(flatten)]
    pub planning: Planning,
    #[command(flatten)]
    pub reading: Reading,
    /// Remove the joins that a plan has go, each in its form, and leave those that it leaves; --plan-out writes one
    #[arg(long, value_name = "FILE", value_parser = named::plan)]
    plan: Option<Plan>,
    /// Write without running the models; the report says so
    #[arg(long)]
    pub no_verify: bool,
    /// Also rewrite a model whose own result is mostly rounding error, when both agree in float64
    #[arg(long)]
    accept_unstable: bool,
    #[command(flatten)]
    pub feeding: Feeding,
    #[command(flatten)]
    demanding: Demanding,
    /// Plan and report only; write nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl Rewriting {
    /// What to do, for the library.
    #[must_use]
    pub fn options(&self) -> Options {
        Options { plan: self.plan.clone(), ..self.planning.options() }
    }

    /// What the result is compared on.
    #[must_use]
    pub fn comparing(&self) -> Comparing {
        Comparing::new(self.feeding.clone(), self.planning.constant_initializers)
    }

    /// What may be given out.
    #[must_use]
    pub fn terms(&self) -> Terms {
        let unstable = if self.accept_unstable { Unstable::Accept } else { Unstable::Keep };
        Terms { unstable, demands: self.demanding.demands(), dry_run: self.dry_run }
    }
}

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The model to read
    input: PathBuf,
    /// The model to write; may be the same file
    output: PathBuf,
    #[command(flatten)]
    rewriting: Rewriting,
    /// Write which joins went and in which form, for --plan of a later run
    #[arg(long, value_name = "FILE")]
    plan_out: Option<PathBuf>,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    talking: Talking,
}

pub(super) fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let Arguments { input, output, rewriting, plan_out, reporting, talking } = arguments;
    let given = rewriting.feeding.given();
    reporting.spare(&[input.as_path(), output].into_iter().chain(given).collect::<Vec<_>>(), plan_out.as_deref())?;
    if !rewriting.no_verify && !rewriting.dry_run && !cfg!(feature = "verify") {
        return Err(Failure {
            message: "this build cannot verify: it was built without the feature 'verify'".to_owned(),
            hint: Some("--no-verify writes without verification".to_owned()),
        });
    }
    let bar = Bar::new(talking.quiet || talking.json);
    let original = rewriting.reading.load(input)?;
    let weights: Vec<&Path> = original.side_files().iter().map(|file| file.path.as_path()).collect();
    reporting.spare(&weights, plan_out.as_deref())?;
    let options = rewriting.options();
    let mut model = original.clone();
    let outcome = engine::rewrite(&mut model, &options, &mut |p| bar.show(p)).map_err(|e| Failure::new(input, e))?;
    let mut report = Report::new(Action::Rewrite, input.display().to_string(), options, outcome);
    let mut compare = |staged: &Path| super::verify::compare(input, staged, &rewriting.comparing(), &bar);
    let compare = if rewriting.no_verify { None } else { Some(&mut compare as _) };
    let planned = reporting.has_page().then(|| model.clone());
    let delivery = deliver(&original, model, &mut report, &rewriting.terms(), Goal::File(output, compare))?;
    drop(bar);
    let hint = report.output.as_ref().map(|_| "the model itself was written".to_owned());
    let page = || planned.as_ref().map_or_else(String::new, |planned| page(arguments, &original, planned, &report));
    let reported = reporting.write(|| report.to_json(), page).map_err(|f| Failure { hint: hint.clone(), ..f });
    let saved = write_plan(plan_out.as_deref(), &original, &report).map_err(|f| Failure { hint: hint.clone(), ..f });
    if !talking.quiet {
        for file in &delivery.left {
            let file = Printable(file.display());
            say(&format!("note: '{file}' held weights of the model that was replaced and is left\n"));
        }
    }
    if talking.json {
        print(&report.to_json()).map_err(|failure| Failure { hint, ..failure })?;
    } else if !talking.quiet {
        say(&report);
    }
    // Even a quiet run says why it wrote nothing.
    if let (true, Some(finding)) = (talking.quiet, &delivery.finding) {
        say(&format!("{}: {finding}\n", input.display()));
    }
    reported?;
    saved?;
    Ok(if delivery.finding.is_some() { Verdict::Finding } else { Verdict::Done })
}

/// Writes the plan of what `report` says of `model`, where a file for it is named.
pub(super) fn write_plan(path: Option<&Path>, model: &Model, report: &Report) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let plan = engine::planned(model.proto(), &report.options, &report.outcome)?;
    io::write_text(path, &plan.to_json(), false).map_err(|e| Failure::new(path, e))
}

/// What was made, or would have been.
fn page(arguments: &Arguments, original: &Model, planned: &Model, report: &Report) -> String {
    let Arguments { input, output, rewriting, .. } = arguments;
    let read = Source::of("read", input.display().to_string(), original);
    let (files, after) = match &report.output {
        Some(_) => {
            let (file, model) = again(output, "written", &rewriting.reading.options());
            (vec![read, file], model.and_then(|model| net(model.proto())))
        }
        None => (vec![read], net(planned.proto())),
    };
    let files = files.into_iter().chain(inputs(&rewriting.feeding)).collect();
    let part = ModelPart {
        before: Some(net(original.proto())),
        after: Some(after),
        is_written: report.output.is_some(),
        outcome: Some(&report.outcome),
        ..ModelPart::default()
    };
    page::render(&Page {
        command: "rewrite",
        subject: input.display().to_string(),
        verdict: verdict(report),
        files,
        options: Some(&report.options),
        parts: vec![part],
        verification: report.verification.as_ref(),
        comparison: None,
        check: None,
    })
}

fn verdict(report: &Report) -> page::Verdict {
    let done = |what: &str| {
        let joins = report.outcome.removed().filter(|(site, _)| site.is_residual()).count();
        format!("{joins} of {} joins removed, {what}", report.outcome.before.joins)
    };
    let (tone, head, body) = match (&report.unmet, &report.verification) {
        (Some(unmet), _) => {
            (Tone::Bad, "Nothing was written, for what is required does not hold".to_owned(), unmet.clone())
        }
        (None, None) => (Tone::Note, "Planned only: nothing was written".to_owned(), String::new()),
        (None, Some(Verification::Passed(found))) => {
            let tone = if found.is_unstable() { Tone::Note } else { Tone::Good };
            (tone, done("and the result computes the same"), found.message.clone())
        }
        (None, Some(Verification::Failed(found))) => {
            (Tone::Bad, "Nothing was written, for the comparison did not pass".to_owned(), found.message.clone())
        }
        (None, Some(Verification::Unstable(found))) => (
            Tone::Note,
            "The model is left as it is, for rounding decides what it computes".to_owned(),
            found.message.clone(),
        ),
        (None, Some(Verification::Off)) => (
            Tone::Note,
            done("without a comparison"),
            "Nobody looked whether both compute the same (--no-verify).".to_owned(),
        ),
        (None, Some(Verification::Unchanged)) => {
            (Tone::Note, "There was nothing to do: the output is the input, byte for byte".to_owned(), String::new())
        }
    };
    page::Verdict { tone, head, body }
}
