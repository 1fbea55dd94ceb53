//! Text for people.

use std::fmt;

use crate::check::report::{CheckReport, CheckStatus, FileReport, Finding, Level};
use crate::printable::Printable;

/// Places shown of one finding.
const MAX_SHOWN: usize = 3;

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = self.policy.as_deref();
        // `{:#}` leaves out what passed.
        let all = !f.alternate();
        for file in self.files.iter().filter(|file| all || file.status != CheckStatus::Passed) {
            show(f, file, policy)?;
        }
        for found in &self.findings {
            finding(f, found, policy)?;
        }
        let s = &self.summary;
        write!(f, "{} models: {} passed, {} failed", s.files, s.passed, s.failed)?;
        if s.errors > 0 {
            write!(f, ", {} could not be checked", s.errors)?;
        }
        write!(f, "; {} findings", s.findings)?;
        if s.known > 0 {
            write!(f, ", {} more in the baseline", s.known)?;
        }
        if s.warnings > 0 {
            write!(f, ", {} warnings", s.warnings)?;
        }
        Ok(())
    }
}

fn show(f: &mut fmt::Formatter<'_>, file: &FileReport, policy: Option<&str>) -> fmt::Result {
    write!(f, "{}: {}", Printable(&file.file), file.status.as_str())?;
    if !file.checked.is_empty() {
        write!(f, " ({} keys)", file.checked.len())?;
    }
    writeln!(f)?;
    for found in &file.findings {
        finding(f, found, policy)?;
    }
    if !file.accepted.is_empty() {
        writeln!(f, "  accepted: {} joins", file.accepted.len())?;
    }
    Ok(())
}

fn finding(f: &mut fmt::Formatter<'_>, finding: &Finding, policy: Option<&str>) -> fmt::Result {
    let word = match (finding.known, finding.level) {
        (true, _) => "known: ",
        (_, Level::Warning) => "warning: ",
        _ => "",
    };
    write!(f, "  {}: {word}{}", finding.key, Printable(&finding.message))?;
    if let (Some(policy), Some(line)) = (policy, finding.line) {
        write!(f, " ({}:{line})", Printable(policy))?;
    }
    writeln!(f)?;
    for place in finding.places.iter().take(MAX_SHOWN) {
        let name = if place.node.is_empty() { &place.tensor } else { &place.node };
        let code = place.code.as_ref().map(|c| format!("{c}: ")).unwrap_or_default();
        let colon = if name.is_empty() { "" } else { ": " };
        writeln!(f, "      {}{colon}{code}{}", Printable(name), Printable(&place.reason))?;
    }
    match finding.places.len().saturating_sub(MAX_SHOWN) {
        0 => Ok(()),
        more => writeln!(f, "      and {more} more: --json lists all"),
    }
}
