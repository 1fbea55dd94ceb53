//! `onnx-rm verify`, and the verification inside `rewrite`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::engine;
use crate::io::{LoadOptions, Model};
use crate::page::{self, ModelPart, Page, Tone};
use crate::prune::{PruneError, Samples, against_labels};
use crate::verify::{Judgement, LabelReport, Status, VerifyReport};

use super::asking::Asking;
use super::report::{Reporting, again, inputs, net};
use super::{Bar, Failure, Feeding, Talking, Verdict, print, say};

pub(super) const EXAMPLES: &str = "Examples:
  onnx-rm verify model.onnx chain.onnx
  onnx-rm verify model.onnx chain.onnx --inputs samples.npz
  onnx-rm verify model.onnx chain.onnx --input-shape input:1x3x224x224
  onnx-rm verify model.onnx chain.onnx --inputs test_data_set_0 --engine onnxruntime --onnxruntime libonnxruntime.so
  onnx-rm verify model.onnx chain.onnx --images photos --preprocess resize=256,crop=224,scale=1/255 --batch 1,8
  onnx-rm verify model.onnx quantized.onnx --rtol 1e-2 --atol 1e-3 --json > report.json
  onnx-rm verify --judge report.json --rtol 1e-3
  onnx-rm verify model.onnx chain.onnx --dump reproducer

Both models are evaluated in float64, where they may differ by what rounding of the original itself explains, and both
are run in their own type. An output that is constant, zero or not finite is no evidence.";

/// What models are compared on.
#[derive(Args, Clone, Debug)]
pub struct Comparing {
    #[command(flatten)]
    feeding: Feeding,
    /// Take initializers that are graph inputs as well as constants, and as no inputs
    #[arg(long)]
    constant_initializers: bool,
    #[command(flatten)]
    asking: Asking,
}

impl Comparing {
    pub(super) fn new(feeding: Feeding, constant_initializers: bool) -> Self {
        Self { feeding, constant_initializers, asking: Asking::default() }
    }
}

impl Comparing {
    /// How many of the given samples each of two models gets right, when their classes are given.
    ///
    /// # Errors
    /// When samples or labels do not fit, or when a model cannot be run.
    pub fn answers(&self, original: &Model, other: &Model) -> Result<Option<LabelReport>, PruneError> {
        let Some(labels) = self.asking.labels() else { return Ok(None) };
        let samples = match (self.feeding.given(), self.asking.pictures()) {
            (Some(path), None) => Samples::from_path(original.proto(), path, None),
            (None, Some((folder, preprocess))) => Samples::from_path(original.proto(), folder, Some(&preprocess)),
            _ => Err(PruneError::Samples(format!(
                "{} says what the given samples are: give these by --inputs, or by --images alone",
                labels.display()
            ))),
        };
        against_labels(original, other, &samples?.labelled(labels)?).map(Some)
    }

    /// True when classes are given.
    #[must_use]
    pub fn is_labelled(&self) -> bool {
        self.asking.labels().is_some()
    }

    /// The same for saved models.
    fn labels(&self, models: [&Path; 2]) -> Result<Option<LabelReport>, Failure> {
        if !self.is_labelled() {
            return Ok(None);
        }
        let reading = LoadOptions::default().drop_unknown_fields(true);
        let [original, other] = [crate::io::load(models[0], &reading)?, crate::io::load(models[1], &reading)?];
        self.answers(&original, &other).map_err(|e| Failure { message: e.to_string(), hint: None })
    }
}

#[cfg(feature = "verify")]
impl Comparing {
    /// The same for the library.
    #[must_use]
    pub fn options(&self) -> crate::verify::VerifyOptions {
        self.asking.add(self.feeding.options()).constant_initializers(self.constant_initializers)
    }
}

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The model that is right
    #[arg(required_unless_present = "judge")]
    original: Option<PathBuf>,
    /// The model that should compute the same
    #[arg(required_unless_present = "judge")]
    rewritten: Option<PathBuf>,
    /// Judge a report that --json printed by --rtol and --atol, without running anything
    #[arg(long, value_name = "REPORT", conflicts_with_all = ["original", "rewritten"])]
    judge: Option<PathBuf>,
    #[command(flatten)]
    comparing: Comparing,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    talking: Talking,
}

