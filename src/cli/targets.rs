//! `onnx-rm targets`.

use clap::Args;

use crate::options::Target;

use super::named;
use super::{Failure, Verdict, print};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// A target, or a file that ends in .toml, to say all of
    #[arg(value_name = "NAME|FILE", value_parser = named::target)]
    target: Option<Target>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let lines: Vec<String> = match &arguments.target {
        Some(target) => vec![target.to_string()],
        None => Target::all().iter().map(|t| format!("{:<12} {}", t.name(), t.about())).collect(),
    };
    print(&lines.join("\n"))?;
    Ok(Verdict::Done)
}
