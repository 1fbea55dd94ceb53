//! SARIF 2.1.0, the Static Analysis Results Interchange Format (OASIS).

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::check::policy::about;
use crate::check::report::{Accepted, CheckReport, CheckStatus, Finding, Level, Place};

/// Most places of one result: services refuse results that are too long.
const MAX_PLACES: usize = 100;

impl CheckReport {
    /// The report as SARIF 2.1.0: a rule a key, a result a finding, in which nodes and tensors are logical locations. What the policy
    /// accepts is a suppressed result.
    #[must_use]
    pub fn to_sarif(&self) -> String {
        let mut rules: BTreeSet<&str> = self.all().map(|(_, f)| f.key.as_str()).collect();
        rules.extend(self.files.iter().flat_map(|f| &f.checked).map(String::as_str));
        let has_accepted = self.files.iter().any(|f| !f.accepted.is_empty());
        if has_accepted {
            rules.insert("accept");
        }
        let rules: Vec<&str> = rules.into_iter().collect();
        let index = |key: &str| rules.iter().position(|r| *r == key).unwrap_or_default();
        let mut results: Vec<Value> =
            self.all().map(|(file, finding)| self.result(file, finding, index(&finding.key))).collect();
        for file in &self.files {
            results.extend(file.accepted.iter().map(|a| suppressed(&file.file, a, index("accept"))));
        }
        let sarif = json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "onnx-rm",
                    "version": self.tool_version,
                    "semanticVersion": self.tool_version,
                    "rules": rules.iter().map(|key| rule(key)).collect::<Vec<_>>(),
                } },
                "columnKind": "unicodeCodePoints",
                "invocations": [{
                    "executionSuccessful": self.status != CheckStatus::Error,
                    "exitCode": self.exit_code(),
                }],
                "results": results,
            }],
        });
        serde_json::to_string_pretty(&sarif).unwrap_or_default() + "\n"
    }

    fn result(&self, file: Option<&str>, finding: &Finding, rule: usize) -> Value {
        let physical = match (file, &self.policy) {
            (Some(file), _) => Some(json!({ "artifactLocation": { "uri": uri(file) } })),
            (None, Some(policy)) => Some(json!({
                "artifactLocation": { "uri": uri(policy) },
                "region": { "startLine": finding.line.unwrap_or(1) },
            })),
            (None, None) => None,
        };
        let mut location = json!({});
        if let Some(physical) = physical {
            location["physicalLocation"] = physical;
        }
        let logical: Vec<Value> = finding.places.iter().filter_map(logical).take(MAX_PLACES).collect();
        if !logical.is_empty() {
            location["logicalLocations"] = logical.into();
        }
        let mut result = json!({
            "ruleId": finding.key,
            "ruleIndex": rule,
            "level": if finding.level == Level::Warning { "warning" } else { "error" },
            "message": { "text": finding.message },
            "partialFingerprints": { "onnxRmCheck/v1": fingerprint(file, finding) },
            "baselineState": if finding.known { "unchanged" } else { "new" },
        });
        if location.as_object().is_some_and(|l| !l.is_empty()) {
            result["locations"] = json!([location]);
        }
        result
    }
}

fn rule(key: &str) -> Value {
    json!({
        "id": key,
        "shortDescription": { "text": about(key) },
        "help": { "text": format!("{} docs/CI.md of onnx-rm explains '{key}'.", about(key)) },
    })
}

fn suppressed(file: &str, accepted: &Accepted, rule: usize) -> Value {
    let place = &accepted.place;
    let until = accepted.until.map(|day| format!("until {day}"));
    let why: Vec<String> = accepted.because.iter().cloned().chain(until).collect();
    let mut location = json!({ "physicalLocation": { "artifactLocation": { "uri": uri(file) } } });
    if let Some(logical) = logical(place) {
        location["logicalLocations"] = json!([logical]);
    }
    json!({
        "ruleId": "accept",
        "ruleIndex": rule,
        "level": "note",
        "message": { "text": format!("{}: {}", place.code.as_deref().unwrap_or_default(), place.reason) },
        "locations": [location],
        "suppressions": [{ "kind": "external", "justification": why.join(", ") }],
    })
}

/// A node or tensor of the graph.
fn logical(place: &Place) -> Option<Value> {
    match (place.node.is_empty(), place.tensor.is_empty()) {
        (false, _) => Some(json!({ "name": place.node, "kind": "function" })),
        (true, false) => Some(json!({ "name": place.tensor, "kind": "variable" })),
        (true, true) => None,
    }
}

/// The same as long as the finding is: its file, its key, and what it is about.
fn fingerprint(file: Option<&str>, finding: &Finding) -> String {
    let mut words = vec![file.unwrap_or_default(), &finding.key];
    words.extend(finding.places.iter().flat_map(|p| [p.node.as_str(), &p.tensor]));
    // FNV-1a: short, and the same on every machine.
    let hash = words
        .iter()
        .flat_map(|w| w.bytes().chain([0]))
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{hash:016x}")
}

/// `path` as a URI (RFC 3986): relative where the path is.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    if Path::new(path).is_absolute() {
        uri.push_str(if path.starts_with('/') { "file://" } else { "file:///" });
    }
    for byte in path.replace('\\', "/").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_are_written_as_uris() {
        assert_eq!(uri("models/a b.onnx"), "models/a%20b.onnx");
        assert_eq!(uri("a:b/\u{e9}#.onnx"), "a%3Ab/%C3%A9%23.onnx");
        assert_eq!(uri("/tmp/x.onnx"), "file:///tmp/x.onnx");
    }
}
