//! `onnx-rm targets`, and what `--target` takes.

use std::path::Path;

use clap::Args;

use crate::options::Target;

use super::{Failure, Verdict, print};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// A target, or a file that ends in .toml, to say all of
    #[arg(value_name = "NAME|FILE", value_parser = read)]
    target: Option<Target>,
}

/// The target that is called `word`, or that the file `word` describes.
///
/// # Errors
/// Why there is none, in one line.
pub(super) fn read(word: &str) -> Result<Target, String> {
    if !word.ends_with(".toml") {
        return Target::named(word).map_err(|e| e.to_string());
    }
    let text = crate::io::read_text(Path::new(word)).map_err(|e| e.to_string())?;
    Target::parse(&text).map_err(|e| e.to_string())
}

pub(super) fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let lines: Vec<String> = match &arguments.target {
        Some(target) => vec![target.to_string()],
        None => Target::all().iter().map(|t| format!("{:<12} {}", t.name(), t.about())).collect(),
    };
    print(&lines.join("\n"))?;
    Ok(Verdict::Done)
}
