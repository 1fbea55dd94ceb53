//! `onnx-rm rewrite`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::api::{save, save_mended, save_when_equal};
use crate::engine;
use crate::io::Model;
use crate::mend::Unstable;
use crate::printable::Printable;
use crate::report::{Action, Report, Verification};
use crate::verify::VerifyReport;

use super::{Bar, Failure, Feeding, Planning, Reading, Talking, Verdict, print, say};

pub(super) const EXAMPLES: &str = "Examples:
  onnx-rm rewrite resnet50.onnx chain.onnx
  onnx-rm rewrite edsr.onnx chain.onnx --long-skips
  onnx-rm rewrite model.onnx chain.onnx --target onnxruntime --json > report.json
  onnx-rm rewrite model.onnx chain.onnx --inputs samples.npz --require

Both saved files are run before the output gets its name. If they differ, nothing is written and the exit code is 1.";

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The model to read
    input: PathBuf,
    /// The model to write; may be the same file
    output: PathBuf,
    #[command(flatten)]
    planning: Planning,
    #[command(flatten)]
    reading: Reading,
    /// Write without running the models; the report says so
    #[arg(long)]
    no_verify: bool,
    /// Also rewrite a model whose own result is mostly rounding error, when both agree in float64
    #[arg(long)]
    accept_unstable: bool,
    #[command(flatten)]
    feeding: Feeding,
    /// Exit with 1, and write nothing, when no join could be removed
    #[arg(long)]
    require: bool,
    /// Plan and report only; write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    talking: Talking,
}

pub(super) fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let input = &arguments.input;
    if !arguments.no_verify && !arguments.dry_run && !cfg!(feature = "verify") {
        return Err(Failure {
            message: "this build cannot verify: it was built without the feature 'verify'".to_owned(),
            hint: Some("--no-verify writes without verification".to_owned()),
        });
    }
    let bar = Bar::new(arguments.talking.quiet || arguments.talking.json);
    let mut model = arguments.reading.load(input)?;
    let options = arguments.planning.options(arguments.reading.defaults);
    let original = model.clone();
    let outcome = engine::rewrite(&mut model, &options, &mut |p| bar.show(p)).map_err(|e| Failure::new(input, e))?;
    let found = outcome.removed().next().is_some();
    let mut report = Report::new(Action::Rewrite, input.display().to_string(), options, outcome);
    let mut verdict = if arguments.require && !found { Verdict::Finding } else { Verdict::Done };
    if !arguments.dry_run && matches!(verdict, Verdict::Done) {
        verdict = write(arguments, (&original, model), &mut report, &bar)?;
    }
    drop(bar);
    if arguments.talking.json {
        let hint = report.output.as_ref().map(|_| "the model itself was written".to_owned());
        print(&report.to_json()).map_err(|failure| Failure { hint, ..failure })?;
    } else if !arguments.talking.quiet {
        say(&report);
    }
    if let (Verdict::Finding, true) = (&verdict, arguments.talking.quiet) {
        say(&format!("{}: {}\n", input.display(), finding(&report)));
    }
    Ok(verdict)
}

/// Even a quiet run says why it wrote nothing.
fn finding(report: &Report) -> String {
    match &report.verification {
        Some(Verification::Failed(v)) => v.to_string(),
        _ => "no join could be removed".to_owned(),
    }
}

fn write(
    arguments: &Arguments,
    (original, model): (&Model, Model),
    report: &mut Report,
    bar: &Bar,
) -> Result<Verdict, Failure> {
    let mut compare = |staged: &Path| {
        super::verify::compare(&arguments.input, staged, (&arguments.feeding, arguments.reading.defaults), bar)
    };
    let unstable = if arguments.accept_unstable { Unstable::Accept } else { Unstable::Keep };
    let output = &arguments.output;
    let (verification, mut saved) = if arguments.no_verify {
        save_when_equal(&model, output, None::<fn(&Path) -> Result<VerifyReport, Failure>>, unstable)?
    } else {
        let rewritten = (model, report.outcome.clone());
        let (outcome, verification, saved) =
            save_mended(original, rewritten, &report.options, output, &mut compare, unstable)?;
        report.outcome = outcome;
        (verification, saved)
    };
    match report.verification.insert(verification) {
        Verification::Failed(_) => return Ok(Verdict::Finding),
        Verification::Unstable(found) => {
            let (dtype, message) = (&found.arithmetic.element_type, &found.message);
            engine::leave_unstable(&mut report.outcome, dtype, message, found.agrees_in_float64());
            if arguments.require {
                return Ok(Verdict::Finding);
            }
            saved = save(original, output)?;
        }
        Verification::Passed(_) | Verification::Off | Verification::Unchanged => {}
    }
    if !arguments.talking.quiet {
        for file in &saved.left {
            say(&format!(
                "note: '{}' held weights of the model that was replaced and is left\n",
                Printable(file.display())
            ));
        }
    }
    report.output = Some(arguments.output.display().to_string());
    Ok(Verdict::Done)
}
