//! `onnx-rm verify`, and the verification inside `rewrite`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::verify::VerifyReport;

use super::{Bar, Defaults, Failure, Feeding, Talking, Verdict, print, say};

pub(super) const EXAMPLES: &str = "Examples:
  onnx-rm verify model.onnx chain.onnx
  onnx-rm verify model.onnx chain.onnx --inputs samples.npz
  onnx-rm verify model.onnx chain.onnx --input-shape input:1x3x224x224
  onnx-rm verify model.onnx chain.onnx --dump reproducer

Both models are evaluated in float64, where they may differ by what rounding of the original itself explains, and both
are run in their own type. An output that is constant, zero or not finite is no evidence.";

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The model that is right
    original: PathBuf,
    /// The model that should compute the same
    rewritten: PathBuf,
    #[command(flatten)]
    feeding: Feeding,
    #[command(flatten)]
    defaults: Defaults,
    #[command(flatten)]
    talking: Talking,
}

pub(super) fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let bar = Bar::new(arguments.talking.quiet || arguments.talking.json);
    let report = compare(&arguments.original, &arguments.rewritten, (&arguments.feeding, arguments.defaults), &bar)?;
    drop(bar);
    if arguments.talking.json {
        print(&serde_json::to_string_pretty(&report).unwrap_or_default())?;
    } else if !arguments.talking.quiet {
        say(&format!("{report}\n"));
    }
    Ok(if report.is_equal() { Verdict::Done } else { Verdict::Finding })
}

#[cfg(feature = "verify")]
pub(super) fn compare(
    original: &Path,
    rewritten: &Path,
    (feeding, defaults): (&Feeding, Defaults),
    bar: &Bar,
) -> Result<VerifyReport, Failure> {
    let options = crate::verify::VerifyOptions {
        inputs: feeding.inputs.clone(),
        shapes: feeding.input_shape.clone(),
        seed: feeding.seed,
        dump: feeding.dump.clone(),
        constant_initializers: defaults.constant_initializers,
    };
    crate::verify::verify_watched(original, rewritten, &options, &|p| bar.count("verify", p.stage, p.done, p.total))
        .map_err(|e| Failure { message: e.to_string(), hint: e.hint().map(str::to_owned) })
}

#[cfg(not(feature = "verify"))]
pub(super) fn compare(
    original: &Path,
    _: &Path,
    (feeding, defaults): (&Feeding, Defaults),
    _: &Bar,
) -> Result<VerifyReport, Failure> {
    let _ = (&feeding.inputs, &feeding.input_shape, &feeding.dump, feeding.seed, defaults.constant_initializers);
    Err(Failure::new(original, "this build cannot verify: it was built without the feature 'verify'"))
}
