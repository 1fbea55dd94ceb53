//! The command line: the clap tree, one file a subcommand, and here what these share.
//!
//! Words go to stderr, a command's product (the text of `inspect`, every JSON) to stdout. Exit code 0: done, also when
//! there was nothing to do; 1: a finding; 2: an error.

mod asking;
mod bench;
mod calibrate;
mod check;
mod inspect;
mod manual;
mod named;
mod prune;
mod report;
mod rewrite;
#[cfg(unix)]
mod signals;
mod targets;
mod tree;
mod verify;
mod words;

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::demand::{Demand, Demands};
use crate::engine::{EngineError, Progress};
use crate::io::{LoadError, LoadOptions, Model, SaveError};
use crate::options::{
    ActivationForm, Chain, Downsample, Families, FusePointwise, Limit, Limits, Objective, Options, Pads, Rates,
    Selector, Target,
};
use crate::printable::{Lines, Printable};

pub use bench::Timing;
pub use check::Checking;
pub use inspect::Inspecting;
pub use prune::Pruning;
pub use rewrite::Rewriting;
pub use tree::{run, run_words};
pub use verify::Comparing;
pub use words::read;

/// Choices that plan a rewrite.
#[derive(Args, Clone, Debug)]
pub struct Planning {
    /// Also remove joins whose branch held another join; dear, for the input is carried across all of it
    #[arg(long)]
    long_skips: bool,
    /// Which recipe removes a projection shortcut: reserve its output (v1) or its input (v2)
    #[arg(long, value_enum, default_value_t, value_name = "RECIPE")]
    downsample: Downsample,
    /// How signed carried channels pass an activation
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    activation: ActivationForm,
    /// What will run the model, which decides which operators may be written and what is preferred: a name that 'onnx-rm targets'
    /// lists, or a file that ends in .toml
    #[arg(long, default_value = "generic", value_name = "NAME|FILE", value_parser = named::target)]
    target: Target,
    /// What to make small: time on a CPU (latency, unless the target says another), multiply-accumulates, weights, the largest
    /// operator's tensors, operators, elements through activations (nonlinear), or these and multiply-accumulates (constraints)
    #[arg(long, value_enum, value_name = "MEASURE")]
    objective: Option<Objective>,
    /// Rates for the model of time, as 'onnx-rm calibrate' measures and writes them
    #[arg(long, value_name = "FILE", value_parser = named::rates)]
    cost_model: Option<Rates>,
    /// What a chain consists of: conv for nothing but convolutions, auto for selections of channels and sums as well (unless the
    /// target says conv)
    #[arg(long, value_enum, value_name = "CHAIN")]
    carry: Option<Chain>,
    /// Whether the zeros around a convolution's input may differ between the ends of an axis: symmetric for runtimes that have one
    /// number for both
    #[arg(long, value_enum, value_name = "PADS")]
    pads: Option<Pads>,
    /// Run only these mechanisms; may be repeated. Without it: residual, parallel, sequence and transpose
    #[arg(long, value_enum, value_name = "FAMILY")]
    only: Vec<Selector>,
    /// Do not run these; may be repeated
    #[arg(long, value_enum, value_name = "FAMILY")]
    skip: Vec<Selector>,
    /// When two 1x1 convolutions, or linear layers, with nothing between become one: auto when that is no dearer
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    fuse_pointwise: FusePointwise,
    /// Also write an average pool over the whole map and the linear layer behind it as one convolution, and a Reshape that is a
    /// Flatten as one: dearer, for runtimes that lack the others
    #[arg(long)]
    fold_head: bool,
    /// Remove the most joins for at most so many multiply-accumulates: 1.5x of the original's, or a number
    #[arg(long, value_name = "LIMIT")]
    max_macs: Option<Limit>,
    /// The same for weights
    #[arg(long, value_name = "LIMIT")]
    max_parameters: Option<Limit>,
    /// The same for the bytes of the file, with its weights
    #[arg(long, value_name = "LIMIT")]
    max_bytes: Option<Limit>,
    /// The same for the bytes of activations that are alive at once
    #[arg(long, value_name = "LIMIT")]
    max_peak_memory: Option<Limit>,
    /// Leave the joins whose node or output has such a name, as 'layer1*'; may be repeated
    #[arg(long, value_name = "GLOB")]
    keep: Vec<String>,
    /// Remove only joins whose node or output has such a name; may be repeated
    #[arg(long, value_name = "GLOB")]
    sites: Vec<String>,
    /// Take initializers that are graph inputs as well as constants, and out of the inputs of what is rewritten
    #[arg(long)]
    constant_initializers: bool,
    /// Also carry channels past Instance-, Group- and LayerNormalization and GRN: what is normalised is taken out and put back
    #[arg(long)]
    open_norms: bool,
    /// Keep calls of the model's local functions, even where a join or a fold is part of one
    #[arg(long)]
    keep_functions: bool,
}

