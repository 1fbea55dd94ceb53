//! The report for people.

use std::collections::BTreeMap;
use std::fmt;

use super::model::{Outcome, Report, Verification};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = self.command == "rewrite";
        removed(f, &self.outcome, done)?;
        kept(f, &self.outcome)?;
        price(f, &self.outcome)?;
        match &self.verification {
            Some(Verification::Passed(report)) => writeln!(f, "verified: {report}"),
            Some(Verification::Failed(report)) => writeln!(f, "NOT verified: {report}"),
            Some(Verification::Off) => writeln!(f, "not verified (--no-verify)"),
            Some(Verification::Unchanged) => writeln!(f, "unchanged: the output is the input, byte for byte"),
            None => Ok(()),
        }
    }
}

fn removed(f: &mut fmt::Formatter<'_>, outcome: &Outcome, done: bool) -> fmt::Result {
    let mut forms: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, change) in outcome.removed() {
        *forms.entry(&change.form).or_default() += 1;
    }
    let total: usize = forms.values().sum();
    let what = if done { "removed" } else { "removable" };
    writeln!(f, "{total} of {} joins {what}", outcome.before.joins)?;
    for (form, count) in forms {
        writeln!(f, "  {count:>4}  {form}")?;
    }
    Ok(())
}

fn kept(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    let mut codes: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (site, reject) in outcome.kept() {
        codes.entry(&reject.code).or_default().push((site, reject));
    }
    let total: usize = codes.values().map(Vec::len).sum();
    if total == 0 {
        return Ok(());
    }
    writeln!(f, "{total} stay")?;
    for (code, sites) in codes {
        writeln!(f, "  {:>4}  {code}", sites.len())?;
        for (site, reject) in sites {
            let join = if site.join.is_empty() { &site.tensor } else { &site.join };
            writeln!(f, "        {join}: {}", reject.reason)?;
            if !reject.node.is_empty() || !reject.tensor.is_empty() {
                writeln!(f, "          because of node '{}', tensor '{}'", reject.node, reject.tensor)?;
            }
            if !reject.hint.is_empty() {
                writeln!(f, "          hint: {}", reject.hint)?;
            }
        }
    }
    Ok(())
}

fn price(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    let (before, after) = (&outcome.before, &outcome.after);
    let mut row = |name: &str, a: u64, b: u64| {
        let ratio = if a == 0 { 1.0 } else { b as f64 / a as f64 };
        writeln!(f, "  {name:<12} {:>16} -> {:>16}  {ratio:.2}x", thousands(a), thousands(b))
    };
    match (before.macs, after.macs) {
        (Some(a), Some(b)) => row("MACs", a, b)?,
        _ => writeln!(f, "  MACs         unknown: a size in the model is not fixed")?,
    }
    let mut row = |name: &str, a: u64, b: u64| {
        let ratio = if a == 0 { 1.0 } else { b as f64 / a as f64 };
        writeln!(f, "  {name:<12} {:>16} -> {:>16}  {ratio:.2}x", thousands(a), thousands(b))
    };
    row("parameters", before.params, after.params)?;
    row("file bytes", before.bytes, after.bytes)?;
    row("nodes", before.nodes as u64, after.nodes as u64)?;
    row("joins", before.joins as u64, after.joins as u64)
}

/// `1234567` as `1,234,567`.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn digits_stand_in_threes() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
