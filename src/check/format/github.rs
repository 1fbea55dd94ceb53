//! Annotations of GitHub Actions ("workflow commands").

use std::fmt::Write as _;

use crate::check::report::{CheckReport, Level};

impl CheckReport {
    /// One workflow command of GitHub Actions a finding, which then stands beside the file in a pull request. What is known is left out.
    #[must_use]
    pub fn to_github(&self) -> String {
        let mut text = String::new();
        for (file, finding) in self.all().filter(|(_, f)| !f.known) {
            let command = if finding.level == Level::Warning { "warning" } else { "error" };
            let (file, line) = match file {
                Some(file) => (Some(file), None),
                None => (self.policy.as_deref(), finding.line),
            };
            let file = file.map(|f| format!("file={},", property(f))).unwrap_or_default();
            let line = line.map(|n| format!("line={n},")).unwrap_or_default();
            let title = property(&format!("onnx-rm {}", finding.key));
            let _ = writeln!(text, "::{command} {file}{line}title={title}::{}", data(&finding.message));
        }
        text
    }
}

/// As the runner reads what stands behind the colons.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// As it reads the values before them.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