impl Planning {
    /// The same for the library.
    #[must_use]
    pub fn options(&self) -> Options {
        let target = &self.target;
        let wanted = Options::default().target(target.clone());
        let families = Families::new(&self.only, &self.skip);
        Options {
            long_skips: self.long_skips,
            downsample: self.downsample,
            activation: self.activation,
            objective: self.objective.unwrap_or(wanted.objective),
            rates: self.cost_model,
            carry: self.carry.unwrap_or(wanted.carry),
            pads: self.pads.unwrap_or(wanted.pads),
            // What is asked for runs, whatever the target gains by it.
            families: if self.only.is_empty() { families.without(target.skip()) } else { families },
            target: target.clone(),
            fuse_pointwise: self.fuse_pointwise,
            fold_head: self.fold_head || wanted.fold_head,
            limits: Limits {
                macs: self.max_macs,
                parameters: self.max_parameters,
                bytes: self.max_bytes,
                peak_memory: self.max_peak_memory,
            },
            keep: self.keep.clone(),
            sites: self.sites.clone(),
            plan: None,
            constant_initializers: self.constant_initializers,
            keep_functions: self.keep_functions,
            open_norms: self.open_norms,
        }
    }
}

/// How to read a model.
#[derive(Args, Clone, Copy, Debug)]
pub struct Reading {
    /// Accept a file with fields that ONNX IR version 14 does not know, and drop them
    #[arg(long)]
    drop_unknown_fields: bool,
}

impl Reading {
    /// The same for the library.
    #[must_use]
    pub fn options(self) -> LoadOptions {
        LoadOptions::default().drop_unknown_fields(self.drop_unknown_fields)
    }

    fn load(self, path: &Path) -> Result<Model, Failure> {
        Ok(crate::io::load(path, &self.options())?)
    }
}

/// What must hold of the result.
#[derive(Args, Clone, Debug)]
pub struct Demanding {
    /// Exit with 1, and write nothing, unless something could be removed (no word, or removal), or unless every tensor of the
    /// result has one reader (chain); may be repeated
    #[arg(long, value_enum, value_name = "WHAT", num_args = 0..=1, default_missing_value = "removal")]
    require: Vec<Demand>,
    /// Exit with 1, and write nothing, unless every operator of the result is one of these, as Conv,Relu
    #[arg(long, value_name = "OPERATORS", value_delimiter = ',')]
    require_ops: Vec<String>,
}

impl Demanding {
    /// The same for the library.
    #[must_use]
    pub fn demands(&self) -> Demands {
        Demands::new(self.require.clone(), self.require_ops.clone())
    }
}

/// Inputs for a verification.
#[derive(Args, Clone, Debug)]
pub struct Feeding {
    /// Verify on these inputs too: an .npz with one array a graph input, an .npy, or a folder of ONNX test data (input_0.pb, or
    /// test_data_set_0 and so on)
    #[arg(long, value_name = "PATH")]
    inputs: Option<PathBuf>,
    /// Shape of an input with free dimensions, as name:1x3x224x224; may be repeated
    #[arg(long, value_name = "NAME:SHAPE", value_parser = shape)]
    input_shape: Vec<(String, Vec<usize>)>,
    /// Seed of the random inputs
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// When the models differ, write the part in which they do, and what to feed it, into a new folder in DIR
    #[arg(long, value_name = "DIR")]
    dump: Option<PathBuf>,
}

impl Feeding {
    /// Where the given inputs are.
    fn given(&self) -> Option<&Path> {
        self.inputs.as_deref()
    }
}

#[cfg(feature = "verify")]
impl Feeding {
    /// The same for the library.
    #[must_use]
    pub fn options(&self) -> crate::verify::VerifyOptions {
        crate::verify::VerifyOptions {
            inputs: self.inputs.clone(),
            shapes: self.input_shape.clone(),
            seed: self.seed,
            dump: self.dump.clone(),
            ..crate::verify::VerifyOptions::default()
        }
    }
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

#[cfg(feature = "verify")]
impl From<crate::verify::VerifyError> for Failure {
    fn from(error: crate::verify::VerifyError) -> Self {
        Self { message: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
}

/// What a command found.
enum Verdict {
    Done,
    Finding,
    /// Something could not be found out, and was said.
    Broken,
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

    fn show(&self, progress: &Progress) -> ControlFlow<()> {
        self.count(&format!("round {}", progress.round), &progress.message, progress.done, progress.total)
    }

    fn count(&self, prefix: &str, message: &str, done: usize, total: usize) -> ControlFlow<()> {
        if let Some(bar) = &self.0 {
            bar.set_prefix(Printable(prefix).to_string());
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            bar.set_message(Printable(message).to_string());
        }
        ControlFlow::Continue(())
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
    #[test]
    fn shapes_are_read() {
        assert_eq!(super::shape("a:b:1x3x8"), Ok(("a:b".to_owned(), vec![1, 3, 8])));
        assert!(super::shape("x:1x0").is_err());
        assert!(super::shape("1x3").is_err());
    }
}
