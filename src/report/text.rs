//! The report for people.

use std::collections::BTreeMap;
use std::fmt;

use crate::options::Family;
use crate::printable::Printable;

use super::model::{Action, NotInspected, Outcome, Report, SiteReport, Verification};
use super::number::thousands;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = self.command == Action::Rewrite;
        removed(f, &self.outcome, done)?;
        kept(f, &self.outcome)?;
        not_inspected(f, self.outcome.not_inspected)?;
        price(f, &self.outcome)?;
        if let Some(curve) = &self.curve {
            write!(f, "{curve}")?;
        }
        if let Some(unmet) = &self.unmet {
            writeln!(f, "required, but {}", Printable(unmet))?;
        }
        for note in &self.notes {
            writeln!(f, "note: {}", Printable(note))?;
        }
        match &self.verification {
            Some(Verification::Passed(report)) if report.is_unstable() => {
                writeln!(f, "written all the same, for both agree in float64: {report}")
            }
            Some(Verification::Passed(report)) => writeln!(f, "verified: {report}"),
            Some(Verification::Failed(report)) => writeln!(f, "NOT verified: {report}"),
            Some(Verification::Unstable(report)) => writeln!(f, "left as it is: {report}"),
            Some(Verification::Off) => writeln!(f, "not verified (--no-verify)"),
            Some(Verification::Unchanged) => writeln!(f, "unchanged: the output is the input, byte for byte"),
            None => Ok(()),
        }
    }
}

/// What each mechanism did: how often in which form, and what that costs.
fn removed(f: &mut fmt::Formatter<'_>, outcome: &Outcome, done: bool) -> fmt::Result {
    let joins = outcome.removed().filter(|(site, _)| site.is_residual()).count();
    let what = if done { "removed" } else { "removable" };
    writeln!(f, "{joins} of {} joins {what}", outcome.before.joins)?;
    forms(f, outcome, SiteReport::is_residual)?;
    let what = if done { "done" } else { "possible" };
    let is_moved = |site: &SiteReport| site.kind == Family::Transpose;
    let moved = outcome.removed().filter(|(site, _)| is_moved(site)).count();
    let is_legal = |site: &SiteReport| site.kind == Family::Legalize;
    let legal = outcome.removed().filter(|(site, _)| is_legal(site)).count();
    let folds = outcome.removed().count() - joins - moved - legal;
    if folds > 0 {
        writeln!(f, "{folds} linear folds {what}")?;
        forms(f, outcome, |site| !site.is_residual() && !is_moved(site) && !is_legal(site))?;
    }
    if legal > 0 {
        writeln!(f, "{legal} operators written otherwise")?;
        forms(f, outcome, is_legal)?;
    }
    if moved > 0 {
        writeln!(f, "{moved} other orders of axes {what}")?;
        forms(f, outcome, is_moved)?;
    }
    Ok(())
}

/// How often a form stands, and what all of them cost together where that is known.
struct Tally {
    count: usize,
    macs: Option<(u64, u64)>,
}

fn forms(f: &mut fmt::Formatter<'_>, outcome: &Outcome, which: impl Fn(&SiteReport) -> bool) -> fmt::Result {
    let mut forms: BTreeMap<(&str, &str), Tally> = BTreeMap::new();
    for (site, change) in outcome.removed().filter(|(site, _)| which(site)) {
        let is_fold = matches!(site.kind, Family::Parallel | Family::Sequence | Family::Dead);
        let kind = if is_fold { site.kind.as_str() } else { "" };
        let tally = forms.entry((kind, &change.form)).or_insert(Tally { count: 0, macs: Some((0, 0)) });
        tally.count += 1;
        tally.macs = match (tally.macs, change.macs_before, change.macs_after) {
            (Some((a, b)), Some(before), Some(after)) => Some((a.saturating_add(before), b.saturating_add(after))),
            _ => None,
        };
    }
    for ((kind, form), Tally { count, macs }) in forms {
        let colon = if kind.is_empty() { "" } else { ": " };
        write!(f, "  {count:>4}  {kind}{colon}{}", Printable(form))?;
        match macs {
            Some((0, 0)) => writeln!(f)?,
            Some((before, after)) => writeln!(f, " ({} -> {} MACs)", thousands(before), thousands(after))?,
            None => writeln!(f)?,
        }
    }
    Ok(())
}

/// Linear sites shown of one reason: most only say that a pair of convolutions is best left alone.
const MAX_SHOWN: usize = 3;

fn kept(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    let mut codes: BTreeMap<(bool, &str), Vec<_>> = BTreeMap::new();
    for (site, reject) in outcome.kept() {
        codes.entry((!site.is_residual(), reject.code.as_str())).or_default().push((site, reject));
    }
    let joins: usize = codes.iter().filter(|((fold, _), _)| !fold).map(|(_, sites)| sites.len()).sum();
    if joins > 0 {
        writeln!(f, "{joins} stay")?;
    }
    let mut folds_shown = false;
    for ((fold, code), sites) in codes {
        if fold && !std::mem::replace(&mut folds_shown, true) {
            writeln!(f, "linear operators that stay as they are")?;
        }
        writeln!(f, "  {:>4}  {code}", sites.len())?;
        let shown = if fold { MAX_SHOWN } else { usize::MAX };
        let more = sites.len().saturating_sub(shown);
        for (site, reject) in sites.into_iter().take(shown) {
            let join = if site.join.is_empty() { &site.tensor } else { &site.join };
            writeln!(f, "        {}: {}", Printable(join), Printable(&reject.reason))?;
            if !reject.node.is_empty() || !reject.tensor.is_empty() {
                let (node, tensor) = (Printable(&reject.node), Printable(&reject.tensor));
                writeln!(f, "          because of node '{node}', tensor '{tensor}'")?;
            }
            if !reject.hint.is_empty() {
                writeln!(f, "          hint: {}", Printable(&reject.hint))?;
            }
        }
        if more > 0 {
            writeln!(f, "        and {more} more: --json lists all")?;
        }
    }
    Ok(())
}

fn not_inspected(f: &mut fmt::Formatter<'_>, sums: NotInspected) -> fmt::Result {
    let NotInspected { in_subgraphs, in_functions } = sums;
    if in_subgraphs > 0 {
        writeln!(f, "{in_subgraphs} sums in graphs inside of nodes, which are not looked into")?;
        writeln!(f, "          hint: only those of If, Loop and Scan are, where nothing in them is broken")?;
    }
    if in_functions > 0 {
        writeln!(f, "{in_functions} sums in local functions, which are not looked into")?;
        writeln!(f, "          hint: inline them first (onnx.inliner.inline_local_functions)")?;
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
        _ => writeln!(
            f,
            "  MACs         unknown: a size in the model is not fixed, or an operator multiplies that is not counted"
        )?,
    }
    let mut row = |name: &str, a: u64, b: u64| {
        let ratio = if a == 0 { 1.0 } else { b as f64 / a as f64 };
        writeln!(f, "  {name:<12} {:>16} -> {:>16}  {ratio:.2}x", thousands(a), thousands(b))
    };
    row("parameters", before.params, after.params)?;
    row("file bytes", before.bytes, after.bytes)?;
    row("nodes", before.nodes as u64, after.nodes as u64)?;
    row("joins", before.joins as u64, after.joins as u64)?;
    if let (Some(a), Some(b)) = (before.activation_bytes, after.activation_bytes) {
        row("peak bytes", a, b)?;
    }
    Ok(())
}
