//! A summary in Markdown, as for `$GITHUB_STEP_SUMMARY`.

use std::fmt::Write as _;

use crate::check::report::{CheckReport, FileReport, Finding, Level};
use crate::printable::Printable;

impl CheckReport {
    /// A table of the models and a list of the findings, in GitHub's Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let s = &self.summary;
        let mut text = format!("## onnx-rm check: {}\n\n", self.status.as_str());
        let _ = writeln!(
            text,
            "{} models: {} passed, {} failed, {} could not be checked; {} findings, {} more in the baseline, {} warnings.\n",
            s.files, s.passed, s.failed, s.errors, s.findings, s.known, s.warnings
        );
        text.push_str("| model | verdict | joins | MACs | parameters | bytes | activation bytes | findings |\n");
        text.push_str("|---|---|---:|---:|---:|---:|---:|---|\n");
        self.files.iter().for_each(|file| row(&mut text, file));
        let mut findings = self.all().peekable();
        if findings.peek().is_some() {
            text.push_str("\n| model | key | finding |\n|---|---|---|\n");
        }
        for (file, finding) in findings {
            let file = file.map(cell).unwrap_or_default();
            let _ = writeln!(text, "| {file} | `{}` | {}{} |", finding.key, word(finding), cell(&finding.message));
        }
        text
    }
}

fn word(finding: &Finding) -> &'static str {
    match (finding.known, finding.level) {
        (true, _) => "known: ",
        (_, Level::Warning) => "warning: ",
        _ => "",
    }
}

fn row(text: &mut String, file: &FileReport) {
    let number = |n: Option<u64>| n.map_or("unknown".to_owned(), |n| n.to_string());
    let numbers = match &file.measures {
        Some(m) => [Some(m.joins), m.macs, Some(m.parameters), Some(m.bytes), m.activation_bytes].map(number),
        None => Default::default(),
    };
    let mut keys: Vec<&str> = file.findings.iter().filter(|f| f.counts()).map(|f| f.key.as_str()).collect();
    keys.dedup();
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} |",
        cell(&file.file),
        file.status.as_str(),
        numbers.join(" | "),
        keys.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")
    );
}

/// Text that ends no cell and makes no mark-up.
fn cell(text: &str) -> String {
    let mut safe = String::new();
    for c in Printable(text).to_string().chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '#' | '!' | '@' => safe.extend(['\\', c]),
            c => safe.push(c),
        }
    }
    safe
}
