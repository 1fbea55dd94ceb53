//! `onnx-rm prune`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::io::Model;
use crate::prune::{Amount, PruneError, PruneOptions, PruneReport, Pruned, Samples, Way, prune_watched};
use crate::verify::samples::Preprocess;

use super::{Bar, Failure, Planning, Reading, Talking, Verdict, print, say};

pub(super) const EXAMPLES: &str = "Examples:
  onnx-rm prune resnet32.onnx small.onnx --calibration images.npz --macs 0.5x
  onnx-rm prune model.onnx small.onnx --calibration x.npz --labels y.npy --macs 0.6x --min-agreement 0.95
  onnx-rm prune model.onnx small.onnx --calibration x.npz --parameters 0.5x --keep 'layer4*' --way residual
  onnx-rm prune model.onnx smaller.onnx --exact-only

Pruning changes what a model computes. One sample in five is held out, and the report says what the outputs lost on these.
Only --exact-only changes nothing but the order of additions.";

/// How a model is pruned.
#[derive(Args, Clone, Debug)]
pub struct Pruning {
    /// Samples to fit to, some hundred: an .npz with one array a graph input and samples along axis 0, an .npy, a folder of ONNX test data,
    /// or, with --preprocess, a folder of images
    #[arg(long, value_name = "PATH", required_unless_present = "exact_only")]
    calibration: Option<PathBuf>,
    /// What is done to each image, as resize=256,crop=224,scale=1/255,mean=0.485:0.456:0.406,std=0.229:0.224:0.225
    #[arg(long, value_name = "STEPS", requires = "calibration")]
    preprocess: Option<Preprocess>,
    /// The class of each sample, as an .npy of integers: accuracy before and after is reported
    #[arg(long, value_name = "FILE.npy", requires = "calibration")]
    labels: Option<PathBuf>,
    /// Most multiply-accumulates that stay: 0.5x of the original's, or a number
    #[arg(long, value_name = "LIMIT", required_unless_present_any = ["exact_only", "parameters", "peak_memory", "latency"])]
    macs: Option<Amount>,
    /// Most weights that stay
    #[arg(long, value_name = "LIMIT")]
    parameters: Option<Amount>,
    /// Most memory for activations that stays: the largest sum of all that are alive at once, as 0.5x or in bytes
    #[arg(long, value_name = "LIMIT")]
    peak_memory: Option<Amount>,
    /// Most time that stays, by the model of `--objective latency`: 0.5x, or nanoseconds
    #[arg(long, value_name = "LIMIT")]
    latency: Option<Amount>,
    /// Layers whose node or output has such a name keep their channels; may be repeated
    #[arg(long, value_name = "GLOB")]
    keep_channels: Vec<String>,
    /// Most of a tensor's channels that may go, as a share
    #[arg(long, default_value_t = 1.0, value_name = "SHARE", value_parser = share)]
    ratio: f64,
    /// Every tensor that loses channels keeps a multiple of so many, where it can: most runtimes work in blocks of 8 or 16
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    multiple_of: u16,
    /// Rounds of choosing and fitting, each on what the one before has left
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    rounds: u8,
    /// On which form of the graph channels are taken away
    #[arg(long, value_enum, default_value_t, value_name = "WAY")]
    way: Way,
    /// Only take away copies of other channels, channels that are zero and channels that nothing reads
    #[arg(long, conflicts_with_all = ["macs", "parameters", "peak_memory", "latency", "max_error", "min_agreement"])]
    exact_only: bool,
    /// Exit with 1, and write nothing, when the outputs are further off: root mean square relative to their standard deviation
    #[arg(long, value_name = "ERROR")]
    max_error: Option<f64>,
    /// Exit with 1, and write nothing, when fewer of the held-out samples have the same largest output, as a share
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_agreement: Option<f64>,
    /// Where positions are drawn
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    planning: Planning,
    #[command(flatten)]
    pub reading: Reading,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a share between 0 and 1".to_owned()),
    }
}

impl Pruning {
    /// The same for the library.
    #[must_use]
    pub fn options(&self) -> PruneOptions {
        PruneOptions {
            macs: self.macs,
            parameters: self.parameters,
            peak_memory: self.peak_memory,
            latency: self.latency,
            keep: self.keep_channels.clone(),
            ratio: self.ratio,
            multiple: usize::from(self.multiple_of),
            rounds: usize::from(self.rounds),
            way: self.way,
            exact_only: self.exact_only,
            max_error: self.max_error,
            min_agreement: self.min_agreement,
            seed: self.seed,
            rewrite: self.planning.options(),
        }
    }

    /// The samples, where there are any.
    ///
    /// # Errors
    /// When they cannot be read, or do not fit the model.
    pub fn samples(&self, model: &Model) -> Result<Option<Samples>, PruneError> {
        let Some(path) = &self.calibration else { return Ok(None) };
        let samples =
            Samples::from_path(model.proto(), path, self.preprocess.as_ref()).and_then(|samples| match &self.labels {
                Some(labels) => samples.labelled(labels),
                None => Ok(samples),
            });
        samples.map(Some)
    }
}

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The model to read
    input: PathBuf,
    /// The model to write; may be the same file
    output: PathBuf,
    #[command(flatten)]
    pruning: Pruning,
    #[command(flatten)]
    talking: Talking,
}

/// What a run says in JSON.
#[derive(Serialize)]
struct Said<'a> {
    schema_version: u32,
    command: &'static str,
    input: String,
    output: Option<String>,
    #[serde(flatten)]
    report: &'a PruneReport,
}

pub(super) fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let Arguments { input, output, pruning, talking } = arguments;
    let bar = Bar::new(talking.quiet || talking.json);
    let model = pruning.reading.load(input)?;
    let samples = pruning.samples(&model).map_err(|e| Failure { message: e.to_string(), hint: None })?;
    let options = pruning.options();
    let mut watch = |stage: &str, done: usize, total: usize| bar.count("prune", stage, done, total);
    let pruned = prune_watched(&model, samples.as_ref(), &options, &mut watch);
    let Pruned { model: pruned, report, .. } = pruned.map_err(|e| Failure::new(input, e))?;
    if report.finding.is_none() {
        crate::io::save(&pruned, output)?;
    }
    let written = report.finding.is_none();
    drop(bar);
    if talking.json {
        let said = Said {
            schema_version: 1,
            command: "prune",
            input: input.display().to_string(),
            output: written.then(|| output.display().to_string()),
            report: &report,
        };
        print(&serde_json::to_string_pretty(&said).unwrap_or_default())?;
    } else if !talking.quiet {
        say(&report);
        if written {
            let name = crate::printable::Printable(output.display());
            say(&match pruned.is_edited() {
                true if pruning.exact_only => {
                    format!("{name}: written; it computes what {} does\n", Path::display(input))
                }
                true => format!("{name}: written; it computes something else than {}\n", Path::display(input)),
                false => format!("{name}: nothing went, so it is the model as it was\n"),
            });
        }
    }
    match &report.finding {
        None => Ok(Verdict::Done),
        Some(finding) => {
            if talking.quiet {
                say(&format!("{}: {finding}\n", input.display()));
            }
            Ok(Verdict::Finding)
        }
    }
}
