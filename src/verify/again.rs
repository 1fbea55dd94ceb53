//! A saved report judged again, by another tolerance and without running anything.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::comparison::{Comparison, Tolerance};
use super::report::{SCHEMA_VERSION, Verdict};
use crate::printable::Printable;

/// What is read of a report.
#[derive(Deserialize)]
struct Saved {
    schema_version: u32,
    status: String,
    message: String,
    beyond_tolerance: bool,
    outputs: Vec<SavedOutput>,
}

#[derive(Deserialize)]
struct SavedOutput {
    name: String,
    comparisons: Vec<Comparison>,
}

/// One comparison of a saved report by the new tolerance.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JudgedComparison {
    /// The output.
    pub output: String,
    /// What computed it.
    pub engine: String,
    /// Whose values these are.
    pub model: String,
    /// The reference.
    pub against: String,
    /// Whether every element passes.
    pub passes: bool,
    /// The least absolute tolerance that would have passed beside the relative one; null when none would.
    pub least_atol: Option<f64>,
}

/// A saved report judged again.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Judgement {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The tolerance.
    pub tolerance: Tolerance,
    /// The verdict by it.
    pub verdict: Verdict,
    /// In words, where it is neither equal nor within the tolerance.
    pub message: String,
    /// Each comparison.
    pub comparisons: Vec<JudgedComparison>,
}

impl Judgement {
    /// Judges the report that `json` is, as `verify --json` or `rewrite --json` prints it, by `tolerance`. What is exact: a report keeps
    /// what any tolerance asks of all elements.
    ///
    /// # Errors
    /// In words, when it is no such report.
    pub fn new(json: &str, tolerance: Tolerance) -> Result<Self, String> {
        let broken = |e: serde_json::Error| format!("no report of a verification that can be judged: {e}");
        let mut value: serde_json::Value = serde_json::from_str(json).map_err(broken)?;
        if let Some(inner) = value.get_mut("verification") {
            value = inner.take();
        }
        let version = value.get("schema_version").cloned().unwrap_or_default();
        if version != SCHEMA_VERSION {
            return Err(format!("no report of a verification: its schema_version is {version}, not {SCHEMA_VERSION}"));
        }
        let saved: Saved = serde_json::from_value(value).map_err(broken)?;
        Ok(saved.judged(tolerance))
    }

    /// True unless something differs or is not known.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        matches!(self.verdict, Verdict::Equal | Verdict::WithinRounding | Verdict::WithinTolerance)
    }
}

impl Saved {
    fn judged(self, tolerance: Tolerance) -> Judgement {
        let all = || self.outputs.iter().flat_map(|o| o.comparisons.iter().map(move |c| (o, c)));
        let comparisons = all().map(|(output, c)| JudgedComparison {
            output: output.name.clone(),
            engine: c.engine.clone(),
            model: c.model.clone(),
            against: c.against.clone(),
            passes: c.passes(tolerance),
            least_atol: c.least_atol(tolerance.rtol),
        });
        let refusal = all().find_map(|(o, c)| Some(format!("'{}' of {}", o.name, c.refusal(tolerance)?)));
        let is_compared = all().any(|(_, c)| c.against == "original");
        let differs = all().any(|(_, c)| c.model == "rewritten" && c.against == "original" && c.different > 0);
        let (verdict, message) = match refusal {
            // Something else than values differs, and no tolerance is about that.
            _ if self.beyond_tolerance => (Verdict::Different, self.message.clone()),
            Some(refusal) => (Verdict::Different, refusal),
            // Evidence is no matter of tolerance.
            None if self.status == "no-evidence" => (Verdict::NoEvidence, self.message.clone()),
            None if !is_compared && self.status != "equal" => (Verdict::NoEvidence, "it compares no values".to_owned()),
            None if differs => (Verdict::WithinTolerance, String::new()),
            None => (Verdict::Equal, String::new()),
        };
        let comparisons = comparisons.collect();
        Judgement { schema_version: self.schema_version, tolerance, verdict, message, comparisons }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.verdict, self.tolerance)?;
        if !self.message.is_empty() {
            write!(f, ": {}", Printable(&self.message))?;
        }
        for c in &self.comparisons {
            let verdict = if c.passes { "passes" } else { "does not pass" };
            let least = c.least_atol.map_or("no atol".to_owned(), |atol| format!("atol {atol:.2e}"));
            let output = Printable(&c.output);
            let (model, engine, against) = (Printable(&c.model), Printable(&c.engine), Printable(&c.against));
            write!(f, "\n  '{output}', {model} model in {engine}, against {against}: {verdict}; {least} would do")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn report(status: &str, beyond: bool, comparison: &Comparison) -> String {
        let output = serde_json::json!({"name": "y", "comparisons": [comparison]});
        let fields = serde_json::json!({
            "schema_version": SCHEMA_VERSION, "status": status, "message": "why", "beyond_tolerance": beyond,
            "outputs": [output],
        });
        fields.to_string()
    }

    #[test]
    fn the_frontier_decides() {
        let comparison = Comparison {
            model: "rewritten".to_owned(),
            against: "original".to_owned(),
            elements: 2,
            different: 2,
            frontier: vec![(1.0, 1e-4), (100.0, 1e-3)],
            ..Comparison::default()
        };
        let judged =
            |rtol, atol| Judgement::new(&report("mismatch", false, &comparison), Tolerance::new(rtol, atol)).unwrap();
        assert_eq!(judged(0.0, 1e-3).verdict, Verdict::WithinTolerance);
        assert_eq!(judged(0.0, 9.9e-4).verdict, Verdict::Different);
        assert_eq!(judged(1e-4, 0.0).verdict, Verdict::WithinTolerance);
        let found = judged(5e-5, 0.0);
        assert_eq!((found.verdict, found.comparisons[0].least_atol), (Verdict::Different, Some(1e-4 - 5e-5)));
        assert!(found.to_string().contains("does not pass") && !found.is_equal(), "{found}");
        let broken = Judgement::new(&report("mismatch", true, &comparison), Tolerance::new(1.0, 1.0)).unwrap();
        assert_eq!((broken.verdict, broken.message.as_str()), (Verdict::Different, "why"));
        let silent = Judgement::new(&report("no-evidence", false, &comparison), Tolerance::new(1.0, 1.0)).unwrap();
        assert_eq!(silent.verdict, Verdict::NoEvidence);
        let infinite = Comparison { not_finite: 1, ..comparison };
        let found = Judgement::new(&report("equal", false, &infinite), Tolerance::new(1.0, 1e9)).unwrap();
        assert_eq!((found.verdict, found.comparisons[0].least_atol), (Verdict::Different, None));
    }

    #[test]
    fn what_is_no_report_is_said() {
        let error = |json: &str| Judgement::new(json, Tolerance::new(0.0, 0.0)).unwrap_err();
        assert!(error("{").contains("no report of a verification"));
        assert!(error("{}").contains("schema_version is null"));
        assert!(error("{\"schema_version\": 99}").contains("is 99, not"));
        assert!(error("{\"schema_version\": 2, \"status\": \"equal\"}").contains("missing field"));
        assert!(error(&"[".repeat(100_000)).contains("no report"));
    }
}
