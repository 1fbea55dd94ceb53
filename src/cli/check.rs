//! `onnx-rm check`.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::check::policy::TEMPLATE;
use crate::check::{Baseline, CheckError, CheckOptions, CheckReport, CheckStatus, Policy, check_watched};
use crate::engine::{self, go_on};
use crate::io::{self, Model};
use crate::onnx::ModelProto;
use crate::options::Options;
use crate::page::{self, ModelPart, Page, Tone};
use crate::printable::Lines;
use crate::report::Outcome;

use super::report::{Reporting, again, beside_model, net};
use super::{Bar, Failure, Reading, Verdict, print, say};

pub(super) const EXAMPLES: &str = "Examples:
  onnx-rm check models/
  onnx-rm check --init
  onnx-rm check --policy onnx-rm.toml --github --sarif findings.sarif
  onnx-rm check models/ --report baseline.json; onnx-rm check models/ --baseline baseline.json

Exit codes: 0 when all is as the policy says, 1 for findings, 2 when a file is broken or missing, or the policy is.";

/// The policy that is taken where it is there and no other is named.
const POLICY: &str = "onnx-rm.toml";

/// How models are checked, whatever becomes of the report.
#[derive(Args, Clone, Debug)]
pub struct Checking {
    /// What is asked of which model; without it onnx-rm.toml of this folder where there is one, else that nothing is left to rewrite
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A report of an earlier run: only what it does not have fails
    #[arg(long, value_name = "REPORT.json")]
    baseline: Option<PathBuf>,
    /// Let folders, patterns and sections of the policy mean no file
    #[arg(long)]
    allow_unmatched: bool,
    /// Models that are looked at at once; as many as there are processors without it
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    reading: Reading,
}

impl Checking {
    /// The same for the library, with the policy and the baseline read.
    ///
    /// # Errors
    /// When one of these cannot be read, or is none.
    pub fn options(&self) -> Result<CheckOptions, CheckError> {
        let mut options = CheckOptions::default().allow_unmatched(self.allow_unmatched).load(self.reading.options());
        options.jobs = self.jobs;
        let beside = Path::new(POLICY);
        if let Some(path) = self.policy.as_deref().or_else(|| is_there(beside).then_some(beside)) {
            options = options.policy(Policy::from_path(path)?);
        }
        if let Some(path) = &self.baseline {
            options = options.baseline(Baseline::from_path(path)?);
        }
        Ok(options)
    }
}

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Files, folders with all .onnx files below them, or patterns; without any, what the policy's sections mean
    models: Vec<PathBuf>,
    #[command(flatten)]
    checking: Checking,
    /// Write a commented policy to begin with, as onnx-rm.toml or where --policy says
    #[arg(long, conflicts_with_all = ["models", "baseline", "json", "github", "sarif", "junit", "markdown", "report"])]
    init: bool,
    /// Print a versioned JSON report
    #[arg(long, conflicts_with = "github")]
    json: bool,
    /// Print annotations for GitHub Actions before the text
    #[arg(long)]
    github: bool,
    #[command(flatten)]
    reporting: Reporting,
    /// Write SARIF 2.1.0
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Write JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write a summary in Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Say nothing but what is wrong
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Verdict, Failure> {
    if arguments.init {
        return init(arguments);
    }
    let options = arguments.checking.options()?;
    let bar = Bar::new(arguments.quiet || arguments.json);
    let watch = |p: &crate::check::CheckProgress| -> ControlFlow<()> { bar.count("check", &p.file, p.done, p.total) };
    let report = check_watched(&arguments.models, &options, &watch)?;
    drop(bar);
    // Where one report cannot be written, the others are.
    let page = || page(arguments, &report, &options);
    let reported = arguments.reporting.write(|| report.to_json(), page);
    for (path, text) in [
        (&arguments.sarif, CheckReport::to_sarif as fn(&CheckReport) -> String),
        (&arguments.junit, CheckReport::to_junit),
        (&arguments.markdown, CheckReport::to_markdown),
    ] {
        if let Some(path) = path {
            io::write_text(path, &text(&report), false).map_err(|e| Failure::new(path, e))?;
        }
    }
    tell(arguments, &report)?;
    reported?;
    Ok(match report.status {
        CheckStatus::Passed => Verdict::Done,
        CheckStatus::Failed => Verdict::Finding,
        CheckStatus::Error => Verdict::Broken,
    })
}

