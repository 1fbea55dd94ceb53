//! `onnx-rm rewrite`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::deliver::{Goal, Terms, deliver};
use crate::engine;
use crate::mend::Unstable;
use crate::printable::Printable;
use crate::report::{Action, Report};

use super::{Bar, Comparing, Demanding, Failure, Feeding, Planning, Reading, Talking, Verdict, print, say};

pub(super) const EXAMPLES: &str = "Examples:
  onnx-rm rewrite resnet50.onnx chain.onnx
  onnx-rm rewrite edsr.onnx chain.onnx --long-skips
  onnx-rm rewrite model.onnx chain.onnx --target onnxruntime --json > report.json
  onnx-rm rewrite model.onnx chain.onnx --inputs samples.npz --require

Both saved files are run before the output gets its name. If they differ, nothing is written and the exit code is 1.";

/// What is asked of a rewrite, wherever the model comes from and goes to.
#[derive(Args, Clone, Debug)]
pub struct Rewriting {
    #[command(flatten)]
    pub planning: Planning,
    #[command(flatten)]
    pub reading: Reading,
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
    #[command(flatten)]
    talking: Talking,
}

pub(super) fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let Arguments { input, output, rewriting, talking } = arguments;
    if !rewriting.no_verify && !rewriting.dry_run && !cfg!(feature = "verify") {
        return Err(Failure {
            message: "this build cannot verify: it was built without the feature 'verify'".to_owned(),
            hint: Some("--no-verify writes without verification".to_owned()),
        });
    }
    let bar = Bar::new(talking.quiet || talking.json);
    let original = rewriting.reading.load(input)?;
    let options = rewriting.planning.options();
    let mut model = original.clone();
    let outcome = engine::rewrite(&mut model, &options, &mut |p| bar.show(p)).map_err(|e| Failure::new(input, e))?;
    let mut report = Report::new(Action::Rewrite, input.display().to_string(), options, outcome);
    let mut compare = |staged: &Path| super::verify::compare(input, staged, &rewriting.comparing(), &bar);
    let compare = if rewriting.no_verify { None } else { Some(&mut compare as _) };
    let delivery = deliver(&original, model, &mut report, &rewriting.terms(), Goal::File(output, compare))?;
    drop(bar);
    if !talking.quiet {
        for file in &delivery.left {
            let file = Printable(file.display());
            say(&format!("note: '{file}' held weights of the model that was replaced and is left\n"));
        }
    }
    if talking.json {
        let hint = report.output.as_ref().map(|_| "the model itself was written".to_owned());
        print(&report.to_json()).map_err(|failure| Failure { hint, ..failure })?;
    } else if !talking.quiet {
        say(&report);
    }
    let Some(finding) = delivery.finding else { return Ok(Verdict::Done) };
    // Even a quiet run says why it wrote nothing.
    if talking.quiet {
        say(&format!("{}: {finding}\n", input.display()));
    }
    Ok(Verdict::Finding)
}
