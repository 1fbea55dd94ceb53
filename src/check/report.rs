//! What a check found, as one serialisable value. Every field is part of the JSON schema (`docs/schema/check.schema.json`): additions keep
//! the version, other changes raise it.

use serde::{Deserialize, Serialize};

use super::date::Date;

/// Version of the JSON.
pub const SCHEMA_VERSION: u32 = 1;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Level {
    /// It is said, and fails nothing.
    Warning,
    /// The policy is not kept.
    Failure,
    /// Whether it is kept could not be found out: a file is missing or broken.
    Error,
}

/// A node or tensor that a finding is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Place {
    /// Name of the node; may be empty.
    pub node: String,
    /// Name of the tensor; may be empty.
    pub tensor: String,
    /// For a join: `removable`, `not-inspected`, or the code for which it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// In words.
    pub reason: String,
}

/// Where something differs from what the policy says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The key of the policy, or what else is wrong: `model`, `unmatched`, `uncovered`, `unused-accept`.
    pub key: String,
    /// How bad it is.
    pub level: Level,
    /// True when the baseline has it already: it fails nothing then.
    pub known: bool,
    /// In words.
    pub message: String,
    /// The number that was found, where it is one.
    pub found: Option<u64>,
    /// The number that is allowed.
    pub limit: Option<u64>,
    /// The line of the policy.
    pub line: Option<usize>,
    /// The nodes or tensors that it is about.
    pub places: Vec<Place>,
}

impl Finding {
    pub(crate) fn new(key: &str, level: Level, message: impl Into<String>) -> Self {
        Self {
            key: key.to_owned(),
            level,
            known: false,
            message: message.into(),
            found: None,
            limit: None,
            line: None,
            places: Vec::new(),
        }
    }

    /// True when it makes the check fail.
    #[must_use]
    pub fn counts(&self) -> bool {
        !self.known && self.level != Level::Warning
    }
}

/// What became of a file, or of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CheckStatus {
    /// All that was asked for holds.
    Passed,
    /// Something does not.
    Failed,
    /// Something could not be found out.
    Error,
}

impl CheckStatus {
    /// The worst that `findings` make of it.
    pub(crate) fn of<'f>(findings: impl IntoIterator<Item = &'f Finding>) -> Self {
        let of = |f: &Finding| if f.level == Level::Error { Self::Error } else { Self::Failed };
        findings.into_iter().filter(|f| f.counts()).map(of).max().unwrap_or(Self::Passed)
    }

    /// Its word in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Error => "error",
        }
    }
}

/// What was measured of a model. What no key asked for and is dear to find out is `null`, and so is what is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Measures {
    /// Version of the file format.
    pub ir_version: i64,
    /// Version of ONNX's own operator set.
    pub opset: i64,
    /// Nodes of the main graph.
    pub nodes: u64,
    /// Sums of tensors of data, removable or not.
    pub joins: u64,
    /// Joins that `rewrite` would remove.
    pub removable_joins: Option<u64>,
    /// Linear folds that `rewrite` would make.
    pub folds: Option<u64>,
    /// Multiply-accumulates for one image.
    pub macs: Option<u64>,
    /// Elements of all weights.
    pub parameters: u64,
    /// Bytes of the file and of the files with its weights.
    pub bytes: u64,
    /// Most bytes of activations that are alive at once.
    pub activation_bytes: Option<u64>,
    /// Most reads of one tensor of data.
    pub readers: u64,
}

/// A join that stays, and may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Accepted {
    /// The join.
    #[serde(flatten)]
    pub place: Place,
    /// Why it may, as the policy says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// The last day on which it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// The line of the policy.
    pub line: usize,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FileReport {
    /// Its path: below the policy's folder relative to that, with slashes.
    pub file: String,
    /// The verdict.
    pub status: CheckStatus,
    /// The keys of the policy that were checked.
    pub checked: Vec<String>,
    /// What was measured; `null` for a file that is no model.
    pub measures: Option<Measures>,
    /// What differs from the policy.
    pub findings: Vec<Finding>,
    /// The joins that the policy accepts.
    pub accepted: Vec<Accepted>,
}

/// How many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Models.
    pub files: usize,
    /// Of these: all holds.
    pub passed: usize,
    /// Something does not.
    pub failed: usize,
    /// Something could not be found out.
    pub errors: usize,
    /// Findings that count.
    pub findings: usize,
    /// Findings that the baseline has.
    pub known: usize,
    /// Warnings.
    pub warnings: usize,
}

/// One run of `check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Version of the tool.
    pub tool_version: String,
    /// Always `check`.
    pub command: &'static str,
    /// The policy's file; `null` for the one that is built in.
    pub policy: Option<String>,
    /// The verdict on all.
    pub status: CheckStatus,
    /// Every model, in the order of the arguments.
    pub files: Vec<FileReport>,
    /// What is wrong with no model in particular.
    pub findings: Vec<Finding>,
    /// How many.
    pub summary: Summary,
}

impl CheckReport {
    pub(crate) fn new(policy: Option<String>, files: Vec<FileReport>, findings: Vec<Finding>) -> Self {
        let mut report = Self {
            schema_version: SCHEMA_VERSION,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            command: "check",
            policy,
            status: CheckStatus::Passed,
            files,
            findings,
            summary: Summary::default(),
        };
        report.sum_up();
        report
    }

    /// Draws the verdicts and the summary from the findings.
    pub(crate) fn sum_up(&mut self) {
        for file in &mut self.files {
            file.status = CheckStatus::of(&file.findings);
        }
        self.status = CheckStatus::of(self.all().map(|(_, f)| f));
        let files = |status| self.files.iter().filter(|f| f.status == status).count();
        let findings = |is: fn(&Finding) -> bool| self.all().filter(|(_, f)| is(f)).count();
        self.summary = Summary {
            files: self.files.len(),
            passed: files(CheckStatus::Passed),
            failed: files(CheckStatus::Failed),
            errors: files(CheckStatus::Error),
            findings: findings(Finding::counts),
            known: findings(|f| f.known),
            warnings: findings(|f| f.level == Level::Warning && !f.known),
        };
    }

    /// 0 when all passed, 1 when something is found, 2 when something could not be found out.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.status {
            CheckStatus::Passed => 0,
            CheckStatus::Failed => 1,
            CheckStatus::Error => 2,
        }
    }

    /// Every finding with its file, those of no file last.
    pub fn all(&self) -> impl Iterator<Item = (Option<&str>, &Finding)> {
        let of_files = self.files.iter().flat_map(|file| file.findings.iter().map(|f| (Some(file.file.as_str()), f)));
        of_files.chain(self.findings.iter().map(|f| (None, f)))
    }
}
