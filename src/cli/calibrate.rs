//! `onnx-rm calibrate`.

use std::path::PathBuf;

use clap::Args;

use crate::calibrate::run::Calibration;

use super::asking::Engines;
use super::named::is_json;
use super::{Bar, Failure, Talking, Verdict, print};

pub(super) const EXAMPLES: &str = "Examples:
  onnx-rm calibrate machine.toml
  onnx-rm calibrate machine.toml --engine onnxruntime --onnxruntime /usr/lib
  onnx-rm rewrite resnet50.onnx chain.onnx --cost-model machine.toml

Small models are run in turns on one thread; nothing else should keep the machine busy meanwhile.";

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Where to write the rates: TOML, or JSON where the name ends in .json. Without it they are only printed
    file: Option<PathBuf>,
    /// Times that each model is timed
    #[arg(long, default_value_t = 9, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    #[command(flatten)]
    engines: Engines,
    #[command(flatten)]
    talking: Talking,
}

pub(super) fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let Arguments { file, talking, .. } = arguments;
    let bar = Bar::new(talking.quiet || talking.json);
    let found = measure(arguments, &bar)?;
    drop(bar);
    let json = serde_json::to_string_pretty(&found).unwrap_or_default();
    if let Some(path) = file {
        let text = if is_json(path) { json.clone() } else { found.to_toml() };
        crate::io::write_text(path, &text, false).map_err(|e| Failure::new(path, e))?;
    }
    if talking.json {
        print(&json)?;
    } else if !talking.quiet {
        print(&found)?;
    }
    Ok(Verdict::Done)
}

#[cfg(feature = "verify")]
fn measure(arguments: &Arguments, bar: &Bar) -> Result<Calibration, Failure> {
    let watch = |p: &crate::verify::VerifyProgress| bar.count("calibrate", p.stage, p.done, p.total);
    let (engine, path) = arguments.engines.chosen();
    if engine == crate::verify::Engine::Both {
        return Err(Failure {
            message: "the rates are those of one engine".to_owned(),
            hint: Some("--engine tract or --engine onnxruntime".to_owned()),
        });
    }
    Ok(crate::calibrate::run::calibrate(engine, path, usize::from(arguments.rounds), &watch)?)
}

#[cfg(not(feature = "verify"))]
fn measure(arguments: &Arguments, _: &Bar) -> Result<Calibration, Failure> {
    let _ = (&arguments.engines, arguments.rounds);
    Err(Failure {
        message: "this build cannot run models: it was built without the feature 'verify'".to_owned(),
        hint: None,
    })
}