/// Models that are looked at again for a page, and bytes of them.
const MAX_DRAWN: (usize, u64) = (60, 512 << 20);

/// A model that is drawn: how it is, what a rewrite would make of it.
struct Drawn {
    model: Model,
    planned: Option<(ModelProto, Outcome)>,
}

/// All models, and the graphs of the first ones that can be read.
fn page(arguments: &Arguments, report: &CheckReport, options: &CheckOptions) -> String {
    let (tone, head) = match report.status {
        CheckStatus::Passed => (Tone::Good, "All models are as the policy says"),
        CheckStatus::Failed => (Tone::Bad, "There are findings"),
        CheckStatus::Error => (Tone::Bad, "Something could not be found out"),
    };
    let mut bytes = 0;
    let beside =
        [("policy", options.policy.name().map(Path::new)), ("baseline", arguments.checking.baseline.as_deref())];
    let mut files: Vec<_> = beside.into_iter().filter_map(|(role, path)| Some(beside_model(role, path?))).collect();
    let mut drawn: Vec<Option<Drawn>> = Vec::new();
    for (at, file) in report.files.iter().enumerate() {
        bytes += file.measures.as_ref().map_or(0, |m| m.bytes);
        if at >= MAX_DRAWN.0 || bytes > MAX_DRAWN.1 || file.measures.is_none() {
            drawn.push(None);
            continue;
        }
        let path = Path::new(&file.file);
        let (read, model) = again(path, "checked", &options.load);
        files.push(read);
        drawn.push(model.ok().map(|model| {
            let wanted = Options::default().long_skips(options.policy.long_skips(path));
            Drawn { planned: engine::plan(&model, &wanted, &mut go_on).ok(), model }
        }));
    }
    let part = |drawn: &Drawn| {
        let (before, planned) = (Some(net(drawn.model.proto())), drawn.planned.as_ref());
        (before, planned.map(|(model, _)| net(model)))
    };
    let parts = drawn.iter().map(|drawn| {
        let (before, after) = drawn.as_ref().map(part).unwrap_or_default();
        let outcome = drawn.as_ref().and_then(|d| d.planned.as_ref()).map(|(_, outcome)| outcome);
        ModelPart { before, after, outcome, ..ModelPart::default() }
    });
    let parts = parts.collect();
    let subject = match report.files.as_slice() {
        [only] => only.file.clone(),
        all => format!("{} models", all.len()),
    };
    page::render(&Page {
        command: "check",
        subject,
        verdict: page::Verdict { tone, head: head.to_owned(), body: says(report) },
        files,
        options: None,
        parts,
        verification: None,
        comparison: None,
        check: Some(report),
    })
}

fn says(report: &CheckReport) -> String {
    let sum = &report.summary;
    let (files, passed, failed, errors) = (sum.files, sum.passed, sum.failed, sum.errors);
    format!("Of {files} models {passed} passed, {failed} did not, and {errors} could not be checked.")
}

fn is_there(path: &Path) -> bool {
    matches!(io::find(path), Ok(io::Found::Files(_)))
}

fn tell(arguments: &Arguments, report: &CheckReport) -> Result<(), Failure> {
    if arguments.json {
        return print(&report.to_json().trim_end());
    }
    if arguments.github {
        print(&report.to_github().trim_end())?;
    }
    match (arguments.quiet, report.status) {
        (false, _) => print(&Lines(report)),
        (true, CheckStatus::Passed) => Ok(()),
        (true, _) => print(&Lines(format!("{report:#}"))),
    }
}

fn init(arguments: &Arguments) -> Result<Verdict, Failure> {
    let path = arguments.checking.policy.as_deref().unwrap_or(Path::new(POLICY));
    io::write_text(path, TEMPLATE, true).map_err(|e| Failure::new(path, e))?;
    if !arguments.quiet {
        say(&format!("wrote '{}'\n", crate::printable::Printable(path.display())));
    }
    Ok(Verdict::Done)
}

impl From<CheckError> for Failure {
    fn from(error: CheckError) -> Self {
        let hint = match &error {
            CheckError::Nothing => Some("onnx-rm check models/, or onnx-rm check --init for a policy".to_owned()),
            _ => None,
        };
        Self { message: error.to_string(), hint }
    }
}
