//! The command line: the clap tree, and one file a subcommand.
//!
//! Words go to stderr, a command's product (the text of `inspect`, every JSON) to stdout. Exit code 0: done, also when
//! there was nothing to do; 1: a finding; 2: an error.

mod inspect;
mod manual;
mod rewrite;
#[cfg(unix)]
mod signals;
mod verify;

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::engine::{EngineError, Progress};
use crate::io::{LoadError, LoadOptions, Model, SaveError};
use crate::plan::options::{
    ActivationForm, Chain, Downsample, Families, FusePointwise, Objective, Options, Selector, Target,
};
use crate::printable::{Lines, Printable};

/// Removes residual connections from trained ONNX networks without changing what they compute.
#[derive(Debug, Parser)]
#[command(name = "onnx-rm", version, about, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0  done, also when there was nothing to do
  1  a finding: models differ, no evidence, or nothing to do under --require
  2  an error: bad input, unsupported model, input or output failed";

#[derive(Debug, Subcommand)]
enum Command {
    /// Rewrite a model into a plain chain, verify it, and write it.
    #[command(after_help = rewrite::EXAMPLES)]
    Rewrite(rewrite::Arguments),
    /// List every join: removable or why not, in which form and at what price. Writes nothing.
    #[command(after_help = inspect::EXAMPLES)]
    Inspect(inspect::Arguments),
    /// Compare two models by what they compute, with float64 as the yardstick.
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::Arguments),
    /// Print a completion script for a shell.
    Completions(manual::Completions),
    /// Print the manual page, or write one a command into a folder.
    Man(manual::Man),
}

/// Choices that plan a rewrite.
#[derive(Args, Clone, Debug)]
struct Planning {
    /// Also remove joins whose branch held another join; dear, for the input is carried across all of it
    #[arg(long)]
    long_skips: bool,
    /// Which recipe removes a projection shortcut: reserve its output (v1) or its input (v2)
    #[arg(long, value_enum, default_value_t, value_name = "RECIPE")]
    downsample: Downsample,
    /// How signed carried channels pass an activation
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    activation: ActivationForm,
    /// What will run the model: onnxruntime gets Max and Min in place of PRelu, which is slow there
    #[arg(long, value_enum, default_value_t, value_name = "RUNTIME")]
    target: Target,
    /// What to make small: time on a CPU, multiply-accumulates, weights, the largest operator's tensors, or operators
    #[arg(long, value_enum, default_value_t, value_name = "MEASURE")]
    objective: Objective,
    /// What a chain consists of: conv for nothing but convolutions, auto for selections of channels and sums as well
    #[arg(long, value_enum, default_value_t, value_name = "CHAIN")]
    carry: Chain,
    /// Run only these mechanisms; may be repeated. Without it: residual, parallel and sequence
    #[arg(long, value_enum, value_name = "FAMILY")]
    only: Vec<Selector>,
    /// Do not run these; may be repeated
    #[arg(long, value_enum, value_name = "FAMILY")]
    skip: Vec<Selector>,
    /// When two 1x1 convolutions, or linear layers, with nothing between become one: auto when that is no dearer
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    fuse_pointwise: FusePointwise,
}

impl Planning {
    fn options(&self) -> Options {
        Options {
            long_skips: self.long_skips,
            downsample: self.downsample,
            activation: self.activation,
            target: self.target,
            objective: self.objective,
            carry: self.carry,
            families: Families::new(&self.only, &self.skip),
            fuse_pointwise: self.fuse_pointwise,
        }
    }
}

/// How to read a model.
#[derive(Args, Clone, Copy, Debug)]
struct Reading {
    /// Accept a file with fields that ONNX IR version 14 does not know, and drop them
    #[arg(long)]
    drop_unknown_fields: bool,
}

impl Reading {
    fn load(self, path: &Path) -> Result<Model, Failure> {
        let options = LoadOptions { drop_unknown_fields: self.drop_unknown_fields };
        Ok(crate::io::load(path, &options)?)
    }
}

