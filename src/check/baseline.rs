//! An earlier report: what it has found already fails nothing.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::error::CheckError;
use super::report::{CheckReport, Finding, Level, Place, SCHEMA_VERSION};
use crate::io;

/// An earlier report of `check`. A finding is known when the file had one by the same key that was no better: no smaller distance from
/// the limit, and about all of the same places.
#[derive(Clone, Debug, Default)]
pub struct Baseline(HashMap<(Option<String>, String), Vec<Finding>>);

#[derive(Deserialize)]
struct Earlier {
    schema_version: u32,
    command: String,
    files: Vec<EarlierFile>,
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct EarlierFile {
    file: String,
    findings: Vec<Finding>,
}

impl Baseline {
    /// Reads the report at `path`, as `onnx-rm check --json` writes it.
    ///
    /// # Errors
    /// [`CheckError`] when it cannot be read, or is none of this version.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, CheckError> {
        let path = path.as_ref();
        let text = io::read_text(path).map_err(|e| CheckError::io(path, e))?;
        Self::parse(&text).map_err(|reason| CheckError::Baseline { path: path.display().to_string(), reason })
    }

    /// Reads a report from its JSON.
    ///
    /// # Errors
    /// In words, when it is no report of this version.
    pub fn parse(text: &str) -> Result<Self, String> {
        let earlier: Earlier = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if earlier.command != "check" || earlier.schema_version != SCHEMA_VERSION {
            let (command, version) = (earlier.command, earlier.schema_version);
            return Err(format!("it is of command '{command}', schema version {version}"));
        }
        let mut baseline = Self::default();
        for file in earlier.files {
            file.findings.into_iter().for_each(|f| baseline.add(Some(file.file.clone()), f));
        }
        earlier.findings.into_iter().for_each(|f| baseline.add(None, f));
        Ok(baseline)
    }

    fn add(&mut self, file: Option<String>, finding: Finding) {
        self.0.entry((file, finding.key.clone())).or_default().push(finding);
    }

    /// Marks what is known in `report`. What could not be found out never is.
    pub(super) fn mark(&self, report: &mut CheckReport) {
        for file in &mut report.files {
            for finding in &mut file.findings {
                finding.known = self.knows(Some(&file.file), finding);
            }
        }
        for finding in &mut report.findings {
            finding.known = self.knows(None, finding);
        }
        report.sum_up();
    }

    fn knows(&self, file: Option<&str>, finding: &Finding) -> bool {
        let earlier = self.0.get(&(file.map(str::to_owned), finding.key.clone()));
        finding.level != Level::Error && earlier.is_some_and(|list| list.iter().any(|e| is_no_worse(finding, e)))
    }
}

/// True when `now` is as far from its limit as `earlier`, or nearer, and about no other places.
fn is_no_worse(now: &Finding, earlier: &Finding) -> bool {
    let distance = |f: &Finding| f.found.zip(f.limit).map(|(found, limit)| found.abs_diff(limit));
    // A tighter limit is new: what it finds is too.
    let numbers = now.limit == earlier.limit && distance(now).is_none_or(|n| distance(earlier).is_some_and(|e| n <= e));
    let has = |list: &[Place], p: &Place| list.iter().any(|e| (&e.node, &e.tensor) == (&p.node, &p.tensor));
    let words = now.found.is_some() || !now.places.is_empty() || now.message == earlier.message;
    numbers && words && now.places.iter().all(|p| has(&earlier.places, p))
}
