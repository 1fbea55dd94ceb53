//! The tree of commands, and what runs the one that is asked for.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::printable::Printable;

#[cfg(unix)]
use super::signals;
use super::{Verdict, bench, calibrate, check, inspect, manual, prune, rewrite, say, targets, verify};

/// Removes residual connections from trained ONNX networks without changing what they compute.
#[derive(Debug, Parser)]
#[command(name = "onnx-rm", version, about, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0  done, also when there was nothing to do
  1  a finding: models differ, no evidence, nothing to do under --require, or a policy that is not kept
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
    /// Check models against a policy: the gate for continuous integration.
    #[command(after_help = check::EXAMPLES)]
    Check(check::Arguments),
    /// Take channels out of a model and fit what is left to samples. It then computes something else; the report says how much.
    #[command(after_help = prune::EXAMPLES)]
    Prune(prune::Arguments),
    /// Time two models in turns, through tract, ONNX Runtime or both.
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Arguments),
    /// Measure on this machine what the model of time counts with, for --cost-model.
    #[command(after_help = calibrate::EXAMPLES)]
    Calibrate(calibrate::Arguments),
    /// List the targets that --target names, or say what one of them takes and where that is known from.
    Targets(targets::Arguments),
    /// Print a completion script for a shell.
    Completions(manual::Completions),
    /// Print the manual page, or write one a command into a folder.
    Man(manual::Man),
}

/// Runs the program on its arguments.
#[must_use]
pub fn run() -> ExitCode {
    ExitCode::from(run_words(std::env::args_os()))
}

/// Runs the program on `words`, its name first, and returns its exit code.
#[must_use]
pub fn run_words(words: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { 2 } else { 0 };
        }
    };
    #[cfg(unix)]
    if let Err(error) = signals::handle() {
        say(&format!(
            "note: an interrupted run may leave a temporary folder, for signals cannot be waited for: {error}\n"
        ));
    }
    #[cfg(feature = "verify")]
    crate::verify::silence_caught_panics();
    let result = match cli.command {
        Command::Rewrite(arguments) => rewrite::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Prune(arguments) => prune::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Calibrate(arguments) => calibrate::run(&arguments),
        Command::Targets(arguments) => targets::run(&arguments),
        Command::Completions(arguments) => manual::completions(&arguments, Cli::command()),
        Command::Man(arguments) => manual::man(&arguments, Cli::command()),
    };
    match result {
        Ok(Verdict::Done) => 0,
        Ok(Verdict::Finding) => 1,
        Ok(Verdict::Broken) => 2,
        Err(failure) => {
            let red = anstyle::AnsiColor::Red.on_default().bold();
            let mut stderr = anstream::stderr();
            let _ = writeln!(stderr, "{red}error{red:#}: {}", Printable(failure.message));
            if let Some(hint) = failure.hint {
                let _ = writeln!(stderr, "hint: {}", Printable(hint));
            }
            2
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
}