/// Inputs for a verification.
#[derive(Args, Clone, Debug)]
struct Feeding {
    /// Verify on these inputs too: an .npz with one array a graph input
    #[arg(long, value_name = "FILE.npz")]
    inputs: Option<PathBuf>,
    /// Shape of an input with free dimensions, as name:1x3x224x224; may be repeated
    #[arg(long, value_name = "NAME:SHAPE", value_parser = shape)]
    input_shape: Vec<(String, Vec<usize>)>,
    /// Seed of the random inputs
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn shape(text: &str) -> Result<(String, Vec<usize>), String> {
    let (name, dims) = text.rsplit_once(':').ok_or("expected name:1x3x224x224")?;
    let dims: Result<Vec<usize>, _> = dims.split('x').map(str::parse).collect();
    match dims {
        Ok(dims) if !name.is_empty() && dims.iter().all(|d| *d > 0) => Ok((name.to_owned(), dims)),
        _ => Err("expected name:1x3x224x224 with positive sizes".to_owned()),
    }
}

/// How to talk.
#[derive(Args, Clone, Copy, Debug)]
struct Talking {
    /// Print a versioned JSON report on stdout
    #[arg(long)]
    json: bool,
    /// Say nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

/// An error for the user: what, and perhaps what to do.
struct Failure {
    message: String,
    hint: Option<String>,
}

impl Failure {
    fn new(path: &Path, error: impl std::fmt::Display) -> Self {
        Self { message: format!("{}: {error}", path.display()), hint: None }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self { message: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self { message: error.to_string(), hint: None }
    }
}

impl From<SaveError> for Failure {
    fn from(error: SaveError) -> Self {
        Self { message: error.to_string(), hint: None }
    }
}

/// What a command found.
enum Verdict {
    Done,
    Finding,
}

/// Runs the program on its arguments.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    #[cfg(unix)]
    if let Err(error) = signals::handle() {
        say(&format!(
            "note: an interrupted run may leave a temporary folder, for signals cannot be waited for: {error}\n"
        ));
    }
    let result = match cli.command {
        Command::Rewrite(arguments) => rewrite::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Completions(arguments) => manual::completions(&arguments),
        Command::Man(arguments) => manual::man(&arguments),
    };
    match result {
        Ok(Verdict::Done) => ExitCode::SUCCESS,
        Ok(Verdict::Finding) => ExitCode::from(1),
        Err(failure) => {
            let red = anstyle::AnsiColor::Red.on_default().bold();
            let mut stderr = anstream::stderr();
            let _ = writeln!(stderr, "{red}error{red:#}: {}", Printable(failure.message));
            if let Some(hint) = failure.hint {
                let _ = writeln!(stderr, "hint: {}", Printable(hint));
            }
            ExitCode::from(2)
        }
    }
}

/// Writes words for people to stderr.
fn say(text: &dyn std::fmt::Display) {
    let _ = write!(anstream::stderr(), "{}", Lines(text));
}

/// Writes a command's product to stdout.
fn print(text: &dyn std::fmt::Display) -> Result<(), Failure> {
    out(|_| writeln!(anstream::stdout(), "{text}"))
}

/// Lets `write` write to stdout. A reader that has seen enough is no error; a full disk is.
fn out(write: impl FnOnce(&mut io::Stdout) -> io::Result<()>) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(Path::new("stdout"), error)),
        _ => Ok(()),
    }
}

/// A progress bar on a terminal, nothing elsewhere.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn new(quiet: bool) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        Self(shown.then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {wide_msg}") {
                bar.set_style(style);
            }
            bar
        }))
    }

    fn show(&self, progress: &Progress) {
        self.count(&format!("round {}", progress.round), &progress.message, progress.done, progress.total);
    }

    fn count(&self, prefix: &str, message: &str, done: usize, total: usize) {
        if let Some(bar) = &self.0 {
            bar.set_prefix(Printable(prefix).to_string());
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            bar.set_message(Printable(message).to_string());
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_tree_is_sound() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn shapes_are_read() {
        assert_eq!(super::shape("a:b:1x3x8"), Ok(("a:b".to_owned(), vec![1, 3, 8])));
        assert!(super::shape("x:1x0").is_err());
        assert!(super::shape("1x3").is_err());
    }
}
