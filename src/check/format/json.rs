//! JSON, by `docs/schema/check.schema.json`.

use crate::check::report::CheckReport;

impl CheckReport {
    /// The report as JSON, by `docs/schema/check.schema.json`.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
