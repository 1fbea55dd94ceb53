//! JUnit's XML: a suite a model, a case a key.

use std::fmt::Write as _;

use crate::check::policy::about;
use crate::check::report::{CheckReport, Finding, Level};

impl CheckReport {
    /// The report as JUnit XML: a suite for each model and one for the run, a case for each key. What is known is skipped.
    #[must_use]
    pub fn to_junit(&self) -> String {
        let mut suites: Vec<Suite> = self
            .files
            .iter()
            .map(|file| Suite::new(&file.file, file.checked.iter().map(String::as_str), &file.findings))
            .collect();
        if !self.findings.is_empty() {
            suites.push(Suite::new("policy", std::iter::empty(), &self.findings));
        }
        let sum = |of: fn(&Suite) -> usize| suites.iter().map(of).sum::<usize>();
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = writeln!(
            xml,
            "<testsuites name=\"onnx-rm check\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
            sum(|s| s.tests),
            sum(|s| s.failures),
            sum(|s| s.errors),
            sum(|s| s.skipped)
        );
        for suite in &suites {
            let _ = writeln!(
                xml,
                "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">\n{}  </testsuite>",
                escaped(&suite.name),
                suite.tests,
                suite.failures,
                suite.errors,
                suite.skipped,
                suite.cases
            );
        }
        xml.push_str("</testsuites>\n");
        xml
    }
}

#[derive(Default)]
struct Suite {
    name: String,
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    cases: String,
}

impl Suite {
    fn new<'k>(name: &str, checked: impl Iterator<Item = &'k str>, findings: &'k [Finding]) -> Self {
        let mut suite = Self { name: name.to_owned(), ..Self::default() };
        let mut keys: Vec<&str> = checked.collect();
        for finding in findings {
            if !keys.contains(&finding.key.as_str()) {
                keys.push(&finding.key);
            }
        }
        for key in keys {
            let own: Vec<&Finding> = findings.iter().filter(|f| f.key == key).collect();
            suite.case(key, &own);
        }
        suite
    }

    fn case(&mut self, key: &str, findings: &[&Finding]) {
        self.tests += 1;
        let (name, class) = (escaped(&format!("{key}: {}", about(key))), escaped(&self.name));
        let _ = write!(self.cases, "    <testcase classname=\"{class}\" name=\"{name}\"");
        if findings.is_empty() {
            self.cases.push_str("/>\n");
            return;
        }
        self.cases.push_str(">\n");
        // A case has one result: the worst.
        let worst = findings.iter().max_by_key(|f| (f.counts(), f.level));
        let element = match worst {
            Some(f) if f.known => "skipped",
            Some(f) if f.level == Level::Error => "error",
            Some(f) if f.level == Level::Failure => "failure",
            _ => "system-out",
        };
        match element {
            "skipped" => self.skipped += 1,
            "error" => self.errors += 1,
            "failure" => self.failures += 1,
            _ => {}
        }
        let first = worst.map(|f| escaped(&f.message)).unwrap_or_default();
        let kind = if matches!(element, "error" | "failure") { format!(" type=\"{key}\"") } else { String::new() };
        let message = if element == "system-out" { String::new() } else { format!("{kind} message=\"{first}\"") };
        let _ = writeln!(self.cases, "      <{element}{message}>{}</{element}>", escaped(&details(findings)));
        self.cases.push_str("    </testcase>\n");
    }
}

/// All that is known of the findings, a line each.
fn details(findings: &[&Finding]) -> String {
    let mut lines = Vec::new();
    for finding in findings {
        lines.push(finding.message.clone());
        lines.extend(finding.places.iter().map(|p| {
            let code = p.code.as_ref().map(|c| format!("{c}: ")).unwrap_or_default();
            format!("  node '{}', tensor '{}': {code}{}", p.node, p.tensor, p.reason)
        }));
    }
    lines.join("\n")
}

/// As XML 1.0 can have it: what it has no sign for is written out.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\t' => safe.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.extend(c.escape_default()),
            c => safe.push(c),
        }
    }
    safe
}
