//! The verdict by a tolerance in place of the criterion, by outputs that came with the inputs, and in words.

use crate::verify::comparison::{Comparison, Tolerance};
use crate::verify::report::{EngineReport, Status, Verdict, VerifyReport};

/// Judges `report` by the tolerance that was asked for, if one was, and by expected outputs.
pub(super) fn judge(report: &mut VerifyReport, asked: Option<Tolerance>) {
    report.tolerance = asked;
    if let Some(tolerance) = asked.filter(|_| !report.beyond_tolerance) {
        let refusal = refusal(report, |_| Some(tolerance));
        match (refusal, report.status) {
            (Some(refusal), _) => different(report, refusal),
            (None, Status::Mismatch | Status::Unstable) if compares(report) => {
                report.notes.push(format!("by the usual criterion: {}", report.message));
                (report.status, report.message) = (Status::Equal, String::new());
                report.first_difference = None;
            }
            (None, _) => {}
        }
    }
    let of_expected = |c: &Comparison| (c.against == "expected").then(|| asked.unwrap_or(Tolerance::EXPECTED));
    if report.status != Status::Mismatch
        && let Some(refusal) = refusal(report, of_expected)
    {
        different(report, refusal);
    }
}

/// True when the rewritten model was compared with the original at all.
fn compares(report: &VerifyReport) -> bool {
    report.outputs.iter().flat_map(|o| &o.comparisons).any(|c| c.against == "original")
}

fn different(report: &mut VerifyReport, refusal: String) {
    (report.status, report.message) = (Status::Mismatch, refusal);
}

/// The first comparison that the tolerance which `of` has for it does not let pass, in words.
fn refusal(report: &VerifyReport, of: impl Fn(&Comparison) -> Option<Tolerance>) -> Option<String> {
    let mut all = report.outputs.iter().flat_map(|o| o.comparisons.iter().map(move |c| (o, c)));
    all.find_map(|(output, c)| Some(format!("'{}' of {}", output.name, c.refusal(of(c)?)?)))
}

/// Says the verdict in words.
pub(super) fn conclude(report: &mut VerifyReport) {
    let mut against_original = report
        .outputs
        .iter()
        .flat_map(|o| &o.comparisons)
        .filter(|c| c.model == "rewritten" && c.against == "original");
    report.verdict = match (report.status, report.tolerance) {
        (Status::Mismatch, _) => Verdict::Different,
        (Status::NoEvidence | Status::Unstable, _) => Verdict::NoEvidence,
        (Status::Equal, _) if against_original.all(|c| c.different == 0 && c.failure.is_none()) => Verdict::Equal,
        (Status::Equal, Some(_)) => Verdict::WithinTolerance,
        (Status::Equal, None) => Verdict::WithinRounding,
    };
}

/// What `report` says of its engine.
pub(super) fn engine(report: &VerifyReport, version: Option<String>) -> EngineReport {
    EngineReport { engine: report.arithmetic.engine, version, status: report.status, message: report.message.clone() }
}

/// Takes in what another engine showed: the graver verdict of both stands.
pub(super) fn join(report: &mut VerifyReport, other: VerifyReport) {
    let gravity = |status: Status| match status {
        Status::Equal => 0,
        Status::Unstable => 1,
        Status::NoEvidence => 2,
        Status::Mismatch => 3,
    };
    for output in other.outputs {
        let Some(own) = report.outputs.iter_mut().find(|o| o.name == output.name) else { continue };
        // What float64 shows is there already.
        own.comparisons.extend(output.comparisons.into_iter().filter(|c| c.engine != "float64"));
    }
    for note in other.notes {
        if !report.notes.contains(&note) {
            report.notes.push(note);
        }
    }
    if gravity(other.status) > gravity(report.status) {
        report.status = other.status;
        report.message = format!("in {}: {}", other.arithmetic.engine, other.message);
        report.first_difference = other.first_difference;
        report.reproducer = report.reproducer.take().or(other.reproducer);
    }
    report.beyond_tolerance |= other.beyond_tolerance;
    report.engines.extend(other.engines);
}
