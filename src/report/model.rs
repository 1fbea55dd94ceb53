//! The report's types. Every field is part of the JSON schema: additions keep the version, other changes raise it.

use serde::Serialize;

use crate::options::{Family, Options};
use crate::plan::change::{Change, Price};
use crate::read::{Reject, RejectCode};

use super::curve::Curve;

/// Version of the JSON.
pub const SCHEMA_VERSION: u32 = 1;

/// Why a join stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RejectReport {
    /// Stable code.
    pub code: RejectCode,
    /// In words.
    pub reason: String,
    /// The node to blame.
    #[serde(rename = "blame_node")]
    pub node: String,
    /// The tensor to blame. A site's own tensor stands beside it in the JSON.
    #[serde(rename = "blame_tensor")]
    pub tensor: String,
    /// What would make it pass; may be empty.
    pub hint: String,
}

impl RejectReport {
    pub(crate) fn new(code: RejectCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), node: String::new(), tensor: String::new(), hint: String::new() }
    }
}

impl From<&Reject> for RejectReport {
    fn from(reject: &Reject) -> Self {
        Self {
            code: reject.code,
            reason: reject.reason.clone(),
            node: reject.node.clone(),
            tensor: reject.tensor.clone(),
            hint: reject.hint.clone(),
        }
    }
}

/// What became of a join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SiteStatus {
    /// It is gone.
    Removed(Change),
    /// It could go (`inspect`).
    Candidate(Change),
    /// It stays.
    Kept(RejectReport),
}

/// One join, or one place where linear operators fold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SiteReport {
    /// Name of the `Add` or `Sum`; of a fold, the node that computes the tensor.
    pub join: String,
    /// What it computes.
    pub tensor: String,
    /// Which mechanism looked at it.
    pub kind: Family,
    /// What became of it.
    #[serde(flatten)]
    pub status: SiteStatus,
}

impl SiteReport {
    /// True for a join looked at by residual removal, false for a linear fold.
    #[must_use]
    pub fn is_residual(&self) -> bool {
        self.kind == Family::Residual
    }
}

/// Why the engine stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StopReason {
    /// Nothing more could be removed.
    FixedPoint,
    /// Nothing could be removed at all.
    NothingToDo,
    /// The limit of rounds was reached.
    RoundLimit,
}

/// Sums of tensors that stand where residual removal does not look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NotInspected {
    /// In the graphs of `If`, `Loop` and `Scan`.
    pub in_subgraphs: usize,
    /// In the bodies of the model's local functions.
    pub in_functions: usize,
}

/// What the engine found and did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Every join: removed ones in the order of removal, then those that stay.
    pub sites: Vec<SiteReport>,
    /// The price before.
    pub before: Price,
    /// The price after.
    pub after: Price,
    /// Why it stopped.
    pub stop: StopReason,
    /// Sums that nobody looked at.
    pub not_inspected: NotInspected,
}

impl Outcome {
    /// Nothing of it was written after all: every site stays, for the reason of `reject`.
    pub fn undo(&mut self, reject: &RejectReport) {
        for site in &mut self.sites {
            if !matches!(site.status, SiteStatus::Kept(_)) {
                site.status = SiteStatus::Kept(reject.clone());
            }
        }
        self.after = self.before.clone();
        self.stop = StopReason::NothingToDo;
    }

    /// The joins that were removed, or could be.
    pub fn removed(&self) -> impl Iterator<Item = (&SiteReport, &Change)> {
        self.sites.iter().filter_map(|s| match &s.status {
            SiteStatus::Removed(change) | SiteStatus::Candidate(change) => Some((s, change)),
            SiteStatus::Kept(_) => None,
        })
    }

    /// The joins that stay, with the reason.
    pub fn kept(&self) -> impl Iterator<Item = (&SiteReport, &RejectReport)> {
        self.sites.iter().filter_map(|s| match &s.status {
            SiteStatus::Kept(reject) => Some((s, reject)),
            _ => None,
        })
    }
}

/// What verification said.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verification {
    /// Both files were run and agree.
    Passed(crate::verify::VerifyReport),
    /// They differ, or nothing could be concluded: nothing was written.
    Failed(crate::verify::VerifyReport),
    /// They agree in float64, but rounding decides what the original computes in its own type: it was left as it is.
    Unstable(crate::verify::VerifyReport),
    /// Turned off by `--no-verify`.
    Off,
    /// The output is the input, byte for byte.
    Unchanged,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Action {
    /// To rewrite a model.
    Rewrite,
    /// To say what a rewrite would do.
    Inspect,
}

/// One run of the tool.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Version of the tool.
    pub tool_version: String,
    /// What was asked for.
    pub command: Action,
    /// The model read.
    pub input: String,
    /// The model written, if any.
    pub output: Option<String>,
    /// What was asked for.
    pub options: Options,
    /// What was found and done.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What removal costs by how much of it is done, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve: Option<Curve>,
    /// What was required and does not hold, in words: nothing was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unmet: Option<String>,
    /// What the target asks for beside, and the model is not, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Whether the result was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
}

impl Report {
    /// What `command` found in the model called `input`, of which nothing is written yet.
    #[must_use]
    pub fn new(command: Action, input: impl Into<String>, options: Options, outcome: Outcome) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            command,
            input: input.into(),
            output: None,
            options,
            outcome,
            curve: None,
            unmet: None,
            notes: Vec::new(),
            verification: None,
        }
    }

    /// The report as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}
