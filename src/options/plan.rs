//! A plan: which joins go and in which form, as a file that is looked at, perhaps edited, and replayed.

use std::collections::BTreeSet;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use super::{ActivationForm, Chain, Downsample};

/// Version of the file.
const SCHEMA_VERSION: u32 = 1;

/// What becomes of one join.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PlannedSite {
    /// The tensor that the join computes.
    pub tensor: String,
    /// Whether it goes.
    pub remove: bool,
    /// What its chain may consist of; what is asked of the whole rewrite where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carry: Option<Chain>,
    /// Which recipe removes its projection, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downsample: Option<Downsample>,
    /// How signed carried channels pass its activations, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<ActivationForm>,
    /// For people: the node, the form that was chosen, its price, or why the join stays. Nothing of it is read.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "unread")]
    pub note: Option<PlannedNote>,
}

/// What a plan says of a join for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedNote {
    /// The node.
    pub join: String,
    /// The form that was chosen, or why it stays.
    pub says: String,
    /// Multiply-accumulates of branch and shortcut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macs_before: Option<u64>,
    /// Multiply-accumulates of the chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macs_after: Option<u64>,
}

/// Passes over whatever stands there.
fn unread<'de, D: Deserializer<'de>>(value: D) -> Result<Option<PlannedNote>, D::Error> {
    IgnoredAny::deserialize(value).map(|_| None)
}

/// Which joins go, and how. Joins that it does not name are treated as without it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Plan {
    /// Version of the file: 1.
    pub schema_version: u32,
    /// The joins.
    pub sites: Vec<PlannedSite>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { schema_version: SCHEMA_VERSION, sites: Vec::new() }
    }
}

impl Plan {
    /// Reads the text of a file. Notes for people are passed over.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |e: serde_json::Error| format!("this is no plan: {e}");
        let raw: serde_json::Value = serde_json::from_str(text).map_err(wrong)?;
        let sites = raw.get("sites").and_then(serde_json::Value::as_array);
        if !raw.is_object() || sites.is_some_and(|sites| !sites.iter().all(serde_json::Value::is_object)) {
            return Err("this is no plan: a list stands where fields with names are expected".to_owned());
        }
        let plan: Self = serde_json::from_str(text).map_err(wrong)?;
        if plan.schema_version != SCHEMA_VERSION {
            return Err(format!(
                "a plan of version {}; this program reads version {SCHEMA_VERSION}",
                plan.schema_version
            ));
        }
        let mut seen = BTreeSet::new();
        for site in &plan.sites {
            if !seen.insert(site.tensor.clone()) {
                return Err(format!("the plan names tensor '{}' twice", site.tensor));
            }
        }
        Ok(plan)
    }

    /// The text of a file.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// What is planned for the join that computes `tensor`.
    #[must_use]
    pub fn site(&self, tensor: &str) -> Option<&PlannedSite> {
        self.sites.iter().find(|site| site.tensor == tensor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_comes_back_without_its_notes() {
        let site = PlannedSite { tensor: "y".into(), remove: true, carry: Some(Chain::Conv), ..PlannedSite::default() };
        let note = Some(PlannedNote { join: "add".into(), says: "identity".into(), ..PlannedNote::default() });
        let plan = Plan { sites: vec![PlannedSite { note, ..site.clone() }], ..Plan::default() };
        assert_eq!(Plan::parse(&plan.to_json()), Ok(Plan { sites: vec![site], ..Plan::default() }));
    }

    #[test]
    fn notes_may_say_anything() {
        for note in ["{}", "3", "\"text\"", "[1, 2]", "{\"macs_before\": -1.5}"] {
            let text =
                format!(r#"{{"schema_version": 1, "sites": [{{"tensor": "y", "remove": true, "note": {note}}}]}}"#);
            assert!(Plan::parse(&text).is_ok_and(|plan| plan.sites[0].note.is_none()), "{note}");
        }
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        for wrong in [
            "",
            "[]",
            r#"{"schema_version": 2, "sites": []}"#,
            r#"{"schema_version": 1}"#,
            r#"[1, []]"#,
            r#"{"schema_version": 1, "sites": [["y", true]]}"#,
            r#"{"schema_version": 1, "sites": [{"tensor": "y"}]}"#,
            r#"{"schema_version": 1, "sites": [{"tensor": "y", "remove": true, "carried": "conv"}]}"#,
            r#"{"schema_version": 1, "sites": [{"tensor": "y", "remove": true, "carry": "none"}]}"#,
            r#"{"schema_version": 1, "sites": [{"tensor": "y", "remove": true}, {"tensor": "y", "remove": false}]}"#,
        ] {
            assert!(Plan::parse(wrong).is_err(), "{wrong}");
        }
    }
}