pub(super) fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    let Arguments { original, rewritten, judge, comparing, reporting, talking } = arguments;
    let (Some(original), Some(rewritten)) = (original, rewritten) else {
        return judged(judge.as_deref().unwrap_or(Path::new("")), comparing, *talking);
    };
    reporting.spare(&[original, rewritten], None)?;
    let bar = Bar::new(talking.quiet || talking.json);
    // First, for it says what is wrong with the labels.
    let labels = comparing.labels([original, rewritten])?;
    let mut report = compare(original, rewritten, comparing, &bar)?;
    report.labels = labels;
    drop(bar);
    let json = || serde_json::to_string_pretty(&report).unwrap_or_default();
    let reported = reporting.write(json, || page([original, rewritten], comparing, &report));
    if talking.json {
        print(&json())?;
    } else if !talking.quiet {
        say(&format!("{report}\n{}", report.details()));
    }
    reported?;
    Ok(if report.is_equal() { Verdict::Done } else { Verdict::Finding })
}

/// Both models, and how far they are apart.
fn page([original, rewritten]: [&Path; 2], comparing: &Comparing, report: &VerifyReport) -> String {
    let (first, a) = again(original, "right", &LoadOptions::default());
    let (second, b) = again(rewritten, "compared with it", &LoadOptions::default());
    let prices = match (&a, &b) {
        (Ok(a), Ok(b)) => engine::price(a).ok().zip(engine::price(b).ok()),
        _ => None,
    };
    let (tone, head) = match report.status {
        Status::Equal if report.tolerance.is_some() => {
            (Tone::Good, "Both models agree within the tolerance that was asked for")
        }
        Status::Equal => (Tone::Good, "Both models compute the same"),
        Status::Mismatch => (Tone::Bad, "The models differ"),
        Status::NoEvidence => (Tone::Bad, "Nothing could be concluded"),
        Status::Unstable => (Tone::Bad, "Rounding decides what the original computes"),
    };
    let body = match &report.labels {
        Some(labels) => format!("{}; {labels}", report.message).trim_start_matches("; ").to_owned(),
        None => report.message.clone(),
    };
    let part = ModelPart {
        before: Some(a.and_then(|model| net(model.proto()))),
        after: Some(b.and_then(|model| net(model.proto()))),
        is_written: true,
        prices,
        ..ModelPart::default()
    };
    page::render(&Page {
        command: "verify",
        subject: format!("{} and {}", original.display(), rewritten.display()),
        verdict: page::Verdict { tone, head: head.to_owned(), body },
        files: [first, second].into_iter().chain(inputs(&comparing.feeding)).collect(),
        options: None,
        parts: vec![part],
        verification: None,
        comparison: Some(report),
        check: None,
    })
}

/// Judges a saved report again.
fn judged(path: &Path, comparing: &Comparing, talking: Talking) -> Result<Verdict, Failure> {
    let Some(tolerance) = comparing.asking.tolerance() else {
        return Err(Failure::new(path, "a report is judged again by --rtol, --atol or both"));
    };
    let json = crate::io::read_text(path).map_err(|e| Failure::new(path, e))?;
    let judgement = Judgement::new(&json, tolerance).map_err(|e| Failure::new(path, e))?;
    if talking.json {
        print(&serde_json::to_string_pretty(&judgement).unwrap_or_default())?;
    } else if !talking.quiet {
        say(&format!("{judgement}\n"));
    }
    Ok(if judgement.is_equal() { Verdict::Done } else { Verdict::Finding })
}

#[cfg(feature = "verify")]
pub(super) fn compare(
    original: &Path,
    rewritten: &Path,
    comparing: &Comparing,
    bar: &Bar,
) -> Result<VerifyReport, Failure> {
    let watch = |p: &crate::verify::VerifyProgress| bar.count("verify", p.stage, p.done, p.total);
    Ok(crate::verify::verify_watched(original, rewritten, &comparing.options(), &watch)?)
}

#[cfg(not(feature = "verify"))]
pub(super) fn compare(original: &Path, _: &Path, comparing: &Comparing, _: &Bar) -> Result<VerifyReport, Failure> {
    let _ = (comparing.constant_initializers, &comparing.feeding, &comparing.asking);
    Err(Failure::new(original, "this build cannot verify: it was built without the feature 'verify'"))
}
